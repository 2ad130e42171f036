package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// listen answers how far the run is, and takes decisions.
func (e *evaluation) listen(ctx workflow.Context) error {
	if err := step.Answer(ctx, schemas.EvalShow, func() schemas.EvalProgress { return e.progress }); err != nil {
		return err
	}
	return step.Handle(ctx, schemas.EvalDecide, func(ctx workflow.Context, in schemas.EvalDecision) (schemas.EvalProgress, error) {
		e.decided(ctx, in)
		return e.progress, nil
	}, func(in schemas.EvalDecision) error {
		if !e.paused && e.short == nil {
			return temporal.NewNonRetryableApplicationError("nothing waits for a decision: the run is not paused", string(schemas.Conflict), nil)
		}
		return nil
	})
}

// decided has a paused run go on under another budget, or end. Under one that has no room either it stays paused.
func (e *evaluation) decided(ctx workflow.Context, in schemas.EvalDecision) {
	if in.Stop {
		e.stopped, e.paused = true, false
		for _, end := range e.onStop {
			end()
		}
		return
	}
	if e.paused || in.Budget != (schemas.EvalBudget{}) {
		e.budget, e.progress.Budget = in.Budget, in.Budget
	}
	e.paused = e.paused && !e.room(e.flying+e.wanted)
	if e.short != nil {
		e.look()
	}
	e.say(ctx, schemas.EvalRunning, "")
}

// paid adds up what a batch of a column did.
func (e *evaluation) paid(out schemas.CellsOutcome, column int) {
	e.counted[column] += out.Done + out.Errored
	p := &e.progress
	p.Done, p.Errored, p.Passed = p.Done+out.Done, p.Errored+out.Errored, p.Passed+out.Passed
	p.Usage, p.Cost = p.Usage.Add(out.Usage), p.Cost.Add(out.Cost)
	e.settled += out.Done + out.Errored
}

// used are the tokens that were paid for.
func (e *evaluation) used() int64 {
	return int64(e.progress.Usage.InputTokens + e.progress.Usage.OutputTokens)
}

// room reports whether the budget has room for so many cells more, by what those before cost; the first batch goes alone to find that out. A budget
// in money has none once a call was made whose price is not known.
func (e *evaluation) room(cells int) bool {
	if e.budget == (schemas.EvalBudget{}) {
		return true
	}
	more := 1.0
	switch {
	case e.settled > 0:
		more += float64(cells) / float64(e.settled)
	case cells > e.size():
		return false
	}
	return (e.budget.Tokens == 0 || float64(e.used())*more <= float64(e.budget.Tokens)) &&
		(e.budget.USD == 0 || !e.unpriced() && e.progress.Cost.USD*more <= e.budget.USD)
}

// unpriced reports whether the budget is in money and it is not known what was spent.
func (e *evaluation) unpriced() bool { return e.budget.USD > 0 && e.progress.Cost.Unknown > 0 }

// afford waits until the budget has room for so many cells, or for a decision where nothing is in flight that could leave some. It is false of a run
// that shall end.
func (e *evaluation) afford(ctx workflow.Context, cells int) (going bool, err error) {
	if err := e.unshort(ctx); err != nil {
		return false, err
	}
	for !e.stopped && !e.room(e.flying+cells) {
		if e.flying == 0 && !e.paused {
			e.paused, e.wanted = true, cells
			e.say(ctx, schemas.EvalPaused, "")
		}
		before := e.flying
		if err := workflow.Await(ctx, func() bool { return e.stopped || e.flying < before || before == 0 && !e.paused }); err != nil {
			return false, err
		}
	}
	return !e.stopped, nil
}

// pauses says what a paused run waits for, and what to do.
func (e *evaluation) pauses() string {
	switch {
	case e.short != nil:
		return e.short.Reason + "; it goes on by itself when there is room: raise the budget (tenuto budget set), or end the run (tenuto eval decide --stop)"
	case e.unpriced():
		return fmt.Sprintf("its budget is in US dollars, and the price of %d calls is not known: set prices of the model in models.yaml for the next run, "+
			"and decide for this one: a budget in tokens, or its end", e.progress.Cost.Unknown)
	}
	return "its budget is used up: somebody decides whether it goes on"
}

// hold pauses the run until the budgets of its tenant and of the key that pays have room again. One call looks at them for all batches, and the
// waits between its attempts are the server's; a decision has it look at once. It is false of a run that shall end.
func (e *evaluation) hold(ctx workflow.Context, short schemas.EvalShort) (going bool, err error) {
	if e.short != nil {
		err := e.unshort(ctx)
		return !e.stopped, err
	}
	e.short = &short
	defer func() { e.short = nil }()
	e.say(ctx, schemas.EvalPaused, "")
	for !e.stopped {
		looking, end := workflow.WithCancel(ctx)
		e.look, e.onStop = end, append(e.onStop, end)
		_, err := step.Do(looking, step.Room, schemas.AwaitRoom, schemas.RoomRequest{Run: e.run, Need: short.Need}, "wait for room in a budget")
		if err == nil {
			e.short = nil
			e.say(ctx, schemas.EvalRunning, "")
			return true, nil
		}
		if ctx.Err() != nil || !temporal.IsCanceledError(err) {
			return false, err
		}
	}
	return false, nil
}

// unshort waits while a budget of the tenant or of a key has no room.
func (e *evaluation) unshort(ctx workflow.Context) error {
	if e.short == nil {
		return nil
	}
	return workflow.Await(ctx, func() bool { return e.stopped || e.short == nil })
}

// forecast is what the whole run comes to, by what its cells cost and how long they took so far.
func (e *evaluation) forecast(now time.Time) {
	p := &e.progress
	p.Forecast, p.ForecastMS = p.Cost, 0
	if left := p.Cells - p.Reused - e.settled - e.lost; e.settled > 0 && left > 0 {
		more := float64(left) / float64(e.settled)
		p.Forecast.USD += p.Cost.USD * more
		p.ForecastMS = int64(float64(now.Sub(e.started).Milliseconds()) * more)
	}
}

// say notes how far the run is, for people and for the query.
func (e *evaluation) say(ctx workflow.Context, state schemas.EvalState, text string) {
	p := &e.progress
	if state == schemas.EvalRunning && (e.short != nil || e.paused && e.flying == 0) { // another batch has ended, and the decision is still wanted
		state = schemas.EvalPaused
	}
	p.State, p.Reason, p.Waits, p.Short = state, "", "", nil
	switch state {
	case schemas.EvalWaiting:
		p.Waits = text
	case schemas.EvalPaused:
		p.Waits, p.Short = e.pauses(), e.short
	default:
		p.Reason = text
	}
	e.forecast(workflow.Now(ctx))
	details := fmt.Sprintf("%s: %d of %d cells, %d of them known before, %d errored; %.4f US dollars so far", state, p.Done+p.Errored, p.Cells, p.Reused, p.Errored, p.Cost.USD)
	if p.Waits != "" {
		details = "**waits**: " + p.Waits + "; " + details
	}
	workflow.SetCurrentDetails(ctx, details)
}
