package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// runLongest is how long a run may take whose end is told.
const runLongest = 7 * 24 * time.Hour

// Callback has a run carried out, which goes on whatever becomes of this workflow, waits for its end, and tells that to the URL in the request: what
// the record of the run says, for three days, until the receiver has it. How the delivery ended is its result, is kept, and is the search attribute
// TenutoVerdict. The id names the run, so that its end is told once. Its current details say what it waits for.
func Callback(ctx workflow.Context, in schemas.CallbackRequest) (schemas.Delivery, error) {
	run := in.Run
	of := schemas.CallbackOf{Tenant: run.Tenant, RunID: run.RunID, StartMS: run.StartMS}
	workflow.SetCurrentDetails(ctx, "waits for run "+run.RunID+" to end")
	if _, err := step.Follow(ctx, schemas.Chain, run, launching(run)); err != nil {
		return schemas.Delivery{}, err
	}
	delivery, err := tell(ctx, of, run.Callback)
	if temporal.IsCanceledError(err) {
		return delivery, err
	}
	if err != nil {
		delivery = schemas.Delivery{State: schemas.DeliveryGivenUp, Detail: failureOf(err).Message}
	}
	workflow.SetCurrentDetails(ctx, "")
	verdict := temporal.NewSearchAttributeKeyKeyword(schemas.AttrVerdict).ValueSet(delivery.State)
	if err := workflow.UpsertTypedSearchAttributes(ctx, verdict); err != nil {
		return delivery, err
	}
	return step.Do(ctx, step.Patient, schemas.KeepDelivery, schemas.KeepDeliveryRequest{CallbackOf: of, Delivery: delivery}, "keep how it ended")
}

// tell waits for the record of the run, which is there when it has ended unless it was cut off, and delivers what that says.
func tell(ctx workflow.Context, of schemas.CallbackOf, url string) (schemas.Delivery, error) {
	workflow.SetCurrentDetails(ctx, "waits for the record of run "+of.RunID)
	prepared, err := step.Do(ctx, step.Patient, schemas.PrepareCallback, of, "read the record of the run")
	if err != nil {
		return schemas.Delivery{}, err
	}
	workflow.SetCurrentDetails(ctx, "tells the receiver that run "+of.RunID+" is "+prepared.Status)
	return step.Do(ctx, step.Notify, schemas.DeliverCallback, schemas.DeliverRequest{CallbackOf: of, URL: url, Body: prepared.Body}, "tell the receiver")
}

// launching says how a run is started whose end is told: as the front door starts others.
func launching(run schemas.RunRequest) step.Launching {
	return step.Launching{
		ID: schemas.RunWorkflowID(run.Tenant, run.RunID), Queue: schemas.QueueInteractive, Summary: "chain " + run.Plan.Chain,
		Fairness: run.Tenant, Keywords: runKeywords(run), Memo: run.Memo(), Timeout: runLongest,
	}
}
