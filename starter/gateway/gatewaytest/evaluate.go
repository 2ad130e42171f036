package gatewaytest

import (
	"context"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Judge says what a run of a suite comes to. It is given the summary of one that passed.
type Judge func(context.Context, schemas.EvalRequest, schemas.EvalSummary) (schemas.EvalSummary, error)

// Judge has runs of suites end so; nil lets all pass.
func (w *Work) Judge(judge Judge) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judge = judge
}

// evaluate leaves a summary, as a run of a suite does.
func (w *Work) evaluate(ctx context.Context, in schemas.EvalRequest) (schemas.EvalSummary, error) {
	now := time.Now().UnixMilli()
	summary := schemas.EvalSummary{
		ID: in.ID, Suite: in.Suite, StartMS: in.StartMS, EndMS: now, Trigger: in.Trigger, By: in.By, Package: in.Package.SHA256,
		Plan: schemas.Hash([]byte(in.Package.SHA256)), Ruling: schemas.RulingPassed, PassRate: 1, Score: 1, Cells: 1,
		Counts: schemas.CellCounts{}, Baseline: in.Baseline, PlannedMS: in.PlannedMS,
	}
	for chain, hash := range in.Releases {
		summary.Releases = append(summary.Releases, chain+"@"+hash)
	}
	w.mu.Lock()
	judge := w.judge
	w.mu.Unlock()
	if judge != nil {
		var err error
		if summary, err = judge(ctx, in, summary); err != nil {
			return summary, err
		}
	}
	_, err := w.put(ctx, schemas.EvalSummaryKey(in.Tenant, in.Suite, in.ID), summary)
	return summary, err
}
