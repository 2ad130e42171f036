package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// ask sends a request to the API, and returns the status.
func (h house) ask(t *testing.T, method, path string, body, into any) int {
	t.Helper()
	data, _ := json.Marshal(body)
	request, _ := http.NewRequestWithContext(t.Context(), method, h.URL+path, strings.NewReader(string(data)))
	request.Header.Set("Authorization", "Bearer "+gatewaytest.AdminToken)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if into != nil {
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	return response.StatusCode
}

const gatedLabel = "/api/v1/chains/two/labels/production"

// release makes a release of the chain two.
func (h house) release(t *testing.T, text string) rest.Release {
	t.Helper()
	var made rest.Release
	bundle := schemas.Bundle{
		Chain: "two", Prompts: map[string]string{"say": text + " {{text}}"},
		Chains: map[string]schemas.ChainDef{"two": {
			Input: json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}`),
			Steps: []schemas.StepDef{{ID: "first", Generate: &schemas.GenerateDef{Prompt: "say", With: map[string]string{"text": "input.text"}, Model: "local/extractive"}}},
		}},
	}
	if status := h.ask(t, "POST", "/api/v1/releases", rest.NewRelease{Bundle: bundle, Source: "folder test", Message: text}, &made); status != http.StatusCreated {
		t.Fatalf("status %d", status)
	}
	return made
}

// settle asks for a move until the runs of its suites have ended.
func (h house) settle(t *testing.T, move rest.MoveLabel) int {
	t.Helper()
	for range 1000 {
		var label rest.Label
		status := h.ask(t, "POST", gatedLabel+"/moves", move, &label)
		if status != http.StatusAccepted {
			return status
		}
		move.Waited = nil
		for _, e := range label.Waiting {
			move.Waited = append(move.Waited, e.ID)
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatal("the suites do not end")
	return 0
}

// plantLabels leaves a label with a refused move, an overridden one, one that was let through, and one that waits until open is closed. Suites say
// what is hostile.
func (h house) plantLabels(t *testing.T) (open chan struct{}, releases []rest.Release) {
	t.Helper()
	for _, text := range []string{"Say", "Tell", "Sing", "Shout"} {
		releases = append(releases, h.release(t, text))
	}
	var pack rest.EvalPackage
	data, _ := json.Marshal(schemas.SuitePackage{Suite: "smoke", File: "s.yaml", Files: map[string][]byte{"s.yaml": []byte("tests: []")}})
	h.api(t, "/api/v1/evals/smoke/packages", data, &pack)
	h.settle(t, rest.MoveLabel{Release: releases[0].Hash, Why: "the first"})
	h.ask(t, "PUT", gatedLabel+"/requirements", rest.RequireSuites{Requires: []schemas.SuiteRequirement{{Suite: "smoke", Package: pack.Package}}, Why: "nothing unproven"}, nil)
	ruling := schemas.RulingFailed
	open = make(chan struct{})
	close(open)
	h.Work.Judge(func(_ context.Context, _ schemas.EvalRequest, s schemas.EvalSummary) (schemas.EvalSummary, error) {
		<-open
		s.Ruling, s.Reasons = ruling, nil
		if ruling == schemas.RulingFailed {
			s.Reasons = []string{"case greets fails: " + hostile}
		}
		return s, nil
	})
	if status := h.settle(t, rest.MoveLabel{Release: releases[1].Hash}); status != http.StatusUnprocessableEntity {
		t.Fatalf("a failing suite: status %d", status)
	}
	if status := h.settle(t, rest.MoveLabel{Release: releases[1].Hash, Override: true, Reason: "the suite is wrong " + hostile}); status != http.StatusOK {
		t.Fatalf("an override: status %d", status)
	}
	ruling = schemas.RulingPassed
	if status := h.settle(t, rest.MoveLabel{Release: releases[2].Hash, Why: "better"}); status != http.StatusOK {
		t.Fatalf("a passing suite: status %d", status)
	}
	open = make(chan struct{})
	if status := h.ask(t, "POST", gatedLabel+"/moves", rest.MoveLabel{Release: releases[3].Hash}, nil); status != http.StatusAccepted {
		t.Fatalf("one that waits: status %d", status)
	}
	return open, releases
}

func TestLabelPages(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.signedIn(t)
	if got := v.get("/console/labels"); got.status != 200 || !strings.Contains(got.body, "No labels yet") {
		t.Errorf("without labels: status %d: %s", got.status, got.body)
	}
	gate, releases := h.plantLabels(t)
	const page = "/console/labels/two/production"
	list, label := v.get("/console/labels"), v.get(page)
	for _, part := range []string{"two@production", releases[2].Hash[:12], "smoke", "a move waits for smoke: 1 of 4 cells done", `class="pill passed">passed`, "by bootstrap"} {
		if !strings.Contains(list.body, part) {
			t.Errorf("the list lacks %q: %s", part, list.body)
		}
	}
	for _, part := range []string{
		"A move waits for its suites", releases[3].Hash[:12], "1 of 4 cells done", `rect class="bar" width="250"`, `http-equiv="refresh"`, "Moves that were refused", releases[1].Hash[:12],
		"case greets fails: &lt;script&gt;", "overridden", "the suite is wrong", "nothing unproven", "the first", "better", "the release that it has", "tenuto label set two@production", "suites required", `href="/console/evals/smoke/`,
	} {
		if !strings.Contains(label.body, part) {
			t.Errorf("the label lacks %q: %s", part, label.body)
		}
	}
	if strings.Contains(list.body+label.body, "<script") || strings.ContainsAny(list.body+label.body, "\u202e\x1b\u200b") {
		t.Error("something hostile is not written out")
	}
	for path, status := range map[string]int{"/console/labels/two/nobody": 404, "/console/labels/none/production": 404, "/console/labels/Two/production": 404, page + "?before=2": 200, page + "?before=x": 200} {
		if got := v.get(path); got.status != status {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
	if got := v.get(page + "?before=2"); strings.Contains(got.body, "better") || !strings.Contains(got.body, "the first") || !strings.Contains(got.body, "To the latest") {
		t.Errorf("older entries: %s", got.body)
	}
	close(gate)
	until(t, func() bool { return !strings.Contains(v.get(page).body, "A move waits") })
	stranger := h.visitor(t)
	stranger.signIn(h.key(t, rest.NewKey{Tenant: "acme", Roles: []schemas.Role{schemas.RoleAdmin}}).Token)
	if got := stranger.get(page); got.status != 404 || strings.Contains(got.body, "smoke") {
		t.Errorf("another tenant: status %d: %s", got.status, got.body)
	}
	if got := stranger.get("/console/labels"); !strings.Contains(got.body, "No labels yet") {
		t.Errorf("another tenant: %s", got.body)
	}
}

func TestSchedulesOnTheList(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.signedIn(t)
	h.plantEvals()
	var pack rest.EvalPackage
	data, _ := json.Marshal(schemas.SuitePackage{Suite: "docs-qa", File: "s.yaml", Files: map[string][]byte{"s.yaml": []byte("tests: []")}})
	h.api(t, "/api/v1/evals/docs-qa/packages", data, &pack)
	h.ask(t, "PUT", "/api/v1/schedules/docs-qa", rest.PutSchedule{Cron: "0 3 * * *", TimeZone: "Europe/Berlin", Package: pack.Package}, nil)
	from := time.Date(2026, 3, 10, 3, 0, 0, 0, time.UTC)
	h.ask(t, "POST", "/api/v1/schedules/docs-qa/backfill", rest.BackfillSchedule{From: from, To: from}, nil)
	has := func(parts ...string) bool {
		body := v.get("/console/evals").body
		for _, part := range parts {
			if !strings.Contains(body, part) {
				return false
			}
		}
		return true
	}
	until(t, func() bool {
		return has("Schedules", "0 3 * * * Europe/Berlin", "1 Dec 03:00", "10 Mar 03:00", `pill passed">passed`, "1 start missed", "tenuto schedule backfill docs-qa --from 2026-03-11 --to 2026-03-14")
	})
	h.ask(t, "POST", "/api/v1/schedules/docs-qa/pause", rest.PauseSchedule{Why: "holidays"}, nil)
	if !has("paused by bootstrap: holidays") {
		t.Errorf("paused: %s", v.get("/console/evals").body)
	}
	service := h.visitor(t)
	service.signIn(h.key(t, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}}).Token)
	if got := service.get("/console/evals"); got.status != 200 || strings.Contains(got.body, "backfill") {
		t.Errorf("who may not see schedules has status %d: %s", got.status, got.body)
	}
}

func TestBrowserShowsLabelsInAllSizes(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.plantEvals()
	gate, _ := h.plantLabels(t)
	t.Cleanup(func() { close(gate) })
	h.ask(t, "PUT", "/api/v1/schedules/smoke", rest.PutSchedule{Cron: "0 3 * * *", Package: strings.Repeat("0", 64)}, nil)
	var shown rest.Label
	h.ask(t, "GET", gatedLabel, nil, &shown)
	h.ask(t, "PUT", "/api/v1/schedules/smoke", rest.PutSchedule{Cron: "0 3 * * *", Package: shown.Requires[0].Package}, nil)
	b := browse(t, true)
	b.signIn(h.URL)
	b.do(chromedp.Click("nav a[href='/console/labels']"), chromedp.WaitVisible("a.here[href='/console/labels']"), chromedp.Click("td.main a"), chromedp.WaitVisible("#waiting"))
	for name, path := range map[string]string{"labels": "/console/labels", "label": "/console/labels/two/production", "evals": "/console/evals", "eval-suite": "/console/evals/docs-qa"} {
		b.looks(name, h.URL+path)
		b.reads(h.URL + path)
	}
	b.calm()
}
