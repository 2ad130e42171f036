package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
)

// TestEvalCharged has a suite spend more than the budget of its tenant: the run pauses and says so, goes on when the budget is raised, and survives a
// kill of the worker. In the end the budgets of the tenant and of the key, the records and the endpoint's bills agree to the micro, save calls in
// flight at the kill, which were made again.
func TestEvalCharged(t *testing.T) {
	t.Parallel()
	const cases, concurrency, little = 120, 4, "0.004"
	endpoint := serveBilling(t, modeltest.Options{Latency: 100 * time.Millisecond})
	h := open(t, options{noIndex: true})
	u := h.admin()
	key := strings.Split(h.keys.APIKey, "_")[1]
	u.run(t, "budget", "set", "--tenant", "--usd-day", little)
	u.run(t, "budget", "set", "--key", key, "--usd-day", "1")
	run := h.evaluation(t, schemas.EvalRequest{
		Suite: "charged", Package: h.keep(t, chargedSuite(endpoint.url, cases, concurrency)), Payer: key, By: schemas.Actor{Key: key},
	})
	h.evalState(t, run, schemas.EvalPaused)
	paused := h.evalProgress(t, run)
	if paused.Short == nil || !strings.Contains(paused.Waits, "budget of the tenant") || !strings.Contains(paused.Waits, "opens again at") || !strings.Contains(paused.Waits, "are used") {
		t.Errorf("paused %+v", paused)
	}
	spent := endpoint.spent()
	if limit := schemas.Micros(4000); spent == 0 || spent > limit {
		t.Errorf("%s US dollars were spent of %s", spent, limit)
	}
	time.Sleep(2 * time.Second)
	if endpoint.spent() != spent {
		t.Errorf("a paused run went on: %s US dollars after %s", endpoint.spent(), spent)
	}
	u.run(t, "budget", "set", "--tenant", "--usd-day", "1")
	await(t, startLimit, "the run to go on", func() bool { return endpoint.spent() > spent+2000 })
	h.worker.kill()
	h.startWorker(t)
	s := ended(t, run)
	if s.Counts != (schemas.CellCounts{Passed: cases}) {
		t.Errorf("%+v", s)
	}
	if events := h.eventsOf(t, run.GetID()); events > 400 {
		t.Errorf("%d events", events)
	}
	h.charges(t, endpoint, cases, 2*concurrency, key)
	before := endpoint.spent()
	if again := ended(t, h.evaluation(t, schemas.EvalRequest{Suite: "charged", Package: h.keep(t, chargedSuite(endpoint.url, cases, concurrency)), Payer: key})); again.Reused != cases || endpoint.spent() != before {
		t.Errorf("again: %+v", again)
	}
	h.charges(t, endpoint, cases, 2*concurrency, key)
}

// charges requires that ledger and records have one bill of each cell, and that no more were sent twice than may be.
func (h *house) charges(t *testing.T, endpoint *billing, cases, twice int, key string) {
	t.Helper()
	want, again := schemas.Micros(0), 0
	seen := map[string]bool{}
	for _, b := range endpoint.all() {
		if seen[b.run] {
			again++
			continue
		}
		seen[b.run] = true
		want += b.cost
	}
	if len(seen) != cases || again > twice {
		t.Errorf("%d cells were billed, and %d calls twice", len(seen), again)
	}
	ledgers := client.Ledgers{Temporal: h.temporal(t)}
	var figures schemas.LedgerFigures
	await(t, budgetEnd, "the leases to be settled", func() bool {
		var err error
		figures, err = ledgers.Show(t.Context(), "default")
		return err == nil && figures.Open+figures.Lost == 0
	})
	for _, subject := range []string{schemas.SubjectTenant, "key/" + key} {
		for _, w := range figures.Windows {
			if w.Subject == subject && w.Spent.Micros != want {
				t.Errorf("%s has spent %s in %s, and the bills are %s", subject, w.Spent.Micros, w.Window, want)
			}
		}
	}
	records := schemas.Micros(0)
	for _, e := range recordsNow(t, h) {
		if !e.Charge.IsZero() {
			records += e.Charge.Amount(e.Usage, e.Cost).Micros
		}
	}
	if records != want || len(figures.Windows) == 0 {
		t.Errorf("the records charge %s, and the bills are %s; %+v", records, want, figures)
	}
	t.Logf("%s US dollars for %d cells, %d calls twice", want, cases, again)
}

// chargedSuite is a suite over the billing endpoint, whose cases are known by the names in their bills.
func chargedSuite(url string, cases, concurrency int) schemas.SuitePackage {
	var text strings.Builder
	text.WriteString("prompts: ['Repeat {{word}}']\nproviders: [{id: 'model:one', config: {max_tokens: 16}}]\ntests:\n")
	for n := range cases {
		fmt.Fprintf(&text, "  - {vars: {word: run-%d}, assert: [{type: contains, value: run-%[1]d}]}\n", n)
	}
	return schemas.SuitePackage{
		Suite: "charged", File: "suite.yaml", Files: map[string][]byte{"suite.yaml": []byte(text.String())},
		Models: schemas.Models{
			Providers: map[string]schemas.ProviderDef{"paid": {
				Driver: schemas.DriverOpenAI, BaseURL: url, KeyEnv: "OPENAI_API_KEY", Limits: schemas.RateDef{Concurrency: concurrency},
			}},
			Models: map[string]schemas.ModelDef{"one": {Provider: "paid", Model: modeltest.ChatModel, Prices: paidPrice()}},
		},
	}
}

func (h *house) evalProgress(t *testing.T, run sdk.WorkflowRun) (p schemas.EvalProgress) {
	t.Helper()
	value, err := h.temporal(t).QueryWorkflow(t.Context(), run.GetID(), "", schemas.EvalShow.Name())
	if err == nil {
		err = value.Get(&p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}
