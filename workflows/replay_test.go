package workflows_test

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
	"github.com/tenuto-dev/tenuto/workflows"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// recorded lists the histories that deploy/e2e recorded from released code.
func recorded(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "replay", "*.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatal("testdata/replay holds no histories; TestRecord of deploy/e2e makes them")
	}
	return paths
}

func readHistory(t *testing.T, path string) *historypb.History {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	history, err := client.HistoryFromJSON(unpacked, client.HistoryJSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return history
}

// replay runs the registered workflows over a recorded history.
func replay(t *testing.T, path string, register func(workflows.Registry)) error {
	t.Helper()
	replayer := worker.NewWorkflowReplayer()
	register(replayer)
	return replayer.ReplayWorkflowHistory(telemetry.Temporal(zap.NewNop()), readHistory(t, path))
}

// TestReplay requires that the workflows still decide what they decided when the histories were recorded.
func TestReplay(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, path := range recorded(t) {
		name, _, _ := strings.Cut(filepath.Base(path), "-")
		seen[name] = true
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			if err := replay(t, path, workflows.Register); err != nil {
				t.Errorf("%v\nRunning workflows would break: keep the old decision behind workflow.GetVersion.", err)
			}
		})
	}
	for _, name := range []string{
		schemas.Ingest.Name(), schemas.IngestShard.Name(), schemas.Chain.Name(), schemas.ChainPart.Name(), schemas.Lane.Name(), schemas.Drop.Name(),
		schemas.Reconcile.Name(), schemas.MakeRelease.Name(), schemas.RecallRuns.Name(), schemas.Ledger.Name(), schemas.Callback.Name(),
		schemas.Evaluate.Name(), schemas.EvalTurn.Name(), schemas.Bulk.Name(),
	} {
		if !seen[name] {
			t.Errorf("no history of workflow %s is recorded", name)
		}
	}
}

// nondeterminism is the SDK's code for a workflow that decides otherwise than its history says.
const nondeterminism = "TMPRL1100"

// TestReplayFindsChanges replays with workflows that were altered on purpose, to know that the net holds.
func TestReplayFindsChanges(t *testing.T) {
	t.Parallel()
	for _, altered := range []struct {
		fixture  string
		register func(workflows.Registry)
	}{
		{"Ingest-recovered.json.gz", func(r workflows.Registry) { alter(r, schemas.Ingest, ingestWithoutEmbedding) }},
		{"Chain-kinds.json.gz", func(r workflows.Registry) { alter(r, schemas.Chain, chainThatRecordsFirst) }},
		{"Chain-parts.json.gz", func(r workflows.Registry) {
			alter(r, schemas.Chain, chainOf(func(in *schemas.RunRequest) { in.RunID += "x" }))
		}},
		{"Chain-failed.json.gz", func(r workflows.Registry) { alter(r, schemas.Chain, chainThatRecordsFirst) }},
		{"Chain-cancelled.json.gz", func(r workflows.Registry) { alter(r, schemas.Chain, chainThatRecordsFirst) }},
		{"Chain-decided.json.gz", func(r workflows.Registry) { alter(r, schemas.Chain, chainThatRecordsFirst) }},
		{"Chain-promoted.json.gz", func(r workflows.Registry) {
			alter(r, schemas.Chain, chainOf(func(in *schemas.RunRequest) { in.Done = nil }))
		}},
		{"Chain-batch.json.gz", func(r workflows.Registry) {
			alter(r, schemas.Chain, chainOf(func(in *schemas.RunRequest) { in.Batch = false }))
		}},
		{"ChainPart-first.json.gz", func(r workflows.Registry) { alter(r, schemas.ChainPart, partThatEndsEarly) }},
		{"Reconcile-scheduled.json.gz", func(r workflows.Registry) { alter(r, schemas.Reconcile, reconcileNothing) }},
		{"Reconcile-asked.json.gz", func(r workflows.Registry) { alter(r, schemas.Reconcile, reconcileNothing) }},
		{"Release-imported.json.gz", func(r workflows.Registry) { alter(r, schemas.MakeRelease, releaseOfNoCommit) }},
		{"Recall-rerun.json.gz", func(r workflows.Registry) { alter(r, schemas.RecallRuns, recallThatLooksOnce) }},
		{"Ledger-lost.json.gz", func(r workflows.Registry) { alter(r, schemas.Ledger, ledgerOf(&schemas.LedgerState{})) }},
		{"Ledger-continued.json.gz", func(r workflows.Registry) { alter(r, schemas.Ledger, ledgerOf(nil)) }},
		{"Callback-delivered.json.gz", func(r workflows.Registry) { alter(r, schemas.Callback, callbackThatTellsFirst) }},
		{"Callback-refused.json.gz", func(r workflows.Registry) { alter(r, schemas.Callback, callbackThatTellsFirst) }},
		{"Lane-runs.json.gz", func(r workflows.Registry) { alter(r, schemas.Lane, laneThatRecordsFirst) }},
		{"Lane-batch1.json.gz", func(r workflows.Registry) { alter(r, schemas.Lane, laneThatRecordsFirst) }},
		{"Evaluate-matrix.json.gz", func(r workflows.Registry) { alter(r, schemas.Evaluate, evaluateWithoutTurns) }},
		{"Evaluate-decided.json.gz", func(r workflows.Registry) { alter(r, schemas.Evaluate, evaluateWithoutTurns) }},
		{"EvalTurn-first.json.gz", func(r workflows.Registry) { alter(r, schemas.EvalTurn, turnThatEnds) }},
		{"Bulk-again.json.gz", func(r workflows.Registry) { alter(r, schemas.Bulk, bulkThatOrdersNothing) }},
	} {
		t.Run(altered.fixture, func(t *testing.T) {
			t.Parallel()
			err := replay(t, filepath.Join("testdata", "replay", altered.fixture), altered.register)
			if err == nil || !strings.Contains(err.Error(), nondeterminism) {
				t.Errorf("an altered workflow replays with error %v, want %s", err, nondeterminism)
			}
		})
	}
}

// TestRecordedHistoriesTellWhatTheyShould guards the fixtures themselves: each scenario must be in its history.
func TestRecordedHistoriesTellWhatTheyShould(t *testing.T) {
	t.Parallel()
	count := func(name string, kind enumspb.EventType) int {
		n := 0
		for _, event := range readHistory(t, filepath.Join("testdata", "replay", name+".json.gz")).GetEvents() {
			if event.GetEventType() == kind {
				n++
			}
		}
		return n
	}
	if n := count("Ingest-fanout", enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED); n < 3 {
		t.Errorf("Ingest-fanout has %d children, want 3 or more", n)
	}
	if n := count("Ingest-canceled", enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED); n != 1 {
		t.Errorf("Ingest-canceled is not canceled")
	}
	for name, want := range map[string]struct {
		kind  enumspb.EventType
		times int
	}{
		"Chain-parts":      {enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED, 3},
		"Chain-batch":      {enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, 2},
		"Chain-cancelled":  {enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED, 1},
		"Chain-failed":     {enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED, 1},
		"Chain-decided":    {enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED, 1},
		"ChainPart-first":  {enumspb.EVENT_TYPE_MARKER_RECORDED, 81},
		"Release-imported": {enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, 2},
		"Recall-rerun":     {enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED, 1},
		"Ledger-lost":      {enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, 2},
		"Callback-refused": {enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED, 1},
		"Lane-runs":        {enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED, 4},

		"Evaluate-matrix":    {enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED, 3},
		"Evaluate-known":     {enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED, 0},
		"Evaluate-decided":   {enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED, 1},
		"Evaluate-cancelled": {enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED, 1},
		"Evaluate-waited":    {enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED, 1},
		"Evaluate-held":      {enumspb.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED, 1},
		"Evaluate-bulk":      {enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED, 4}, // of them two turns
		"Evaluate-graded":    {enumspb.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED, 3}, // of them one turn
	} {
		if n := count(name, want.kind); n != want.times {
			t.Errorf("%s has %d events of type %s, want %d", name, n, want.kind, want.times)
		}
	}
	for _, name := range []string{"Callback-delivered", "Callback-refused"} {
		if n := count(name, enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED); n != 3 {
			t.Errorf("%s has %d calls, want 3", name, n)
		}
	}
	for _, name := range []string{"Lane-runs", "Lane-batch1"} {
		if n := count(name, enumspb.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED); n != 1 {
			t.Errorf("%s promotes %d runs", name, n)
		}
	}
	for _, name := range []string{"Ingest-recovered", "Callback-delivered"} {
		retried := false
		for _, event := range readHistory(t, filepath.Join("testdata", "replay", name+".json.gz")).GetEvents() {
			started := event.GetActivityTaskStartedEventAttributes()
			retried = retried || started.GetAttempt() > 1 && started.GetLastFailure() != nil
		}
		if !retried {
			t.Errorf("no activity of %s failed and recovered", name)
		}
	}
}

func alter[In, Out any](r workflows.Registry, contract schemas.Workflow[In, Out], fn func(workflow.Context, In) (Out, error)) {
	r.RegisterWorkflowWithOptions(fn, workflow.RegisterOptions{Name: contract.Name()})
}

// ingestWithoutEmbedding publishes what was never embedded.
func ingestWithoutEmbedding(ctx workflow.Context, in schemas.IngestRequest) (schemas.IngestReport, error) {
	plan, err := step.Do(ctx, step.Bulk, schemas.PlanIngest, in, "")
	if err != nil {
		return schemas.IngestReport{}, err
	}
	for _, bucket := range plan.Inline {
		prepared, err := step.Do(ctx, step.Bulk, schemas.PrepareBucket, schemas.BucketRequest{Snapshot: in.Snapshot, Bucket: bucket, Recipe: plan.Recipe}, "")
		if err != nil {
			return schemas.IngestReport{}, err
		}
		if _, err := step.Do(ctx, step.Bulk, schemas.PublishBucket, schemas.PublishRequest{Prepared: prepared.Prepared}, ""); err != nil {
			return schemas.IngestReport{}, err
		}
	}
	out, err := step.Do(ctx, step.Bulk, schemas.FinishIngest, schemas.FinishRequest{Ingest: in, Plan: plan}, "")
	return out.Report, err
}

// chainThatRecordsFirst writes the record before there is anything to record.
func chainThatRecordsFirst(ctx workflow.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
	out, err := step.DoLocal(ctx, step.Interactive, schemas.RecordRun, schemas.RecordRequest{Run: in}, "")
	if err != nil {
		return schemas.RunOutcome{}, err
	}
	_, err = step.DoLocal(ctx, step.Interactive, schemas.RunStep, schemas.StepRequest{Tenant: in.Tenant, RunID: in.RunID}, "")
	return out, err
}

// chainOf is Chain with another input than the recorded one.
func chainOf(change func(*schemas.RunRequest)) func(workflow.Context, schemas.RunRequest) (schemas.RunOutcome, error) {
	return func(ctx workflow.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
		change(&in)
		return workflows.Chain(ctx, in)
	}
}

// callbackThatTellsFirst tells of a run before it is carried out.
func callbackThatTellsFirst(ctx workflow.Context, in schemas.CallbackRequest) (schemas.Delivery, error) {
	of := schemas.CallbackOf{Tenant: in.Run.Tenant, RunID: in.Run.RunID, StartMS: in.Run.StartMS}
	return step.Do(ctx, step.Notify, schemas.DeliverCallback, schemas.DeliverRequest{CallbackOf: of, URL: in.Run.Callback}, "")
}

// partThatEndsEarly leaves out the last item.
func partThatEndsEarly(ctx workflow.Context, in schemas.PartRequest) (schemas.PartOutcome, error) {
	in.To--
	return workflows.ChainPart(ctx, in)
}

// laneThatRecordsFirst writes records before there is anything to record.
func laneThatRecordsFirst(ctx workflow.Context, _ schemas.LaneRequest) (schemas.LaneOutcome, error) {
	err := step.Handle(ctx, schemas.LaneRun, func(ctx workflow.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
		return step.DoLocal(ctx, step.Record, schemas.RecordRun, schemas.RecordRequest{Run: in}, "")
	}, func(schemas.RunRequest) error { return nil })
	if err != nil {
		return schemas.LaneOutcome{}, err
	}
	err = step.Handle(ctx, schemas.LaneRuns, func(ctx workflow.Context, in schemas.LaneBatch) (schemas.LaneOutcomes, error) {
		out, err := step.DoLocal(ctx, step.Record, schemas.RecordRun, schemas.RecordRequest{Run: in.Runs[0]}, "")
		return schemas.LaneOutcomes{Outcomes: []schemas.RunOutcome{out}}, err
	}, func(schemas.LaneBatch) error { return nil })
	if err != nil {
		return schemas.LaneOutcome{}, err
	}
	_, err = workflow.AwaitWithTimeout(ctx, time.Hour, func() bool { return false })
	return schemas.LaneOutcome{}, err
}

// evaluateWithoutTurns judges what nobody asked.
func evaluateWithoutTurns(ctx workflow.Context, in schemas.EvalRequest) (schemas.EvalSummary, error) {
	if _, err := step.Do(ctx, step.Planning, schemas.PlanEval, in, ""); err != nil {
		return schemas.EvalSummary{}, err
	}
	out, err := step.Do(ctx, step.Planning, schemas.JudgeEval, schemas.JudgeRequest{Request: in}, "")
	return out.Summary, err
}

// turnThatEnds gives the turn back before anybody cancels it.
func turnThatEnds(ctx workflow.Context, _ schemas.TurnRequest) (schemas.EvalState, error) {
	return schemas.EvalEnded, workflow.Sleep(ctx, time.Second)
}

// bulkThatOrdersNothing says that all calls are answered.
func bulkThatOrdersNothing(ctx workflow.Context, in schemas.BulkRequest) (schemas.BulkReport, error) {
	_, err := step.Do(ctx, step.Patient, schemas.PlanBulk, schemas.BulkRound{Bulk: in}, "")
	return schemas.BulkReport{}, err
}

// reconcileNothing says that all is well without a look.
func reconcileNothing(workflow.Context, schemas.ReconcileRequest) (schemas.ReconcileReport, error) {
	return schemas.ReconcileReport{}, nil
}

// releaseOfNoCommit reads the folder at whatever the ref names by then.
func releaseOfNoCommit(ctx workflow.Context, in schemas.ReleaseRequest) (schemas.ReleaseOutcome, error) {
	return step.Do(ctx, step.Reading, schemas.CompileRelease, in, "")
}

// recallThatLooksOnce does not wait for the runs that it found.
func recallThatLooksOnce(ctx workflow.Context, in schemas.RecallRequest) (schemas.RecallReport, error) {
	if _, err := step.Do(ctx, step.Patient, schemas.BeginRecall, in, ""); err != nil {
		return schemas.RecallReport{}, err
	}
	if _, err := step.Do(ctx, step.Patient, schemas.SweepRecall, in, ""); err != nil {
		return schemas.RecallReport{}, err
	}
	return step.Do(ctx, step.Patient, schemas.ReportRecall, in, "")
}

// ledgerOf is Ledger with another state than the recorded one.
func ledgerOf(state *schemas.LedgerState) func(workflow.Context, schemas.LedgerRequest) (schemas.LedgerOutcome, error) {
	return func(ctx workflow.Context, in schemas.LedgerRequest) (schemas.LedgerOutcome, error) {
		in.State = state
		return workflows.Ledger(ctx, in)
	}
}
