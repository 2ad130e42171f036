package gatewaytest

import (
	"context"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Told lists the URLs that were told of the ends of runs, in the order in which they were.
func (w *Work) Told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.told...)
}

// callback has a run carried out as a workflow of its own, and notes that its end is told.
func (w *Work) callback(ctx context.Context, in schemas.CallbackRequest) (schemas.Delivery, error) {
	run := in.Run
	started, err := w.Temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: schemas.RunWorkflowID(run.Tenant, run.RunID), TypedSearchAttributes: w.Temporal.Options(schemas.CallbackID(run.Tenant, run.RunID)).TypedSearchAttributes,
	}, schemas.Chain.Name(), run)
	if err != nil {
		return schemas.Delivery{}, err
	}
	_ = started.Get(ctx, nil) // its end is told, whatever it is
	delivery := schemas.Delivery{State: schemas.Delivered, To: "https://example.com", MessageID: schemas.CallbackMessageID(run.Tenant, run.RunID), Attempts: 2, Status: 200, LastMS: run.StartMS}
	w.mu.Lock()
	w.told = append(w.told, run.Callback)
	w.mu.Unlock()
	_, err = blob.PutJSON(ctx, w.Store, schemas.CallbackKey(run.Tenant, run.RunID, time.UnixMilli(run.StartMS)), delivery)
	return delivery, err
}
