package evaluate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// batched are records at their own keys, as batches leave them.
type batched struct{ r *rig }

func (b batched) Load(ctx context.Context, key string) ([]byte, bool, error) {
	return b.r.Records.Get(ctx, "default", key)
}

func (b batched) Save(ctx context.Context, key string, data []byte) error {
	return b.r.Store.Put(ctx, key, data)
}

// order lists the calls of an order and has them answered at half the price, but those that fails names by a word of their request.
func (r *rig) order(t *testing.T, in schemas.ColumnRequest, fails string) schemas.EvalBulk {
	t.Helper()
	out, err := r.Bulk(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if out.Rows == 0 {
		return out
	}
	for _, bulk := range append([]schemas.BulkRequest{out.Bulk}, out.Others...) {
		r.bring(t, bulk, fails)
	}
	return out
}

func (r *rig) bring(t *testing.T, bulk schemas.BulkRequest, fails string) {
	t.Helper()
	list, err := blob.GetJSON[schemas.BulkList](t.Context(), r.Store, bulk.List)
	if err != nil {
		t.Fatal(err)
	}
	chains, _ := r.Chains.(*chain.Activities)
	for _, row := range list.Rows {
		if fails != "" && strings.Contains(string(row.Request), fails) {
			continue
		}
		target, err := chains.Fleet.Target(list.Models, row.Model)
		if err != nil {
			t.Fatal(err)
		}
		call := model.Call{Tenant: "default", Attempt: row.Attempt, Records: batched{r}}
		if err := json.Unmarshal(row.Request, &call.Request); err != nil {
			t.Fatal(err)
		}
		resp := model.Response{Text: r.says(call.Request), Model: "m", Finish: model.FinishStop, PriceFactor: 0.5, Usage: schemas.Usage{Calls: 1, InputTokens: 10, OutputTokens: 5}}
		if _, err := target.Provider.Record(t.Context(), call, resp); err != nil {
			t.Fatal(err)
		}
	}
}

// inOrders makes the orders of a column until there is nothing more, and returns how many rows each had.
func (r *rig) inOrders(t *testing.T, run schemas.EvalRun, round int, fails string) (rows []int) {
	t.Helper()
	for order := range 6 {
		out := r.order(t, schemas.ColumnRequest{Run: run, Round: round, Order: order}, fails)
		rows = append(rows, out.Rows)
		if !out.More {
			return rows
		}
	}
	t.Fatalf("orders without end: %v", rows)
	return nil
}

// TestGradersInBatches orders the answers of a column, and then what graders are asked about them, as far as the answers before make it known. The
// cells ask alone what no batch brought, and nothing else.
func TestGradersInBatches(t *testing.T) {
	t.Parallel()
	const fine = `{"reason": "yes", "score": 1, "pass": true}`
	rubrics := strings.Replace(twoRubrics, "tests: [{", "tests: [{vars: {n: 1}, ", 1)
	for name, test := range map[string]struct {
		suite, polite, fails string
		rows                 []int
		alone                map[string]int
		cells                int
	}{
		"a rubric and another":   {rubrics, fine, "", []int{1, 2, 0}, map[string]int{}, 1},
		"g-eval":                 {byCriterion("Say", "is kind"), fine, "", []int{40, 1, 40, 0}, map[string]int{}, 40},
		"a row that failed":      {byCriterion("Say", "is kind"), fine, "Say w7", []int{40, 1, 39, 0}, map[string]int{"answer": 1, "score": 1}, 40},
		"a grader that failed":   {rubrics, fine, "is polite", []int{1, 2, 0}, map[string]int{"polite": 1}, 1},
		"prose, and prose":       {rubrics, "It is.", "", []int{1, 2, 1, 0}, map[string]int{}, 0},
		"an output of the suite": {strings.Replace(strings.Replace(rubrics, "vars: {n: 1}", "providerOutput: hello", 1), "model:a", "echo", 1), fine, "", []int{0, 2, 0}, map[string]int{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, p := withPanel(t)
			p.rubric = map[string]string{"polite": test.polite, "is short": fine}
			plan, run := r.plan(t, r.request(r.pack(t, test.suite)))
			if rows := r.inOrders(t, run, 0, test.fails); fmt.Sprint(rows) != fmt.Sprint(test.rows) {
				t.Errorf("orders of %v rows, want %v", rows, test.rows)
			}
			p.since()
			usage, cost, passed := schemas.Usage{}, 0.0, 0
			for _, out := range r.columns(t, plan, run, 1) {
				usage, cost, passed = usage.Add(out.Usage), cost+out.Cost.USD, passed+out.Passed
			}
			p.want(t, "the cells", test.alone)
			all, alone := 0, 0
			for _, n := range test.rows {
				all += n
			}
			for _, n := range test.alone {
				alone += n
			}
			switch {
			case test.fails == "Say w7": // its row, which nobody answered, and what was not asked about it
				all++
			case test.cells == 0: // the second verdict is there, and nobody looks at it: it counts for the run that does
				all--
			}
			const single = (10*1 + 5*2) / 1e6
			if want := single*float64(alone) + single/2*float64(all-alone); usage.Calls != all || cost < want*0.999 || cost > want*1.001 || passed != test.cells {
				t.Errorf("%d calls for %v US dollars, %d passed; want %d for %v", usage.Calls, cost, passed, all, want)
			}
		})
	}
}
