package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// Bounds of an evaluation.
const (
	cellsInFlight = 256 // of a column, about: enough that the limits of its provider decide
	batchCells    = 25  // of a batch, where the plan does not say
	cellTries     = 7   // of a cell whose failure may pass
	firstTryWait  = time.Second
	longTryWait   = 5 * time.Minute
	evalRounds    = 20 // of adaptive repeats
)

// Evaluate carries out one run of a suite: it plans the cells, has every column answered and judged, and puts the result together. Two runs that ask the
// same provider the suite's questions take turns, so nothing is paid for by both. It answers the query eval.progress; a run whose budget is used up
// waits for the update eval.decide. A cancel keeps what is paid for and ends with a result in which the rest was not run. A column that cannot be
// carried out ends with its reason, and not the run: what it leaves is errored. The run breaks where it cannot be planned, or its result not be kept.
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
	e.plan, e.run.Plan, e.run.SinceMS, e.budget = plan, plan.Hash, plan.SinceMS, plan.Budget
	for _, c := range plan.Columns {
		e.progress.Cells += c.Cells
	}
	if plan.Known {
		e.progress.Done, e.progress.Reused = e.progress.Cells, e.progress.Cells
	}
	e.progress.Budget = e.budget
	summary, err := e.rounds(ctx)
	if err != nil {
		return summary, err
	}
	e.tell(ctx, summary)
	return summary, nil
}

// scheduledStart is when a schedule of Temporal's meant a workflow to start.
var scheduledStart = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// evaluation is a run under way.
type evaluation struct {
	request  schemas.EvalRequest
	run      schemas.EvalRun
	plan     schemas.EvalPlan
	budget   schemas.EvalBudget
	progress schemas.EvalProgress
	started  time.Time
	settled  int // cells that are not known from before and came to an end
	flying   int // cells in batches under way
	paused   bool
	wanted   int // cells that the budget had no room for when it was paused
	stopped  bool
	short    *schemas.EvalShort // of a budget of the tenant or of a key, which is waited for
	look     func()             // has the wait for room look again at once
	onStop   []func()           // ends of waits that a stop has no use for
	free     workflow.Semaphore // batches at once, where the suite bounds them
	counted  map[int]int        // cells of a column, in this round, that are known or came to an end
	failures []schemas.EvalFailure
	lost     int  // cells of columns that failed
	bulk     bool // calls of this round are ordered in batches
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
	if planned, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart); ok && e.request.Trigger == schemas.EvalSchedule {
		e.request.PlannedMS = planned.UnixMilli()
	}
	e.run = schemas.EvalRun{
		Tenant: e.request.Tenant, Suite: e.request.Suite, ID: e.request.ID, StartMS: e.request.StartMS, Key: e.request.By.Key, Payer: e.request.Payer,
	}
}

// rounds carries out the plan, then further samples of cases near a threshold for as long as the judgement wants some.
func (e *evaluation) rounds(ctx workflow.Context) (schemas.EvalSummary, error) {
	columns := e.plan.Columns
	e.bulk = e.request.Bulk
	for round := 0; ; round++ {
		if !e.plan.Known || round > 0 {
			if err := e.columns(ctx, columns, round); err != nil {
				return schemas.EvalSummary{}, err
			}
		}
		if err := e.compare(ctx, round); err != nil {
			if err := e.failed(ctx, err, columns, schemas.EvalCompared); err != nil {
				return schemas.EvalSummary{}, err
			}
		}
		judgement, err := e.judge(ctx, round)
		if err != nil || judgement.More == 0 {
			return judgement.Summary, err
		}
		columns = judgement.Columns
		e.bulk = judgement.Bulk && ordersMore(ctx)
		e.progress.Cells += judgement.More
	}
}

// judge puts together what there is, also of a run that was cancelled.
func (e *evaluation) judge(ctx workflow.Context, round int) (schemas.EvalJudgement, error) {
	early := ctx.Err() != nil || e.stopped
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	e.paused = false
	e.say(ctx, schemas.EvalJudging, "")
	judgement, err := step.Do(ctx, step.Planning, schemas.JudgeEval, schemas.JudgeRequest{
		Run: e.run, Request: e.request, Round: round, Stopped: early, Usage: e.progress.Usage, Cost: e.progress.Cost,
		EndMS: workflow.Now(ctx).UnixMilli(), MayRepeat: !early && round < evalRounds && len(e.failures) == 0, Failed: e.failures,
	}, "put the result together")
	if err != nil || judgement.More > 0 {
		return judgement, err
	}
	state := schemas.EvalEnded
	if early {
		state = schemas.EvalCancelled
	}
	e.say(ctx, state, "")
	verdict := temporal.NewSearchAttributeKeyKeyword(schemas.AttrVerdict).ValueSet(string(judgement.Summary.Ruling))
	return judgement, workflow.UpsertTypedSearchAttributes(ctx, verdict)
}

// compare has outputs judged side by side, in the turn of comparisons, with further tries for what may pass. A run that ends early is judged
// without.
func (e *evaluation) compare(ctx workflow.Context, round int) error {
	if e.plan.Comparisons == 0 || e.plan.Known && round == 0 || e.stopped || ctx.Err() != nil {
		return nil
	}
	release, err := e.turn(ctx, schemas.EvalCompareColumn)
	if release == nil || err != nil {
		return err
	}
	defer release()
	wait := firstTryWait
	in := schemas.CompareRequest{Run: e.run, Round: round}
	for tries := 0; tries < cellTries; in.Try++ {
		if going, err := e.afford(ctx, 0); !going || err != nil {
			return e.unlessCancelled(ctx, err)
		}
		in.Last = tries == cellTries-1
		out, err := step.Do(ctx, step.Calling, schemas.Compare, in, "judge outputs side by side")
		if err != nil {
			return e.unlessCancelled(ctx, err)
		}
		e.progress.Usage, e.progress.Cost = e.progress.Usage.Add(out.Usage), e.progress.Cost.Add(out.Cost)
		if out.Short != nil && !out.Stopped {
			if going, err := e.hold(ctx, *out.Short); !going || err != nil {
				return e.unlessCancelled(ctx, err)
			}
			continue
		}
		if out.Again == 0 || out.Stopped {
			return nil
		}
		tries++
		if err := e.sleep(ctx, max(wait, time.Duration(out.RetryAfterMS)*time.Millisecond)); err != nil {
			return e.unlessCancelled(ctx, err)
		}
		wait = min(2*wait, longTryWait)
	}
	return nil
}

// tell has whoever wants to know told of the verdict, by a workflow of its own: the result stands whatever becomes of that, and nobody waits for it.
func (e *evaluation) tell(ctx workflow.Context, summary schemas.EvalSummary) {
	if e.plan.Notify.IsZero() {
		return
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	err := step.Launch(ctx, schemas.TellEval, schemas.EvalAlert{Run: e.run, Notify: e.plan.Notify, Summary: summary}, step.Launching{
		ID: schemas.EvalAlertID(e.run.Tenant, e.run.Suite, e.run.ID), Queue: schemas.QueueEval, Summary: "tells of run " + e.run.ID + " of suite " + e.run.Suite,
		Fairness: e.run.Tenant, Keywords: map[string]string{schemas.AttrTenant: e.run.Tenant, schemas.AttrSuite: e.run.Suite},
	})
	if err != nil {
		workflow.GetLogger(ctx).Warn("nobody can be told of the verdict", "cause", failureOf(err).Message)
	}
}

// TellEval tells of the verdict of an evaluation: a code host, where an issue is kept, and a receiver.
func TellEval(ctx workflow.Context, in schemas.EvalAlert) (schemas.EvalAlerted, error) {
	return step.Do(ctx, step.Alert, schemas.AlertEval, in, "tell of the verdict")
}
