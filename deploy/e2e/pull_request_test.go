package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// pullRequests carries out the workflow of a project for GitHub Actions as a runner does: each step by bash in the project's folder.
type pullRequests struct {
	user

	dir   string
	steps []workflowStep
}

type workflowStep struct {
	Name string `yaml:"name"`
	If   string `yaml:"if"`
	Run  string `yaml:"run"`
}

// TestPullRequests has the workflow of a new project judge pull requests: one that changes nothing, one that adds a case, one that makes the chain
// worse, and one whose suite cannot run. The gate's status is that of the job, the summary is shown whatever it is, and what was asked is not
// asked again.
func TestPullRequests(t *testing.T) {
	t.Parallel()
	h := open(t, options{})
	p := &pullRequests{user: h.admin(), dir: filepath.Join(h.dir, "answers")}
	p.run(t, "init", "answers")
	p.run(t, "ingest", folder(t, "handbook", map[string]string{
		"logs.md": "# Logs\n\nLogs are kept for 30 days.\n", "search.md": "# Search\n\nThe search service is owned by the platform team.\n",
	}), "--collection", "docs")
	p.run(t, "release", "answers", "--label", "production")
	p.read(t)

	summary := p.judged(t, 0)
	if !strings.Contains(summary, "docs-qa") || !strings.Contains(p.report(t, "xml"), "<testsuite") || !strings.Contains(p.report(t, "html"), "<html") {
		t.Errorf("summary\n%s", summary)
	}
	first := p.latest(t)
	p.edit(t, "suites/docs-qa.yaml", "tests:\n", "tests:\n  - {vars: {question: \"For how many days are logs kept?\"}, assert: [{type: contains, value: 30}]}\n")
	p.judged(t, 0)
	if s := p.latest(t); s.ID == first.ID || s.Reused != 2*first.Cells || s.Cells <= first.Cells || s.Baseline != "production" {
		t.Errorf("with another case %+v, before %+v", s, first)
	}
	p.edit(t, "chains/docs-qa.yaml", "query: input.question\n      limit: 8", "query: \"'search service'\"\n      limit: 1")
	if summary := p.judged(t, 3); !strings.Contains(summary, "failed") || !strings.Contains(p.report(t, "xml"), "<failure") {
		t.Errorf("summary\n%s", summary)
	}
	if s := p.latest(t); s.Ruling != schemas.RulingFailed {
		t.Errorf("%+v", s)
	}
	for _, report := range []string{"xml", "md", "html"} {
		if err := os.Remove(filepath.Join(p.dir, "evals-report."+report)); err != nil {
			t.Fatal(err)
		}
	}
	p.edit(t, "suites/docs-qa.yaml", "chain:docs-qa", "chain:docs-qa@nowhere")
	if summary := p.judged(t, 1); summary != "" {
		t.Errorf("summary\n%s", summary)
	}
}

// read reads the steps, without the one that installs the program.
func (p *pullRequests) read(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, ".github", "workflows", "evals.yml"))
	var w struct {
		Jobs map[string]struct {
			Steps []workflowStep `yaml:"steps"`
		} `yaml:"jobs"`
	}
	if err == nil {
		err = yaml.Unmarshal(data, &w)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range w.Jobs["evals"].Steps {
		if step.Run != "" && step.Name != "Install tenuto" {
			p.steps = append(p.steps, step)
		}
	}
	if len(p.steps) != 3 {
		t.Fatalf("steps %+v", p.steps)
	}
}

// judged carries out the steps, those after one that failed only if they say so, requires the status of the first that failed, and returns the
// summary.
func (p *pullRequests) judged(t *testing.T, want int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "summary.md")
	status := 0
	var said bytes.Buffer
	for _, step := range p.steps {
		if status != 0 && step.If != "${{ !cancelled() }}" {
			continue
		}
		cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run) // as GitHub starts it
		cmd.Dir = p.dir
		cmd.Env = append(p.environment(), "TENUTO_URL="+p.url(), "TENUTO_API_KEY="+p.key, "GITHUB_STEP_SUMMARY="+file)
		cmd.Env[0] = "PATH=" + p.bin + ":" + os.Getenv("PATH")
		cmd.Stdout, cmd.Stderr = &said, &said
		dieWithParent(cmd)
		if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Skipf("this machine has no bash, which GitHub's runners have: %v", err)
		}
		if status == 0 {
			status = cmd.ProcessState.ExitCode()
		}
	}
	if status != want {
		t.Errorf("status %d, want %d\n%s", status, want, said.String())
	}
	summary, _ := os.ReadFile(file) // there is none of a run that broke
	return string(summary)
}

func (p *pullRequests) report(t *testing.T, kind string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, "evals-report."+kind))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (p *pullRequests) latest(t *testing.T) schemas.EvalSummary {
	t.Helper()
	found := decode[rest.Eval](t, p.run(t, "eval", "show", "docs-qa", "--json"))
	if found.Summary == nil {
		t.Fatalf("%+v", found)
	}
	return *found.Summary
}

// edit changes a file of the project.
func (p *pullRequests) edit(t *testing.T, name, before, after string) {
	t.Helper()
	path := filepath.Join(p.dir, name)
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), before) {
		t.Fatalf("%s has no %q: %v", name, before, err)
	}
	write(t, path, strings.ReplaceAll(string(data), before, after))
}
