package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/report"
	"github.com/tenuto-dev/tenuto/schemas"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with testdata/NAME.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); run with -update if this is meant\n%s", name, diff)
	}
}

// sample is a run with something of everything: a regression, a failure on both sides, a flaky case in quarantine, an error, a cell not run.
func sample() schemas.EvalResult {
	end := time.Date(2026, 11, 27, 22, 0, 9, 0, time.UTC)
	r := schemas.EvalResult{
		EvalSummary: schemas.EvalSummary{
			ID: "0193a0f0-0000-7000-8000-000000000001", Suite: "answers", StartMS: end.UnixMilli() - 9000, EndMS: end.UnixMilli(), Trigger: schemas.EvalManual,
			By: schemas.Actor{Name: "Ada"}, Package: "4f2a", Plan: "77c0", Ruling: schemas.RulingFailed,
			PassRate: 0.375, Score: 0.4375, Reused: 3, Usage: schemas.Usage{Calls: 9, InputTokens: 900, OutputTokens: 90}, Cost: schemas.Cost{USD: 0.0123, Unknown: 1},
			Releases: []string{"qa@1f2e"}, Baseline: "production",
		},
		Description: "What people ask first.",
		Policy: schemas.EvalPolicy{
			NoRegression: &schemas.Regression{}, Required: []string{"refund"},
			Quarantine: []schemas.Quarantine{{Case: "weather", Until: "2026-12-01", Reason: "the service is down at night"}, {Case: "refund", Until: "2026-01-01"}},
		},
		Columns: []schemas.EvalColumn{
			{ID: "a", Provider: schemas.EvalProvider{ID: "chain:qa", Label: "qa"}, Pin: "1f2e1f2e1f2e1f2e"},
			{ID: "b", Provider: schemas.EvalProvider{ID: "chain:qa", Label: "qa"}, Pin: "0000aaaabbbbcccc", Baseline: true},
		},
		Twins: []int{1, -1},
		Verdict: schemas.Verdict{
			Ruling: schemas.RulingFailed, Reasons: []string{`the required case "refund" failed: Expected output to contain "30 days"`, "1 of 5 cells have no result: 1 errored, 0 not run"},
			Comparison: &schemas.Comparison{Measure: schemas.MeasurePassRate, Cases: 3, Unpaired: 2, Difference: -1.0 / 3, Low: -1, High: 0, P: 0.5, Worse: 1, Detectable: 1, More: 180},
		},
		Flaky:       []schemas.FlakyCase{{Case: "weather", Samples: 2, Passed: 1, Deviation: 0.7071, Quarantined: "2026-12-01"}},
		Regressions: []schemas.Regressed{{Case: "refund", PassRate: 0, Passed: 1, Score: 0.25, Baseline: 1, Candidate: 0, Before: 1}},
	}
	r.Cells = sampleCells()
	return r
}

func sampleCells() []schemas.CellRecord {
	ms := func(v float64) *float64 { return &v }
	answer := func(run, text string, latency float64) *schemas.CellAnswer {
		output, _ := json.Marshal(text)
		return &schemas.CellAnswer{Output: output, RunID: run, LatencyMS: ms(latency), Usage: schemas.Usage{Calls: 1, InputTokens: 100, OutputTokens: 10}, Cost: schemas.Cost{USD: 0.001}, Retrieved: []string{"terms.md"}}
	}
	refund := schemas.EvalCase{ID: "refund", Description: "How long may I return it?", Tags: []string{"terms"}}
	weather := schemas.EvalCase{ID: "weather"}
	contains := func(pass bool, score float64) []schemas.AssertionResult {
		return []schemas.AssertionResult{{Type: "assert-set", Pass: pass, Score: score, Weight: 1, Reason: "of its parts", Named: map[string]float64{"facts": score}, Parts: []schemas.AssertionResult{
			{Type: "contains", Metric: "facts", Pass: pass, Score: score, Weight: 2, Reason: `Expected output to contain "30 days"`},
		}}}
	}
	return []schemas.CellRecord{
		{Case: refund, State: schemas.CellScored, Score: 0.25, Threshold: ms(0.5), Reason: `Expected output to contain "30 days"`, Input: "How long may I return it?", Vars: json.RawMessage(`{"q":"return"}`), Answer: answer("run-1", "You have two weeks.", 810), Assertions: contains(false, 0.25), Graders: schemas.Usage{Calls: 1}, GraderCost: schemas.Cost{USD: 0.0005}, GraderRuns: []string{"run-1g"}},
		{Case: refund, Column: 1, State: schemas.CellScored, Pass: true, Score: 1, Input: "How long may I return it?", Vars: json.RawMessage(`{"q":"return"}`), Answer: answer("run-2", "You have 30 days.", 640), Assertions: contains(true, 1), Reused: true},
		{Case: weather, State: schemas.CellScored, Pass: true, Score: 1, Answer: answer("run-3", "Sunny.", 300)},
		{Case: weather, Sample: 1, State: schemas.CellScored, Reason: "no city", Answer: answer("run-4", "Where?", 350)},
		{Case: weather, Column: 1, State: schemas.CellScored, Pass: true, Score: 1, Answer: answer("run-5", "Sunny.", 310), Reused: true},
		{Case: weather, Column: 1, Sample: 1, State: schemas.CellScored, Pass: true, Score: 1, Answer: answer("run-6", "Sunny.", 310), Reused: true},
		{Case: schemas.EvalCase{ID: "price"}, State: schemas.CellErrored, Code: schemas.Unavailable, Reason: "the provider answered 503 four times"},
		{Case: schemas.EvalCase{ID: "price"}, Column: 1, State: schemas.CellNotRun},
		{Case: schemas.EvalCase{ID: "hours"}, Vars: json.RawMessage(`{"day":"Monday","notes":["a",1],"text":"open\n  or not"}`), State: schemas.CellScored, Pass: true, Score: 1, Assertions: []schemas.AssertionResult{{Type: "is-json", Metric: "form", Pass: true, Score: 0.5}}, Answer: &schemas.CellAnswer{Output: json.RawMessage(`{"from":9,"to":17}`)}},
		{Case: schemas.EvalCase{ID: "hours"}, Column: 1, State: schemas.CellScored, Pass: true, Score: 1, Answer: &schemas.CellAnswer{Output: json.RawMessage(`{"from":9,"to":17}`)}},
	}
}

type writer = func(io.Writer, schemas.EvalResult) error

// written is what a report writes.
func written(t testing.TB, write writer, r schemas.EvalResult) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]writer{"report.html": report.HTML, "report.md": report.Markdown, "junit.xml": report.JUnit} {
		golden(t, name, written(t, write, sample()))
	}
}

// TestJSON reads back what was written.
func TestJSON(t *testing.T) {
	t.Parallel()
	var back schemas.EvalResult
	if err := json.Unmarshal(written(t, report.JSON, sample()), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), back); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	r := sample()
	r.Cells[2].Column = 7
	for _, write := range []writer{report.HTML, report.Markdown, report.JUnit} {
		if err := write(io.Discard, r); schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(err.Error(), "column 7 of 2") {
			t.Errorf("got %v", err)
		}
	}
}

// TestEmpty writes a run of nothing.
func TestEmpty(t *testing.T) {
	t.Parallel()
	for _, write := range []writer{report.HTML, report.Markdown, report.JUnit, report.JSON} {
		written(t, write, schemas.EvalResult{})
	}
}

// TestWithoutScript finds what a browser shows that runs no script: the exchange of the regression with what differs, and links to its runs.
func TestWithoutScript(t *testing.T) {
	t.Parallel()
	page := string(written(t, report.HTML, sample()))
	for _, want := range []string{
		"You have <mark>two</mark> <mark>weeks</mark>.", "You have <mark>30</mark> <mark>days</mark>.", `<a class="id run" href="/console/runs/run-1">run-1</a>`,
		`<a class="id run" href="/console/runs/run-1g">`, "its score must reach 0.5", "810 ms, 100 tokens in, 10 out", "the provider answered 503 four times",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// large is a run of n cells, one in a hundred worse than its twin, with texts of so many bytes.
func large(n, text int) schemas.EvalResult {
	r := sample()
	r.Cells, r.Flaky, r.Regressions = nil, nil, nil
	words := strings.Repeat("lorem ipsum ", text/12+1)
	for i := range n {
		c := schemas.EvalCase{ID: fmt.Sprintf("case-%05d", i/2), Description: "a case of many"}
		output, _ := json.Marshal(fmt.Sprint(i, " ", words[:text]))
		ms := float64(100 + i%700)
		cell := schemas.CellRecord{
			Case: c, Column: i % 2, State: schemas.CellScored, Pass: i%200 != 0, Score: 1, Input: fmt.Sprint(i/2, " ", words[:text]), Vars: json.RawMessage(`{"q":"ipsum"}`),
			Answer:     &schemas.CellAnswer{Output: output, RunID: fmt.Sprintf("run-%05d", i), LatencyMS: &ms, Cost: schemas.Cost{USD: 0.001}},
			Assertions: []schemas.AssertionResult{{Type: "icontains", Pass: true, Score: 1, Weight: 1, Reason: "Assertion passed"}},
		}
		if !cell.Pass {
			cell.Score = 0
			r.Regressions = append(r.Regressions, schemas.Regressed{Case: c.ID, Passed: 1, Baseline: 1, Candidate: i, Before: i + 1})
		}
		r.Cells = append(r.Cells, cell)
	}
	return r
}

// TestLarge bounds a page of many cells, says what it leaves out, and leaves out nothing that is of interest.
func TestLarge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cells, text int
		megabytes   float64
		leavesOut   string
	}{
		{cells: 10_000, text: 400, megabytes: 16},
		{cells: 2000, text: 20_000, megabytes: 22, leavesOut: "The exchanges of "},
		{cells: 52_000, text: 10, megabytes: 26, leavesOut: "2000 more cells"},
	}
	for _, test := range tests {
		start := time.Now()
		page := written(t, report.HTML, large(test.cells, test.text))
		t.Logf("%d cells with texts of %d bytes: %.1f MB in %s", test.cells, test.text, float64(len(page))/1e6, time.Since(start).Round(time.Millisecond))
		if float64(len(page)) > test.megabytes*1e6 {
			t.Errorf("%d cells make %d bytes", test.cells, len(page))
		}
		if !bytes.Contains(page, []byte(test.leavesOut)) || test.leavesOut == "" && bytes.Contains(page, []byte("left out to keep the page small; result.json has them")) {
			t.Errorf("%d cells: it should say %q", test.cells, test.leavesOut)
		}
		if n := bytes.Count(page, []byte(`"run":"run-`)); n < test.cells/100 {
			t.Errorf("%d exchanges", n)
		}
		summary := written(t, report.Markdown, large(test.cells, test.text))
		if n := len([]rune(string(summary))); n > report.MarkdownLimit {
			t.Errorf("the summary has %d characters", n)
		}
	}
}

// TestFailing groups what did not pass by its reason, what has no result first, and leaves out what is in quarantine.
func TestFailing(t *testing.T) {
	t.Parallel()
	r := sample()
	last := r.Cells[0]
	last.Sample = 1
	r.Cells = append(r.Cells, last)
	want := []schemas.EvalFailing{
		{State: schemas.CellErrored, Reason: "the provider answered 503 four times", Cells: 1, Case: "price", Column: "qa"},
		{State: schemas.CellScored, Reason: `Expected output to contain "30 days"`, Cells: 2, Case: "refund", Title: "How long may I return it?", Column: "qa"},
	}
	if diff := cmp.Diff(want, report.Failing(r)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for i := range 40 {
		r.Cells = append(r.Cells, schemas.CellRecord{Case: schemas.EvalCase{ID: fmt.Sprint(i)}, State: schemas.CellScored, Reason: fmt.Sprint("reason ", i, strings.Repeat("ä", 500))})
	}
	got := report.Failing(r)
	if data, err := json.Marshal(got); err != nil || len(got) != schemas.MaxEvalFailing || len(data) > 2500 {
		t.Errorf("%d reasons in %d bytes, %v", len(got), len(data), err)
	}
}
