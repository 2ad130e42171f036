package project_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/project"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestLoadModels(t *testing.T) {
	t.Parallel()
	got, problems := project.LoadModels("house.yaml", `
providers:
  openai: {driver: openai, key_env: OPENAI_API_KEY, limits: {requests_per_minute: 500}}
  vllm: {driver: openai, base_url: http://127.0.0.1:8000/v1}
models:
  gpt: {provider: openai, model: gpt-5-mini, prices: {input: 0.25, output: 2}, limits: {concurrency: 4}}
  llama: {provider: vllm, prices: unknown}
`)
	want := schemas.Models{
		Providers: map[string]schemas.ProviderDef{
			"openai": {Driver: "openai", KeyEnv: "OPENAI_API_KEY", Limits: schemas.RateDef{RequestsPerMinute: 500}},
			"vllm":   {Driver: "openai", BaseURL: "http://127.0.0.1:8000/v1"},
		},
		Models: map[string]schemas.ModelDef{
			"gpt":   {Provider: "openai", Model: "gpt-5-mini", Prices: &schemas.PriceDef{Input: .25, Output: 2}, Limits: schemas.RateDef{Concurrency: 4}},
			"llama": {Provider: "vllm"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(problems) > 0 {
		t.Errorf("%v\n%s", problems, diff)
	}
}

func TestModelsWithProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, says string }{
		"empty":               {"", "the file is empty"},
		"not YAML":            {"providers: [", "house.yaml:1"},
		"a route":             {"providers: {local: {driver: local}}\nroutes:\n  a: {targets: [{model: local/extractive}]}\n", "house.yaml:3"},
		"an unknown driver":   {"providers: {x: {driver: y}}", "unknown driver `y`"},
		"an unknown key":      {"providers: {x: {driver: local, colour: red}}", "colour"},
		"an unknown provider": {"models: {m: {provider: p, prices: unknown}}", "there is no provider `p`"},
		"no price":            {"providers: {p: {driver: cohere, key_env: A_API_KEY}}\nmodels: {m: {provider: p}}", "has no price"},
		"too large":           {strings.Repeat("#", 1<<20+1), "more than 1 MB"},
	} {
		_, problems := project.LoadModels("house.yaml", test.text)
		if len(problems) == 0 || !strings.Contains(project.Describe(problems[0]), test.says) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}
