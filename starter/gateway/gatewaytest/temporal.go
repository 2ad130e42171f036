// Package gatewaytest runs a gateway without Temporal, a worker or an object store, for tests of what talks to one.
package gatewaytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Handler does the work of one workflow type. In is the request as it was started with.
type Handler func(ctx context.Context, in any) (any, error)

// Temporal is the part of Temporal's client that the gateway uses, with workflows that are plain functions. It keeps the rules on
// workflow ids: one execution at a time, conflict and reuse policies. Methods that it lacks panic.
type Temporal struct {
	client.Client
	Handlers map[string]Handler // by workflow type, and by update
	Answers  map[string]any     // to queries, by their type; no worker can be asked for others

	mu      sync.Mutex
	runs    []*run
	pending []*workflowpb.PendingActivityInfo
	down    error
	idle    bool // no worker polls

	schedules *schedules
}

type run struct {
	options client.StartWorkflowOptions
	kind    string
	in      any
	runID   string
	started time.Time
	closed  time.Time
	cancel  context.CancelFunc
	done    chan struct{}
	result  any
	err     error
	memo    *commonpb.Memo
}

// Break makes every call fail with err; nil mends it.
func (f *Temporal) Break(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = err
}

// Stall says which activities of running workflows are pending, and whether workers poll.
func (f *Temporal) Stall(idle bool, pending ...*workflowpb.PendingActivityInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.idle, f.pending = idle, pending
}

// Started counts the executions of a workflow type.
func (f *Temporal) Started(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.runs {
		if r.kind == kind {
			n++
		}
	}
	return n
}

// Options returns the start options of the latest execution of a workflow.
func (f *Temporal) Options(id string) client.StartWorkflowOptions {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.find(id, ""); r != nil {
		return r.options
	}
	return client.StartWorkflowOptions{}
}

// ExecuteWorkflow starts a workflow.
func (f *Temporal) ExecuteWorkflow(_ context.Context, options client.StartWorkflowOptions, workflow any, args ...any) (client.WorkflowRun, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	if last := f.find(options.ID, ""); last != nil && !last.replaceable() {
		if options.WorkflowExecutionErrorWhenAlreadyStarted {
			return nil, serviceerror.NewWorkflowExecutionAlreadyStarted("exists", "", last.runID)
		}
		return handle{f, last}, nil
	}
	kind := fmt.Sprint(workflow)
	ctx, cancel := context.WithCancel(context.Background())
	started := &run{
		options: options, kind: kind, in: args[0], runID: fmt.Sprintf("00000000-0000-4000-8000-%012d", len(f.runs)+1),
		started: time.Now(), cancel: cancel, done: make(chan struct{}), memo: encodeMemo(options.Memo),
	}
	f.runs = append(f.runs, started)
	go f.execute(ctx, started, args[0]) //nolint:contextcheck // a workflow outlives the request that starts it
	return handle{f, started}, nil
}

func (f *Temporal) execute(ctx context.Context, r *run, in any) {
	result, err := f.Handlers[r.kind](ctx, in)
	f.mu.Lock()
	defer f.mu.Unlock()
	r.result, r.err, r.closed = result, err, time.Now()
	close(r.done)
}

// replaceable reports whether another execution may follow.
func (r *run) replaceable() bool {
	return r.status() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING &&
		r.options.WorkflowIDReusePolicy != enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE
}

func (r *run) status() enumspb.WorkflowExecutionStatus {
	switch {
	case r.closed.IsZero():
		return enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	case errors.Is(r.err, context.Canceled):
		return enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED
	case r.err != nil:
		return enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
	}
	return enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
}

func encodeMemo(fields map[string]any) *commonpb.Memo {
	memo := &commonpb.Memo{Fields: make(map[string]*commonpb.Payload)}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		memo.Fields[name] = payloadOf(fields[name])
	}
	return memo
}

func payloadOf(value any) *commonpb.Payload {
	payload, err := converter.GetDefaultDataConverter().ToPayload(value)
	if err != nil {
		panic(err)
	}
	return payload
}

// find returns the execution, or the latest of its id where run is empty.
func (f *Temporal) find(id, runID string) *run {
	for _, r := range slices.Backward(f.runs) {
		if r.options.ID == id && (runID == "" || r.runID == runID) {
			return r
		}
	}
	return nil
}

func (f *Temporal) look(id, runID string) (*run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return nil, f.down
	}
	if r := f.find(id, runID); r != nil {
		return r, nil
	}
	return nil, serviceerror.NewNotFound("workflow not found")
}

// GetWorkflow finds a workflow.
func (f *Temporal) GetWorkflow(_ context.Context, id, runID string) client.WorkflowRun {
	r, err := f.look(id, runID)
	if err != nil {
		return lost{id, runID, err}
	}
	return handle{f, r}
}

// DescribeWorkflow describes a workflow.
func (f *Temporal) DescribeWorkflow(_ context.Context, id, runID string) (*client.WorkflowExecutionDescription, error) {
	r, err := f.look(id, runID)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &client.WorkflowExecutionDescription{}
	out.WorkflowExecution.ID, out.WorkflowExecution.RunID = id, r.runID
	out.Status, out.Memo, out.WorkflowStartTime = r.status(), r.memo, r.started
	out.TypedSearchAttributes = r.options.TypedSearchAttributes
	if !r.closed.IsZero() {
		closed := r.closed
		out.WorkflowCloseTime = &closed
	}
	return out, nil
}

// DescribeWorkflowExecution describes a workflow with its pending activities.
func (f *Temporal) DescribeWorkflowExecution(_ context.Context, id, runID string) (*workflowservice.DescribeWorkflowExecutionResponse, error) {
	r, err := f.look(id, runID)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: r.info(), PendingActivities: f.pending}, nil
}

func (r *run) info() *workflowpb.WorkflowExecutionInfo {
	info := &workflowpb.WorkflowExecutionInfo{
		Execution: &commonpb.WorkflowExecution{WorkflowId: r.options.ID, RunId: r.runID}, FirstRunId: r.runID,
		Status: r.status(), Memo: r.memo, StartTime: timestamppb.New(r.started),
	}
	info.SearchAttributes = &commonpb.SearchAttributes{IndexedFields: map[string]*commonpb.Payload{}}
	for key, value := range r.options.TypedSearchAttributes.GetUntypedValues() {
		info.SearchAttributes.IndexedFields[key.GetName()] = payloadOf(value)
	}
	if !r.closed.IsZero() {
		info.CloseTime = timestamppb.New(r.closed)
	}
	return info
}

// ListWorkflow lists workflows of the type, the tenant, the id, the releases and the state that the query names, newest first.
func (f *Temporal) ListWorkflow(_ context.Context, in *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	skip := 0
	_, _ = fmt.Sscan(string(in.GetNextPageToken()), &skip) // empty is the first page
	out := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, r := range slices.Backward(f.runs) {
		if !r.matches(in.GetQuery()) {
			continue
		}
		if skip--; skip >= 0 {
			continue
		}
		if len(out.Executions) == int(in.GetPageSize()) {
			before := 0
			_, _ = fmt.Sscan(string(in.GetNextPageToken()), &before)
			out.NextPageToken = fmt.Append(nil, before+len(out.Executions))
			break
		}
		out.Executions = append(out.Executions, r.info())
	}
	return out, nil
}

func (r *run) matches(query string) bool {
	named := func(attribute, value string) bool {
		return !strings.Contains(query, attribute+" ") || strings.Contains(query, attribute+" = '"+value+"'")
	}
	running := !strings.Contains(query, "ExecutionStatus = 'Running'") || r.status() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	release, _ := r.options.TypedSearchAttributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword(schemas.AttrRelease))
	onRelease := !strings.Contains(query, schemas.AttrRelease) || release != "" && strings.Contains(query, "'"+release+"'")
	suite, _ := r.options.TypedSearchAttributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword(schemas.AttrSuite))
	return running && onRelease && named(schemas.AttrSuite, suite) && named("WorkflowType", r.kind) && named("WorkflowId", r.options.ID) &&
		named(schemas.AttrTenant, strings.Split(r.options.ID, "/")[1])
}

// DescribeTaskQueue says whether workers poll.
func (f *Temporal) DescribeTaskQueue(context.Context, string, enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &workflowservice.DescribeTaskQueueResponse{}
	if !f.idle {
		out.Pollers = []*taskqueuepb.PollerInfo{{Identity: "test"}}
	}
	return out, f.down
}

// CheckHealth fails while the fake is broken.
func (f *Temporal) CheckHealth(context.Context, *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &client.CheckHealthResponse{}, f.down
}

type handle struct {
	temporal *Temporal
	run      *run
}

// GetID implements client.WorkflowRun.
func (h handle) GetID() string { return h.run.options.ID }

// GetRunID implements client.WorkflowRun.
func (h handle) GetRunID() string { return h.run.runID }

// GetFirstExecutionRunID implements client.WorkflowRun.
func (h handle) GetFirstExecutionRunID() string { return h.run.runID }

// Get waits for the result.
func (h handle) Get(ctx context.Context, out any) error {
	select {
	case <-h.run.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if h.run.err != nil || out == nil {
		return h.run.err
	}
	data, err := json.Marshal(h.run.result)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// GetWithOptions is Get.
func (h handle) GetWithOptions(ctx context.Context, out any, _ client.WorkflowRunGetOptions) error {
	return h.Get(ctx, out)
}

// lost is a workflow that does not exist.
type lost struct {
	id, runID string
	err       error
}

// GetID implements client.WorkflowRun.
func (l lost) GetID() string { return l.id }

// GetRunID implements client.WorkflowRun.
func (l lost) GetRunID() string { return l.runID }

// GetFirstExecutionRunID implements client.WorkflowRun.
func (l lost) GetFirstExecutionRunID() string { return l.runID }

// Get fails.
func (l lost) Get(context.Context, any) error { return l.err }

// GetWithOptions fails.
func (l lost) GetWithOptions(context.Context, any, client.WorkflowRunGetOptions) error { return l.err }
