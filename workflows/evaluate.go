package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// Bounds of an evaluation.
const (
	cellsInFlight = 256 // of a column, about: enough that the limits of its provider decide
	batchCells    = 25  // of the smallest batch
	cellTries     = 7   // of a cell whose failure may pass
	firstTryWait  = time.Second
	longTryWait   = 5 * time.Minute
	evalRounds    = 20 // of adaptive repeats
)

// Evaluate carries out one run of a suite: it plans the cells, has every column answered and judged, and puts the result together. Two runs that ask the
// same provider the suite's questions take turns, so nothing is paid for by both. It answers the query eval.progress; a run whose budget is used up
// waits for the update eval.decide. A cancel keeps what is paid for and ends with a result in which the rest was not run.
func Evaluate(ctx workflow.Context, in schemas.EvalRequest) (schemas.EvalSummary, error) {
	e := &evaluation{request: in, started: workflow.Now(ctx)}
	e.named(ctx)
	e.progress.State = schemas.EvalPlanning
	if err := e.listen(ctx); err != nil {
		return schemas.EvalSummary{}, err
	}
	plan, err := step.Do(ctx, step.Planning, schemas.PlanEval, e.request, "plan the cells")
	if err != nil {
		return schemas.EvalSummary{}, err
	}
	e.plan, e.run.Plan, e.budget = plan, plan.Hash, plan.Budget
	for _, c := range plan.Columns {
		e.progress.Cells += c.Cells
	}
	e.progress.Budget = e.budget
	summary, err := e.rounds(ctx)
	if err != nil {
		return summary, err
	}
	return summary, e.tell(ctx, summary)
}

// evaluation is a run under way.
type evaluation struct {
	request  schemas.EvalRequest
	run      schemas.EvalRun
	plan     schemas.EvalPlan
	budget   schemas.EvalBudget
	progress schemas.EvalProgress
	started  time.Time
	asked    int // cells that were dispatched and are not known
	settled  int // of them
	flying   int // cells in batches under way
	paused   bool
	stopped  bool
	free     workflow.Semaphore // batches at once, where the suite bounds them
}

// named gives a run of a schedule what it has of its workflow: an id and a start. The others have both.
func (e *evaluation) named(ctx workflow.Context) {
	info := workflow.GetInfo(ctx)
	if e.request.StartMS == 0 {
		e.request.StartMS = info.WorkflowStartTime.UnixMilli()
	}
	if e.request.ID == "" {
		e.request.ID = schemas.EvalIDAt(e.request.StartMS, info.WorkflowExecution.ID)
	}
	e.run = schemas.EvalRun{Tenant: e.request.Tenant, Suite: e.request.Suite, ID: e.request.ID, StartMS: e.request.StartMS}
}

// listen answers how far the run is, and takes decisions.
func (e *evaluation) listen(ctx workflow.Context) error {
	if err := step.Answer(ctx, schemas.EvalShow, func() schemas.EvalProgress { return e.progress }); err != nil {
		return err
	}
	return step.Handle(ctx, schemas.EvalDecide, func(_ workflow.Context, in schemas.EvalDecision) (schemas.EvalProgress, error) {
		e.stopped = e.stopped || in.Stop
		if !in.Stop {
			e.budget = in.Budget
		}
		e.paused = !e.stopped && !e.room(batchCells)
		e.progress.Budget = e.budget
		return e.progress, nil
	}, func(in schemas.EvalDecision) error {
		if !e.paused {
			return temporal.NewNonRetryableApplicationError("nothing waits for a decision: the run is not paused", string(schemas.Conflict), nil)
		}
		return nil
	})
}

// rounds carries out the plan, then further samples of cases near a threshold for as long as the judgement wants some.
func (e *evaluation) rounds(ctx workflow.Context) (schemas.EvalSummary, error) {
	columns := e.plan.Columns
	for round := 0; ; round++ {
		if !e.plan.Known || round > 0 {
			if err := e.columns(ctx, columns, round); err != nil {
				return schemas.EvalSummary{}, err
			}
		}
		judgement, err := e.judge(ctx, round)
		if err != nil || judgement.More == 0 {
			return judgement.Summary, err
		}
		columns = judgement.Columns
		e.progress.Cells += judgement.More
	}
}

// judge puts together what there is, also of a run that was cancelled.
func (e *evaluation) judge(ctx workflow.Context, round int) (schemas.EvalJudgement, error) {
	cancelled := ctx.Err() != nil
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if e.plan.Comparisons > 0 && (!e.plan.Known || round > 0) && !cancelled && !e.stopped {
		if err := e.compare(ctx, round); err != nil {
			return schemas.EvalJudgement{}, err
		}
	}
	e.say(ctx, schemas.EvalJudging, "")
	judgement, err := step.Do(ctx, step.Planning, schemas.JudgeEval, schemas.JudgeRequest{
		Run: e.run, Request: e.request, Round: round, Stopped: cancelled || e.stopped, Usage: e.progress.Usage, Cost: e.progress.Cost,
		EndMS: workflow.Now(ctx).UnixMilli(), MayRepeat: !cancelled && !e.stopped && round < evalRounds,
	}, "put the result together")
	if err != nil {
		return judgement, err
	}
	state := schemas.EvalEnded
	if cancelled || e.stopped {
		state = schemas.EvalCancelled
	}
	e.say(ctx, state, "")
	verdict := temporal.NewSearchAttributeKeyKeyword(schemas.AttrVerdict).ValueSet(string(judgement.Summary.Ruling))
	return judgement, workflow.UpsertTypedSearchAttributes(ctx, verdict)
}

// compare has outputs judged side by side, in the turn of comparisons, with further tries for what may pass.
func (e *evaluation) compare(ctx workflow.Context, round int) error {
	release, err := e.turn(ctx, schemas.EvalCompareColumn)
	if release == nil || err != nil {
		return err
	}
	defer release()
	wait := firstTryWait
	for try := range cellTries {
		out, err := step.Do(ctx, step.Calling, schemas.Compare, schemas.CompareRequest{Run: e.run, Round: round, Try: try, Last: try == cellTries-1}, "judge outputs side by side")
		if err != nil {
			return err
		}
		e.progress.Usage, e.progress.Cost = e.progress.Usage.Add(out.Usage), e.progress.Cost.Add(out.Cost)
		if out.Again == 0 || out.Stopped {
			return nil
		}
		if err := workflow.Sleep(ctx, max(wait, time.Duration(out.RetryAfterMS)*time.Millisecond)); err != nil {
			return err
		}
		wait = min(2*wait, longTryWait)
	}
	return nil
}

// tell tells whoever wants to know of the verdict. The result stands whatever becomes of that.
func (e *evaluation) tell(ctx workflow.Context, summary schemas.EvalSummary) error {
	if e.plan.Notify.IsZero() {
		return nil
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	_, err := step.Do(ctx, step.Alert, schemas.AlertEval, schemas.EvalAlert{Run: e.run, Notify: e.plan.Notify, Summary: summary}, "tell of the verdict")
	if err != nil {
		workflow.GetLogger(ctx).Warn("nobody could be told of the verdict", "cause", failureOf(err).Message)
		workflow.SetCurrentDetails(ctx, "the result is there; nobody could be told of it: "+failureOf(err).Message)
	}
	return nil
}

// columns carries out all columns side by side, those that ask the same provider one after the other under one turn.
func (e *evaluation) columns(ctx workflow.Context, columns []schemas.EvalColumn, round int) error {
	var order []string
	groups := map[string][]int{}
	for i, c := range columns {
		if len(groups[c.ID]) == 0 {
			order = append(order, c.ID)
		}
		groups[c.ID] = append(groups[c.ID], i)
	}
	if e.plan.Width > 0 {
		e.free = workflow.NewSemaphore(ctx, int64(max(1, e.plan.Width/batchCells)))
	}
	return step.Each(ctx, order, len(order), func(ctx workflow.Context, id string) error {
		release, err := e.turn(ctx, id)
		if release == nil || err != nil {
			return err
		}
		defer release()
		if e.request.Bulk && round == 0 {
			if err := e.inBulk(ctx, columns, groups[id]); err != nil || e.stopped || ctx.Err() != nil {
				return e.unlessCancelled(ctx, err)
			}
		}
		for _, i := range groups[id] {
			if err := e.column(ctx, columns[i], i, round); err != nil || e.stopped || ctx.Err() != nil {
				return e.unlessCancelled(ctx, err)
			}
		}
		return nil
	})
}

// unlessCancelled is err, but for a run that was cancelled: what it has is judged.
func (e *evaluation) unlessCancelled(ctx workflow.Context, err error) error {
	if temporal.IsCanceledError(err) || ctx.Err() != nil {
		return nil
	}
	return err
}

// turn takes the turn to ask a provider the suite's questions: a child workflow under an id of which there is one. It ends with this workflow,
// however that ends. A nil release is of a run that was cancelled while it waited.
func (e *evaluation) turn(ctx workflow.Context, column string) (release func(), err error) {
	request := schemas.TurnRequest{Run: e.run, Column: column}
	id := schemas.EvalTurnID(e.run.Tenant, e.run.Suite, column)
	for {
		release, err := step.Hold(ctx, id, schemas.EvalTurn, request, "turn of run "+e.run.ID)
		if release != nil || err != nil {
			e.progress.Waits = ""
			return release, e.unlessCancelled(ctx, err)
		}
		e.say(ctx, schemas.EvalWaiting, "another run of the suite asks the same provider")
		if _, err := step.Do(ctx, step.Awaiting, schemas.AwaitTurn, request, "wait for the turn"); err != nil {
			return nil, e.unlessCancelled(ctx, err)
		}
	}
}

// EvalTurn stands for the turn of one run to ask a provider the suite's questions. It waits until it is cancelled.
func EvalTurn(ctx workflow.Context, in schemas.TurnRequest) (schemas.EvalState, error) {
	workflow.SetCurrentDetails(ctx, "the turn of run "+in.Run.ID)
	ctx.Done().Receive(ctx, nil)
	return schemas.EvalEnded, nil
}

// column carries out what is left of a column.
func (e *evaluation) column(ctx workflow.Context, column schemas.EvalColumn, number, round int) error {
	work, err := step.Do(ctx, step.Planning, schemas.OpenColumn, schemas.ColumnRequest{Run: e.run, Column: number, Round: round}, "what is left of "+titleOf(column))
	if err != nil {
		return err
	}
	e.progress.Reused += work.Known
	e.progress.Done += work.Known
	e.asked += column.Cells - work.Known
	e.say(ctx, schemas.EvalRunning, "")
	batches := make([]schemas.CellsRequest, work.Batches)
	for i := range batches {
		batches[i] = schemas.CellsRequest{
			Run: e.run, Column: number, Round: round, Batch: i, Prefix: work.Prefix, Fresh: work.Fresh && i < work.Batches-work.Late, Earlier: work.Earlier,
		}
	}
	width := max(2, cellsInFlight/max(batchCells, (column.Cells+max(column.Batches, 1)-1)/max(column.Batches, 1)))
	early := len(batches) - work.Late
	for _, part := range [][]schemas.CellsRequest{batches[:early], batches[early:]} {
		if err := step.Each(ctx, part, width, func(ctx workflow.Context, in schemas.CellsRequest) error { return e.batch(ctx, in, titleOf(column)) }); err != nil {
			return err
		}
	}
	return nil
}

func titleOf(c schemas.EvalColumn) string {
	title := c.Provider.ID
	if c.Provider.Label != "" {
		title = c.Provider.Label
	}
	if c.Baseline {
		title += ", the baseline"
	}
	if len(title) > 80 {
		title = strings.ToValidUTF8(title[:80], "") + "…"
	}
	return title
}

// batch carries out one batch, with further tries for what failed in a way that may pass.
func (e *evaluation) batch(ctx workflow.Context, in schemas.CellsRequest, title string) error {
	if e.free != nil {
		if err := e.free.Acquire(ctx, 1); err != nil {
			return err
		}
		defer e.free.Release(1)
	}
	wait := firstTryWait
	for {
		if going, err := e.afford(ctx, batchCells); !going || err != nil {
			return err
		}
		in.Last = in.Try == cellTries-1
		e.flying += batchCells
		out, err := step.Do(ctx, step.Calling, schemas.RunCells, in, fmt.Sprintf("batch %d of %s", in.Batch+1, title))
		e.flying -= batchCells
		if err != nil {
			return err
		}
		e.paid(out)
		e.say(ctx, schemas.EvalRunning, out.Reason)
		if out.Again == 0 || in.Last || out.Stopped {
			return nil
		}
		if err := workflow.Sleep(ctx, max(wait, time.Duration(out.RetryAfterMS)*time.Millisecond)); err != nil {
			return err
		}
		wait = min(2*wait, longTryWait)
		in.Try++
		in.Fresh = false
	}
}

// paid adds up what a batch did.
func (e *evaluation) paid(out schemas.CellsOutcome) {
	p := &e.progress
	p.Done, p.Errored, p.Passed = p.Done+out.Done, p.Errored+out.Errored, p.Passed+out.Passed
	p.Usage, p.Cost = p.Usage.Add(out.Usage), p.Cost.Add(out.Cost)
	e.settled += out.Done + out.Errored
}

// used are the tokens that were paid for.
func (e *evaluation) used() int64 {
	return int64(e.progress.Usage.InputTokens + e.progress.Usage.OutputTokens)
}

// room reports whether the budget has room for so many cells more, by what those before cost; the first batch goes alone to find that out.
func (e *evaluation) room(cells int) bool {
	if e.budget == (schemas.EvalBudget{}) {
		return true
	}
	if e.settled == 0 {
		return cells <= batchCells && e.used() == 0
	}
	more := 1 + float64(cells)/float64(e.settled)
	return (e.budget.Tokens == 0 || float64(e.used())*more <= float64(e.budget.Tokens)) &&
		(e.budget.USD == 0 || e.progress.Cost.USD*more <= e.budget.USD)
}

// afford waits until the budget has room for so many cells, or for a decision where nothing is in flight that could leave some. It is false of a run
// that shall end.
func (e *evaluation) afford(ctx workflow.Context, cells int) (going bool, err error) {
	for !e.stopped && !e.room(e.flying+cells) {
		if e.flying == 0 && !e.paused {
			e.paused = true
			e.say(ctx, schemas.EvalPaused, "")
		}
		before := e.flying
		if err := workflow.Await(ctx, func() bool { return e.stopped || e.flying < before || before == 0 && !e.paused }); err != nil {
			return false, err
		}
	}
	return !e.stopped, nil
}

// say notes how far the run is, for people and for the query.
func (e *evaluation) say(ctx workflow.Context, state schemas.EvalState, text string) {
	p := &e.progress
	p.State, p.Reason, p.Waits = state, "", ""
	switch state {
	case schemas.EvalWaiting:
		p.Waits = text
	case schemas.EvalPaused:
		p.Waits = "its budget is used up: somebody decides whether it goes on"
	default:
		p.Reason = text
	}
	p.Forecast, p.ForecastMS = p.Cost, 0
	if e.settled > 0 && e.asked > e.settled {
		p.Forecast.USD = p.Cost.USD * float64(e.asked) / float64(e.settled)
		p.ForecastMS = workflow.Now(ctx).Sub(e.started).Milliseconds() * int64(e.asked-e.settled) / int64(e.settled)
	}
	details := fmt.Sprintf("%s: %d of %d cells, %d of them known before, %d errored; %.4f US dollars so far", state, p.Done+p.Errored, p.Cells, p.Reused, p.Errored, p.Cost.USD)
	if p.Waits != "" {
		details = "**waits**: " + p.Waits + "; " + details
	}
	workflow.SetCurrentDetails(ctx, details)
}
