package compare_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/compare"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

func before() schemas.Bundle {
	return schemas.Bundle{
		Chain: "qa",
		Prompts: map[string]string{
			"answer": "---\nconfig: {\"temperature\":0.2,\"stopSequences\":[\"a\"]}\nmodel: \"gpt\"\n---\nBe brief.\n\nAnswer {{question}}\n",
			"old":    "Old.", "odd": "---\nnot: canonical\n---\nx\n",
		},
		Chains: map[string]schemas.ChainDef{"qa": {
			Input: json.RawMessage(`{"properties":{"question":{"type":"string"}}}`),
			Steps: []schemas.StepDef{
				{ID: "find", Retrieve: &schemas.RetrieveDef{Collection: "docs", Query: "input.question", Limit: 8}},
				{ID: "answer", Needs: []string{"find"}, Generate: &schemas.GenerateDef{Prompt: "answer", Model: "gpt", MaxCost: 0.05}},
			},
		}},
		Models: schemas.Models{
			Models: map[string]schemas.ModelDef{"gpt": {Provider: "openai", Prices: &schemas.PriceDef{Input: 1, Output: 2}}},
			Routes: map[string]schemas.RouteDef{"r.1": {Targets: []schemas.TargetDef{{Model: "gpt", Weight: 1}, {Model: "other"}}}},
		},
		Recipes: map[string]schemas.Recipe{"docs": {Embedder: "local/lexical"}},
	}
}

func TestBundles(t *testing.T) {
	t.Parallel()
	after := before()
	after.Prompts = map[string]string{
		"answer": "---\nconfig: {\"temperature\":0.7,\"stopSequences\":[\"a\",\"<b>\"]}\nmodel: \"gpt\"\n---\nBe very brief.\n\nAnswer {{question}}\n",
		"new":    "New.", "odd": "---\nnot: canonical, too\n---\nx\n",
	}
	after.Chains = map[string]schemas.ChainDef{"qa": {
		Input: json.RawMessage(`{"properties":{"question":{"type":"string"}}}`),
		Steps: []schemas.StepDef{
			{ID: "look", Retrieve: &schemas.RetrieveDef{Collection: "docs", Query: "input.question"}},
			{ID: "find", Retrieve: &schemas.RetrieveDef{Collection: "docs", Query: "input.question", Limit: 12}},
			{ID: "answer", Needs: []string{"find", "look"}, Generate: &schemas.GenerateDef{Prompt: "answer", Model: "gpt", MaxCost: 0.05}},
		},
	}}
	after.Models.Routes = map[string]schemas.RouteDef{"r.1": {Targets: []schemas.TargetDef{{Model: "gpt", Weight: 3}, {Model: "other"}}}}
	after.Recipes = map[string]schemas.Recipe{"docs": {Embedder: "openai/small"}}
	settings, prompts, err := compare.Bundles(before(), after)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, s := range settings {
		got.WriteString(s.Path + ": " + string(s.Old) + " -> " + string(s.New) + "\n")
	}
	want := `chains.qa.steps: ["find","answer"] -> ["look","find","answer"]
chains.qa.steps.answer.needs: ["find"] -> ["find","look"]
chains.qa.steps.find.retrieve.limit: 8 -> 12
chains.qa.steps.look.retrieve.collection:  -> "docs"
chains.qa.steps.look.retrieve.query:  -> "input.question"
models.routes."r.1".targets[0].weight: 1 -> 3
prompts.answer.config.stopSequences: ["a"] -> ["a","<b>"]
prompts.answer.config.temperature: 0.2 -> 0.7
recipes.docs.embedder: "local/lexical" -> "openai/small"
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
	wantPrompts := []rest.PromptChange{
		{Name: "answer", Kind: "changed", Diff: "@@ -1,3 +1,3 @@\n-Be brief.\n+Be very brief.\n \n Answer {{question}}\n"},
		{Name: "new", Kind: "added"},
		{Name: "odd", Kind: "changed", Diff: "@@ -1,4 +1,4 @@\n ---\n-not: canonical\n+not: canonical, too\n ---\n x\n"},
		{Name: "old", Kind: "removed"},
	}
	if diff := cmp.Diff(wantPrompts, prompts); diff != "" {
		t.Error(diff)
	}
	settings, prompts, err = compare.Bundles(after, after)
	if len(settings)+len(prompts) != 0 || err != nil {
		t.Errorf("a bundle differs from itself: %v, %v, %v", settings, prompts, err)
	}
}
