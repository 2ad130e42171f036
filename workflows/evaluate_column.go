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
		e.free = workflow.NewSemaphore(ctx, int64(max(1, e.plan.Width/e.size())))
	}
	e.counted = map[int]int{}
	return step.Each(ctx, order, len(order), func(ctx workflow.Context, id string) error {
		release, err := e.turn(ctx, id)
		if err != nil {
			return e.failed(ctx, err, columns, groups[id]...)
		}
		if release == nil {
			return nil
		}
		defer release()
		return e.group(ctx, columns, groups[id], round)
	})
}

// group carries out columns that ask the same provider, one after the other.
func (e *evaluation) group(ctx workflow.Context, columns []schemas.EvalColumn, numbers []int, round int) error {
	if e.bulk {
		if err := e.inBulk(ctx, columns, numbers, round); err != nil || e.stopped || ctx.Err() != nil {
			return e.unlessCancelled(ctx, err)
		}
	}
	for _, i := range numbers {
		if e.hasFailed(i) {
			continue
		}
		err := e.column(ctx, columns[i], i, round)
		if err != nil {
			err = e.failed(ctx, err, columns, i)
		}
		if err != nil || e.stopped || ctx.Err() != nil {
			return e.unlessCancelled(ctx, err)
		}
	}
	return nil
}

// unlessCancelled is err, but for a run that was cancelled: what it has is judged.
func (e *evaluation) unlessCancelled(ctx workflow.Context, err error) error {
	if temporal.IsCanceledError(err) || ctx.Err() != nil {
		return nil //nolint:nilerr // a cancel is no failure
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
		waiting, end := workflow.WithCancel(ctx)
		e.onStop = append(e.onStop, end)
		if _, err := step.Do(waiting, step.Awaiting, schemas.AwaitTurn, request, "wait for the turn"); err != nil {
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
	known := max(0, work.Known-e.counted[number]) // without those of a batch that went ahead of an order
	e.counted[number] += known
	e.progress.Reused += known
	e.progress.Done += known
	e.say(ctx, schemas.EvalRunning, "")
	batches := make([]schemas.CellsRequest, work.Batches)
	for i := range batches {
		batches[i] = schemas.CellsRequest{
			Run: e.run, Column: number, Round: round, Batch: i, Prefix: work.Prefix, Fresh: work.Fresh && i < work.Batches-work.Late, Earlier: work.Earlier,
		}
	}
	width := max(2, cellsInFlight/e.size())
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
	return clipped(title, 80)
}

// clipped is the beginning of a text, of so many bytes at most.
func clipped(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// size is how many cells a batch has at most.
func (e *evaluation) size() int {
	if e.plan.Batch > 0 {
		return e.plan.Batch
	}
	return batchCells
}

// sleep waits before another try, unless the run is stopped meanwhile.
func (e *evaluation) sleep(ctx workflow.Context, wait time.Duration) error {
	_, err := workflow.AwaitWithTimeout(ctx, wait, func() bool { return e.stopped })
	return err
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
	for tries := 0; ; in.Try++ {
		if going, err := e.afford(ctx, e.size()); !going || err != nil {
			return err
		}
		in.Last = tries == cellTries-1
		e.flying += e.size()
		out, err := step.Do(ctx, step.Calling, schemas.RunCells, in, fmt.Sprintf("batch %d of %s", in.Batch+1, title))
		e.flying -= e.size()
		if err != nil {
			return err
		}
		e.paid(out, in.Column)
		e.say(ctx, schemas.EvalRunning, out.Reason)
		in.Fresh = false
		if out.Short != nil && !out.Stopped {
			if going, err := e.hold(ctx, *out.Short); !going || err != nil {
				return err
			}
			continue
		}
		if out.Again == 0 || in.Last || out.Stopped {
			return nil
		}
		if err := e.sleep(ctx, max(wait, time.Duration(out.RetryAfterMS)*time.Millisecond)); err != nil {
			return err
		}
		wait = min(2*wait, longTryWait)
		tries++
	}
}
