package chain

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/schemas"
)

// listReleased puts a run that is pinned to a release into the release's list of runs. The entry is durable by the time the run's record is,
// which is appended after it.
func (a *Activities) listReleased(e schemas.Exchange) error {
	if e.Release == "" {
		return nil
	}
	data, err := json.Marshal(schemas.ReleasedRunOf(e))
	if err != nil {
		return err
	}
	key := schemas.ReleasedRunKey(e.Tenant, e.Release, e.RunID, time.UnixMilli(e.StartMS))
	a.Journal.Append(journal.Entry{Tenant: e.Tenant, Run: e.RunID, Key: key, Data: data, Keep: true, Lazy: true})
	return nil
}

// rerunAs is the run that a recall starts in the place of a cancelled one; empty for none. A recall writes it down before it cancels.
func (a *Activities) rerunAs(ctx context.Context, e schemas.Exchange) (string, error) {
	if e.Release == "" || e.Status != schemas.RunCancelled {
		return "", nil
	}
	run, err := blob.GetJSON[schemas.RecalledRun](ctx, a.Store, schemas.Ref{Key: schemas.OpenRecalledKey(e.Tenant, e.Release, e.RunID)})
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return "", nil
	}
	return run.RerunAs, err
}
