// Package record keeps the records of runs.
package record

import (
	"context"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Activities are the durable calls that keep records. Store is required.
type Activities struct {
	Store *blob.Store
}

// Record writes the record of a run, at a key that follows from the run. A repeated one writes the same. Codes: those of the store.
func (a *Activities) Record(ctx context.Context, in schemas.RecordRequest) (schemas.RunOutcome, error) {
	exchange := schemas.Exchange{RunID: in.RunID, Tenant: in.Tenant, Chain: in.Chain, Input: in.Input, Start: in.Start, Steps: in.Steps}
	for _, s := range in.Steps {
		exchange.Usage = exchange.Usage.Add(s.Usage)
	}
	ref, err := blob.PutJSON(ctx, a.Store, schemas.RunKey(in.Tenant, in.RunID, in.Start), exchange)
	if err != nil {
		return schemas.RunOutcome{}, err
	}
	out := schemas.RunOutcome{RunID: in.RunID, Record: ref, Usage: exchange.Usage}
	if n := len(in.Steps); n > 0 {
		out.Output = in.Steps[n-1].Output
	}
	return out, nil
}
