package suite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// folder makes a file system of texts by name; suite.yaml is the suite.
func folder(texts map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range texts {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func load(t *testing.T, texts map[string]string) *suite.Suite {
	t.Helper()
	s, problems, _ := suite.Load(folder(texts), "suite.yaml")
	if len(problems) > 0 {
		t.Fatalf("problems: %s", lines(problems))
	}
	return s
}

func lines(problems []schemas.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s:%d:%d: %s\n", p.File, p.Line, p.Column, p.Message)
	}
	return b.String()
}

func cells(t *testing.T, s *suite.Suite, e suite.Expansion) []schemas.EvalCell {
	t.Helper()
	all, err := s.Cells(e)
	if err != nil {
		t.Fatal(err)
	}
	var out []schemas.EvalCell
	for cell, err := range all {
		if err != nil {
			t.Fatalf("%+v: %v", cell, err)
		}
		out = append(out, cell)
	}
	if int64(len(out)) != s.Count(e.Repeat) {
		t.Errorf("%d cells, and %d were counted", len(out), s.Count(e.Repeat))
	}
	return out
}

// TestPublishedSuites loads and expands suites that others published.
func TestPublishedSuites(t *testing.T) {
	t.Parallel()
	root := os.Getenv("TENUTO_TESTDATA")
	if root == "" {
		t.Skip("TENUTO_TESTDATA names no folder with third-party test data")
	}
	found, err := filepath.Glob(filepath.Join(root, "evals", "promptfoo", "*", "promptfooconfig*.yaml"))
	if err != nil || len(found) == 0 {
		t.Skipf("%s has no evals/promptfoo", root)
	}
	t.Logf("%-66s %7s %9s %5s %5s  %s", "suite", "prompts", "providers", "tests", "cells", "result")
	for _, file := range found {
		dir, err := os.OpenRoot(filepath.Dir(file))
		if err != nil {
			t.Fatal(err)
		}
		s, problems, warnings := suite.Load(dir.FS(), filepath.Base(file))
		name := filepath.Join(filepath.Base(filepath.Dir(file)), filepath.Base(file))
		if len(problems) > 0 {
			t.Errorf("%s is refused:\n%s", name, lines(problems))
			continue
		}
		ids := map[schemas.CellID]bool{}
		made := cells(t, s, suite.Expansion{})
		for _, cell := range made {
			ids[cell.ID] = true
			if cell.Input == "" || strings.Contains(cell.Input, "{{") {
				t.Errorf("%s: input %q", name, cell.Input)
			}
		}
		if len(ids) != len(made) {
			t.Errorf("%s: %d cells have %d ids", name, len(made), len(ids))
		}
		t.Logf("%-66s %7d %9d %5d %5d  loads, %d warnings", name, len(s.Prompts), len(s.Providers), len(s.Cases), len(made), len(warnings))
		dir.Close()
	}
}

var whole = map[string]string{
	"suite.yaml": `
description: All that there is
tags: {team: support, year: 2026}
metadata: {owner: me}
env: {TONE: friendly}
prompts:
  - "Say {{word}} in {{language}}, {{ env.TONE }}."
  - {label: polite, raw: "Please say {{word | upper}}.", config: {temperature: 0}}
  - file://prompts/*.txt
  - {id: file://chat.json, label: chat}
providers:
  - echo
  - {id: openai:chat:gpt-5-mini, label: mini, config: {temperature: 1, seed: 3}, prompts: [polite], transform: output.trim()}
  - chain:docs-qa@production
  - mistral/small: {label: unused}
evaluateOptions: {repeat: 2, maxConcurrency: 4, showProgressBar: false}
assertionTemplates:
  short: {type: javascript, value: output.length < 100, weight: 0.5}
defaultTest:
  assert: [{$ref: "#/assertionTemplates/short", metric: "length of {{word}}"}]
  vars: {word: hello}
  options: {provider: openai:gpt-5, rubricPrompt: "Grade {{output}}", seed: 7}
  threshold: 0.5
tests:
  - description: languages
    vars: {language: [French, German]}
    metadata: {tags: [smoke]}
    assert:
      - {type: not-contains, value: "{{ language }}!"}
      - type: assert-set
        threshold: 0.5
        weight: 2
        assert: [{type: llm-rubric, value: "is {{language}}"}, {type: latency, threshold: 100}]
  - vars: {language: [1, 2], doc: file://docs/*.md}
    options: {disableDefaultAsserts: true, prefix: "<", suffix: ">"}
    prompts: [polite]
    providers: [echo]
  - file://more.csv
  - more.jsonl
scenarios:
  - config: [{vars: {language: Dutch}}, {vars: {language: Irish}}]
    tests: [{vars: {word: a}, assert: [{type: equals, value: "{{word}}"}]}, {vars: {word: b}}]
schedule: {cron: "0 3 * * *", timezone: Europe/Berlin, jitter: 10m, catchup: 6h}
policy: {required: [languages], thresholds: {tag: smoke, pass_rate: 0.9}, no_regression: {measure: score, alpha: 0.01}}
budget: {tokens: 100000, usd: 1.5}
max_age: 20h
`,
	"prompts/a.txt": "First {{word}}\n---\n\n---\nSecond {{word}}\n",
	"chat.json":     `[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{word}} {{language}}"}]`,
	"docs/1.md":     "one\n",
	"docs/2.md":     "{{ not | a | template }}",
	"more.csv":      "\uFEFFlanguage,word,__expected,__expected2,__metric,__threshold,__description,__metadata:tags[],__config:__expected2:threshold\r\nPirate,\"say \"\"hi\"\",\r\nnow\",icontains-any:ahoy, similar(0.7):x,arr,0.25,from csv,\"a, b\",\r\nLatin,,\"similar(0.7):x, y\",not-is-json,,,,,\r\n",
	"more.jsonl":    "{\"vars\": {\"language\": \"\\ud83d\\ude00\"}, \"providerOutput\": \"done\"}\n\n{\"assert\": [\"contains-all:a, b\"], \"vars\": {}}\n",
}

func TestLoad(t *testing.T) {
	t.Parallel()
	s, problems, warnings := suite.Load(folder(whole), "suite.yaml")
	if len(problems) > 0 {
		t.Fatalf("problems:\n%s", lines(problems))
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Message, "no effect") {
		t.Errorf("warnings:\n%s", lines(warnings))
	}
	if diff := cmp.Diff(schemas.SuiteSummary{
		File: "suite.yaml", Description: "All that there is", Tags: map[string]string{"team": "support", "year": "2026"}, Prompts: 5,
		Providers: []string{"echo", "mini", "chain:docs-qa@production", "unused"}, Tests: 10, Repeat: 2, Cells: 2 * (12*10 + 2),
	}, s.Summary(0)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&suite.Schedule{Cron: "0 3 * * *", TimeZone: "Europe/Berlin", JitterS: 600, CatchUpS: 6 * 3600}, s.Schedule); diff != "" {
		t.Errorf("schedule (-want +got):\n%s", diff)
	}
	if s.MaxAge == nil || *s.MaxAge != 20*3600*1000 {
		t.Errorf("max_age is %v", s.MaxAge)
	}
	if diff := cmp.Diff(&suite.Budget{Tokens: 100_000, USD: 1.5}, s.Budget); diff != "" {
		t.Errorf("budget (-want +got):\n%s", diff)
	}
	if want := `{"required":["languages"],"thresholds":[{"tag":"smoke","pass_rate":0.9}],"no_regression":{"measure":"score","alpha":0.01}}`; string(s.Policy) != want {
		t.Errorf("policy %s", s.Policy)
	}
	if diff := cmp.Diff(suite.Options{Repeat: 2, MaxConcurrency: 4}, s.Options); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	var labels []string
	for _, p := range s.Prompts {
		labels = append(labels, p.Label)
	}
	if diff := cmp.Diff([]string{
		"Say {{word}} in {{language}}, {{ env.TONE }}.", "polite", "prompts/a.txt: First {{word}}", "prompts/a.txt: Second {{word}}", "chat",
	}, labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

// TestCells looks at what becomes of the whole suite.
func TestCells(t *testing.T) {
	t.Parallel()
	s := load(t, whole)
	made := cells(t, s, suite.Expansion{})
	inputs := map[string]int{}
	for _, cell := range made {
		inputs[cell.Provider.Kind+" "+cell.Input]++
	}
	for want, count := range map[string]int{
		"echo Say hello in French, friendly.": 2,
		"echo Please say HELLO.":              2 * 4, // languages, and tests that name no word
		"vendor Please say HELLO.":            2 * 4,
		"echo <Please say HELLO.>":            2 * 2, // files, not numbers
		"echo First say \"hi\",\nnow":         2,
		"echo [\n  {\n    \"role\": \"system\",\n    \"content\": \"Be brief.\"\n  },\n  {\n    \"role\": \"user\",\n    \"content\": \"hello 😀\"\n  }\n]": 2,
		"chain ": 2 * 10, // once a case, whatever the prompts are
	} {
		if inputs[want] != count {
			t.Errorf("%d cells %q, want %d", inputs[want], want, count)
		}
	}
	first := made[0]
	half, two, hundred := 0.5, 2.0, 100.0
	want := []schemas.Assertion{
		{Type: "javascript", Value: "output.length < 100", Weight: &half, Metric: "length of hello"},
		{Type: "not-contains", Value: "French!"},
		{Type: "assert-set", Weight: &two, Threshold: &half, Assert: []schemas.Assertion{
			{Type: "llm-rubric", Value: "is French", Provider: "openai:gpt-5", RubricPrompt: "Grade {{output}}"},
			{Type: "latency", Threshold: &hundred},
		}},
	}
	if diff := cmp.Diff(want, first.Assertions); diff != "" {
		t.Errorf("assertions (-want +got):\n%s", diff)
	}
	if first.Case.Description != "languages" || !cmp.Equal(first.Case.Tags, []string{"smoke"}) || *first.Threshold != 0.5 {
		t.Errorf("case %+v", first)
	}
	for _, cell := range made {
		if cell.Provider.Label == "mini" {
			if got := string(cell.Provider.Config); got != `{"temperature":0,"seed":7}` || !cmp.Equal(cell.Transform, []string{"output.trim()"}) {
				t.Errorf("config %s, transform %v", got, cell.Transform)
			}
		}
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	s := load(t, whole)
	var rows []suite.Case
	for _, c := range s.Cases {
		if c.File == "more.csv" {
			c.Vars, c.Config = nil, nil
			rows = append(rows, c)
		}
	}
	if len(rows) != 2 {
		t.Fatalf("%d rows", len(rows))
	}
	quarter, most := 0.25, 0.7
	if diff := cmp.Diff([]schemas.Assertion{
		{Type: "icontains-any", Value: []any{"ahoy"}, Metric: "arr"}, {Type: "similar", Value: "x", Threshold: &most, Metric: "arr"},
	}, rows[0].Assertions[1:]); diff != "" {
		t.Errorf("first row (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]schemas.Assertion{{Type: "similar", Value: "x, y", Threshold: &most}, {Type: "not-is-json"}}, rows[1].Assertions[1:]); diff != "" {
		t.Errorf("second row (-want +got):\n%s", diff)
	}
	if rows[0].Line != 2 || rows[1].Line != 4 || *rows[0].Threshold != quarter || rows[0].Description != "from csv" || !cmp.Equal(rows[0].Tags, []string{"a", "b"}) {
		t.Errorf("rows %+v", rows)
	}
}
