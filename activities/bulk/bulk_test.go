package bulk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/bulk"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/anthropicmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/batchtest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/openaimodel"
	"github.com/tenuto-dev/tenuto/schemas"
)

const tenant = "default"

// rig is the activities of one process over a store and a server that outlive it.
type rig struct {
	*bulk.Activities

	driver *memblob.Driver
	server *batchtest.Server
	models schemas.Models
	now    time.Time
}

func newRig(t *testing.T, o batchtest.Options) *rig {
	t.Helper()
	r := &rig{driver: &memblob.Driver{}, server: batchtest.NewServer(t, o), now: time.Now()}
	r.models = schemas.Models{
		Providers: map[string]schemas.ProviderDef{"gpt": {Driver: schemas.DriverOpenAI}, "claude": {Driver: schemas.DriverAnthropic}, "home": {Driver: schemas.DriverLocal}},
		Models: map[string]schemas.ModelDef{
			"g": {Provider: "gpt", Model: modeltest.ChatModel, Prices: &schemas.PriceDef{Input: 100, Output: 1000}},
			"c": {Provider: "claude", Model: batchtest.ClaudeModel},
			"l": {Provider: "home", Model: localmodel.Extractive},
		},
	}
	r.start()
	return r
}

// start begins another process: it knows nothing but what is stored.
func (r *rig) start() {
	store := blob.New(r.driver)
	open := func(_ string, def schemas.ProviderDef, _ func(limit.Rates)) (model.Driver, error) {
		switch def.Driver {
		case schemas.DriverAnthropic:
			return anthropicmodel.New(anthropicmodel.Options{BaseURL: r.server.URL})
		case schemas.DriverOpenAI:
			return openaimodel.New(openaimodel.Options{BaseURL: r.server.URL})
		}
		return localmodel.Driver{}, nil
	}
	r.Activities = &bulk.Activities{
		Store: store, Records: journal.New(store, "test"), Fleet: &fleet.Fleet{Open: open}, Now: func() time.Time { return r.now },
	}
}

// row asks a model to repeat n.
func (r *rig) row(name string, n int) schemas.BulkRow {
	request, err := json.Marshal(model.Request{
		Model: r.models.Models[name].Model, Messages: []model.Message{{Role: model.RoleUser, Text: fmt.Sprintf("Say %d", n)}},
	})
	if err != nil {
		panic(err) // texts
	}
	return schemas.BulkRow{Attempt: fmt.Sprintf("run-%d/say/0.0", n), Model: name, Request: request}
}

func (r *rig) rows(name string, n int) []schemas.BulkRow {
	var rows []schemas.BulkRow
	for i := range n {
		rows = append(rows, r.row(name, i))
	}
	return rows
}

// round stores a list and plans a round of it.
func (r *rig) round(t *testing.T, round int, rows ...schemas.BulkRow) schemas.BulkPlan {
	t.Helper()
	ref, err := blob.PutJSON(t.Context(), r.Store, schemas.BulkPrefix(tenant, "x")+"list.json", schemas.BulkList{Models: r.models, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := r.Plan(t.Context(), schemas.BulkRound{Bulk: schemas.BulkRequest{Tenant: tenant, ID: "x", List: ref}, Round: round})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// order orders a batch that must be taken.
func (r *rig) order(t *testing.T, part schemas.BulkPart) schemas.BulkCheck {
	t.Helper()
	out, err := r.Submit(t.Context(), part)
	if err != nil || out.Batch == "" {
		t.Fatalf("%+v, %v", out, err)
	}
	return schemas.BulkCheck{Part: part, Batch: out.Batch}
}

// pay makes the call of a row, as a run does, and says whether it was recorded.
func (r *rig) pay(t *testing.T, row schemas.BulkRow) model.Paid {
	t.Helper()
	target, err := r.Fleet.Target(r.models, row.Model)
	if err != nil {
		t.Fatal(err)
	}
	call := model.Call{Tenant: tenant, Attempt: row.Attempt, Records: records{r}}
	if err := json.Unmarshal(row.Request, &call.Request); err != nil {
		t.Fatal(err)
	}
	paid, err := target.Provider.Pay(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	return paid
}

// records are those of runs.
type records struct{ r *rig }

func (k records) Load(ctx context.Context, key string) ([]byte, bool, error) {
	return k.r.Records.Get(ctx, tenant, key)
}

func (k records) Save(ctx context.Context, key string, data []byte) error {
	return k.r.Store.Put(ctx, key, data)
}

func summary(plan schemas.BulkPlan) string {
	text := fmt.Sprintf("known %d, failed %d, single %d, later %d:", plan.Known, plan.Failed, plan.Single, plan.Later)
	for _, part := range plan.Parts {
		text += fmt.Sprintf(" %s/%d", part.Model, part.Rows)
	}
	return text
}

// TestFromListToRecords brings rows of two vendors, each at half the price, to where their calls find them.
func TestFromListToRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t, batchtest.Options{})
	rows := append(r.rows("g", 3), r.rows("c", 2)...)
	plan := r.round(t, 0, append(rows, r.row("l", 1), r.row("none", 1), r.row("g", 0))...)
	if got, want := summary(plan), "known 0, failed 0, single 2, later 0: g/3 c/2"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	for _, part := range plan.Parts {
		in := r.order(t, part)
		if status, err := r.Check(t.Context(), in); err != nil || !status.Ended || status.Done != part.Rows || status.Refused != nil {
			t.Errorf("%+v, %v", status, err)
		}
		got, err := r.Collect(t.Context(), in)
		if err != nil || got.Done != part.Rows || got.Missing != 0 || got.Usage.Calls != part.Rows {
			t.Errorf("%+v, %v", got, err)
		}
		if again, err := r.Collect(t.Context(), in); err != nil || !cmp.Equal(got, again) {
			t.Errorf("collected again: %v\n%s", err, cmp.Diff(got, again))
		}
		if part.Model == "g" {
			full := (100*float64(got.Usage.InputTokens) + 1000*float64(got.Usage.OutputTokens)) / 1e6
			if diff := got.Cost.USD - full/2; diff > 1e-12 || diff < -1e-12 || full == 0 {
				t.Errorf("it cost %v, and one by one %v", got.Cost.USD, full)
			}
		} else if got.Cost.Unknown != part.Rows {
			t.Errorf("cost %+v of a model without a price", got.Cost)
		}
	}
	r.start()
	for _, row := range rows {
		if paid := r.pay(t, row); !paid.Recorded || paid.PriceFactor != 0.5 || paid.Text == "" {
			t.Errorf("%s: %+v", row.Attempt, paid)
		}
	}
	if stats := r.server.Stats(); stats.Singles != 0 || stats.Batches != 2 {
		t.Errorf("%+v", stats)
	}
	if got, want := summary(r.round(t, 1, rows...)), "known 5, failed 0, single 0, later 0:"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestOnlyMissingRowsAreOrderedAgain has rows of every fate.
func TestOnlyMissingRowsAreOrderedAgain(t *testing.T) {
	t.Parallel()
	fates := []batchtest.Fate{batchtest.Answered, batchtest.Invalid, batchtest.Failing, batchtest.Expired, batchtest.Garbled, batchtest.Lost, batchtest.Twice, batchtest.Cancelled}
	for _, name := range []string{"g", "c"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, batchtest.Options{Fate: func(order, n int) batchtest.Fate {
				if order > 0 {
					return batchtest.Answered
				}
				return fates[n]
			}})
			rows := r.rows(name, len(fates))
			got, err := r.Collect(t.Context(), r.order(t, r.round(t, 0, rows...).Parts[0]))
			if err != nil || got.Done != 2 || got.Failed != 1 || got.Missing != 5 || got.Unreadable != 1 || got.Reason == "" {
				t.Errorf("%+v, %v", got, err)
			}
			plan := r.round(t, 1, rows...)
			if got, want := summary(plan), fmt.Sprintf("known 2, failed 1, single 0, later 0: %s/5", name); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
			if got, err := r.Collect(t.Context(), r.order(t, plan.Parts[0])); err != nil || got.Done != 5 || got.Missing != 0 {
				t.Errorf("%+v, %v", got, err)
			}
			for id, times := range r.server.Stats().Rows {
				if times > 2 {
					t.Errorf("row %s was ordered %d times", id, times)
				}
			}
		})
	}
}

// TestAnOrderIsMadeOnce repeats it in another process, with its answer and without.
func TestAnOrderIsMadeOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"g", "c"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, batchtest.Options{Script: []modeltest.Failure{{Drop: true}}})
			part := r.round(t, 0, r.rows(name, 2)...).Parts[0]
			if out, err := r.Submit(t.Context(), part); schemas.CodeOf(err) != schemas.Unavailable {
				t.Fatalf("%+v, %v; want code unavailable", out, err)
			}
			r.start()
			in := r.order(t, part)
			r.start()
			if again := r.order(t, part); again.Batch != in.Batch {
				t.Errorf("batches %s and %s", in.Batch, again.Batch)
			}
			if got, err := r.Collect(t.Context(), in); err != nil || got.Done != 2 {
				t.Errorf("%+v, %v", got, err)
			}
			if stats := r.server.Stats(); stats.Orders != 1 || stats.Batches != 1 {
				t.Errorf("%+v", stats)
			}
		})
	}
}

// TestAnOrderThatNeverArrived is made again, but not before it would be in the provider's list.
func TestAnOrderThatNeverArrived(t *testing.T) {
	t.Parallel()
	r := newRig(t, batchtest.Options{Script: []modeltest.Failure{{Status: 502}}})
	part := r.round(t, 0, r.rows("g", 2)...).Parts[0]
	for range 2 {
		if out, err := r.Submit(t.Context(), part); schemas.CodeOf(err) != schemas.Unavailable {
			t.Fatalf("%+v, %v; want code unavailable", out, err)
		}
	}
	if stats := r.server.Stats(); stats.Orders != 1 {
		t.Errorf("%d orders while the first may still arrive", stats.Orders)
	}
	r.now = r.now.Add(2 * time.Minute)
	r.order(t, part)
	if stats := r.server.Stats(); stats.Orders != 2 || stats.Batches != 1 {
		t.Errorf("%+v", stats)
	}
}

// TestAProviderThatDeclines is a result.
func TestAProviderThatDeclines(t *testing.T) {
	t.Parallel()
	t.Run("the order", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, batchtest.Options{Script: []modeltest.Failure{{Status: 400}}})
		out, err := r.Submit(t.Context(), r.round(t, 0, r.rows("g", 2)...).Parts[0])
		if err != nil || out.Refused == nil || out.Refused.Code != schemas.Invalid || out.Batch != "" {
			t.Errorf("%+v, %v", out, err)
		}
	})
	t.Run("the batch", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, batchtest.Options{Refuse: "token_limit_exceeded"})
		status, err := r.Check(t.Context(), r.order(t, r.round(t, 0, r.rows("g", 2)...).Parts[0]))
		if err != nil || !status.Ended || status.Refused == nil || status.Refused.Code != schemas.RateLimited {
			t.Errorf("%+v, %v", status, err)
		}
	})
}

// TestABatchUnderWay fails until it has ended, and is cancelled.
func TestABatchUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, batchtest.Options{Delay: time.Hour})
	part := r.round(t, 0, r.rows("c", 4)...).Parts[0]
	if out, err := r.Cancel(t.Context(), part); err != nil || out.Batch != "" {
		t.Errorf("cancelled what was never ordered: %+v, %v", out, err)
	}
	in := r.order(t, part)
	if status, err := r.Check(t.Context(), in); schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("%+v, %v; want code unavailable", status, err)
	}
	r.start()
	for range 2 {
		if out, err := r.Cancel(t.Context(), part); err != nil || out.Batch != in.Batch {
			t.Errorf("%+v, %v", out, err)
		}
	}
	if status, err := r.Check(t.Context(), in); err != nil || !status.Ended {
		t.Errorf("%+v, %v", status, err)
	}
	if got, err := r.Collect(t.Context(), in); err != nil || got.Done != 2 || got.Missing != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestBatchesKeepWithinTheirBounds splits by rows and by bytes, and leaves what is too many for one round to the next.
func TestBatchesKeepWithinTheirBounds(t *testing.T) {
	t.Parallel()
	r := newRig(t, batchtest.Options{})
	r.MostRows = 4
	if got, want := summary(r.round(t, 0, r.rows("g", 10)...)), "known 0, failed 0, single 0, later 0: g/4 g/4 g/2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := r.round(t, 0, r.rows("g", 70)...); len(got.Parts) != schemas.MaxBulkParts || got.Later != 6 {
		t.Errorf("%s", summary(got))
	}
	r.MostRows, r.MostBytes = 0, 1200
	if got, want := summary(r.round(t, 0, r.rows("g", 5)...)), "known 0, failed 0, single 0, later 0: g/2 g/2 g/1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	r.MostBytes = 300
	if got, want := summary(r.round(t, 0, r.rows("g", 5)...)), "known 0, failed 0, single 5, later 0:"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestAListThatIsNone explains what is wrong.
func TestAListThatIsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, batchtest.Options{})
	for id, want := range map[string]schemas.Code{"": schemas.Invalid, "a/b": schemas.Invalid, "x": schemas.NotFound} {
		in := schemas.BulkRequest{Tenant: tenant, ID: id, List: schemas.Ref{Key: schemas.BulkPrefix(tenant, "x") + "none.json"}}
		if _, err := r.Plan(t.Context(), schemas.BulkRound{Bulk: in}); schemas.CodeOf(err) != want {
			t.Errorf("%q: %v, want code %s", id, err, want)
		}
	}
}
