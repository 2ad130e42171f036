package chain_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/openaimodel"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/activities/retrieve"
	"github.com/tenuto-dev/tenuto/schemas"
)

const tenant = "default"

// rig is the activities of one process over a store and a model server that outlive it.
type rig struct {
	*chain.Activities

	driver *memblob.Driver
	models *modeltest.Server
	found  *finder
	ref    schemas.Ref
	bundle schemas.Bundle
}

// newRig stores the bundle of one chain, main, whose model m is served by a fake of OpenAI.
func newRig(t *testing.T, o modeltest.Options, bundle schemas.Bundle) *rig {
	t.Helper()
	r := &rig{driver: &memblob.Driver{}, models: modeltest.NewServer(t, o), found: &finder{}, bundle: bundle}
	r.bundle.Chain = "main"
	if r.bundle.Models.Providers == nil {
		r.bundle.Models.Providers = map[string]schemas.ProviderDef{"fake": {Driver: schemas.DriverOpenAI}}
	}
	if r.bundle.Models.Models == nil {
		r.bundle.Models.Models = map[string]schemas.ModelDef{}
	}
	if _, ok := r.bundle.Models.Models["m"]; !ok {
		r.bundle.Models.Models["m"] = priced(1, 2)
	}
	r.start()
	data, err := json.Marshal(r.bundle)
	if err != nil {
		t.Fatal(err)
	}
	if r.ref, err = blob.PutContent(t.Context(), r.Store, tenant, data); err != nil {
		t.Fatal(err)
	}
	return r
}

// priced is a model that costs so many dollars for a million tokens.
func priced(input, output float64) schemas.ModelDef {
	return schemas.ModelDef{Provider: "fake", Model: modeltest.ChatModel, Prices: &schemas.PriceDef{Input: input, Output: output}}
}

// start begins another process over the same store: it knows nothing but what is stored.
func (r *rig) start() {
	store := blob.New(r.driver)
	open := func(string, schemas.ProviderDef, func(limit.Rates)) (model.Driver, error) {
		return openaimodel.New(openaimodel.Options{BaseURL: r.models.URL, APIKey: "any"})
	}
	r.Activities = &chain.Activities{
		Store: store, Journal: journal.New(store, "test"), Find: r.found, Fleet: &fleet.Fleet{Open: open}, Web: &web.Client{},
	}
}

// request is the call of a step of the chain main.
func (r *rig) request(step, input string) schemas.StepRequest {
	return schemas.StepRequest{
		Tenant: tenant, RunID: "r1", Bundle: r.ref, Chain: "main", Step: step, Input: schemas.Content{Text: input}, Outputs: map[string]schemas.Content{},
	}
}

// run calls a step that must succeed.
func (r *rig) run(t *testing.T, in schemas.StepRequest) schemas.StepOutcome {
	t.Helper()
	out, err := r.Step(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r *rig) fails(t *testing.T, in schemas.StepRequest, code schemas.Code, says ...string) {
	t.Helper()
	out, err := r.Step(t.Context(), in)
	if err == nil || schemas.CodeOf(err) != code {
		t.Errorf("%+v, %v; want code %s", out, err, code)
		return
	}
	for _, word := range says {
		if !strings.Contains(schemas.SafeMessage(err), word) {
			t.Errorf("%q does not say %q", schemas.SafeMessage(err), word)
		}
	}
}

// text reads a content.
func (r *rig) text(t *testing.T, content schemas.Content) string {
	t.Helper()
	text, err := blob.Text(t.Context(), r.Store, content)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %.500s", err, text)
	}
	return value
}

// output is what a generate step without a schema answered.
func (r *rig) output(t *testing.T, out schemas.StepOutcome) string {
	t.Helper()
	return decode[struct{ Text string }](t, r.text(t, out.Output)).Text
}

func (r *rig) detail(t *testing.T, out schemas.StepOutcome) schemas.StepDetail {
	t.Helper()
	return decode[schemas.StepDetail](t, r.text(t, out.Detail))
}

func (r *rig) chats() int { return r.models.Stats().Chats }

// steps is a bundle of one chain.
func steps(defs ...schemas.StepDef) schemas.Bundle {
	return schemas.Bundle{
		Chains:  map[string]schemas.ChainDef{"main": {Steps: defs}},
		Prompts: map[string]string{"say": "---\nmodel: m\n---\nRepeat {{word}}"},
	}
}

// say asks the model m to repeat the input's word.
func say(id string, change ...func(*schemas.StepDef)) schemas.StepDef {
	def := schemas.StepDef{ID: id, Generate: &schemas.GenerateDef{Prompt: "say", With: map[string]string{"word": "input.word"}}}
	for _, c := range change {
		c(&def)
	}
	return def
}

// finder finds what it is told to, and notes what it was asked.
type finder struct {
	hits    []schemas.Hit
	queries []retrieve.Query
	ranked  string
}

func (f *finder) Find(_ context.Context, query retrieve.Query) (retrieve.Found, error) {
	f.queries = append(f.queries, query)
	return retrieve.Found{Hits: f.hits, Usage: schemas.Usage{Calls: 1, InputTokens: 5}}, nil
}

func (f *finder) Rerank(
	_ context.Context, _ *model.Provider, name, _, query string, hits []schemas.Hit, top int,
) ([]schemas.Hit, model.RerankResponse, error) {
	f.ranked = name + ": " + query
	return hits[:top], model.RerankResponse{Model: name, Tokens: 9}, nil
}

// last is the last call that a step made, or tried.
func (r *rig) last(t *testing.T, out schemas.StepOutcome) schemas.CallDetail {
	t.Helper()
	calls := r.detail(t, out).Calls
	if len(calls) == 0 {
		t.Fatal("there was no call")
	}
	return calls[len(calls)-1]
}
