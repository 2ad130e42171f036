package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type runsCommand struct {
	List   listRuns  `cmd:"" help:"List runs that ended, the latest day first; those of a release or label with the ones under way."`
	Follow followRun `cmd:"" help:"Show the answer of a run while it comes in, from its beginning, and the result; of one that ended what it answered."`
	Show   showRun   `cmd:"" help:"Show a run as a tree: its steps, model calls, tokens and cost; of a running one how far it is and what it waits for."`
	Cancel cancelRun `cmd:"" help:"Cancel a run; what it has paid for stays recorded."`
	Retry  retryRun  `cmd:"" help:"Continue a run that ended, under another id, with what was done before reused."`
	Decide decideRun `cmd:"" help:"Decide whether a call that may have been paid for is made again."`

	Reconcile reconcileRuns `cmd:"" help:"Compare the records of runs that were workflows with the workflows' histories, and fill in records that are missing."`
}

type listRuns struct {
	Chain   string `help:"Only runs of this chain."`
	Status  string `default:"" enum:",done,failed,cancelled" help:"Only runs that ended so: done, failed or cancelled."`
	Release string `placeholder:"HASH" help:"Only runs on this release: its hash, the beginning of it, or CHAIN@LABEL."`
	Label   string `placeholder:"CHAIN@LABEL" help:"Only runs that were asked for by this label, on whatever release it pointed to."`
	Limit   int    `default:"20" help:"At most so many that ended."`
}

type oneRun struct {
	ID string `arg:"" help:"Id of the run."`
}

type (
	showRun struct {
		oneRun
		Full bool `help:"Also the rendered prompts, the responses, and every item of a map."`
	}
	cancelRun struct{ oneRun }
	retryRun  struct {
		oneRun
		From string `placeholder:"STEP" help:"Step to begin with (default: the one that failed)."`
	}
	decideRun struct {
		oneRun
		Step  string `required:"" help:"Step that waits, as runs show names it."`
		Path  string `help:"Path of its chain within the run, such as each[3]/ (default: the run's own chain)."`
		Again bool   `xor:"decision" required:"" help:"Make the call again, though it may be paid for twice."`
		No    bool   `xor:"decision" required:"" help:"Do not make it again: the step fails."`
	}
)

func (c oneRun) path(action string) string { return "/api/v1/runs/" + url.PathEscape(c.ID) + action }

// query are the conditions of the list.
func (c listRuns) query() (url.Values, error) {
	query := url.Values{}
	chain, label := c.Chain, ""
	if c.Label != "" {
		name, of, err := schemas.CutLabel(c.Label)
		if err != nil {
			return nil, err
		}
		if of == "" || chain != "" && chain != name {
			return nil, schemas.Errorf(schemas.Invalid, "--label %q: write CHAIN@LABEL, such as docs-qa@production", c.Label)
		}
		chain, label = name, of
	}
	for name, value := range map[string]string{"chain": chain, "status": c.Status, "release": c.Release, "label": label} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query, nil
}

// Run lists runs.
func (c listRuns) Run(s *session) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	all := rest.Runs{Runs: []rest.RunSummary{}}
	for len(all.Runs) < c.Limit {
		query.Set("limit", fmt.Sprint(min(c.Limit-len(all.Runs), 200)))
		var page rest.Runs
		if err := s.request(http.MethodGet, "/api/v1/runs?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		all.UnderWay = append(all.UnderWay, page.UnderWay...)
		all.Runs, all.Next = append(all.Runs, page.Runs...), page.Next
		if page.Next == "" {
			break
		}
		query.Set("cursor", page.Next)
	}
	return s.print(all, func(w io.Writer) {
		if c.Release != "" || c.Label != "" {
			writeReleasedRuns(w, all)
			return
		}
		table(w, "RUN\tCHAIN\tSTATUS\tSTARTED\tTOOK\tTOKENS\tCOST", func(w io.Writer) {
			for _, r := range all.Runs {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.RunID, r.Chain, r.Status, localTime(time.UnixMilli(r.StartMS)),
					took(float64(r.TookMS)), grouped(r.Usage.InputTokens+r.Usage.OutputTokens), costOf(r.Cost, r.Usage))
			}
		})
	})
}

// writeReleasedRuns lists runs on releases, those under way first.
func writeReleasedRuns(w io.Writer, all rest.Runs) {
	table(w, "RUN\tSTATUS\tSTARTED\tTOOK\tCOST\tRELEASE\tLABEL\tKEY", func(w io.Writer) {
		for _, r := range all.UnderWay {
			fmt.Fprintf(w, "%s\t%s\t%s\t\t\t%s\t%s\t%s\n", r.RunID, r.Status, localTime(time.UnixMilli(r.StartMS)), schemas.ShortRelease(r.Release), r.Label, r.Key)
		}
		for _, r := range all.Runs {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.RunID, r.Status, localTime(time.UnixMilli(r.StartMS)), took(float64(r.TookMS)),
				costOf(r.Cost, r.Usage), schemas.ShortRelease(r.Release), r.Label, r.Key)
		}
	})
}

// Run shows a run.
func (c showRun) Run(s *session) error {
	var found rest.Run
	if err := s.request(http.MethodGet, c.path(""), nil, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) {
		if found.Record != nil {
			writeRecord(w, *found.Record, c.Full)
			if found.Callback != nil {
				fmt.Fprintln(w, "callback   "+deliveryText(*found.Callback))
			}
			for _, f := range found.Feedback {
				fmt.Fprintln(w, "feedback   "+feedbackText(f))
			}
			return
		}
		writeRunning(w, found)
	})
}

// Run cancels a run.
func (c cancelRun) Run(s *session) error {
	if err := s.request(http.MethodPost, c.path("/cancel"), nil, nil); err != nil {
		return err
	}
	return s.print(map[string]string{"run_id": c.ID}, func(w io.Writer) { fmt.Fprintf(w, "run %s ends\n", c.ID) })
}

// Run continues a run.
func (c retryRun) Run(s *session) error {
	return s.carryOut(c.path("/retry"), "", rest.RetryRun{From: c.From})
}

// Run tells a run what was decided.
func (c decideRun) Run(s *session) error {
	decision := schemas.Decision{Path: c.Path, Step: c.Step, Again: c.Again}
	if err := s.request(http.MethodPost, c.path("/decide"), decision, nil); err != nil {
		return err
	}
	return s.print(decision, func(w io.Writer) {
		if c.Again {
			fmt.Fprintf(w, "step %s makes its call again\n", c.Path+c.Step)
			return
		}
		fmt.Fprintf(w, "step %s fails\n", c.Path+c.Step)
	})
}

// writeRunning says how far a run without a record is.
func writeRunning(w io.Writer, found rest.Run) {
	fmt.Fprintf(w, "run %s", found.RunID)
	if found.Chain != "" {
		fmt.Fprintf(w, " of chain %s", found.Chain)
	}
	fmt.Fprintf(w, ": %s\n", found.Status)
	if found.StartMS > 0 {
		fmt.Fprintf(w, "started    %s\n", localTime(time.UnixMilli(found.StartMS)))
	}
	if p := found.Progress; p != nil {
		for _, step := range p.Steps {
			fmt.Fprintf(w, "step       %s%s (%s) %s\n", step.Path, step.ID, step.Kind, stepState(step))
		}
		if q := p.Question; q.Text != "" {
			fmt.Fprintf(w, "waits      step %s%s needs a decision: %s\n", q.Path, q.Step, q.Text)
			fmt.Fprintf(w, "what to do tenuto runs decide %s --step %s%s --again, or --no\n", found.RunID, q.Step, pathFlag(q.Path))
		}
	}
	for _, reason := range found.Waiting {
		fmt.Fprintf(w, "waits      %s\n", waitingText(reason))
	}
	if f := found.Failure; f != nil {
		fmt.Fprintf(w, "failure    %s: %s\n", f.Code, f.Message)
		if f.Advice != "" {
			fmt.Fprintf(w, "what to do %s\n", f.Advice)
		}
	}
}

func stepState(step schemas.StepRecord) string {
	switch {
	case step.Skipped:
		return "skipped"
	case step.Failure != nil:
		return "failed: " + step.Failure.Message
	}
	return "done"
}

func pathFlag(path string) string {
	if path == "" {
		return ""
	}
	return " --path '" + path + "'"
}
