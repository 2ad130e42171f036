package console_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

// noon is the time at which the tests' consoles are looked at.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// idOf is an id made at a time, as version 7 of UUIDs has it.
func idOf(at time.Time, n int) string {
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return fmt.Sprintf("%s-%s-7%03x-8%03x-%012x", ms[:8], ms[8:], n&0xfff, n>>12&0xfff, n)
}

// hostile is what a model may answer to take over a page, a terminal or a reader.
const hostile = "<script>alert(1)</script><svg onload=alert(2)><style>body{display:none}</style><img src=x onerror=alert(3)>" +
	"</pre></main><a href=\"javascript:alert(4)\">x</a> \u202egnp.exe\u2066 \x1b[2J\x1b[31mred\x07 \u200b\U000e0041 {{.}} &amp; \" ' ` \xff end"

type house struct {
	*gatewaytest.Server
	t testing.TB
}

func open(t testing.TB, change ...func(*gateway.Deps)) house {
	t.Helper()
	return house{gatewaytest.Start(t, func(d *gateway.Deps) {
		d.Now = func() time.Time { return noon }
		for _, f := range change {
			f(d)
		}
	}), t}
}

func (h house) put(e schemas.Exchange) {
	h.t.Helper()
	data, err := json.Marshal(e)
	if err == nil {
		err = h.Store.Put(h.t.Context(), schemas.RunKey(e.Tenant, e.RunID, time.UnixMilli(e.StartMS)), data)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h house) judge(e schemas.Exchange, f schemas.Feedback) {
	h.t.Helper()
	f.RunID, f.Key = e.RunID, "00000000cafe"
	data, err := json.Marshal(f)
	if err == nil {
		err = h.Store.Put(h.t.Context(), schemas.FeedbackKey(e.Tenant, e.RunID, time.UnixMilli(e.StartMS), f.ID), data)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func quote(text string) json.RawMessage {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return data
}

// plain is a run of one step that asked and was answered.
func plain(n int, before time.Duration, question, answer string) schemas.Exchange {
	at := noon.Add(-before)
	cost := 0.00042
	start := at.UnixMilli()
	return schemas.Exchange{
		RunID: idOf(at, n), Tenant: "default", Chain: "docs-qa", Status: schemas.RunDone, StartMS: start, TookMS: 840, Lane: true,
		Input:  json.RawMessage(`{"question":` + string(quote(question)) + `}`),
		Output: json.RawMessage(`{"text":` + string(quote(answer)) + `}`),
		Usage:  schemas.Usage{Calls: 1, InputTokens: 1200, OutputTokens: 85}, Cost: schemas.Cost{USD: cost},
		Steps: []schemas.ExchangeStep{{
			ID: "answer", Kind: schemas.StepGenerate, Output: json.RawMessage(`{"text":` + string(quote(answer)) + `}`),
			Details: []schemas.StepDetail{{StartMS: start + 20, TookMS: 815, Calls: []schemas.CallDetail{{
				Purpose: "answer", Model: "gpt", Target: "openai/gpt-5-mini", Answered: "gpt-5-mini-2026-01-01", Finish: "stop", TookMS: 800, Cost: &cost,
				Usage:    schemas.Usage{Calls: 1, InputTokens: 1200, OutputTokens: 85},
				Request:  json.RawMessage(`{"model":"gpt-5-mini","messages":[{"role":"system","text":"Answer from the passages."},{"role":"user","text":` + string(quote(question)) + `}],"max_tokens":400}`),
				Response: json.RawMessage(`{"text":` + string(quote(answer)) + `,"model":"gpt-5-mini-2026-01-01","finish":"stop","usage":{"calls":1,"input_tokens":1200,"output_tokens":85}}`),
			}}}},
		}},
	}
}

// rich is a run in which there is something of everything.
func rich() schemas.Exchange {
	e := plain(1, 3*time.Minute, "How long are the logs of the gateway kept, and who may delete them before that?", "Logs are kept for ninety days [1]. Only an admin may delete them earlier [2].")
	e.Chain, e.Status, e.TookMS, e.Lane, e.Retries = "support-triage", schemas.RunFailed, 9300, false, 1
	e.Release, e.Label = "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0", "production"
	e.Failure = &schemas.StepError{Code: schemas.MalformedOutput, Message: "step sum: the output lacks total"}
	e.Cost, e.Usage = schemas.Cost{USD: 0.0031425, Unknown: 1}, schemas.Usage{Calls: 5, InputTokens: 12345, OutputTokens: 410, CachedTokens: 1024, ReasoningTokens: 64}
	start := e.StartMS
	hits, _ := json.Marshal(map[string]any{"hits": []schemas.Hit{
		{Rank: 1, Score: 0.8312, Document: "retention.md", Section: "Logs > Gateway", Text: "Logs of the gateway are kept for ninety days and are then removed by a nightly job."},
		{Rank: 2, Score: 0.5521, Document: "roles.md", Section: "Admin", Text: "An admin may delete logs before their time is over. The deletion itself is logged."},
	}})
	answer := e.Steps[0]
	answer.Details[0].StartMS, answer.Details[0].TookMS = start+420, 2600
	answer.Details[0].Cuts = []schemas.Cut{{Section: "history", Item: "message 2", Tokens: 1200, Reason: "the history may have 4000 tokens"}}
	none := 0.0
	answer.Details[0].Calls = append([]schemas.CallDetail{{
		Purpose: "answer", Model: "big", Target: "openai/gpt-big", WaitedMS: 1300, Failure: &schemas.StepError{Code: schemas.RateLimited, Message: "openai is over its limits"},
	}}, answer.Details[0].Calls...)
	e.Steps = []schemas.ExchangeStep{
		{ID: "load", Kind: schemas.StepTool, Output: json.RawMessage(`"text"`)},
		{ID: "find", Kind: schemas.StepRetrieve, Output: hits, Details: []schemas.StepDetail{{
			StartMS: start + 5, TookMS: 410, Queries: []string{"How long are logs kept?", "log retention gateway"}, Hits: 2,
			Calls: []schemas.CallDetail{{Purpose: "rerank", Model: "order", Target: "jina/order-1", TookMS: 90, Usage: schemas.Usage{Calls: 1, InputTokens: 900}}},
		}}},
		answer,
		{ID: "which", Kind: schemas.StepBranch, Chosen: []string{"each"}, Details: []schemas.StepDetail{{StartMS: start + 3030, TookMS: 0.4}}},
		{ID: "rest", Kind: schemas.StepGenerate, Skipped: true},
	}
	for i := range 30 {
		step := schemas.ExchangeStep{
			Path: fmt.Sprintf("each[%d]/", 29-i), ID: "look", Kind: schemas.StepTool,
			Details: []schemas.StepDetail{{StartMS: start + 3050 + int64(29-i)*90, TookMS: 300, HTTP: &schemas.HTTPDetail{Method: "GET", URL: "https://example.com/a", Status: 200}}},
		}
		if i == 1 {
			step.Failure = &schemas.StepError{Code: schemas.Deadline, Message: "it took too long"}
		}
		e.Steps = append(e.Steps, step)
	}
	e.Steps = append(e.Steps,
		schemas.ExchangeStep{ID: "each", Kind: schemas.StepMap, Details: []schemas.StepDetail{{StartMS: start + 3040, TookMS: 1}}},
		schemas.ExchangeStep{ID: "sum", Kind: schemas.StepGenerate, Failure: e.Failure, Details: []schemas.StepDetail{
			{StartMS: start + 6100, TookMS: 1400, Retries: 2, Repairs: []string{"a comma too many"}, Calls: []schemas.CallDetail{
				{Purpose: "answer", Model: "small", Target: "openai/gpt-small", Cached: true, Finish: "stop", Cost: &none, Usage: schemas.Usage{Calls: 1}},
			}},
			{Turn: 1, StartMS: start + 7600, TookMS: 1690, Calls: []schemas.CallDetail{
				{Purpose: "repair", Model: "small", Target: "openai/gpt-small", Ambiguous: true, Finish: "length", TookMS: 1600, Usage: schemas.Usage{Calls: 1, InputTokens: 10245, OutputTokens: 325}},
			}},
		}},
	)
	e.Output = nil
	return e
}

// evil is a run whose every text is hostile.
func evil() schemas.Exchange {
	e := plain(2, 2*time.Minute, hostile, hostile)
	e.Failure = &schemas.StepError{Code: schemas.MalformedOutput, Message: hostile}
	e.Status, e.Release, e.Label = schemas.RunFailed, hostile, hostile
	e.Steps[0].ID, e.Steps[0].Chosen = hostile, []string{hostile}
	d := &e.Steps[0].Details[0]
	d.Queries, d.Repairs = []string{hostile}, []string{hostile}
	d.Cuts = []schemas.Cut{{Section: hostile, Item: hostile, Reason: hostile}}
	d.HTTP = &schemas.HTTPDetail{Method: hostile, URL: "javascript:" + hostile, Status: 200}
	d.Calls[0].Model, d.Calls[0].Answered, d.Calls[0].Fingerprint, d.Calls[0].Finish = hostile, hostile, hostile, hostile
	e.Steps = append(e.Steps, schemas.ExchangeStep{
		ID: "find", Kind: schemas.StepRetrieve, Details: []schemas.StepDetail{{StartMS: e.StartMS, TookMS: 1}},
		Output: json.RawMessage(`{"hits":[{"rank":1,"document":` + string(quote(hostile)) + `,"section":` + string(quote(hostile)) + `,"text":` + string(quote(hostile)) + `}]}`),
	})
	return e
}

// plant stores some runs for people to look at.
func (h house) plant() {
	h.t.Helper()
	questions := []string{
		"What happens when you send to a closed channel?", "When are deferred functions executed?", "Wie groß darf ein Dokument sein?",
		"What does recover return?", "Which roles may delete a collection?", "How do I rotate an API key?",
	}
	for i, q := range questions {
		e := plain(100+i, time.Duration(20+7*i)*time.Minute, q, "It depends. "+strings.Repeat("See the handbook. ", i))
		if i == 2 {
			e.Cost = schemas.Cost{Unknown: 1}
		}
		h.put(e)
		if i%2 == 0 {
			score := float64(i) / 4
			h.judge(e, schemas.Feedback{ID: "f1", Name: "helpful", Score: &score, At: noon, User: "ada"})
		}
	}
	r := rich()
	h.put(r)
	score := 1.0
	h.judge(r, schemas.Feedback{ID: "f1", Name: "helpful", Score: &score, At: noon.Add(-time.Hour), User: "ada"})
	zero := 0.0
	h.judge(r, schemas.Feedback{ID: "f2", Name: "helpful", Score: &zero, At: noon, User: "ada", Comment: "It named the wrong role.\nSee roles.md."})
	h.judge(r, schemas.Feedback{ID: "f3", Name: "refund", Label: "avoided", At: noon, HappenedAt: &noon})
	h.put(evil())
}
