package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type labelCommand struct {
	Set       setLabel       `cmd:"" help:"Point a label to another release; a protected one when a second person approves."`
	List      listLabels     `cmd:"" help:"List labels and where they point."`
	History   labelHistory   `cmd:"" help:"Show who moved a label when and why, the latest first."`
	Approve   approveLabel   `cmd:"" help:"Approve the move of a protected label that somebody else proposed."`
	Reject    rejectLabel    `cmd:"" help:"Reject the proposed move of a protected label."`
	Protect   protectLabel   `cmd:"" help:"Have every move of a label need a second person."`
	Unprotect unprotectLabel `cmd:"" help:"Let one person move a label; a proposal that waits is dropped."`
	Require   requireSuites  `cmd:"" help:"Have a label move only to releases that pass eval suites."`
}

// oneLabel is CHAIN@LABEL on a command line.
type oneLabel struct {
	Target string `arg:"" name:"chain@label" help:"The label, such as docs-qa@production."`
	Why    string `placeholder:"TEXT" help:"Why, for the label's history."`
}

type (
	setLabel struct {
		oneLabel
		Release string `arg:"" optional:"" help:"Hash of the release, the beginning of it, or another CHAIN@LABEL; none with --undo."`
		Undo    bool   `help:"Go back to the release that the label pointed to before; each undo goes one further back."`
		Expect  string `placeholder:"RELEASE" help:"Only if the label points to this release now; none, if it was never set."`

		Override bool   `help:"Move a label that requires suites whatever they say; with --reason."`
		Reason   string `placeholder:"TEXT" help:"Of an override, which is recorded."`
	}
	approveLabel struct {
		oneLabel
		Proposal int `placeholder:"N" help:"Number of the proposal, as label history has it (default: the one that waits)."`
	}
	rejectLabel struct {
		oneLabel
		Proposal int `placeholder:"N" help:"Number of the proposal, as label history has it (default: the one that waits)."`
	}
	protectLabel   struct{ oneLabel }
	unprotectLabel struct{ oneLabel }
	listLabels     struct {
		Chain string `arg:"" optional:"" help:"Only labels of this chain."`
	}
	labelHistory struct {
		Target string `arg:"" name:"chain" help:"Name of the chain for all of its labels, or CHAIN@LABEL for one."`
		Limit  int    `default:"50" help:"At most so many entries of each label."`
	}
)

func labelPath(chain, label, action string) string {
	return "/api/v1/chains/" + url.PathEscape(chain) + "/labels/" + url.PathEscape(label) + action
}

// path is the address of the label or of what is done with it.
func (c oneLabel) path(action string) (string, error) {
	chain, label, err := schemas.CutLabel(c.Target)
	if err == nil && label == "" {
		err = schemas.Errorf(schemas.Invalid, "%q names no label; write CHAIN@LABEL, such as %s@production", c.Target, chain)
	}
	return labelPath(chain, label, action), err
}

// change asks for a change of the label and prints how it stands.
func (c oneLabel) change(s *session, method, action string, body any) error {
	path, err := c.path(action)
	if err != nil {
		return err
	}
	var label rest.Label
	if err := s.request(method, path, body, &label); err != nil {
		return err
	}
	return s.print(label, func(w io.Writer) { fmt.Fprintln(w, labelLine(label)) })
}

// stands reads how the label stands.
func (c oneLabel) stands(s *session) (label rest.Label, err error) {
	path, err := c.path("")
	if err != nil {
		return label, err
	}
	return label, s.request(http.MethodGet, path, nil, &label)
}

func labelLine(l rest.Label) string {
	name := l.Chain + "@" + l.Label
	line := name + " points to no release yet"
	if l.Release != "" {
		line = name + " is " + l.Release
	}
	if l.Protected {
		line += ", protected"
	}
	if len(l.Requires) > 0 {
		line += ", requires " + requirements(l.Requires)
	}
	if l.Recalled {
		line += ", recalled: no run starts by it"
	}
	if p := l.Proposal; p != nil {
		line += fmt.Sprintf("\nproposal %d of %s: %s%s; a second person approves it with \"tenuto label approve %s\"", p.Number, who(p.By), p.Release, because(p.Why), name)
		line += gateText(p.Gate)
	}
	return line
}

// Run moves a label. An undo says what it is to undo, so that it is not done twice when its answer is lost.
func (c setLabel) Run(s *session) error {
	if (c.Release == "") != c.Undo {
		return schemas.Errorf(schemas.Invalid, "name the release that %s shall point to, or use --undo", c.Target)
	}
	if c.Override != (c.Reason != "") {
		return schemas.Errorf(schemas.Invalid, "--override moves the label whatever its suites say, and takes --reason TEXT, which is recorded")
	}
	move := rest.MoveLabel{Release: c.Release, Undo: c.Undo, Expect: c.Expect, Why: c.Why, Override: c.Override, Reason: c.Reason}
	if c.Undo && move.Expect == "" {
		label, err := c.stands(s)
		if err != nil {
			return err
		}
		move.Expect = label.Release
	}
	path, err := c.path("/moves")
	if err != nil {
		return err
	}
	label, err := s.moveLabel(path, move)
	if err != nil {
		return err
	}
	return s.print(label, func(w io.Writer) { fmt.Fprintln(w, labelLine(label)) })
}

// Run approves a proposal.
func (c approveLabel) Run(s *session) error { return c.decide(s, "/approve", c.Proposal) }

// Run rejects a proposal.
func (c rejectLabel) Run(s *session) error { return c.decide(s, "/reject", c.Proposal) }

func (c oneLabel) decide(s *session, action string, proposal int) error {
	if proposal == 0 {
		label, err := c.stands(s)
		if err != nil {
			return err
		}
		if label.Proposal == nil {
			return schemas.Errorf(schemas.Conflict, "no proposal waits at label %s; \"tenuto label history %s\" shows what became of those there were", c.Target, c.Target)
		}
		proposal = label.Proposal.Number
	}
	return c.change(s, http.MethodPost, action, rest.DecideLabel{Proposal: proposal, Why: c.Why})
}

// Run protects a label.
func (c protectLabel) Run(s *session) error {
	return c.change(s, http.MethodPut, "/protection", rest.ProtectLabel{Protected: true, Why: c.Why})
}

// Run ends the protection of a label.
func (c unprotectLabel) Run(s *session) error {
	return c.change(s, http.MethodPut, "/protection", rest.ProtectLabel{Why: c.Why})
}

// Run lists labels.
func (c listLabels) Run(s *session) error {
	path := "/api/v1/labels"
	if c.Chain != "" {
		path = "/api/v1/chains/" + url.PathEscape(c.Chain) + "/labels"
	}
	var page rest.Page[rest.Label]
	if err := s.request(http.MethodGet, path, nil, &page); err != nil {
		return err
	}
	return s.print(page, func(w io.Writer) {
		table(w, "LABEL\tRELEASE\tSINCE\tBY\tSTATE\tWHY", func(w io.Writer) {
			for _, l := range page.Items {
				fmt.Fprintf(w, "%s@%s\t%s\t%s\t%s\t%s\t%s\n", l.Chain, l.Label, schemas.ShortRelease(l.Release), localTime(l.ChangedAt), who(l.By), labelState(l), brief(l.Why))
			}
		})
	})
}

func labelState(l rest.Label) string {
	var state []string
	if l.Recalled {
		state = append(state, "recalled")
	}
	if l.Protected {
		state = append(state, "protected")
	}
	if len(l.Requires) > 0 {
		state = append(state, "requires "+counted(len(l.Requires), "suite"))
	}
	if l.Proposal != nil {
		state = append(state, fmt.Sprintf("proposal %d waits", l.Proposal.Number))
	}
	return strings.Join(state, ", ")
}

// labelEntry is an entry with the label that it is of.
type labelEntry struct {
	Label string `json:"label"`
	rest.LabelEntry
}

// Run shows the history of a label, or of all labels of a chain.
func (c labelHistory) Run(s *session) error {
	chain, label, err := schemas.CutLabel(c.Target)
	if err != nil {
		return err
	}
	names := []string{label}
	if label == "" {
		var page rest.Page[rest.Label]
		if err := s.request(http.MethodGet, "/api/v1/chains/"+url.PathEscape(chain)+"/labels", nil, &page); err != nil {
			return err
		}
		names = nil
		for _, l := range page.Items {
			names = append(names, l.Label)
		}
	}
	entries := []labelEntry{}
	for _, name := range names {
		page, err := list[rest.LabelEntry](s, labelPath(chain, name, "/history"), c.Limit)
		if err != nil {
			return err
		}
		for _, e := range page.Items {
			entries = append(entries, labelEntry{name, e})
		}
	}
	slices.SortStableFunc(entries, func(a, b labelEntry) int { return b.At.Compare(a.At) })
	return s.print(rest.Page[labelEntry]{Items: entries}, func(w io.Writer) {
		table(w, "LABEL\tNUMBER\tWHEN\tWHO\tWHAT\tWHY", func(w io.Writer) {
			for _, e := range entries {
				fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", e.Label, e.Number, localTime(e.At), who(e.By), entryText(e.LabelEntry), brief(e.Why))
			}
		})
	})
}

// entryText says what an entry did, and what let it through.
func entryText(e rest.LabelEntry) string {
	gate := e.Gate
	if e.Proposal != nil {
		gate = e.Proposal.Gate
	}
	return entryKind(e) + gateText(gate)
}

func entryKind(e rest.LabelEntry) string {
	switch e.Kind {
	case schemas.LabelSet:
		return "set to " + schemas.ShortRelease(e.Release)
	case schemas.LabelUndo:
		return "back to " + schemas.ShortRelease(e.Release)
	case schemas.LabelPropose:
		return "proposed " + schemas.ShortRelease(e.Proposal.Release)
	case schemas.LabelApprove:
		return fmt.Sprintf("approved %d: set to %s", e.Decided.Number, schemas.ShortRelease(e.Release))
	case schemas.LabelReject:
		return fmt.Sprintf("rejected %d", e.Decided.Number)
	case schemas.LabelProtect:
		return "protected"
	case schemas.LabelUnprotect:
		return "protected no more"
	case schemas.LabelRequire:
		if len(e.Requires) == 0 {
			return "requires no suite any more"
		}
		return "requires " + requirements(e.Requires)
	case schemas.LabelRecall:
		return "release " + schemas.ShortRelease(e.Recall) + " was recalled"
	}
	return string(e.Kind)
}
