package suite_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// TestProviders reads every spelling of a provider.
func TestProviders(t *testing.T) {
	t.Parallel()
	for spelling, want := range map[string]suite.Provider{
		"echo":                            {Kind: suite.KindEcho},
		"chain:docs-qa":                   {Kind: suite.KindChain, Name: "docs-qa"},
		"chain:docs-qa@production":        {Kind: suite.KindChain, Name: "docs-qa", Version: "production"},
		"release:0123456789abcdef":        {Kind: suite.KindRelease, Name: "0123456789abcdef"},
		"prompt:answers/short":            {Kind: suite.KindPrompt, Name: "answers/short"},
		"model:gpt":                       {Kind: suite.KindModel, Name: "gpt"},
		"openai/gpt-5-mini":               {Kind: suite.KindModel, Name: "openai/gpt-5-mini"},
		"ollama/llama3:8b":                {Kind: suite.KindModel, Name: "ollama/llama3:8b"},
		"openai:gpt-5":                    {Kind: suite.KindVendor, Name: "openai", Version: "gpt-5"},
		"openai:responses:gpt-5":          {Kind: suite.KindVendor, Name: "openai", API: "responses", Version: "gpt-5"},
		"openrouter:meta/llama-3":         {Kind: suite.KindVendor, Name: "openrouter", Version: "meta/llama-3"},
		"bedrock:anthropic.claude-v2:1":   {Kind: suite.KindVendor, Name: "bedrock", Version: "anthropic.claude-v2:1"},
		"anthropic:messages:claude-haiku": {Kind: suite.KindVendor, Name: "anthropic", API: "messages", Version: "claude-haiku"},
	} {
		s := load(t, map[string]string{"suite.yaml": "prompts: p\nproviders: '" + spelling + "'\n"})
		want.ID = spelling
		if diff := cmp.Diff([]suite.Provider{want}, s.Providers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", spelling, diff)
		}
	}
	for _, spelling := range []string{"", "chain:", "chain:a@", "chain:A b", "release:xyz", "prompt:", "model:", "openai:", "openai", "/x", "nobody:model", "ws://x", "a b/c"} {
		_, problems, _ := suite.Load(folder(map[string]string{"suite.yaml": "prompts: p\nproviders: ['" + spelling + "']\n"}), "suite.yaml")
		if len(problems) != 1 || problems[0].Line != 2 || problems[0].Column != 13 {
			t.Errorf("%q: %s", spelling, lines(problems))
		}
	}
}

// TestForms reads the other ways to write the same.
func TestForms(t *testing.T) {
	t.Parallel()
	s := load(t, map[string]string{
		"suite.yaml": `
prompts: {prompts.csv: from csv, file://p.jsonl: lines, p.yaml: chat, readme.md: doc}
targets: [file://providers.yaml, {openai:gpt-5: {config: {n: 1}}}]
defaultTest: file://default.yaml
tests:
  - {vars: vars/*.yaml, provider: openai:gpt-5-mini}
  - file://one.yaml
  - {vars: {x: [[1, 2], [3]]}, providerOutput: {a: 1}, options: {disableVarExpansion: true}}
  - {vars: {y: [p, q]}, options: {disableVarExpansion: true, postprocess: output.length, provider: {text: openai:judge}, factuality: {subset: 1}}, assert: [{type: factuality, value: v}, {type: similar, value: [w]}]}
scenarios: [file://scenario.yaml]
`,
		"prompts.csv":    "prompt,label\nfirst {{x}},one\n\"second, {{x}}\",\n",
		"p.jsonl":        "[{\"role\": \"user\", \"content\": \"third {{x}}\"}]\n",
		"p.yaml":         "- {role: system, content: fourth}\n",
		"readme.md":      "fifth\n---\n{{x}}",
		"providers.yaml": "- echo\n- id: chain:a\n  label: mine\n",
		"default.yaml":   "assert: [{type: is-json, value: file://schema.json}]\noptions: {rubricPrompt: [{role: user, content: 'Grade {{output}}'}]}\n",
		"schema.json":    `{"type": "object", "required": ["{{x}}"]}`,
		"vars/a.yaml":    "x: 1\nz: a\n",
		"vars/b.yaml":    "x: file://x.txt\n",
		"x.txt":          " from file\n",
		"one.yaml":       "vars: {x: 'from one'}\nmetadata: {id: greets, tags: t}\n",
		"scenario.yaml":  "config: [file://data.csv]\ntests: [{description: d}]\n",
		"data.csv":       "x\n1\n2\n",
	})
	var labels, inputs []string
	for _, p := range s.Prompts {
		labels = append(labels, p.Label)
	}
	if diff := cmp.Diff([]string{"one", "from csv", "lines", "chat", "doc"}, labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	made := cells(t, s, suite.Expansion{})
	for _, cell := range made {
		if cell.Prompt == "one" && cell.Provider.Kind == "echo" || cell.Provider.ID == "openai:gpt-5-mini" {
			inputs = append(inputs, cell.Input)
		}
	}
	if diff := cmp.Diff([]string{
		"first from file", "second, from file", "[\n  {\n    \"role\": \"user\",\n    \"content\": \"third from file\"\n  }\n]",
		"[\n  {\n    \"role\": \"system\",\n    \"content\": \"fourth\"\n  }\n]", "fifth\n---\nfrom file",
		"first from one", "first [[1,2],[3]]", "first ", "first 1", "first 2",
	}, inputs); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	checkForms(t, made)
}

func checkForms(t *testing.T, made []schemas.EvalCell) {
	t.Helper()
	for _, cell := range made {
		switch schema, _ := cell.Assertions[0].Value.(map[string]any); {
		case schema["type"] != "object":
			t.Errorf("assertions %+v", cell.Assertions)
		case cell.Case.ID == "greets" && !cmp.Equal(schema["required"], any([]any{"from one"})):
			t.Errorf("schema %v", schema)
		}
		if len(cell.Assertions) == 3 {
			fact := cell.Assertions[1]
			if fact.Provider != "openai:judge" || string(fact.Config) != `{"factuality":{"subset":1}}` || !strings.Contains(fact.RubricPrompt, "{{output}}") ||
				!cmp.Equal(cell.Transform, []string{"output.length"}) {
				t.Errorf("assertion %+v, transform %v", fact, cell.Transform)
			}
		}
		if string(cell.Output) != "" && string(cell.Output) != `{"a":1}` {
			t.Errorf("output %s", cell.Output)
		}
	}
}

// TestSubfolder reads a suite that lies below the root of its project.
func TestSubfolder(t *testing.T) {
	t.Parallel()
	s, problems, _ := suite.Load(folder(map[string]string{
		"suites/a.yaml": "prompts: [file://../prompts/p.txt]\nproviders: [echo]\ntests: data/*.yaml\nassertionTemplates: {}\n", "prompts/p.txt": "{{x}}",
		"suites/data/1.yaml": "- {vars: {x: 1}, assert: [{$ref: ../checks.yaml#/list/0}]}\n- {vars: {x: 2}}\n", "suites/checks.yaml": "list: [{type: equals, value: '{{x}}'}]\n",
	}), "suites/a.yaml")
	if len(problems) > 0 {
		t.Fatal(lines(problems))
	}
	made := cells(t, s, suite.Expansion{})
	if len(made) != 2 || made[0].Input != "1" || made[0].Assertions[0].Value != "1" {
		t.Errorf("cells %+v", made)
	}
}

// TestShortForms reads assertions of CSV files.
func TestShortForms(t *testing.T) {
	t.Parallel()
	half, preset := 0.5, 0.8
	for text, want := range map[string]schemas.Assertion{
		"plain, with: colon":     {Type: "equals", Value: "plain, with: colon"},
		"contains:a: b":          {Type: "contains", Value: "a: b"},
		" contains: a b ":        {Type: "contains", Value: "a b"},
		"regex: ^a":              {Type: "regex", Value: "^a"},
		"similar(0.5): x":        {Type: "similar", Value: "x", Threshold: &half},
		"llm-rubric: is kind":    {Type: "llm-rubric", Value: " is kind"},
		"not-contains-any:a , b": {Type: "not-contains-any", Value: []any{"a", "b"}},
		"similar:x":              {Type: "similar", Value: "x", Threshold: &preset},
		"similar(0.5):x":         {Type: "similar", Value: "x", Threshold: &half},
		"similar:cosine(0.5):x":  {Type: "similar:cosine", Value: "x", Threshold: &half},
		"similar:dotted":         {Type: "similar", Value: "dotted", Threshold: &preset},
		"fn: output > 1":         {Type: "javascript", Value: "output > 1"},
		"eval:1":                 {Type: "javascript", Value: "1"},
		"grade:is kind":          {Type: "llm-rubric", Value: "is kind"},
		"is-json":                {Type: "is-json"},
		"latency(0.5)":           {Type: "latency", Threshold: &half},
		"regex:^a(b)?$":          {Type: "regex", Value: "^a(b)?$"},
		"levenshtein(x):a":       {Type: "equals", Value: "levenshtein(x):a"},
		"containsnot:a":          {Type: "equals", Value: "containsnot:a"},
		"ndcg@10(0.5):doc":       {Type: "ndcg@10", Value: "doc", Threshold: &half},
		"map:doc":                {Type: "map", Value: "doc"},
		"recall@0:doc":           {Type: "equals", Value: "recall@0:doc"},
	} {
		s := load(t, map[string]string{
			"suite.yaml": "prompts: p\nproviders: echo\ntests: t.csv\n", "t.csv": "a,__expected\n1,\"" + strings.ReplaceAll(text, `"`, `""`) + "\"\n",
		})
		if diff := cmp.Diff([]schemas.Assertion{want}, s.Cases[0].Assertions); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{"python:True", "file://check.py", "not-ruby:x", "human"} {
		_, problems, _ := suite.Load(folder(map[string]string{
			"suite.yaml": "prompts: p\nproviders: echo\ntests: t.csv\n", "t.csv": "__expected,a\n" + text + ",1\n",
		}), "suite.yaml")
		if len(problems) != 1 || problems[0].File != "t.csv" || problems[0].Line != 2 {
			t.Errorf("%s: %s", text, lines(problems))
		}
	}
}
