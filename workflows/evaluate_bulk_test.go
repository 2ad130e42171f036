package workflows_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
)

// ordering has batches ordered as list says, each of which is answered at once, and notes what was listed and ordered.
func (e *evaluating) ordering(list func(in schemas.ColumnRequest) (schemas.EvalBulk, error)) (listed *[]schemas.ColumnRequest, ordered *[]string) {
	listed, ordered = &[]schemas.ColumnRequest{}, &[]string{}
	bind.Activity(e, schemas.ListBulk, func(_ context.Context, in schemas.ColumnRequest) (schemas.EvalBulk, error) {
		e.mu.Lock()
		in.Run = schemas.EvalRun{}
		*listed = append(*listed, in)
		e.mu.Unlock()
		return list(in)
	})
	bind.Activity(e, schemas.PlanBulk, func(_ context.Context, in schemas.BulkRound) (schemas.BulkPlan, error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		*ordered = append(*ordered, in.Bulk.ID)
		return schemas.BulkPlan{}, nil
	})
	return listed, ordered
}

// rows is an order of so many rows under an id.
func rows(id string, n int, more bool) schemas.EvalBulk {
	return schemas.EvalBulk{Rows: n, Bulk: schemas.BulkRequest{Tenant: "default", ID: id}, More: more}
}

// TestOrdersOfGraders follow that of answers, until there is nothing to ask or enough was tried, and the cells come last.
func TestOrdersOfGraders(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		orders  []schemas.EvalBulk
		listed  int
		ordered []string
	}{
		"no graders":                       {[]schemas.EvalBulk{rows("a", 10, false)}, 1, []string{"a"}},
		"answers, then graders":            {[]schemas.EvalBulk{rows("a", 10, true), rows("b", 10, true), {}}, 3, []string{"a", "b"}},
		"only graders":                     {[]schemas.EvalBulk{{More: true}, rows("b", 10, true), {}}, 3, []string{"b"}},
		"graders that are asked and asked": {[]schemas.EvalBulk{rows("a", 1, true), rows("b", 1, true), rows("c", 1, true), rows("d", 1, true), rows("e", 1, true)}, 4, []string{"a", "b", "c", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEvaluating(t, 1)
			listed, ordered := e.ordering(func(in schemas.ColumnRequest) (schemas.EvalBulk, error) {
				if len(e.asked) > 0 {
					t.Error("cells were carried out before all was ordered")
				}
				return test.orders[in.Order], nil
			})
			in := evalRequest()
			in.Bulk = true
			e.run(t, in)
			if diff := cmp.Diff(test.ordered, *ordered); diff != "" || len(*listed) != test.listed || len(e.asked) != 1 {
				t.Errorf("%slisted %+v, asked %d", diff, *listed, len(e.asked))
			}
		})
	}
}

// TestAnOrderOfSeveralLists has each of them ordered.
func TestAnOrderOfSeveralLists(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1)
	_, ordered := e.ordering(func(schemas.ColumnRequest) (schemas.EvalBulk, error) {
		two := rows("a", 10, false)
		two.Others = []schemas.BulkRequest{{Tenant: "default", ID: "b"}}
		return two, nil
	})
	in := evalRequest()
	in.Bulk = true
	e.run(t, in)
	slices.Sort(*ordered)
	if diff := cmp.Diff([]string{"a", "b"}, *ordered); diff != "" {
		t.Error(diff)
	}
}

// TestOrdersWithinABudget hold the room of the answers for their graders too: a second order waits for nobody.
func TestOrdersWithinABudget(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 2)
	e.plan.Budget = schemas.EvalBudget{Tokens: 1000}
	_, ordered := e.ordering(func(in schemas.ColumnRequest) (schemas.EvalBulk, error) {
		return []schemas.EvalBulk{rows("a", 10, true), rows("b", 90, true), {}}[in.Order], nil
	})
	in := evalRequest()
	in.Bulk = true
	e.run(t, in)
	if diff := cmp.Diff([]string{"a", "b"}, *ordered); diff != "" || e.judged[0].Stopped {
		t.Errorf("%s%+v", diff, e.judged[0])
	}
}

// TestRoundsInBatches are ordered where whoever lays them out says so.
func TestRoundsInBatches(t *testing.T) {
	t.Parallel()
	for _, bulk := range []bool{true, false} {
		e := newEvaluating(t, 1)
		e.judge = func(in schemas.JudgeRequest) schemas.EvalJudgement {
			if in.Round == 0 {
				return schemas.EvalJudgement{More: 10, Columns: []schemas.EvalColumn{{ID: "c0", Cells: 10, Batches: 1, Calls: true}}, Bulk: bulk}
			}
			return schemas.EvalJudgement{}
		}
		listed, ordered := e.ordering(func(in schemas.ColumnRequest) (schemas.EvalBulk, error) {
			return rows([]string{"first", "second"}[in.Round], 10, false), nil
		})
		in := evalRequest()
		in.Bulk = true
		e.run(t, in)
		want := []string{"first", "second"}
		if !bulk {
			want = want[:1]
		}
		if diff := cmp.Diff(want, *ordered); diff != "" || len(e.asked) != 2 {
			t.Errorf("%slisted %+v", diff, *listed)
		}
	}
}

// TestAListingThatFails is a failure of its column.
func TestAListingThatFails(t *testing.T) {
	t.Parallel()
	e := newEvaluating(t, 1, 1)
	e.ordering(func(in schemas.ColumnRequest) (schemas.EvalBulk, error) {
		if in.Column == 0 {
			return schemas.EvalBulk{}, errGone
		}
		return rows("a", 10, false), nil
	})
	in := evalRequest()
	in.Bulk = true
	e.run(t, in)
	if diff := cmp.Diff(failure(0), e.judged[0].Failed); diff != "" || len(e.asked) != 1 || e.asked[0].Column != 1 {
		t.Errorf("%sasked %+v", diff, e.asked)
	}
}
