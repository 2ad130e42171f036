package e2e

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	sdk "go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/activities/provider/model/batchtest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// TestRecordEvaluations records what evaluates suites, in a house of its own.
func TestRecordEvaluations(t *testing.T) {
	t.Parallel()
	if os.Getenv("TENUTO_RECORD") == "" {
		t.Skip("TENUTO_RECORD is not set; histories are recorded on purpose only")
	}
	h := open(t, options{noIndex: true})
	recordMatrix(t, h)
	recordPaused(t, h)
	recordStopped(t, h)
	recordBulk(t, h)
	recordGraded(t, h)
	record(t, h, "Evaluate-failed", endedID(t, h.lostColumn(t, "lost")))
}

func endedID(t *testing.T, run sdk.WorkflowRun) string {
	t.Helper()
	ended(t, run)
	return run.GetID()
}

// recordGraded orders answers, and then what graders are asked about them.
func recordGraded(t *testing.T, h *house) {
	t.Helper()
	server := httptest.NewServer(batchtest.NewHandler(batchtest.Options{Delay: time.Second, Replies: graded(3)}))
	t.Cleanup(server.Close)
	run := h.evaluation(t, schemas.EvalRequest{Suite: "bulk", Package: h.bulkPack(t, server.URL, gradedSuite(3)), Bulk: true})
	record(t, h, "Evaluate-graded", endedID(t, run))
}

// TestRecordHeld records an evaluation for which a budget of the tenant has no room: it is looked at on a decision before it is raised, and after that.
func TestRecordHeld(t *testing.T) {
	t.Parallel()
	if os.Getenv("TENUTO_RECORD") == "" {
		t.Skip("TENUTO_RECORD is not set; histories are recorded on purpose only")
	}
	h := open(t, options{noIndex: true})
	u := h.admin()
	u.run(t, "budget", "set", "--tenant", "--usd-day", "0.000001")
	held := strings.Replace(askedSuite(4, "model:one"), "Repeat", "Kindly repeat", 1)
	run := h.evaluation(t, schemas.EvalRequest{Suite: "held", Package: h.suiteOf(t, "held", held, 16)})
	h.evalState(t, run, schemas.EvalPaused)
	handle, err := h.temporal(t).UpdateWorkflow(t.Context(), sdk.UpdateWorkflowOptions{
		WorkflowID: run.GetID(), UpdateName: schemas.EvalDecide.Name(), WaitForStage: sdk.WorkflowUpdateStageCompleted, Args: []any{schemas.EvalDecision{}},
	})
	if err == nil {
		err = handle.Get(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	u.run(t, "budget", "set", "--tenant", "--usd-day", "1000")
	if s := ended(t, run); s.Counts.Passed != 4 {
		t.Errorf("%+v", s)
	}
	record(t, h, "Evaluate-held", run.GetID())
}

// recordMatrix has two models compared, one of which fails for a while.
func recordMatrix(t *testing.T, h *house) {
	t.Helper()
	const text = `prompts: ['Repeat {{word}}']
providers: [model:one, model:two]
tests:
  - {vars: {word: heron}, assert: [{type: contains, value: heron}, {type: max-score}]}
  - {vars: {word: egret}, assert: [{type: contains, value: egret}]}
`
	down := make([]modeltest.Failure, 6)
	for i := range down {
		down[i].Status = 503
	}
	h.models.handler.Fail(down...)
	run := h.evaluation(t, schemas.EvalRequest{Suite: "matrix", Package: h.suiteOf(t, "matrix", text, 16)})
	ended(t, run)
	record(t, h, "Evaluate-matrix", run.GetID())
	record(t, h, "EvalTurn-first", children(history(t, h, run.GetID()))[0])
	run = h.evaluation(t, schemas.EvalRequest{Suite: "matrix", Package: h.suiteOf(t, "matrix", text, 16)})
	ended(t, run)
	record(t, h, "Evaluate-known", run.GetID())
}

// recordPaused has a budget used up and lifted.
func recordPaused(t *testing.T, h *house) {
	t.Helper()
	run := h.evaluation(t, schemas.EvalRequest{
		Suite: "paused", Package: h.suiteOf(t, "paused", askedSuite(30, "model:one"), 16), Budget: schemas.EvalBudget{Tokens: 100},
	})
	h.evalState(t, run, schemas.EvalPaused)
	handle, err := h.temporal(t).UpdateWorkflow(t.Context(), sdk.UpdateWorkflowOptions{
		WorkflowID: run.GetID(), UpdateName: schemas.EvalDecide.Name(), WaitForStage: sdk.WorkflowUpdateStageCompleted, Args: []any{schemas.EvalDecision{}},
	})
	var progress schemas.EvalProgress
	if err == nil {
		err = handle.Get(t.Context(), &progress)
	}
	if err != nil || progress.State != schemas.EvalRunning {
		t.Fatalf("%+v, %v", progress, err)
	}
	if s := ended(t, run); s.Counts.Passed != 30 {
		t.Errorf("%+v", s)
	}
	record(t, h, "Evaluate-decided", run.GetID())
}

// recordStopped cancels a run while calls are in flight and another run waits for its turn.
func recordStopped(t *testing.T, h *house) {
	t.Helper()
	own := strings.Replace(askedSuite(4, "model:one"), "Repeat", "Please repeat", 1) // what was asked today is known to all suites
	pack := h.suiteOf(t, "stopped", own, 16)
	before := h.models.handler.Stats().Chats
	h.models.handler.Fail(modeltest.Failure{Hang: true})
	run := h.evaluation(t, schemas.EvalRequest{Suite: "stopped", Package: pack})
	await(t, soon, "the model to be asked", func() bool { return h.models.handler.Stats().Chats >= before+4 })
	other := h.evaluation(t, schemas.EvalRequest{Suite: "stopped", Package: pack})
	h.evalState(t, other, schemas.EvalWaiting)
	if err := h.temporal(t).CancelWorkflow(t.Context(), run.GetID(), ""); err != nil {
		t.Fatal(err)
	}
	if s := ended(t, run); !s.Stopped || s.Counts.Passed != 3 {
		t.Errorf("cancelled: %+v", s)
	}
	if s := ended(t, other); s.Stopped || s.Counts.Passed != 4 || s.Reused != 3 {
		t.Errorf("that waited: %+v", s)
	}
	record(t, h, "Evaluate-cancelled", run.GetID())
	record(t, h, "Evaluate-waited", other.GetID())
}

// recordBulk orders batches, one row of which its provider fails at.
func recordBulk(t *testing.T, h *house) {
	t.Helper()
	server := httptest.NewServer(batchtest.NewHandler(batchtest.Options{Delay: time.Second, Fate: func(order, n int) batchtest.Fate {
		if order < 2 && n == 1 {
			return batchtest.Failing
		}
		return batchtest.Answered
	}}))
	t.Cleanup(server.Close)
	run := h.evaluation(t, schemas.EvalRequest{Suite: "bulk", Package: h.bulkSuite(t, server.URL, 3), Bulk: true})
	s := ended(t, run)
	record(t, h, "Evaluate-bulk", run.GetID())
	record(t, h, "Bulk-again", schemas.BulkID("default", schemas.EvalBulkID(schemas.ColumnRequest{Run: schemas.EvalRun{ID: s.ID}}, 0)))
}

// evalState waits until a run is in a state.
func (h *house) evalState(t *testing.T, run sdk.WorkflowRun, want schemas.EvalState) {
	t.Helper()
	await(t, soon, "the run to be "+string(want), func() bool {
		value, err := h.temporal(t).QueryWorkflow(t.Context(), run.GetID(), "", schemas.EvalShow.Name())
		var progress schemas.EvalProgress
		return err == nil && value.Get(&progress) == nil && progress.State == want
	})
}
