package gatewaytest

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// evaluation is a run of a suite.
type evaluation struct {
	progress schemas.EvalProgress
	decided  chan schemas.EvalDecision
}

func (w *Work) evaluationOf(id string) *evaluation {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.evals == nil {
		w.evals = map[string]*evaluation{}
	}
	if w.evals[id] == nil {
		w.evals[id] = &evaluation{progress: schemas.EvalProgress{State: schemas.EvalRunning, Cells: 4, Done: 1}, decided: make(chan schemas.EvalDecision)}
	}
	return w.evals[id]
}

// evaluate comes to what the suite's text says: it breaks where that has the word "breaks", pauses first where it has "expensive", and fails its
// gate where it has "worse". Each run has two cases under one column, and the second passes unless the gate fails.
func (w *Work) evaluate(ctx context.Context, in schemas.EvalRequest) (schemas.EvalSummary, error) {
	pack, err := blob.GetJSON[schemas.SuitePackage](ctx, w.Store, in.Package)
	if err != nil {
		return schemas.EvalSummary{}, err
	}
	if in.ID == "" { // of a schedule's
		now := time.Now()
		in.StartMS, in.ID = now.UnixMilli(), schemas.EvalIDAt(now.UnixMilli(), now.String())
	}
	text := string(pack.Files[pack.File])
	e := w.evaluationOf(schemas.EvalID(in.Tenant, in.Suite, in.ID))
	if strings.Contains(text, "breaks") {
		return schemas.EvalSummary{}, temporal.NewNonRetryableApplicationError("the model m is not configured; add it to models.yaml", string(schemas.Invalid), nil)
	}
	stopped := false
	if strings.Contains(text, "expensive") {
		w.mu.Lock()
		e.progress.State, e.progress.Waits, e.progress.Cost = schemas.EvalPaused, "its budget of $0.01 is used up", schemas.Cost{USD: 0.01}
		w.mu.Unlock()
		select {
		case decision := <-e.decided:
			stopped = decision.Stop
		case <-ctx.Done():
			stopped = true
		}
	} else if w.wait(ctx) != nil {
		stopped = true
	}
	ctx = context.WithoutCancel(ctx)
	result, err := w.judged(ctx, in, resultOf(in, pack, strings.Contains(text, "worse"), stopped))
	if err != nil {
		return schemas.EvalSummary{}, err
	}
	return result.EvalSummary, w.keepEval(ctx, in, result)
}

// resultOf makes up the result of a run.
func resultOf(in schemas.EvalRequest, pack schemas.SuitePackage, worse, stopped bool) schemas.EvalResult {
	r := schemas.EvalResult{EvalSummary: schemas.EvalSummary{
		ID: in.ID, Suite: in.Suite, StartMS: in.StartMS, EndMS: in.StartMS + 1500, Trigger: in.Trigger, By: in.By, Package: in.Package.SHA256, Plan: "plan",
		Ruling: schemas.RulingPassed, Counts: schemas.CellCounts{Passed: 2}, PassRate: 1, Score: 1, Cells: 2, Baseline: in.Baseline,
		Usage: schemas.Usage{Calls: 2, InputTokens: 20, OutputTokens: 10}, Cost: schemas.Cost{USD: 0.02}, Stopped: stopped,
	}}
	for chain, hash := range in.Releases {
		r.Releases = append(r.Releases, chain+"@"+hash)
	}
	r.Columns = []schemas.EvalColumn{{ID: "c", Provider: schemas.EvalProvider{ID: "chain:" + pack.Suite, Kind: "chain"}, Cells: 2}}
	for _, id := range []string{"first", "second"} {
		r.Cells = append(r.Cells, schemas.CellRecord{Case: schemas.EvalCase{ID: id}, State: schemas.CellScored, Pass: true, Score: 1})
	}
	second := &r.Cells[1]
	switch {
	case stopped:
		second.State, second.Pass, second.Score = schemas.CellNotRun, false, 0
		r.Ruling, r.Counts, r.PassRate, r.Score = schemas.RulingUnresolved, schemas.CellCounts{Passed: 1, NotRun: 1}, 0.5, 0.5
		r.Reasons = []string{"1 of 2 cells was not run"}
	case worse:
		second.Pass, second.Score, second.Reason = false, 0.25, "Expected output to contain \"so\""
		r.Ruling, r.Counts, r.PassRate, r.Score = schemas.RulingFailed, schemas.CellCounts{Passed: 1, Failed: 1}, 0.5, 0.625
		r.Reasons = []string{"the case second does not pass, and is required"}
		r.Failing = []schemas.EvalFailing{
			{State: schemas.CellErrored, Reason: "no key", Cells: 3, Case: "first", Title: "greets", Column: "a"}, {State: schemas.CellScored, Reason: second.Reason, Cells: 1, Case: "second", Column: "chain:docs-qa"},
		}
	}
	return r
}

func (w *Work) keepEval(ctx context.Context, in schemas.EvalRequest, result schemas.EvalResult) error {
	data, err := json.Marshal(result)
	if err != nil {
		return err
	}
	for file, text := range map[schemas.EvalFile]string{
		schemas.EvalFileResult: string(data), schemas.EvalFileMarkdown: "# " + in.Suite + "\n", schemas.EvalFileJUnit: "<testsuites></testsuites>\n",
		schemas.EvalFileHTML: "<!doctype html><title>" + in.Suite + "</title><h1>Report</h1><script>document.title='ran'</script>\n",
	} {
		if err := w.Store.Put(ctx, schemas.EvalFileKey(in.Tenant, in.Suite, in.ID, file), []byte(text)); err != nil {
			return err
		}
	}
	_, err = w.put(ctx, schemas.EvalSummaryKey(in.Tenant, in.Suite, in.ID), result.EvalSummary)
	return err
}

// decide is the update that answers a run that is paused.
func (w *Work) decide(ctx context.Context, in schemas.EvalDecision) (schemas.EvalProgress, error) {
	id, _ := ctx.Value(updated{}).(string)
	e := w.evaluationOf(id)
	w.mu.Lock()
	paused := e.progress.State == schemas.EvalPaused
	if paused {
		e.progress.State, e.progress.Waits, e.progress.Budget = schemas.EvalRunning, "", in.Budget
	}
	progress := e.progress
	w.mu.Unlock()
	if !paused {
		return progress, temporal.NewNonRetryableApplicationError("the run is not paused", string(schemas.Conflict), nil)
	}
	select {
	case e.decided <- in:
	case <-time.After(10 * time.Second):
		return progress, context.DeadlineExceeded
	}
	return progress, nil
}

// showEval answers the query of that name.
func (w *Work) showEval(id string) any {
	e := w.evaluationOf(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	return e.progress
}
