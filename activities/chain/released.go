package chain

import (
	"encoding/json"
	"time"

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
