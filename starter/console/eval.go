package console

import (
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	refreshEvery = 5       // seconds
	reportPiece  = 1 << 20 // bytes of a report in memory at once
)

type evalView struct {
	frame
	Suite    string
	SuiteURL string
	ID       string
	Ruling   string
	Class    string
	Started  string
	Machine  string
	Reasons  []string
	Warnings []string
	Facts    []fact
	Done     string // share of the cells, in thousandths
	Doing    string
	Waiting  []string
	Paused   string // command that decides
	Problem  *problem
	Report   string
	Matrix   *matrixView
}

// showEval shows what a run of a suite came to, or how far it is.
func (c *Console) showEval(w http.ResponseWriter, r *http.Request, v visit) {
	suite, err := suiteOf(r, v)
	var found rest.Eval
	if err == nil {
		found, err = c.Evals.Show(r.Context(), v.key.Tenant, suite, r.PathValue("id"))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	row := rowOfEval(found)
	view := evalView{
		frame: evalFrame(suite, v), Suite: suite, SuiteURL: suiteURL(suite), ID: found.ID, Ruling: row.Ruling, Class: row.Class,
		Started: when(found.StartedAt), Machine: found.StartedAt.UTC().Format(time.RFC3339),
	}
	switch {
	case found.Summary != nil:
		view.Reasons, view.Warnings, view.Facts = found.Summary.Reasons, found.Summary.Warnings, summaryFacts(*found.Summary)
		view.Report = evalURL(suite, found.ID) + "/report"
		if view.Matrix, err = c.cellsOf(r, v, suite, found.ID); err != nil {
			c.fail(w, r, err)
			return
		}
	case found.Failure != nil:
		view.Problem = &problem{Code: found.Failure.Code, Message: found.Failure.Message, Advice: found.Failure.Advice}
	default:
		view.Refresh = refreshEvery
		view.underWay(found)
	}
	c.render(w, http.StatusOK, "eval.html", view)
}

// underWay says how far a run is.
func (view *evalView) underWay(found rest.Eval) {
	for _, reason := range found.Waiting {
		view.Waiting = append(view.Waiting, reason.Step+": "+reason.Reason)
	}
	at := found.Progress
	if at == nil {
		view.Doing = "No worker could be asked how far it is."
		return
	}
	view.Class, view.Ruling = "running", string(at.State)
	if at.Waits != "" {
		view.Waiting = append([]string{at.Waits}, view.Waiting...)
	}
	if at.State == schemas.EvalPaused {
		view.Paused = "tenuto eval decide " + found.Suite + " " + found.ID
	}
	view.Done = strconv.Itoa(1000 * (at.Done + at.Errored) / max(at.Cells, 1))
	view.Doing = grouped(at.Done) + " of " + counted(at.Cells, "cell") + " done"
	view.Facts = []fact{
		{Name: "Known from before", Value: grouped(at.Reused)},
		{Name: "Errored", Value: grouped(at.Errored)},
		{Name: "Cost so far", Value: costOf(at.Cost, at.Usage), Unknown: at.Cost.Unknown > 0},
	}
	if at.Forecast.USD > 0 {
		view.Facts = append(view.Facts, fact{Name: "Cost in all, about", Value: dollars(at.Forecast.USD)})
	}
	if at.ForecastMS > 0 {
		view.Facts = append(view.Facts, fact{Name: "Time to go, about", Value: took(float64(at.ForecastMS))})
	}
}

func summaryFacts(s schemas.EvalSummary) []fact {
	by := s.By.Name
	if by == "" {
		by = s.By.Key
	}
	facts := []fact{
		{Name: "Pass rate", Value: percent(s.PassRate)},
		{Name: "Score", Value: strconv.FormatFloat(s.Score, 'f', 3, 64)},
		{Name: "Cells", Value: grouped(s.Counts.Total())},
		{Name: "Passed", Value: grouped(s.Counts.Passed)},
		{Name: "Failed", Value: grouped(s.Counts.Failed)},
		{Name: "Errored", Value: grouped(s.Counts.Errored)},
		{Name: "Not run", Value: grouped(s.Counts.NotRun)},
		{Name: "Flaky cases", Value: grouped(s.Flaky)},
		{Name: "Known from before", Value: grouped(s.Reused)},
		{Name: "Cost", Value: costOf(s.Cost, s.Usage), Unknown: s.Cost.Unknown > 0},
		{Name: "Tokens", Value: tokens(s.Usage)},
		{Name: "Took", Value: took(float64(s.EndMS - s.StartMS))},
		{Name: "Baseline", Value: s.Baseline},
		{Name: "Started by", Value: by},
		{Name: "Why", Value: string(s.Trigger)},
		{Name: "Package", Value: short(s.Package)},
	}
	for _, release := range s.Releases {
		facts = append(facts, fact{Name: "Release", Value: line(release, 90)})
	}
	shown := facts[:0]
	for _, f := range facts {
		if f.Value != "" {
			shown = append(shown, f)
		}
	}
	return shown
}

// reportPolicy lets a report show itself, and lead to runs of the console: it is made of what models wrote, so nothing in it runs or loads.
const reportPolicy = "sandbox allow-same-origin allow-top-navigation-by-user-activation; default-src 'none'; style-src 'unsafe-inline'; img-src data:; " +
	"form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// showReport shows the report of a run that ended, as it was written.
func (c *Console) showReport(w http.ResponseWriter, r *http.Request, v visit) {
	suite, err := suiteOf(r, v)
	if err == nil {
		err = schemas.CheckRunID(r.PathValue("id"))
	}
	key, size := "", int64(0)
	if err == nil {
		key, size, err = c.evalFile(r.Context(), v.key.Tenant, suite, r.PathValue("id"), schemas.EvalFileHTML)
	}
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			err = schemas.Errorf(schemas.NotFound, "There is no report of that run. It is there when the run has ended.")
		}
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Security-Policy", reportPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	for offset := int64(0); offset < size; offset += reportPiece {
		piece, err := c.Store.GetRange(r.Context(), key, offset, reportPiece)
		if err != nil {
			c.Logger.Warn("console: a report broke off", zap.String("cause", schemas.LogText(err)))
			return
		}
		if _, err := w.Write(piece); err != nil { //nolint:gosec // the policy above keeps it from acting
			return // the caller is gone
		}
	}
}
