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

// estimated is the estimate of a run of the chain main with this input.
func estimated(t *testing.T, b schemas.Bundle, input string) schemas.Estimate {
	t.Helper()
	b.Chain = "main"
	e, err := chain.NewEstimator(b, schemas.Models{
		Providers: map[string]schemas.ProviderDef{"hosted": {Driver: schemas.DriverOpenAI}, "own": {Driver: schemas.DriverOllama}},
		Models: map[string]schemas.ModelDef{
			"large": {Provider: "hosted", Model: "vendor/large", Prices: &schemas.PriceDef{Input: 1, Output: 2}}, "small": {Provider: "own"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e.Run(int64(len(input)), func() json.RawMessage { return json.RawMessage(input) })
}

// tells is a generate step over the whole input.
func tells(id, model string, needs ...string) schemas.StepDef {
	return schemas.StepDef{ID: id, Needs: needs, Generate: &schemas.GenerateDef{
		Prompt: "say", Model: model, With: map[string]string{"text": "input.text"}, Budget: schemas.BudgetDef{Answer: 100},
	}}
}

func chainOf(steps ...schemas.StepDef) map[string]schemas.ChainDef {
	return map[string]schemas.ChainDef{"main": {Steps: steps}}
}

// paidModels has models that cost a dollar for a million tokens, in and out, and others.
func paidModels() schemas.Models {
	dollar := &schemas.PriceDef{Input: 1, Output: 1}
	return schemas.Models{
		Providers: map[string]schemas.ProviderDef{
			"fake": {Driver: schemas.DriverOpenAI}, "here": {Driver: schemas.DriverLocal}, "llama": {Driver: schemas.DriverOllama},
		},
		Models: map[string]schemas.ModelDef{
			"m": {Provider: "fake", Prices: dollar}, "dear": {Provider: "fake", Prices: &schemas.PriceDef{Input: 10, Output: 10}},
			"small": {Provider: "fake", Prices: dollar, Context: 50}, "short": {Provider: "fake", Prices: dollar, MaxOutput: 10},
			"written": {Provider: "fake", Prices: &schemas.PriceDef{Input: 1, Output: 1, Written: new(2.0)}},
			"dark":    {Provider: "fake"}, "own": {Provider: "here"}, "ollama": {Provider: "llama"},
		},
		Routes: map[string]schemas.RouteDef{
			"either": {Targets: []schemas.TargetDef{{Model: "m"}, {Model: "dear"}}},
			"up":     {Targets: []schemas.TargetDef{{Model: "m"}, {Model: "dear"}}, Escalate: "true"},
			"fog":    {Targets: []schemas.TargetDef{{Model: "own"}, {Model: "dark"}}},
		},
	}
}

// TestEstimates supposes two bytes a token, and 32 tokens around a prompt.
func TestEstimates(t *testing.T) {
	t.Parallel()
	const input = `{"text":"0123456789"}` // 21 bytes: 11 tokens
	const one = (8/2 + 32) + 11 + 100     // the prompt, the input, the answer
	tool := schemas.StepDef{ID: "look", Tool: &schemas.ToolDef{HTTP: &schemas.HTTPDef{}}}
	tools := tells("a", "m")
	tools.Generate.Tools, tools.Generate.MaxTurns = []string{"look"}, 2
	strict := tells("a", "m")
	strict.Generate.Schema = json.RawMessage(`{}`)
	cited := tells("a", "m")
	cited.Generate.Schema, cited.Generate.Cite = json.RawMessage(`{}`), true
	reads := tells("b", "m", "a")
	reads.Generate.With = map[string]string{"text": "steps.a.text"}
	for name, test := range map[string]struct {
		chains map[string]schemas.ChainDef
		micros int64
		tokens int64
	}{
		"one call":                {chainOf(tells("a", "m")), one, one},
		"two calls":               {chainOf(tells("a", "m"), tells("b", "m")), 2 * one, 2 * one},
		"one reads the other":     {chainOf(reads, tells("a", "m")), one + (36 + 100 + 100), one + (36 + 100 + 100)},
		"a short answer":          {chainOf(tells("a", "short")), one - 90, one},
		"a small context":         {chainOf(tells("a", "small")), one, one}, // 47 tokens fit
		"written to the cache":    {chainOf(tells("a", "written")), one + 47, one},
		"one target of a route":   {chainOf(tells("a", "either")), 10 * one, one},
		"all of a route":          {chainOf(tells("a", "up")), 11 * one, 2 * one},
		"a free model":            {chainOf(tells("a", "own")), 0, one},
		"a model of one's own":    {chainOf(tells("a", "ollama")), 0, one},
		"an installed one":        {chainOf(tells("a", "local/extractive")), 0, one},
		"installed, with a price": {chainOf(tells("a", "hosted/vendor/large")), one + 100, one},
		"installed, one's own":    {chainOf(tells("a", "own/small")), 0, one},
		"output of a form":        {chainOf(strict), (one + 1) + (one + 1 + 356) + (one + 1 + 2*356), (one + 1) + (one + 1 + 356) + (one + 1 + 2*356)},
		"citations":               {chainOf(cited), one + 1, one + 1},
		"tools":                   {chainOf(tools, tool), one + (one + 4196), one + (one + 4196)},
	} {
		got := estimated(t, schemas.Bundle{Chains: test.chains, Prompts: map[string]string{"say": "{{text}}"}, Models: paidModels()}, input)
		want := schemas.Estimate{Amount: schemas.Amount{Micros: schemas.Micros(test.micros), Tokens: test.tokens}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEstimatesOfMaps(t *testing.T) {
	t.Parallel()
	over := func(list string, most int) map[string]schemas.ChainDef {
		chains := chainOf(schemas.StepDef{ID: "each", Map: &schemas.MapDef{Over: list, Chain: "one", Max: most}})
		chains["one"] = schemas.ChainDef{Steps: []schemas.StepDef{tells("a", "m")}}
		return chains
	}
	cost := func(input string) int64 { return int64(36 + len(input)/2 + 1 + 100) }
	three := `{"list":["a","b","c"]}`
	for name, test := range map[string]struct {
		chains map[string]schemas.ChainDef
		input  string
		times  int64
	}{
		"a list of the input":    {over("input.list", 0), three, 3},
		"an empty list":          {over("input.list", 0), `{"list":[]}`, 0},
		"longer than it may be":  {over("input.list", 2), three, 2},
		"no such list":           {over("input.other", 0), three, 1000},
		"of a step":              {over("steps.find.hits", 7), three, 7},
		"a list that is no list": {over("input.list", 5), `{"list":"x"}`, 5},
	} {
		got := estimated(t, schemas.Bundle{Chains: test.chains, Prompts: map[string]string{"say": "{{text}}"}, Models: paidModels()}, test.input)
		if want := schemas.Micros(test.times * cost(test.input)); got.Micros != want {
			t.Errorf("%s: %d micros, want %d", name, got.Micros, want)
		}
	}
}

func TestEstimatesKnowWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	find := func(def schemas.RetrieveDef) schemas.StepDef {
		def.Query = "input.text"
		return schemas.StepDef{ID: "find", Retrieve: &def}
	}
	for name, test := range map[string]struct {
		steps       []schemas.StepDef
		unknown     string
		collections string
	}{
		"a model without a price":      {[]schemas.StepDef{tells("a", "dark"), tells("b", "m")}, "dark", ""},
		"a target without a price":     {[]schemas.StepDef{tells("a", "fog")}, "dark", ""},
		"an installed model":           {[]schemas.StepDef{tells("a", "openai/gpt")}, "openai/gpt", ""},
		"by vector":                    {[]schemas.StepDef{find(schemas.RetrieveDef{Collection: "docs"})}, "", "docs"},
		"by words":                     {[]schemas.StepDef{find(schemas.RetrieveDef{Collection: "docs", Mode: schemas.Keyword})}, "", ""},
		"in a collection to be chosen": {[]schemas.StepDef{find(schemas.RetrieveDef{Collection: "${input.c}"})}, "", "?"},
		"more queries and an order": {[]schemas.StepDef{find(schemas.RetrieveDef{
			Collection: "docs", Queries: &schemas.QueriesDef{Prompt: "say", Model: "dark"}, Rerank: &schemas.RerankDef{Model: "x/rank"},
		})}, "dark x/rank", "docs"},
	} {
		got := estimated(t, schemas.Bundle{Chains: chainOf(test.steps...), Prompts: map[string]string{"say": "{{text}}"}, Models: paidModels()}, `{}`)
		for i, collection := range got.Collections {
			if collection == "" {
				got.Collections[i] = "?"
			}
		}
		if u, c := strings.Join(got.Unknown, " "), strings.Join(got.Collections, " "); u != test.unknown || c != test.collections {
			t.Errorf("%s: unknown %q, collections %q", name, u, c)
		}
	}
	if _, err := chain.NewEstimator(schemas.Bundle{Prompts: map[string]string{"bad": "{{#if}}"}}, schemas.Models{}); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a bad prompt: %v", err)
	}
}

// TestEstimatesHold carries out calls and requires that none costs more than was estimated.
func TestEstimatesHold(t *testing.T) {
	t.Parallel()
	for _, words := range []int{0, 1, 50, 2000} {
		r := newRig(t, modeltest.Options{}, schemas.Bundle{Chains: chainOf(tells("a", "m")), Prompts: map[string]string{"say": "Say it again: {{text}}"}})
		input := fmt.Sprintf(`{"text":%q}`, strings.Repeat("word ", words))
		detail := r.detail(t, r.run(t, r.request("a", input)))
		paid := schemas.AmountOf(detail.Calls[0].Usage, schemas.Cost{USD: *detail.Calls[0].Cost})
		if got := estimated(t, r.bundle, input); paid.Micros > got.Micros || paid.Tokens > got.Tokens || paid.Micros == 0 {
			t.Errorf("%d words: paid %+v, estimated %+v", words, paid, got.Amount)
		}
	}
}
