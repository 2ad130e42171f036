// Package step is the only caller of durable work: typed activities, child workflows and queries, with the few named profiles
// of timeouts and retries. What it asks of Temporal is recorded in histories, so a change here is a migration.
package step

import (
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Profile says how long a call may take and how it is retried. Whether an error is retried at all is decided where it is born:
// worker/bind marks the codes that are final.
type Profile struct {
	Queue           string        // task queue; empty is the workflow's own
	StartToClose    time.Duration // one attempt
	ScheduleToClose time.Duration // all attempts together; zero is unbounded
	Heartbeat       time.Duration // silence after which an attempt is given to another worker; zero is none
	FirstRetry      time.Duration // wait before the second attempt; doubles from there
	LongestRetry    time.Duration // the wait never exceeds it, save where a provider asked for more
	Attempts        int32         // zero is unbounded
	Finish          bool          // a cancel waits for what the attempt under way makes of it
}

// The profiles.
var (
	// Interactive is a call that a caller waits for, run inside the workflow's own task.
	Interactive = Profile{
		StartToClose: 2 * time.Minute, ScheduleToClose: 5 * time.Minute,
		FirstRetry: 200 * time.Millisecond, LongestRetry: 10 * time.Second, Attempts: 6,
	}
	// Lane is a call of a run in a lane. What does not pass within these attempts is continued by a workflow of its own.
	Lane = Profile{
		StartToClose: 2 * time.Minute, ScheduleToClose: 2 * time.Minute,
		FirstRetry: 50 * time.Millisecond, LongestRetry: time.Second, Attempts: 3,
	}
	// Line is a whole run in one call, tried once: what it does not bring to its end goes on step by step. Its steps have bounds of their own.
	Line = Profile{StartToClose: 30 * time.Minute, ScheduleToClose: 30 * time.Minute, FirstRetry: time.Second, Attempts: 1}
	// Patient is a step that may wait for days for a provider to come back.
	Patient = Profile{
		StartToClose: 10 * time.Minute, ScheduleToClose: 72 * time.Hour,
		Heartbeat: 10 * time.Second, FirstRetry: time.Second, LongestRetry: time.Minute,
	}
	// Record is the last call of a run. What it keeps was paid for, so it waits for the store.
	Record = Profile{
		StartToClose: 30 * time.Second, ScheduleToClose: time.Hour,
		FirstRetry: 100 * time.Millisecond, LongestRetry: 10 * time.Second,
	}
	// Reading is a call that reads from a code host. Somebody waits for it, yet a rate limit there may last an hour.
	Reading = Profile{
		StartToClose: 5 * time.Minute, ScheduleToClose: 90 * time.Minute,
		Heartbeat: 10 * time.Second, FirstRetry: time.Second, LongestRetry: 30 * time.Second,
	}
	// Tally adds up records, for as long as it takes; the store may be down meanwhile.
	Tally = Profile{
		StartToClose: 30 * time.Minute, ScheduleToClose: 72 * time.Hour,
		Heartbeat: 10 * time.Second, FirstRetry: time.Second, LongestRetry: 30 * time.Second,
	}
	// Notify tells a receiver in another house, which may be away for days.
	Notify = Profile{
		StartToClose: 45 * time.Second, ScheduleToClose: 72 * time.Hour,
		Heartbeat: 10 * time.Second, FirstRetry: 5 * time.Second, LongestRetry: 6 * time.Hour,
	}
	// Alert tells of a verdict: a code host whose issues are looked through, and a receiver. It ends before the next night begins.
	Alert = Profile{
		StartToClose: 15 * time.Minute, ScheduleToClose: 12 * time.Hour,
		Heartbeat: 10 * time.Second, FirstRetry: 5 * time.Second, LongestRetry: time.Hour,
	}
	// Poll is a call that fails until what it asks for has come about at a provider, which may take a day: the waits between its attempts are
	// the server's and leave nothing in the history.
	Poll = Profile{
		StartToClose: 2 * time.Minute, ScheduleToClose: 26 * time.Hour,
		Heartbeat: 20 * time.Second, FirstRetry: 30 * time.Second, LongestRetry: 10 * time.Minute,
	}
	// Bulk is a batch of ingestion. A part that is down for a night holds it up and loses nothing.
	Bulk = Profile{
		Queue: schemas.QueueIngest, StartToClose: 30 * time.Minute, ScheduleToClose: 72 * time.Hour,
		Heartbeat: 10 * time.Second, FirstRetry: time.Second, LongestRetry: 15 * time.Second,
	}
	// Embedding is a batch of calls to a model provider, on the provider's own queue.
	Embedding = Profile{
		Queue: schemas.QueueEmbed, StartToClose: time.Hour, ScheduleToClose: 72 * time.Hour,
		Heartbeat: 10 * time.Second, FirstRetry: time.Second, LongestRetry: 30 * time.Second,
	}
	// Planning is what an evaluation does by itself, with the store alone.
	Planning = Profile{
		Queue: schemas.QueueEval, StartToClose: 30 * time.Minute, ScheduleToClose: 72 * time.Hour,
		Heartbeat: 10 * time.Second, FirstRetry: 200 * time.Millisecond, LongestRetry: 15 * time.Second,
	}
	// Calling is a batch of an evaluation's cells, which waits for the limits of the provider. What is in flight when it is cancelled was paid for.
	Calling = Profile{
		Queue: schemas.QueueEval, StartToClose: 12 * time.Hour, ScheduleToClose: 7 * 24 * time.Hour,
		Heartbeat: 10 * time.Second, FirstRetry: time.Second, LongestRetry: 30 * time.Second, Finish: true,
	}
	// Room is a call that fails until a budget has room, which may take until the next month begins: as with Poll, the waits are the server's.
	Room = Profile{
		Queue: schemas.QueueEval, StartToClose: 2 * time.Minute, ScheduleToClose: 62 * 24 * time.Hour,
		Heartbeat: 20 * time.Second, FirstRetry: 15 * time.Second, LongestRetry: 15 * time.Second,
	}
	// Awaiting waits for another workflow, for as long as that takes.
	Awaiting = Profile{
		Queue: schemas.QueueEval, StartToClose: 7 * 24 * time.Hour, ScheduleToClose: 30 * 24 * time.Hour,
		Heartbeat: 10 * time.Second, FirstRetry: time.Second, LongestRetry: 30 * time.Second,
	}
)

// Within returns the profile with another bound of one attempt, in milliseconds; 0 changes nothing.
func (p Profile) Within(ms int) Profile {
	if ms <= 0 {
		return p
	}
	p.StartToClose = time.Duration(ms) * time.Millisecond
	if p.Attempts > 0 && p.ScheduleToClose < time.Duration(p.Attempts+1)*p.StartToClose {
		p.ScheduleToClose = time.Duration(p.Attempts+1) * p.StartToClose
	}
	return p
}

func (p Profile) retry() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval: p.FirstRetry, BackoffCoefficient: 2, MaximumInterval: p.LongestRetry, MaximumAttempts: p.Attempts,
	}
}

// Do runs op and waits for it. The summary is what the Temporal UI shows beside the call.
func Do[In, Out any](ctx workflow.Context, p Profile, op schemas.Activity[In, Out], in In, summary string) (Out, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: p.Queue, StartToCloseTimeout: p.StartToClose, ScheduleToCloseTimeout: p.ScheduleToClose,
		HeartbeatTimeout: p.Heartbeat, RetryPolicy: p.retry(), Summary: summary, WaitForCancellation: p.Finish,
	})
	var out Out
	err := workflow.ExecuteActivity(ctx, op.Name(), in).Get(ctx, &out)
	return out, err
}

// DoLocal runs op inside the workflow's own task: no hop through the server, and no record of it until the task completes, so
// op must be harmless and free to repeat.
func DoLocal[In, Out any](ctx workflow.Context, p Profile, op schemas.Activity[In, Out], in In, summary string) (Out, error) {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: p.StartToClose, ScheduleToCloseTimeout: p.ScheduleToClose, RetryPolicy: p.retry(), Summary: summary,
	})
	var out Out
	err := workflow.ExecuteLocalActivity(ctx, op.Name(), in).Get(ctx, &out)
	return out, err
}

// Child runs wf as a child workflow with the given id and waits for it. Cancelling the parent cancels it.
func Child[In, Out any](ctx workflow.Context, id string, wf schemas.Workflow[In, Out], in In, summary string) (Out, error) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: id, StaticSummary: summary})
	var out Out
	err := workflow.ExecuteChildWorkflow(ctx, wf.Name(), in).Get(ctx, &out)
	return out, err
}

// Part is Child for a part of the parent's own work: when the parent is cancelled it waits for the part's end, because what the part tells of
// its work counts all the same.
func Part[In, Out any](ctx workflow.Context, id string, wf schemas.Workflow[In, Out], in In, summary string) (Out, error) {
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: id, StaticSummary: summary, WaitForCancellation: true})
	var out Out
	err := workflow.ExecuteChildWorkflow(ctx, wf.Name(), in).Get(ctx, &out)
	return out, err
}

// Launching says how Launch starts a workflow.
type Launching struct {
	ID       string
	Queue    string
	Summary  string            // what the Temporal UI shows
	Fairness string            // whose turn it takes
	Keywords map[string]string // search attributes of type Keyword
	Memo     map[string]string
	Timeout  time.Duration // of the whole execution; zero is unbounded
}

// Launch starts wf and waits only until the server knows of it: it goes on whatever becomes of the caller. One that runs under the id
// already, or did, is left to it.
func Launch[In, Out any](ctx workflow.Context, wf schemas.Workflow[In, Out], in In, how Launching) error {
	_, err := launch(ctx, wf, in, how)
	return err
}

// Follow is Launch that waits until wf has ended, in whatever way. It returns false at once for one that was left to its id: nobody tells of
// its end. A cancel ends the wait and nothing else.
func Follow[In, Out any](ctx workflow.Context, wf schemas.Workflow[In, Out], in In, how Launching) (ended bool, err error) {
	own, _ := workflow.NewDisconnectedContext(ctx)
	child, err := launch(own, wf, in, how)
	if child == nil || err != nil {
		return false, err
	}
	err = workflow.Await(ctx, child.IsReady)
	return err == nil, err
}

// launch starts wf; nil for one that was there already.
func launch[In, Out any](ctx workflow.Context, wf schemas.Workflow[In, Out], in In, how Launching) (workflow.ChildWorkflowFuture, error) {
	var attributes []temporal.SearchAttributeUpdate
	for _, name := range workflow.DeterministicKeys(how.Keywords) {
		attributes = append(attributes, temporal.NewSearchAttributeKeyKeyword(name).ValueSet(how.Keywords[name]))
	}
	var memo map[string]any
	for _, name := range workflow.DeterministicKeys(how.Memo) {
		if memo == nil {
			memo = map[string]any{}
		}
		memo[name] = how.Memo[name]
	}
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: how.ID, TaskQueue: how.Queue, Memo: memo, StaticSummary: how.Summary, ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, TypedSearchAttributes: temporal.NewSearchAttributes(attributes...),
		Priority: temporal.Priority{PriorityKey: first, FairnessKey: how.Fairness}, WorkflowExecutionTimeout: how.Timeout,
	})
	child := workflow.ExecuteChildWorkflow(ctx, wf.Name(), in)
	err := child.GetChildWorkflowExecution().Get(ctx, nil)
	if _, ok := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err); ok {
		return nil, nil
	}
	return child, err
}

// Hold starts wf under an id of which there is one at a time, and returns what ends it again by a cancel; nil where another has it. It goes on
// when its caller is cancelled, and is terminated when the caller ends.
func Hold[In, Out any](ctx workflow.Context, id string, wf schemas.Workflow[In, Out], in In, summary string) (release func(), err error) {
	own, _ := workflow.NewDisconnectedContext(ctx)
	own, release = workflow.WithCancel(own)
	own = workflow.WithChildOptions(own, workflow.ChildWorkflowOptions{
		WorkflowID: id, StaticSummary: summary, ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_TERMINATE,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	})
	err = workflow.ExecuteChildWorkflow(own, wf.Name(), in).GetChildWorkflowExecution().Get(ctx, nil)
	if _, ok := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err); ok {
		return nil, nil
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// first is the priority of what somebody waits for; see starter/client.
const first = 1

// Handle carries out requests of the kind u as they come. Where check refuses one, it leaves no trace.
func Handle[In, Out any](
	ctx workflow.Context, u schemas.Update[In, Out], fn func(workflow.Context, In) (Out, error), check func(In) error,
) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, u.Name(), fn, workflow.UpdateHandlerOptions{Validator: check})
}

// Again ends this execution and starts wf anew with in, under the same workflow id and with an empty history.
func Again[In, Out any](ctx workflow.Context, wf schemas.Workflow[In, Out], in In) error {
	return workflow.NewContinueAsNewError(ctx, wf.Name(), in)
}

// Answer makes the workflow answer q with what fn returns at that moment.
func Answer[Out any](ctx workflow.Context, q schemas.Query[Out], fn func() Out) error {
	return workflow.SetQueryHandler(ctx, q.Name(), func() (Out, error) { return fn(), nil })
}

// Each runs fn for every item, at most width at once, and returns the first error after all that were started have ended: what
// is under way is worth its record. After an error no further item is started.
func Each[T any](ctx workflow.Context, items []T, width int, fn func(workflow.Context, T) error) error {
	var first error
	free := workflow.NewSemaphore(ctx, int64(max(width, 1)))
	running := workflow.NewWaitGroup(ctx)
	for _, item := range items {
		if err := free.Acquire(ctx, 1); err != nil && first == nil {
			first = err
		}
		if first != nil {
			break
		}
		running.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer running.Done()
			defer free.Release(1)
			if err := fn(ctx, item); err != nil && first == nil {
				first = err
			}
		})
	}
	running.Wait(ctx)
	return first
}
