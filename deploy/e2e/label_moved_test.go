package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	labelMoves   = 100
	labelCallers = 16
)

// moved is a move of a label: it happened between two moments.
type moved struct{ before, after time.Time }

// acceptance is a run by a label: the label was read between two moments.
type acceptance struct{ before, after time.Time }

// current reports whether the label may have pointed to the release of move n while the run was accepted: from its own move on, and until the
// next one was done.
func (a acceptance) current(moves []moved, n int) bool {
	return !moves[n].before.After(a.after) && (n+1 == len(moves) || !a.before.After(moves[n+1].after))
}

// TestCurrent requires that a release is found out that was not yet, or no longer, current.
func TestCurrent(t *testing.T) {
	t.Parallel()
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	moves := []moved{{at(0), at(1)}, {at(10), at(11)}, {at(20), at(21)}}
	for _, test := range []struct {
		from, to, release int
		want              bool
	}{
		{2, 3, 0, true},
		{2, 3, 1, false},
		{12, 13, 0, false},
		{12, 13, 1, true},
		{10, 10, 0, true},
		{10, 10, 1, true},
		{11, 12, 0, true},
		{9, 12, 0, true},
		{9, 12, 1, true},
		{9, 12, 2, false},
		{22, 23, 1, false},
		{22, 23, 2, true},
		{30, 31, 2, true},
	} {
		if got := (acceptance{at(test.from), at(test.to)}).current(moves, test.release); got != test.want {
			t.Errorf("a run accepted between %d and %d on release %d: %t", test.from, test.to, test.release, got)
		}
	}
}

// TestLabelMoved moves a label a hundred times, each time to a release of its own, while callers of three gateways run the chain by it in every
// way there is. Each run must belong to a release that was current at some moment between its request and its acceptance, and say what
// that one says, and none fails.
func TestLabelMoved(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	all := openGateways(t, 3, options{noIndex: true})
	admin := all[0].admin()
	created := decode[rest.CreatedKey](t, admin.run(t, "keys", "create", "--role", "service", "--json"))
	hashes := make([]string, labelMoves+1)
	for i := range hashes {
		hashes[i] = admin.release(t, numbered(i)).Hash
	}
	moves := []moved{move(t, admin, hashes, 0)}
	load := &labelLoad{gateways: all, t: t, key: created.Token, stop: make(chan struct{}), asks: map[string]acceptance{}, said: map[string]string{}}
	load.start(random)
	for i := range labelMoves {
		time.Sleep(time.Duration(50+random.IntN(150)) * time.Millisecond)
		moves = append(moves, move(t, all.any(random, admin.key), hashes, i+1))
	}
	close(load.stop)
	load.callers.Wait()
	load.judge(t, moves, hashes)
}

// numbered is a chain whose prompt, and so its answer, says which release it is.
func numbered(i int) schemas.Bundle {
	def := schemas.ChainDef{Input: namedRun, Output: "steps.a.text", Steps: []schemas.StepDef{{ID: "a", Generate: &schemas.GenerateDef{
		Prompt: "say", Model: "openai/" + modeltest.ChatModel, With: map[string]string{"run": "input.run"},
	}}}}
	return oneChain(schemas.Models{}, map[string]string{"say": fmt.Sprintf("Release %d of {{run}}", i)}, def)
}

// move points the label to the release with a number, from the one before.
func move(t *testing.T, u user, hashes []string, to int) moved {
	t.Helper()
	from := "none"
	if to > 0 {
		from = hashes[to-1]
	}
	m := moved{before: time.Now()}
	u.sends(t, "/api/v1/chains/main/labels/production/moves", "", `{"release":"`+hashes[to]+`","expect":"`+from+`"}`)
	m.after = time.Now()
	return m
}

// labelLoad is callers who run a chain by its label.
type labelLoad struct {
	gateways

	t       *testing.T
	key     string
	stop    chan struct{}
	callers sync.WaitGroup

	mu   sync.Mutex
	sent int
	asks map[string]acceptance
	said map[string]string // the answers of those that waited for them
}

func (l *labelLoad) start(random *rand.Rand) {
	ways := []func(user, string) (acceptance, string){l.waits, l.detaches, l.streams, l.chats}
	for i := range labelCallers {
		own := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		l.callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				name := fmt.Sprintf("run-%02d-%04d", i, n)
				when, said := ways[i%len(ways)](l.any(own, l.key), name)
				l.mu.Lock()
				if l.sent++; when != (acceptance{}) {
					l.asks[name], l.said[name] = when, said
				}
				l.mu.Unlock()
			}
		})
	}
}

// post sends a request that must not fail. A machine that is too busy may have one come back, which is no failure for the label.
func (l *labelLoad) post(u user, path, body string) (acceptance, string) {
	when := acceptance{before: time.Now()}
	got, err := u.attempt(l.t.Context(), path, "", body)
	when.after = time.Now()
	switch {
	case err == nil && slices.Contains(comeBack, got.status):
		when = acceptance{}
	case err != nil || got.status >= http.StatusBadRequest:
		l.t.Errorf("%s: status %d, %s, %v", path, got.status, got.body, err)
	}
	return when, got.body
}

func (l *labelLoad) waits(u user, run string) (acceptance, string) {
	when, body := l.post(u, streamPath, `{"input":{"run":"`+run+`"}}`)
	var result rest.RunResult
	_ = json.Unmarshal([]byte(body), &result) // what is none says nothing, and that is found out
	return when, schemas.AnswerText(result.Output)
}

// detaches also waits a little, so that not too many are under way.
func (l *labelLoad) detaches(u user, run string) (acceptance, string) {
	when, _ := l.post(u, streamPath, `{"mode":"detach","input":{"run":"`+run+`"}}`)
	time.Sleep(10 * pollEvery)
	return when, ""
}

func (l *labelLoad) streams(u user, run string) (acceptance, string) {
	when := acceptance{before: time.Now()}
	v := &viewer{user: u}
	v.read = func() { // the first event tells that the run is accepted
		if when.after.IsZero() {
			when.after = time.Now()
		}
	}
	if err := v.connect(l.t.Context(), streamPath, streamBody(run)); err != nil {
		l.t.Errorf("%s: %v", run, err)
	}
	return when, v.text
}

func (l *labelLoad) chats(u user, run string) (acceptance, string) {
	when, body := l.post(u, "/v1/chat/completions", `{"model":"main@production","messages":[{"role":"user","content":"`+run+`"}]}`)
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if json.Unmarshal([]byte(body), &answer) != nil || len(answer.Choices) == 0 {
		return when, ""
	}
	return when, answer.Choices[0].Message.Content
}

// judge looks at the record of every run.
func (l *labelLoad) judge(t *testing.T, moves []moved, hashes []string) {
	t.Helper()
	records := map[string]schemas.Exchange{}
	await(t, 2*time.Minute, "the records of all runs", func() bool {
		for _, e := range recordsNow(t, l.gateways[0].house) {
			records[named(e)] = e
		}
		for name := range l.asks {
			if records[name].RunID == "" {
				return false
			}
		}
		return true
	})
	number, seen := map[string]int{}, map[int]bool{}
	for i, hash := range hashes {
		number[hash] = i
	}
	for name, when := range l.asks {
		e := records[name]
		n, known := number[e.Release]
		want := fmt.Sprintf("You said: Release %d of %s", n, name)
		switch {
		case !known || e.Label != "production" || e.Status != schemas.RunDone:
			t.Errorf("%s ended %s on release %q by label %q: %+v", name, e.Status, e.Release, e.Label, e.Failure)
		case !when.current(moves, n):
			t.Errorf("%s was accepted between %s and %s on release %d, which was current from %s to %s at most", name, when.before, when.after, n,
				moves[n].before, moves[min(n+1, len(moves)-1)].after)
		case schemas.AnswerText(e.Output) != want || l.said[name] != "" && l.said[name] != want:
			t.Errorf("%s on release %d answered %s and told %q", name, n, e.Output, l.said[name])
		}
		seen[n] = true
	}
	t.Logf("%d runs on %d of %d releases, and %d that were to come back", len(l.asks), len(seen), len(hashes), l.sent-len(l.asks))
	if len(l.asks) < l.sent*9/10 {
		t.Errorf("%d of %d runs were accepted", len(l.asks), l.sent)
	}
	if len(seen) < labelMoves/3 {
		t.Errorf("%d runs met %d of %d releases only", len(l.asks), len(seen), len(hashes))
	}
}
