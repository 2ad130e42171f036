package chain_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// line is the request of a run of the chain main.
func (r *rig) line(t *testing.T) schemas.LineRequest {
	t.Helper()
	plan, err := schemas.PlanOf(r.bundle)
	if err != nil {
		t.Fatal(err)
	}
	if !plan.Line() {
		t.Fatal("the chain is no line")
	}
	return schemas.LineRequest{MostMS: schemas.LaneMS, Run: schemas.RunRequest{
		Tenant: tenant, RunID: "r1", Bundle: r.ref, Plan: plan, Input: schemas.Content{Text: word}, StartMS: time.Now().UnixMilli(), Fresh: true,
	}}
}

// recorded is the record of the run r1.
func (r *rig) recorded(t *testing.T, in schemas.LineRequest) (exchange schemas.Exchange, ok bool) {
	t.Helper()
	data, ok, err := r.Journal.Get(t.Context(), tenant, schemas.RunKey(tenant, "r1", time.UnixMilli(in.Run.StartMS)))
	if err != nil {
		t.Fatal(err)
	}
	if ok {
		if err := json.Unmarshal(data, &exchange); err != nil {
			t.Fatal(err)
		}
	}
	return exchange, ok
}

// two is a chain of two steps, the second of which repeats what the first said.
func two(change ...func(*schemas.StepDef)) schemas.Bundle {
	second := say("b", change...)
	second.Needs = []string{"a"}
	return steps(say("a"), second)
}

func TestLineRunsToTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, two())
	r.Hub = new(hub.Hub)
	ended, stop := r.Hub.Listen(tenant, "r1")
	defer stop()
	in := r.line(t)
	out, err := r.Line(t.Context(), in)
	if err != nil || out.Outcome == nil || out.Outcome.RunID != "r1" || out.Outcome.Usage.Calls != 2 || len(out.Steps) != 0 || out.Failed != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	if told := <-ended; told.Output != out.Outcome.Output {
		t.Errorf("listeners heard %+v", told)
	}
	exchange, ok := r.recorded(t, in)
	if !ok || exchange.Status != schemas.RunDone || !exchange.Lane || len(exchange.Steps) != 2 || len(exchange.Steps[1].Details) != 1 ||
		len(exchange.Steps[1].Details[0].Calls) != 1 || exchange.Steps[1].Details[0].Calls[0].Response == nil {
		t.Errorf("record %+v", exchange)
	}
}

func TestLineStops(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		def    func(*schemas.StepDef)
		fail   modeltest.Failure // of the second call
		most   int64
		done   int
		code   schemas.Code
		final  bool
		after  int64
		called int
	}{
		"a condition is false":        {def: func(d *schemas.StepDef) { d.When = "false" }, most: schemas.LaneMS, done: 1, called: 1},
		"the time is over":            {most: -1},
		"the provider is down":        {fail: modeltest.Failure{Status: 503}, most: schemas.LaneMS, done: 1, code: schemas.Unavailable, called: 2},
		"a limit":                     {fail: modeltest.Failure{Status: 429, Header: map[string]string{"Retry-After": "7"}}, most: schemas.LaneMS, done: 1, code: schemas.RateLimited, after: 7000, called: 2},
		"the request is wrong":        {fail: modeltest.Failure{Status: 400}, most: schemas.LaneMS, done: 1, code: schemas.Invalid, final: true, called: 2},
		"what shall not be repeated":  {def: func(d *schemas.StepDef) { d.Retry = schemas.RetryNone }, fail: modeltest.Failure{Status: 503}, most: schemas.LaneMS, done: 1, code: schemas.Unavailable, final: true, called: 2},
		"it takes longer than it may": {def: func(d *schemas.StepDef) { d.TimeoutMS = 50 }, fail: modeltest.Failure{Hang: true}, most: schemas.LaneMS, done: 1, code: schemas.Deadline, called: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var change []func(*schemas.StepDef)
			if test.def != nil {
				change = append(change, test.def)
			}
			r := newRig(t, modeltest.Options{}, two(change...))
			r.models.Fail(modeltest.Failure{}, test.fail)
			in := r.line(t)
			in.MostMS = test.most
			out, err := r.Line(t.Context(), in)
			if err != nil || out.Outcome != nil || len(out.Steps) != test.done || r.chats() != test.called {
				t.Fatalf("%+v, %v, %d calls", out, err, r.chats())
			}
			if failed := out.Failed; (failed != nil) != (test.code != "") || failed != nil &&
				(failed.Step != "b" || failed.Failure.Code != test.code || failed.Final != test.final || failed.RetryAfterMS != test.after) {
				t.Errorf("failed %+v", failed)
			}
			if _, ok := r.recorded(t, in); ok {
				t.Error("a run that goes on has a record")
			}
			r.start() // whoever goes on in another process pays for the first step no more
			next := r.request("a", word)
			if paid := r.chats(); test.done == 1 {
				if r.run(t, next); r.chats() != paid {
					t.Error("the first step was paid for twice")
				}
			}
		})
	}
}

func TestAheadIsJoined(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, two())
	in := r.line(t)
	done, forget := r.Ahead(in.Run)
	again, forgetAgain := r.Ahead(in.Run)
	var lanes sync.WaitGroup
	for range 3 {
		lanes.Go(func() {
			if out, err := r.Line(t.Context(), in); err != nil || out.Outcome == nil {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
	lanes.Wait()
	<-done
	<-again
	forgetAgain()
	forget()
	if r.chats() != 2 {
		t.Errorf("%d calls of a run of two", r.chats())
	}
}

func TestAheadLeavesToLanesWhatIsNoLine(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, two())
	in := r.line(t)
	in.Run.Done = []schemas.StepRecord{{ID: "a"}}
	done, forget := r.Ahead(in.Run)
	<-done
	forget()
	if r.chats() != 0 {
		t.Errorf("%d calls", r.chats())
	}
}
