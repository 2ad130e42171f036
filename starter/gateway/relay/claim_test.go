package relay_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// numbered answers with the number of the call, streamed where that is asked for.
func numbered(t *testing.T) *raw {
	t.Helper()
	return serveRaw(t, func(n int, w http.ResponseWriter, r *http.Request) {
		number := string(rune('0' + n))
		if r.Header.Get("Accept") == "text/event-stream" {
			events(w, ": wait\n\n", strings.Replace(chunk, "Hello", number, 1), finish, counted, done)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"`+number+`"},"finish_reason":"stop"}]}`)
	})
}

func TestARepeatedRequestGetsTheRecordedAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"a stream": streaming(ask), "a whole": ask} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := numbered(t)
			r := setup(t, u.url, nil)
			first := r.chat(body, "Idempotency-Key", "k-1")
			again := r.chat(body, "Idempotency-Key", "k-1")
			if want := strings.ReplaceAll(first.body, ": wait\n\n", ""); again.body != want || again.status != 200 || u.calls() != 1 {
				t.Errorf("%d calls; %q, want %q", u.calls(), again.body, want)
			}
			if first.header.Get("X-Tenuto-Replayed") != "" || again.header.Get("X-Tenuto-Replayed") != "true" ||
				first.header.Get(relay.RunHeader) != again.header.Get(relay.RunHeader) || first.header.Get("Content-Type") != again.header.Get("Content-Type") {
				t.Errorf("%v, %v", first.header, again.header)
			}
			other := r.chat(strings.Replace(body, "one two", "three", 1), "Idempotency-Key", "k-1")
			if other.status != 409 || other.header.Get("X-Should-Retry") != "false" || !strings.Contains(other.body, "belongs to another request") {
				t.Errorf("%+v", other)
			}
			if r.chat(body, "Idempotency-Key", "k-2"); u.calls() != 2 {
				t.Errorf("%d calls with another key", u.calls())
			}
		})
	}
}

func TestARepeatedRequestWhileTheFirstIsUnderWay(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	u := serveRaw(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		<-gate
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`)
	})
	r := setup(t, u.url, nil)
	first := make(chan answered, 1)
	go func() { first <- r.chat(ask, "Idempotency-Key", "k") }()
	await(t, "the first call", func() bool { return u.calls() == 1 })
	if !r.relay.UnderWay("acme", "k") {
		t.Error("nobody knows of it")
	}
	if got := r.chat(ask, "Idempotency-Key", "k"); got.status != 409 || got.header.Get("Retry-After") != "1" || got.header.Get("X-Should-Retry") != "" {
		t.Errorf("%+v", got)
	}
	close(gate)
	if got := <-first; got.status != 200 || u.calls() != 1 || r.relay.UnderWay("acme", "k") {
		t.Errorf("%d calls; %+v", u.calls(), got)
	}
}

// TestFailuresFreeTheKey: what came to nothing is not what a repeated request gets.
func TestFailuresFreeTheKey(t *testing.T) {
	t.Parallel()
	u := serveRaw(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		switch n {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			events(w, chunk)
		default:
			events(w, chunk, finish, done)
		}
	})
	r := setup(t, u.url, nil)
	body := streaming(ask)
	if got := r.chat(body, "Idempotency-Key", "k"); got.status != 503 {
		t.Errorf("%+v", got)
	}
	if got := r.chat(body, "Idempotency-Key", "k"); !strings.Contains(got.body, `"error"`) {
		t.Errorf("%+v", got)
	}
	for range 2 {
		got := r.chat(body, "Idempotency-Key", "k")
		if got.body != chunk+finish+done || r.record(got).Steps[0].Details[0].Calls[0].Ambiguous {
			t.Errorf("%+v", got)
		}
	}
	if u.calls() != 3 {
		t.Errorf("%d calls", u.calls())
	}
}

func TestACallThatWasLostWithItsProcess(t *testing.T) {
	t.Parallel()
	u := numbered(t)
	lost := &claims{alive: true}
	var run atomic.Value
	r := setup(t, u.url, func(r *relay.Relay) {
		r.Claims = lost
		made := r.NewID
		r.NewID = func() string { id := made(); run.Store(id); return id }
	})
	r.chat(ask, "Idempotency-Key", "k")
	claim := lost.of["acmek"]
	claim.Run = r.relay.NewID() // another process has it, and no record
	lost.put("acmek", claim)
	if got := r.chat(ask, "Idempotency-Key", "k"); got.status != 409 || got.header.Get("Retry-After") == "" || u.calls() != 1 {
		t.Errorf("%+v", got)
	}
	lost.alive = false
	got := r.chat(ask, "Idempotency-Key", "k")
	if e := r.record(got); got.status != 200 || !e.Steps[0].Details[0].Calls[0].Ambiguous || u.calls() != 2 {
		t.Errorf("%d calls; %+v", u.calls(), e)
	}
	if again := r.chat(ask, "Idempotency-Key", "k"); again.body != got.body || u.calls() != 2 {
		t.Errorf("%d calls; %+v", u.calls(), again)
	}
}

// TestAnAnswerThatCouldNotBeRecordedIsNotPaidAgain: the journal still has it, and tells it once it is durable.
func TestAnAnswerThatCouldNotBeRecordedIsNotPaidAgain(t *testing.T) {
	t.Parallel()
	u := numbered(t)
	r := setup(t, u.url, nil)
	r.disk.fail(schemas.Errorf(schemas.OverBudget, "the disk is full"))
	for range 2 {
		if got := r.chat(ask, "Idempotency-Key", "k"); got.status != 429 {
			t.Errorf("%+v", got)
		}
	}
	r.disk.fail(nil)
	var got answered
	await(t, "the answer", func() bool { got = r.chat(ask, "Idempotency-Key", "k"); return got.status == 200 })
	if !strings.Contains(got.body, `"content":"1"`) || u.calls() != 1 {
		t.Errorf("%d calls; %+v", u.calls(), got)
	}
}
