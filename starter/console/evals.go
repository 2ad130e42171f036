package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// Evals finds and shows runs of suites. The gateway implements it.
type Evals interface {
	// Suites lists the suites of a tenant, each with the summaries of its latest runs.
	Suites(ctx context.Context, tenant string, latest int) ([]rest.EvalSuite, error)
	// Runs lists runs of a suite from a cursor on, those under way first.
	Runs(ctx context.Context, tenant, suite, cursor string, limit int) (rest.Page[rest.Eval], error)
	// Show returns a run that ended or goes on. Error: not_found.
	Show(ctx context.Context, tenant, suite, id string) (rest.Eval, error)
}

const (
	trendRuns  = 30 // of a suite
	evalsPage  = 25
	trendWide  = 160 // units of the drawing
	trendHigh  = 36
	trendBlank = 4 // around it
)

type suitesView struct {
	frame
	Suites    []suiteRow
	Schedules []scheduleView
	Problem   string // with the schedules
}

// suiteRow is a suite in the list.
type suiteRow struct {
	Name, URL string
	Runs      string
	Last      evalRow // of its latest run; its URL is empty for none
	Running   []evalRow
	Trend     trend
}

// evalRow is a run in a list.
type evalRow struct {
	URL, ID, Ruling, Class   string
	Started, Machine         string
	PassRate, Cells, Cost    string
	Trigger, Baseline, Notes string
	CostUnknown              bool
}

// listSuites shows the suites, each with how its runs went.
func (c *Console) listSuites(w http.ResponseWriter, r *http.Request, v visit) {
	if err := seesSuites(v); err != nil {
		c.fail(w, r, err)
		return
	}
	suites, err := c.Evals.Suites(r.Context(), v.key.Tenant, trendRuns)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	view := suitesView{frame: evalFrame("Evals", v)}
	for _, s := range suites {
		row := suiteRow{Name: s.Suite, URL: suiteURL(s.Suite), Runs: counted(s.Runs, "run"), Trend: trendOf(s.Latest)}
		if len(s.Latest) > 0 {
			row.Last = summaryRow(s.Latest[0])
		}
		for _, running := range s.Running {
			row.Running = append(row.Running, rowOfEval(running))
		}
		view.Suites = append(view.Suites, row)
	}
	view.Schedules, view.Problem = c.schedules(r, v)
	c.render(w, http.StatusOK, "suites.html", view)
}

// seesSuites reports why a key does not open suites, whose cells are of any chain and model.
func seesSuites(v visit) error {
	if len(v.key.Chains)+len(v.key.Models) > 0 {
		return schemas.Errorf(schemas.Unauthorized, "Suites ask any chain and model, and this key has a list of them. Sign in with a key without one.")
	}
	return nil
}

func evalFrame(title string, v visit) frame {
	f := frameOf(title, v)
	f.Here = "evals"
	return f
}

func suiteURL(suite string) string { return "/console/evals/" + url.PathEscape(suite) }

func evalURL(suite, id string) string { return suiteURL(suite) + "/" + url.PathEscape(id) }

func rowOfEval(e rest.Eval) evalRow {
	if e.Summary != nil {
		return summaryRow(*e.Summary)
	}
	return evalRow{
		URL: evalURL(e.Suite, e.ID), ID: e.ID, Ruling: string(e.Status), Class: string(e.Status),
		Started: e.StartedAt.UTC().Format("2 Jan 15:04"), Machine: e.StartedAt.UTC().Format(time.RFC3339),
	}
}

func summaryRow(s schemas.EvalSummary) evalRow {
	start := time.UnixMilli(s.StartMS).UTC()
	row := evalRow{
		URL: evalURL(s.Suite, s.ID), ID: s.ID, Ruling: rulingOf(s.Ruling), Class: string(s.Ruling),
		Started: start.Format("2 Jan 15:04"), Machine: start.Format(time.RFC3339), PassRate: percent(s.PassRate),
		Cells: grouped(s.Counts.Total()), Cost: costOf(s.Cost, s.Usage), CostUnknown: s.Cost.Unknown > 0, Trigger: string(s.Trigger), Baseline: line(s.Baseline, 40),
	}
	var notes []string
	for _, note := range []struct {
		n    int
		what string
	}{{s.Counts.Errored, "errored"}, {s.Counts.NotRun, "not run"}, {s.Flaky, "flaky"}} {
		if note.n > 0 {
			notes = append(notes, grouped(note.n)+" "+note.what)
		}
	}
	row.Notes = strings.Join(notes, ", ")
	return row
}

func rulingOf(r schemas.Ruling) string { return strings.ReplaceAll(string(r), "_", " ") }

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

// trend draws the pass rates of runs, the oldest on the left.
type trend struct {
	Line string
	Dots []dot
	Says string // in words
}

type dot struct{ X, Y, Class, Says string }

// trendOf is empty for fewer than two runs. The latest comes first in runs.
func trendOf(runs []schemas.EvalSummary) trend {
	if len(runs) < 2 {
		return trend{}
	}
	var t trend
	step := float64(trendWide-2*trendBlank) / float64(len(runs)-1)
	for i := range runs {
		s := runs[len(runs)-1-i]
		d := dot{
			X: number(trendBlank + step*float64(i)), Y: number(trendBlank + (1-min(max(s.PassRate, 0), 1))*(trendHigh-2*trendBlank)),
			Class: string(s.Ruling), Says: time.UnixMilli(s.StartMS).UTC().Format("2 Jan 15:04") + ": " + percent(s.PassRate) + ", " + rulingOf(s.Ruling),
		}
		t.Dots = append(t.Dots, d)
		t.Line += d.X + "," + d.Y + " "
	}
	t.Line = strings.TrimSpace(t.Line)
	t.Says = fmt.Sprintf("Pass rate of the last %d runs, from %s to %s", len(runs), percent(runs[len(runs)-1].PassRate), percent(runs[0].PassRate))
	return t
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }

type suiteView struct {
	frame
	Suite  string
	Runs   []evalRow
	Trend  trend
	Older  string
	Newest string
}

// listEvals shows a page of the runs of a suite.
func (c *Console) listEvals(w http.ResponseWriter, r *http.Request, v visit) {
	suite, err := suiteOf(r, v)
	var page rest.Page[rest.Eval]
	cursor := r.URL.Query().Get("cursor")
	if err == nil {
		page, err = c.Evals.Runs(r.Context(), v.key.Tenant, suite, cursor, evalsPage)
	}
	if err == nil && len(page.Items) == 0 && cursor == "" {
		err = schemas.Errorf(schemas.NotFound, "The suite %s has no runs.", suite)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	view := suiteView{frame: evalFrame(suite, v), Suite: suite}
	var ended []schemas.EvalSummary
	for _, e := range page.Items {
		view.Runs = append(view.Runs, rowOfEval(e))
		if e.Summary != nil {
			ended = append(ended, *e.Summary)
		}
	}
	view.Trend = trendOf(ended)
	if cursor != "" {
		view.Newest = suiteURL(suite)
	}
	if page.Next != "" {
		view.Older = suiteURL(suite) + "?" + url.Values{"cursor": {page.Next}}.Encode()
	}
	c.render(w, http.StatusOK, "suite.html", view)
}

// suiteOf is the suite that an address names. Errors: unauthorized, not_found.
func suiteOf(r *http.Request, v visit) (string, error) {
	if err := seesSuites(v); err != nil {
		return "", err
	}
	suite := r.PathValue("suite")
	if schemas.CheckSuite(suite) != nil {
		return "", schemas.Errorf(schemas.NotFound, "There is no such suite.")
	}
	return suite, nil
}
