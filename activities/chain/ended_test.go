package chain_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// close ends the process: what is kept stands at its key, and what the run left on its way is deleted.
func (r *rig) close(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Journal.Run(ctx); err != nil {
		t.Fatal(err)
	}
	r.start()
}

// TestARunThatEndedIsNotPaidForAgain repeats all that a workflow's task does, as after a crash between the run's record and the task's end.
func TestARunThatEndedIsNotPaidForAgain(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]func(*rig, *schemas.LineRequest){
		"in the same process": func(*rig, *schemas.LineRequest) {},
		"in the same process, for the first time": func(_ *rig, in *schemas.LineRequest) {
			in.Run.First = true
		},
		"in another process": func(r *rig, _ *schemas.LineRequest) { r.close(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, modeltest.Options{}, two())
			in := r.line(t)
			in.Run.Fresh, in.Run.First = false, true
			first, err := r.Line(t.Context(), in)
			if err != nil || first.Outcome == nil {
				t.Fatalf("%+v, %v", first, err)
			}
			in.Run.First = false
			crash(r, &in)
			again, err := r.Line(t.Context(), in)
			if err != nil || again.Outcome == nil || !cmp.Equal(*again.Outcome, *first.Outcome) {
				t.Errorf("the line: %+v, %v", again.Outcome, err)
			}
			step := r.request("a", word)
			step.Local, step.StartMS, step.First = true, in.Run.StartMS, in.Run.First
			if out := r.run(t, step); !out.Ended || out.Output != (schemas.Content{}) {
				t.Errorf("the step: %+v", out)
			}
			out, err := r.Record(t.Context(), schemas.RecordRequest{Run: in.Run, Status: schemas.RunDone, Ended: true})
			if err != nil || !cmp.Equal(out, *first.Outcome) {
				t.Errorf("the record: %+v, %v", out, err)
			}
			if r.chats() != 2 {
				t.Errorf("%d calls", r.chats())
			}
			exchange, ok := r.recorded(t, in)
			if !ok || len(exchange.Steps) != 2 || len(exchange.Steps[0].Details[0].Calls[0].Response) == 0 {
				t.Errorf("%+v", exchange)
			}
		})
	}
}

// TestARunThatGoesOnIsNoRunThatEnded has a run go on after its record was written: because it failed, or is continued from a step.
func TestARunThatGoesOnIsNoRunThatEnded(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*schemas.Exchange){
		"failed":               func(e *schemas.Exchange) { e.Status = schemas.RunFailed },
		"of an earlier course": func(e *schemas.Exchange) { e.Retries = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, modeltest.Options{}, steps(say("a")))
			in := r.request("a", word)
			in.Local, in.StartMS = true, began.UnixMilli()
			exchange := schemas.Exchange{RunID: "r1", Tenant: tenant, Status: schemas.RunDone}
			change(&exchange)
			data, err := json.Marshal(exchange)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Store.Put(t.Context(), schemas.RunKey(tenant, "r1", began), data); err != nil {
				t.Fatal(err)
			}
			if out := r.run(t, in); out.Ended || r.chats() != 1 {
				t.Errorf("%+v after %d calls", out, r.chats())
			}
		})
	}
}

// TestARecordThatIsGoneIsNotMadeUp refuses to write an empty record in the place of one that a step has seen.
func TestARecordThatIsGoneIsNotMadeUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	in := r.recording()
	in.Ended = true
	if _, err := r.Record(t.Context(), in); schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("%v", err)
	}
	if _, err := r.Store.Get(t.Context(), schemas.RunKey(tenant, "r1", began)); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("there is a record: %v", err)
	}
}

// TestWhatAFailedStepPaidForIsDurable has another process go on where a step failed after it had paid.
func TestWhatAFailedStepPaidForIsDurable(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{Replies: replies("none", "none", "none")}, steps(say("a", schemaOf)))
	in := r.request("a", word)
	in.Local, in.First, in.StartMS = true, true, time.Now().UnixMilli()
	r.fails(t, in, schemas.MalformedOutput)
	calls := r.chats()
	r.start() // without a flush: what is not durable now is lost
	in.First = false
	r.fails(t, in, schemas.MalformedOutput)
	if r.chats() != calls {
		t.Errorf("%d calls, then %d", calls, r.chats()-calls)
	}
}
