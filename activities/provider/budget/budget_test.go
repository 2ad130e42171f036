package budget_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestWithoutABudgetNothingIsAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 0)
		other := schemas.Budget{Subject: "key/bbbbbbbbbbbb", Day: schemas.Limits{Micros: new(schemas.Micros)}}
		b.source.budgets = []schemas.Budget{other}
		in := admission(1)
		in.Estimate = func(context.Context) (schemas.Estimate, error) {
			t.Error("an estimate was asked for")
			return schemas.Estimate{}, nil
		}
		permit, err := b.Admit(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(schemas.Charge{}, permit.Charge()); diff != "" {
			t.Error(diff)
		}
		permit.Settle(cost(5))
		if _, _, syncs := b.ledger.figures(); syncs != 0 {
			t.Errorf("the ledger was asked %d times", syncs)
		}
	})
}

func TestTheHotPathMakesNoCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1_000_000)
		defer b.Close(t.Context())
		b.admit(t, 10).Settle(cost(4)) // opens the lease
		before := time.Now()
		_, _, asked := b.ledger.figures()
		var permits []budget.Permit
		for range 3 {
			permits = append(permits, b.admit(t, 10))
		}
		if _, _, syncs := b.ledger.figures(); syncs != asked || !time.Now().Equal(before) {
			t.Errorf("%d messages in %s for admissions that had room", syncs-asked, time.Since(before))
		}
		for i, p := range permits {
			want := schemas.Charge{Lease: "here/1", Subjects: []string{"tenant"}}
			if diff := cmp.Diff(want, p.Charge()); diff != "" {
				t.Errorf("permit %d: %s", i, diff)
			}
			p.Settle(cost(7))
		}
		time.Sleep(3 * time.Second)
		if spent, _, _ := b.ledger.figures(); spent != 4+3*7 {
			t.Errorf("the ledger heard of %d", spent)
		}
	})
}

func TestAHardStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 100)
		defer b.Close(t.Context())
		admitted := 0
		for range 30 {
			permit, err := b.Admit(t.Context(), admission(7))
			if err != nil {
				coded, _ := errors.AsType[*schemas.Error](err)
				midnight := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
				for _, word := range []string{
					"budget of the tenant: of 0.0001 US dollars for the day 2000-01-01", "0.000002 US dollars are left", "cost up to 0.000007", "opens again at 2000-01-02T00:00:00Z",
				} {
					if !strings.Contains(coded.Message, word) {
						t.Errorf("%q does not say %q", coded.Message, word)
					}
				}
				if coded.Code != schemas.OverBudget || coded.RetryAfter > time.Until(midnight) || coded.RetryAfter < time.Until(midnight)-time.Second {
					t.Errorf("%+v", coded)
				}
				continue
			}
			admitted++
			permit.Settle(cost(7))
		}
		if admitted != 14 {
			t.Errorf("%d runs of 7 of 100 were admitted", admitted)
		}
		b.admit(t, 2).Settle(cost(2)) // there is room for a smaller one
		b.admit(t, 0).Settle(cost(0)) // and for what costs nothing
	})
}

// TestAStreamOfRefusals: those who are refused do not ask the ledger each.
func TestAStreamOfRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 10)
		defer b.Close(t.Context())
		begin := time.Now()
		refused := 0
		for range 5000 {
			if _, err := b.Admit(t.Context(), admission(11)); schemas.CodeOf(err) == schemas.OverBudget {
				refused++
			}
			time.Sleep(time.Millisecond)
		}
		_, _, syncs := b.ledger.figures()
		if took := time.Since(begin); refused != 5000 || float64(syncs) > took.Seconds()*6 {
			t.Errorf("%d refusals took %d messages in %s", refused, syncs, took)
		}
	})
}

func TestWhatIsSetAsideIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 100)
		defer b.Close(t.Context())
		first := b.admit(t, 90)
		time.AfterFunc(700*time.Millisecond, func() { first.Settle(cost(5)) })
		begin := time.Now()
		b.admit(t, 50).Settle(cost(50))
		if waited := time.Since(begin); waited < 700*time.Millisecond || waited > 1500*time.Millisecond {
			t.Errorf("waited %s", waited)
		}
		held := b.admit(t, 40)
		begin = time.Now()
		_, err := b.Admit(t.Context(), admission(20))
		if waited := time.Since(begin); schemas.CodeOf(err) != schemas.OverBudget || waited > 3*time.Second || !strings.Contains(err.Error(), "set aside") {
			t.Errorf("after %s: %v", waited, err)
		}
		held.Settle(cost(1))
	})
}

func TestUnknownPrices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 100)
		defer b.Close(t.Context())
		unknown := func(e schemas.Estimate) budget.Admission {
			in := admission(1)
			in.Estimate = func(context.Context) (schemas.Estimate, error) { return e, nil }
			return in
		}
		dark := schemas.Estimate{Unknown: []string{"openai/x"}}
		for name, test := range map[string]struct {
			estimate schemas.Estimate
			says     string
		}{
			"a model":      {dark, "the price of model openai/x is not known"},
			"an embedder":  {schemas.Estimate{Collections: []string{"docs"}}, "embedder of collection docs"},
			"any embedder": {schemas.Estimate{Collections: []string{""}}, "chooses its collection by itself"},
			"how to allow": {dark, "--unknown allow"},
		} {
			if _, err := b.Admit(t.Context(), unknown(test.estimate)); schemas.CodeOf(err) != schemas.OverBudget || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
		allowing := tenantBudget(100)
		allowing.AllowUnknown = true
		tokens := schemas.Budget{Subject: schemas.SubjectTenant, Day: schemas.Limits{Tokens: new(int64(5))}}
		for name, budgets := range map[string][]schemas.Budget{"allowed": {allowing}, "tokens alone": {tokens}} {
			b.source.set(func(s *source) { s.budgets = budgets })
			time.Sleep(3 * time.Second)
			permit, err := b.Admit(t.Context(), unknown(dark))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			permit.Settle(cost(0))
		}
	})
}

func TestABudgetCountsWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1)
		defer b.Close(t.Context())
		b.source.budgets = nil
		b.admit(t, 50).Settle(cost(50))
		b.source.set(func(s *source) { s.budgets = []schemas.Budget{tenantBudget(1)} })
		set := time.Now()
		for {
			permit, err := b.Admit(t.Context(), admission(50))
			if err != nil {
				break
			}
			permit.Settle(cost(50))
			if time.Since(set) > 2*time.Second {
				t.Fatalf("%s after a budget was set it does not count", time.Since(set))
			}
			time.Sleep(10 * time.Millisecond)
		}
		if b.source.reads > 5 {
			t.Errorf("the list was read %d times in %s", b.source.reads, time.Since(set))
		}
	})
}

func TestTheStoreIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 100)
		defer b.Close(context.WithoutCancel(t.Context()))
		down := schemas.Errorf(schemas.Unavailable, "the store is down")
		b.source.fail = down
		if _, err := b.Admit(t.Context(), admission(1)); schemas.CodeOf(err) != schemas.Unavailable {
			t.Errorf("before anything is known: %v", err)
		}
		b.source.set(func(s *source) { s.fail = nil })
		time.Sleep(3 * time.Second)
		b.admit(t, 1).Settle(cost(1))
		b.source.set(func(s *source) { s.fail = down })
		time.Sleep(10 * time.Second)
		b.admit(t, 1).Settle(cost(1)) // what is known counts on
		time.Sleep(2 * time.Minute)
		if _, err := b.Admit(t.Context(), admission(1)); schemas.CodeOf(err) != schemas.Unavailable {
			t.Errorf("long after: %v", err)
		}
	})
}

func TestTheLedgerIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1000)
		defer b.Close(t.Context())
		b.admit(t, 10).Settle(cost(10))
		b.ledger.set(func(a *authority) { a.fail = schemas.Errorf(schemas.Unavailable, "Temporal cannot be reached") })
		b.admit(t, 10).Settle(cost(10)) // the lease has room
		begin := time.Now()
		_, err := b.Admit(t.Context(), admission(900))
		if waited := time.Since(begin); schemas.CodeOf(err) != schemas.Unavailable || waited > 11*time.Second || !strings.Contains(err.Error(), "cannot be asked now") {
			t.Errorf("after %s: %v", waited, err)
		}
		b.ledger.set(func(a *authority) { a.fail = nil })
		b.admit(t, 900).Settle(cost(900))
		time.Sleep(2 * time.Second)
		if spent, _, _ := b.ledger.figures(); spent != 920 {
			t.Errorf("the ledger heard of %d", spent)
		}
		b.ledger.set(func(a *authority) {
			a.fail = schemas.Errorf(schemas.Invalid, "check the clock of the gateway's machine")
		})
		in := admission(10)
		in.Tenant = "other"
		if _, err := b.Admit(t.Context(), in); schemas.CodeOf(err) != schemas.Unavailable || !strings.Contains(err.Error(), "check the clock") {
			t.Errorf("a message that is refused: %v", err)
		}
		b.ledger.set(func(a *authority) { a.fail = nil })
	})
}

// TestNoSignOfLife: others may think that the process is gone, and count its leases as lost.
func TestNoSignOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1000)
		defer b.Close(t.Context())
		b.admit(t, 1).Settle(cost(1))
		b.life.down.Store(true)
		if _, err := b.Admit(t.Context(), admission(1)); schemas.CodeOf(err) != schemas.Unavailable {
			t.Errorf("without a sign of life: %v", err)
		}
		b.life.down.Store(false)
		b.admit(t, 1).Settle(cost(1))
	})
}

func TestALostLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1000)
		defer b.Close(t.Context())
		old := b.admit(t, 10)
		b.ledger.set(func(a *authority) { a.lose, a.leases = true, map[string]*granted{} })
		time.Sleep(10 * time.Second) // a heartbeat says so
		b.ledger.set(func(a *authority) { a.lose = false })
		old.Settle(cost(10)) // the records tell of it
		fresh := b.admit(t, 10)
		if fresh.Charge().Lease == old.Charge().Lease {
			t.Errorf("admitted under the lost lease %s", fresh.Charge().Lease)
		}
		fresh.Settle(cost(3))
		time.Sleep(2 * time.Second)
		if spent, _, _ := b.ledger.figures(); spent != 3 {
			t.Errorf("settled %d, want only what is of the new lease", spent)
		}
	})
}

func TestLeasesAreReplacedAndGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1_000_000)
		defer b.Close(t.Context())
		leases := map[string]bool{}
		long := b.admit(t, 10)
		leases[long.Charge().Lease] = true
		slow := 0
		for range 150 {
			begin := time.Now()
			permit := b.admit(t, 10)
			if time.Now() != begin {
				slow++
			}
			leases[permit.Charge().Lease] = true
			permit.Settle(cost(2))
			time.Sleep(time.Second)
		}
		if len(leases) != 3 || slow > 1 {
			t.Errorf("%d leases in 150 seconds, %d admissions had to wait", len(leases), slow)
		}
		time.Sleep(15 * time.Second)
		if spent, reserved, _ := b.ledger.figures(); spent != 300 || reserved != 10 {
			t.Errorf("while a long run goes on: spent %d, reserved %d", spent, reserved)
		}
		long.Settle(cost(9))
		time.Sleep(2 * time.Second)
		_, _, before := b.ledger.figures()
		time.Sleep(time.Minute)
		if spent, reserved, syncs := b.ledger.figures(); spent != 309 || reserved != 0 || syncs != before {
			t.Errorf("at rest: spent %d, reserved %d, %d messages in a minute", spent, reserved, syncs-before)
		}
	})
}

func TestMidnight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // a bubble begins at midnight
		b := start(t, 100)
		defer b.Close(t.Context())
		time.Sleep(24*time.Hour - 2*time.Second)
		evening := b.admit(t, 60)
		time.Sleep(4 * time.Second)
		b.admit(t, 90).Settle(cost(90)) // the new day has a hundred of its own
		late := admission(60)
		late.Start = time.Now().Add(-5 * time.Second) // claimed yesterday
		if _, err := b.Admit(t.Context(), late); schemas.CodeOf(err) != schemas.OverBudget || !strings.Contains(err.Error(), "2000-01-01") {
			t.Errorf("a run of yesterday: %v", err)
		}
		evening.Settle(cost(50))
		time.Sleep(2 * time.Second)
		b.ledger.mu.Lock()
		yesterday, _ := b.ledger.standing("tenant", "2000-01-01")
		today, _ := b.ledger.standing("tenant", "2000-01-02")
		b.ledger.mu.Unlock()
		if yesterday != 50 || today != 90 {
			t.Errorf("yesterday %d, today %d", yesterday, today)
		}
		late.Start = time.Now().AddDate(0, 0, -7)
		if _, err := b.Admit(t.Context(), late); schemas.CodeOf(err) != schemas.Conflict {
			t.Errorf("a run of last week: %v", err)
		}
	})
}

func TestRunsThatNobodyWaitsForAreFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1000)
		defer b.Close(t.Context())
		for name, test := range map[string]struct {
			ending budget.Ending
			after  time.Duration
			spent  schemas.Micros
		}{
			"a record of this lease":     {budget.Ending{Done: true, Amount: cost(30)}, time.Second, 30},
			"a record of another":        {budget.Ending{Done: true, Amount: cost(30), Lease: "there/1"}, time.Second, 0},
			"one that goes on for hours": {budget.Ending{Running: true}, 3 * time.Hour, -1},
			"one that nobody knows":      {budget.Ending{}, 11 * time.Minute, 0},
		} {
			before, _, _ := b.ledger.figures()
			permit := b.admit(t, 50)
			ending := test.ending
			if ending.Done && ending.Lease == "" {
				ending.Lease = permit.Charge().Lease
			}
			b.source.set(func(s *source) { s.endings[name] = ending })
			permit.Follow(name, time.Now())
			time.Sleep(test.after + 2*time.Second)
			spent, reserved, _ := b.ledger.figures()
			if want := test.spent; want >= 0 && (spent-before != want || reserved > 0 && want == 0 && !ending.Done) {
				t.Errorf("%s: spent %d, reserved %d", name, spent-before, reserved)
			}
			if test.spent < 0 {
				if reserved < 50 {
					t.Errorf("%s: only %d are reserved", name, reserved)
				}
				b.source.set(func(s *source) {
					s.endings[name] = budget.Ending{Done: true, Amount: cost(44), Lease: permit.Charge().Lease}
				})
				time.Sleep(time.Minute)
				if spent, _, _ := b.ledger.figures(); spent-before != 44 {
					t.Errorf("%s: spent %d in the end", name, spent-before)
				}
			}
		}
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, 1000)
		b.admit(t, 10).Settle(cost(4))
		open := b.admit(t, 20)
		followed := b.admit(t, 30)
		b.source.endings["r"] = budget.Ending{Done: true, Amount: cost(25), Lease: followed.Charge().Lease}
		followed.Follow("r", time.Now())
		b.Close(t.Context())
		if spent, reserved, _ := b.ledger.figures(); spent != 29 || reserved != 20 {
			t.Errorf("spent %d, reserved %d, want only what is under way", spent, reserved)
		}
		if _, err := b.Admit(t.Context(), admission(1)); schemas.CodeOf(err) != schemas.Unavailable {
			t.Errorf("after it: %v", err)
		}
		open.Settle(cost(20)) // too late to be told; the record tells it
	})
}

// TestManyProcesses has four keepers spend one budget from many goroutines, and requires that it is not overspent and that the ledger ends
// with what was settled.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := start(t, 1_000_000)
		keepers := []*budget.Keeper{first.Keeper}
		for i := range 3 {
			keepers = append(keepers, &budget.Keeper{Ledger: first.ledger, Source: first.source, Life: &pulse{}, Instance: fmt.Sprint("other", i)})
		}
		first.ledger.slow = 5 * time.Millisecond
		var mu sync.Mutex
		settled, under, refused := schemas.Micros(0), schemas.Micros(0), 0
		var callers sync.WaitGroup
		for i := range 64 {
			random := rand.New(rand.NewPCG(uint64(i), 7))
			callers.Go(func() {
				for range 40 {
					estimate := 500 + random.Int64N(1000)
					permit, err := keepers[random.IntN(4)].Admit(t.Context(), admission(schemas.Micros(estimate)))
					if err != nil {
						if schemas.CodeOf(err) != schemas.OverBudget {
							t.Error(err)
						}
						mu.Lock()
						refused++
						mu.Unlock()
						continue
					}
					mu.Lock()
					if under += schemas.Micros(estimate); settled+under > 1_000_000 {
						t.Errorf("%d settled and %d under way", settled, under)
					}
					mu.Unlock()
					time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
					spent := schemas.Micros(random.Int64N(estimate + 1))
					mu.Lock()
					settled, under = settled+spent, under-schemas.Micros(estimate)
					mu.Unlock()
					permit.Settle(cost(spent))
				}
			})
		}
		callers.Wait()
		for _, k := range keepers {
			k.Close(t.Context())
		}
		spent, reserved, syncs := first.ledger.figures()
		t.Logf("settled %d of 1,000,000, %d of %d refused, %d messages", settled, refused, 64*40, syncs)
		if spent != settled || reserved != 0 || settled < 900_000 {
			t.Errorf("the ledger has %d, and %d reserved; %d were settled", spent, reserved, settled)
		}
	})
}
