package chain

import (
	"context"
	"errors"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// stepLimit bounds an attempt of a step that has no timeout of its own.
const stepLimit = 2 * time.Minute

// Line carries out a run whose steps follow one another and keeps its record: what Step and Record do, in one call. It stops before what
// is not as simple as that (a failure, a condition that is false, a question) and says how far it came; the rest is the interpreter's.
// Nothing is lost by that: what was paid for is recorded, as after a crash. A run that was begun ahead it only waits for. Code: deadline.
func (a *Activities) Line(ctx context.Context, in schemas.LineRequest) (schemas.LineOutcome, error) {
	began := a.ahead.find(in.Run)
	if began == nil {
		return a.line(ctx, in), nil
	}
	select {
	case <-began.done:
		return began.out, nil
	case <-ctx.Done():
		return schemas.LineOutcome{}, schemas.Wrap(schemas.Deadline, ctx.Err(), "the run took longer than its lane waits")
	}
}

// line carries out as much as it can.
func (a *Activities) line(ctx context.Context, in schemas.LineRequest) schemas.LineOutcome {
	switch out, ok, err := a.ended(ctx, in.Run); {
	case err != nil:
		return schemas.LineOutcome{} // the interpreter asks again, with patience
	case ok:
		return schemas.LineOutcome{Outcome: &out}
	}
	line := line{a: a, run: in.Run, until: time.Now().Add(time.Duration(in.MostMS) * time.Millisecond), outputs: map[string]schemas.Content{}}
	for _, ps := range in.Run.Plan.Steps {
		if !line.step(ctx, ps) {
			a.flush(ctx, in.Run.Tenant, in.Run.RunID) // what goes on elsewhere finds all that was paid
			return schemas.LineOutcome{Steps: line.done, Failed: line.failed}
		}
	}
	out, err := a.Record(ctx, schemas.RecordRequest{
		Run: in.Run, Status: schemas.RunDone, Outputs: line.outputs, Steps: line.done, EndMS: time.Now().UnixMilli(), Lane: true,
	})
	if err != nil {
		return schemas.LineOutcome{Steps: line.done} // the interpreter keeps the record, with patience
	}
	return schemas.LineOutcome{Outcome: &out}
}

// line is a run under way.
type line struct {
	a       *Activities
	run     schemas.RunRequest
	until   time.Time
	done    []schemas.StepRecord
	outputs map[string]schemas.Content
	failed  *schemas.LineFailure
}

// step carries out one step and reports whether the line goes on.
func (l *line) step(ctx context.Context, ps schemas.PlanStep) bool {
	if time.Now().After(l.until) {
		return false
	}
	limit := stepLimit
	if ps.TimeoutMS > 0 {
		limit = time.Duration(ps.TimeoutMS) * time.Millisecond
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := l.a.attempt(bounded, schemas.StepRequest{
		Tenant: l.run.Tenant, RunID: l.run.RunID, Bundle: l.run.Bundle, Chain: l.run.Plan.Chain, Step: ps.ID,
		Input: l.run.Input, Outputs: l.outputs, Fresh: l.run.Fresh, First: l.run.First, Batch: l.run.Batch, Retries: l.run.Retries, Local: true, Trace: l.run.Trace,
		LogProbs: l.run.LogProbs,
	})
	if err != nil {
		l.failed = failureIn(ps, err)
		return false
	}
	if out.Skipped || out.Asks != "" || len(out.Calls) > 0 {
		return false
	}
	l.outputs[ps.ID] = out.Output
	l.done = append(l.done, schemas.StepRecord{ID: ps.ID, Kind: ps.Kind, Output: out.Output, Details: []schemas.Content{out.Detail}})
	return true
}

// failureIn says what the interpreter must know of a failure.
func failureIn(ps schemas.PlanStep, err error) *schemas.LineFailure {
	failed := &schemas.LineFailure{Step: ps.ID, Failure: schemas.StepError{Code: schemas.CodeOf(err), Message: schemas.SafeMessage(err)}}
	failed.Final = !failed.Failure.Code.Retryable() || ps.Retry == schemas.RetryNone
	if coded, ok := errors.AsType[*schemas.Error](err); ok {
		failed.RetryAfterMS = coded.RetryAfter.Milliseconds()
	}
	return failed
}
