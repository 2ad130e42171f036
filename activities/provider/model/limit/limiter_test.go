package limit_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/schemas"
)

// A provider allows 60 requests a minute and 500 batch calls wait, of five tenants. Whatever the provider's way of counting, it refuses
// none and nine tenths of the rate are used, and an interactive call that arrives late is answered within two seconds.
func TestSixtyAMinuteFiveHundredQueued(t *testing.T) {
	t.Parallel()
	for name, m := range meters(60) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newProvider(m, 900*time.Millisecond, 700*time.Millisecond)
				l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Requests: 60}}
				var calls sync.WaitGroup
				for i := range 500 {
					calls.Go(func() { flood(t, l, p, fmt.Sprint("tenant ", i%5)) })
				}
				for i := range 5 {
					time.Sleep(67 * time.Second)
					start := time.Now()
					if err := p.call(must(t, l, limit.Ask{Tenant: "late", Model: "m", Tokens: 10})); err != nil {
						t.Error(err)
					}
					took := time.Since(start)
					t.Logf("interactive call %d answered after %v", i+1, took)
					if took >= 2*time.Second {
						t.Errorf("interactive call answered after %v", took)
					}
				}
				calls.Wait()
				report(t, p, 60, 7*time.Minute)
			})
		})
	}
}

func flood(t *testing.T, l *limit.Limiter, p *provider, tenant string) {
	t.Helper()
	g, err := l.Acquire(t.Context(), limit.Ask{Tenant: tenant, Model: "m", Class: limit.Batch, Tokens: 100})
	if err != nil {
		t.Error(err)
		return
	}
	if err := p.call(g); err != nil {
		t.Error(err)
	}
}

// report checks what a provider saw over the span in which calls waited.
func report(t *testing.T, p *provider, perMinute int, span time.Duration) {
	t.Helper()
	used := float64(p.between(0, span)) / (float64(perMinute) * span.Minutes())
	t.Logf("refused %d; used %.1f %% of the rate; busiest minute %d", p.refused, 100*used, p.busiest(time.Minute))
	if p.refused > 0 {
		t.Errorf("%d calls were refused", p.refused)
	}
	if used < 0.9 {
		t.Errorf("used %.1f %% of the rate", 100*used)
	}
	if busiest := p.busiest(time.Minute); busiest > perMinute {
		t.Errorf("%d requests in a minute", busiest)
	}
}

// Batch alone, at many rates, also where nothing is early.
func TestBatchUsesTheRate(t *testing.T) {
	t.Parallel()
	for _, perMinute := range []int{1, 2, 7, 12, 13, 20, 60, 333, 3000} {
		for name, m := range map[string]meter{"sliding": sliding(perMinute), "fixed": fixed(perMinute, 0), "strict cell rate": gcra(perMinute, max(perMinute/500, 1))} {
			t.Run(fmt.Sprint(name, " ", perMinute), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p := newProvider(m, 0, 10*time.Millisecond)
					l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Requests: perMinute}, Queue: 20_000}
					var calls sync.WaitGroup
					for range 4*perMinute + 1 {
						calls.Go(func() { flood(t, l, p, "a") })
					}
					calls.Wait()
					report(t, p, perMinute, 4*time.Minute)
				})
			})
		}
	}
}

// Interactive calls alone: the burst and the rate together stay within the limit in every minute.
func TestInteractiveBurstStaysWithinTheMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(sliding(60), 900*time.Millisecond, time.Second)
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Requests: 60}}
		time.Sleep(time.Hour)
		start := time.Now()
		var atOnce atomic.Int32
		var calls sync.WaitGroup
		for range 200 {
			calls.Go(func() {
				g := must(t, l, limit.Ask{Tenant: "a", Model: "m", Tokens: 1})
				if time.Since(start) == 0 {
					atOnce.Add(1)
				}
				if err := p.call(g); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if n := atOnce.Load(); n != 4 {
			t.Errorf("%d went at once", n)
		}
		report(t, p, 60, 3*time.Minute)
	})
}

// A strict provider has no burst at all. It refuses the first interactive calls that come out of turn, and is understood.
func TestStrictProvidersAreLearned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(gcra(60, 1), 0, 100*time.Millisecond)
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Requests: 60}}
		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		for range 2000 {
			calls.Go(func() {
				if g, err := l.Acquire(ctx, limit.Ask{Tenant: "a", Model: "m", Class: limit.Batch}); err == nil {
					_ = p.call(g)
				}
			})
		}
		var late []int
		for range 2 {
			before := p.refusals()
			for range 30 {
				time.Sleep(6100 * time.Millisecond)
				_ = p.call(must(t, l, limit.Ask{Tenant: "b", Model: "m"}))
			}
			late = append(late, p.refusals()-before)
		}
		cancel()
		calls.Wait()
		t.Logf("refused in twice three minutes: %v", late)
		if late[0] > 4 || late[1] != 0 {
			t.Errorf("refused %v", late)
		}
	})
}

func TestTokensAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perMinute = 60_000
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Tokens: perMinute}}
		start := time.Now()
		type spent struct {
			at     time.Duration
			tokens int
		}
		var mu sync.Mutex
		var passed []spent
		var calls sync.WaitGroup
		for i := range 300 {
			calls.Go(func() {
				tokens := 500 + i%7*200
				g := must(t, l, limit.Ask{Tenant: "a", Model: "m", Class: limit.Batch, Tokens: 2 * tokens})
				time.Sleep(time.Second)
				g.Done(limit.Outcome{Tokens: tokens}) // the estimate was twice too high
				mu.Lock()
				defer mu.Unlock()
				passed = append(passed, spent{time.Since(start), tokens})
			})
		}
		calls.Wait()
		var total int
		for i, s := range passed {
			total += s.tokens
			minute := 0
			for _, o := range passed[:i+1] {
				if s.at-o.at < time.Minute {
					minute += o.tokens
				}
			}
			if minute > perMinute {
				t.Fatalf("%d tokens in the minute before %v", minute, s.at)
			}
		}
		used := float64(total) / (perMinute * time.Since(start).Minutes())
		t.Logf("used %.1f %% of the tokens", 100*used)
		if used < 0.9 {
			t.Errorf("used %.2f of the tokens", used)
		}
	})
}

func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Models: map[string]limit.Limits{"apart": {}}}
		apart := must(t, l, limit.Ask{Tenant: "a", Model: "apart"})
		g := must(t, l, limit.Ask{Tenant: "a", Model: "m"})
		refusal := schemas.Errorf(schemas.RateLimited, "slow down")
		refusal.RetryAfter = 42 * time.Second
		start := time.Now()
		apart.Done(limit.Outcome{Err: refusal})
		must(t, l, limit.Ask{Tenant: "a", Model: "m"}).Done(limit.Outcome{})
		if waited := time.Since(start); waited != 0 {
			t.Errorf("another model waited %v", waited)
		}
		g.Done(limit.Outcome{Err: fmt.Errorf("calling: %w", refusal)})
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				must(t, l, limit.Ask{Tenant: "a", Model: "other"}).Done(limit.Outcome{})
				if waited := time.Since(start); waited < 42*time.Second {
					t.Errorf("went after %v", waited)
				}
			})
		}
		calls.Wait()
		if waited := time.Since(start); waited > 43*time.Second {
			t.Errorf("the last went after %v", waited)
		}
	})
}

// Without Retry-After and without any known limit the pauses double, so a provider that stays closed is asked ever less.
func TestRefusalsWithoutRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p"}
		start := time.Now()
		var at []float64
		for range 9 {
			g := must(t, l, limit.Ask{Tenant: "a", Model: "m"})
			at = append(at, time.Since(start).Seconds())
			g.Done(limit.Outcome{Err: schemas.Errorf(schemas.RateLimited, "slow down")})
		}
		if diff := cmp.Diff([]float64{0, 1, 3, 7, 15, 31, 63, 123, 183}, at); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLimitsAreLearnedFromHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Tokens: 5000}}
		rates := limit.Rates{
			Requests: limit.Rate{Limit: 120, Remaining: 119, Known: true, Reset: 500 * time.Millisecond},
			Tokens:   limit.Rate{Limit: 90_000, Remaining: 80_000, Known: true, Reset: time.Second},
		}
		must(t, l, limit.Ask{Tenant: "a", Model: "m"}).Done(limit.Outcome{Rates: rates})
		if b := l.Snapshot().Bounds; b.Requests != 120 || b.Tokens != 5000 {
			t.Errorf("%+v", b)
		}
		daily := limit.Rates{Requests: limit.Rate{Limit: 14_400, Remaining: 14_000, Known: true, Reset: 40 * time.Minute}}
		must(t, l, limit.Ask{Tenant: "a", Model: "m"}).Done(limit.Outcome{Rates: daily})
		if b := l.Snapshot().Bounds; b.Requests != 120 {
			t.Errorf("a limit of a day: %+v", b)
		}
		rates.Requests.Remaining = 0
		must(t, l, limit.Ask{Tenant: "a", Model: "m"}).Done(limit.Outcome{Rates: rates})
		start := time.Now()
		must(t, l, limit.Ask{Tenant: "a", Model: "m"}).Done(limit.Outcome{})
		if waited := time.Since(start); waited < 400*time.Millisecond || waited > 600*time.Millisecond {
			t.Errorf("waited %v with nothing left of 120 a minute", waited)
		}
	})
}
