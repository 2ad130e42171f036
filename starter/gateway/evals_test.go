package gateway_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const docsQA = "/api/v1/evals/docs-qa"

func suitePackage(text string) []byte {
	data, _ := json.Marshal(schemas.SuitePackage{Suite: "docs-qa", File: "docs-qa.yaml", Files: map[string][]byte{"docs-qa.yaml": []byte(text)}})
	return data
}

// pack uploads a suite.
func (c caller) pack(text string) string {
	c.t.Helper()
	data := suitePackage(text)
	reply := c.send("POST", docsQA+"/packages", data)
	var out rest.EvalPackage
	if err := json.Unmarshal(reply.body, &out); err != nil || reply.status > 201 || out.Package != schemas.Hash(data) {
		c.t.Fatalf("status %d: %s", reply.status, reply.body)
	}
	return out.Package
}

func (c caller) evaluate(body rest.NewEval, header ...string) rest.StartedEval {
	c.t.Helper()
	var started rest.StartedEval
	c.send("POST", docsQA+"/runs", body, header...).want(c.t, 202, &started)
	return started
}

func (c caller) ended(id string) rest.Eval {
	c.t.Helper()
	var found rest.Eval
	c.send("GET", docsQA+"/runs/"+id+"?wait=10", nil).want(c.t, 200, &found)
	if found.Status == rest.Running {
		c.t.Fatalf("it still runs: %+v", found)
	}
	return found
}

func TestEvalPackages(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	data := suitePackage("tests: []")
	hash := schemas.Hash(data)
	c.send("GET", docsQA+"/packages/"+hash, nil).wantProblem(t, 404, schemas.NotFound, "upload it first")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(data)
	_ = w.Close()
	var first, again, shown rest.EvalPackage
	c.send("POST", docsQA+"/packages", packed.Bytes(), "Content-Encoding", "gzip").want(t, 201, &first)
	c.send("POST", docsQA+"/packages", data).want(t, 200, &again)
	c.send("GET", docsQA+"/packages/"+hash, nil).want(t, 200, &shown)
	if first.Package != hash || first.Existed || !again.Existed || again.Package != hash || shown.Bytes != int64(len(data)) {
		t.Errorf("first %+v, again %+v, shown %+v", first, again, shown)
	}
	for name, test := range map[string]struct {
		path   string
		body   string
		detail string
	}{
		"no JSON":       {docsQA, "{", "no package"},
		"two values":    {docsQA, string(data) + "{}", "no package"},
		"another suite": {"/api/v1/evals/other", string(data), "of suite"},
		"a bad name":    {"/api/v1/evals/Docs", string(data), "lower-case"},
		"no file":       {docsQA, `{"suite":"docs-qa","file":"a.yaml","files":{}}`, "lacks the suite's own file"},
		"a way out":     {docsQA, `{"suite":"docs-qa","file":"a.yaml","files":{"a.yaml":"","../b":""}}`, "below the suite's folder"},
		"a zero byte":   {docsQA, `{"suite":"docs-qa","file":"a.yaml","files":{"a.yaml":"","b\u0000":""}}`, "below the suite's folder"},
		"unknown keys":  {docsQA, `{"suite":"docs-qa","file":"a.yaml","files":{"a.yaml":""},"run":"sh"}`, "no package"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caller{t, c.url, c.token}.send("POST", test.path+"/packages", []byte(test.body)).wantProblem(t, 400, schemas.Invalid, test.detail)
		})
	}
	c.send("POST", docsQA+"/packages", make([]byte, 65<<20)).wantProblem(t, 413, schemas.Invalid, "64 MiB")
}

func TestEvalFromStartToReport(t *testing.T) {
	t.Parallel()
	s, operator, c, first := served(t, nil)
	s.Work.Gate = make(chan struct{})
	body := rest.NewEval{
		Package: operator.pack("tests: []"), Releases: map[string]string{"two": "production"}, Baseline: "production", Repeat: 2, MaxRepeat: 5,
		Budget: schemas.EvalBudget{USD: 5}, Notify: schemas.EvalNotify{Repository: "octo/bots", Labels: []string{"eval"}},
	}
	started := operator.evaluate(body)
	if diff := cmp.Diff(rest.StartedEval{
		Suite: "docs-qa", ID: started.ID, WorkflowID: schemas.EvalID("default", "docs-qa", started.ID), Releases: map[string]string{"two": first.Hash},
	}, started); diff != "" {
		t.Error(diff)
	}
	if options := s.Temporal.Options(started.WorkflowID); options.TaskQueue != schemas.QueueEval || options.TypedSearchAttributes.Size() != 2 {
		t.Errorf("started with %+v", options)
	}
	for _, id := range []string{started.ID, "latest"} {
		var running rest.Eval
		c.send("GET", docsQA+"/runs/"+id, nil).want(t, 200, &running)
		if running.ID != started.ID || running.Status != rest.Running || running.Progress == nil || running.Progress.Cells != 4 || running.Summary != nil {
			t.Errorf("under way: %+v", running)
		}
	}
	var page rest.Page[rest.Eval]
	c.send("GET", docsQA+"/runs", nil).want(t, 200, &page)
	if len(page.Items) != 1 || page.Items[0].ID != started.ID || page.Items[0].Status != rest.Running {
		t.Errorf("listed %+v", page)
	}
	c.send("GET", docsQA+"/runs/"+started.ID+"/files/report.html", nil).wantProblem(t, 404, schemas.NotFound, "has ended")
	close(s.Work.Gate)
	ended := c.ended(started.ID)
	if ended.Status != rest.Completed || ended.Summary == nil || ended.Summary.Ruling != schemas.RulingPassed || ended.EndedAt == nil || ended.Summary.By.Name != "bootstrap" ||
		ended.Summary.Baseline != "production" || ended.Summary.Releases[0] != "two@"+first.Hash {
		t.Errorf("ended %+v, summary %+v", ended, ended.Summary)
	}
	for file, kind := range map[string]string{"result.json": "application/json", "report.html": "text/html; charset=utf-8", "report.md": "text/markdown; charset=utf-8", "junit.xml": "application/xml"} {
		got := c.send("GET", docsQA+"/runs/latest/files/"+file, nil).want(t, 200, nil)
		if got.header.Get("Content-Type") != kind || len(got.body) == 0 || !strings.HasPrefix(got.header.Get("Content-Security-Policy"), "sandbox;") {
			t.Errorf("%s: %v, %s", file, got.header, got.body)
		}
	}
	c.send("GET", docsQA+"/runs/latest/files/secret", nil).wantProblem(t, 400, schemas.Invalid, "")
	var suites rest.Page[rest.EvalSuite]
	c.send("GET", "/api/v1/evals", nil).want(t, 200, &suites)
	if len(suites.Items) != 1 || suites.Items[0].Runs != 1 || suites.Items[0].Latest[0].ID != started.ID || len(suites.Items[0].Running) != 0 {
		t.Errorf("suites %+v", suites)
	}
}

// TestEvalsAreListedInPages starts more runs than a page has.
func TestEvalsAreListedInPages(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	body := rest.NewEval{Package: c.pack("tests: []")}
	var want, got []string
	for range 5 {
		id := c.evaluate(body).ID
		c.ended(id)
		want = append([]string{id}, want...)
	}
	for cursor := ""; ; {
		var page rest.Page[rest.Eval]
		c.send("GET", docsQA+"/runs?limit=2&cursor="+cursor, nil).want(t, 200, &page)
		for _, e := range page.Items {
			got = append(got, e.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c.send("GET", docsQA+"/runs?cursor=x", nil).wantProblem(t, 400, schemas.Invalid, "cursor")
	c.send("GET", "/api/v1/evals/other/runs/latest", nil).wantProblem(t, 404, schemas.NotFound, "has no runs")
}

func TestOneEvalForOneKey(t *testing.T) {
	t.Parallel()
	s, c, _, first := served(t, nil)
	body := rest.NewEval{Package: c.pack("tests: []"), Releases: map[string]string{"two": "production"}}
	started := c.evaluate(body, "Idempotency-Key", "k")
	second := c.release("Tell")
	c.point("production", second.Hash)
	for range 2 { // while it runs, and when it has ended
		var again rest.StartedEval
		c.send("POST", docsQA+"/runs", body, "Idempotency-Key", "k").want(t, 200, &again)
		if again.ID != started.ID || !again.Joined || again.Releases["two"] != first.Hash {
			t.Errorf("again %+v", again)
		}
		c.ended(started.ID)
	}
	if n := s.Temporal.Started(schemas.Evaluate.Name()); n != 1 {
		t.Errorf("%d runs of one request", n)
	}
	body.Repeat = 3
	c.send("POST", docsQA+"/runs", body, "Idempotency-Key", "k").wantProblem(t, 409, schemas.Conflict, "another request")
	c.send("POST", docsQA+"/runs", body, "Idempotency-Key", "a b").wantProblem(t, 400, schemas.Invalid, "idempotency key")
	if other := c.evaluate(body, "Idempotency-Key", "k2"); other.ID == started.ID || other.Releases["two"] != second.Hash {
		t.Errorf("another key: %+v", other)
	}
}

// TestAnEvalThatWasClaimedOnly has a request come again whose first was cut off before the workflow was started.
func TestAnEvalThatWasClaimedOnly(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	body := rest.NewEval{Package: c.pack("tests: []")}
	s.Temporal.Break(schemas.Errorf(schemas.Unavailable, "down"))
	c.send("POST", docsQA+"/runs", body, "Idempotency-Key", "k").wantProblem(t, 503, schemas.Unavailable, "down")
	s.Temporal.Break(nil)
	var again rest.StartedEval
	c.send("POST", docsQA+"/runs", body, "Idempotency-Key", "k").want(t, 200, &again)
	if found := c.ended(again.ID); found.Summary == nil {
		t.Errorf("found %+v", found)
	}
}

func TestAPausedEvalIsDecided(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		decide rest.DecideEval
		ruling schemas.Ruling
	}{
		"more": {rest.DecideEval{Budget: schemas.EvalBudget{USD: 3}}, schemas.RulingPassed},
		"stop": {rest.DecideEval{Stop: true}, schemas.RulingUnresolved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := admin(t, gatewaytest.Start(t, nil))
			id := c.evaluate(rest.NewEval{Package: c.pack("# expensive")}).ID
			until(t, func() bool {
				var found rest.Eval
				c.send("GET", docsQA+"/runs/"+id, nil).want(t, 200, &found)
				return found.Progress.State == schemas.EvalPaused
			})
			var progress schemas.EvalProgress
			c.send("POST", docsQA+"/runs/"+id+"/decide", test.decide).want(t, 200, &progress)
			if progress.Budget.USD != test.decide.Budget.USD {
				t.Errorf("decided %+v", progress)
			}
			if found := c.ended(id); found.Summary.Ruling != test.ruling || found.Summary.Stopped != test.decide.Stop {
				t.Errorf("ended %+v", found.Summary)
			}
			c.send("POST", docsQA+"/runs/"+id+"/decide", test.decide).wantProblem(t, 404, schemas.NotFound, "is under way")
		})
	}
}

func TestAnEvalIsCancelled(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	s.Work.Gate = make(chan struct{})
	c := admin(t, s)
	id := c.evaluate(rest.NewEval{Package: c.pack("tests: []")}).ID
	var found rest.Eval
	c.send("DELETE", docsQA+"/runs/"+id, nil).want(t, 200, &found)
	if found.Status == rest.Running || found.Summary == nil || !found.Summary.Stopped {
		t.Errorf("cancelled %+v", found)
	}
	c.send("DELETE", docsQA+"/runs/"+id, nil).want(t, 200, nil)
	c.send("DELETE", docsQA+"/runs/nobody", nil).wantProblem(t, 404, schemas.NotFound, "has no run nobody")
}

func TestAnEvalBreaks(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	found := c.ended(c.evaluate(rest.NewEval{Package: c.pack("# breaks")}).ID)
	if found.Status != rest.Failed || found.Summary != nil || found.Failure == nil || !strings.Contains(found.Failure.Message, "models.yaml") {
		t.Errorf("found %+v", found)
	}
}

func TestEvalsAreCompared(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	good := c.evaluate(rest.NewEval{Package: c.pack("tests: []")}).ID
	c.ended(good)
	bad := c.evaluate(rest.NewEval{Package: c.pack("# worse"), Baseline: good}).ID
	c.ended(bad)
	var got rest.EvalDifference
	c.send("GET", docsQA+"/compare?run="+bad+"&with="+good, nil).want(t, 200, &got)
	if got.Run.ID != bad || got.With.ID != good || got.Pairs != 2 || got.Worse != 1 || got.Better != 0 || got.PassRate != -0.5 || got.Score != -0.375 {
		t.Errorf("difference %+v", got)
	}
	if len(got.Changed) != 1 || got.Changed[0].Case != "second" || got.Changed[0].Score != -0.75 || !strings.Contains(got.Changed[0].Reason, "Expected") {
		t.Errorf("changed %+v", got.Changed)
	}
	c.send("GET", docsQA+"/compare?run="+bad+"&with=nobody", nil).wantProblem(t, 404, schemas.NotFound, "result.json")
}

func TestWhatIsWrongWithAnEval(t *testing.T) {
	t.Parallel()
	_, c, _, first := served(t, nil)
	hash := c.pack("tests: []")
	none := strings.Repeat("0", 64)
	const run = "01890000-0000-7000-8000-000000000000"
	for _, test := range []struct {
		body   rest.NewEval
		status int
		code   schemas.Code
		detail string
	}{
		{rest.NewEval{Package: "x"}, 400, schemas.Invalid, "package"},
		{rest.NewEval{Package: none}, 404, schemas.NotFound, "upload it first"},
		{rest.NewEval{Package: hash, Releases: map[string]string{"two": "canary"}}, 404, schemas.NotFound, "canary"},
		{rest.NewEval{Package: hash, Releases: map[string]string{"two": none}}, 404, schemas.NotFound, "release"},
		{rest.NewEval{Package: hash, Releases: map[string]string{"other": first.Hash}}, 404, schemas.NotFound, "release"},
		{rest.NewEval{Package: hash, Releases: map[string]string{"Two!": "production"}}, 400, schemas.Invalid, "chain"},
		{rest.NewEval{Package: hash, Releases: map[string]string{"two": "No Label"}}, 400, schemas.Invalid, "label"},
		{rest.NewEval{Package: hash, Baseline: "What?"}, 400, schemas.Invalid, "name a label"},
		{rest.NewEval{Package: hash, Baseline: none}, 404, schemas.NotFound, "release"},
		{rest.NewEval{Package: hash, Baseline: run}, 404, schemas.NotFound, "has no run"},
		{rest.NewEval{Package: hash, Repeat: 5, MaxRepeat: 2}, 400, schemas.Invalid, "max_repeat"},
		{rest.NewEval{Package: hash, Repeat: -1}, 400, schemas.Invalid, "repeat"},
		{rest.NewEval{Package: hash, Budget: schemas.EvalBudget{USD: -1}}, 400, schemas.Invalid, "budget"},
		{rest.NewEval{Package: hash, Notify: schemas.EvalNotify{Repository: "octo"}}, 400, schemas.Invalid, "OWNER/NAME"},
		{rest.NewEval{Package: hash, Notify: schemas.EvalNotify{Webhook: "https://example.com"}}, 422, schemas.Refused, "TENUTO_WEBHOOK_SECRET"},
	} {
		c.send("POST", docsQA+"/runs", test.body).wantProblem(t, test.status, test.code, test.detail)
	}
	good := c.evaluate(rest.NewEval{Package: hash}).ID
	c.ended(good)
	var other rest.EvalPackage
	c.send("POST", "/api/v1/evals/other/packages", bytes.Replace(suitePackage(""), []byte(`"docs-qa"`), []byte(`"other"`), 1)).want(t, 201, &other)
	c.send("POST", "/api/v1/evals/other/runs", rest.NewEval{Package: other.Package, Baseline: good}).wantProblem(t, 404, schemas.NotFound, "suite other has no run")
	c.send("GET", docsQA+"/runs/x%20y", nil).wantProblem(t, 400, schemas.Invalid, "run id")
}

// TestVersionsThatThereAreNot are refused before a run starts, with those there are: a chain's label or release that the suite asks, and one that it
// is compared with. Those of another tenant are not there.
func TestVersionsThatThereAreNot(t *testing.T) {
	t.Parallel()
	s, c, _, first := served(t, nil)
	stranger, _ := newKey(t, admin(t, s), rest.NewKey{Tenant: "elsewhere", Roles: []schemas.Role{schemas.RoleOperator}})
	none := strings.Repeat("0", 64)
	for name, test := range map[string]struct {
		who      caller
		chains   []string
		suite    string // the baseline that it names itself
		baseline string
		status   int
		says     string
	}{
		"a label":                {c, []string{"two"}, "", "canary", 404, "chain two has no label canary; it has production"},
		"a label of the suite":   {c, []string{"two"}, "canary", "", 404, "chain two has no label canary; it has production"},
		"a label of a version":   {c, []string{"two@production"}, "", "canary", 404, "has no label canary"},
		"a release":              {c, []string{"two"}, "", none, 404, "has no release"},
		"a provider's label":     {c, []string{"two@canary"}, "", "", 404, "has no label canary; it has production"},
		"a provider's release":   {c, []string{"two@" + none}, "", "", 404, "has no release"},
		"another chain":          {c, []string{"three"}, "", "production", 404, "chain three has no label production, nor any other"},
		"only what is tested":    {c, []string{"two", "two@production"}, "", "production", 202, ""},
		"there is such a label":  {c, []string{"two@production"}, "production", "", 202, ""},
		"there is such release":  {c, []string{"two"}, "", first.Hash, 202, ""},
		"a stranger's label":     {stranger, []string{"two"}, "", "production", 404, "chain two has no label production, nor any other"},
		"a stranger's provider":  {stranger, []string{"two@production"}, "", "", 404, "nor any other"},
		"a stranger's release":   {stranger, []string{"two"}, "", first.Hash, 404, "has no release"},
		"a stranger, no package": {stranger, nil, "", first.Hash, 404, "release"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := json.Marshal(schemas.SuitePackage{
				Suite: "docs-qa", File: "a", Files: map[string][]byte{"a": []byte("tests: [] # " + name)}, Chains: test.chains, Baseline: test.suite,
			})
			if err != nil {
				t.Fatal(err)
			}
			var pack rest.EvalPackage
			test.who.send("POST", docsQA+"/packages", data).want(t, 201, &pack)
			reply := test.who.send("POST", docsQA+"/runs", rest.NewEval{Package: pack.Package, Baseline: test.baseline})
			if test.status == 202 {
				reply.want(t, 202, nil)
				return
			}
			reply.wantProblem(t, test.status, schemas.NotFound, test.says)
		})
	}
	bad := []byte(`{"suite":"docs-qa","file":"a","files":{"a":""},"chains":["two@No Label"]}`)
	c.send("POST", docsQA+"/packages", bad).wantProblem(t, 400, schemas.Invalid, "label")
}

func TestWhoMayRunSuites(t *testing.T) {
	t.Parallel()
	s, operator, service, _ := served(t, nil)
	hash := operator.pack("tests: []")
	id := operator.evaluate(rest.NewEval{Package: hash}).ID
	service.ended(id)
	service.send("GET", docsQA+"/runs", nil).want(t, 200, nil)
	service.send("POST", docsQA+"/packages", suitePackage("x")).wantProblem(t, 403, schemas.Unauthorized, "role")
	service.send("POST", docsQA+"/runs", rest.NewEval{Package: hash}).wantProblem(t, 403, schemas.Unauthorized, "role")
	service.send("POST", docsQA+"/runs/"+id+"/decide", rest.DecideEval{}).wantProblem(t, 403, schemas.Unauthorized, "role")
	service.send("DELETE", docsQA+"/runs/"+id, nil).wantProblem(t, 403, schemas.Unauthorized, "role")

	narrow, _ := newKey(t, operator, rest.NewKey{Roles: []schemas.Role{schemas.RoleOperator}, Chains: []string{"two"}})
	for _, path := range []string{"/api/v1/evals", docsQA + "/runs", docsQA + "/runs/" + id, docsQA + "/runs/" + id + "/files/result.json"} {
		narrow.send("GET", path, nil).wantProblem(t, 403, schemas.Unauthorized, "list")
	}
	narrow.send("POST", docsQA+"/runs", rest.NewEval{Package: hash}).wantProblem(t, 403, schemas.Unauthorized, "list")

	stranger, _ := newKey(t, operator, rest.NewKey{Tenant: "acme", Roles: []schemas.Role{schemas.RoleOperator}})
	var suites rest.Page[rest.EvalSuite]
	stranger.send("GET", "/api/v1/evals", nil).want(t, 200, &suites)
	if len(suites.Items) > 0 {
		t.Errorf("another tenant sees %+v", suites)
	}
	stranger.send("GET", docsQA+"/runs/"+id, nil).wantProblem(t, 404, schemas.NotFound, "has no run")
	stranger.send("GET", docsQA+"/runs/"+id+"/files/result.json", nil).wantProblem(t, 404, schemas.NotFound, "has left no")
	stranger.send("POST", docsQA+"/runs", rest.NewEval{Package: hash}).wantProblem(t, 404, schemas.NotFound, "upload it first")
	stranger.send("DELETE", docsQA+"/runs/"+id, nil).wantProblem(t, 404, schemas.NotFound, "has no run")
	if n := s.Temporal.Started(schemas.Evaluate.Name()); n != 1 {
		t.Errorf("%d runs were started", n)
	}
}
