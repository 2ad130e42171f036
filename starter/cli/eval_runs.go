package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type listEvals struct {
	Suite string `arg:"" optional:"" help:"Runs of this suite (default: the suites with their latest run)."`
	Limit int    `default:"50" help:"At most so many runs."`
}

type showEval struct {
	oneEval
	reportFiles
}

type watchEval struct {
	oneEval
	reportFiles
}

type cancelEval struct{ oneEval }

type decideEval struct {
	oneEval
	BudgetUSD   *float64 `name:"budget-usd" placeholder:"X" help:"Go on until so many US dollars are used up, those before included."`
	BudgetToken *int64   `name:"budget-tokens" placeholder:"N" help:"Go on until so many tokens are used up, those before included."`
	Unlimited   bool     `help:"Go on without a bound."`
	Stop        bool     `help:"End the run; its gate does not pass."`
}

type compareEvals struct {
	Suite string `arg:"" help:"Name of the suite, or its file."`
	ID    string `arg:"" name:"run" help:"Id of a run, or latest."`
	With  string `arg:"" help:"Id of the run that it is compared with."`
}

// Help shows how reports are fetched.
func (showEval) Help() string {
	return `Reports are there when the run has ended with a verdict.

	tenuto eval show docs-qa
	tenuto eval show docs-qa RUN --html report.html --junit junit.xml`
}

// Help says how a run ends.
func (watchEval) Help() string {
	return `The exit status is 0 if the gate passed, 3 if it failed, if a cell has no result, or if there is not enough data, and 1 if the run broke. Ctrl-C leaves ` +
		`the run going.

	tenuto eval watch docs-qa
	tenuto eval watch docs-qa RUN --html report.html`
}

// Help says what is decided about.
func (decideEval) Help() string {
	return `A run pauses when its budget is used up, and waits for somebody to decide. A larger budget counts what was used before.

	tenuto eval decide docs-qa --budget-usd 10
	tenuto eval decide docs-qa RUN --stop`
}

// Help says what is compared.
func (compareEvals) Help() string {
	return `Cases are paired by their ids, prompts and providers. Those that changed are listed, what became worse first.

	tenuto eval list docs-qa
	tenuto eval compare docs-qa latest RUN`
}

// Run lists suites, or the runs of one.
func (c listEvals) Run(s *session) error {
	if c.Suite == "" {
		return c.suites(s)
	}
	page, err := list[rest.Eval](s, suiteName(c.Suite).path()+"/runs", c.Limit)
	if err != nil {
		return err
	}
	if len(page.Items) == 0 {
		fmt.Fprintf(s.stderr, "suite %s has no runs; \"tenuto eval list\" shows the suites that have\n", suiteName(c.Suite).name())
	}
	return s.print(page, func(w io.Writer) {
		table(w, "STARTED\tRULING\tPASS RATE\tCELLS\tCOST\tBASELINE\tRUN", func(w io.Writer) {
			for _, e := range page.Items {
				fmt.Fprintf(w, "%s\t%s\t%s\n", localTime(e.StartedAt), evalRow(e), e.ID)
			}
		})
	})
}

func (c listEvals) suites(s *session) error {
	var page rest.Page[rest.EvalSuite]
	if err := s.request(http.MethodGet, "/api/v1/evals?latest=1", nil, &page); err != nil {
		return err
	}
	return s.print(page, func(w io.Writer) {
		table(w, "SUITE\tRUNS\tUNDER WAY\tLAST\tRULING\tPASS RATE\tCELLS\tCOST\tBASELINE", func(w io.Writer) {
			for _, suite := range page.Items {
				last, row := "never", strings.Repeat("\t", 4)
				if len(suite.Latest) > 0 {
					e := suite.Latest[0]
					last, row = localTime(time.UnixMilli(e.StartMS)), evalRow(rest.Eval{Summary: &e})
				}
				fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", suite.Suite, suite.Runs, len(suite.Running), last, row)
			}
		})
	})
}

// evalRow has the columns of a run from its ruling to its baseline.
func evalRow(e rest.Eval) string {
	if e.Summary == nil {
		return string(e.Status) + strings.Repeat("\t", 4)
	}
	r := e.Summary
	return fmt.Sprintf("%s\t%.1f %%\t%s\t%s\t%s", rulingText(*r), 100*r.PassRate, grouped(r.Counts.Total()), costOf(r.Cost, r.Usage), shortBaseline(r.Baseline))
}

// shortBaseline is what a run is compared with, where it is a release the beginning of its hash.
func shortBaseline(name string) string {
	if schemas.CheckRelease(name) == nil {
		return schemas.ShortRelease(name)
	}
	return name
}

// Run shows a run.
func (c showEval) Run(s *session) error {
	var found rest.Eval
	if err := s.request(http.MethodGet, c.path(""), nil, &found); err != nil {
		return err
	}
	c.ID = found.ID
	gateway, err := s.api()
	if err != nil {
		return err
	}
	if err := c.write(s, gateway, c.reportFiles); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) { writeEval(w, found) })
}

func writeEval(w io.Writer, e rest.Eval) {
	if e.Summary != nil {
		writeSummary(w, *e.Summary)
		return
	}
	fmt.Fprintf(w, "suite      %s, run %s: %s\n", e.Suite, e.ID, e.Status)
	fmt.Fprintf(w, "started    %s\n", localTime(e.StartedAt))
	if e.Progress != nil {
		fmt.Fprintf(w, "progress   %s\n", evalLine(*e.Progress))
		if e.Progress.Waits != "" {
			fmt.Fprintf(w, "waits      %s\n", visible(e.Progress.Waits))
		}
	}
	for _, reason := range e.Waiting {
		fmt.Fprintf(w, "waits      %s\n", visible(waitingText(reason)))
	}
	if e.Failure != nil {
		fmt.Fprintf(w, "failure    %s: %s\n", e.Failure.Code, visible(e.Failure.Message))
		if e.Failure.Advice != "" {
			fmt.Fprintf(w, "what to do %s\n", e.Failure.Advice)
		}
	}
}

// Run follows a run to its end.
func (c watchEval) Run(s *session) error { return c.follow(s, c.reportFiles) }

// Run cancels a run.
func (c cancelEval) Run(s *session) error {
	var found rest.Eval
	if err := s.request(http.MethodDelete, c.path(""), nil, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) { writeEval(w, found) })
}

// Run decides on a run that is paused.
func (c decideEval) Run(s *session) error {
	choices := 0
	for _, chosen := range []bool{c.Stop, c.Unlimited, c.BudgetUSD != nil || c.BudgetToken != nil} {
		if chosen {
			choices++
		}
	}
	if choices != 1 {
		return schemas.Errorf(schemas.Invalid, "say how the run goes on: by a larger budget, with --budget-usd or --budget-tokens, with --unlimited, or not, with --stop")
	}
	decision := rest.DecideEval{Stop: c.Stop}
	if c.BudgetUSD != nil {
		decision.Budget.USD = *c.BudgetUSD
	}
	if c.BudgetToken != nil {
		decision.Budget.Tokens = *c.BudgetToken
	}
	if !c.Unlimited && !c.Stop && decision.Budget.USD <= 0 && decision.Budget.Tokens <= 0 {
		return schemas.Errorf(schemas.Invalid, "a budget is more than 0; --unlimited lifts it")
	}
	if c.ID == "latest" {
		var found rest.Eval
		if err := s.request(http.MethodGet, c.path(""), nil, &found); err != nil {
			return err
		}
		c.ID = found.ID
	}
	var progress schemas.EvalProgress
	if err := s.request(http.MethodPost, c.path("/decide"), decision, &progress); err != nil {
		return err
	}
	return s.print(progress, func(w io.Writer) {
		fmt.Fprintf(w, "decided; follow the run with: %s\n", c.command("watch"))
	})
}

// Run compares two runs of a suite.
func (c compareEvals) Run(s *session) error {
	var found rest.EvalDifference
	query := url.Values{"run": {c.ID}, "with": {c.With}}
	if err := s.request(http.MethodGet, suiteName(c.Suite).path()+"/compare?"+query.Encode(), nil, &found); err != nil {
		return err
	}
	return s.print(found, func(w io.Writer) { writeEvalDifference(w, found) })
}

func writeEvalDifference(w io.Writer, d rest.EvalDifference) {
	for _, side := range []struct {
		label string
		e     schemas.EvalSummary
	}{{"run", d.Run}, {"with", d.With}} {
		fmt.Fprintf(w, "%-10s %s of %s: %s, pass rate %.1f %%, score %.3f\n", side.label, side.e.ID, localTime(time.UnixMilli(side.e.StartMS)),
			rulingText(side.e), 100*side.e.PassRate, side.e.Score)
	}
	fmt.Fprintf(w, "pairs      %s: %s better, %s worse", grouped(d.Pairs), grouped(d.Better), grouped(d.Worse))
	if d.Alone > 0 {
		fmt.Fprintf(w, "; %s that only one run has", counted(d.Alone, "case"))
	}
	fmt.Fprintf(w, "\ndifference pass rate %+.1f %%, score %+.3f, means over the pairs\n", 100*d.PassRate, d.Score)
	if len(d.Changed) == 0 {
		return
	}
	fmt.Fprintln(w)
	table(w, "CASE\tPROVIDER\tPASSED\tBEFORE\tSCORE\tBEFORE\tREASON", func(w io.Writer) {
		for _, c := range d.Changed {
			runs, score := standingText(c.Run)
			before, scored := standingText(c.With)
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", visible(c.Case), visible(brief(c.Provider)), runs, before, score, scored, visible(brief(c.Reason)))
		}
	})
}

func standingText(s *rest.CaseStanding) (passed, score string) {
	if s == nil {
		return "none", "none"
	}
	passed = fmt.Sprintf("%d of %d", s.Passed, s.Samples)
	if s.Errored > 0 {
		passed += fmt.Sprintf(", %d errored", s.Errored)
	}
	return passed, fmt.Sprintf("%.3f", s.Score)
}
