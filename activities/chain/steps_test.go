package chain_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestCondition(t *testing.T) {
	t.Parallel()
	when := func(src string) func(*schemas.StepDef) { return func(def *schemas.StepDef) { def.When = src } }
	r := newRig(t, modeltest.Options{}, steps(
		say("yes", when(`input.word == "heron"`)), say("no", when(`input.word == "egret"`)), say("neither", when(`input.word`)), say("nothing", when(`input.colour == 1`)),
	))
	if out := r.run(t, r.request("yes", word)); out.Skipped {
		t.Error("it was skipped")
	}
	if out := r.run(t, r.request("no", word)); !out.Skipped || r.chats() != 1 {
		t.Errorf("%+v", out)
	}
	r.fails(t, r.request("neither", word), schemas.Invalid, "neither true nor false")
	r.fails(t, r.request("nothing", word), schemas.Invalid, "colour")
}

func TestBranch(t *testing.T) {
	t.Parallel()
	def := schemas.StepDef{ID: "fork", Branch: &schemas.BranchDef{
		Cases: []schemas.CaseDef{{When: `input.n > 10`, Steps: []string{"big"}}, {Label: "some", When: `input.n > 5`, Steps: []string{"mid", "big"}}},
		Else:  []string{"small"},
	}}
	r := newRig(t, modeltest.Options{}, steps(def))
	for n, want := range map[int]struct {
		label  string
		chosen []string
	}{11: {`"0"`, []string{"big"}}, 7: {`"some"`, []string{"mid", "big"}}, 1: {`"else"`, []string{"small"}}} {
		out := r.run(t, r.request("fork", fmt.Sprintf(`{"n":%d}`, n)))
		if got := r.text(t, out.Output); got != want.label || !cmp.Equal(want.chosen, out.Chosen) {
			t.Errorf("%d: %s, %v", n, got, out.Chosen)
		}
	}
}

func TestMapMakesInputs(t *testing.T) {
	t.Parallel()
	each := func(change func(*schemas.MapDef)) schemas.StepDef {
		def := schemas.MapDef{Over: "input.list", Chain: "one", With: map[string]string{"word": "item", "at": "index"}}
		change(&def)
		return schemas.StepDef{ID: fmt.Sprint("max", def.Max), Map: &def}
	}
	bundle := steps(each(func(*schemas.MapDef) {}), each(func(def *schemas.MapDef) { def.Max = 20_000 }))
	r := newRig(t, modeltest.Options{}, bundle)
	out := r.run(t, r.request("max0", `{"list":["a","b"]}`))
	if got := r.text(t, out.Output); out.Items != 2 || got != `[{"at":0,"word":"a"},{"at":1,"word":"b"}]` {
		t.Errorf("%d items: %s", out.Items, got)
	}
	if out := r.run(t, r.request("max0", `{"list":[]}`)); out.Items != 0 {
		t.Errorf("%d items", out.Items)
	}
	r.fails(t, r.request("max0", `{"list":"a"}`), schemas.Invalid, "input.list", "no list")
	long := `{"list":[` + strings.Repeat(`"x",`, 9_999) + `"x"]}`
	r.fails(t, r.request("max0", long), schemas.Invalid, "10000 items", "at most 1000", "raise max")
	if out := r.run(t, r.request("max20000", long)); out.Items != 10_000 || out.Output.Ref.IsZero() {
		t.Errorf("%+v", out)
	}
}

// TestItemsSeeTheirOwnInput runs a step of a map's chain for some of many items: their list is stored, and read once.
func TestItemsSeeTheirOwnInput(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	list := make([]map[string]string, 500)
	for i := range list {
		list[i] = map[string]string{"word": fmt.Sprint("bird", i)}
	}
	in := r.request("a", "")
	in.Input = r.stored(t, list)
	for _, n := range []int{0, 7, 499} {
		in.Item, in.Path = &n, fmt.Sprintf("each[%d]/", n)
		if got := r.output(t, r.run(t, in)); !strings.HasSuffix(got, fmt.Sprint(" bird", n)) {
			t.Errorf("item %d: %q", n, got)
		}
	}
	beyond := 500
	in.Item = &beyond
	r.fails(t, in, schemas.Internal, "item 500")
}

// stored keeps a value by reference.
func (r *rig) stored(t *testing.T, value any) schemas.Content {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	ref := schemas.Ref{Key: schemas.BlobKey(tenant, schemas.Hash(data)), SHA256: schemas.Hash(data), Bytes: int64(len(data))}
	if err := r.Store.Put(t.Context(), ref.Key, data); err != nil {
		t.Fatal(err)
	}
	return schemas.Content{Ref: ref}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	number := json.RawMessage(`{"type":"integer"}`)
	bundle := schemas.Bundle{Chains: map[string]schemas.ChainDef{
		"main":   {Output: "steps.a.n + input.m", Steps: []schemas.StepDef{say("a"), say("b")}},
		"last":   {Steps: []schemas.StepDef{say("a"), say("b"), say("c")}},
		"typed":  {Output: "steps.a.n", Schema: number, Steps: []schemas.StepDef{say("a")}},
		"mended": {Output: "string(steps.a.n)", Schema: number, Steps: []schemas.StepDef{say("a")}},
	}, Prompts: steps().Prompts}
	r := newRig(t, modeltest.Options{}, bundle)
	output := func(chain string, outputs map[string]schemas.Content) (string, error) {
		out, err := r.Output(t.Context(), schemas.OutputRequest{
			Tenant: tenant, RunID: "r1", Bundle: r.ref, Chain: chain, Input: schemas.Content{Text: `{"m":2}`}, Outputs: outputs,
		})
		if err != nil {
			return "", err
		}
		return r.text(t, out.Output), nil
	}
	a := map[string]schemas.Content{"a": {Text: `{"n":40}`}}
	for chain, want := range map[string]string{"main": "42", "last": `{"n":40}`, "typed": "40"} {
		if got, err := output(chain, a); got != want || err != nil {
			t.Errorf("%s: %s, %v", chain, got, err)
		}
	}
	if got, err := output("last", nil); got != "null" || err != nil {
		t.Errorf("no outputs: %s, %v", got, err)
	}
	if _, err := output("mended", a); schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Errorf("an output of another type: %v", err)
	}
	if _, err := output("main", nil); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("an output of steps that were skipped: %v", err)
	}
}

func TestListsAreMadeFlat(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	one := func(n int) schemas.Content { return schemas.Content{Text: fmt.Sprintf(`[%d]`, n)} } // items may be lists themselves
	part := func(items ...schemas.Content) schemas.OutputOutcome {
		out, err := r.Output(t.Context(), schemas.OutputRequest{Tenant: tenant, List: items, Part: true, Steps: []schemas.StepRecord{{ID: "x"}}})
		if err != nil || len(out.Steps) != 1 || out.Steps[0].Parts.Ref.IsZero() {
			t.Fatalf("%+v, %v", out, err)
		}
		return out
	}
	for name, list := range map[string][]schemas.Content{
		"[[0],[1],[2]]": {part(one(0), one(1)).Output, part(one(2)).Output},
		"[[0],[1]]":     {one(0), one(1)},
		"[]":            nil,
	} {
		out, err := r.Output(t.Context(), schemas.OutputRequest{Tenant: tenant, List: list})
		if err != nil || r.text(t, out.Output) != name {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}

func TestRetrieve(t *testing.T) {
	t.Parallel()
	bundle := steps(schemas.StepDef{ID: "find", Retrieve: &schemas.RetrieveDef{
		Collection: "docs-${input.lang}", Query: "input.word", Limit: 5, Parents: true, Metadata: map[string]string{"lang": "input.lang", "tags": `["a","b"]`},
		Queries: &schemas.QueriesDef{Prompt: "more", Model: "m", Count: 2}, Rerank: &schemas.RerankDef{Model: "m", Top: 1},
	}})
	bundle.Prompts["more"] = "Other words for {{query}}, {{count}} of them"
	r := newRig(t, modeltest.Options{Replies: replies("1. heron\n2. egret\n- bittern\nstork")}, bundle)
	r.found.hits = []schemas.Hit{{Chunk: "c1", Text: "one"}, {Chunk: "c2", Text: "two"}}
	in := r.request("find", `{"word":"heron","lang":"en"}`)
	out := r.run(t, in)
	if got := decode[struct{ Hits []schemas.Hit }](t, r.text(t, out.Output)); len(got.Hits) != 1 || got.Hits[0].Chunk != "c1" {
		t.Errorf("hits %+v", got)
	}
	query := r.found.queries[0]
	if diff := cmp.Diff([]string{"heron", "egret", "bittern"}, query.Texts); diff != "" {
		t.Error(diff)
	}
	settings := query.Settings
	if settings.Collection != "docs-en" || settings.Limit != 5 || settings.Mode != schemas.Hybrid || !query.Parents ||
		!cmp.Equal(settings.Filter.Metadata, map[string][]string{"lang": {"en"}, "tags": {"a", "b"}}) {
		t.Errorf("query %+v, filter %+v", query, settings.Filter)
	}
	if r.found.ranked != modeltest.ChatModel+": heron" {
		t.Errorf("ranked by %q", r.found.ranked)
	}
	detail := r.detail(t, out)
	var purposes []string
	for _, call := range detail.Calls {
		purposes = append(purposes, call.Purpose)
	}
	if diff := cmp.Diff([]string{"queries", "embed", "rerank"}, purposes); diff != "" || detail.Hits != 1 || len(detail.Queries) != 3 {
		t.Errorf("%s %+v", diff, detail)
	}
	r.start()
	if r.run(t, in); r.chats() != 1 {
		t.Errorf("%d calls for queries", r.chats())
	}
}

func TestCheckInput(t *testing.T) {
	t.Parallel()
	bundle := steps(say("a"))
	bundle.Chain = "main"
	for input, fine := range map[string]bool{`{}`: true, `{"x":1}`: true, `[]`: false, `"x"`: false, `{"x":1,}`: false, ``: false, `{} {}`: false} {
		if err := chain.CheckInput(bundle, json.RawMessage(input)); (err == nil) != fine || err != nil && schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%s: %v", input, err)
		}
	}
}
