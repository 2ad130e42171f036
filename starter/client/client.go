// Package client runs chains for Go services: it starts runs by a label or a release, waits for them, streams their answers and takes feedback,
// over Temporal and the gateway.
//
// [Dial] makes a [Client] from the environment, [ChainOf] names a chain with its input and output as Go types, and [Find] a run that was started
// elsewhere. Both ways start the same runs under the same ids, so a run that one started the other can wait for. Below them are [Start],
// [Attach], [StartChain] and [Lanes], with which the platform itself starts workflows.
package client

import (
	"context"

	"go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Starter is the part of Temporal's client that starts and finds workflows. Every client.Client is one.
type Starter interface {
	ExecuteWorkflow(ctx context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error)
	GetWorkflow(ctx context.Context, workflowID, runID string) client.WorkflowRun
	DescribeWorkflow(ctx context.Context, workflowID, runID string) (*client.WorkflowExecutionDescription, error)
}

// Run is a started workflow whose result is an Out.
type Run[Out any] struct{ run client.WorkflowRun }

// WorkflowID names the workflow.
func (r Run[Out]) WorkflowID() string { return r.run.GetID() }

// RunID names the execution that was started or found; one that continues as new keeps it here.
func (r Run[Out]) RunID() string { return r.run.GetRunID() }

// Wait returns the workflow's result when it has one, following executions that continued as new. When ctx ends first the workflow
// goes on and the error is deadline; otherwise the error is the one of [Coded].
func (r Run[Out]) Wait(ctx context.Context) (Out, error) {
	var out Out
	err := r.run.Get(ctx, &out)
	return out, Coded(err)
}

// Start starts a workflow by its contract. Error: conflict where the options forbid a second execution under the same id and there
// is one; otherwise those of [Coded].
func Start[In, Out any](
	ctx context.Context, c Starter, options client.StartWorkflowOptions, workflow schemas.Workflow[In, Out], in In,
) (Run[Out], error) {
	run, err := c.ExecuteWorkflow(ctx, options, workflow.Name(), in)
	return Run[Out]{run}, Coded(err)
}

// Attach finds a workflow that runs or ran; an empty runID is its latest execution. It makes no call: whether the workflow exists
// shows when it is waited for.
func Attach[In, Out any](
	ctx context.Context, c Starter, _ schemas.Workflow[In, Out], workflowID, runID string,
) Run[Out] {
	return Run[Out]{c.GetWorkflow(ctx, workflowID, runID)}
}
