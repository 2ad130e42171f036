package suite_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// TestRefused has a suite with many faults: all are found at once, each at its place.
func TestRefused(t *testing.T) {
	t.Parallel()
	_, problems, warnings := suite.Load(folder(map[string]string{
		"suite.yaml": `prompts:
  - file://prompt.py:make
  - exec:./make.sh
  - "{{ word | nope }}"
  - langfuse://x:1
  - file://gone.txt
  - file://none/*.txt
  - file://../secret.txt
  - file:///etc/passwd
providers:
  - python:provider.py
  - file://provider.js
  - exec:./run
  - https://example.com/v1
  - {id: http, config: {url: https://example.com}}
  - openia:gpt-5
  - {label: no id}
outputPath: out.json
redteam: {}
extensions: [file://hook.py:run]
nunjucksFilters: {shout: ./shout.js}
defaultTests: {}
tests:
  - file://tests.py
  - https://docs.google.com/spreadsheets/d/1
  - vars: {a: file://make.js, b: ~}
    asserts: []
    assert:
      - {type: python, value: "True"}
      - {type: containz, value: x}
      - {type: javascript, value: file://check.js}
      - {type: contains, value: x, treshold: 1}
      - {type: trajectory:tool-used}
      - {type: assert-set}
      - {type: equals, value: "{% if %}", transform: file://t.js}
      - {value: x}
    options: {transformVars: "x", storeOutputAs: y}
  - {assertScoringFunction: file://score.py}
schedule: every night
policy: {thresholds: [{tag: a}], required: a, no_regression: {alpha: 2}}
budget: {usd: -1}
evaluateOptions: {repeat: 0, cache: 1}
max_age: a day
`,
	}), "suite.yaml")
	if want := "suite.yaml:18:13: this key has no effect: tenuto writes reports where its own flags say\n"; lines(warnings) != want {
		t.Errorf("warnings:\n%s", lines(warnings))
	}
	got := lines(problems)
	for _, want := range []string{
		"suite.yaml:2:5: Python code is not run", "suite.yaml:3:5: exec: runs a program", "suite.yaml:4:5: the template is wrong in its line 1, column 11: there is no filter `nope`",
		"suite.yaml:5:5: prompts of other services", "suite.yaml:6:5: there is no file gone.txt", "suite.yaml:7:5: no file matches", "suite.yaml:8:5: the path leads out",
		"suite.yaml:9:5: the path leads out", "suite.yaml:11:5: Python code", "suite.yaml:12:5: JavaScript files", "suite.yaml:13:5: exec:", "suite.yaml:14:5: HTTP endpoints",
		"suite.yaml:15:10: HTTP endpoints", "suite.yaml:16:5: `openia:gpt-5` is no provider: did you mean `openai:gpt-5`?", "suite.yaml:17:5: `id` is missing", "suite.yaml:19:10: attacks",
		"suite.yaml:20:13: extensions are code", "suite.yaml:21:18: filters of your own", "suite.yaml:22:1: a suite has no key `defaultTests`: did you mean `defaultTest`?",
		"suite.yaml:24:5: Python code", "suite.yaml:25:5: tests are not fetched", "suite.yaml:26:15: JavaScript files", "suite.yaml:26:34: the variable `b` has no value",
		"suite.yaml:27:5: a test has no key `asserts`: did you mean `assert`?", "suite.yaml:29:16: `python` is not supported: Python code", "suite.yaml:30:16: there is no assertion `containz`",
		"suite.yaml:31:35: JavaScript files", "suite.yaml:32:36: an assertion has no key `treshold`: did you mean `threshold`?", "suite.yaml:33:16: `trajectory:tool-used` is not supported",
		"suite.yaml:34:9: the assert-set is empty", "suite.yaml:35:31: the template is wrong", "suite.yaml:35:54: scripts in files", "suite.yaml:36:9: `type` is missing",
		"suite.yaml:37:30: `transformVars`", "suite.yaml:37:50: `storeOutputAs`", "suite.yaml:38:29: scoring functions", "suite.yaml:39:11: `every night` is no time table",
		"suite.yaml:40:23: a threshold says", "suite.yaml:40:70: a number from", "suite.yaml:41:9: a budget says", "suite.yaml:42:27: a whole number from 1", "suite.yaml:42:37: true or false", "suite.yaml:43:10: a duration up to",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if t.Failed() || len(problems) > 45 {
		t.Logf("%d problems:\n%s", len(problems), got)
	}
}

// TestHostile gives the loader what would fill the memory, never end, or lead out of the folder.
func TestHostile(t *testing.T) {
	t.Parallel()
	head := "prompts: ['{{a}}']\nproviders: [echo]\n"
	bomb := head + "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 10 {
		bomb += "b" + string(rune('a'+i)) + ": &" + string(rune('b'+i)) + " [" + strings.Repeat("*"+string(rune('a'+i))+", ", 10) + "]\n"
	}
	references := head + "tests: [{vars: {a: {$ref: '#/assertionTemplates/t0'}}}]\nassertionTemplates:\n"
	for i := range 12 {
		references += "  t" + string(rune('0'+i)) + ": [" + strings.Repeat("{$ref: '#/assertionTemplates/t"+string(rune('1'+i))+"'}, ", 10) + "]\n"
	}
	references += "  t<: [1,2,3]\n"
	for name, test := range map[string]struct {
		texts map[string]string
		want  string
	}{
		"empty":               {map[string]string{"suite.yaml": "# nothing\n"}, "the file is empty"},
		"no file":             {nil, "there is no file"},
		"a list":              {map[string]string{"suite.yaml": "[1]"}, "suite.yaml:1:1: a suite is a mapping"},
		"not YAML":            {map[string]string{"suite.yaml": "prompts:\n  - 'a\n"}, "not valid YAML"},
		"aliases":             {map[string]string{"suite.yaml": bomb}, "values with what its aliases repeat"},
		"an alias in itself":  {map[string]string{"suite.yaml": head + "metadata: &m {a: [*m]}\n"}, "suite.yaml:3:19: the alias m stands within"},
		"deep":                {map[string]string{"suite.yaml": head + "metadata: {a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}"}, "nested"},
		"twice":               {map[string]string{"suite.yaml": head + "description: a\ndescription: b\n"}, "suite.yaml:4:1: the key `description` stands twice, first in line 3"},
		"second document":     {map[string]string{"suite.yaml": head + "---\na: 1\n"}, "a second document"},
		"circle":              {map[string]string{"suite.yaml": head + "assertionTemplates: {a: {$ref: '#/assertionTemplates/b'}, b: {$ref: '#/assertionTemplates/a'}}\n"}, "leads in a circle"},
		"circle at itself":    {map[string]string{"suite.yaml": head + "metadata: {$ref: '#'}\n"}, "leads in a circle"},
		"reference to none":   {map[string]string{"suite.yaml": head + "metadata: {$ref: '#/a/b'}\n"}, "names nothing"},
		"references repeat":   {map[string]string{"suite.yaml": references}, "with what its references repeat"},
		"reference outside":   {map[string]string{"suite.yaml": head + "metadata: {$ref: '../x.yaml#/a'}\n"}, "leads out of the suite's folder"},
		"Latin-1":             {map[string]string{"suite.yaml": head + "description: caf\xe9\n"}, "suite.yaml:3:17: the file is not valid UTF-8 here"},
		"NUL":                 {map[string]string{"suite.yaml": head + "description: a\x00\n"}, "control character U+0000"},
		"open quote":          {map[string]string{"suite.yaml": head + "tests: t.csv\n", "t.csv": "a,b\n1,2\n3,\"4\n5,6\n"}, "t.csv:3:3: the field begins with a quote that is never closed"},
		"after a quote":       {map[string]string{"suite.yaml": head + "tests: t.csv\n", "t.csv": "a,b\n1,\"2\"x\n"}, "t.csv:2:3: text follows the closing quote"},
		"uneven rows":         {map[string]string{"suite.yaml": head + "tests: t.csv\n", "t.csv": "a,b\n1,2\n3\n1,2,3\n"}, "t.csv:3:1: the row has 1 fields, and the file has 2 columns"},
		"a column twice":      {map[string]string{"suite.yaml": head + "tests: t.csv\n", "t.csv": "a,a\n1,2\n"}, "t.csv:1:3: the column `a` stands twice"},
		"unknown column":      {map[string]string{"suite.yaml": head + "tests: t.csv\n", "t.csv": "a,__expcted\n1,2\n"}, "t.csv:1:3: there is no column `__expcted`"},
		"empty CSV":           {map[string]string{"suite.yaml": head + "tests: t.csv\n", "t.csv": "\n"}, "the file is empty"},
		"broken line":         {map[string]string{"suite.yaml": head + "tests: t.jsonl\n", "t.jsonl": "{\"vars\": {\"a\": \"1\"}}\n{\"vars\": \n"}, "t.jsonl:2:"},
		"a long line":         {map[string]string{"suite.yaml": head + "tests: t.jsonl\n", "t.jsonl": `{"vars": {"a": "` + strings.Repeat("x", 10<<20) + `"}}`}, "t.jsonl:1:0: the line is longer"},
		"a large file":        {map[string]string{"suite.yaml": head + "tests: t.csv\n", "t.csv": strings.Repeat("x", 33<<20)}, "larger than 32 MB"},
		"many columns":        {map[string]string{"suite.yaml": head + "tests: t.csv\n", "t.csv": strings.Repeat(",", 2<<20)}, "more than 1000 columns"},
		"a file names itself": {map[string]string{"suite.yaml": head + "tests: t.yaml\n", "t.yaml": "[t.yaml]"}, "names no further files"},
		"providers in files":  {map[string]string{"suite.yaml": "prompts: [x]\nproviders: [file://p.yaml]\n", "p.yaml": "[file://p.yaml]"}, "names no further files"},
		"infinity":            {map[string]string{"suite.yaml": head + "metadata: {a: .inf}\n"}, "is no number that can be used"},
		"conversation":        {map[string]string{"suite.yaml": "providers: [echo]\nprompts: ['{{ _conversation[0] }}']\n"}, "cells do not see each other"},
		"a key":               {map[string]string{"suite.yaml": "prompts: [p]\nproviders: [{id: echo, config: {apiKey: sk-1}}]\n"}, "suite.yaml:2:41: a suite holds no keys"},
		"never run":           {map[string]string{"suite.yaml": "prompts: [{raw: p, label: a}, {raw: q, label: b}]\nproviders: [{id: echo, prompts: [a]}]\ntests: [{prompts: [b]}]\n"}, "nothing runs the test"},
		"an unknown prompt":   {map[string]string{"suite.yaml": head + "tests: [{prompts: [other]}]\n"}, "suite.yaml:3:1: the test asks for the prompt `other`"},
		"an unknown provider": {map[string]string{"suite.yaml": head + "tests: [{providers: [other]}]\n"}, "asks for the provider `other`"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			s, problems, _ := suite.Load(folder(test.texts), "suite.yaml")
			if s != nil || !strings.Contains(lines(problems), test.want) {
				t.Errorf("suite %v, problems:\n%.2000s\nwant %s", s != nil, lines(problems), test.want)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret.txt")
	for name, text := range map[string]string{
		outside: "secret", filepath.Join(dir, "inside.txt"): "inside {{a}}",
		filepath.Join(dir, "suite.yaml"): "prompts: [file://in.txt]\nproviders: [echo]\ntests: [{vars: {a: file://out.txt}}, {vars: {a: file://dir/secret.txt}}]\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"in.txt": "inside.txt", "out.txt": outside, "dir": filepath.Dir(outside)} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Skipf("no links here: %v", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, problems, _ := suite.Load(root.FS(), "suite.yaml")
	if len(problems) != 2 || !strings.Contains(problems[0].Message, "no link out of the folder") {
		t.Errorf("problems:\n%s", lines(problems))
	}
}

// TestMillion counts what it does not make.
func TestMillion(t *testing.T) {
	t.Parallel()
	list := "[" + strings.TrimSuffix(strings.Repeat("x, ", 100), ", ") + "]"
	text := "prompts: ['{{a}}{{b}}{{c}}']\nproviders: [echo]\ntests: [{vars: {a: " + list + ", b: " + list + ", c: " + list + "}}]\n"
	s := load(t, map[string]string{"suite.yaml": text})
	if n := s.Count(0); n != 1_000_000 {
		t.Errorf("%d cells", n)
	}
	_, err := s.Cells(suite.Expansion{})
	if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), "1000000 cells") {
		t.Errorf("error %v", err)
	}
	all, err := s.Cells(suite.Expansion{MaxCells: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for range all { // they are made one by one
		if made++; made == 1000 {
			break
		}
	}
	vast := ""
	for i := range 12 {
		vast += "v" + string(rune('a'+i)) + ": " + list + ", "
	}
	s = load(t, map[string]string{"suite.yaml": "prompts: [p]\nproviders: [echo]\ntests: [{vars: {" + vast + "}}, {vars: {a: b}}]\n"})
	if n := s.Count(7); n != math.MaxInt64 {
		t.Errorf("%d cells", n)
	}
	if _, err := s.Cells(suite.Expansion{MaxCells: math.MaxInt64 - 1}); err == nil {
		t.Error("a suite of any size is taken")
	}
}

// TestIdentity changes one thing at a time, and looks at which part of the identity changes.
func TestIdentity(t *testing.T) {
	t.Parallel()
	base := "prompts: ['Say {{a}}']\nproviders: [{id: openai:gpt-5, config: {seed: 1}}]\ntests:\n- vars: {a: x, b: y}\n  assert: [{type: llm-rubric, value: '{{b}}'}]\n"
	pins := suite.Expansion{Pins: map[string]string{"openai:gpt-5": "1", "model:judge": "1"}, Grader: "model:judge"}
	id := func(text string, e suite.Expansion) schemas.EvalCell {
		return cells(t, load(t, map[string]string{"suite.yaml": text}), e)[0]
	}
	first := id(base, pins)
	for name, test := range map[string]struct {
		text        string
		e           suite.Expansion
		call, score bool // change
	}{
		"nothing":             {base, pins, false, false},
		"order of keys":       {strings.Replace(base, "{a: x, b: y}", "{b: y, a: x}", 1), pins, false, false},
		"how it is described": {"description: d\n" + strings.Replace(base, "- vars", "- description: d\n  vars", 1), pins, false, false},
		"a label":             {strings.Replace(base, "{id", "{label: l, id", 1), pins, false, false},
		"the same prompt":     {strings.Replace(base, "Say {{a}}", "{{ ''Say '' }}{{ a }}", 1), pins, false, false},
		"the prompt":          {strings.Replace(base, "Say", "Tell", 1), pins, true, true},
		"a setting":           {strings.Replace(base, "seed: 1", "seed: 2", 1), pins, true, true},
		"the assertion":       {strings.Replace(base, "llm-rubric", "factuality", 1), pins, false, true},
		"what it looks for":   {strings.Replace(base, "b: y", "b: z", 1), pins, false, true},
		"a weight":            {strings.Replace(base, "{type", "{weight: 2, type", 1), pins, false, true},
		"a threshold":         {base + "  threshold: 0.5\n", pins, false, true},
		"the model behind":    {base, suite.Expansion{Pins: map[string]string{"openai:gpt-5": "2", "model:judge": "1"}, Grader: "model:judge"}, true, true},
		"the grader behind":   {base, suite.Expansion{Pins: map[string]string{"openai:gpt-5": "1", "model:judge": "2"}, Grader: "model:judge"}, false, true},
		"the grader":          {base, suite.Expansion{Pins: pins.Pins, Grader: "model:other"}, false, true},
	} {
		got := id(test.text, test.e)
		if (got.ID.Call != first.ID.Call) != test.call || (got.ID.Score != first.ID.Score) != test.score {
			t.Errorf("%s: %+v after %+v", name, got.ID, first.ID)
		}
	}
	samples := cells(t, load(t, map[string]string{"suite.yaml": base}), suite.Expansion{Repeat: 2})
	if samples[0].ID.Call == samples[1].ID.Call || samples[0].Case.ID != samples[1].Case.ID {
		t.Errorf("samples %+v", samples)
	}
	chain := strings.Replace(base, "{id: openai:gpt-5, config: {seed: 1}}", "chain:docs-qa@production", 1)
	if a, b := id(chain, pins), id(strings.Replace(chain, "b: y", "b: z", 1), pins); a.ID.Call == b.ID.Call {
		t.Error("what a chain is given is no part of its identity")
	}
}

// TestSameEverywhere reads one suite with line ends and byte order mark of Windows.
func TestSameEverywhere(t *testing.T) {
	t.Parallel()
	windows := map[string]string{}
	for name, text := range whole {
		windows[name] = "\uFEFF" + strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(text, "\uFEFF"), "\r\n", "\n"), "\n", "\r\n")
	}
	if diff := cmp.Diff(cells(t, load(t, whole), suite.Expansion{}), cells(t, load(t, windows), suite.Expansion{})); diff != "" {
		t.Errorf("(-unix +windows):\n%s", diff)
	}
}

func TestFailingCells(t *testing.T) {
	t.Parallel()
	s := load(t, map[string]string{"suite.yaml": "prompts: ['{{ a | load }}']\nproviders: [echo]\ntests:\n- vars: {a: no JSON}\n- vars: {a: '{}'}\n"})
	all, err := s.Cells(suite.Expansion{})
	if err != nil {
		t.Fatal(err)
	}
	var faults []string
	for _, err := range all {
		if err != nil {
			faults = append(faults, schemas.SafeMessage(err))
			continue
		}
		faults = append(faults, "")
	}
	if len(faults) != 2 || !strings.Contains(faults[0], "suite.yaml:4: the template cannot be rendered") || faults[1] != "" {
		t.Errorf("faults %q", faults)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(whole["suite.yaml"]), []byte(whole["more.csv"]), []byte(whole["more.jsonl"]))
	f.Add([]byte("a: &a [*a]\n<<: {x: 1}\n? [k]\n: v\n"), []byte("a,\"b\nc"), []byte("{\"a\": [1,]}"))
	f.Add([]byte("prompts: p\nproviders: echo\ntests: [{$ref: '#/tests/0'}]"), []byte("\r\n,\r\n\"\""), []byte("null\n[]\n1"))
	f.Fuzz(func(t *testing.T, yaml, csv, jsonl []byte) {
		texts := map[string]string{"suite.yaml": string(yaml), "more.csv": string(csv), "more.jsonl": string(jsonl)}
		for _, name := range []string{"prompts/a.txt", "chat.json", "docs/1.md", "docs/2.md"} {
			texts[name] = whole[name]
		}
		s, problems, _ := suite.Load(folder(texts), "suite.yaml")
		if (s == nil) == (len(problems) == 0) {
			t.Fatalf("suite %v with problems %v", s, problems)
		}
		for _, p := range problems {
			if p.Message == "" || p.File == "" || p.Line > 1+bytes.Count(yaml, []byte("\n"))+bytes.Count(csv, []byte("\n"))+bytes.Count(jsonl, []byte("\n")) && p.Line > 10 {
				t.Errorf("problem %+v", p)
			}
		}
		if s == nil || s.Count(0) > 500 {
			return
		}
		all, err := s.Cells(suite.Expansion{})
		if err != nil {
			t.Fatal(err)
		}
		for cell, err := range all {
			if err == nil && len(cell.ID.Call)+len(cell.ID.Score) != 128 {
				t.Errorf("cell %+v", cell)
			}
		}
	})
}

// TestAssertionsOfLists reads assertions whose types say a rank, and options of an assertion, and refuses what is not made.
func TestAssertionsOfLists(t *testing.T) {
	t.Parallel()
	base := "prompts: p\nproviders: echo\ntests: [{assert: [%s]}]\n"
	for text, want := range map[string]string{
		"{type: ndcg@10, value: [d1]}":                                       "",
		"{type: not-precision@1, value: [d1]}":                               "",
		"{type: mrr, value: [d1]}":                                           "",
		"{type: map@5, value: [d1]}":                                         "",
		"{type: ndcg, value: [d1]}":                                          "`ndcg` needs a rank to cut at: write for instance ndcg@10",
		"{type: regex, value: '(?=a)b'}":                                     "no look-around",
		"{type: not-regex, value: '(a'}":                                     "the pattern cannot be used",
		"{type: recall@0, value: [d1]}":                                      "there is no assertion `recall@0`",
		"{type: recall@99999, value: [d1]}":                                  "there is no assertion `recall@99999`",
		"{type: contains@3, value: a}":                                       "there is no assertion `contains@3`",
		"{type: meteor, value: a}":                                           "`meteor` is not supported: synonyms need WordNet",
		"{type: factuality, value: a, options: {factuality: {subset: 0.5}}}": "",
		"{type: factuality, value: a, options: {strict: true}}":              "options of an assertion has no key `strict`",
	} {
		s, problems, _ := suite.Load(folder(map[string]string{"suite.yaml": fmt.Sprintf(base, text)}), "suite.yaml")
		switch {
		case want == "" && len(problems) > 0, want != "" && !strings.Contains(lines(problems), want):
			t.Errorf("%s: %s", text, lines(problems))
		case want == "" && strings.Contains(text, "options") && string(s.Cases[0].Assertions[0].Config) != `{"factuality":{"subset":0.5}}`:
			t.Errorf("%s: %s", text, s.Cases[0].Assertions[0].Config)
		}
	}
}

// TestNothing refuses suites in which nothing could fail.
func TestNothing(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"a list":      {"suite.yaml": "prompts: p\nproviders: echo\ntests: []\n"},
		"a null":      {"suite.yaml": "prompts: p\nproviders: echo\ntests:\n"},
		"a file":      {"suite.yaml": "prompts: p\nproviders: echo\ntests: t.csv\n", "t.csv": "a,__expected\n"},
		"no scenario": {"suite.yaml": "prompts: p\nproviders: echo\nscenarios: []\n"},
	} {
		_, problems, _ := suite.Load(folder(files), "suite.yaml")
		if len(problems) != 1 || problems[0].Line != 3 || !strings.HasPrefix(problems[0].Message, "there is no test here") {
			t.Errorf("%s: %s", name, lines(problems))
		}
	}
	if s := load(t, map[string]string{"suite.yaml": "prompts: p\nproviders: echo\n"}); len(s.Cases) != 1 {
		t.Errorf("a suite without tests has %d cases", len(s.Cases))
	}
}

func TestClosest(t *testing.T) {
	t.Parallel()
	names := []string{"gpt-4o", "gpt-4o-mini", "claude", "a"}
	for name, want := range map[string]string{"gpt-4o-mni": "gpt-4o-mini", "GPT-4o": "gpt-4o", "cluade": "claude", "z": "", "llama": ""} {
		if got := suite.Closest(name, names); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestWithoutEffect warns of keys that promptfoo knows and that change nothing here, and of slips in what goes to the provider.
func TestWithoutEffect(t *testing.T) {
	t.Parallel()
	s, problems, warnings := suite.Load(folder(map[string]string{"suite.yaml": `prompts: p
providers: [{id: echo, delay: 100}]
evaluateOptions: {timeoutMs: 5, delay: 10, maxConcurrency: 3}
tests:
  - options: {runSerially: true, seed: 7, disableVarExpansio: true}
`}), "suite.yaml")
	if s == nil || s.Options.MaxConcurrency != 3 {
		t.Fatalf("%+v\n%s", s, lines(problems))
	}
	want := []string{
		"2:31: this key has no effect: calls wait", "3:30: this key has no effect: a call has two minutes", "3:40: this key has no effect: calls wait",
		"5:28: this key has no effect: cells do not see", "5:63: `disableVarExpansio` is none of the options, so the provider gets it as a setting: did you mean `disableVarExpansion`?",
	}
	got := strings.Split(strings.TrimSpace(lines(warnings)), "\n")
	if len(got) != len(want) {
		t.Fatalf("warnings:\n%s", lines(warnings))
	}
	for i, start := range want {
		if !strings.HasPrefix(got[i], "suite.yaml:"+start) {
			t.Errorf("%s, want %s", got[i], start)
		}
	}
}
