package project_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/tenuto-dev/tenuto/activities/project"
)

const suitesOfAProject = `
-- suites/good.yaml --
metadata: {shared: &shared {vars: {word: x}}}
prompts: file://prompts/a.txt
providers: echo
tests: [{<<: *shared}, file://more/cases.yaml]
-- suites/prompts/a.txt --
Say {{word}}
-- suites/more/cases.yaml --
- vars: {word: y}
-- suites/more/below.yaml --
prompts: a suite lies directly in suites
-- suites/bad.yaml --
prompts: [file://../prompts/answer.prompt, b]
providers: nobody
tests: [broken.yaml, cases.csv]
-- suites/again.yaml --
prompts: c
providers: echo
tests: cases.csv
-- suites/broken.yaml --
a: "open
-- suites/cases.csv --
a,b
1
-- suites/torn.yaml --
prompts: [a
`

// TestSuites has a project with sound suites and with faulty ones, which keep nothing else from being used.
func TestSuites(t *testing.T) {
	t.Parallel()
	files := folder(archive(t, "base.txtar"), txtar.Parse([]byte(suitesOfAProject)))
	p, problems := project.Load(files)
	compare(t, "suites/broken.yaml:1:4: not valid YAML", problems)
	compare(t, `suites/bad.yaml:1:11: the path leads out of the suite's folder
		suites/bad.yaml:2:12: `+"`nobody`"+` is no provider
		suites/cases.csv:2:1: the row has 1 fields
		suites/torn.yaml:`, p.CheckSuites(files))

	delete(files, "suites/broken.yaml")
	p, problems = project.Load(files)
	compare(t, "", problems)
	if _, err := p.Bundle("qa"); err != nil {
		t.Errorf("faults of suites keep a chain from running: %v", err)
	}
}

// TestLargeSuite has a suite with more values than YAML files of a project may have.
func TestLargeSuite(t *testing.T) {
	t.Parallel()
	files := folder(archive(t, "base.txtar"))
	text := "prompts: '{{a}}'\nproviders: echo\ntests:\n" + strings.Repeat("  - {vars: {a: 1, b: 2, c: 3}}\n", 25_000)
	files["suites/s.yaml"] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	p, problems := project.Load(files)
	compare(t, "", append(problems, p.CheckSuites(files)...))
}
