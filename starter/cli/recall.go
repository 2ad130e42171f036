package cli

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type recallCommand struct {
	Release string               `arg:"" help:"The release: its hash, the beginning of it, or CHAIN@LABEL."`
	On      string               `arg:"" optional:"" help:"With --action rerun-on: the release that runs start anew on."`
	Action  schemas.RecallAction `default:"" enum:",stop,finish,rerun-on" placeholder:"ACTION" help:"What becomes of runs in flight: stop, finish or rerun-on (default: show how the recall stands)."`
	Why     string               `placeholder:"TEXT" help:"Why, for those who are affected."`
	Detach  bool                 `help:"Do not wait for the runs in flight."`
}

// Help says what a recall does.
func (recallCommand) Help() string {
	return `No run starts on a recalled release, by whatever label. Runs in flight are cancelled (stop), come to their end (finish), or are cancelled and ` +
		`start anew with the same input on another release (rerun-on). Those in lanes end by themselves within seconds. The report names the runs and ` +
		`the API keys that asked for them. A recall may be repeated, also with another action.`
}

// Run recalls a release, and follows the recall to its end.
func (c recallCommand) Run(s *session) error {
	if c.Action == "" {
		return c.show(s)
	}
	var begun rest.Recall
	request := rest.NewRecall{Release: c.Release, Action: c.Action, On: c.On, Why: c.Why}
	if err := s.request(http.MethodPost, "/api/v1/recalls", request, &begun); err != nil {
		return err
	}
	c.Release = begun.Release
	fmt.Fprintf(s.stderr, "release %s of chain %s is recalled: no run starts on it\n", schemas.ShortRelease(begun.Release), begun.Chain)
	if c.Detach {
		return s.print(begun, func(w io.Writer) { writeRecall(w, begun) })
	}
	if err := c.follow(s); err != nil {
		if s.ctx.Err() != nil {
			fmt.Fprintf(s.stderr, "the recall goes on; \"tenuto recall %s\" says how it stands\n", schemas.ShortRelease(c.Release))
		}
		return err
	}
	return c.show(s)
}

// recallEvery is how often the state of a recall is asked for.
const recallEvery = time.Second

// follow returns when the recall has ended.
func (c recallCommand) follow(s *session) error {
	said := ""
	for {
		var found rest.Recall
		if err := s.request(http.MethodGet, "/api/v1/recalls/"+url.PathEscape(c.Release)+"?limit=1", nil, &found); err != nil {
			return err
		}
		if found.Status != rest.Running {
			return nil
		}
		text := "looks for runs in flight"
		if found.InFlight != nil && *found.InFlight > 0 {
			text = fmt.Sprintf("waits for %s in flight", counted(*found.InFlight, "run"))
		}
		for _, reason := range found.Waiting {
			text += "; " + waitingText(reason)
		}
		if text != said {
			fmt.Fprintln(s.stderr, text)
			said = text
		}
		if err := pause(s.ctx, recallEvery); err != nil {
			return err
		}
	}
}

// show prints how a recall stands, with all runs. A recall that did not end well fails the command.
func (c recallCommand) show(s *session) error {
	all := rest.Recall{Runs: []rest.RecalledRun{}}
	for cursor := ""; ; {
		var page rest.Recall
		path := "/api/v1/recalls/" + url.PathEscape(c.Release) + "?limit=200&cursor=" + url.QueryEscape(cursor)
		if err := s.request(http.MethodGet, path, nil, &page); err != nil {
			return err
		}
		page.Runs = append(all.Runs, page.Runs...)
		all = page
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if err := s.print(all, func(w io.Writer) { writeRecall(w, all) }); err != nil {
		return err
	}
	if all.Failure != nil {
		return schemas.Errorf(all.Failure.Code, "the recall failed: %s; repeat it when that is mended", all.Failure.Message)
	}
	return nil
}

func writeRecall(w io.Writer, r rest.Recall) {
	action := string(r.Recalled.Action)
	if r.Recalled.On != "" {
		action += " " + r.Recalled.On
	}
	fmt.Fprintf(w, "release    %s of chain %s\n", r.Release, r.Chain)
	fmt.Fprintf(w, "recalled   %s by %s%s\n", localTime(r.Recalled.At), who(r.Recalled.By), because(r.Recalled.Why))
	fmt.Fprintf(w, "action     %s, %s\n", action, r.Status)
	if r.InFlight != nil {
		fmt.Fprintf(w, "in flight  %s\n", counted(*r.InFlight, "run"))
	}
	for _, reason := range r.Waiting {
		fmt.Fprintf(w, "waits      %s\n", waitingText(reason))
	}
	if r.Report != nil {
		fmt.Fprintf(w, "affected   %s\n", reportText(*r.Report))
	}
	if len(r.Runs) == 0 {
		return
	}
	fmt.Fprintln(w)
	table(w, "RUN\tOUTCOME\tSTARTED\tLABEL\tKEY\tMETADATA", func(w io.Writer) {
		for _, run := range r.Runs {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", run.RunID, outcomeText(run), localTime(time.UnixMilli(run.StartMS)), run.Label, run.Key, pairs(run.Metadata))
		}
	})
}

// reportText says what became of the runs, in words.
func reportText(r schemas.RecallReport) string {
	parts := []string{counted(r.Affected, "run") + " of " + counted(r.Callers, "key")}
	for _, part := range []struct {
		n    int
		text string
	}{
		{r.Cancelled, "cancelled"},
		{r.Rerun, "started anew"},
		{r.Done, "done by themselves"},
		{r.Failed, "failed"},
		{r.Unknown, "without a record"},
		{r.InFlight, "in flight"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	return strings.Join(parts, ", ")
}

func outcomeText(r rest.RecalledRun) string {
	text := r.Outcome
	switch {
	case text == "":
		text = "in flight"
	case r.Outcome == schemas.RecalledRerun:
		text = "started anew as " + r.RerunAs
	}
	if r.Note != "" {
		text += " (not anew: " + brief(r.Note) + ")"
	}
	return text
}

func pairs(metadata map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		parts = append(parts, key+"="+metadata[key])
	}
	return brief(strings.Join(parts, " "))
}
