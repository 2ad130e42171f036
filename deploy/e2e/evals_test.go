package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	sdk "go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// askedSuite is a suite of so many cases over the test model, which repeats what it is told: every cell passes.
func askedSuite(cases int, models ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "prompts: ['Repeat {{word}}']\nproviders: [%s]\ntests:\n", strings.Join(models, ", "))
	for n := range cases {
		fmt.Fprintf(&b, "  - {vars: {word: w%d}, assert: [{type: contains, value: w%[1]d}]}\n", n)
	}
	return b.String()
}

// suiteOf packs a suite whose models are served by the house's endpoint, so many calls at once.
func (h *house) suiteOf(t *testing.T, name, text string, concurrency int) schemas.Ref {
	t.Helper()
	limits := schemas.RateDef{Concurrency: concurrency}
	price := &schemas.PriceDef{Input: 1, Output: 2}
	p := schemas.SuitePackage{
		Suite: name, File: "suite.yaml", Files: map[string][]byte{"suite.yaml": []byte(text)},
		Models: schemas.Models{
			Providers: map[string]schemas.ProviderDef{"slow": {Driver: schemas.DriverOpenAI, BaseURL: h.modelURL, KeyEnv: "OPENAI_API_KEY", Limits: limits}},
			Models: map[string]schemas.ModelDef{
				"one": {Provider: "slow", Model: modeltest.ChatModel, Prices: price},
				"two": {Provider: "slow", Model: modeltest.ChatModel, Prices: price},
			},
		},
	}
	return h.keep(t, p)
}

// keep stores a package.
func (h *house) keep(t *testing.T, p schemas.SuitePackage) schemas.Ref {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	ref := schemas.Ref{Key: schemas.SuitePackageKey("default", p.Suite, schemas.Hash(data)), SHA256: schemas.Hash(data), Bytes: int64(len(data))}
	if err := h.store(t).Put(t.Context(), ref.Key, data); err != nil {
		t.Fatal(err)
	}
	return ref
}

// evaluation starts a run of a suite.
func (h *house) evaluation(t *testing.T, in schemas.EvalRequest) sdk.WorkflowRun {
	t.Helper()
	now := time.Now()
	in.Tenant, in.StartMS = "default", now.UnixMilli()
	in.ID = schemas.EvalIDAt(in.StartMS, fmt.Sprint(now.UnixNano()))
	run, err := h.temporal(t).ExecuteWorkflow(t.Context(), sdk.StartWorkflowOptions{
		ID: schemas.EvalID(in.Tenant, in.Suite, in.ID), TaskQueue: schemas.QueueEval, WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
	}, schemas.Evaluate.Name(), in)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func ended(t *testing.T, run sdk.WorkflowRun) (s schemas.EvalSummary) {
	t.Helper()
	if err := run.Get(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEvalMatrix runs a suite of 1,000 cases over two models with 100 ms of latency and 32 calls at once, and again with nothing changed. How long it
// takes by the ideal is told and not judged: other tests run beside it. make bench judges it.
func TestEvalMatrix(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true, models: modeltest.Options{Latency: 100 * time.Millisecond}})
	pack := h.suiteOf(t, "matrix", askedSuite(1000, "model:one", "model:two"), 32)
	start := time.Now()
	s := ended(t, h.evaluation(t, schemas.EvalRequest{Suite: "matrix", Package: pack}))
	took := time.Since(start)
	ideal := 2000 * 100 * time.Millisecond / 32
	t.Logf("took %v, ideal %v: %.2f", took, ideal, took.Seconds()/ideal.Seconds())
	if s.Ruling != schemas.RulingPassed || s.Counts.Passed != 2000 {
		t.Errorf("%+v", s)
	}
	calls := h.models.handler.Stats().Chats
	start = time.Now()
	again := ended(t, h.evaluation(t, schemas.EvalRequest{Suite: "matrix", Package: pack}))
	t.Logf("again %v: %.4f of the first", time.Since(start), time.Since(start).Seconds()/took.Seconds())
	if again.Ruling != schemas.RulingPassed || again.Reused != 2000 || h.models.handler.Stats().Chats != calls || calls != 2000 {
		t.Errorf("%+v, %d calls then %d", again, calls, h.models.handler.Stats().Chats)
	}
}

// uneven is a suite of so many cases under two prompts, so that every cell is a call of its own; every seventh case fails.
func uneven(cases int) string {
	var b strings.Builder
	b.WriteString("prompts: ['Repeat {{word}}', 'Please repeat {{word}}']\nproviders: ['model:one']\npolicy: {thresholds: [{pass_rate: 0.8}]}\ntests:\n")
	for n := range cases {
		want := fmt.Sprintf("w%d", n)
		if n%7 == 0 {
			want = "something else"
		}
		fmt.Fprintf(&b, "  - {metadata: {id: c%d}, vars: {word: w%[1]d}, assert: [{type: contains, value: %s}]}\n", n, want)
	}
	return b.String()
}

// TestEvalKilled kills the worker five times while it runs a suite. The verdict is that of a run that nobody killed, and only calls in flight at a
// kill are made again.
func TestEvalKilled(t *testing.T) {
	t.Parallel()
	const cases, kills, concurrency = 400, 5, 16
	h := open(t, options{noIndex: true, models: modeltest.Options{Latency: 100 * time.Millisecond}})
	pack := h.suiteOf(t, "killed", uneven(cases), concurrency)
	run := h.evaluation(t, schemas.EvalRequest{Suite: "killed", Package: pack})
	for kill := range kills {
		calls := 2 * cases * (kill + 1) / (kills + 1)
		await(t, startLimit, "more cells to be asked for", func() bool { return h.models.handler.Stats().Chats >= calls })
		h.worker.kill()
		h.startWorker(t)
	}
	s := ended(t, run)
	failed := 2 * ((cases + 6) / 7)
	if s.Counts != (schemas.CellCounts{Passed: 2*cases - failed, Failed: failed}) || s.Ruling != schemas.RulingPassed {
		t.Errorf("%+v", s)
	}
	again := 0
	for _, times := range h.models.handler.Stats().Seen {
		again += times - 1
	}
	t.Logf("%d calls were made again after %d kills", again, kills)
	if again > kills*2*concurrency { // those under way, and as many whose answers had come a moment before and were not durable yet
		t.Errorf("%d calls were made again; at most those in flight may be", again)
	}
}

// TestEvalWithFailures has one call in twenty fail for good: no gate passes, and the score is not higher for it.
func TestEvalWithFailures(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true, models: modeltest.Options{ContextTokens: 50}})
	words := func(n int) string {
		if n%20 == 0 {
			return strings.Repeat("too long ", 40)
		}
		return fmt.Sprintf("w%d", n)
	}
	var b strings.Builder
	b.WriteString("prompts: ['Repeat {{word}}']\nproviders: ['model:one']\npolicy: {thresholds: [{pass_rate: 0.9}]}\ntests:\n")
	for n := range 200 {
		fmt.Fprintf(&b, "  - {vars: {word: %q}, assert: [{type: contains, value: w}]}\n", words(n))
	}
	s := ended(t, h.evaluation(t, schemas.EvalRequest{Suite: "failing", Package: h.suiteOf(t, "failing", b.String(), 16)}))
	if s.Ruling == schemas.RulingPassed || s.Counts.Errored != 10 || s.PassRate > 0.95 || s.Score > 0.95 {
		t.Errorf("%+v", s)
	}
	if len(s.Reasons) == 0 || s.Counts.Passed != 190 {
		t.Errorf("%+v", s)
	}
}

// TestEvalHistory runs 10,000 cells: the history of no workflow is long.
func TestEvalHistory(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	pack := h.suiteOf(t, "large", askedSuite(5000, "echo", "{id: echo, label: again}"), 16)
	run := h.evaluation(t, schemas.EvalRequest{Suite: "large", Package: pack})
	s := ended(t, run)
	events := 0
	history := h.temporal(t).GetWorkflowHistory(t.Context(), run.GetID(), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		if _, err := history.Next(); err != nil {
			t.Fatal(err)
		}
		events++
	}
	t.Logf("%d cells, %d events", s.Cells, events)
	if s.Counts.Passed != 10_000 || events >= 4000 {
		t.Errorf("%d events, %+v", events, s)
	}
}
