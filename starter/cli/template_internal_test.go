package cli

import (
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// workflowFile is a workflow of GitHub Actions, as far as it is looked at.
type workflowFile struct {
	On          map[string]any    `yaml:"on"`
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		RunsOn string            `yaml:"runs-on"`
		If     string            `yaml:"if"`
		Env    map[string]string `yaml:"env"`
		Steps  []struct {
			Uses string `yaml:"uses"`
			If   string `yaml:"if"`
			Run  string `yaml:"run"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// TestTheWorkflowOfPullRequests reads the workflow that a new project has, and has the command line accept each command in it.
func TestTheWorkflowOfPullRequests(t *testing.T) {
	t.Parallel()
	var w workflowFile
	if err := yaml.Unmarshal(templateFile(t, ".github/workflows/evals.yml"), &w); err != nil {
		t.Fatal(err)
	}
	job, ok := w.Jobs["evals"]
	_, triggered := w.On["pull_request"]
	if !ok || len(w.Jobs) != 1 || !triggered || w.Permissions["contents"] != "read" || job.RunsOn == "" || job.If == "" {
		t.Fatalf("%+v", w)
	}
	for _, name := range []string{"TENUTO_URL", "TENUTO_API_KEY"} {
		if !strings.HasPrefix(job.Env[name], "${{ ") {
			t.Errorf("%s is %q", name, job.Env[name])
		}
	}
	var commands []string
	for _, step := range job.Steps {
		if (step.Uses == "") == (step.Run == "") {
			t.Errorf("step %+v", step)
		}
		if strings.Contains(step.Run, "GITHUB_STEP_SUMMARY") && step.If != "${{ !cancelled() }}" {
			t.Errorf("the report is not shown where the gate failed: %+v", step)
		}
		commands = append(commands, commandLines(step.Run)...)
	}
	accepts(t, commands)
	if !slices.ContainsFunc(commands, func(c string) bool { return strings.HasPrefix(c, "tenuto eval run suites/docs-qa.yaml --baseline ") }) {
		t.Errorf("no command runs the suite: %q", commands)
	}
}

// TestTheCommandsOfATemplate has the command line accept what the READMEs of a new project say.
func TestTheCommandsOfATemplate(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"README.md", "suites/README.md"} {
		commands := commandLines(string(templateFile(t, name)))
		if len(commands) == 0 {
			t.Errorf("%s has no commands", name)
		}
		accepts(t, commands)
	}
}

func templateFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(template, "template/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// commandLines are the lines of a text that call tenuto.
func commandLines(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "tenuto ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// words are those of a line, some of them in single quotes, without the program.
func words(line string) []string {
	inside := false
	fields := strings.FieldsFunc(line, func(r rune) bool {
		if r == '\'' {
			inside = !inside
		}
		return r == ' ' && !inside
	})
	for i := range fields {
		fields[i] = strings.ReplaceAll(fields[i], "'", "")
	}
	return fields[1:]
}

// accepts has the command line read commands, and do nothing.
func accepts(t *testing.T, lines []string) {
	t.Helper()
	for _, line := range lines {
		parser, err := parserOf(new(grammar), io.Discard, io.Discard, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(words(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	for _, wrong := range []string{"tenuto eval run", "tenuto eval run x --nothing"} { // or nothing is tested
		parser, err := parserOf(new(grammar), io.Discard, io.Discard, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(words(wrong)); err == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
}
