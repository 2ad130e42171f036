package alert_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/alert"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/githubforge/githubtest"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

var (
	noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	repo = forge.Repository{Owner: "octo", Name: "prompts"}
)

// rig is the activity over GitHub's API and a receiver, both in this process, at one time that tests move on.
type rig struct {
	*alert.Activities

	api  *githubtest.API
	host *memforge.Driver
	hook string // URL of the receiver

	mu      sync.Mutex
	now     time.Time
	headers []http.Header
	bodies  []string
	answer  http.HandlerFunc // of the receiver; 204 if nil
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{now: noon}
	r.host = &memforge.Driver{Now: r.time}
	r.host.Push(repo, map[string]memforge.File{"a": {Data: "a"}}, "main")
	r.api = &githubtest.API{Host: r.host, Token: "secret-token"}
	receiver := httptest.NewServer(http.HandlerFunc(r.receive))
	t.Cleanup(receiver.Close)
	r.hook = receiver.URL + "/hook"
	keys, err := notify.ParseKeys("0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	r.Activities = &alert.Activities{
		Store: blob.New(&memblob.Driver{}), Forge: r.forge(t, "secret-token"), Now: r.time,
		Sender: &notify.Sender{Web: &web.Client{}, Keys: keys, Allow: []string{receiver.Listener.Addr().String()}, Now: r.time},
	}
	return r
}

// forge is a client of the API, as each worker has one.
func (r *rig) forge(t *testing.T, token string) *forge.Forge {
	t.Helper()
	server := httptest.NewServer(r.api)
	t.Cleanup(server.Close)
	driver, err := githubforge.New(githubforge.Options{BaseURL: server.URL, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return forge.New(driver)
}

func (r *rig) receive(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.headers, r.bodies = append(r.headers, request.Header), append(r.bodies, string(body))
	if r.answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	r.answer(w, request)
}

func (r *rig) time() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) later(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// run is an alert of the nth run of a suite, which started n minutes after noon.
func run(n int, ruling schemas.Ruling) schemas.EvalAlert {
	id := fmt.Sprintf("0195%04d-0000-7000-8000-000000000000", n)
	start := noon.Add(time.Duration(n) * time.Minute).UnixMilli()
	in := schemas.EvalAlert{
		Run:    schemas.EvalRun{Tenant: "default", Suite: "docs-qa", ID: id, StartMS: start},
		Notify: schemas.EvalNotify{Repository: repo.String(), Labels: []string{"eval", "regression"}},
		Link:   "https://tenuto.example/console/evals/docs-qa/" + id,
	}
	in.Summary = schemas.EvalSummary{
		ID: id, Suite: "docs-qa", StartMS: start, EndMS: start + 90_000, Trigger: schemas.EvalSchedule, Ruling: ruling, PassRate: 0.8125, Score: 0.7321,
		Counts: schemas.CellCounts{Passed: 13, Failed: 2, Errored: 1}, Cells: 16, Baseline: "production", Releases: []string{"docs-qa@c0ffee"},
		Cost: schemas.Cost{USD: 0.25, Unknown: 2},
	}
	if ruling != schemas.RulingPassed {
		in.Summary.Reasons = []string{"case refunds fails, which is required"}
	}
	return in
}

// state is what a repository has of issues, in few words: number, state, and how often each run is told of in comments.
func (r *rig) state() []string {
	var out []string
	for _, issue := range r.host.Kept(repo) {
		if issue.Author != memforge.Self {
			continue
		}
		line := fmt.Sprint(issue.Number, " ", issue.State)
		for _, c := range issue.Comments {
			run, _, _ := strings.Cut(strings.TrimPrefix(c.Body, "<!-- tenuto:eval-run:0195"), "-")
			line += " " + run
		}
		out = append(out, line)
	}
	return out
}

func (r *rig) alert(t *testing.T, in schemas.EvalAlert, action string) schemas.EvalAlerted {
	t.Helper()
	out, err := r.Alert(t.Context(), in)
	if err != nil || out.Action != action {
		t.Fatalf("%+v, %v, want %s", out, err, action)
	}
	return out
}

func (r *rig) shows(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, r.state()); diff != "" {
		t.Fatal(diff)
	}
}
