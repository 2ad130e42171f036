package gateway_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.temporal.io/api/serviceerror"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// paidRun is a run of two calls that costs 30 micros, and 115 at most.
func paidRun() rest.NewRun {
	run := hello()
	run.Bundle.Models = schemas.Models{
		Providers: map[string]schemas.ProviderDef{"vendor": {Driver: schemas.DriverOpenAI, KeyEnv: "VENDOR_API_KEY"}},
		Models:    map[string]schemas.ModelDef{"paid": {Provider: "vendor", Prices: &schemas.PriceDef{Input: 1, Output: 1}}},
	}
	steps := run.Bundle.Chains["two"].Steps
	for i := range steps {
		steps[i].Generate.Model = "paid"
		steps[i].Generate.Budget.Answer = 10
	}
	return run
}

func budgetPath(subject string) string { return "/api/v1/budgets/" + subject }

// usd is an amount of micros as the API has it.
func usd(micros int64) *float64 { return new(float64(micros) / 1e6) }

func TestBudgetsAreSetListedAndEnded(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	var none rest.Budgets
	root.send("GET", "/api/v1/budgets", nil).want(t, 200, &none)
	if len(none.Budgets) != 0 {
		t.Errorf("%+v", none)
	}
	_, key := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleService}})
	root.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: new(1.5), TokensMonth: new(int64(1000)), Unknown: "allow"}).want(t, 200, nil)
	root.send("PUT", budgetPath(key.ID), rest.NewBudget{USDMonth: new(0.0)}).want(t, 200, nil)
	var list rest.Budgets
	root.send("GET", "/api/v1/budgets", nil).want(t, 200, &list)
	now := time.Now().UTC()
	day, month := now.Format(time.DateOnly), now.Format("2006-01")
	want := []rest.Budget{
		{Subject: key.ID, NewBudget: rest.NewBudget{USDMonth: new(0.0), Unknown: "refuse"}, Windows: []rest.BudgetWindow{
			{Window: month, USDLimit: new(0.0), USDLeft: new(0.0)},
		}},
		{Subject: "tenant", NewBudget: rest.NewBudget{USDDay: new(1.5), TokensMonth: new(int64(1000)), Unknown: "allow"}, Windows: []rest.BudgetWindow{
			{Window: day, USDLimit: new(1.5), USDLeft: new(1.5)}, {Window: month, TokensLimit: new(int64(1000)), TokensLeft: new(int64(1000))},
		}},
	}
	if diff := cmp.Diff(want, list.Budgets, cmpopts.IgnoreFields(rest.BudgetWindow{}, "Ends")); diff != "" {
		t.Error(diff)
	}
	if ends := list.Budgets[1].Windows[0].Ends; !ends.After(now) || ends.Sub(now) > 24*time.Hour {
		t.Errorf("the day ends at %s", ends)
	}
	root.send("DELETE", budgetPath(key.ID), nil).want(t, 200, nil)
	root.send("DELETE", budgetPath(key.ID), nil).wantProblem(t, 404, schemas.NotFound, "has no budget")

	for name, test := range map[string]struct {
		subject string
		body    any
		status  int
	}{
		"nothing limited":   {"tenant", rest.NewBudget{}, 400},
		"negative":          {"tenant", rest.NewBudget{USDDay: new(-1.0)}, 400},
		"negative tokens":   {"tenant", rest.NewBudget{TokensDay: new(int64(-1))}, 400},
		"no such policy":    {"tenant", map[string]any{"usd_day": 1, "unknown": "perhaps"}, 400},
		"unknown field":     {"tenant", map[string]any{"usd_week": 1}, 400},
		"no such key":       {"aaaaaaaaaaaa", rest.NewBudget{USDDay: new(1.0)}, 404},
		"no subject at all": {"everybody", rest.NewBudget{USDDay: new(1.0)}, 400},
	} {
		if got := root.send("PUT", budgetPath(test.subject), test.body); got.status != test.status {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, test.status, got.body)
		}
	}
	operator, _ := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleOperator}})
	operator.send("GET", "/api/v1/budgets", nil).want(t, 200, nil)
	operator.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: new(9.0)}).want(t, 403, nil)
	stranger, _ := newKey(t, root, rest.NewKey{Tenant: "acme", Roles: []schemas.Role{schemas.RoleAdmin}})
	stranger.send("PUT", budgetPath(key.ID), rest.NewBudget{USDDay: new(9.0)}).want(t, 404, nil)
	stranger.send("GET", "/api/v1/budgets", nil).want(t, 200, &none)
	if len(none.Budgets) != 0 {
		t.Errorf("a stranger sees %+v", none)
	}
}

// windowNow is how the tenant's budget stands on this day.
func windowNow(t *testing.T, c caller) rest.BudgetWindow {
	t.Helper()
	var list rest.Budgets
	c.send("GET", "/api/v1/budgets", nil).want(t, 200, &list)
	for _, b := range list.Budgets {
		if b.Subject == schemas.SubjectTenant {
			return b.Windows[0]
		}
	}
	t.Fatalf("%s has no budget", "tenant")
	return rest.BudgetWindow{}
}

func TestAHardStopOfRuns(t *testing.T) {
	t.Parallel()
	for name, lane := range map[string]bool{"workflows": false, "lanes": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gatewaytest.Start(t, nil)
			run := paidRun()
			if lane {
				s = gatewaytest.Start(t, laned)
			} else {
				run.Execution = schemas.ExecutionWorkflow
			}
			c := admin(t, s)
			c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: usd(150)}).want(t, 200, nil)
			for i := range 2 {
				c.send("POST", "/api/v1/runs", run, "Idempotency-Key", fmt.Sprint("run-", i)).want(t, 200, nil)
			}
			refused := c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "run-2")
			refused.wantProblem(t, 402, schemas.OverBudget, "over the budget of the tenant: of 0.00015 US dollars for the day")
			for _, word := range []string{"0.00009 US dollars are left", "may cost up to 0.000115", "opens again at"} {
				if !strings.Contains(refused.problem.Detail, word) {
					t.Errorf("%q does not say %q", refused.problem.Detail, word)
				}
			}
			if refused.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			// What was begun before is joined, and costs nothing; what was refused left no claim that would hold up another gateway.
			c.send("POST", "/api/v1/runs", run, "Idempotency-Key", "run-0").want(t, 200, nil)
			if _, err := s.Store.Stat(t.Context(), schemas.ClaimKey("default", "run-2")); schemas.CodeOf(err) != schemas.NotFound {
				t.Errorf("the refused run is claimed: %v", err)
			}
			other := hello()
			c.send("POST", "/api/v1/runs", other, "Idempotency-Key", "run-0").wantProblem(t, 409, schemas.Conflict, "another request")
			c.send("POST", "/api/v1/runs", other).want(t, 200, nil) // a local model costs nothing
			until(t, func() bool { w := windowNow(t, c); return w.USDSpent == *usd(60) })
			if made := s.Work.Made("first"); made != 3 {
				t.Errorf("%d runs were carried out", made)
			}
		})
	}
}

func TestAKeysBudgetGoesOnForItsSuccessor(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := admin(t, s)
	key, created := newKey(t, root, rest.NewKey{Roles: []schemas.Role{schemas.RoleOperator}})
	root.send("PUT", budgetPath(created.ID), rest.NewBudget{TokensDay: new(int64(150))}).want(t, 200, nil)
	key.send("POST", "/api/v1/runs", paidRun()).want(t, 200, nil)
	var rotated rest.CreatedKey
	root.send("POST", "/api/v1/keys/"+created.ID+"/rotate", rest.RotateKey{}).want(t, 201, &rotated)
	next := caller{t, s.URL, rotated.Token}
	next.send("POST", "/api/v1/runs", paidRun()).want(t, 200, nil)
	for _, c := range []caller{key, next} {
		c.send("POST", "/api/v1/runs", paidRun()).wantProblem(t, 402, schemas.OverBudget, "API key "+created.ID+": of 150 tokens")
	}
	root.send("POST", "/api/v1/runs", paidRun()).want(t, 200, nil) // others have no budget
	root.send("PUT", budgetPath(rotated.ID), rest.NewBudget{TokensDay: new(int64(100_000))}).want(t, 200, nil)
	until(t, func() bool { return next.send("POST", "/api/v1/runs", paidRun()).status == 200 })
	var list rest.Budgets
	root.send("GET", "/api/v1/budgets", nil).want(t, 200, &list)
	if len(list.Budgets) != 1 || list.Budgets[0].Subject != created.ID {
		t.Errorf("budgets of a key and of its successor: %+v", list.Budgets)
	}
}

func TestUnknownPricesAreRefused(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	ingest(t, c, "Alpha is first.")
	c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: new(1.0)}).want(t, 200, nil)
	c.send("POST", library+"/ask", rest.NewAsk{Question: "alpha"}).want(t, 200, nil) // all of it is local
	c.send("POST", library+"/search", rest.NewSearch{Query: "alpha"}).want(t, 200, nil)
	c.send("POST", library+"/ask", rest.NewAsk{Question: "alpha", Model: "openai/gpt"}).
		wantProblem(t, 402, schemas.OverBudget, "the price of model openai/gpt is not known")
	listing := rest.NewIngestion{
		Source: "notes", Documents: []schemas.ListedDocument{doc("doc0.md", "Alpha is first.")},
		Recipe: &rest.RecipeChoice{Embedder: "openai/embed"},
	}
	c.send("POST", "/api/v1/collections/paid/ingestions", listing).wantProblem(t, 402, schemas.OverBudget, "the price of model openai/embed is not known")
	c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: new(1.0), Unknown: "allow"}).want(t, 200, nil)
	until(t, func() bool {
		return c.send("POST", library+"/ask", rest.NewAsk{Question: "alpha", Model: "openai/gpt"}).status == 200
	})
	c.send("POST", "/api/v1/collections/paid/contents", tarOf("Alpha is first.")).want(t, 201, nil)
	var started rest.Started
	c.send("POST", "/api/v1/collections/paid/ingestions", listing).want(t, 202, &started)
	c.send("GET", "/api/v1/collections/paid/ingestions/"+started.Ingestion+"/wait", nil).want(t, 200, nil)
	// A collection that is embedded elsewhere is not searched for an unknown price, except by its words.
	c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: new(1.0)}).want(t, 200, nil)
	search := func(mode schemas.SearchMode) reply {
		return c.send("POST", "/api/v1/collections/paid/search", rest.NewSearch{Query: "alpha", Mode: mode})
	}
	until(t, func() bool { return search(schemas.Hybrid).status == 402 })
	search(schemas.Vector).wantProblem(t, 402, schemas.OverBudget, "the price of the embedder of collection paid is not known")
	search(schemas.Keyword).want(t, 200, nil)
}

// TestWhatNobodyWaitsForIsSettled: runs that were only accepted, and runs that failed after they had cost something.
func TestWhatNobodyWaitsForIsSettled(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: new(1.0)}).want(t, 200, nil)
	detached := paidRun()
	detached.Detach = true
	c.send("POST", "/api/v1/runs", detached).want(t, 202, nil)
	until(t, func() bool { return windowNow(t, c).USDSpent == *usd(30) })
	s.Work.Break("second", schemas.Refused)
	c.send("POST", "/api/v1/runs", paidRun()).want(t, 422, nil)
	until(t, func() bool { return windowNow(t, c).USDSpent == *usd(45) })
	until(t, func() bool { return windowNow(t, c).USDReserved < *usd(115*5 + 1) })
}

func TestBudgetsOfManyCallers(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, laned)
	c := admin(t, s)
	c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: usd(1000)}).want(t, 200, nil)
	var callers sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 16 {
		callers.Go(func() {
			for range 4 {
				got := c.send("POST", "/api/v1/runs", paidRun())
				mu.Lock()
				statuses[got.status]++
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	t.Logf("answers by status: %v", statuses)
	if statuses[200] < 25 || statuses[200] > 33 || statuses[200]+statuses[402] != 64 {
		t.Errorf("answers by status: %v; the budget has room for 29 to 33 runs of 30 micros", statuses)
	}
	until(t, func() bool { return windowNow(t, c).USDSpent == *usd(30 * int64(statuses[200])) })
	var spend rest.Spend
	c.send("GET", "/api/v1/spend", nil).want(t, 200, &spend)
	if spend.Total.Runs != statuses[200] || spend.Total.USD != *usd(30 * int64(statuses[200])) || len(spend.Differs) != 0 {
		t.Errorf("%+v", spend)
	}
}

func TestSpend(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	key, created := newKey(t, c, rest.NewKey{Roles: []schemas.Role{schemas.RoleOperator}})
	for range 2 {
		key.send("POST", "/api/v1/runs", paidRun()).want(t, 200, nil)
	}
	c.send("POST", "/api/v1/runs", hello()).want(t, 200, nil)
	paid := rest.SpendGroup{Runs: 2, Calls: 4, Tokens: 60, USD: *usd(60)}
	free := rest.SpendGroup{Runs: 1, Calls: 2, Unknown: 2}
	total := rest.SpendGroup{Name: "total", Runs: 3, Calls: 6, Tokens: 60, USD: *usd(60), Unknown: 2}
	named := func(g rest.SpendGroup, name string) rest.SpendGroup { g.Name = name; return g }
	today := schemas.DayOf(time.Now())
	for by, want := range map[string][]rest.SpendGroup{
		"key":     {named(paid, created.ID), named(free, "00000000cafe")},
		"model":   {named(paid, "paid"), named(free, "local/extractive")},
		"chain":   {{Name: "two", Runs: 3, Calls: 6, Tokens: 60, USD: *usd(60), Unknown: 2}},
		"release": {{Name: "sent along", Runs: 3, Calls: 6, Tokens: 60, USD: *usd(60), Unknown: 2}},
		"day":     {{Name: today, Runs: 3, Calls: 6, Tokens: 60, USD: *usd(60), Unknown: 2}},
	} {
		var spend rest.Spend
		c.send("GET", "/api/v1/spend?by="+by, nil).want(t, 200, &spend)
		if diff := cmp.Diff(want, spend.Groups); diff != "" {
			t.Errorf("by %s: %s", by, diff)
		}
		if diff := cmp.Diff(total, spend.Total); diff != "" {
			t.Errorf("by %s: %s", by, diff)
		}
	}
	if err := s.Store.Put(t.Context(), schemas.RunKey("default", "damaged", time.Now()), []byte("{")); err != nil {
		t.Fatal(err)
	}
	var spend rest.Spend
	c.send("GET", "/api/v1/spend?from=2026-01-01&to=2026-01-31", nil).want(t, 200, &spend)
	if spend.Total.Runs != 0 || len(spend.Groups) != 0 {
		t.Errorf("in another month: %+v", spend)
	}
	c.send("GET", "/api/v1/spend", nil).want(t, 200, &spend)
	if spend.Damaged != 1 || spend.Total.Runs != 3 {
		t.Errorf("with a damaged record: %+v", spend)
	}
	for _, bad := range []string{"from=yesterday", "to=2026-13-01", "from=2026-01-01&to=2026-03-01", "from=2026-02-01&to=2026-01-01", "by=colour"} {
		c.send("GET", "/api/v1/spend?"+bad, nil).want(t, 400, nil)
	}
}

// TestSpendSaysWhereItDiffers: the ledger knows of something that no record tells.
func TestSpendSaysWhereItDiffers(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: new(1.0)}).want(t, 200, nil)
	var done rest.RunResult
	c.send("POST", "/api/v1/runs", paidRun()).want(t, 200, &done)
	until(t, func() bool { return windowNow(t, c).USDSpent == *usd(30) })
	if err := s.Store.Delete(t.Context(), schemas.RunKey("default", done.RunID, time.Now())); err != nil {
		t.Fatal(err)
	}
	var spend rest.Spend
	c.send("GET", "/api/v1/spend", nil).want(t, 200, &spend)
	want := []rest.SpendDiff{{Subject: "tenant", Day: schemas.DayOf(time.Now()), USDLedger: *usd(30), TokensLedger: 30}}
	if diff := cmp.Diff(want, spend.Differs, cmpopts.IgnoreFields(rest.SpendDiff{}, "Reason")); diff != "" {
		t.Error(diff)
	}
	if len(spend.Differs) == 1 && !strings.Contains(spend.Differs[0].Reason, "settlement is outstanding") {
		t.Errorf("%q", spend.Differs[0].Reason)
	}
}

func TestWithoutTheLedgerNothingIsSpent(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	c := admin(t, s)
	c.send("PUT", budgetPath("tenant"), rest.NewBudget{USDDay: new(1.0)}).want(t, 200, nil)
	s.Temporal.Break(serviceerror.NewUnavailable("connection refused"))
	c.send("POST", "/api/v1/runs", paidRun()).wantProblem(t, 503, schemas.Unavailable, "the budgets of the tenant cannot be asked now (Temporal cannot be reached")
	if made := s.Work.Made("first"); made != 0 {
		t.Errorf("%d runs were carried out", made)
	}
	s.Temporal.Break(nil)
	c.send("POST", "/api/v1/runs", paidRun()).want(t, 200, nil)
}
