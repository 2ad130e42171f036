package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// Chain executes one run of a chain as a workflow of its own. The workflow id names the run, so starting it twice joins it.
// It receives nothing while it runs.
func Chain(ctx workflow.Context, in schemas.ChainRequest) (schemas.RunOutcome, error) {
	steps, err := interpret(ctx, in)
	if err != nil {
		return schemas.RunOutcome{}, err
	}
	return step.DoLocal(ctx, step.Interactive, schemas.RecordRun, schemas.RecordRequest{
		Tenant: in.Tenant, RunID: in.RunID, Chain: in.Chain, Input: in.Input,
		Start: workflow.GetInfo(ctx).WorkflowStartTime, Steps: steps,
	}, "keep the record")
}
