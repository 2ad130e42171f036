package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// plantResult leaves a result beside the summary of a run.
func (h house) plantResult(s schemas.EvalSummary, r schemas.EvalResult) string {
	h.t.Helper()
	r.EvalSummary = s
	data, err := json.Marshal(r)
	if err == nil {
		err = h.Store.Put(h.t.Context(), schemas.EvalFileKey("default", s.Suite, s.ID, schemas.EvalFileResult), data)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return "/console/evals/" + s.Suite + "/" + s.ID
}

var answers = []string{
	"Logs of the gateway are kept for ninety days; after that a nightly job removes them.", "Only an admin may delete a collection, and the deletion is logged.",
	"A document may have at most 32 MiB. Larger ones end in quarantine with a reason.", "Rotate a key with “tenuto keys rotate”; the old one ends after the overlap.",
}

var asked = []string{"How long are the gateway's logs kept?", "Who may delete a collection?", "How large may a document be?", "How do I rotate an API key?"}

// tried is a cell of the n-th case.
func tried(n, column, sample int, pass bool, score float64, output string) schemas.CellRecord {
	ms := 420 + 13*float64(n%40)
	c := schemas.CellRecord{
		Case:   schemas.EvalCase{ID: fmt.Sprintf("case-%05d", n), Description: asked[n%4], Tags: []string{[]string{"retention", "roles", "limits", "keys"}[n%4]}},
		Column: column, Sample: sample, State: schemas.CellScored, Pass: pass, Score: score,
		Input: `[{"role":"system","content":"Answer from the passages only."},{"role":"user","content":` + string(quote(asked[n%4])) + `}]`,
		Vars:  json.RawMessage(`{"question":` + string(quote(asked[n%4])) + `,"language":"en"}`),
		Answer: &schemas.CellAnswer{
			Output: quote(output), LatencyMS: &ms, Usage: schemas.Usage{Calls: 1, InputTokens: 640, OutputTokens: 42}, Cost: schemas.Cost{USD: 0.00031}, Finish: "stop",
			Retrieved: []string{"retention.md", "roles.md"}, Context: []string{"Logs are kept for ninety days.", "An admin may delete logs."},
		},
		Assertions: []schemas.AssertionResult{
			{Type: "icontains", Metric: "words", Pass: pass, Score: score, Weight: 1, Reason: "Expected output to contain “ninety days”"},
			{Type: "assert-set", Pass: true, Score: 1, Weight: 1, Reason: "All assertions passed", Parts: []schemas.AssertionResult{{Type: "llm-rubric", Pass: true, Score: 1, Weight: 2, Reason: "It names the time and who removes them."}}},
		},
		Graders: schemas.Usage{Calls: 1, InputTokens: 300, OutputTokens: 20}, GraderCost: schemas.Cost{USD: 0.0001},
	}
	if !pass {
		c.Reason = "Expected output to contain “ninety days”"
	}
	return c
}

// filled is a result of so many cases under a chain, its baseline and a model, with something of everything.
func filled(cases int) schemas.EvalResult {
	r := schemas.EvalResult{
		Columns: []schemas.EvalColumn{
			{Provider: schemas.EvalProvider{ID: "chain:docs-qa", Label: "docs-qa"}, Prompt: "answer from the passages", Pin: strings.Repeat("9f8e7d6c", 8)},
			{Provider: schemas.EvalProvider{ID: "openai:gpt-5-mini"}, Prompt: "answer from the passages", Pin: strings.Repeat("0a1b2c3d", 8)},
			{Provider: schemas.EvalProvider{ID: "chain:docs-qa", Label: "docs-qa"}, Prompt: "answer from the passages", Pin: strings.Repeat("c0ffee00", 8), Baseline: true},
		},
		Twins:  []int{2, -1, -1},
		Policy: schemas.EvalPolicy{Quarantine: []schemas.Quarantine{{Case: "case-00007", Until: "2026-04-01", Reason: "flaky"}}},
	}
	for n := range cases {
		good := answers[n%4]
		bad := strings.Replace(good, "overlap", "restart", 1)
		at := len(r.Cells)
		switch n % 20 {
		case 3:
			r.Cells = append(r.Cells, tried(n, 0, 0, false, 0.25, bad), tried(n, 1, 0, true, 1, good), tried(n, 2, 0, true, 1, good))
			r.Regressions = append(r.Regressions, schemas.Regressed{Case: r.Cells[at].Case.ID, Score: 0.25, Baseline: 1, Passed: 1, Candidate: at, Before: at + 2})
		case 7:
			r.Cells = append(r.Cells, tried(n, 0, 0, true, 1, good), tried(n, 0, 1, false, 0.5, bad), tried(n, 0, 2, true, 1, good), tried(n, 1, 0, true, 1, good), tried(n, 2, 0, true, 1, good))
			r.Flaky = append(r.Flaky, schemas.FlakyCase{Case: r.Cells[at].Case.ID, Samples: 3, Passed: 2, Deviation: 0.23})
		case 11:
			r.Cells = append(r.Cells, tried(n, 0, 0, true, 1, good), tried(n, 1, 0, false, 0, ""), tried(n, 2, 0, true, 1, good))
			broken := &r.Cells[at+1]
			broken.State, broken.Answer, broken.Assertions, broken.Code, broken.Reason = schemas.CellErrored, nil, nil, schemas.Unavailable, "openai answers with status 503"
		default:
			r.Cells = append(r.Cells, tried(n, 0, 0, n%9 > 0, map[bool]float64{true: 1, false: 0.4}[n%9 > 0], good), tried(n, 1, 0, true, 0.9, good), tried(n, 2, 0, n%9 > 0, 0.95, good))
		}
	}
	return r
}

// plantMatrix leaves a run whose cell 9, the regression, has its exchange recorded and a grader's, and one whose every text is hostile.
func (h house) plantMatrix() (path string) {
	h.t.Helper()
	r := filled(60)
	e := plain(900, 4*time.Minute, asked[3], answers[3])
	e.Chain = "docs-qa"
	h.put(e)
	grader := plain(901, 4*time.Minute, "Does the answer name the command?", `{"pass": true, "score": 1}`)
	h.put(grader)
	r.Cells[9].Answer.RunID, r.Cells[9].Answer.StartMS, r.Cells[9].GraderRuns = e.RunID, e.StartMS, []string{grader.RunID, "gone"}
	for i := range r.Cells[12:14] {
		c := &r.Cells[12+i]
		c.Pass, c.Score = false, 0
		c.Case.Description, c.Case.Tags = hostile, []string{hostile}
		c.Input, c.Reason, c.Vars = hostile, hostile, json.RawMessage(`{"x":`+string(quote(hostile))+`}`)
		c.Answer.Output, c.Answer.Finish, c.Answer.RunID, c.Answer.Retrieved, c.Answer.Context = quote(hostile), hostile, "../../"+hostile, []string{hostile}, []string{hostile}
		c.Assertions = []schemas.AssertionResult{{Type: hostile, Metric: hostile, Reason: hostile, Parts: []schemas.AssertionResult{{Type: hostile, Reason: hostile}}}}
	}
	return h.plantResult(h.plantEval("docs-qa", 40, schemas.RulingFailed, 0.8), r)
}

func TestTheMatrix(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.signedIn(t)
	base := h.plantMatrix()
	for _, test := range []struct {
		query string
		has   []string
		lacks []string
	}{
		{"", []string{"Cases 1 to 25 of 60.", "case-00011", `pill errored">errored`, "regressed", "flaky", "−0.75", "<mark>restart</mark>", "worse than the baseline (3)", "Next", "docs-qa · answer from the passages (baseline)"}, []string{"Previous", "case-00059"}},
		{"?page=3", []string{"Cases 51 to 60 of 60.", "Previous"}, []string{"Next<"}},
		{"?page=99", []string{"Cases 51 to 60 of 60."}, nil},
		{"?state=regressed", []string{"Cases 1 to 3 of the 3 that fit, of 60.", "case-00003", "case-00023", "case-00043", `value="regressed" selected`}, []string{"case-00000", "Next"}},
		{"?state=flaky", []string{"case-00007", "2 of 3 passed", "in quarantine until 2026-04-01"}, []string{"case-00003"}},
		{"?state=errored&column=0", []string{"No case of 60 fits."}, nil},
		{"?state=errored&column=1", []string{"case-00011", "openai answers with status 503"}, []string{"(baseline) <span", "case-00003"}},
		{"?state=not+run", []string{"No case of 60 fits."}, nil},
		{"?words=ROTATE+case-0003&order=suite", []string{"case-00031", "case-00035", `value="ROTATE case-0003"`}, []string{"case-00003", "case-00032"}},
		{"?order=suite", []string{"case-00000", "case-00024", `value="suite" selected`}, []string{"case-00025"}},
		{"?state=what&column=-4&page=x&from=9999999999999999999&order=z", []string{"Cases 1 to 25 of 60."}, nil},
		{"?words=" + strings.Repeat("%22%3E%3Cscript%3E", 40), []string{"No case of 60 fits.", "&#34;&gt;&lt;script&gt;"}, nil},
	} {
		got := v.get(base + test.query)
		if got.status != 200 || strings.Contains(got.body, "<script") {
			t.Errorf("%s: status %d", test.query, got.status)
		}
		for _, part := range test.has {
			if !strings.Contains(got.body, part) {
				t.Errorf("%s lacks %q: %s", test.query, part, got.body)
			}
		}
		for _, part := range test.lacks {
			if strings.Contains(got.body, part) {
				t.Errorf("%s has %q", test.query, part)
			}
		}
	}
}

func TestACell(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.signedIn(t)
	base := h.plantMatrix()
	regressed := v.get(base + "/cells/9")
	for _, part := range []string{
		"case-00003", `pill failed">failed`, "Worse than the baseline: score 1.00 → 0.25", "Expected output to contain", "assert-set", "llm-rubric", "It names the time", "Output of the baseline",
		base + "/cells/11", "Answer from the passages only.", "language", "retention.md", "/console/runs/" + idOf(noon.Add(-4*time.Minute), 900), "Grader 1", "Does the answer name the command?", "Its record cannot be shown",
		"640 in, 42 out", "$0.00031", "1 call, $0.0001",
	} {
		if !strings.Contains(regressed.body, part) {
			t.Errorf("lacks %q: %s", part, regressed.body)
		}
	}
	for path, want := range map[string]string{
		"/cells/9/text/output": "Rotate a key", "/cells/9/text/input": `"role": "system"`, "/cells/9/text/input/1": asked[3], "/cells/9/text/vars": "language", "/cells/9/text/reason": "Expected output",
	} {
		if got := v.get(base + path); got.status != 200 || !strings.HasPrefix(got.body, strings.TrimSpace(got.body)) || !strings.Contains(got.body, want) || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
	for _, path := range []string{"/cells/-1", "/cells/999999", "/cells/x", "/cells/9/text/what", "/cells/9/text/input/7", "/cells/9/text/input/x"} {
		if got := v.get(base + path); got.status != 404 {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
	if got := v.get("/console/evals/docs-qa/nobody/cells/0"); got.status != 404 || !strings.Contains(got.body, "no such cell") {
		t.Errorf("of no run: status %d: %s", got.status, got.body)
	}
	if got := h.visitor(t).get(base + "/cells/9"); got.status != http.StatusSeeOther {
		t.Errorf("who is not signed in has status %d", got.status)
	}
}

// TestHostileCells has the pages of what models wrote hold nothing that acts.
func TestHostileCells(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.signedIn(t)
	base := h.plantMatrix()
	for _, path := range []string{"?order=suite", "/cells/12", "/cells/13"} {
		got := v.get(base + path)
		if got.status != 200 || strings.ContainsAny(got.body, "\u202e\u2066\x1b\x07\u200b") || !strings.Contains(got.body, "&lt;script&gt;alert(1)") {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'self'") || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %q", policy)
		}
		tree, err := html.Parse(strings.NewReader(got.body))
		if err != nil {
			t.Fatal(err)
		}
		for n := range tree.Descendants() {
			if n.Data == "script" || n.Data == "img" || n.Data == "style" {
				t.Errorf("%s has an element %s", path, n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "href" && strings.HasPrefix(a.Val, "javascript") {
					t.Errorf("%s has %s=%q", path, a.Key, a.Val)
				}
			}
		}
	}
	if got := v.get(base + "/cells/12/text/output"); !strings.Contains(got.body, "<script>alert(1)") || strings.ContainsAny(got.body, "\u202e\x1b") {
		t.Errorf("whole: %s", got.body)
	}
}

// TestCellsOfAnotherTenant are not there.
func TestCellsOfAnotherTenant(t *testing.T) {
	t.Parallel()
	h := open(t)
	base := h.plantMatrix()
	stranger := h.visitor(t)
	if got := stranger.signIn(h.key(t, rest.NewKey{Tenant: "acme", Roles: []schemas.Role{schemas.RoleAdmin}}).Token); got.status != http.StatusSeeOther {
		t.Fatalf("status %d", got.status)
	}
	for _, path := range []string{"", "?state=failed", "/report", "/cells/9", "/cells/9/text/output"} {
		if got := stranger.get(base + path); got.status != 404 || strings.Contains(got.body, "case-0000") {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
}

// TestPagesStaySmall has a run of 10,000 cells with megabytes in them, and one of very many columns.
func TestPagesStaySmall(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.signedIn(t)
	r := filled(3300)
	long := strings.Repeat("<b>word</b> ", 200_000)
	for i := range 3 {
		r.Cells[9+i].Answer.Output, r.Cells[9+i].Reason, r.Cells[9+i].Input = quote(long+fmt.Sprint(i)), long, long
		r.Cells[9+i].Case.Description = long
	}
	base := h.plantResult(h.plantEval("large", 50, schemas.RulingFailed, 0.9), r)
	v.get(base)
	begin := time.Now()
	for _, query := range []string{"", "?state=failed", "?page=40&order=suite", "?words=rotate+a+key"} {
		if got := v.get(base + query); got.status != 200 || len(got.body) > 200_000 || !strings.Contains(got.body, "3,300") {
			t.Errorf("%s: status %d, %d bytes", query, got.status, len(got.body))
		}
	}
	t.Logf("%d cells: %v a page", len(r.Cells), time.Since(begin)/4)
	if got := v.get(base + "/cells/9"); got.status != 200 || len(got.body) > 1_000_000 || !strings.Contains(got.body, "Show all") {
		t.Errorf("a cell: status %d, %d bytes", got.status, len(got.body))
	}
	if got := v.get(base + "/cells/9/text/output"); len(got.body) < len(long) {
		t.Errorf("%d bytes of %d", len(got.body), len(long))
	}
	wide := filled(60)
	for i := range 500 {
		wide.Columns = append(wide.Columns, schemas.EvalColumn{Provider: schemas.EvalProvider{ID: fmt.Sprintf("m%d", i)}})
		wide.Cells = append(wide.Cells, tried(1, 3+i, 0, true, 1, long[:20_000]))
	}
	wide.Twins = nil
	base = h.plantResult(h.plantEval("wide", 51, schemas.RulingFailed, 0.9), wide)
	got := v.get(base + "?order=suite")
	if got.status != 200 || len(got.body) > 200_000 || !strings.Contains(got.body, "Further columns (497)") {
		t.Errorf("many columns: status %d, %d bytes", got.status, len(got.body))
	}
	if got := v.get(base + "?order=suite&from=6"); !strings.Contains(got.body, ">m5 ") || !strings.Contains(got.body, "Columns before") {
		t.Errorf("further columns: %s", got.body)
	}
}

// TestRunsWithoutCells says what is wrong where the result is not there, or is not one.
func TestRunsWithoutCells(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.signedIn(t)
	s := h.plantEval("docs-qa", 1, schemas.RulingPassed, 1)
	base := "/console/evals/docs-qa/" + s.ID
	if got := v.get(base); got.status != 200 || !strings.Contains(got.body, "has left no cells") {
		t.Errorf("without: status %d: %s", got.status, got.body)
	}
	if err := h.Store.Put(t.Context(), schemas.EvalFileKey("default", "docs-qa", s.ID, schemas.EvalFileResult), []byte(`{"cells":[{`)); err != nil {
		t.Fatal(err)
	}
	if got := v.get(base); got.status != 200 || !strings.Contains(got.body, "cannot be read") {
		t.Errorf("cut off: status %d: %s", got.status, got.body)
	}
	later := s
	later.ID, later.SameAs = idOf(noon, 77), s.ID
	h.plantResult(s, filled(3))
	data, _ := json.Marshal(later)
	if err := h.Store.Put(t.Context(), schemas.EvalSummaryKey("default", "docs-qa", later.ID), data); err != nil {
		t.Fatal(err)
	}
	path := "/console/evals/docs-qa/" + later.ID
	if got := v.get(path); got.status != 200 || !strings.Contains(got.body, path+"/cells/0") {
		t.Errorf("the same as another: status %d: %s", got.status, got.body)
	}
}
