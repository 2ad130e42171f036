package chain_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// stored are records in the artifact store, at their own keys.
type stored struct{ *blob.Store }

func (s stored) Load(ctx context.Context, key string) ([]byte, bool, error) {
	data, err := s.Get(ctx, key)
	return data, err == nil, nil
}

func (s stored) Save(ctx context.Context, key string, data []byte) error {
	return s.Put(ctx, key, data)
}

// TestARunFindsWhatABatchBrought records the response to a run's row under its identity, at half the price.
func TestARunFindsWhatABatchBrought(t *testing.T) {
	t.Parallel()
	shaped := func(def *schemas.StepDef) {
		def.Generate.Schema = json.RawMessage(`{ "type": "object", "required": ["a<b"], "properties": {"a<b": {"type": "string"}} }`)
	}
	for name, change := range map[string][]func(*schemas.StepDef){"text": nil, "of a schema": {shaped}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, modeltest.Options{}, steps(say("a", change...)))
			in := r.line(t)
			in.Run.Fresh, in.Run.Batch = false, true
			told, err := r.Row(t.Context(), in.Run)
			if err != nil || told.Row == nil || told.Output != nil || told.Row.Model != "m" || len(told.Models.Models) != 1 {
				t.Fatalf("%+v, %v", told, err)
			}
			row := *told.Row
			target, err := r.Fleet.Target(told.Models, row.Model)
			if err != nil {
				t.Fatal(err)
			}
			call := model.Call{Tenant: tenant, Attempt: row.Attempt, Records: stored{r.Store}}
			if err := json.Unmarshal(row.Request, &call.Request); err != nil {
				t.Fatal(err)
			}
			answer := model.Response{
				Text: `{"a<b": "from a batch"}`, Model: "m-1", Finish: model.FinishStop, PriceFactor: 0.5, Usage: schemas.Usage{Calls: 1, InputTokens: 1e6, OutputTokens: 1e6},
			}
			if fresh, err := target.Provider.Record(t.Context(), call, answer); !fresh || err != nil {
				t.Fatal(fresh, err)
			}
			if told, err = r.Row(t.Context(), in.Run); err != nil || told.Row != nil || !strings.Contains(string(told.Output), "from a batch") {
				t.Errorf("%+v, %s, %v", told.Row, told.Output, err)
			}
			r.start()
			out, err := r.Line(t.Context(), in)
			if err != nil || out.Outcome == nil || out.Failed != nil {
				t.Fatalf("%+v, %v", out, err)
			}
			exchange, _ := r.recorded(t, in)
			if got := exchange.Steps[0].Details[0].Calls[0]; !got.Recorded || got.PriceFactor != 0.5 || *got.Cost != 1.5 || exchange.Cost.USD != 1.5 || r.chats() != 0 {
				t.Errorf("call %+v, cost %+v, %d calls", got, exchange.Cost, r.chats())
			}
		})
	}
}

func TestRunsThatHaveNoRow(t *testing.T) {
	t.Parallel()
	never := func(def *schemas.StepDef) { def.When = "false" }
	for name, bundle := range map[string]schemas.Bundle{"two steps": two(), "a step that is left out": steps(say("a", never))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, modeltest.Options{}, bundle)
			told, err := r.Row(t.Context(), r.line(t).Run)
			if told.Row != nil || told.Output != nil || err != nil || r.chats() != 0 {
				t.Errorf("%+v, %v, %d calls", told, err, r.chats())
			}
		})
	}
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	in := r.line(t)
	in.Run.Input = schemas.Content{Text: `{"other": 1}`}
	if told, err := r.Row(t.Context(), in.Run); told.Row != nil || schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("%+v, %v; want code invalid", told, err)
	}
}
