package modeltest

import (
	"context"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// BatchTarget is a driver under test whose server answers a batch when it is first asked for it. The server may hold batches of others.
type BatchTarget struct {
	Driver    model.Driver // a model.Batcher
	Generator string       // a model that answers the same request the same way each time
}

// RunBatch checks that a driver keeps the contract of model.Batcher and works behind model.Provider.
func RunBatch(t *testing.T, target BatchTarget) {
	t.Helper()
	provider := &model.Provider{Name: "target", Driver: target.Driver, Records: &Memory{}}
	calls, batch := batchOf(t, provider, target.Generator)
	since := time.Now()
	if id, err := provider.FindBatch(t.Context(), batch, since); id != "" || err != nil {
		t.Fatalf("found %q, %v before it was ordered", id, err)
	}
	id, err := provider.SubmitBatch(t.Context(), batch, func(ctx context.Context) (func(model.Response, error), error) {
		return func(model.Response, error) {}, ctx.Err()
	})
	if err != nil || id == "" {
		t.Fatalf("ordered %q, %v", id, err)
	}
	if status, err := provider.BatchStatus(t.Context(), id); err != nil || !status.Ended || status.Total != len(calls) || status.Cause != nil {
		t.Errorf("status %+v, %v", status, err)
	}
	if found, err := provider.FindBatch(t.Context(), batch, since); found != id || err != nil {
		t.Errorf("found %q, %v; want %q", found, err, id)
	}
	if err := provider.CancelBatch(t.Context(), id); err != nil {
		t.Errorf("cancelling what has ended: %v", err)
	}
	collects(t, provider, id, batch, calls)
	if _, err := provider.BatchStatus(t.Context(), "batch_none"); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("status of no batch: %v, want code not_found", err)
	}
}

func batchOf(t *testing.T, provider *model.Provider, generator string) (map[string]model.Call, model.Batch) {
	calls, batch := map[string]model.Call{}, model.Batch{Name: schemas.Hash([]byte(t.Name()))}
	for _, word := range []string{"one", "two <&> three", "三"} {
		call := model.Call{Tenant: "acme", Attempt: "run/" + word, Request: model.Request{
			Model: generator, MaxTokens: 50, Messages: []model.Message{{Role: model.RoleSystem, Text: "Repeat."}, {Role: model.RoleUser, Text: "Say " + word}},
		}}
		row, err := provider.BatchRow(call)
		if err != nil {
			t.Fatal(err)
		}
		calls[row.ID], batch.Rows = call, append(batch.Rows, row)
	}
	return calls, batch
}

// collects checks that every row is answered once as its call would be, and that the call then finds the answer.
func collects(t *testing.T, provider *model.Provider, id string, batch model.Batch, calls map[string]model.Call) {
	terms, err := provider.BatchTerms()
	if err != nil || terms.MaxRows < len(calls) || terms.MaxBytes < 1<<20 || !(terms.PriceFactor > 0 && terms.PriceFactor <= 1) {
		t.Errorf("terms %+v, %v", terms, err)
	}
	rows := 0
	err = provider.CollectBatch(t.Context(), id, batch, func(out model.BatchOutcome) error {
		rows++
		call, known := calls[out.ID]
		if !known || out.Err != nil {
			t.Errorf("row %q: %v", out.ID, out.Err)
			return nil //nolint:nilerr // it is told of, and the rows behind it are looked at all the same
		}
		alone, err := provider.Driver.Generate(t.Context(), call.Request, nil)
		if err != nil || alone.Text != out.Response.Text || alone.Finish != out.Response.Finish || out.Response.PriceFactor != terms.PriceFactor {
			t.Errorf("alone %+v, %v; in a batch %+v", alone, err, out.Response)
		}
		if fresh, err := provider.Record(t.Context(), call, out.Response); !fresh || err != nil {
			t.Errorf("recorded anew %v, %v", fresh, err)
		}
		paid, err := provider.Pay(t.Context(), call)
		if err != nil || !paid.Recorded || paid.Text != out.Response.Text || paid.PriceFactor != terms.PriceFactor {
			t.Errorf("the call finds %+v, %v", paid, err)
		}
		return err
	})
	if err != nil || rows != len(calls) {
		t.Errorf("%d rows, %v", rows, err)
	}
}
