package workflows_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
)

var errGone = schemas.Errorf(schemas.NotFound, "the batch is gone")

// failure is what whoever judges is told of columns that failed with errGone.
func failure(columns ...int) []schemas.EvalFailure {
	return []schemas.EvalFailure{{Columns: columns, Code: schemas.NotFound, Reason: "the batch is gone"}}
}

// TestAColumnThatFails ends with its reason: the others go on, and whoever judges is told.
func TestAColumnThatFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fail    func(e *evaluating)
		errored int
		failed  []schemas.EvalFailure
	}{
		"when it is opened": {func(e *evaluating) {
			e.open = func(in schemas.ColumnRequest) (schemas.ColumnWork, error) {
				if in.Column == 1 {
					return schemas.ColumnWork{}, errGone
				}
				return schemas.ColumnWork{Batches: e.plan.Columns[in.Column].Batches}, nil
			}
		}, 30, failure(1)},
		"in a batch": {func(e *evaluating) {
			e.plan.Width = 10 // one batch at a time
			e.cells = func(_ context.Context, in schemas.CellsRequest) (schemas.CellsOutcome, error) {
				if in.Column == 1 && in.Batch == 1 {
					return schemas.CellsOutcome{}, errGone
				}
				return tenDone(), nil
			}
		}, 10, failure(1)},
		"that asks the provider of the next": {func(e *evaluating) {
			e.plan.Columns[1].ID = e.plan.Columns[2].ID
			e.open = func(in schemas.ColumnRequest) (schemas.ColumnWork, error) {
				if in.Column == 1 {
					return schemas.ColumnWork{}, errGone
				}
				return schemas.ColumnWork{Batches: e.plan.Columns[in.Column].Batches}, nil
			}
		}, 30, failure(1)},
		"beside one that fails alike": {func(e *evaluating) {
			e.plan.Columns[0].ID = e.plan.Columns[1].ID
			e.open = func(in schemas.ColumnRequest) (schemas.ColumnWork, error) {
				if in.Column < 2 {
					return schemas.ColumnWork{}, errGone
				}
				return schemas.ColumnWork{Batches: e.plan.Columns[in.Column].Batches}, nil
			}
		}, 50, failure(0, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEvaluating(t, 2, 3, 1)
			test.fail(e)
			e.run(t, evalRequest())
			if diff := cmp.Diff(test.failed, e.judged[0].Failed); diff != "" || len(e.judged) != 1 || e.judged[0].MayRepeat || e.judged[0].Stopped {
				t.Errorf("%s%+v", diff, e.judged)
			}
			if p := e.progress(t); p.Errored != test.errored || p.Done != 60-test.errored || p.State != schemas.EvalEnded || p.Forecast != p.Cost {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestAColumnGivesItsTurnBack when it fails.
func TestAColumnGivesItsTurnBack(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1)
	e.cells = func(context.Context, schemas.CellsRequest) (schemas.CellsOutcome, error) {
		return schemas.CellsOutcome{}, errGone
	}
	if got := e.above(t); got != "" || len(e.judged) != 1 || len(e.judged[0].Failed) != 1 {
		t.Errorf("%s, judged %+v", got, e.judged)
	}
}

// TestATurnThatCannotBeHad is a failure of its columns. The test environment cannot start a child under an id that runs already, and says so otherwise
// than the server.
func TestATurnThatCannotBeHad(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1, 1)
	e.RegisterWorkflowWithOptions(func(ctx workflow.Context) (schemas.EvalSummary, error) {
		held := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: schemas.EvalTurnID("default", "s", "c1")})
		if err := workflow.ExecuteChildWorkflow(held, schemas.EvalTurn.Name(), schemas.TurnRequest{}).GetChildWorkflowExecution().Get(ctx, nil); err != nil {
			return schemas.EvalSummary{}, err
		}
		var s schemas.EvalSummary
		err := workflow.ExecuteChildWorkflow(ctx, schemas.Evaluate.Name(), evalRequest()).Get(ctx, &s)
		return s, err
	}, workflow.RegisterOptions{Name: "beside"})
	e.ExecuteWorkflow("beside")
	if err := e.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if failed := e.judged[0].Failed; len(failed) != 1 || !cmp.Equal(failed[0].Columns, []int{1}) || len(e.asked) != 1 {
		t.Errorf("%+v, asked %+v", failed, e.asked)
	}
}

// TestComparisonsThatFail leave the cells as they are, and are told of.
func TestComparisonsThatFail(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1)
	e.plan.Comparisons, e.comparing = 1, errGone
	e.run(t, evalRequest())
	if diff := cmp.Diff(failure(schemas.EvalCompared), e.judged[0].Failed); diff != "" {
		t.Error(diff)
	}
	if p := e.progress(t); p.Done != 10 || p.Errored != 0 {
		t.Errorf("%+v", p)
	}
}
