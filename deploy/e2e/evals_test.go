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
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	ref := schemas.Ref{Key: schemas.SuitePackageKey("default", name, schemas.Hash(data)), SHA256: schemas.Hash(data), Bytes: int64(len(data))}
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

// TestEvalMatrix runs a suite of 1,000 cases over two models with 100 ms of latency and 32 calls at once, and again with nothing changed.
func TestEvalMatrix(t *testing.T) {
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
	t.Logf("again %v: %.4f; %d calls", time.Since(start), time.Since(start).Seconds()/took.Seconds(), calls)
	if again.Ruling != schemas.RulingPassed || again.Reused != 2000 || h.models.handler.Stats().Chats != calls || calls != 2000 {
		t.Errorf("%+v, %d calls then %d", again, calls, h.models.handler.Stats().Chats)
	}
}
