package client

import (
	"context"
	"errors"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
)

// StartCallback has a run carried out as a workflow of its own and its end told to the URL in it, or finds the workflow that does so because this
// request came before: it starts the run, so that no end is told of a run that never began, and none is lost. Errors: as of StartChain.
func StartCallback(ctx context.Context, c Starter, in schemas.RunRequest) (Run[schemas.Delivery], error) {
	if err := errors.Join(schemas.CheckTenant(in.Tenant), schemas.CheckRunID(in.RunID)); err != nil {
		return Run[schemas.Delivery]{}, err
	}
	return Once(ctx, c, client.StartWorkflowOptions{
		ID: schemas.CallbackID(in.Tenant, in.RunID), TaskQueue: schemas.QueueInteractive, EnableEagerStart: true,
		StaticSummary: "callback of run " + in.RunID,
		Priority:      temporal.Priority{PriorityKey: priority(in), FairnessKey: in.Tenant},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(in.Tenant),
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrChain).ValueSet(in.Plan.Chain),
		),
	}, schemas.Callback, schemas.CallbackRequest{Run: in}, Fingerprint(in), false)
}
