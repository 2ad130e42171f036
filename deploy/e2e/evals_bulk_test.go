package e2e

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/batchtest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// bulkSuite packs a suite of the test models of both vendors, whose servers take batches.
func (h *house) bulkSuite(t *testing.T, url string, cases int) schemas.Ref {
	t.Helper()
	return h.bulkPack(t, url, askedSuite(cases, "model:g", "model:c"))
}

// bulkPack packs a suite over these models.
func (h *house) bulkPack(t *testing.T, url, text string) schemas.Ref {
	t.Helper()
	return h.keep(t, schemas.SuitePackage{
		Suite: "bulk", File: "suite.yaml", Files: map[string][]byte{"suite.yaml": []byte(text)},
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
	})
}

// gradedSuite has each answer graded by the model that gave it.
func gradedSuite(cases int) string {
	return strings.Replace(askedSuite(cases, "model:g"), "tests:", "defaultTest: {assert: [{type: llm-rubric, value: it is an answer, provider: 'model:g'}]}\ntests:", 1)
}

// graded are replies to the calls of a graded suite in batches: the answers, then the verdicts.
func graded(cases int) []model.Response {
	var words strings.Builder // of all cases: rows come in an order of their own
	for n := range cases {
		fmt.Fprintf(&words, "w%d ", n)
	}
	var replies []model.Response
	for n := range 2 * cases {
		reply := model.Response{Text: words.String(), Usage: schemas.Usage{InputTokens: 20, OutputTokens: 4}}
		if n >= cases {
			reply.Text = `{"reason": "it is one", "score": 1, "pass": true}`
		}
		replies = append(replies, reply)
	}
	return replies
}

// TestEvalGradersInBatches has what graders are asked ordered in batches too, once the answers are there, though the worker is killed between the order
// and its end. A row that its provider fails at is ordered again alone.
func TestEvalGradersInBatches(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	const cases = 30
	fake := batchtest.NewHandler(batchtest.Options{Delay: 10 * time.Second, Replies: graded(cases), Fate: func(order, n int) batchtest.Fate {
		if order == 1 && n == 3 {
			return batchtest.Failing
		}
		return batchtest.Answered
	}})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	run := h.evaluation(t, schemas.EvalRequest{Suite: "bulk", Package: h.bulkPack(t, server.URL, gradedSuite(cases)), Bulk: true})
	await(t, 2*time.Minute, "the order of graders", func() bool { return fake.Stats().Batches == 2 })
	h.worker.kill()
	h.startWorker(t)
	s, stats := ended(t, run), fake.Stats()
	if s.Ruling != schemas.RulingPassed || s.Counts.Passed != cases || stats.Singles != 0 || stats.Orders != 3 || stats.Answered != 2*cases {
		t.Errorf("%+v\n%+v", s, stats)
	}
	if full := (100*float64(s.Usage.InputTokens) + 200*float64(s.Usage.OutputTokens)) / 1e6; s.Usage.Calls != 2*cases || s.Cost.USD < full/2*0.999 || s.Cost.USD > full/2*1.001 {
		t.Errorf("usage %+v cost %v US dollars, %v one by one", s.Usage, s.Cost.USD, full)
	}
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
