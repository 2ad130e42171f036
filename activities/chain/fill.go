package chain

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Fill makes the record of a run that ended without one, from what is known of it, and marks it as such. It writes nothing where there is a
// record, and reports whether it wrote. A part of the run that is no longer stored is left out. Codes: those of the store.
func (a *Activities) Fill(ctx context.Context, in schemas.FillRequest) (filled bool, err error) {
	exchange, err := a.exchange(ctx, schemas.RecordRequest{
		Run: in.Run, Status: in.Status, Failure: in.Failure, Steps: in.Steps, EndMS: in.EndMS,
	}, in.Output)
	if err != nil && schemas.CodeOf(err) == schemas.NotFound { // what the steps did is gone, that they ran is not
		exchange, err = a.exchange(ctx, schemas.RecordRequest{
			Run: in.Run, Status: in.Status, Failure: in.Failure, Steps: bare(in.Steps), EndMS: in.EndMS,
		}, in.Output)
	}
	if err != nil {
		return false, err
	}
	exchange.FilledMS = in.NowMS
	data, err := json.Marshal(exchange)
	if err != nil {
		return false, err
	}
	if err := a.listReleased(exchange); err != nil {
		return false, err
	}
	return a.Store.PutIfAbsent(ctx, schemas.RunKey(in.Run.Tenant, in.Run.RunID, time.UnixMilli(in.Run.StartMS)), data)
}

// bare are steps without what stands elsewhere.
func bare(steps []schemas.StepRecord) []schemas.StepRecord {
	kept := make([]schemas.StepRecord, len(steps))
	for i, s := range steps {
		kept[i] = schemas.StepRecord{Path: s.Path, ID: s.ID, Kind: s.Kind, Skipped: s.Skipped, Chosen: s.Chosen, Failure: s.Failure}
	}
	return kept
}
