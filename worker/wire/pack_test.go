package wire_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// folder writes files below a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func aProject(more map[string]string) map[string]string {
	files := map[string]string{
		"tenuto.yaml":               "name: x\ndefaults: {collection: docs, model: local/extractive}\n",
		"chains/qa.yaml":            "input: {q: string}\nsteps:\n  - {id: a, generate: {prompt: ask, with: {q: input.q}}}\n",
		"chains/judge.yaml":         "input: {q: string}\nsteps:\n  - {id: a, generate: {prompt: ask, with: {q: input.q}}}\n",
		"chains/other.yaml":         "input: {q: string}\nsteps:\n  - {id: a, generate: {prompt: ask, with: {q: input.q}}}\n",
		"prompts/ask.prompt":        "{{> style}} {{q}}",
		"prompts/_style.prompt":     "Be brief.",
		"suites/Docs_QA.yaml":       "providers: [chain:qa, chain:elsewhere, chain:other@production]\ntests: cases/*.csv\nbaseline: production\ndefaultTest: {assert: [{type: llm-rubric, provider: chain:judge, value: kind}]}\n",
		"suites/cases/one.csv":      "q,__expected\nwhy?,contains:so\n",
		"suites/cases/two.csv":      "q,__expected\nhow?,contains:thus\n",
		"suites/cases/unread.jsonl": "{}",
	}
	maps.Copy(files, more)
	return files
}

func TestPackSuite(t *testing.T) {
	t.Parallel()
	dir := folder(t, aProject(nil))
	file := filepath.Join(dir, "suites", "Docs_QA.yaml")
	packed, warnings, err := wire.PackSuite(file, "", wire.DefaultCells)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, warnings %v", err, warnings)
	}
	if packed.Suite != "docs-qa" || packed.File != "Docs_QA.yaml" {
		t.Errorf("suite %q of file %q", packed.Suite, packed.File)
	}
	if diff := cmp.Diff([]string{"Docs_QA.yaml", "cases/one.csv", "cases/two.csv"}, slices.Sorted(maps.Keys(packed.Files))); diff != "" {
		t.Error(diff)
	}
	if got := string(packed.Files["cases/one.csv"]); got != "q,__expected\nwhy?,contains:so\n" {
		t.Errorf("packed %q", got)
	}
	if diff := cmp.Diff([]string{"judge", "qa"}, slices.Sorted(maps.Keys(packed.Bundles))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"_style", "ask"}, slices.Sorted(maps.Keys(packed.Prompts))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"elsewhere", "other@production", "qa"}, packed.Chains); diff != "" || packed.Baseline != "production" {
		t.Errorf("%s baseline %q", diff, packed.Baseline)
	}
	again, _, err := wire.PackSuite(file, dir, wire.DefaultCells)
	first, _ := json.Marshal(packed)
	second, _ := json.Marshal(again)
	if err != nil || string(first) != string(second) {
		t.Errorf("the same files make another package: %v", err)
	}
}

func TestPackSuiteWithoutProject(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"s.yaml": "prompts: ['{{x}}']\nproviders: [echo]\ntests: [{vars: {x: [a, b, c]}}]\n"})
	packed, _, err := wire.PackSuite(filepath.Join(dir, "s.yaml"), "", 3)
	if err != nil || packed.Bundles != nil || packed.Prompts != nil || len(packed.Files) != 1 {
		t.Errorf("%+v, %v", packed, err)
	}
}

func TestWhatCannotBePacked(t *testing.T) {
	t.Parallel()
	echo := "prompts: ['{{x}}']\nproviders: [echo]\ntests: [{vars: {x: [a, b, c]}}]\n"
	for name, test := range map[string]struct {
		files   map[string]string
		project string
		says    string
	}{
		"too many cells":      {map[string]string{"s.yaml": echo}, "", "3 cells, and 2 are allowed"},
		"no suite":            {map[string]string{"x.yaml": echo}, "", "there is no file s.yaml"},
		"a file outside":      {map[string]string{"s.yaml": "prompts: file://../secret\nproviders: [echo]\n"}, "", "leads out"},
		"a broken project":    {map[string]string{"s.yaml": "prompts: [x]\nproviders: [echo]\n", "tenuto.yaml": "name: [x\n"}, "", "tenuto.yaml:"},
		"no such project":     {map[string]string{"s.yaml": "prompts: [x]\nproviders: [echo]\n"}, "none", "cannot be opened"},
		"a folder, no projet": {map[string]string{"s.yaml": "prompts: [x]\nproviders: [echo]\n", "empty/x": ""}, "empty", "there is no tenuto.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, test.files)
			if test.project != "" {
				test.project = filepath.Join(dir, test.project)
			}
			_, _, err := wire.PackSuite(filepath.Join(dir, "s.yaml"), test.project, 2)
			text := ""
			if broken, ok := errors.AsType[*wire.SuiteError](err); ok {
				for _, p := range broken.Problems {
					text += wire.DescribeProblem(p) + "\n"
				}
			} else if err != nil {
				text = schemas.SafeMessage(err)
			}
			if !strings.Contains(text, test.says) {
				t.Errorf("got %q, want %q", text, test.says)
			}
		})
	}
}

// TestSuiteFilesTogether packs files that are each small enough, and too large together.
func TestSuiteFilesTogether(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("x", 17<<20)
	dir := folder(t, map[string]string{"a.txt": half, "b.txt": half, "s.yaml": "prompts: [x]\nproviders: [echo]\ntests: [{vars: {a: file://a.txt, b: file://b.txt}}]\n"})
	_, _, err := wire.PackSuite(filepath.Join(dir, "s.yaml"), "", 2)
	broken, ok := errors.AsType[*wire.SuiteError](err)
	if !ok || schemas.CodeOf(err) != schemas.Refused || !strings.Contains(broken.Problems[0].Message, "32 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestSuiteName(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"suites/docs-qa.yaml": "docs-qa", "Docs_QA.v2.yml": "docs-qa-v2", "x": "x", "--.yaml": "", "über uns.yaml": "ber-uns",
		"evals/Getting started/promptfooconfig.yaml": "getting-started", "a/b/promptfooconfig.llama.yaml": "b-llama", "promptfooconfig.yaml": "wire", "/promptfooconfig.yaml": "promptfooconfig",
		strings.Repeat("a", 62) + "-b.yaml": strings.Repeat("a", 62),
	} {
		if got := wire.SuiteName(file); got != want || want != "" && schemas.CheckSuite(got) != nil {
			t.Errorf("%s is called %q, want %q", file, got, want)
		}
	}
}
