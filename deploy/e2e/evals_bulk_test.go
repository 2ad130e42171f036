package e2e

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/tenuto-dev/tenuto/activities/provider/model/batchtest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// bulkSuite packs a suite of the test models of both vendors, whose servers take batches.
func (h *house) bulkSuite(t *testing.T, url string, cases int) schemas.Ref {
	t.Helper()
	p := schemas.SuitePackage{
		Suite: "bulk", File: "suite.yaml", Files: map[string][]byte{"suite.yaml": []byte(askedSuite(cases, "model:g", "model:c"))},
		Models: schemas.Models{
			Providers: map[string]schemas.ProviderDef{
				"gpt":    {Driver: schemas.DriverOpenAI, BaseURL: url + "/v1", KeyEnv: "OPENAI_API_KEY"},
				"claude": {Driver: schemas.DriverAnthropic, BaseURL: url + "/v1", KeyEnv: "OPENAI_API_KEY"},
			},
			Models: map[string]schemas.ModelDef{
				"g": {Provider: "gpt", Model: modeltest.ChatModel, Prices: &schemas.PriceDef{Input: 100, Output: 200}},
				"c": {Provider: "claude", Model: batchtest.ClaudeModel, Prices: &schemas.PriceDef{Input: 100, Output: 200}},
			},
		},
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	ref := schemas.Ref{Key: schemas.SuitePackageKey("default", "bulk", schemas.Hash(data)), SHA256: schemas.Hash(data), Bytes: int64(len(data))}
	if err := h.store(t).Put(t.Context(), ref.Key, data); err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestEvalInBatches kills the worker between the order of batches and their end: each row is ordered and paid for once, at half the price, but the
// one that its provider failed at, which is ordered again alone.
func TestEvalInBatches(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	fake := batchtest.NewHandler(batchtest.Options{Delay: 15 * time.Second, Fate: func(order, n int) batchtest.Fate {
		if order < 2 && n == 7 {
			return batchtest.Failing
		}
		return batchtest.Answered
	}})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	const cases = 40
	pack := h.bulkSuite(t, server.URL, cases)
	run := h.evaluation(t, schemas.EvalRequest{Suite: "bulk", Package: pack, Bulk: true})
	for deadline := time.Now().Add(time.Minute); fake.Stats().Batches < 2; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no batches were ordered: %+v", fake.Stats())
		}
	}
	h.worker.kill()
	h.startWorker(t)
	s := ended(t, run)
	stats := fake.Stats()
	if s.Ruling != schemas.RulingPassed || s.Counts.Passed != 2*cases || stats.Singles != 0 || stats.Batches != 4 || stats.Orders != 4 || stats.Answered != 2*cases {
		t.Errorf("%+v\n%+v", s, stats)
	}
	for id, times := range stats.Rows {
		if times > 2 {
			t.Errorf("row %s was ordered %d times", id, times)
		}
	}
	full := (100*float64(s.Usage.InputTokens) + 200*float64(s.Usage.OutputTokens)) / 1e6
	if s.Usage.Calls != 2*cases || s.Cost.USD < full/2*0.999 || s.Cost.USD > full/2*1.001 {
		t.Errorf("usage %+v cost %v US dollars, %v one by one", s.Usage, s.Cost.USD, full)
	}
	for column := range 2 {
		id := schemas.BulkID("default", schemas.EvalBulkID(schemas.ColumnRequest{Run: schemas.EvalRun{ID: s.ID}, Column: column}, 0))
		if events := h.eventsOf(t, id); events > 100 {
			t.Errorf("%s has %d events", id, events)
		}
	}
	again := ended(t, h.evaluation(t, schemas.EvalRequest{Suite: "bulk", Package: pack, Bulk: true}))
	if again.Ruling != schemas.RulingPassed || again.Reused != 2*cases || fake.Stats().Orders != stats.Orders {
		t.Errorf("again %+v\n%+v", again, fake.Stats())
	}
}

// eventsOf counts the history of a workflow.
func (h *house) eventsOf(t *testing.T, id string) (n int) {
	t.Helper()
	events := h.temporal(t).GetWorkflowHistory(t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		if _, err := events.Next(); err != nil {
			t.Fatal(fmt.Errorf("the history of %s: %w", id, err))
		}
		n++
	}
	return n
}
