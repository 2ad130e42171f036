// Package recall deals with the runs that are in flight on a recalled release: it finds them, stops them or lets them end, and tells which
// callers they were for.
package recall

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Runs are the workflows that runs are. Implemented by [Temporal].
type Runs interface {
	// InFlight lists those on a release that have not ended, as far as is known at the moment.
	InFlight(ctx context.Context, tenant, release string) ([]Execution, error)
	// Request returns what a run was started with. Error: not_found where there is none.
	Request(ctx context.Context, run Execution) (schemas.RunRequest, error)
	// Cancel asks a run to end. One that has ended is no error.
	Cancel(ctx context.Context, run Execution) error
}

// Execution names a workflow and, where it is known, one execution of it.
type Execution struct{ Workflow, Run string }

// Activities are the durable calls of recalls. All fields are required. It is safe for concurrent use.
type Activities struct {
	Store      *blob.Store
	Registry   *registry.Registry
	Journal    *journal.Journal
	Runs       Runs
	CheckInput func(b schemas.Bundle, input json.RawMessage) error
	Now        func() time.Time
}

// Begin keeps runs from starting on the release. It may be repeated. Codes: not_found, those of the store.
func (a *Activities) Begin(ctx context.Context, in schemas.RecallRequest) (schemas.RecallReport, error) {
	return schemas.RecallReport{}, a.Registry.Recall(ctx, in.Tenant, in.Recall)
}

// Sweep looks for runs in flight and acts on them, and settles those that have ended since a sweep before. Before it acts on a run it writes
// down whose it is and what becomes of it, so a repeated sweep goes on where one before was cut off. Codes: not_found for a release to
// start anew on that is gone, those of the store and of Temporal.
func (a *Activities) Sweep(ctx context.Context, in schemas.RecallRequest) (schemas.RecallSweep, error) {
	s := &sweep{a: a, in: in, flying: map[string]Execution{}, lanes: map[string]schemas.LaneRunning{}, open: map[string]schemas.RecalledRun{}}
	if in.Recall.Action == schemas.RecallRerun {
		var err error
		if s.on, err = a.Registry.Load(ctx, in.Tenant, in.Recall.Chain, in.Recall.On); err != nil {
			return s.out, err
		}
	}
	for _, do := range []func(context.Context) error{s.look, s.meet, s.settle} {
		if err := do(ctx); err != nil {
			return s.out, err
		}
	}
	return s.out, nil
}

// Report counts what became of the runs. Read-only. Codes: those of the store.
func (a *Activities) Report(ctx context.Context, in schemas.RecallRequest) (schemas.RecallReport, error) {
	var report schemas.RecallReport
	callers := map[string]bool{}
	for info, err := range a.Store.All(ctx, schemas.RecalledRunsPrefix(in.Tenant, in.Recall.Release)) {
		if err != nil {
			return report, err
		}
		run, err := blob.GetJSON[schemas.RecalledRun](ctx, a.Store, schemas.Ref{Key: info.Key})
		if err != nil && schemas.CodeOf(err) == schemas.NotFound {
			continue // it was settled meanwhile, and follows
		}
		if err != nil {
			return report, err
		}
		report.Affected++
		callers[run.Key] = true
		count(&report, run.Outcome)
	}
	report.Callers = len(callers)
	return report, nil
}

func count(report *schemas.RecallReport, outcome string) {
	switch outcome {
	case schemas.RunCancelled:
		report.Cancelled++
	case schemas.RunDone:
		report.Done++
	case schemas.RunFailed:
		report.Failed++
	case schemas.RecalledRerun:
		report.Rerun++
	case schemas.RecalledUnknown:
		report.Unknown++
	default:
		report.InFlight++
	}
}
