package client

import (
	"context"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Once starts a workflow, or finds the one that the same request started before under the same id: mark is the same for requests that ask for
// the same. Again lets another one start when that has ended; without it, it is found. Error: conflict where the id belongs to another
// request; otherwise those of [Coded].
func Once[In, Out any](
	ctx context.Context, c Starter, options client.StartWorkflowOptions, workflow schemas.Workflow[In, Out], in In, mark string, again bool,
) (Run[Out], error) {
	options.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL
	options.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
	if again {
		options.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	}
	options.WorkflowExecutionErrorWhenAlreadyStarted = true
	options.Memo = map[string]any{memoFingerprint: mark}
	run, err := Start(ctx, c, options, workflow, in)
	if !as[*serviceerror.WorkflowExecutionAlreadyStarted](err) {
		return run, err
	}
	found, err := c.DescribeWorkflow(ctx, options.ID, "")
	if err != nil {
		return Run[Out]{}, Coded(err)
	}
	if Memo(found.Memo, memoFingerprint) != mark {
		return Run[Out]{}, schemas.Errorf(schemas.Conflict, "%s exists and belongs to another request", options.ID)
	}
	return Attach(ctx, c, workflow, options.ID, found.WorkflowExecution.RunID), nil
}
