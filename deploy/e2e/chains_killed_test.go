package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	killedRuns    = 200
	chainPatience = 4 * time.Minute // after the last kill
)

// TestChainsKilled kills twenty times, while 200 runs of a chain are under way, the worker with the gateway or every process, and brings
// them back on the same data. Every run that somebody waits for or that was accepted must end with its right result. No call is made twice
// but those that a kill cut off, and the records say of each of these that it is ambiguous.
func TestChainsKilled(t *testing.T) {
	t.Parallel()
	h := open(t, options{})
	u := h.admin()
	endpoint := serveChats(t, modeltest.Options{Latency: 50 * time.Millisecond})
	bundle := threeSteps(endpoint.models(schemas.RateDef{Concurrency: 2}))
	start := time.Now()
	load := u.load(t, bundle, killedRuns)
	kills := h.killings(t, endpoint, killedRuns*len(threeStepNames))
	calm := time.Now()
	load.wait(t, chainPatience)
	load.finished(t, chainPatience)
	t.Logf("%d runs in %.0f s, %.0f s of them after the last kill; callers asked %d times", killedRuns,
		time.Since(start).Seconds(), time.Since(calm).Seconds(), load.asked.Load())
	load.paidOnce(t, endpoint.history(), kills)
}

// load is many runs of one chain at once. Those with an even number are waited for in lanes, the others are accepted and go on.
type load struct {
	user

	runs    []string
	asked   atomic.Int64 // requests
	settled atomic.Int64 // callers who have their result, or whose run is accepted
	callers sync.WaitGroup
	done    chan struct{} // closed when all callers have what they asked for
	records map[string]schemas.Exchange
}

func laned(i int) bool { return i%2 == 0 }

// load starts n runs at the same time.
func (u user) load(t *testing.T, bundle schemas.Bundle, n int) *load {
	t.Helper()
	l := &load{user: u, done: make(chan struct{}), records: map[string]schemas.Exchange{}}
	for i := range n {
		name := fmt.Sprintf("run-%03d", i)
		l.runs = append(l.runs, name)
		run := rest.NewRun{Bundle: bundle, Input: json.RawMessage(`{"run":"` + name + `"}`), Execution: schemas.ExecutionLane}
		if !laned(i) {
			run.Execution, run.Detach = schemas.ExecutionWorkflow, true
		}
		body := encoded(t, run)
		l.callers.Go(func() { l.call(t, name, body, run.Detach) })
	}
	go func() { l.callers.Wait(); close(l.done) }()
	return l
}

// call is one caller: it asks until it has its result, or is told that its run is accepted.
func (l *load) call(t *testing.T, name, body string, detached bool) {
	t.Helper()
	got, times, err := l.insist(t.Context(), "/api/v1/runs", name, body)
	l.asked.Add(int64(times))
	l.settled.Add(1)
	switch {
	case err != nil:
		t.Errorf("%s has no answer: %v", name, err)
	case detached && got.status == http.StatusAccepted:
	case got.status != http.StatusOK:
		t.Errorf("%s: status %d, %s", name, got.status, got.body)
	default:
		var result rest.RunResult
		if err := json.Unmarshal([]byte(got.body), &result); err != nil || result.Status != rest.RunDone {
			t.Errorf("%s: %s, %v", name, got.body, err)
		}
		rightResult(t, name, result.Output)
	}
}

// rightResult requires the text of the last step.
func rightResult(t *testing.T, name string, output json.RawMessage) {
	t.Helper()
	var got struct{ Text string }
	texts := threeAnswers(name)
	if err := json.Unmarshal(output, &got); err != nil || got.Text != texts[len(texts)-1] {
		t.Errorf("%s brought %s, want the text %q", name, output, texts[len(texts)-1])
	}
}

// wait returns when every caller has what it asked for.
func (l *load) wait(t *testing.T, limit time.Duration) {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
		t.Fatalf("%d of %d callers have no answer after %s", len(l.runs)-int(l.settled.Load()), len(l.runs), limit)
	}
}

// finished waits for the end of every run, which must be a good one with a record.
func (l *load) finished(t *testing.T, limit time.Duration) {
	t.Helper()
	for i, name := range l.runs {
		var run rest.Run
		await(t, limit, "the end of "+name, func() bool {
			run = l.runOf(t, name)
			return run.Status != rest.RunRunning
		})
		if run.Status != rest.RunDone || run.Record == nil {
			t.Errorf("%s ended %s: %+v", name, run.Status, run.Failure)
			continue
		}
		rightResult(t, name, run.Output)
		if len(run.Record.Steps) != len(threeStepNames) {
			t.Errorf("the record of %s has %d steps", name, len(run.Record.Steps))
		}
		if !laned(i) && run.Record.Lane {
			t.Errorf("%s was to be a workflow of its own, and its record says that it was carried out in a lane", name)
		}
		l.records[name] = *run.Record
	}
}

// killings kills thirteen times the worker and seven times everything, at random over the work.
func (h *house) killings(t *testing.T, endpoint *chats, calls int) []kill {
	t.Helper()
	kills := chainKills(t, calls)
	for i := range kills {
		k := &kills[i]
		await(t, 2*time.Minute, fmt.Sprintf("the model to have seen %d calls", k.after), func() bool { return endpoint.distinct() >= k.after })
		moment := time.Now().Add(k.delay)
		await(t, time.Minute, "a random moment", func() bool { return time.Now().After(moment) })
		seen := endpoint.distinct()
		t.Logf("kill %d, of %s, when the model has seen %d of %d calls", i+1, k.what, seen, calls)
		if seen == calls {
			t.Errorf("nothing is left to do at kill %d; there is too little work", i+1)
		}
		h.lose(t, k)
	}
	return kills
}

func chainKills(t *testing.T, calls int) []kill {
	t.Helper()
	random := seeded(t)
	kills := make([]kill, 20)
	points := make([]int, len(kills))
	for i := range kills {
		kills[i].what = "worker"
		if i < 7 {
			kills[i].what = "everything"
		}
		points[i] = random.IntN(calls * 9 / 10)
	}
	random.Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	slices.Sort(points)
	for i := range kills {
		kills[i].after, kills[i].delay = points[i], time.Duration(random.IntN(300))*time.Millisecond
	}
	return kills
}

// seeded is a source of chance that TENUTO_SEED repeats.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TENUTO_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("TENUTO_SEED: %v", err)
		}
	}
	t.Logf("to repeat this: TENUTO_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// lose makes a kill happen and brings back what it took.
func (h *house) lose(t *testing.T, k *kill) {
	t.Helper()
	victims := []*process{h.worker}
	if k.what == "everything" {
		victims = append(victims, h.servers.process, h.weaviate.process)
	}
	k.at = time.Now()
	for _, p := range victims {
		p.kill()
	}
	k.dead = time.Now()
	if k.what == "everything" {
		h.start(t, h.servers, h.weaviate)
	}
	h.startWorker(t)
}

// paidOnce requires that no call was made twice but those that a kill cut off, and that the records say so of each.
func (l *load) paidOnce(t *testing.T, calls []chat, kills []kill) {
	t.Helper()
	last, again := map[string]chat{}, map[string]bool{}
	for _, c := range calls {
		if before, seen := last[c.identity]; seen {
			again[c.identity] = true
			if !before.cutBy(kills) {
				t.Errorf("paid for again without a kill in between: %q, at %s and %s", c.text, before.start, c.start)
			}
		}
		last[c.identity] = c
	}
	if want := len(l.runs) * len(threeStepNames); len(last) != want {
		t.Errorf("the model saw %d different calls, want %d", len(last), want)
	}
	marked, careful := 0, 0
	for identity, c := range last {
		run, step := c.asker(t)
		switch ambiguous := l.ambiguous(run, step); {
		case ambiguous && again[identity]:
			marked++
		case ambiguous:
			careful++
		case again[identity]:
			t.Errorf("step %s of %s was called again after a kill, and its record does not say that it is ambiguous", step, run)
		}
	}
	t.Logf("%d calls, %d of them different, %d seen again after a kill and %d of these marked ambiguous; marked though they came in once: %d",
		len(calls), len(last), len(again), marked, careful)
}

// asker is the run and the step that made the call.
func (c *chat) asker(t *testing.T) (run, step string) {
	t.Helper()
	if _, err := fmt.Sscanf(c.text, "Step %s of %7s:", &step, &run); err != nil {
		t.Fatalf("%q: %v", c.text, err)
	}
	return run, step
}

// cutBy reports whether a kill came between the start of the call and the moment when its answer was recorded for sure.
func (c *chat) cutBy(kills []kill) bool {
	return slices.ContainsFunc(kills, func(k kill) bool {
		return k.dead.After(c.start) && (c.end.IsZero() || k.at.Before(c.end.Add(recordTime)))
	})
}

// ambiguous reports whether the record of a run says that a call of the step may have been paid for twice.
func (l *load) ambiguous(run, step string) bool {
	return slices.ContainsFunc(l.records[run].Steps, func(s schemas.ExchangeStep) bool {
		return s.ID == step && slices.ContainsFunc(s.Details, func(d schemas.StepDetail) bool {
			return slices.ContainsFunc(d.Calls, func(c schemas.CallDetail) bool { return c.Ambiguous })
		})
	})
}
