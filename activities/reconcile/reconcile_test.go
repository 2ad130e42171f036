package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/reconcile"
	"github.com/tenuto-dev/tenuto/schemas"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// closed is a workflow that ended.
type closed struct {
	id     string
	first  *historypb.HistoryEvent
	last   *historypb.HistoryEvent
	steps  []schemas.StepRecord
	failed error // of the query
}

// histories are a Temporal that knows some closed workflows.
type histories struct {
	mu    sync.Mutex
	all   []closed
	asked []string // queries to visibility
	down  error
}

func (h *histories) ListWorkflow(_ context.Context, r *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, r.GetQuery())
	out := &workflowservice.ListWorkflowExecutionsResponse{}
	for _, c := range h.all {
		out.Executions = append(out.Executions, &workflowpb.WorkflowExecutionInfo{
			Execution: &commonpb.WorkflowExecution{WorkflowId: c.id, RunId: "x"}, CloseTime: timestamppb.New(noon),
		})
	}
	return out, h.down
}

func (h *histories) find(id string) closed {
	for _, c := range h.all {
		if c.id == id {
			return c
		}
	}
	return closed{}
}

func (h *histories) GetWorkflowHistory(_ context.Context, id, _ string, _ bool, filter enumspb.HistoryEventFilterType) client.HistoryEventIterator {
	c := h.find(id)
	if filter == enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT {
		return &one{event: c.last}
	}
	return &one{event: c.first}
}

type one struct{ event *historypb.HistoryEvent }

func (o *one) HasNext() bool { return o.event != nil }

func (o *one) Next() (*historypb.HistoryEvent, error) {
	event := o.event
	o.event = nil
	return event, nil
}

func (h *histories) QueryWorkflow(_ context.Context, id, _, _ string, _ ...any) (converter.EncodedValue, error) {
	c := h.find(id)
	if c.failed != nil {
		return nil, c.failed
	}
	data, err := json.Marshal(schemas.RunProgress{Steps: c.steps})
	return value(data), err
}

type value []byte

func (v value) HasValue() bool { return true }

func (v value) Get(into any) error { return json.Unmarshal(v, into) }

func payloads(v any) *commonpb.Payloads {
	p, err := converter.GetDefaultDataConverter().ToPayloads(v)
	if err != nil {
		panic(err)
	}
	return p
}

func started(run schemas.RunRequest) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionStartedEventAttributes{
		WorkflowExecutionStartedEventAttributes: &historypb.WorkflowExecutionStartedEventAttributes{Input: payloads(run)},
	}}
}

func completed(output schemas.Content) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionCompletedEventAttributes{
			WorkflowExecutionCompletedEventAttributes: &historypb.WorkflowExecutionCompletedEventAttributes{Result: payloads(schemas.RunOutcome{Output: output})},
		},
	}
}

func failed(code schemas.Code) *historypb.HistoryEvent {
	inner := &failurepb.Failure{Message: "no answer", FailureInfo: &failurepb.Failure_ApplicationFailureInfo{
		ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{Type: string(code)},
	}}
	return &historypb.HistoryEvent{
		EventType: enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
		Attributes: &historypb.HistoryEvent_WorkflowExecutionFailedEventAttributes{
			WorkflowExecutionFailedEventAttributes: &historypb.WorkflowExecutionFailedEventAttributes{Failure: &failurepb.Failure{Message: "activity error", Cause: inner}},
		},
	}
}

// without is an end that has nothing but its kind.
func without(kind enumspb.EventType) *historypb.HistoryEvent {
	return &historypb.HistoryEvent{EventType: kind}
}

type bench struct {
	*reconcile.Activities
	t     *testing.T
	known *histories
	store *blob.Store
}

func setup(t *testing.T) bench {
	t.Helper()
	store := blob.New(&memblob.Driver{})
	records := journal.New(store, "here")
	known := &histories{}
	return bench{&reconcile.Activities{
		Temporal: known, Store: store, Journal: records, Filler: &chain.Activities{Store: store, Journal: records}, Now: func() time.Time { return noon },
	}, t, known, store}
}

func request(id string) schemas.RunRequest {
	return schemas.RunRequest{
		Tenant: "default", RunID: id, StartMS: noon.Add(-time.Hour).UnixMilli(), Plan: schemas.Plan{Chain: "c"}, Input: schemas.Content{Text: `{"q":"<why>"}`},
	}
}

// run adds a closed run.
func (b bench) run(id string, last *historypb.HistoryEvent, change ...func(*closed)) {
	c := closed{id: schemas.RunWorkflowID("default", id), first: started(request(id)), last: last}
	for _, f := range change {
		f(&c)
	}
	b.known.all = append(b.known.all, c)
}

func recordKey(id string, days int) string {
	return schemas.RunKey("default", id, time.UnixMilli(request(id).StartMS).AddDate(0, 0, days))
}

func (b bench) record(id, status string, change ...func(*schemas.Exchange)) {
	b.t.Helper()
	e := schemas.Exchange{RunID: id, Tenant: "default", Status: status, StartMS: request(id).StartMS, Output: json.RawMessage(`{"text":"<b>"}`)}
	for _, f := range change {
		f(&e)
	}
	data, err := json.Marshal(e)
	if err == nil {
		err = b.store.Put(b.t.Context(), recordKey(id, 0), data)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b bench) page() schemas.ReconcileReport {
	b.t.Helper()
	out, err := b.Page(b.t.Context(), schemas.ReconcilePageRequest{Tenant: "default", FromMS: 1, ToMS: 2})
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Report
}

func (b bench) read(id string) schemas.Exchange {
	b.t.Helper()
	var e schemas.Exchange
	data, err := b.store.Get(b.t.Context(), recordKey(id, 0))
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return e
}

// text is an output as a workflow has it, where the record has the same written otherwise.
var text = schemas.Content{Text: `{ "text": "<b>" }`}

func TestWhatAgreesAndWhatDiffers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		last   *historypb.HistoryEvent
		status string
		change func(*schemas.Exchange)
		says   string // empty agrees
	}{
		"done":                     {completed(text), schemas.RunDone, nil, ""},
		"failed":                   {failed(schemas.Deadline), schemas.RunFailed, nil, ""},
		"cancelled":                {without(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED), schemas.RunCancelled, nil, ""},
		"another output":           {completed(schemas.Content{Text: `"x"`}), schemas.RunDone, nil, "another output"},
		"another end":              {failed(schemas.Deadline), schemas.RunDone, nil, "the workflow says failed, the record done"},
		"ended after its record":   {without(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED), schemas.RunDone, nil, "the workflow says failed"},
		"a record of another run":  {completed(text), schemas.RunDone, func(e *schemas.Exchange) { e.RunID = "y" }, "another run"},
		"an output that was lost":  {completed(schemas.Content{Ref: schemas.Ref{Key: "tenants/default/blobs/a", SHA256: "a"}}), schemas.RunDone, nil, "another output"},
		"an output that is beside": {completed(schemas.Content{Ref: schemas.Ref{Key: "k", SHA256: "abc"}}), schemas.RunDone, func(e *schemas.Exchange) { e.Output, e.OutputRef = nil, schemas.Ref{Key: "k", SHA256: "abc"} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.run("r", test.last)
			b.record("r", test.status, func(e *schemas.Exchange) {
				if test.change != nil {
					test.change(e)
				}
			})
			before, _ := b.store.Get(t.Context(), recordKey("r", 0))
			report := b.page()
			if test.says == "" {
				if diff := cmp.Diff(schemas.ReconcileReport{Checked: 1, Agree: 1}, report, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Findings" }, cmp.Ignore())); diff != "" {
					t.Errorf("%s %v", diff, report.Findings)
				}
				return
			}
			if report.Differ != 1 || !strings.Contains(report.Findings[0].Detail, test.says) {
				t.Errorf("report %+v", report)
			}
			if after, _ := b.store.Get(t.Context(), recordKey("r", 0)); string(after) != string(before) {
				t.Errorf("the record was changed to %s", after)
			}
		})
	}
}

func TestASecondRecordAndADamagedOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run("two", completed(text))
	b.record("two", schemas.RunDone)
	if err := b.store.Put(t.Context(), recordKey("two", 1), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	b.run("damaged", completed(text))
	if err := b.store.Put(t.Context(), recordKey("damaged", 0), []byte("{")); err != nil {
		t.Fatal(err)
	}
	report := b.page()
	if report.Differ != 2 || !strings.Contains(report.Findings[0].Detail, "second record") || !strings.Contains(report.Findings[1].Detail, "cannot be read") {
		t.Errorf("report %+v", report)
	}
}

// TestFilledOnce fills in runs that left no record: one that was done, one that failed, and some that were cut off.
func TestFilledOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	detail, _ := json.Marshal(schemas.StepDetail{StartMS: 5, TookMS: 7, Calls: []schemas.CallDetail{{Model: "m", Usage: schemas.Usage{Calls: 1, InputTokens: 3}}}})
	b.run("done", completed(text), func(c *closed) {
		c.steps = []schemas.StepRecord{{ID: "s", Kind: schemas.StepGenerate, Output: schemas.Content{Text: `"x"`}, Details: []schemas.Content{{Text: string(detail)}}}}
	})
	b.run("failed", failed(schemas.RateLimited))
	b.run("terminated", without(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED))
	b.run("late", without(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT), func(c *closed) { c.failed = &serviceerror.QueryFailed{Message: "nondeterministic"} })
	b.run("unbegun", without(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED), func(c *closed) { c.failed = &serviceerror.WorkflowNotReady{Message: "closed before its first task"} })
	b.run("gone", completed(text), func(c *closed) {
		lost := schemas.Content{Ref: schemas.Ref{Key: "tenants/default/blobs/x", SHA256: "x", Bytes: 2000}}
		c.steps = []schemas.StepRecord{{ID: "s", Kind: schemas.StepGenerate, Output: lost, Details: []schemas.Content{lost}}}
	})
	report := b.page()
	if report.Filled != 6 || report.Checked != 6 {
		t.Fatalf("report %+v", report)
	}
	if again := b.page(); again.Filled != 0 || again.Agree != 6 {
		t.Errorf("a second time: %+v", again)
	}
	done := b.read("done")
	if done.Status != schemas.RunDone || done.FilledMS != noon.UnixMilli() || string(done.Output) != `{"text":"\u003cb\u003e"}` || len(done.Steps) != 1 ||
		done.Usage.InputTokens != 3 || done.Cost.Unknown != 1 || done.TookMS != time.Hour.Milliseconds() || done.Chain != "c" {
		t.Errorf("filled in as %+v", done)
	}
	for id, want := range map[string]schemas.StepError{
		"failed": {Code: schemas.RateLimited, Message: "no answer"}, "terminated": {Code: schemas.Conflict, Message: "it was terminated by an operator"},
		"late": {Code: schemas.Deadline, Message: "it took longer than allowed"},
	} {
		if e := b.read(id); e.Status != schemas.RunFailed || e.Failure == nil || *e.Failure != want {
			t.Errorf("%s is %s: %+v", id, e.Status, e.Failure)
		}
	}
	if e := b.read("gone"); len(e.Steps) != 1 || e.Steps[0].ID != "s" {
		t.Errorf("steps %+v", e.Steps)
	}
}

// TestARecordOnItsWayIsNotFilledIn finds it in the journal of another process.
func TestARecordOnItsWayIsNotFilledIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run("r", completed(text))
	data, _ := json.Marshal(schemas.Exchange{RunID: "r", Tenant: "default", Status: schemas.RunDone, Output: json.RawMessage(`{"text":"<b>"}`)})
	entry := journal.Entry{Tenant: "default", Run: "r", Key: recordKey("r", 0), Data: data, Keep: true}
	if err := journal.New(b.store, "other").Append(entry).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if report := b.page(); report.Agree != 1 {
		t.Errorf("report %+v", report)
	}
}

func TestWhatCannotBeCompared(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.known.all = append(b.known.all, closed{id: "something/else", first: started(request("r")), last: completed(text)})
	b.run("foreign", completed(text), func(c *closed) { c.first = started(request("other")) })
	b.run("unreadable", completed(text), func(c *closed) { c.first = without(enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED) })
	b.run("endless", without(enumspb.EVENT_TYPE_WORKFLOW_TASK_STARTED))
	report := b.page()
	if report.Missing != 4 || report.Filled != 0 {
		t.Errorf("report %+v", report)
	}
}

func TestItWaitsForTemporalAndTheWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.run("r", completed(text), func(c *closed) { c.failed = errors.New("no poller") })
	in := schemas.ReconcilePageRequest{FromMS: 1, ToMS: 2}
	if _, err := b.Page(t.Context(), in); schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("without a worker: %v", err)
	}
	if _, err := b.store.Stat(t.Context(), recordKey("r", 0)); err == nil {
		t.Error("it was filled in without its steps")
	}
	later := b.Now
	b.Now = func() time.Time { return later().Add(2 * time.Hour) }
	if out, err := b.Page(t.Context(), in); err != nil || out.Report.Filled != 1 || !strings.Contains(out.Report.Findings[0].Detail, "not known") {
		t.Errorf("hours later: %+v, %v", out, err)
	}
	b.known.down = &serviceerror.Unavailable{Message: "down"}
	if _, err := b.Page(t.Context(), in); schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("without Temporal: %v", err)
	}
	b.known.down = &serviceerror.InvalidArgument{Message: "no such attribute"}
	if _, err := b.Page(t.Context(), in); schemas.CodeOf(err) != schemas.Internal {
		t.Errorf("with a wrong question: %v", err)
	}
	want := "WorkflowType = 'Chain' AND ExecutionStatus != 'Running' AND CloseTime >= '1970-01-01T00:00:00.001Z' AND CloseTime < '1970-01-01T00:00:00.002Z'"
	if diff := cmp.Diff(want, b.known.asked[0]); diff != "" {
		t.Error(diff)
	}
	b.known.down = nil
	b.known.all = nil
	b.page()
	if got := b.known.asked[len(b.known.asked)-1]; got != want+" AND TenutoTenant = 'default'" {
		t.Error(got)
	}
}

func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 80 {
		b.run(fmt.Sprintf("r%d", i), failed(schemas.Deadline))
	}
	if report := b.page(); report.Filled != 80 || len(report.Findings) != schemas.MaxFindings {
		t.Errorf("%d filled, %d findings", report.Filled, len(report.Findings))
	}
}
