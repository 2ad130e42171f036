package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.temporal.io/api/common/v1"
	failurepb "go.temporal.io/api/failure/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// two is a chain of two steps, each of which repeats the texts of the input.
func two() schemas.Bundle {
	generate := func(text string) *schemas.GenerateDef {
		return &schemas.GenerateDef{Prompt: "say", With: map[string]string{"text": text}, Model: "local/extractive"}
	}
	return schemas.Bundle{
		Chain: "two", Prompts: map[string]string{"say": "Say {{text}}"},
		Chains: map[string]schemas.ChainDef{"two": {
			Input: json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}`),
			Steps: []schemas.StepDef{
				{ID: "first", Generate: generate("input.text")},
				{ID: "second", Needs: []string{"first"}, Generate: generate("steps.first.text")},
			},
		}},
	}
}

func hello() rest.NewRun {
	return rest.NewRun{Bundle: two(), Input: json.RawMessage(`{"text":"hello"}`)}
}

// laned has short runs carried out in lanes.
func laned(d *gateway.Deps) { d.Hub, d.Instance = new(hub.Hub), "here" }

func TestARunLooksTheSameWhereverItIsCarriedOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change    func(*gateway.Deps)
		execution schemas.Execution
		batch     bool
		lanes     int
	}{
		"lane":                {laned, "", false, 1},
		"workflow on request": {laned, schemas.ExecutionWorkflow, false, 0},
		"batch":               {laned, "", true, 0},
		"no worker beside":    {nil, schemas.ExecutionLane, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gatewaytest.Start(t, test.change)
			c := admin(t, s)
			run := hello()
			run.Execution, run.Batch = test.execution, test.batch
			var done rest.RunResult
			c.send("POST", "/api/v1/runs", run).want(t, 200, &done)
			if done.Status != rest.RunDone || string(done.Output) != `{"text":"hello"}` || done.Usage.Calls != 2 || done.Cost.Unknown != 2 {
				t.Errorf("result %+v", done)
			}
			if s.Temporal.Started("Lane") != test.lanes || s.Temporal.Started("Chain") != 1-test.lanes {
				t.Errorf("%d lanes and %d workflows", s.Temporal.Started("Lane"), s.Temporal.Started("Chain"))
			}
			var shown rest.Run
			c.send("GET", "/api/v1/runs/"+done.RunID, nil).want(t, 200, &shown)
			if shown.Chain != "two" || shown.Status != rest.RunDone || len(shown.Record.Steps) != 2 || string(shown.Output) != `{"text":"hello"}` {
				t.Errorf("shown %+v", shown)
			}
		})
	}
}

func TestRunsRefuseBadBundlesAndInputs(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	c := admin(t, s)
	for name, test := range map[string]struct {
		change func(*rest.NewRun)
		status int
		detail string
	}{
		"no such chain":   {func(r *rest.NewRun) { r.Bundle.Chain = "three" }, 400, "three"},
		"no prompt":       {func(r *rest.NewRun) { r.Bundle.Prompts = nil }, 400, "say"},
		"no steps":        {func(r *rest.NewRun) { r.Bundle.Chains["two"] = schemas.ChainDef{} }, 400, "the chain cannot run"},
		"circle":          {func(r *rest.NewRun) { r.Bundle.Chains["two"].Steps[0].Needs = []string{"second"} }, 400, "first"},
		"broken prompt":   {func(r *rest.NewRun) { r.Bundle.Prompts["say"] = "{{#if text}}" }, 400, "say"},
		"huge prompt":     {func(r *rest.NewRun) { r.Bundle.Prompts["say"] += strings.Repeat(" ", 5<<20) }, 400, "prompt"},
		"input lacks":     {func(r *rest.NewRun) { r.Input = nil }, 400, "the input of chain two"},
		"input no object": {func(r *rest.NewRun) { r.Input = json.RawMessage(`[1]`) }, 400, "the input of chain two"},
		"input too much":  {func(r *rest.NewRun) { r.Input = json.RawMessage(`{"text":"x","more":1}`) }, 400, "more"},
		"input too long": {func(r *rest.NewRun) {
			r.Input = json.RawMessage(`{"text":"` + strings.Repeat("x", 8<<20) + `"}`)
		}, 413, "4194304"},
		"execution": {func(r *rest.NewRun) { r.Execution = "somehow" }, 400, "execution"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := hello()
			test.change(&run)
			caller{t, c.url, c.token}.send("POST", "/api/v1/runs", run).wantProblem(t, test.status, schemas.Invalid, test.detail)
		})
	}
	c.send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "a b").wantProblem(t, 400, schemas.Invalid, "idempotency key")
	t.Cleanup(func() {
		if s.Work.Made("first") != 0 {
			t.Error("a bad request ran")
		}
	})
}

func TestARepeatedKeyIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	c := admin(t, s)
	run := hello()
	first := c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "k").want(t, 200, nil)
	for _, execution := range []schemas.Execution{schemas.ExecutionLane, schemas.ExecutionWorkflow} {
		run.Execution = execution
		if again := c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "k").want(t, 200, nil); string(again.body) != string(first.body) {
			t.Errorf("as %s: %s, before %s", execution, again.body, first.body)
		}
	}
	run.Detach = true
	c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "k").want(t, 200, nil)
	if s.Work.Made("first") != 1 || s.Temporal.Started("Chain") != 0 {
		t.Errorf("carried out %d times", s.Work.Made("first"))
	}
	run.Input = json.RawMessage(`{"text":"other"}`)
	c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "k").wantProblem(t, 409, schemas.Conflict, "another request")

	// The other way round: a workflow first.
	run.Execution = schemas.ExecutionWorkflow
	run.Detach = false
	c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "w").want(t, 200, nil)
	run.Execution = schemas.ExecutionLane
	c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "w").want(t, 200, nil)
	if s.Work.Made("first") != 2 {
		t.Errorf("carried out %d times", s.Work.Made("first"))
	}
}

func TestRequestsJoinARunThatIsUnderWay(t *testing.T) {
	t.Parallel()
	for name, execution := range map[string]schemas.Execution{"lane": schemas.ExecutionLane, "workflow": schemas.ExecutionWorkflow} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gatewaytest.Start(t, laned)
			s.Work.Gate = make(chan struct{})
			c := admin(t, s)
			run := hello()
			run.Execution = execution
			bodies := make([]string, 8)
			var callers sync.WaitGroup
			for i := range bodies {
				callers.Go(func() { bodies[i] = string(c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "k").body) })
			}
			until(t, func() bool { return c.send("GET", "/api/v1/runs/k", nil).status == 200 })
			var shown rest.Run
			c.send("GET", "/api/v1/runs/k", nil).want(t, 200, &shown)
			if shown.Status != rest.RunRunning {
				t.Errorf("shown %+v", shown)
			}
			detached := run
			detached.Detach = true
			accepted := make(chan reply, 1)
			callers.Go(func() { accepted <- c.send("POST", "/api/v1/runs", detached, "Idempotency-Key", "k") })
			if execution == schemas.ExecutionWorkflow { // what is in a lane may be lost with its process, so it is not accepted
				(<-accepted).want(t, 202, nil)
			}
			close(s.Work.Gate)
			callers.Wait()
			for _, body := range bodies {
				if body != bodies[0] || !strings.Contains(body, `"status":"done"`) {
					t.Errorf("%s, another got %s", body, bodies[0])
				}
			}
			if execution == schemas.ExecutionLane {
				if got := (<-accepted).want(t, 200, nil); string(got.body) != bodies[0] {
					t.Errorf("who would not have waited got %s", got.body)
				}
			}
			if s.Work.Made("first") != 1 {
				t.Errorf("carried out %d times", s.Work.Made("first"))
			}
		})
	}
}

// until polls.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for begin := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("it never happened")
		}
	}
}

// claim makes it look as if another process had begun with hello under the key: it is carried out here, its record is taken away, and its
// claim given to the other.
func claim(t *testing.T, s *gatewaytest.Server, key, instance string) {
	t.Helper()
	admin(t, s).send("POST", "/api/v1/runs", hello(), "Idempotency-Key", key).want(t, 200, nil)
	data, err := s.Store.Get(t.Context(), schemas.ClaimKey("default", key))
	if err != nil {
		t.Fatal(err)
	}
	var owner struct {
		Fingerprint string `json:"fingerprint"`
		StartMS     int64  `json:"start_ms"`
		Instance    string `json:"instance"`
	}
	if err := json.Unmarshal(data, &owner); err != nil || owner.Instance != "here" || owner.Fingerprint == "" {
		t.Fatalf("claim %s: %v", data, err)
	}
	owner.Instance = instance
	data, _ = json.Marshal(owner)
	if err := s.Store.Delete(t.Context(), schemas.RunKey("default", key, time.UnixMilli(owner.StartMS))); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Put(t.Context(), schemas.ClaimKey("default", key), data); err != nil {
		t.Fatal(err)
	}
}

func TestARunOfAnotherProcess(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	c := admin(t, s)
	claim(t, s, "k", "elsewhere")
	for _, instance := range []string{"here", "elsewhere"} {
		if err := s.Store.Put(t.Context(), schemas.LifeKey(instance), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	var shown rest.Run
	c.send("GET", "/api/v1/runs/k", nil).want(t, 200, &shown)
	if shown.Status != rest.RunRunning {
		t.Errorf("shown as %s while the other lives", shown.Status)
	}
	answered := make(chan reply)
	go func() { answered <- c.send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "k") }()
	if err := s.Store.Delete(t.Context(), schemas.LifeKey("elsewhere")); err != nil {
		t.Fatal(err)
	}
	(<-answered).want(t, 200, nil)
	if s.Work.Made("first") != 2 {
		t.Errorf("carried out %d times after the other process died", s.Work.Made("first")-1)
	}
}

// Of several processes that find the owner of a run dead, the first to say so carries on, and the others wait for it as they did for the
// owner.
func TestOneProcessSucceedsADeadOne(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	c := admin(t, s)
	claim(t, s, "k", "elsewhere")
	dead, err := s.Store.Get(t.Context(), schemas.ClaimKey("default", "k"))
	if err != nil {
		t.Fatal(err)
	}
	for key, data := range map[string]string{
		schemas.LifeKey("here"): "{}", schemas.LifeKey("third"): "{}",
		schemas.SuccessorKey("default", "k", "elsewhere"): strings.Replace(string(dead), `"elsewhere"`, `"third"`, 1),
	} {
		if err := s.Store.Put(t.Context(), key, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	answered := make(chan reply, 1)
	go func() { answered <- c.send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "k") }()
	select {
	case got := <-answered:
		t.Fatalf("status %d while a successor is at the run", got.status)
	case <-time.After(300 * time.Millisecond):
	}
	if err := s.Store.Delete(t.Context(), schemas.LifeKey("third")); err != nil {
		t.Fatal(err)
	}
	(<-answered).want(t, 200, nil)
	if s.Work.Made("first") != 2 {
		t.Errorf("carried out %d times after the successor died", s.Work.Made("first")-1)
	}
	stored, err := s.Store.Get(t.Context(), schemas.SuccessorKey("default", "k", "third"))
	if err != nil || !strings.Contains(string(stored), `"here"`) {
		t.Errorf("the next successor is %s, %v", stored, err)
	}
}

// A process that has claimed a run and not begun it may die before it does, so nobody is told that the run goes on.
func TestARunIsNotAcceptedOnAnothersWord(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	c := admin(t, s)
	claim(t, s, "k", "elsewhere")
	for _, instance := range []string{"here", "elsewhere"} {
		if err := s.Store.Put(t.Context(), schemas.LifeKey(instance), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	run := hello()
	run.Detach = true
	answered := make(chan reply, 1)
	go func() { answered <- c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "k") }()
	select {
	case got := <-answered:
		t.Fatalf("status %d while another process has the run and nothing of it is durable", got.status)
	case <-time.After(300 * time.Millisecond):
	}
	if err := s.Store.Delete(t.Context(), schemas.LifeKey("elsewhere")); err != nil {
		t.Fatal(err)
	}
	(<-answered).want(t, 202, nil)
	if s.Temporal.Started("Chain") != 1 {
		t.Error("the run was accepted and not begun")
	}
	until(t, func() bool { return s.Work.Made("first") == 2 })
}

func TestALaneHandsOverWhatMayPass(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	c := admin(t, s)
	s.Work.Break("second", schemas.Unavailable)
	c.send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "k").wantProblem(t, 503, schemas.Unavailable, "step second is broken")
	var shown rest.Run
	c.send("GET", "/api/v1/runs/k", nil).want(t, 200, &shown)
	if s.Temporal.Started("Chain") != 1 || shown.Status != rest.RunFailed || shown.Record.Lane || shown.Failure.Code != schemas.Unavailable {
		t.Errorf("%d workflows, run %+v", s.Temporal.Started("Chain"), shown)
	}
	s.Work.Break("second", schemas.Refused)
	c.send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "k2").wantProblem(t, 422, schemas.Refused, "step second is broken")
	c.send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "k2").wantProblem(t, 422, schemas.Refused, "step second is broken")
	if s.Temporal.Started("Chain") != 1 || s.Work.Made("second") != 3 {
		t.Errorf("%d workflows, %d attempts", s.Temporal.Started("Chain"), s.Work.Made("second"))
	}
}

func TestARunGoesOnFromAStep(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	c := admin(t, s)
	s.Work.Break("second", schemas.Refused)
	c.send("POST", "/api/v1/runs", hello(), "Idempotency-Key", "k").want(t, 422, nil)
	c.send("POST", "/api/v1/runs/k/retry", rest.RetryRun{From: "third"}).wantProblem(t, 400, schemas.Invalid, `no step "third"`)
	c.send("POST", "/api/v1/runs/none/retry", rest.RetryRun{}).wantProblem(t, 404, schemas.NotFound, "none")
	s.Work.Break("second", "")
	var done, again rest.RunResult
	c.send("POST", "/api/v1/runs/k/retry", rest.RetryRun{}, "Idempotency-Key", "k.1").want(t, 200, &done)
	c.send("POST", "/api/v1/runs/k/retry", rest.RetryRun{}, "Idempotency-Key", "k.1").want(t, 200, &again)
	if done.RunID != "k.1" || string(done.Output) != `{"text":"hello"}` || s.Work.Made("first") != 1 || s.Work.Made("second") != 2 {
		t.Errorf("result %+v, first step made %d times, second %d", done, s.Work.Made("first"), s.Work.Made("second"))
	}
	if diff := cmp.Diff(done, again); diff != "" {
		t.Errorf("the repeated request differs:\n%s", diff)
	}
	var shown rest.Run
	c.send("GET", "/api/v1/runs/k.1", nil).want(t, 200, &shown)
	if shown.Record.Retries != 1 || len(shown.Record.Steps) != 2 {
		t.Errorf("record %+v", shown.Record)
	}
	c.send("POST", "/api/v1/runs/k.1/retry", rest.RetryRun{}).wantProblem(t, 400, schemas.Invalid, "no failed step")
	c.send("POST", "/api/v1/runs/k.1/retry", rest.RetryRun{From: "first"}).want(t, 200, nil)
	if s.Work.Made("first") != 2 || s.Work.Made("second") != 3 {
		t.Errorf("from the first step: made %d and %d times", s.Work.Made("first"), s.Work.Made("second"))
	}
}

func TestADetachedRunIsWatchedAndCancelled(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	s.Work.Gate = make(chan struct{})
	s.Temporal.Answers = map[string]any{schemas.ChainProgress.Name(): schemas.RunProgress{
		Steps: []schemas.StepRecord{{ID: "first"}}, Question: schemas.Question{Step: "second", Text: "pay again?"},
	}}
	s.Temporal.Stall(true, &workflowpb.PendingActivityInfo{
		ActivityType: &commonpb.ActivityType{Name: "chain.step"}, Attempt: 3, LastFailure: &failurepb.Failure{Message: "the provider is down"},
	})
	c := admin(t, s)
	run := hello()
	run.Detach = true
	var started rest.RunResult
	c.send("POST", "/api/v1/runs", run).want(t, 202, &started)
	var shown rest.Run
	c.send("GET", "/api/v1/runs/"+started.RunID, nil).want(t, 200, &shown)
	want := rest.Run{
		RunID: started.RunID, Chain: "two", Status: rest.RunRunning, StartMS: shown.StartMS,
		Progress: &schemas.RunProgress{Steps: []schemas.StepRecord{{ID: "first"}}, Question: schemas.Question{Step: "second", Text: "pay again?"}},
		Waiting: []rest.Waiting{
			{Step: "chain.step", Attempt: 3, Reason: "the provider is down"},
			{Step: schemas.QueueInteractive, Reason: "no worker takes work from queue " + schemas.QueueInteractive + "; start one with tenuto-worker"},
		},
	}
	if diff := cmp.Diff(want, shown); diff != "" || shown.StartMS == 0 {
		t.Errorf("running (-want +got):\n%s", diff)
	}
	c.send("POST", "/api/v1/runs/"+started.RunID+"/cancel", nil).want(t, 204, nil)
	until(t, func() bool {
		shown = rest.Run{}
		c.send("GET", "/api/v1/runs/"+started.RunID, nil).want(t, 200, &shown)
		return shown.Status != rest.RunRunning && shown.Record != nil
	})
	if shown.Status != rest.RunCancelled {
		t.Errorf("after the cancellation: %+v", shown)
	}
	c.send("POST", "/api/v1/runs/"+started.RunID+"/cancel", nil).wantProblem(t, 404, schemas.NotFound, "has ended")
}

func TestADecisionReachesItsRun(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	s.Work.Gate = make(chan struct{})
	defer close(s.Work.Gate)
	var got schemas.Decision
	s.Temporal.Handlers[schemas.ChainDecide.Name()] = func(_ context.Context, in any) (any, error) {
		if got = in.(schemas.Decision); got.Step != "second" {
			return nil, temporal.NewNonRetryableApplicationError("nothing waits for this decision", string(schemas.Conflict), nil)
		}
		return got, nil
	}
	c := admin(t, s)
	run := hello()
	run.Detach = true
	c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "k").want(t, 202, nil)
	want := schemas.Decision{Path: "each[3]/", Step: "second", Again: true}
	c.send("POST", "/api/v1/runs/k/decide", want).want(t, 204, nil)
	if got != want {
		t.Errorf("the run was told %+v", got)
	}
	c.send("POST", "/api/v1/runs/k/decide", schemas.Decision{Step: "first"}).wantProblem(t, 409, schemas.Conflict, "nothing waits")
	c.send("POST", "/api/v1/runs/none/decide", want).wantProblem(t, 404, schemas.NotFound, "run none")
}

func TestRunsAreListedOverTheEndOfADay(t *testing.T) {
	t.Parallel()
	at := &clock{now: time.Date(2026, 1, 1, 23, 58, 0, 0, time.UTC)}
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Now = at.Now })
	c := admin(t, s)
	for i, id := range []string{"m", "z", "a", "b"} { // the last two are of the next day, and their ids come before those of the first
		run := hello()
		if i == 1 {
			s.Work.Break("second", schemas.Refused)
		}
		c.send("POST", "/api/v1/runs", run, "Idempotency-Key", id)
		s.Work.Break("second", "")
		at.advance(time.Minute)
	}
	if err := s.Store.Put(t.Context(), schemas.RunPrefix("default", at.Now())+"broken.json", []byte("no record")); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"limit=1": "b a z m", "limit=2": "b a z m", "limit=3": "b a z m", "limit=200": "b a z m", "": "b a z m",
		"limit=1&status=failed": "z", "limit=1&status=done": "b a m", "limit=2&chain=two": "b a z m", "chain=other": "",
	} {
		var ids []string
		cursor, pages := "", 0
		for {
			var page rest.Runs
			c.send("GET", "/api/v1/runs?"+query+"&cursor="+url.QueryEscape(cursor), nil).want(t, 200, &page)
			for _, run := range page.Runs {
				ids = append(ids, run.RunID)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
			if pages++; pages > 5 || len(page.Runs) == 0 {
				t.Fatalf("%s: page %d after %s is %+v", query, pages, cursor, page)
			}
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	c.send("GET", "/api/v1/runs?cursor=x", nil).wantProblem(t, 400, schemas.Invalid, "cursor")
	c.send("GET", "/api/v1/runs?status=odd", nil).wantProblem(t, 400, schemas.Invalid, "status")
}

// A record stands under the day of its run's start, which is a moment after the id was made, and may be the next day.
func TestARunIsFoundThatBeganAtMidnight(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	c := gatewaytest.Start(t, nil)
	ms := fmt.Sprintf("%012x", midnight.Add(-time.Millisecond).UnixMilli())
	id := ms[:8] + "-" + ms[8:] + "-7000-8000-000000000000"
	data, _ := json.Marshal(schemas.Exchange{RunID: id, Status: schemas.RunDone, StartMS: midnight.UnixMilli()})
	if err := c.Store.Put(t.Context(), schemas.RunKey("default", id, midnight), data); err != nil {
		t.Fatal(err)
	}
	admin(t, c).send("GET", "/api/v1/runs/"+id, nil).want(t, 200, nil)
}
