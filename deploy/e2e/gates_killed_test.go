package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	gateCases       = 80
	gateConcurrency = 8 // of each worker
	gatedProduction = "/api/v1/chains/main/labels/production"
)

// gates is a label that requires a suite, over two workers with gateways that are killed.
type gates struct {
	gateways

	random  *rand.Rand
	admin   user
	kills   int      // of workers
	history []string // what was done to the label, oldest first: the kind of each entry and the release that it leaves
}

// TestGatesKilled moves a label that requires a suite while workers and gateways are killed: in the middle of the evaluation, and between its
// verdict and the move. The label moves once, and only where the suite passed; what was asked is not asked again, save what was in flight.
func TestGatesKilled(t *testing.T) {
	t.Parallel()
	g := &gates{random: seeded(t)}
	g.gateways = openGateways(t, 2, options{noIndex: true, models: modeltest.Options{Latency: 50 * time.Millisecond}})
	g.admin = g.gateways[0].admin()
	pack := g.pack(t, "Release")
	first, second := g.says(t, "Release 1"), g.says(t, "Release 2")
	for _, label := range []string{"production", "canary"} {
		g.admin.run(t, "label", "set", "main@"+label, first)
		g.require(t, label, pack)
	}
	g.did(t, "set "+first, "require "+first)

	g.whileItRuns(t, first, second)
	g.betweenVerdictAndMove(t, second)
	g.twoPeople(t, second)
	g.changedSuite(t, pack)

	stats := g.gateways[0].models.handler.Stats()
	again := -stats.Failed
	for _, times := range stats.Seen {
		again += times - 1
	}
	t.Logf("%d calls were made again after %d workers were killed", again, g.kills)
	if again > g.kills*2*gateConcurrency { // those under way, and as many whose answers had come a moment before and were not durable yet
		t.Errorf("%d calls were made again; at most those in flight may be", again)
	}
}

// pack keeps the suite: each answer has the word in it.
func (g *gates) pack(t *testing.T, word string) (hash string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("providers: ['chain:main']\ntests:\n")
	for n := range gateCases {
		fmt.Fprintf(&b, "  - {vars: {run: c%d}, assert: [{type: contains, value: %s}]}\n", n, word)
	}
	return g.gateways[0].keep(t, schemas.SuitePackage{
		Suite: "gate", File: "suite.yaml", Files: map[string][]byte{"suite.yaml": []byte(b.String())},
	}).SHA256
}

// bundle is a chain that says a text of each case.
func (g *gates) bundle(text string) schemas.Bundle {
	models := schemas.Models{
		Providers: map[string]schemas.ProviderDef{"slow": {
			Driver: schemas.DriverOpenAI, BaseURL: g.gateways[0].modelURL, KeyEnv: "OPENAI_API_KEY", Limits: schemas.RateDef{Concurrency: gateConcurrency},
		}},
		Models: map[string]schemas.ModelDef{"one": {Provider: "slow", Model: modeltest.ChatModel, Prices: &schemas.PriceDef{Input: 1, Output: 2}}},
	}
	return oneChain(models, map[string]string{"say": text + " of {{run}}"}, schemas.ChainDef{Input: namedRun, Output: "steps.a.text", Steps: []schemas.StepDef{{
		ID: "a", Generate: &schemas.GenerateDef{Prompt: "say", Model: "one", With: map[string]string{"run": "input.run"}},
	}}})
}

func (g *gates) says(t *testing.T, text string) (release string) {
	t.Helper()
	return g.admin.release(t, g.bundle(text)).Hash
}

func (g *gates) require(t *testing.T, label, pack string) {
	t.Helper()
	g.admin.run(t, "label", "require", "main@"+label, "--package", "gate@"+pack)
}

// die kills some of the workers with their gateways, and starts others in their place.
func (g *gates) die(t *testing.T, places ...int) {
	t.Helper()
	for _, place := range places {
		g.gateways[place].worker.kill()
		g.kills++
	}
	for _, place := range places {
		g.gateways[place].begin(t)
	}
}

// points requires that a label points to a release.
func (g *gates) points(t *testing.T, label, release string) {
	t.Helper()
	_, body := g.admin.http(t, http.MethodGet, "/api/v1/chains/main/labels/"+label, "")
	if found := decode[rest.Label](t, body); found.Release != release {
		t.Errorf("the label %s points to %s, want %s", label, found.Release, release)
	}
}

// did requires that this was done to the label since the last time, and nothing else, and returns the entries, oldest first.
func (g *gates) did(t *testing.T, what ...string) []rest.LabelEntry {
	t.Helper()
	_, body := g.admin.http(t, http.MethodGet, gatedProduction+"/history?limit=200", "")
	items := decode[rest.Page[rest.LabelEntry]](t, body).Items
	var entries []rest.LabelEntry
	var got []string
	for i := len(items) - 1 - len(g.history); i >= 0; i-- {
		entries, got = append(entries, items[i]), append(got, string(items[i].Kind)+" "+items[i].Release)
	}
	if strings.Join(got, "\n") != strings.Join(what, "\n") {
		t.Fatalf("done to the label was\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(what, "\n"))
	}
	g.history = append(g.history, got...)
	return entries
}

// calls counts what the model was asked.
func (g *gates) calls() int { return g.gateways[0].models.handler.Stats().Chats }

// asked waits for so many calls more.
func (g *gates) asked(t *testing.T, before, more int) {
	t.Helper()
	await(t, startLimit, "more cells to be asked for", func() bool { return g.calls() >= before+more })
}

// waiting is a command line that waits for a move.
type waiting struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

func (g *gates) set(t *testing.T, u user, label, release string) *waiting {
	t.Helper()
	w := &waiting{cmd: u.command("label", "set", "main@"+label, release, "--why", "better")}
	w.cmd.Stdout, w.cmd.Stderr = &w.stdout, &w.stderr
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	return w
}

// ends waits for the end of the command, and returns its status.
func (w *waiting) ends(t *testing.T) int {
	t.Helper()
	timer := time.AfterFunc(2*time.Minute, func() { _ = w.cmd.Process.Kill() })
	defer timer.Stop()
	_ = w.cmd.Wait() // the status says it
	return w.cmd.ProcessState.ExitCode()
}

// whileItRuns moves one label to a release that passes and another one to a release that fails, kills both workers, and then the one with the gateway
// that the commands wait at, and has another command join as somebody does whose connection was lost.
func (g *gates) whileItRuns(t *testing.T, first, second string) {
	t.Helper()
	passes, fails := g.set(t, g.admin, "production", second), g.set(t, g.admin, "canary", g.says(t, "Refusal"))
	for kill, places := range [][]int{{0, 1}, {0}} {
		g.asked(t, 0, gateCases*(kill+1))
		g.die(t, places...)
		g.points(t, "production", first)
		g.points(t, "canary", first)
	}
	again := g.set(t, user{g.gateways[1].house, g.admin.key}, "production", second)
	for _, w := range []*waiting{passes, again} {
		if status := w.ends(t); status != 0 || !strings.Contains(w.stdout.String(), "main@production is "+second) {
			t.Errorf("status %d: %s%s", status, w.stdout.String(), w.stderr.String())
		}
	}
	fails.refused(t)
	g.points(t, "canary", first)
	entry := g.did(t, "set "+second)[0]
	if entry.Gate == nil || len(entry.Gate.Evals) != 1 || entry.Gate.Evals[0].Ruling != schemas.RulingPassed || entry.Gate.Release != second {
		t.Errorf("moved by %+v", entry.Gate)
	}
	runs := g.admin.evals(t, "gate")
	if len(runs) != 2 || slices.ContainsFunc(runs, func(r rest.Eval) bool { return r.Summary == nil || r.Summary.Baseline != first }) {
		t.Errorf("runs of the suite: %+v", runs)
	}
}

// refused requires that the command ends because the suite has failed.
func (w *waiting) refused(t *testing.T) {
	t.Helper()
	if status := w.ends(t); status != 3 || !strings.Contains(w.stdout.String(), "suite gate is failed") {
		t.Errorf("status %d: %s%s", status, w.stdout.String(), w.stderr.String())
	}
}

// evals are the runs of a suite, the latest first.
func (u user) evals(t *testing.T, suite string) []rest.Eval {
	t.Helper()
	_, body := u.http(t, http.MethodGet, "/api/v1/evals/"+suite+"/runs", "")
	return decode[rest.Page[rest.Eval]](t, body).Items
}

// betweenVerdictAndMove has nobody ask for the verdict before all gateways are gone, and kills the one that is asked to move the label while it does.
func (g *gates) betweenVerdictAndMove(t *testing.T, stays string) {
	t.Helper()
	third := g.says(t, "Release 3")
	data, _ := json.Marshal(rest.MoveLabel{Release: third, Expect: stays})
	for round := range 2 {
		before := g.calls()
		g.judged(t, string(data))
		if more := g.calls() - before; round > 0 && more > 0 {
			t.Errorf("%d calls were made for cells that are known", more)
		}
		if round == 0 {
			g.die(t, 0, 1)
		}
		g.points(t, "production", stays)
		g.killedMove(t, string(data))
		g.admin.run(t, "label", "set", "main@production", "--undo") // which waits for nothing
		g.did(t, "set "+third, "undo "+stays)
	}
}

// judged starts what decides about a move, and waits for the verdict without asking for the move again.
func (g *gates) judged(t *testing.T, body string) (id string) {
	t.Helper()
	status, answer := g.admin.http(t, http.MethodPost, gatedProduction+"/moves", body)
	if status != http.StatusAccepted {
		t.Fatalf("status %d: %s", status, answer)
	}
	id = decode[rest.Label](t, answer).Waiting[0].ID
	await(t, startLimit, "the verdict", func() bool {
		runs := g.admin.evals(t, "gate")
		return runs[0].ID == id && runs[0].Summary != nil
	})
	return id
}

// killedMove asks for a move, kills the gateway at that moment, and asks until it is told of the move.
func (g *gates) killedMove(t *testing.T, body string) {
	t.Helper()
	var asking sync.WaitGroup
	asking.Go(func() { _, _ = g.admin.attempt(t.Context(), gatedProduction+"/moves", "", body) }) // what becomes of it is seen below
	time.Sleep(time.Duration(g.random.IntN(25)) * time.Millisecond)
	g.die(t, 0)
	asking.Wait()
	await(t, time.Minute, "the label to move", func() bool {
		status, answer := g.admin.http(t, http.MethodPost, gatedProduction+"/moves", body)
		if status != http.StatusOK && status != http.StatusAccepted {
			t.Fatalf("status %d: %s", status, answer)
		}
		return status == http.StatusOK
	})
}

// twoPeople move the label at once, to two releases that both pass. One of them is told that the label has moved. The model is down for a moment, so
// that neither is through before the other has begun.
func (g *gates) twoPeople(t *testing.T, from string) {
	t.Helper()
	keys := make([]user, 2)
	for i := range keys {
		created := decode[rest.CreatedKey](t, g.admin.run(t, "keys", "create", "--role", "operator", "--name", fmt.Sprintf("person-%d", i), "--json"))
		keys[i] = user{g.gateways[i].house, created.Token}
	}
	releases := []string{g.says(t, "Release 4"), g.says(t, "Release 5")}
	down := make([]modeltest.Failure, 2*gateConcurrency)
	for i := range down {
		down[i].Status = http.StatusServiceUnavailable
	}
	g.gateways[0].models.handler.Fail(down...)
	commands := []*waiting{g.set(t, keys[0], "production", releases[0]), g.set(t, keys[1], "production", releases[1])}
	statuses := []int{commands[0].ends(t), commands[1].ends(t)}
	won := 0
	if statuses[1] == 0 {
		won = 1
	}
	if statuses[won] != 0 || statuses[1-won] != 1 || !strings.Contains(commands[1-won].stderr.String(), "points to "+schemas.ShortRelease(releases[won])) {
		t.Errorf("statuses %v: %s%s", statuses, commands[0].stderr.String(), commands[1].stderr.String())
	}
	g.did(t, "set "+releases[won])
	g.admin.run(t, "label", "set", "main@production", "--undo")
	g.did(t, "undo "+from)
}

// changedSuite has the label require another package while the suite runs: what counts is what is required when the label moves.
func (g *gates) changedSuite(t *testing.T, pack string) {
	t.Helper()
	sixth := g.says(t, "Release 6")
	stays := g.history[len(g.history)-1][len("undo "):]
	id := g.judged(t, `{"release":"`+sixth+`"}`)
	g.require(t, "production", g.pack(t, "Perfection"))
	move := rest.MoveLabel{Release: sixth, Expect: stays, Waited: []string{id}}
	await(t, time.Minute, "the other package to refuse the move", func() bool {
		data, _ := json.Marshal(move)
		status, body := g.admin.http(t, http.MethodPost, gatedProduction+"/moves", string(data))
		switch {
		case status == http.StatusAccepted:
			move.Waited = []string{decode[rest.Label](t, body).Waiting[0].ID}
		case status != http.StatusUnprocessableEntity || !strings.Contains(body, "suite gate is failed"):
			t.Fatalf("status %d: %s", status, body)
		}
		return status == http.StatusUnprocessableEntity
	})
	g.did(t, "require "+stays)
	g.require(t, "production", pack)
	if status := g.set(t, g.admin, "production", sixth).ends(t); status != 0 {
		t.Errorf("status %d", status)
	}
	entries := g.did(t, "require "+stays, "set "+sixth)
	if gate := entries[1].Gate; gate == nil || gate.Evals[0].Package != pack {
		t.Errorf("moved by %+v", gate)
	}
}
