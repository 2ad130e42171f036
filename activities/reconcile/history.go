package reconcile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/converter"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// ended is what the history of a closed run says.
type ended struct {
	request    schemas.RunRequest
	status     string
	outcome    schemas.RunOutcome // of a run that is done
	failure    *schemas.StepError
	unreadable string // why it says nothing
}

// ended reads the first and the last event of a history. Codes: unavailable and the like while Temporal cannot be asked.
func (a *Activities) ended(ctx context.Context, execution *workflowpb.WorkflowExecutionInfo) (of ended, err error) {
	first, err := a.event(ctx, execution, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if err != nil {
		return of, err
	}
	last, err := a.event(ctx, execution, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	if err != nil {
		return of, err
	}
	if decode(first.GetWorkflowExecutionStartedEventAttributes().GetInput(), &of.request) != nil {
		of.unreadable = "the request in the workflow's history cannot be read"
		return of, nil //nolint:nilerr // that is what is found
	}
	of.conclude(last)
	return of, nil
}

// event is the first that the filter lets through.
func (a *Activities) event(ctx context.Context, execution *workflowpb.WorkflowExecutionInfo, filter enumspb.HistoryEventFilterType) (*historypb.HistoryEvent, error) {
	id := execution.GetExecution()
	events := a.Temporal.GetWorkflowHistory(ctx, id.GetWorkflowId(), id.GetRunId(), false, filter)
	if !events.HasNext() {
		return nil, schemas.Errorf(schemas.Unavailable, "the history of workflow %s is empty", id.GetWorkflowId())
	}
	event, err := events.Next()
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		err = nil // past its time between the list and now; then nothing can be read from it
	}
	return event, coded(err)
}

// conclude reads how the run ended.
func (e *ended) conclude(last *historypb.HistoryEvent) {
	e.status = schemas.RunFailed
	switch last.GetEventType() { // those that close a Chain
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
		e.status = schemas.RunDone
		if decode(last.GetWorkflowExecutionCompletedEventAttributes().GetResult(), &e.outcome) != nil {
			e.unreadable = "the result in the workflow's history cannot be read"
		}
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
		e.failure = failureOf(last.GetWorkflowExecutionFailedEventAttributes().GetFailure())
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
		e.status, e.failure = schemas.RunCancelled, &schemas.StepError{Code: schemas.Conflict, Message: "it was canceled"}
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
		e.failure = &schemas.StepError{Code: schemas.Conflict, Message: "it was terminated by an operator"}
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
		e.failure = &schemas.StepError{Code: schemas.Deadline, Message: "it took longer than allowed"}
	default:
		e.unreadable = "the workflow's history does not say how it ended"
	}
}

// failureOf finds the failure that the run recorded, by its code.
func failureOf(f *failurepb.Failure) *schemas.StepError {
	for at := f; at != nil; at = at.GetCause() {
		code := schemas.Code(at.GetApplicationFailureInfo().GetType())
		if slices.Contains(schemas.Codes(), code) {
			return &schemas.StepError{Code: code, Message: at.GetMessage()}
		}
	}
	return &schemas.StepError{Code: schemas.Internal, Message: "the workflow failed for a reason it did not name; the Temporal UI has it"}
}

func decode(payloads *commonpb.Payloads, into any) error {
	if payloads == nil {
		return errors.New("there is nothing to read")
	}
	return converter.GetDefaultDataConverter().FromPayloads(payloads, into)
}

// patience is how long after the end of a run a worker is waited for that can say what its steps left.
const patience = time.Hour

// steps asks the closed workflow, which a worker replays for it, what its steps left; false where it can no longer be replayed, or where it
// was ended before its first task was.
func (a *Activities) steps(ctx context.Context, execution *workflowpb.WorkflowExecutionInfo) ([]schemas.StepRecord, bool, error) {
	id := execution.GetExecution()
	asking, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	answer, err := a.Temporal.QueryWorkflow(asking, id.GetWorkflowId(), id.GetRunId(), schemas.ChainProgress.Name())
	switch {
	case err == nil:
	case never(err), ctx.Err() == nil && a.Now().Sub(execution.GetCloseTime().AsTime()) > patience:
		return nil, false, nil
	default:
		return nil, false, coded(err)
	}
	var progress schemas.RunProgress
	if answer.Get(&progress) != nil {
		return nil, false, nil
	}
	return progress.Steps, true, nil
}

// queryTime is how long one question may take; a long history is replayed for it.
const queryTime = 30 * time.Second

// never reports whether a question will not be answered however often it is asked.
func never(err error) bool {
	_, failed := errors.AsType[*serviceerror.QueryFailed](err)
	_, unready := errors.AsType[*serviceerror.WorkflowNotReady](err)
	_, gone := errors.AsType[*serviceerror.NotFound](err)
	_, wrong := errors.AsType[*serviceerror.InvalidArgument](err)
	return failed || unready || gone || wrong
}

// difference says what a record says otherwise than the history; empty if they agree.
func (a *Activities) difference(ctx context.Context, data []byte, of ended) (string, error) {
	var record schemas.Exchange
	if json.Unmarshal(data, &record) != nil {
		return "the record cannot be read", nil //nolint:nilerr // that is what is found
	}
	switch {
	case record.RunID != of.request.RunID || record.Tenant != of.request.Tenant:
		return "the record is that of another run", nil
	case record.Status != of.status:
		return "the workflow says " + of.status + ", the record " + record.Status, nil
	case of.status != schemas.RunDone:
		return "", nil
	}
	same, err := a.sameOutput(ctx, record, of.outcome.Output)
	if err != nil || same {
		return "", err
	}
	return "the record has another output than the workflow", nil
}

// sameOutput compares JSON, however it is written and wherever it stands.
func (a *Activities) sameOutput(ctx context.Context, record schemas.Exchange, output schemas.Content) (bool, error) {
	if !record.OutputRef.IsZero() && record.OutputRef.SHA256 == output.Ref.SHA256 {
		return true, nil
	}
	theirs, err := blob.Text(ctx, a.Store, output)
	if err != nil {
		return false, lost(err)
	}
	ours := string(record.Output)
	if !record.OutputRef.IsZero() {
		if ours, err = blob.Text(ctx, a.Store, schemas.Content{Ref: record.OutputRef}); err != nil {
			return false, lost(err)
		}
	}
	return bytes.Equal(plain(ours), plain(theirs)), nil
}

// lost makes a difference of an output that is gone, and leaves other errors.
func lost(err error) error {
	if schemas.CodeOf(err) == schemas.NotFound {
		return nil
	}
	return err
}

// plain is JSON in one form: without blanks, and with the marks that JSON may escape escaped.
func plain(text string) []byte {
	var compact, escaped bytes.Buffer
	if json.Compact(&compact, []byte(text)) != nil {
		return []byte(text)
	}
	json.HTMLEscape(&escaped, compact.Bytes())
	return escaped.Bytes()
}

// coded gives Temporal's errors a code: that it cannot be asked passes, and what it refuses for good does not.
func coded(err error) error {
	if err == nil {
		return nil
	}
	if _, wrong := errors.AsType[*serviceerror.InvalidArgument](err); wrong {
		return schemas.Wrap(schemas.Internal, err, "Temporal does not take the question; are its search attributes registered?")
	}
	return schemas.Wrap(schemas.Unavailable, err, "Temporal cannot be asked now")
}
