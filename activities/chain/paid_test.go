package chain_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

const word = `{"word":"heron"}`

func TestGenerateAnswersAndTellsWhatItDid(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(say("a")))
	out := r.run(t, r.request("a", word))
	if got := r.output(t, out); got != "You said: Repeat heron" {
		t.Errorf("output %q", got)
	}
	detail := r.detail(t, out)
	if len(detail.Calls) != 1 || detail.StartMS == 0 {
		t.Fatalf("detail %+v", detail)
	}
	call := detail.Calls[0]
	if call.Purpose != "answer" || call.Model != "m" || !strings.HasPrefix(call.Answered, modeltest.ChatModel) || call.Fingerprint != "fp_test" || call.Recorded ||
		call.Usage.Calls != 1 || call.Usage.InputTokens != 2 || call.Usage.OutputTokens != 4 || call.Cost == nil || *call.Cost != 10e-6 {
		t.Errorf("call %+v", call)
	}
}

func TestNothingIsPaidForTwice(t *testing.T) {
	t.Parallel()
	for _, fresh := range []bool{false, true} {
		t.Run(fmt.Sprintf("fresh %t", fresh), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, modeltest.Options{}, steps(say("a")))
			in := r.request("a", word)
			in.Fresh = fresh
			first := r.run(t, in)
			again := r.run(t, in)
			if err := r.Journal.Flush(t.Context(), tenant, in.RunID); err != nil {
				t.Fatal(err)
			}
			r.start()
			in.Fresh = false // whoever goes on with a run knows that it is not
			after := r.run(t, in)
			if r.output(t, again) != r.output(t, first) || r.output(t, after) != r.output(t, first) || r.chats() != 1 {
				t.Errorf("%d calls", r.chats())
			}
			if call := r.detail(t, after).Calls[0]; !call.Recorded || call.Ambiguous || call.Usage.Calls != 1 {
				t.Errorf("call %+v", call)
			}
			for name, other := range map[string]func(*schemas.StepRequest){
				"another run":     func(in *schemas.StepRequest) { in.RunID = "r2" },
				"another item":    func(in *schemas.StepRequest) { in.Path = "each[1]/" },
				"continued anew":  func(in *schemas.StepRequest) { in.Retries = 1 },
				"another input":   func(in *schemas.StepRequest) { in.Input.Text = `{"word":"egret"}` },
				"somebody else's": func(in *schemas.StepRequest) { in.Tenant = "other" },
			} {
				before, in := r.chats(), in
				other(&in)
				if r.run(t, in); r.chats() != before+1 {
					t.Errorf("%s: %d calls", name, r.chats()-before)
				}
			}
		})
	}
}

// lose has the one call of a step arrive, and its answer get lost with the process.
func (r *rig) lose(t *testing.T, in schemas.StepRequest) {
	t.Helper()
	r.models.Fail(modeltest.Failure{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := r.Step(ctx, in)
		done <- err
	}()
	deadline := time.After(20 * time.Second)
	for before := r.chats(); r.chats() == before; {
		select {
		case err := <-done:
			t.Fatalf("the step ended: %v", err)
		case <-deadline:
			t.Fatal("the call does not arrive")
		case <-time.After(time.Millisecond):
		}
	}
	if err := r.Journal.Flush(t.Context(), tenant, in.RunID); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-done
	r.start()
}

func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"", schemas.AmbiguousRetry, schemas.AmbiguousFail, schemas.AmbiguousAsk} {
		t.Run("policy "+policy, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, modeltest.Options{}, steps(say("a", func(def *schemas.StepDef) { def.Ambiguous = policy })))
			in := r.request("a", word)
			r.lose(t, in)
			switch policy {
			case schemas.AmbiguousFail:
				r.fails(t, in, schemas.Conflict, "may have been paid for")
				r.fails(t, in, schemas.Conflict, "may have been paid for")
			case schemas.AmbiguousAsk:
				out := r.run(t, in)
				if !strings.Contains(out.Asks, "may have been paid for") || out.Output != (schemas.Content{}) {
					t.Errorf("%+v", out)
				}
				if call := r.last(t, out); call.Failure == nil || call.Failure.Code != schemas.Conflict {
					t.Errorf("call %+v", call)
				}
			}
			if asked := policy == schemas.AmbiguousFail || policy == schemas.AmbiguousAsk; asked {
				if r.chats() != 1 {
					t.Errorf("%d calls", r.chats())
				}
				in.Resent = true
			}
			out := r.run(t, in)
			if call := r.last(t, out); !call.Ambiguous || call.Recorded || r.chats() != 2 {
				t.Errorf("call %+v of %d", call, r.chats())
			}
			r.start()
			out = r.run(t, in)
			if call := r.last(t, out); !call.Ambiguous || !call.Recorded || r.chats() != 2 {
				t.Errorf("read back: call %+v of %d", call, r.chats())
			}
		})
	}
}

// TestDeclinedCallsAreNotAmbiguous retries what the provider did not do.
func TestDeclinedCallsAreNotAmbiguous(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{Script: []modeltest.Failure{{Status: 429}}}, steps(say("a", func(def *schemas.StepDef) { def.Ambiguous = schemas.AmbiguousFail })))
	in := r.request("a", word)
	r.fails(t, in, schemas.RateLimited)
	if call := r.last(t, r.run(t, in)); call.Ambiguous {
		t.Errorf("call %+v", call)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, steps(
		say("a", func(def *schemas.StepDef) { def.Cache = &schemas.CacheDef{TTLSeconds: 3600} }),
		say("b", func(def *schemas.StepDef) { def.Cache = &schemas.CacheDef{TTLSeconds: 60} }),
	))
	in := r.request("a", word)
	first := r.output(t, r.run(t, in))
	in.RunID = "r2"
	out := r.run(t, in)
	call := r.detail(t, out).Calls[0]
	if r.output(t, out) != first || r.chats() != 1 || !call.Cached || call.Cost == nil || *call.Cost != 0 || call.Usage.Calls != 0 {
		t.Errorf("%d calls, %+v", r.chats(), call)
	}
	r.age(t, 30*time.Minute)
	in.RunID = "r3"
	if r.run(t, in); r.chats() != 1 {
		t.Errorf("half an hour later: %d calls", r.chats())
	}
	in.RunID, in.Step = "r4", "b" // the same call, that wants younger answers
	if r.run(t, in); r.chats() != 2 {
		t.Errorf("too old: %d calls", r.chats())
	}
	in.RunID, in.Tenant = "r5", "other"
	if r.run(t, in); r.chats() != 3 {
		t.Errorf("another tenant: %d calls", r.chats())
	}
}

// age makes cached responses older.
func (r *rig) age(t *testing.T, by time.Duration) {
	t.Helper()
	for found, err := range r.Journal.Find(t.Context(), tenant, schemas.TenantPrefix(tenant)+"cache/") {
		if err != nil {
			t.Fatal(err)
		}
		entry := decode[map[string]json.RawMessage](t, string(found.Data))
		entry["at_ms"] = json.RawMessage(fmt.Sprint(time.Now().Add(-by).UnixMilli()))
		data, err := json.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Journal.Append(journal.Entry{Tenant: tenant, Key: found.Key, Data: data, Keep: true}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func schemaOf(def *schemas.StepDef) {
	def.Generate.Schema = json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`)
}

func replies(texts ...string) []model.Response {
	out := make([]model.Response, len(texts))
	for i, text := range texts {
		out[i] = model.Response{Text: text, Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 1000, OutputTokens: 10}}
	}
	return out
}

func TestOutputIsMendedOrAskedForAgain(t *testing.T) {
	t.Parallel()
	ten := make([]string, 10)
	for i := range ten {
		ten[i] = fmt.Sprintf("no JSON, %d", i)
	}
	nine := 9
	for name, test := range map[string]struct {
		replies []string
		reasks  *int
		calls   int
		want    string // empty: malformed_output
		repairs bool
	}{
		"as it should be":        {replies: []string{`{"n":1}`}, calls: 1, want: `{"n":1}`},
		"mended":                 {replies: []string{"Here you are:\n```json\n{\"n\": \"1\",}\n```"}, calls: 1, want: `{"n":1}`, repairs: true},
		"asked again":            {replies: []string{`{"m":1}`, `{"n":2}`}, calls: 2, want: `{"n":2}`},
		"asked twice":            {replies: []string{`none`, `{"n":null}`, `{"n":3}`}, calls: 3, want: `{"n":3}`},
		"never right":            {replies: ten, calls: 3},
		"ten times wrong":        {replies: ten, reasks: &nine, calls: 10},
		"not to be asked again":  {replies: ten, reasks: new(int), calls: 1},
		"right at the last time": {replies: append(ten[:9:9], `{"n":4}`), reasks: &nine, calls: 10, want: `{"n":4}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, modeltest.Options{Replies: replies(test.replies...)}, steps(say("a", schemaOf, func(def *schemas.StepDef) { def.Generate.Reasks = test.reasks })))
			in := r.request("a", word)
			if test.want == "" {
				r.fails(t, in, schemas.MalformedOutput, "step a")
				r.start() // trying again, which nobody should, pays for nothing
				r.fails(t, in, schemas.MalformedOutput)
			} else {
				out := r.run(t, in)
				if got := r.text(t, out.Output); got != test.want {
					t.Errorf("output %s", got)
				}
				detail := r.detail(t, out)
				if (len(detail.Repairs) > 0) != test.repairs || len(detail.Calls) != test.calls {
					t.Errorf("detail %+v", detail)
				}
				for i, call := range detail.Calls {
					if want := map[bool]string{true: "answer", false: "repair"}[i == 0]; call.Purpose != want {
						t.Errorf("call %d is for %s", i, call.Purpose)
					}
				}
			}
			if r.chats() != test.calls {
				t.Errorf("%d calls, want %d", r.chats(), test.calls)
			}
		})
	}
}

func TestCostIsBounded(t *testing.T) {
	t.Parallel()
	bounded := func(usd float64) func(*schemas.StepDef) {
		return func(def *schemas.StepDef) { def.Generate.MaxCost = usd }
	}
	wrong := modeltest.Options{Replies: replies("no", "no", "no")}
	t.Run("unknown price", func(t *testing.T) {
		t.Parallel()
		bundle := steps(say("a", bounded(1)))
		bundle.Models.Models = map[string]schemas.ModelDef{"m": {Provider: "fake", Model: modeltest.ChatModel}}
		r := newRig(t, modeltest.Options{}, bundle)
		r.fails(t, r.request("a", word), schemas.OverBudget, "price", "models.yaml")
		if r.chats() != 0 {
			t.Errorf("%d calls", r.chats())
		}
	})
	t.Run("spent", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, wrong, steps(say("a", schemaOf, bounded(1e-9))))
		r.fails(t, r.request("a", word), schemas.OverBudget, "spent")
		if r.chats() != 1 {
			t.Errorf("%d calls", r.chats())
		}
	})
	t.Run("enough", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, wrong, steps(say("a", schemaOf, bounded(1))))
		r.fails(t, r.request("a", word), schemas.MalformedOutput)
	})
}

// held is a store that takes nothing until it is released.
type held struct {
	blob.Driver
	released chan struct{}
}

// Put implements blob.Driver.
func (h *held) Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	<-h.released
	return h.Driver.Put(ctx, key, r, size, ifAbsent)
}

// TestAHushedRunDoesNotWaitForItsMark sends the call of a run that nobody knows of before its mark is durable. One that somebody was told of
// waits.
func TestAHushedRunDoesNotWaitForItsMark(t *testing.T) {
	t.Parallel()
	for _, told := range []bool{false, true} {
		t.Run(fmt.Sprintf("told %t", told), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, modeltest.Options{}, steps(say("a")))
			store := &held{r.driver, make(chan struct{})}
			r.Journal, r.Hub = journal.New(blob.New(store), "held"), new(hub.Hub)
			voice, stop := r.Hub.Open(tenant, "r1")
			defer stop()
			voice.Hush()
			if told {
				voice.Tell()
			}
			in := r.request("a", word)
			in.Local, in.First, in.StartMS = true, true, began.UnixMilli()
			ended := make(chan error, 1)
			go func() {
				_, err := r.Step(t.Context(), in)
				ended <- err
			}()
			select {
			case err := <-ended:
				if told || err != nil || r.chats() != 1 {
					t.Errorf("%d calls before the mark was durable, %v", r.chats(), err)
				}
				close(store.released)
			case <-time.After(200 * time.Millisecond):
				if !told || r.chats() != 0 {
					t.Errorf("%d calls while the mark waits", r.chats())
				}
				close(store.released)
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			if err := r.Journal.Flush(t.Context(), tenant, "r1"); err != nil {
				t.Fatal(err)
			}
			r.start()
			in.First = false
			if call := r.last(t, r.run(t, in)); !call.Recorded || r.chats() != 1 {
				t.Errorf("in another process: %d calls, %+v", r.chats(), call)
			}
		})
	}
}
