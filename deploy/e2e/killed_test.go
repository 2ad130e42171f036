package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// kill is one loss of processes.
type kill struct {
	what  string        // worker, everything or index
	after int           // distinct texts that the model has seen before
	delay time.Duration // from then on
	at    time.Time     // just before it happened
	dead  time.Time     // just after
}

// recordTime is how long after its answer a call may still be unrecorded when the worker dies, on a busy machine.
const recordTime = 2 * time.Second

// TestKilled kills, ten times in the course of one ingestion, the worker with the gateway, or every process, or Weaviate, and brings
// them back on the same data. The ingestion must end by itself, with the index equal to the manifests and nothing paid twice.
func TestKilled(t *testing.T) {
	t.Parallel()
	h := open(t, options{models: modeltest.Options{Latency: 20 * time.Millisecond}})
	u := h.admin()
	corpus, size := largeCorpus(t)
	kills := plannedKills(t, size)
	started := u.detach(t, "killed", corpus, "--embedder", "openai/test-embed")
	for i := range kills {
		h.suffer(t, &kills[i], started)
	}
	found := u.finished(t, 4*time.Minute, "killed", started.Ingestion)
	if got := found.Report.Documents; got.Total != size || got.Added != size {
		t.Errorf("documents: %+v, want all %d added", got, size)
	}
	chunks := found.Report.Chunks.Total
	sameAsManifests(t, h, "default", "killed", chunks)
	foundByKeyword(t, u, corpus)
	paidOnce(t, h.models.history(), kills)
	if second := u.ingest(t, "killed", corpus); second.Documents.Unchanged != size || second.Embedding.Inputs != 0 {
		t.Errorf("the ingestion after it: %+v", second)
	}
	t.Logf("%d documents, %d chunks, %.0f s", size, chunks, found.Report.Seconds)
}

// largeCorpus is SciFact's where the test data is, and generated notes elsewhere.
func largeCorpus(t *testing.T) (path string, documents int) {
	t.Helper()
	data := os.Getenv("TENUTO_TESTDATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "shared", "data")
	}
	path, err := filepath.Abs(filepath.Join(data, "retrieval", "scifact", "corpus.jsonl"))
	if _, missing := os.Stat(path); err == nil && missing == nil {
		return path, 5183
	}
	t.Log("TENUTO_TESTDATA has no SciFact; ingesting generated notes")
	return notes(t, 1500), 1500
}

// foundByKeyword searches for the beginnings of every eighth document; Weaviate keeps what keywords find apart from its objects.
func foundByKeyword(t *testing.T, u user, corpus string) {
	t.Helper()
	file, err := os.ReadFile(corpus)
	if err != nil {
		t.Fatal(err)
	}
	var queries strings.Builder
	n := 0
	for line := range strings.Lines(string(file)) {
		if n++; n%8 != 0 {
			continue
		}
		document := decode[struct {
			ID    string `json:"_id"`
			Title string `json:"title"`
			Text  string `json:"text"`
		}](t, line)
		words := strings.Fields(document.Title + " " + document.Text)
		query, err := json.Marshal(map[string]string{"_id": document.ID, "text": strings.Join(words[:min(len(words), 24)], " ")})
		if err != nil {
			t.Fatal(err)
		}
		queries.Write(append(query, '\n'))
	}
	path := filepath.Join(t.TempDir(), "queries.jsonl")
	write(t, path, queries.String())
	found := decode[rest.Found](t, u.run(t, "search", "--queries", path, "-c", "killed", "--mode", "keyword", "--limit", "5", "--json"))
	short := 0
	for _, result := range found.Results {
		if len(result.Hits) < 5 {
			short++
		}
		if !slices.Contains(documents(result.Hits), result.ID) {
			t.Errorf("document %s is not found by the words that it begins with", result.ID)
		}
	}
	t.Logf("%d of %d searches found fewer than 5 chunks", short, len(found.Results))
}

// plannedKills spreads four kills of the worker, three of everything and three of Weaviate at random over the work.
func plannedKills(t *testing.T, documents int) []kill {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TENUTO_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatalf("TENUTO_SEED: %v", err)
		}
	}
	t.Logf("to repeat this: TENUTO_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var kills []kill
	for what, times := range map[string]int{"worker": 4, "everything": 3, "index": 3} {
		for range times {
			kills = append(kills, kill{what: what})
		}
	}
	slices.SortFunc(kills, func(a, b kill) int { return len(a.what) - len(b.what) }) // a map has no order to repeat
	random.Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
	points := make([]int, len(kills))
	for i := range points {
		points[i] = random.IntN(documents * 9 / 10)
	}
	slices.Sort(points)
	for i := range kills {
		kills[i].after, kills[i].delay = points[i], time.Duration(random.IntN(500))*time.Millisecond
	}
	return kills
}

// suffer waits for the moment of a kill, makes it happen, and brings back what it took.
func (h *house) suffer(t *testing.T, k *kill, started rest.Started) {
	t.Helper()
	await(t, 2*time.Minute, fmt.Sprintf("the model to have seen %d texts", k.after), func() bool { return h.models.distinct() >= k.after })
	moment := time.Now().Add(k.delay)
	await(t, time.Minute, "a random moment", func() bool { return time.Now().After(moment) })
	if found := h.admin().show(t, "killed", started.Ingestion); found.Status != rest.Running {
		t.Errorf("the ingestion ended before a kill: %s; there is too little work", found.Status)
	}
	t.Logf("at %d texts: kill %s", h.models.distinct(), k.what)
	victims := map[string][]*process{
		"worker": {h.worker}, "index": {h.weaviate.process}, "everything": {h.worker, h.servers.process, h.weaviate.process},
	}[k.what]
	k.at = time.Now()
	for _, p := range victims {
		p.kill()
	}
	k.dead = time.Now()
	switch k.what {
	case "worker":
		h.startWorker(t)
	case "index":
		h.start(t, h.weaviate)
	default:
		h.start(t, h.servers, h.weaviate)
		h.startWorker(t)
	}
}

// paidOnce requires that the model saw each text once, save those of calls that were under way or not yet recorded when the
// worker or the store was killed.
func paidOnce(t *testing.T, calls []call, kills []kill) {
	t.Helper()
	paid := map[string]*call{} // by text, the last call with it
	again, wrong := 0, 0
	for i := range calls {
		for _, text := range calls[i].inputs {
			if before := paid[text]; before != nil {
				again++
				if !before.cutBy(kills) {
					wrong++
				}
			}
			paid[text] = &calls[i]
		}
	}
	t.Logf("%d calls, %d texts, %d of them seen again after a kill", len(calls), len(paid), again)
	if wrong > 0 {
		t.Errorf("%d texts were paid for again without a kill in between", wrong)
	}
}

// cutBy reports whether a kill came between the start of the call and the moment when its answer was recorded for sure.
func (c *call) cutBy(kills []kill) bool {
	return slices.ContainsFunc(kills, func(k kill) bool {
		return k.what != "index" && k.dead.After(c.start) && (c.end.IsZero() || k.at.Before(c.end.Add(recordTime)))
	})
}
