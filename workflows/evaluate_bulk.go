package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// bulkOrders is how many orders a column makes in a round at most: of answers, of what graders are asked about them, and where they are asked
// about that again (steps before a score, statements before findings, an answer that cannot be read).
const bulkOrders = 4

// inBulk has the calls of columns made by the batch interfaces of their providers, side by side, as far as there are any. The cells are carried out
// as ever afterwards, and find the responses; what batches did not bring they ask for one by one.
func (e *evaluation) inBulk(ctx workflow.Context, columns []schemas.EvalColumn, numbers []int, round int) error {
	return step.Each(ctx, numbers, len(numbers), func(ctx workflow.Context, number int) error {
		if !columns[number].Calls {
			return nil
		}
		if err := e.columnInBulk(ctx, columns[number], number, round); err != nil {
			return e.failed(ctx, err, columns, number)
		}
		return nil
	})
}

// listBulk says what batches can be asked of a column, once the budgets of the tenant and of the key that pays have room for them. It is not going
// on where the run shall end.
func (e *evaluation) listBulk(ctx workflow.Context, in schemas.ColumnRequest, title string) (listed schemas.EvalBulk, going bool, err error) {
	for {
		listed, err = step.Do(ctx, step.Planning, schemas.ListBulk, in, "what batches can be asked of "+title)
		if err != nil || listed.Short == nil {
			return listed, true, err
		}
		if going, err := e.hold(ctx, *listed.Short); !going || err != nil {
			return listed, going, err
		}
	}
}

// ordersMore is false of a run that went on without further orders, before there were any: for graders, and in rounds of adaptive repeats. It is
// asked where there is something to order, so it leaves nothing in other histories.
func ordersMore(ctx workflow.Context) bool {
	return workflow.GetVersion(ctx, "further orders of batches", workflow.DefaultVersion, 1) != workflow.DefaultVersion
}

// columnInBulk makes the orders of a column, each of what the one before has made known.
func (e *evaluation) columnInBulk(ctx workflow.Context, column schemas.EvalColumn, number, round int) error {
	title, flying := titleOf(column), 0
	defer func() { e.flying -= flying }()
	for order := range bulkOrders {
		listed, going, err := e.listBulk(ctx, schemas.ColumnRequest{Run: e.run, Column: number, Round: round, Order: order}, title)
		if err != nil || !going {
			return err
		}
		if listed.Rows > 0 {
			if flying == 0 { // the cells of the first order have room for their graders' calls too
				if going, err := e.roomForOrder(ctx, listed, title); !going || err != nil {
					return err
				}
				flying = listed.Rows
				e.flying += flying
			}
			if err := e.order(ctx, listed, order, title); err != nil {
				return err
			}
		}
		if !listed.More || e.stopped || ctx.Err() != nil || !ordersMore(ctx) {
			return nil
		}
	}
	return nil
}

// roomForOrder waits until the budget has room for an order. Where it is not known what a cell costs, a batch of cells goes ahead.
func (e *evaluation) roomForOrder(ctx workflow.Context, listed schemas.EvalBulk, title string) (going bool, err error) {
	if e.budget != (schemas.EvalBudget{}) && e.settled == 0 {
		if err := e.batch(ctx, listed.First, title); err != nil {
			return false, err
		}
		if e.settled == 0 { // nor is it now: the cells ask one by one
			return false, nil
		}
	}
	return e.afford(ctx, listed.Rows)
}

// order orders calls and waits for them.
func (e *evaluation) order(ctx workflow.Context, listed schemas.EvalBulk, order int, title string) error {
	calls := fmt.Sprintf("%d calls of %s", listed.Rows, title)
	if order > 0 {
		calls = fmt.Sprintf("%d calls of graders about %s", listed.Rows, title)
	}
	e.say(ctx, schemas.EvalRunning, calls+" are ordered in batches, which may take a day")
	one := func(ctx workflow.Context, bulk schemas.BulkRequest) error {
		report, err := step.Part(ctx, schemas.BulkID(e.run.Tenant, bulk.ID), schemas.Bulk, bulk, calls+" in batches")
		if err != nil && ctx.Err() == nil { // the cells ask one by one, and say what is wrong
			workflow.GetLogger(ctx).Warn("no batches could be had", "column", title, "cause", failureOf(err).Message)
			err = nil
		}
		e.say(ctx, schemas.EvalRunning, report.Reason)
		return err
	}
	if len(listed.Others) == 0 {
		return one(ctx, listed.Bulk)
	}
	all := append([]schemas.BulkRequest{listed.Bulk}, listed.Others...)
	return step.Each(ctx, all, len(all), one)
}
