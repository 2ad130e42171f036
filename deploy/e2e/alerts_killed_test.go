package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge/githubtest"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

var promptsRepo = forge.Repository{Owner: "octo", Name: "prompts"}

// alerts is GitHub and a webhook, which are told of evaluations. Each may be made to misbehave.
type alerts struct {
	*house

	admin    user
	host     *memforge.Driver
	api      *githubtest.API
	hook     string
	secret   []byte
	messages map[string][]message // by suite; guarded by mu

	mu     sync.Mutex
	github func(w http.ResponseWriter, r *http.Request) bool // answers in place of GitHub, or says that it does not; guarded by mu
	hooked func(suite string, r *http.Request)               // what happens before a message is taken; guarded by mu
}

type message struct{ id, kind, run string }

// openAlerts starts a house that may tell of its evaluations.
func openAlerts(t *testing.T) *alerts {
	t.Helper()
	a := &alerts{host: &memforge.Driver{}, messages: map[string][]message{}}
	a.host.Push(promptsRepo, map[string]memforge.File{"a": {Data: "a"}}, "main")
	a.api = &githubtest.API{Host: a.host, Token: "secret-token"}
	hub, hook := httptest.NewServer(http.HandlerFunc(a.serveGitHub)), httptest.NewServer(http.HandlerFunc(a.serveHook))
	t.Cleanup(hub.Close)
	t.Cleanup(hook.Close)
	a.hook = hook.URL + "/evals"
	a.house = open(t, options{noIndex: true, env: []string{
		"GITHUB_TOKEN=secret-token", "GITHUB_API_URL=" + hub.URL, "TENUTO_PUBLIC_URL=https://tenuto.example",
		"TENUTO_WEBHOOK_SECRET=" + digits(32), "TENUTO_WEBHOOK_ALLOW=" + hook.Listener.Addr().String(),
	}})
	a.admin = a.house.admin()
	a.secret = a.admin.secretOf(t)
	return a
}

func (a *alerts) serveGitHub(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	instead := a.github
	a.mu.Unlock()
	if instead == nil || !instead(w, r) {
		a.api.ServeHTTP(w, r)
	}
}

func (a *alerts) serveHook(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var event schemas.EvalEvent
	if err := json.Unmarshal(body, &event); err != nil || !signed(a.secret, r, body) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	suite := event.Data.Suite
	a.messages[suite] = append(a.messages[suite], message{r.Header.Get("Webhook-Id"), event.Type, event.Data.ID})
	before := a.hooked
	a.mu.Unlock()
	if before != nil {
		before(suite, r)
	}
	w.WriteHeader(http.StatusNoContent)
}

// misbehave sets what happens instead of an answer of GitHub, and before a message is taken; nil is nothing.
func (a *alerts) misbehave(github func(w http.ResponseWriter, r *http.Request) bool, hooked func(suite string, r *http.Request)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.github, a.hooked = github, hooked
}

func (a *alerts) sent(suite string) []message {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.messages[suite])
}

// pack keeps a suite whose answers are right or wrong, with whom it tells.
func (a *alerts) pack(t *testing.T, name, notify string, right bool) schemas.Ref {
	t.Helper()
	text := askedSuite(5, "model:one") + "notify: {" + notify + "webhook: \"" + a.hook + "\"}\n"
	if !right {
		text = strings.Replace(text, "value: w3", "value: something else", 1)
	}
	return a.suiteOf(t, name, text, 4)
}

const (
	issuesPath  = "/repos/octo/prompts/issues"
	tellsGitHub = "github: octo/prompts, labels: [eval], "
)

// TestAlertsKilled has nights fail and recover while the worker is killed around the issue and around the webhook, and GitHub loses answers, slows
// callers down, and is away. There is one issue of the regression with one comment a night, and each end is told under one id.
func TestAlertsKilled(t *testing.T) {
	t.Parallel()
	a := openAlerts(t)
	night := a.pack(t, "night", tellsGitHub, false)
	a.killedWhileTelling(t, night)
	first := a.issue(t)
	if first.State != forge.IssueOpen || len(first.Comments) != 0 || !slices.Equal(first.Labels, []string{"eval"}) {
		t.Fatalf("issue %+v", first)
	}
	a.busyGitHub(t, night)
	a.downGitHub(t)
	opened := 0
	for _, w := range a.api.Written() {
		if w.Method == http.MethodPost && w.Path == issuesPath {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("%d issues were opened", opened)
	}
	var kinds []string
	for _, m := range a.sent("night") {
		kinds = append(kinds, m.kind)
	}
	if got := strings.Join(kinds, " "); got != "eval.regressed eval.regressed eval.recovered" {
		t.Errorf("told were %s", got)
	}
}

// issue is the one that the platform wrote.
func (a *alerts) issue(t *testing.T) memforge.Issue {
	t.Helper()
	own := slices.DeleteFunc(a.host.Kept(promptsRepo), func(i memforge.Issue) bool { return i.Author != memforge.Self })
	if len(own) != 1 {
		t.Fatalf("%d issues: %+v", len(own), own)
	}
	return own[0]
}

// killedWhileTelling kills the worker when an issue was opened whose answer has not come, of a night that a schedule started, and when a message of
// another suite is on its way.
func (a *alerts) killedWhileTelling(t *testing.T, night schemas.Ref) {
	t.Helper()
	opened, sent := make(chan struct{}), make(chan struct{})
	var issue, message sync.Once
	a.misbehave(func(_ http.ResponseWriter, r *http.Request) (done bool) {
		if r.Method != http.MethodPost || r.URL.Path != issuesPath {
			return false
		}
		issue.Do(func() {
			a.api.ServeHTTP(httptest.NewRecorder(), r)
			close(opened)
			<-r.Context().Done() // the worker is gone
			done = true
		})
		return done
	}, func(suite string, r *http.Request) {
		if suite == "other" {
			message.Do(func() {
				close(sent)
				<-r.Context().Done()
			})
		}
	})
	put, _ := json.Marshal(rest.PutSchedule{Cron: "0 3 * * *", Package: night.SHA256})
	for _, call := range [][3]string{{http.MethodPut, "", string(put)}, {http.MethodPost, "/trigger", ""}} {
		if status, body := a.admin.http(t, call[0], "/api/v1/schedules/night"+call[1], call[2]); status != http.StatusOK {
			t.Fatalf("status %d: %s", status, body)
		}
	}
	other := a.evaluation(t, schemas.EvalRequest{Suite: "other", Package: a.pack(t, "other", "", false)})
	for _, reached := range []chan struct{}{opened, sent} {
		select {
		case <-reached:
		case <-time.After(time.Minute):
			t.Fatal("nobody was told")
		}
	}
	if runs := a.admin.evals(t, "night"); len(runs) != 1 || runs[0].Summary == nil || runs[0].Summary.Ruling != schemas.RulingFailed || runs[0].Summary.Trigger != schemas.EvalSchedule {
		t.Errorf("the result waits for its being told: %+v", runs)
	}
	ended(t, other)
	a.worker.kill()
	a.startWorker(t)
	night1 := a.admin.evals(t, "night")[0].ID
	if out := a.alerted(t, "night", night1); out.Action != "opened" || out.Issue != memforge.URL(promptsRepo, a.issue(t).Number) || out.Webhook != schemas.Delivered {
		t.Errorf("alerted %+v", out)
	}
	a.alerted(t, "other", a.admin.evals(t, "other")[0].ID)
	if m := a.sent("other"); len(m) != 2 || m[0] != m[1] || m[0].kind != schemas.EvalRegressed {
		t.Errorf("messages %+v", m)
	}
}

// once answers the next request in place of GitHub.
func once(answer func(w http.ResponseWriter)) func(w http.ResponseWriter, r *http.Request) bool {
	var first sync.Once
	return func(w http.ResponseWriter, _ *http.Request) (done bool) {
		first.Do(func() { answer(w); done = true })
		return done
	}
}

// limited answers that too much is asked at once.
func limited(w http.ResponseWriter, status int) {
	f := githubtest.SecondaryLimit(status, time.Second)
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(f.Status)
	fmt.Fprint(w, f.Body)
}

// alerted waits until a run was told of.
func (a *alerts) alerted(t *testing.T, suite, run string) (out schemas.EvalAlerted) {
	t.Helper()
	if err := a.temporal(t).GetWorkflow(t.Context(), schemas.EvalAlertID("default", suite, run), "").Get(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// busyGitHub has another night fail while the issue is on the second page of the list. GitHub loses the answer about a comment that it took, and then
// asks for a slower pace.
func (a *alerts) busyGitHub(t *testing.T, night schemas.Ref) {
	t.Helper()
	before := a.host.Kept(promptsRepo)[0].Number
	for i := range 150 {
		a.host.Seed(promptsRepo, memforge.Issue{Title: fmt.Sprint("other ", i), Author: "somebody"})
	}
	var lost sync.Once
	a.misbehave(func(w http.ResponseWriter, r *http.Request) (done bool) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/comments") {
			lost.Do(func() {
				a.api.ServeHTTP(httptest.NewRecorder(), r)
				w.WriteHeader(http.StatusBadGateway)
				a.misbehave(once(func(w http.ResponseWriter) { limited(w, http.StatusTooManyRequests) }), nil)
				done = true
			})
		}
		return done
	}, nil)
	s := ended(t, a.evaluation(t, schemas.EvalRequest{Suite: "night", Package: night}))
	if out := a.alerted(t, "night", s.ID); out.Action != "updated" || s.Reused != 5 {
		t.Errorf("alerted %+v of %+v", out, s)
	}
	if issue := a.issue(t); issue.Number != before || issue.State != forge.IssueOpen || len(issue.Comments) != 1 || !strings.Contains(issue.Comments[0].Body, s.ID) {
		t.Errorf("issue %+v", issue)
	}
}

// downGitHub has the suite pass while GitHub is away: the result and the message do not wait for it, and the issue is closed when it is
// back, after it has asked for a slower pace.
func (a *alerts) downGitHub(t *testing.T) {
	t.Helper()
	asked := make(chan struct{}, 100)
	a.misbehave(func(w http.ResponseWriter, _ *http.Request) bool {
		asked <- struct{}{}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}, nil)
	s := ended(t, a.evaluation(t, schemas.EvalRequest{Suite: "night", Package: a.pack(t, "night", tellsGitHub, true)}))
	<-asked
	if s.Ruling != schemas.RulingPassed {
		t.Errorf("%+v", s)
	}
	await(t, startLimit, "the message", func() bool { return len(a.sent("night")) == 3 })
	if runs := a.admin.evals(t, "night"); runs[0].Summary == nil || runs[0].Summary.ID != s.ID {
		t.Errorf("the result waits for GitHub: %+v", runs[0])
	}
	a.misbehave(once(func(w http.ResponseWriter) { limited(w, http.StatusForbidden) }), nil)
	if out := a.alerted(t, "night", s.ID); out.Action != "closed" {
		t.Errorf("alerted %+v", out)
	}
	if issue := a.issue(t); issue.State != forge.IssueDone || len(issue.Comments) != 2 || !strings.Contains(issue.Comments[1].Body, "passes again") {
		t.Errorf("issue %+v", issue)
	}
}
