package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// testProviders has providers that refuse for good, which ends quickly, and for a while, which is waited out.
func (n nasty) testProviders(t *testing.T) {
	t.Helper()
	for _, test := range []struct {
		model  string
		status int
		words  []string
	}{{"keyless", 3, []string{"NOBODY_HAS_THIS_KEY"}}, {"locked", 3, []string{"key"}}, {"down", 0, nil}, {"limited", 0, nil}} {
		t.Run(test.model, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			s := n.eval(t, test.status, test.model, askingOf(test.model, words(4)))
			n.said(t, s, test.words...)
			if test.status == 3 && (s.Counts.Errored != 4 || time.Since(start) > 30*time.Second) {
				t.Errorf("after %v: %+v", time.Since(start), s)
			}
		})
	}
}

// testBaselines compares with what cannot be compared with.
func (n nasty) testBaselines(t *testing.T) {
	t.Helper()
	first := n.eval(t, 0, "base-a", askingOf("fine", words(2)))
	file := n.suite(t, "base-b", askingOf("fine", words(2)))
	n.fails(t, 1, []string{"base-b has no run " + first.ID}, "eval", "run", file, "--baseline", first.ID, "--json")
	n.fails(t, 1, []string{"base-b has no run"}, "eval", "run", file, "--baseline", uuid.Must(uuid.NewV7()).String())
	labelled := n.suite(t, "base-c", "providers: ['chain:no-such@staging']\ntests: [{vars: {q: a}, assert: [{type: contains, value: a}]}]\n")
	n.fails(t, 1, []string{"chain no-such has no label staging, nor any other"}, "eval", "run", labelled, "--json")
	n.fails(t, 1, []string{"no runs"}, "eval", "show", "base-c", "--json")
	n.fails(t, 1, []string{"asks no chain"}, "eval", "run", file, "--baseline", "production", "--json")
	n.fails(t, 2, []string{"baseline"}, "eval", "run", file, "--baseline", "../../x", "--json")
	n.fails(t, 1, []string{"has left no result"}, "eval", "compare", "base-b", first.ID, first.ID, "--json")
	again := n.eval(t, 0, "base-a", askingOf("fine", words(2)), "--baseline", first.ID)
	if again.Baseline != first.ID {
		t.Errorf("compared with %q", again.Baseline)
	}
}

// testPackages sends packages that the command line would not.
func (n nasty) testPackages(t *testing.T) {
	t.Helper()
	for name, test := range map[string]struct{ path, body string }{
		"another suite": {"mine", `{"suite":"yours","file":"a","files":{"a":""}}`},
		"upwards":       {"mine", `{"suite":"mine","file":"a","files":{"a":"","../b":""}}`},
		"absolute":      {"mine", `{"suite":"mine","file":"a","files":{"a":"","/etc/passwd":""}}`},
		"nul":           {"mine", `{"suite":"mine","file":"a","files":{"a":"","b\u0000":""}}`},
		"suite upwards": {"..%2Fmine", `{"suite":"../mine","file":"a","files":{"a":""}}`},
		"suite nul":     {"mine%00", `{"suite":"mine\u0000","file":"a","files":{"a":""}}`},
	} {
		if status, body := n.http(t, http.MethodPost, "/api/v1/evals/"+test.path+"/packages", test.body); status < 400 || status >= 500 {
			t.Errorf("%s: status %d: %s", name, status, body)
		}
	}
	pack := schemas.SuitePackage{Suite: "many-files", File: "s.yaml", Files: map[string][]byte{"s.yaml": []byte(strings.ReplaceAll(askingOf("", words(1)), "'model:'", "echo"))}}
	for i := range 10_000 {
		pack.Files[fmt.Sprintf("f/%d.txt", i)] = []byte("x")
	}
	hash := n.send(t, pack)
	started := n.begin(t, "many-files", hash, "")
	if s := decode[schemas.EvalSummary](t, n.run(t, "eval", "watch", "many-files", started.ID, "--json")); s.Counts.Passed != 1 {
		t.Errorf("%+v", s)
	}
	if status, body := n.http(t, http.MethodPost, "/api/v1/evals/other-suite/runs", fmt.Sprintf(`{"package":%q}`, hash)); status != http.StatusNotFound {
		t.Errorf("a package of another suite: status %d: %s", status, body)
	}
}

// testStrangers requires that a tenant neither sees nor starts what is another's, and that a service key reads only.
func (n nasty) testStrangers(t *testing.T) {
	t.Helper()
	own := n.eval(t, 0, "secret", askingOf("fine", words(2)))
	path := "/api/v1/evals/secret"
	start := fmt.Sprintf(`{"package":%q}`, own.Package)
	stranger := n.tenant(t, "stranger")
	for _, route := range [][3]string{
		{http.MethodGet, path + "/runs/" + own.ID},
		{http.MethodGet, path + "/runs/latest"},
		{http.MethodGet, path + "/runs/" + own.ID + "/files/result.json"},
		{http.MethodGet, path + "/packages/" + own.Package},
		{http.MethodGet, path + "/compare?run=" + own.ID + "&with=" + own.ID},
		{http.MethodPost, path + "/runs/" + own.ID + "/decide", `{"stop":true}`},
		{http.MethodDelete, path + "/runs/" + own.ID},
		{http.MethodPost, path + "/runs", start},
	} {
		if status, body := stranger.http(t, route[0], route[1], route[2]); status != http.StatusNotFound || strings.Contains(body, "w0") {
			t.Errorf("a stranger's %s %s: status %d: %s", route[0], route[1], status, body)
		}
	}
	for _, list := range []string{"/api/v1/evals", path + "/runs"} {
		if status, body := stranger.http(t, http.MethodGet, list, ""); status != http.StatusOK || strings.Contains(body, own.ID) || len(decode[rest.Page[rest.Eval]](t, body).Items) > 0 {
			t.Errorf("a stranger's list: status %d: %s", status, body)
		}
	}
	service := user{n.house, decode[rest.CreatedKey](t, n.run(t, "keys", "create", "--role", "service", "--json")).Token}
	for _, route := range [][3]string{
		{http.MethodPost, path + "/runs", start}, {http.MethodPost, path + "/runs/" + own.ID + "/decide", `{"stop":true}`}, {http.MethodDelete, path + "/runs/" + own.ID},
	} {
		if status, body := service.http(t, route[0], route[1], route[2]); status != http.StatusForbidden {
			t.Errorf("a service's %s %s: status %d: %s", route[0], route[1], status, body)
		}
	}
	service.run(t, "eval", "show", "secret", own.ID, "--json")
}

// testOutput requires that nothing of what a model says works in the report or on a terminal.
func (n nasty) testOutput(t *testing.T) {
	t.Helper()
	s := n.eval(t, 3, "output", askingOf("hostile", words(1)+"policy: {thresholds: [{pass_rate: 1}]}\n"))
	file := filepath.Join(n.dir, "hostile.html")
	n.run(t, "eval", "show", "output", s.ID, "--html", file)
	for _, name := range []string{"report.html", "report.md", "junit.xml"} {
		status, page := n.http(t, http.MethodGet, "/api/v1/evals/output/runs/"+s.ID+"/files/"+name, "")
		if status != http.StatusOK || strings.Contains(page, "<script>alert(1)") || strings.Contains(page, "<img src=x") || strings.ContainsAny(page, "\u202e\u0007\u001b") {
			t.Errorf("%s: status %d, and what a model said works in it", name, status)
		}
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, n.url()+"/api/v1/evals/output/runs/"+s.ID+"/files/report.html", http.NoBody)
	request.Header.Set("Authorization", "Bearer "+n.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if policy := response.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "sandbox") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("policy %q", policy)
	}
	if out := n.try(t, "eval", "run", filepath.Join(n.project, "suites", "output.yaml")); strings.ContainsAny(out.stdout+out.stderr, "\u202e\u0007\u001b") {
		t.Errorf("the terminal is told %q", out.stdout)
	}
}

// testTwins starts the same run twice at once, and one under the same idempotency key: each call is made once.
func (n nasty) testTwins(t *testing.T) {
	t.Helper()
	text := askingOf("slow-pair", words(12))
	n.suite(t, "twins", text)
	pair := n.together(t, [2]string{"twins", "twins"}, [2]string{text, text})
	calls, again := n.models.answered("slow-pair")
	if calls != 12 || again != 0 || pair[0].Counts.Passed != 12 || pair[1].Counts.Passed != 12 || pair[0].Reused+pair[1].Reused != 12 {
		t.Errorf("%d calls, %d again: %+v", calls, again, pair)
	}
	key := uuid.Must(uuid.NewV7()).String()
	body := fmt.Sprintf(`{"package":%q}`, pair[0].Package)
	for range 2 {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url()+"/api/v1/evals/twins/runs", strings.NewReader(body))
		request.Header = http.Header{"Authorization": {"Bearer " + n.key}, "Content-Type": {"application/json"}, "Idempotency-Key": {key}}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	status, list := n.http(t, http.MethodGet, "/api/v1/evals/twins/runs", "")
	if items := decode[rest.Page[rest.Eval]](t, list).Items; status != http.StatusOK || len(items) > 3 {
		t.Errorf("the same idempotency key started more than one run: %d runs", len(items))
	}
}

// together runs two suites at the same time.
func (n nasty) together(t *testing.T, names, texts [2]string) (got [2]schemas.EvalSummary) {
	t.Helper()
	var files [2]string
	for i := range files {
		files[i] = filepath.Join(t.TempDir(), names[i]+".yaml")
		write(t, files[i], texts[i])
	}
	var both sync.WaitGroup
	for i := range files {
		both.Go(func() {
			out := n.try(t, "eval", "run", files[i], "--project", n.project, "--json")
			got[i] = decode[schemas.EvalSummary](t, out.stdout)
		})
	}
	both.Wait()
	return got
}

// testMixed runs two versions of a suite over the same model at once, most of whose calls are the same.
func (n nasty) testMixed(t *testing.T) {
	t.Helper()
	more := askingOf("slow-mixed", words(16))
	pair := n.together(t, [2]string{"mixed", "mixed"}, [2]string{askingOf("slow-mixed", words(12)), more})
	if calls, again := n.models.answered("slow-mixed"); calls != 16 || again != 0 || pair[0].Counts.Passed != 12 || pair[1].Counts.Passed != 16 {
		t.Errorf("%d calls, %d again: %+v", calls, again, pair)
	}
}

// detached starts a run of a slow suite and waits until some of it is paid for.
func (n nasty) detached(t *testing.T, name, model string, cells int) rest.StartedEval {
	t.Helper()
	out := n.run(t, "eval", "run", n.suite(t, name, askingOf(model, words(cells))), "--detach", "--json")
	await(t, soon, "some cells of "+name, func() bool { calls, _ := n.models.answered(model); return calls >= 8 })
	return decode[rest.StartedEval](t, out)
}

// stoppedCells are more than are in flight at once, and take longer than calls may take to end.
const stoppedCells = 320

// testCancelled cancels a run: what was paid for is kept, and a rerun asks only for the rest.
func (n nasty) testCancelled(t *testing.T) {
	t.Helper()
	started := n.detached(t, "cancelled", "slow-cancel", stoppedCells)
	n.run(t, "eval", "cancel", "cancelled", started.ID, "--json")
	out := n.try(t, "eval", "watch", "cancelled", started.ID, "--json")
	s := decode[schemas.EvalSummary](t, out.stdout)
	if out.status != 3 || !s.Stopped || s.Ruling == schemas.RulingPassed || s.Counts.NotRun == 0 || s.Counts.Errored > 0 || s.Counts.Total() != stoppedCells {
		t.Errorf("status %d: %+v", out.status, s)
	}
	before, _ := n.models.answered("slow-cancel")
	again := n.eval(t, 0, "cancelled", askingOf("slow-cancel", words(stoppedCells)))
	calls, twice := n.models.answered("slow-cancel")
	t.Logf("%d calls were made when it was cancelled, %d cells kept; then %d more", before, s.Counts.Passed, calls-before)
	if twice > 8 || again.Counts.Passed != stoppedCells || again.Reused < s.Counts.Passed {
		t.Errorf("%d calls were made again, and at most 8 were cut off: %+v", twice, again)
	}
}

// testTerminated ends a run without its knowing: a rerun finds what was recorded, and pays only for what was in flight.
func (n nasty) testTerminated(t *testing.T) {
	t.Helper()
	started := n.detached(t, "terminated", "slow-ended", 60)
	if err := n.temporal(t).TerminateWorkflow(t.Context(), started.WorkflowID, "", "by an enemy"); err != nil {
		t.Fatal(err)
	}
	out := n.try(t, "eval", "watch", "terminated", started.ID, "--json")
	if out.status != 1 || out.stdout != "" || !strings.Contains(out.stderr, "terminated") {
		t.Errorf("status %d: %s%s", out.status, out.stdout, out.stderr)
	}
	s := n.eval(t, 0, "terminated", askingOf("slow-ended", words(60)))
	calls, twice := n.models.answered("slow-ended")
	t.Logf("%d calls, %d of them again", calls, twice)
	if s.Counts.Passed != 60 || twice > 8 {
		t.Errorf("%d calls were made again, and at most 8 were in flight: %+v", twice, s)
	}
}

// testBudget gives runs a few tokens: they pause, and go on or stop as somebody decides.
func (n nasty) testBudget(t *testing.T) {
	t.Helper()
	for name, test := range map[string]struct {
		status int
		decide string
	}{"spare": {0, "--unlimited"}, "stopped": {3, "--stop"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := n.run(t, "eval", "run", n.suite(t, name, askingOf(name, words(80))), "--budget-tokens", "400", "--detach", "--json")
			id := decode[rest.StartedEval](t, out).ID
			await(t, soon, "the run to pause", func() bool {
				at := decode[rest.Eval](t, n.run(t, "eval", "show", name, id, "--json")).Progress
				return at != nil && at.State == schemas.EvalPaused
			})
			if calls, _ := n.models.answered(name); calls > 27 {
				t.Errorf("%d calls of 15 tokens under a budget of 400", calls)
			}
			n.run(t, "eval", "decide", name, id, "--budget-tokens", "401", "--json") // which is still too few
			n.run(t, "eval", "decide", name, id, test.decide, "--json")
			ended := n.try(t, "eval", "watch", name, id, "--json")
			s := decode[schemas.EvalSummary](t, ended.stdout)
			if ended.status != test.status || test.status == 0 && s.Counts.Passed != 80 || test.status == 3 && (s.Counts.NotRun == 0 || !s.Stopped) {
				t.Errorf("status %d: %+v", ended.status, s)
			}
			n.fails(t, 1, nil, "eval", "decide", name, id, "--stop", "--json")
		})
	}
}

// testMap runs a suite over a chain that is no line, whose runs are workflows of their own.
func (n nasty) testMap(t *testing.T) {
	t.Helper()
	s := n.eval(t, 0, "mapped", "providers: ['chain:each']\nprompts: ['{{words}}']\ntests:\n  - {vars: {words: a b c}, assert: [{type: contains, value: b}]}\n  - {vars: {words: d e}, assert: [{type: contains, value: e}]}\n")
	if s.Counts.Passed != 2 {
		t.Errorf("%+v", s)
	}
}
