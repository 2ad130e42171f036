package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// gatePoll and gatePollMost are how long a move waits before it asks again how its suites stand, at first and at most.
const (
	gatePoll     = 200 * time.Millisecond
	gatePollMost = 3 * time.Second
)

// gatedError is the answer to a move that suites keep from being made.
type gatedError struct {
	error
	evals []rest.GateRun
}

// Unwrap is the error with its code.
func (r *gatedError) Unwrap() error { return r.error }

// moveLabel moves a label, and waits for the suites that it requires. Where they run it moves only what it was asked to move at first, and bears a
// gateway that is away for a while: what it sends may be repeated. What keeps the label where it is, is printed as a finding.
func (s *session) moveLabel(path string, move rest.MoveLabel) (rest.Label, error) {
	gateway, err := s.api()
	if err != nil {
		return rest.Label{}, err
	}
	show := newProgress(s.stderr, s.getenv)
	said, away := "", time.Time{}
	for wait := gatePoll; ; wait = min(2*wait, gatePollMost) {
		label, err := gateway.move(s.ctx, path, move)
		if refused, ok := errors.AsType[*gatedError](err); ok {
			return label, s.refused(refused)
		}
		if err != nil && len(move.Waited) > 0 && s.ctx.Err() == nil {
			if away, err = bear(away, err, show, "the evaluation"); err == nil {
				continue
			}
		}
		if err != nil || len(label.Waiting) == 0 {
			return label, err
		}
		away, move = time.Time{}, waitedFor(move, label)
		if text := gateProgress(label); text != said {
			show.line(text)
			said = text
		}
		if err := pause(s.ctx, wait); err != nil {
			show.line("the suites go on; the same command again joins them")
			return label, err
		}
	}
}

func (a *api) move(ctx context.Context, path string, move rest.MoveLabel) (label rest.Label, err error) {
	c, err := jsonCall(http.MethodPost, path, move)
	if err != nil {
		return label, err
	}
	return label, a.do(ctx, c, &label)
}

// waitedFor is the move as it is asked for again: from where the label stood at first, and by the runs that it waits for.
func waitedFor(move rest.MoveLabel, label rest.Label) rest.MoveLabel {
	if move.Expect == "" {
		move.Expect = cmp.Or(label.Release, registry.Nothing)
	}
	move.Waited = nil
	for _, e := range label.Waiting {
		move.Waited = append(move.Waited, e.ID)
	}
	return move
}

// refused prints why a label was not moved.
func (s *session) refused(r *gatedError) error {
	result := struct {
		Refused string         `json:"refused"`
		Evals   []rest.GateRun `json:"evals"`
	}{schemas.SafeMessage(r), r.evals}
	if err := s.print(result, func(w io.Writer) { fmt.Fprintln(w, result.Refused) }); err != nil {
		return err
	}
	return errFindings
}

// gateProgress says what a move waits for.
func gateProgress(l rest.Label) string {
	var runs []string
	for _, e := range l.Waiting {
		text := "suite " + e.Suite + " (" + e.ID + ")"
		if p := e.Progress; p != nil {
			text += fmt.Sprintf(" is %s, %d of %d cells done, %s", p.State, p.Done+p.Errored, p.Cells, costOf(p.Cost, p.Usage))
			if why := cmp.Or(p.Waits, p.Reason); why != "" {
				text += ": " + why
			}
		}
		runs = append(runs, text)
	}
	return fmt.Sprintf("%s@%s waits for %s", l.Chain, l.Label, strings.Join(runs, ", "))
}

// requirements lists suites by name and package.
func requirements(requires []schemas.SuiteRequirement) string {
	var suites []string
	for _, r := range requires {
		text := "suite " + r.Suite + " " + schemas.ShortRelease(r.Package)
		if r.Baseline != schemas.BaselineCurrent {
			text += ", baseline " + r.Baseline
		}
		if r.MaxAgeS > 0 {
			text += ", no older than " + (time.Duration(r.MaxAgeS) * time.Second).String()
		}
		suites = append(suites, text)
	}
	return strings.Join(suites, "; ")
}

// gateText says what let a move through; nothing of one that needed nothing.
func gateText(g *schemas.LabelGate) string {
	switch {
	case g == nil:
		return ""
	case g.Override:
		return ", suites overridden: " + brief(g.Reason)
	}
	var runs []string
	for _, e := range g.Evals {
		runs = append(runs, e.Suite+" "+e.ID)
	}
	return ", passed " + strings.Join(runs, ", ")
}
