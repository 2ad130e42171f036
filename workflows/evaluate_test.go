package workflows_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
)

// evaluating is a test environment with typed fakes of the calls of evaluations, which note what they were asked.
type evaluating struct {
	*testsuite.TestWorkflowEnvironment

	plan               schemas.EvalPlan
	open               func(in schemas.ColumnRequest) (schemas.ColumnWork, error) // nil: everything is left to do
	cells              func(ctx context.Context, in schemas.CellsRequest) (schemas.CellsOutcome, error)
	compare            func(in schemas.CompareRequest) schemas.CellsOutcome
	judge              func(in schemas.JudgeRequest) schemas.EvalJudgement
	judging, comparing error
	alert              error
	room               func(in schemas.RoomRequest) error // nil: there is room at once

	mu       sync.Mutex
	requests []schemas.EvalRequest
	asked    []schemas.CellsRequest
	times    []time.Time // of what was asked, by the clock of the environment
	compared []schemas.CompareRequest
	judged   []schemas.JudgeRequest
	alerts   []schemas.EvalAlert
	running  int
	most     int
}

// newEvaluating has a plan of columns with so many batches of ten cells each, which are answered at once.
func newEvaluating(t *testing.T, batches ...int) *evaluating {
	t.Helper()
	e := &evaluating{TestWorkflowEnvironment: quiet(t), plan: schemas.EvalPlan{Hash: "p", Batch: 10}}
	e.SetTestTimeout(time.Minute)
	for n, b := range batches {
		e.plan.Columns = append(e.plan.Columns, schemas.EvalColumn{
			ID: "c" + string(rune('0'+n)), Provider: schemas.EvalProvider{ID: "m"}, Cells: 10 * b, Batches: b, Calls: true,
		})
	}
	e.bind()
	return e
}

func (e *evaluating) bind() {
	bind.Activity(e, schemas.PlanEval, func(_ context.Context, in schemas.EvalRequest) (schemas.EvalPlan, error) {
		e.requests = append(e.requests, in)
		return e.plan, nil
	})
	bind.Activity(e, schemas.OpenColumn, func(_ context.Context, in schemas.ColumnRequest) (schemas.ColumnWork, error) {
		if e.open != nil {
			return e.open(in)
		}
		return schemas.ColumnWork{Batches: e.plan.Columns[in.Column].Batches, Prefix: "x/", Fresh: true}, nil
	})
	bind.Activity(e, schemas.RunCells, e.runCells)
	bind.Activity(e, schemas.Compare, func(_ context.Context, in schemas.CompareRequest) (schemas.CellsOutcome, error) {
		e.compared = append(e.compared, in)
		if e.compare == nil {
			return schemas.CellsOutcome{}, e.comparing
		}
		return e.compare(in), nil
	})
	bind.Activity(e, schemas.JudgeEval, func(_ context.Context, in schemas.JudgeRequest) (schemas.EvalJudgement, error) {
		e.judged = append(e.judged, in)
		if e.judging != nil {
			return schemas.EvalJudgement{}, e.judging
		}
		if e.judge != nil {
			return e.judge(in), nil
		}
		return schemas.EvalJudgement{Summary: schemas.EvalSummary{ID: in.Run.ID, Ruling: schemas.RulingPassed}}, nil
	})
	bind.Activity(e, schemas.AwaitRoom, func(_ context.Context, in schemas.RoomRequest) (schemas.EvalRoom, error) {
		if e.room == nil {
			return schemas.EvalRoom{AtMS: 1}, nil
		}
		return schemas.EvalRoom{}, e.room(in)
	})
	bind.Activity(e, schemas.AlertEval, func(_ context.Context, in schemas.EvalAlert) (schemas.EvalAlerted, error) {
		e.alerts = append(e.alerts, in)
		return schemas.EvalAlerted{}, e.alert
	})
}

func (e *evaluating) runCells(ctx context.Context, in schemas.CellsRequest) (schemas.CellsOutcome, error) {
	e.mu.Lock()
	e.asked, e.times = append(e.asked, in), append(e.times, e.Now())
	e.running++
	e.most = max(e.most, e.running)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.running--
		e.mu.Unlock()
	}()
	if e.cells == nil {
		time.Sleep(time.Millisecond) // real time, so that others may begin
		return tenDone(), nil
	}
	return e.cells(ctx, in)
}

// tenDone is a batch of ten cells that passed, for 100 tokens and ten cents.
func tenDone() schemas.CellsOutcome {
	return schemas.CellsOutcome{Done: 10, Passed: 10, Usage: schemas.Usage{Calls: 10, InputTokens: 60, OutputTokens: 40}, Cost: schemas.Cost{USD: 0.1}}
}

func evalRequest() schemas.EvalRequest {
	return schemas.EvalRequest{Tenant: "default", Suite: "s", ID: "e1", StartMS: 1}
}

func (e *evaluating) run(t *testing.T, in schemas.EvalRequest) schemas.EvalSummary {
	t.Helper()
	e.ExecuteWorkflow(schemas.Evaluate.Name(), in)
	var s schemas.EvalSummary
	if err := e.GetWorkflowResult(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (e *evaluating) progress(t *testing.T) (p schemas.EvalProgress) {
	t.Helper()
	value, err := e.QueryWorkflow(schemas.EvalShow.Name())
	if err == nil {
		err = value.Get(&p)
	}
	if err != nil {
		t.Error(err)
	}
	return p
}

// decide sends a decision after a while, and notes why it was refused.
func (e *evaluating) decide(after time.Duration, d schemas.EvalDecision, refused *error) {
	e.RegisterDelayedCallback(func() {
		e.UpdateWorkflow(schemas.EvalDecide.Name(), after.String(), &testsuite.TestUpdateCallback{
			OnReject: func(err error) { *refused = err }, OnAccept: func() {}, OnComplete: func(any, error) {},
		}, d)
	}, after)
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 3, 2)
	e.plan.Notify = schemas.EvalNotify{Webhook: "https://example.com"}
	if s := e.run(t, evalRequest()); s.Ruling != schemas.RulingPassed {
		t.Errorf("%+v", s)
	}
	want := schemas.EvalProgress{
		State: schemas.EvalEnded, Cells: 50, Done: 50, Passed: 50, Usage: schemas.Usage{Calls: 50, InputTokens: 300, OutputTokens: 200},
		Cost: schemas.Cost{USD: 0.5}, Forecast: schemas.Cost{USD: 0.5},
	}
	if diff := cmp.Diff(want, e.progress(t), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
		t.Error(diff)
	}
	if len(e.judged) != 1 || e.judged[0].Stopped || !e.judged[0].MayRepeat || e.judged[0].Usage.Calls != 50 || e.judged[0].Run.Plan != "p" {
		t.Errorf("%+v", e.judged)
	}
	for _, in := range e.asked {
		if !in.Fresh || in.Last || in.Prefix != "x/" {
			t.Errorf("%+v", in)
		}
	}
	if len(e.alerts) != 1 || e.alerts[0].Summary.ID != "e1" {
		t.Errorf("told %+v", e.alerts)
	}
}

// TestEvaluateBySchedule gives a run that was started by a schedule an id and a start.
func TestEvaluateBySchedule(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1)
	e.run(t, schemas.EvalRequest{Tenant: "default", Suite: "s"})
	in := e.requests[0]
	if start, ok := schemas.RunStart(in.ID); !ok || start.UnixMilli() != in.StartMS || in.StartMS <= 0 || e.judged[0].Run.ID != in.ID {
		t.Errorf("%+v, judged %+v", in, e.judged[0].Run)
	}
}

// TestEvaluateWithoutWork plans and judges, and asks nobody.
func TestEvaluateWithoutWork(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 3)
	e.plan.Known, e.plan.Comparisons = true, 2
	e.run(t, evalRequest())
	if p := e.progress(t); p.Done != 30 || p.Reused != 30 || p.Forecast.USD != 0 || len(e.asked)+len(e.compared) != 0 {
		t.Errorf("%+v, asked %d and %d times", p, len(e.asked), len(e.compared))
	}
}

// TestColumnsOfOneProvider go one after the other, under one turn; those of another go beside them.
func TestColumnsOfOneProvider(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 2, 2, 2)
	e.plan.Columns[2].ID = e.plan.Columns[0].ID
	var turns []string
	e.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		turns = append(turns, info.WorkflowExecution.ID)
	})
	e.run(t, evalRequest())
	slices.Sort(turns)
	if diff := cmp.Diff([]string{schemas.EvalTurnID("default", "s", "c0"), schemas.EvalTurnID("default", "s", "c1")}, turns); diff != "" {
		t.Error(diff)
	}
	var order []int
	for _, in := range e.asked {
		if in.Column != 1 {
			order = append(order, in.Column)
		}
	}
	if diff := cmp.Diff([]int{0, 0, 2, 2}, order); diff != "" {
		t.Error(diff)
	}
}

// above runs Evaluate below a workflow that asks for the turn of a column afterwards.
func (e *evaluating) above(t *testing.T) (failure string) {
	t.Helper()
	e.RegisterWorkflowWithOptions(func(ctx workflow.Context) (string, error) {
		err := workflow.ExecuteChildWorkflow(ctx, schemas.Evaluate.Name(), evalRequest()).Get(ctx, nil)
		_ = workflow.Sleep(ctx, time.Second) // cancelled by nobody
		ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: schemas.EvalTurnID("default", "s", "c0")})
		turn := workflow.ExecuteChildWorkflow(ctx, schemas.EvalTurn.Name(), schemas.TurnRequest{})
		if err := turn.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
			t.Errorf("the turn cannot be had: %v", err)
		}
		if err == nil {
			return "", nil
		}
		return err.Error(), nil
	}, workflow.RegisterOptions{Name: "above"})
	e.ExecuteWorkflow("above")
	if err := e.GetWorkflowResult(&failure); err != nil {
		t.Fatal(err)
	}
	return failure
}

// TestEvaluateThatBreaks ends with the reason, and gives the turn back.
func TestEvaluateThatBreaks(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1)
	e.judging = schemas.Errorf(schemas.Invalid, "the baseline is of another suite")
	if got := e.above(t); !strings.Contains(got, "of another suite") || len(e.judged) != 1 {
		t.Errorf("%s, judged %+v", got, e.judged)
	}
}

// TestCellsAreTriedAgain waits longer each time, and as long as a provider asked for.
func TestCellsAreTriedAgain(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1)
	e.cells = func(_ context.Context, in schemas.CellsRequest) (schemas.CellsOutcome, error) {
		out := schemas.CellsOutcome{Again: 1, Reason: "slower"}
		switch {
		case in.Try == 0:
			out.Done = 9
		case in.Try == 2:
			out.RetryAfterMS = 600_000
		case in.Last:
			out = schemas.CellsOutcome{Errored: 1, Reason: "slower"}
		}
		return out, nil
	}
	e.run(t, evalRequest())
	want := []time.Duration{time.Second, 2 * time.Second, 10 * time.Minute, 8 * time.Second, 16 * time.Second, 32 * time.Second}
	var waits []time.Duration
	for n := 1; n < len(e.times); n++ {
		waits = append(waits, e.times[n].Sub(e.times[n-1]).Round(time.Second))
	}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Error(diff)
	}
	for n, in := range e.asked {
		if in.Try != n || in.Last != (n == 6) || in.Fresh != (n == 0) {
			t.Errorf("try %d is %+v", n, in)
		}
	}
	if p := e.progress(t); p.Done != 9 || p.Errored != 1 {
		t.Errorf("%+v", p)
	}
}

// TestEvaluateWithinABudget pauses a run before it uses more than it may, and has somebody decide.
func TestEvaluateWithinABudget(t *testing.T) {
	t.Parallel()
	unknown := tenDone()
	unknown.Cost = schemas.Cost{Unknown: 10}
	failing := schemas.CellsOutcome{Again: 10, Usage: schemas.Usage{InputTokens: 100}}
	for name, test := range map[string]struct {
		budget schemas.EvalBudget
		first  *schemas.CellsOutcome // of the first call, where it is another
		waits  string
		paused int // cells that are done when it pauses
		decide schemas.EvalDecision
		batches,
		calls int
		stopped bool
	}{
		"raised in tokens": {schemas.EvalBudget{Tokens: 250}, nil, "used up", 20, schemas.EvalDecision{Budget: schemas.EvalBudget{Tokens: 500}}, 5, 5, false},
		"raised in money":  {schemas.EvalBudget{USD: 0.25}, nil, "used up", 20, schemas.EvalDecision{Budget: schemas.EvalBudget{USD: 0.51}}, 5, 5, false},
		"lifted":           {schemas.EvalBudget{Tokens: 250}, nil, "used up", 20, schemas.EvalDecision{}, 5, 5, false},
		"stopped":          {schemas.EvalBudget{Tokens: 250}, nil, "used up", 20, schemas.EvalDecision{Stop: true}, 5, 2, true},
		"no price":         {schemas.EvalBudget{USD: 100}, &unknown, "models.yaml", 10, schemas.EvalDecision{Budget: schemas.EvalBudget{Tokens: 500}}, 5, 5, false},
		"paid for nothing": {schemas.EvalBudget{Tokens: 50}, &failing, "used up", 0, schemas.EvalDecision{Budget: schemas.EvalBudget{Tokens: 1000}}, 2, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEvaluating(t, test.batches)
			e.plan.Budget = test.budget
			calls := 0
			e.cells = func(context.Context, schemas.CellsRequest) (schemas.CellsOutcome, error) {
				e.mu.Lock()
				defer e.mu.Unlock()
				if calls++; calls == 1 && test.first != nil {
					return *test.first, nil
				}
				return tenDone(), nil
			}
			e.RegisterDelayedCallback(func() {
				if p := e.progress(t); p.State != schemas.EvalPaused || !strings.Contains(p.Waits, test.waits) || p.Done != test.paused {
					t.Errorf("paused %+v", p)
				}
			}, 30*time.Minute)
			var refused error
			e.decide(time.Hour, test.decide, &refused)
			e.run(t, evalRequest())
			if refused != nil || len(e.asked) != test.calls || e.judged[0].Stopped != test.stopped {
				t.Errorf("%v, asked %d times, %+v", refused, len(e.asked), e.judged[0])
			}
		})
	}
}

// TestADecisionThatIsNotEnough leaves the run paused under the new budget.
func TestADecisionThatIsNotEnough(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 4)
	e.plan.Budget = schemas.EvalBudget{Tokens: 150}
	var refused, second error
	e.decide(time.Hour, schemas.EvalDecision{Budget: schemas.EvalBudget{Tokens: 160}}, &refused)
	e.RegisterDelayedCallback(func() {
		if p := e.progress(t); p.State != schemas.EvalPaused || p.Budget.Tokens != 160 || p.Waits == "" {
			t.Errorf("%+v", p)
		}
	}, 2*time.Hour)
	e.decide(3*time.Hour, schemas.EvalDecision{Stop: true}, &second)
	e.run(t, evalRequest())
	if refused != nil || second != nil || len(e.asked) != 1 || !e.judged[0].Stopped {
		t.Errorf("%v, %v, asked %d times, %+v", refused, second, len(e.asked), e.judged)
	}
}

// TestADecisionThatNobodyWaitsFor is refused and changes nothing.
func TestADecisionThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1)
	e.cells = func(_ context.Context, in schemas.CellsRequest) (schemas.CellsOutcome, error) {
		if in.Try == 0 {
			return schemas.CellsOutcome{Again: 10, RetryAfterMS: 7_200_000}, nil
		}
		return tenDone(), nil
	}
	var refused error
	e.decide(time.Hour, schemas.EvalDecision{Stop: true}, &refused)
	e.run(t, evalRequest())
	if refused == nil || !strings.Contains(refused.Error(), "not paused") || e.judged[0].Stopped {
		t.Errorf("%v, %+v", refused, e.judged[0])
	}
}

// TestACancelledEvaluation begins nothing more, and has what there is judged. That it waits for the batch in flight is in the recorded history
// Evaluate-cancelled: the test environment does not wait.
func TestACancelledEvaluation(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 3)
	e.plan.Width, e.plan.Comparisons = 10, 3
	e.cells = func(_ context.Context, in schemas.CellsRequest) (schemas.CellsOutcome, error) {
		if in.Batch == 1 {
			e.CancelWorkflow()
			time.Sleep(50 * time.Millisecond) // until the workflow knows
		}
		return tenDone(), nil
	}
	if s := e.run(t, evalRequest()); s.ID != "e1" {
		t.Errorf("%+v", s)
	}
	p := e.progress(t)
	if p.State != schemas.EvalCancelled || p.Done != 10 || len(e.asked) != 2 || len(e.compared) != 0 || !e.judged[0].Stopped || e.judged[0].MayRepeat {
		t.Errorf("%+v, asked %d times, judged %+v", p, len(e.asked), e.judged[0])
	}
}

// TestRoundsOfSamples carries out further rounds for as long as the judgement wants some.
func TestRoundsOfSamples(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 2)
	e.plan.Comparisons = 1
	e.judge = func(in schemas.JudgeRequest) schemas.EvalJudgement {
		out := schemas.EvalJudgement{Summary: schemas.EvalSummary{ID: in.Run.ID}}
		if in.Round < 2 {
			out.More, out.Columns = 10, []schemas.EvalColumn{{ID: "c0", Cells: 10, Batches: 1}}
		}
		return out
	}
	e.open = func(in schemas.ColumnRequest) (schemas.ColumnWork, error) {
		return schemas.ColumnWork{Batches: 2 - min(in.Round, 1), Fresh: true}, nil
	}
	e.run(t, evalRequest())
	var rounds []int
	for _, in := range e.asked {
		rounds = append(rounds, in.Round)
	}
	if diff := cmp.Diff([]int{0, 0, 1, 2}, rounds); diff != "" || len(e.judged) != 3 || len(e.compared) != 3 {
		t.Errorf("%s judged %d times, compared %d times", diff, len(e.judged), len(e.compared))
	}
	if p := e.progress(t); p.Cells != 40 || p.Done != 40 || p.State != schemas.EvalEnded {
		t.Errorf("%+v", p)
	}
}

// TestComparisonsAreTriedAgain has a grader be away for a while.
func TestComparisonsAreTriedAgain(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1)
	e.plan.Comparisons = 1
	e.compare = func(in schemas.CompareRequest) schemas.CellsOutcome {
		out := schemas.CellsOutcome{Cost: schemas.Cost{USD: 1}}
		if in.Try < 2 {
			out.Again = 1
		}
		return out
	}
	held := false
	e.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		held = held || info.WorkflowExecution.ID == schemas.EvalTurnID("default", "s", schemas.EvalCompareColumn)
	})
	e.run(t, evalRequest())
	if len(e.compared) != 3 || e.compared[2].Try != 2 || e.compared[2].Last || !held || e.judged[0].Cost.USD < 3 {
		t.Errorf("%+v, held %v, %+v", e.compared, held, e.judged[0].Cost)
	}
}

// TestLateBatches are carried out after all others, and look for what those asked.
func TestLateBatches(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 4)
	e.open = func(schemas.ColumnRequest) (schemas.ColumnWork, error) {
		return schemas.ColumnWork{Known: 3, Batches: 4, Late: 1, Fresh: true}, nil
	}
	e.run(t, evalRequest())
	for n, in := range e.asked {
		if late := in.Batch == 3; late != (n == 3) || in.Fresh == late {
			t.Errorf("call %d is %+v", n, in)
		}
	}
	if p := e.progress(t); len(e.asked) != 4 || p.Reused != 3 {
		t.Errorf("asked %d times, %+v", len(e.asked), p)
	}
}

// TestWidthBoundsBatches has as many batches at once as have room for the cells that a suite allows.
func TestWidthBoundsBatches(t *testing.T) {
	t.Parallel()
	for width, want := range map[int]int{5: 1, 10: 1, 25: 2} {
		e := newEvaluating(t, 4, 4)
		e.plan.Width = width
		e.run(t, evalRequest())
		if e.most > want || len(e.asked) != 8 {
			t.Errorf("width %d: %d batches at once, %d calls", width, e.most, len(e.asked))
		}
	}
}

// TestAnAlertThatFails leaves the result as it is.
func TestAnAlertThatFails(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1)
	e.plan.Notify, e.alert = schemas.EvalNotify{Webhook: "https://example.com"}, schemas.Errorf(schemas.Invalid, "the address is none")
	if s := e.run(t, evalRequest()); s.Ruling != schemas.RulingPassed || len(e.alerts) != 1 {
		t.Errorf("%+v, told %d times", s, len(e.alerts))
	}
}

// TestForecast says what is to come by what was, and nothing where nothing is known.
func TestForecast(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 4)
	e.plan.Width = 10
	e.cells = func(_ context.Context, in schemas.CellsRequest) (schemas.CellsOutcome, error) {
		if in.Try == 0 {
			return schemas.CellsOutcome{Again: 10, RetryAfterMS: 600_000}, nil
		}
		return tenDone(), nil
	}
	for after, want := range map[time.Duration]schemas.EvalProgress{
		5 * time.Minute:  {},
		15 * time.Minute: {Forecast: schemas.Cost{USD: 0.4}, ForecastMS: 1_800_000},
	} {
		e.RegisterDelayedCallback(func() {
			p := e.progress(t)
			if diff := cmp.Diff(want.Forecast, p.Forecast, cmpopts.EquateApprox(0, 1e-9)); diff != "" || max(p.ForecastMS-want.ForecastMS, want.ForecastMS-p.ForecastMS) > 60_000 {
				t.Errorf("after %v: %+v", after, p)
			}
		}, after)
	}
	e.run(t, evalRequest())
}
