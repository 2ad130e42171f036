package console_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// plantEval leaves what the n-th run of a suite leaves that ended.
func (h house) plantEval(suite string, n int, ruling schemas.Ruling, rate float64) schemas.EvalSummary {
	h.t.Helper()
	at := noon.Add(time.Duration(n-100) * time.Hour)
	s := schemas.EvalSummary{
		ID: idOf(at, n), Suite: suite, StartMS: at.UnixMilli(), EndMS: at.UnixMilli() + 65_000, Trigger: schemas.EvalSchedule, By: schemas.Actor{Key: "k", Name: "night"},
		Ruling: ruling, PassRate: rate, Score: rate, Counts: schemas.CellCounts{Passed: int(rate * 40), Failed: 40 - int(rate*40)}, Cells: 40, Reused: 3, Flaky: 1,
		Usage: schemas.Usage{Calls: 40, InputTokens: 1000, OutputTokens: 200}, Cost: schemas.Cost{USD: 0.42}, Baseline: "production", Package: strings.Repeat("a", 64),
	}
	if ruling != schemas.RulingPassed {
		s.Reasons = []string{"worse by 12 % than production: " + hostile}
	}
	data, err := json.Marshal(s)
	if err == nil {
		err = h.Store.Put(h.t.Context(), schemas.EvalSummaryKey("default", suite, s.ID), data)
	}
	if err == nil {
		err = h.Store.Put(h.t.Context(), schemas.EvalFileKey("default", suite, s.ID, schemas.EvalFileHTML), []byte(report))
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// report is one that tries what a report must not do.
const report = `<!doctype html><meta charset="utf-8"><title>Report</title><style>h1{color:green}</style><h1 id="h">The report</h1>
<script>document.getElementById("h").textContent="ran"</script><img src="https://example.com/x.png"><form action="https://example.com"></form>
<p><a id="run" href="/console/runs">The exchange</a></p>`

func (h house) plantEvals() []schemas.EvalSummary {
	var all []schemas.EvalSummary
	for n := range 30 {
		all = append(all, h.plantEval("docs-qa", n, schemas.RulingPassed, 0.9+float64(n%3)/40))
	}
	all = append(all, h.plantEval("docs-qa", 30, schemas.RulingFailed, 0.5))
	h.plantEval("smoke", 31, schemas.RulingNotEnoughData, 1)
	return all
}

// begin starts a run whose suite is so described, through the API.
func (h house) begin(t *testing.T, suite, text string) string {
	t.Helper()
	data, _ := json.Marshal(schemas.SuitePackage{Suite: suite, File: "s.yaml", Files: map[string][]byte{"s.yaml": []byte(text)}})
	var pack rest.EvalPackage
	h.api(t, "/api/v1/evals/"+suite+"/packages", data, &pack)
	body, _ := json.Marshal(rest.NewEval{Package: pack.Package})
	var started rest.StartedEval
	h.api(t, "/api/v1/evals/"+suite+"/runs", body, &started)
	return started.ID
}

func (h house) api(t *testing.T, path string, body []byte, into any) {
	t.Helper()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+path, strings.NewReader(string(body)))
	request.Header.Set("Authorization", "Bearer "+gatewaytest.AdminToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s: status %d, %v", path, response.StatusCode, err)
	}
}

func TestEvalPages(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.signedIn(t)
	if got := v.get("/console/evals"); got.status != 200 || !strings.Contains(got.body, "No suites yet") {
		t.Errorf("without suites: status %d: %s", got.status, got.body)
	}
	last := h.plantEvals()[30]
	for path, test := range map[string]struct {
		status int
		has    []string
		lacks  string
	}{
		"/console/evals":                       {200, []string{"docs-qa", "31 runs", `pill failed">failed`, `pill not_enough_data">not enough data`, "50.0 %", "$0.42", `role="img" aria-label="Pass rate of the last 30 runs`, "too few runs"}, "http-equiv"},
		"/console/evals/docs-qa":               {200, []string{last.ID, "schedule", "production", "1 flaky", "Older runs"}, "smoke"},
		"/console/evals/docs-qa/" + last.ID:    {200, []string{"worse by 12 %", "&lt;script&gt;alert(1)", "Show the report", "0.500", "1m5s", "/console/evals/docs-qa/" + last.ID + "/report"}, "http-equiv"},
		"/console/evals/docs-qa/latest":        {200, []string{last.ID}, "http-equiv"},
		"/console/evals/docs-qa/nobody":        {404, []string{"has no run nobody"}, "report"},
		"/console/evals/Docs":                  {404, []string{"no such suite"}, ""},
		"/console/evals/none":                  {404, []string{"has no runs"}, ""},
		"/console/evals/docs-qa/nobody/report": {404, []string{"no report of that run"}, ""},
		"/console/evals/docs-qa?cursor=x":      {400, []string{"cursor"}, ""},
	} {
		got := v.get(path)
		if got.status != test.status || test.lacks != "" && strings.Contains(got.body, test.lacks) {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
		for _, part := range test.has {
			if !strings.Contains(got.body, part) {
				t.Errorf("%s lacks %q: %s", path, part, got.body)
			}
		}
	}
	older := v.get("/console/evals/docs-qa")
	link := older.body[strings.Index(older.body, "/console/evals/docs-qa?cursor="):]
	if got := v.get(link[:strings.IndexByte(link, '"')]); got.status != 200 || strings.Contains(got.body, last.ID) || !strings.Contains(got.body, "To the latest") {
		t.Errorf("older: status %d: %s", got.status, got.body)
	}
}

// TestReportsCannotAct has a report be shown that holds scripts.
func TestReportsCannotAct(t *testing.T) {
	t.Parallel()
	h := open(t)
	path := "/console/evals/docs-qa/" + h.plantEval("docs-qa", 1, schemas.RulingPassed, 1).ID + "/report"
	got := h.signedIn(t).get(path)
	policy := got.header.Get("Content-Security-Policy")
	if got.status != 200 || got.body != report || got.header.Get("X-Frame-Options") != "DENY" {
		t.Errorf("status %d, %v: %s", got.status, got.header, got.body)
	}
	for _, part := range []string{"sandbox ", "default-src 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy %q lacks %q", policy, part)
		}
	}
	if strings.Contains(policy, "allow-scripts") || strings.Contains(policy, "script-src") {
		t.Errorf("the policy is %q", policy)
	}
	if got := h.visitor(t).get(path); got.status != http.StatusSeeOther {
		t.Errorf("who is not signed in has status %d", got.status)
	}
}

func TestAnEvalUnderWay(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.Work.Gate = make(chan struct{})
	v := h.signedIn(t)
	id := h.begin(t, "docs-qa", "tests: []")
	path := "/console/evals/docs-qa/" + id
	for _, part := range []string{`http-equiv="refresh" content="5"`, "1 of 4 cells done", `rect class="bar" width="250"`} {
		if got := v.get(path); got.status != 200 || !strings.Contains(got.body, part) {
			t.Errorf("lacks %q: %s", part, got.body)
		}
	}
	if got := v.get("/console/evals"); !strings.Contains(got.body, "under way since") || !strings.Contains(got.body, "none yet") {
		t.Errorf("listed as %s", got.body)
	}
	close(h.Work.Gate)
	until(t, func() bool { return strings.Contains(v.get(path).body, "Show the report") })
	paused := "/console/evals/dear/" + h.begin(t, "dear", "expensive")
	until(t, func() bool { return strings.Contains(v.get(paused).body, "tenuto eval decide dear ") })
	broken := "/console/evals/bad/" + h.begin(t, "bad", "breaks")
	until(t, func() bool { return strings.Contains(v.get(broken).body, "the model m is not configured") })
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come about in five seconds")
}

func TestBrowserShowsEvals(t *testing.T) {
	t.Parallel()
	h := open(t)
	last := h.plantEvals()[30]
	for name, scripts := range map[string]bool{"with scripts": true, "without scripts": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := browse(t, scripts)
			b.signIn(h.URL)
			b.do(chromedp.Click("nav a[href='/console/evals']"), chromedp.WaitVisible("svg.trend"))
			b.picture("evals")
			if got := b.text("nav a.here"); got != "Evals" {
				t.Errorf("one is at %q", got)
			}
			b.do(chromedp.Click("table.runs a"), chromedp.WaitVisible("nav.crumbs"))
			b.picture("eval-suite")
			b.do(chromedp.Click(fmt.Sprintf("a[href$='%s']", last.ID)), chromedp.WaitVisible("dl.inline"))
			if got := b.text("main"); !strings.Contains(got, "worse by 12 %") || !strings.Contains(got, "<script>alert(1)</script>") {
				t.Errorf("shown as %s", got)
			}
			b.picture("eval")
			b.calm()
			b.do(chromedp.Click("a[href$='/report']"), chromedp.WaitVisible("#h"))
			if got := b.text("#h"); got != "The report" {
				t.Errorf("the report says %q", got)
			}
			b.picture("eval-report")
			b.do(chromedp.Click("#run"), chromedp.WaitVisible("#words")) // one is still signed in
		})
	}
}
