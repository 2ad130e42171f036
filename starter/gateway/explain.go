package gateway

import (
	"context"
	"encoding/json"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	queryTime   = 2 * time.Second // for a worker to say how far it is
	maxChildren = 4               // children that are asked why they wait
	maxWaiting  = 8               // reasons that are shown
)

func statusOf(status enumspb.WorkflowExecutionStatus) rest.Status {
	switch status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return rest.Completed
	case enumspb.WORKFLOW_EXECUTION_STATUS_FAILED:
		return rest.Failed
	case enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED:
		return rest.Canceled
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return rest.Terminated
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return rest.TimedOut
	default:
		return rest.Running
	}
}

// explain says how far a running ingestion is and what holds it up. What cannot be found out is left out.
func (g *Gateway) explain(ctx context.Context, found *rest.Ingestion, execution *workflowservice.DescribeWorkflowExecutionResponse) {
	found.Waiting = failing(execution.GetPendingActivities())
	for i, child := range execution.GetPendingChildren() {
		if i == maxChildren {
			break
		}
		if described, err := g.temporal.DescribeWorkflowExecution(ctx, child.GetWorkflowId(), child.GetRunId()); err == nil {
			found.Waiting = append(found.Waiting, failing(described.GetPendingActivities())...)
		}
	}
	found.Waiting = found.Waiting[:min(len(found.Waiting), maxWaiting)]
	if found.Progress = g.progress(ctx, found.WorkflowID, found.RunID); found.Progress != nil {
		return
	}
	if err := g.polled(ctx, schemas.QueueIngest); err != nil {
		found.Waiting = append(found.Waiting, rest.Waiting{Step: schemas.QueueIngest, Reason: schemas.SafeMessage(err)})
	}
}

func (g *Gateway) progress(ctx context.Context, workflow, run string) *schemas.Progress {
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	value, err := g.temporal.QueryWorkflow(ctx, workflow, run, schemas.IngestProgress.Name())
	if err != nil {
		return nil
	}
	var progress schemas.Progress
	if value.Get(&progress) != nil {
		return nil
	}
	return &progress
}

// failing lists activities that failed at least once and are tried again.
func failing(activities []*workflowpb.PendingActivityInfo) []rest.Waiting {
	var waiting []rest.Waiting
	for _, activity := range activities {
		if activity.GetLastFailure() == nil {
			continue
		}
		reason := rest.Waiting{
			Step: activity.GetActivityType().GetName(), Attempt: int(activity.GetAttempt()), Reason: activity.GetLastFailure().GetMessage(),
		}
		if next := activity.GetScheduledTime(); activity.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED && next != nil {
			at := next.AsTime()
			reason.Next = &at
		}
		waiting = append(waiting, reason)
	}
	return waiting
}

// polled reports that no worker takes workflow tasks from a queue. Error: unavailable, and those of client.Coded.
func (g *Gateway) polled(ctx context.Context, queue string) error {
	found, err := g.temporal.DescribeTaskQueue(ctx, queue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return client.Coded(err)
	}
	if len(found.GetPollers()) == 0 {
		return schemas.Errorf(schemas.Unavailable, "no worker takes work from queue %s; start one with tenuto-worker", queue)
	}
	return nil
}

// conclude adds what an ended ingestion did, or why it failed. Errors: the store's, for the quarantine list.
func (g *Gateway) conclude(ctx context.Context, found *rest.Ingestion) error {
	run := client.Attach(ctx, g.temporal, schemas.Ingest, found.WorkflowID, found.RunID)
	report, err := run.Wait(ctx)
	if err != nil {
		found.Failure = failureOf(err)
		return nil
	}
	found.Report = &rest.Report{
		WorkflowID: found.WorkflowID, Documents: report.Documents, Chunks: report.Chunks, Embedding: report.Embedding,
		Quarantine: []schemas.Quarantined{}, Seconds: report.Seconds,
	}
	if report.Quarantine.IsZero() {
		return nil
	}
	return g.load(ctx, schemas.Content{Ref: report.Quarantine}, &found.Report.Quarantine)
}

// load reads a JSON object that a workflow's result points at.
func (g *Gateway) load(ctx context.Context, content schemas.Content, into any) error {
	text, err := blob.Text(ctx, g.store, content)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return schemas.Wrap(schemas.Internal, err, "the result cannot be read")
	}
	return nil
}

func failureOf(err error) *rest.Failure {
	code := schemas.CodeOf(err)
	return &rest.Failure{Code: code, Message: schemas.SafeMessage(err), Advice: advice[code]}
}

// advice says what to do about an ended workflow, by code; nothing where the message says it.
var advice = map[schemas.Code]string{
	schemas.Conflict:    "start it again when nothing stands against it any more; what was done is kept",
	schemas.RateLimited: "start it again later; what was done is kept",
	schemas.Unavailable: "run \"tenuto doctor\", mend what it names, and start again; what was done is kept",
	schemas.Deadline:    "start it again; what was done is kept",
	schemas.OverBudget:  "make room or raise the limit, and start again; what was done is kept",
	schemas.Internal:    "look at the workflow in the Temporal UI and at the worker's log",
}
