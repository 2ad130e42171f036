package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

// inBulk has the calls of columns made by the batch interfaces of their providers, side by side, as far as there are any. The cells are carried out
// as ever afterwards, and find the responses; what batches did not bring they ask for one by one.
func (e *evaluation) inBulk(ctx workflow.Context, columns []schemas.EvalColumn, numbers []int) error {
	return step.Each(ctx, numbers, len(numbers), func(ctx workflow.Context, number int) error {
		if !columns[number].Calls {
			return nil
		}
		if err := e.columnInBulk(ctx, columns[number], number); err != nil {
			return e.failed(ctx, err, columns, number)
		}
		return nil
	})
}

func (e *evaluation) columnInBulk(ctx workflow.Context, column schemas.EvalColumn, number int) error {
	title := titleOf(column)
	listed, err := step.Do(ctx, step.Planning, schemas.ListBulk, schemas.ColumnRequest{Run: e.run, Column: number}, "what batches can be asked of "+title)
	if err != nil || listed.Rows == 0 {
		return err
	}
	if e.budget != (schemas.EvalBudget{}) && e.settled == 0 { // what a cell costs is not known yet
		if err := e.batch(ctx, listed.First, title); err != nil {
			return err
		}
		if e.settled == 0 { // nor now: the cells ask one by one
			return nil
		}
	}
	if going, err := e.afford(ctx, listed.Rows); !going || err != nil {
		return err
	}
	e.flying += listed.Rows
	defer func() { e.flying -= listed.Rows }()
	e.say(ctx, schemas.EvalRunning, fmt.Sprintf("%d calls of %s are ordered in batches, which may take a day", listed.Rows, title))
	summary := fmt.Sprintf("%d calls of %s in batches", listed.Rows, title)
	report, err := step.Part(ctx, schemas.BulkID(e.run.Tenant, listed.Bulk.ID), schemas.Bulk, listed.Bulk, summary)
	if err != nil && ctx.Err() == nil { // the cells ask one by one, and say what is wrong
		workflow.GetLogger(ctx).Warn("no batches could be had", "column", title, "cause", failureOf(err).Message)
		err = nil
	}
	e.say(ctx, schemas.EvalRunning, report.Reason)
	return err
}
