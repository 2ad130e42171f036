package recall

import (
	"context"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Temporal finds runs by a Temporal client. It is safe for concurrent use.
type Temporal struct{ Client client.Client }

var _ Runs = Temporal{}

const (
	pageRuns  = 500
	pagesMost = 10
)

// InFlight implements [Runs]. It lists at most 5,000 runs; the next call finds those that follow when they have ended. Codes: as of Cancel.
func (t Temporal) InFlight(ctx context.Context, tenant, release string) ([]Execution, error) {
	var found []Execution
	var next []byte
	for range pagesMost {
		page, err := t.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			PageSize: pageRuns, NextPageToken: next,
			Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running' AND %s = '%s' AND %s = '%s'",
				schemas.Chain.Name(), schemas.AttrTenant, tenant, schemas.AttrRelease, release),
		})
		if err != nil {
			return nil, coded(err)
		}
		for _, e := range page.GetExecutions() {
			found = append(found, Execution{e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId()})
		}
		if next = page.GetNextPageToken(); len(next) == 0 {
			break
		}
	}
	return found, nil
}

// Request implements [Runs]: it is in the first event of the history. Codes: as of Cancel.
func (t Temporal) Request(ctx context.Context, run Execution) (request schemas.RunRequest, err error) {
	events := t.Client.GetWorkflowHistory(ctx, run.Workflow, run.Run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return request, schemas.Errorf(schemas.NotFound, "workflow %s has no history", run.Workflow)
	}
	first, err := events.Next()
	if err != nil {
		return request, coded(err)
	}
	input := first.GetWorkflowExecutionStartedEventAttributes().GetInput()
	if err := converter.GetDefaultDataConverter().FromPayloads(input, &request); err != nil {
		return request, schemas.Wrap(schemas.Internal, err, "what workflow %s was started with cannot be read", run.Workflow)
	}
	return request, nil
}

// Cancel implements [Runs]. Codes: not_found, unavailable, rate_limited, deadline.
func (t Temporal) Cancel(ctx context.Context, run Execution) error {
	err := coded(t.Client.CancelWorkflow(ctx, run.Workflow, run.Run))
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return nil // it has ended
	}
	return err
}

// coded gives an error of Temporal's client its code.
func coded(err error) error {
	var absent *serviceerror.NotFound
	var already *serviceerror.CancellationAlreadyRequested
	var exhausted *serviceerror.ResourceExhausted
	switch {
	case err == nil, errors.As(err, &already):
		return nil
	case errors.As(err, &absent):
		return schemas.Wrap(schemas.NotFound, err, "there is no such workflow")
	case errors.As(err, &exhausted):
		return schemas.Wrap(schemas.RateLimited, err, "Temporal is over its limits")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return schemas.Wrap(schemas.Deadline, err, "the call ended before Temporal answered")
	}
	return schemas.Wrap(schemas.Unavailable, err, "Temporal cannot be asked now")
}
