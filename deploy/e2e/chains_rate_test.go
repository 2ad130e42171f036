package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	ratePerMinute = 400
	queuedRuns    = 500
	watchedCalls  = 300 // that the test stays for
)

// TestChainsWithinRateLimit queues 500 runs that nobody waits for before a provider that allows 400 calls a minute. It refuses none, no run
// fails, the rate is used to nine tenths, and who comes late and waits is answered within two seconds. What 60 a minute come to is in
// the tests of the limiter, where time is cheap.
func TestChainsWithinRateLimit(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	u := h.admin()
	endpoint := serveChats(t, modeltest.Options{Latency: 50 * time.Millisecond, Requests: ratePerMinute})
	bundle := oneCall(endpoint.models(schemas.RateDef{RequestsPerMinute: ratePerMinute}))
	u.queue(t, bundle, queuedRuns)
	for i := range 3 {
		await(t, time.Minute, "calls of queued runs", func() bool { return endpoint.distinct() >= (i+1)*watchedCalls/4 })
		u.inTime(t, bundle, fmt.Sprintf("late-%d", i))
	}
	await(t, time.Minute, "more calls of queued runs", func() bool { return endpoint.distinct() >= watchedCalls })
	calls := endpoint.history()
	wellUsed(t, calls)
	for _, c := range calls {
		u.doneSoon(t, strings.TrimSuffix(c.text[strings.LastIndex(c.text, " ")+1:], "."))
	}
	for i := range queuedRuns {
		if run := u.runOf(t, queued(i)); run.Status != rest.RunDone && run.Status != rest.RunRunning {
			t.Errorf("%s ended %s: %+v", queued(i), run.Status, run.Failure)
		}
	}
	if stats := endpoint.handler.Stats(); stats.Limited != 0 || stats.Chats > endpoint.distinct() {
		t.Errorf("%d calls, %d different; the rate limit refused %d", stats.Chats, endpoint.distinct(), stats.Limited)
	}
}

func queued(i int) string { return fmt.Sprintf("queued-%03d", i) }

// doneSoon requires that a queued run whose call was made ends well.
func (u user) doneSoon(t *testing.T, name string) {
	t.Helper()
	if !strings.HasPrefix(name, "queued-") {
		return
	}
	await(t, soon, "the end of "+name, func() bool { return u.runOf(t, name).Status != rest.RunRunning })
	if run := u.runOf(t, name); run.Status != rest.RunDone {
		t.Errorf("%s ended %s: %+v", name, run.Status, run.Failure)
	}
}

// oneCall is a chain of one generate step.
func oneCall(models schemas.Models) schemas.Bundle {
	return oneChain(models, map[string]string{"tell": "Tell me of {{run}}."}, schemas.ChainDef{
		Input: namedRun,
		Steps: []schemas.StepDef{{ID: "tell", Generate: &schemas.GenerateDef{Prompt: "tell", Model: "chat", With: map[string]string{"run": "input.run"}}}},
	})
}

// queue has runs accepted that nobody waits for.
func (u user) queue(t *testing.T, bundle schemas.Bundle, runs int) {
	t.Helper()
	var asking sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range runs {
		name := queued(i)
		body := encoded(t, rest.NewRun{Bundle: bundle, Input: json.RawMessage(`{"run":"` + name + `"}`), Batch: true, Detach: true})
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			if got, err := u.attempt(t.Context(), "/api/v1/runs", name, body); err != nil || got.status != http.StatusAccepted {
				t.Errorf("%s: status %d, %s, %v", name, got.status, got.body, err)
			}
		})
	}
	asking.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// inTime runs the chain for somebody who waits.
func (u user) inTime(t *testing.T, bundle schemas.Bundle, name string) {
	t.Helper()
	start := time.Now()
	got, err := u.attempt(t.Context(), "/api/v1/runs", "", encoded(t, rest.NewRun{Bundle: bundle, Input: json.RawMessage(`{"run":"` + name + `"}`)}))
	took := time.Since(start)
	if err != nil || got.status != http.StatusOK || took > 2*time.Second {
		t.Errorf("%s was answered after %s: status %d, %s, %v", name, took, got.status, got.body, err)
	}
	t.Logf("%s was answered after %s", name, took.Round(time.Millisecond))
}

// wellUsed requires that calls came at nine tenths of the allowed rate.
func wellUsed(t *testing.T, calls []chat) {
	t.Helper()
	took := calls[len(calls)-1].start.Sub(calls[0].start)
	used := float64(len(calls)-1) / took.Minutes() / ratePerMinute
	t.Logf("%d calls in %s: %.1f%% of the allowed rate", len(calls), took.Round(time.Millisecond), 100*used)
	if used < 0.9 {
		t.Errorf("%.1f%% of the allowed rate are used", 100*used)
	}
}
