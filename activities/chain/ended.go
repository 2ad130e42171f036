package chain

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// ended returns the result of a run that is done. What was paid for in a run is let go when its record is durable; a crash between that and
// the end of the workflow's task has the steps of that task carried out again, and this is how they know. Of a run that only this process
// can have carried out nobody else is asked. Codes: those of the store.
func (a *Activities) ended(ctx context.Context, run schemas.RunRequest) (out schemas.RunOutcome, ok bool, err error) {
	key := schemas.RunKey(run.Tenant, run.RunID, time.UnixMilli(run.StartMS))
	read := a.Journal.Get
	if run.First || run.Fresh {
		read = a.Journal.Own
	}
	data, ok, err := read(ctx, run.Tenant, key)
	if err != nil || !ok {
		return out, false, err
	}
	var e schemas.Exchange
	if err := json.Unmarshal(data, &e); err != nil {
		return out, false, schemas.Wrap(schemas.Internal, err, "the record of run %s cannot be read", run.RunID)
	}
	if e.Status != schemas.RunDone || e.Retries != run.Retries {
		return out, false, nil // that of a failed run, or of one that is continued, is written anew
	}
	output := schemas.Content{Ref: e.OutputRef}
	if e.OutputRef == (schemas.Ref{}) {
		if output, err = a.content(ctx, run.Tenant, e.Output); err != nil {
			return out, false, err
		}
	}
	if err := a.Journal.Flush(ctx, run.Tenant, run.RunID); err != nil { // the record of this process may not be durable yet
		return out, false, err
	}
	return schemas.RunOutcome{RunID: e.RunID, Output: output, Usage: e.Usage, Cost: e.Cost, Charge: e.Charge}, true, nil
}

// endedIn is ended for a step. Only a step within a workflow's task can be carried out again after the run's record was written.
func (a *Activities) endedIn(ctx context.Context, in schemas.StepRequest) (bool, error) {
	if !in.Local || in.StartMS == 0 {
		return false, nil
	}
	_, ok, err := a.ended(ctx, schemas.RunRequest{
		Tenant: in.Tenant, RunID: in.RunID, StartMS: in.StartMS, Retries: in.Retries, First: in.First, Fresh: in.Fresh,
	})
	return ok, err
}
