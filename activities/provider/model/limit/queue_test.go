package limit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/schemas"
)

// One tenant has queued 300 calls, another comes with 30, a third with 30 that cost three times as much.
func TestTenantsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Concurrency: 1}}
		var mu sync.Mutex
		var order []string
		var calls sync.WaitGroup
		queue := func(tenant string, n, tokens int) {
			for i := range n {
				calls.Go(func() {
					g := must(t, l, limit.Ask{Tenant: tenant, Model: "m", Class: limit.Batch, Tokens: tokens})
					mu.Lock()
					order = append(order, fmt.Sprint(tenant, i))
					mu.Unlock()
					time.Sleep(time.Second)
					g.Done(limit.Outcome{})
				})
				synctest.Wait() // so that they queue in this order
			}
		}
		queue("flood", 300, 100)
		queue("small", 30, 100)
		queue("large", 30, 300)
		calls.Wait()
		counts, next := map[string]int{}, map[string]int{}
		for i, call := range order {
			tenant := call[:5]
			if want := fmt.Sprint(tenant, next[tenant]); call != want {
				t.Fatalf("%s went before %s", call, want)
			}
			next[tenant]++
			if i > 0 && i <= 70 { // all three wait
				counts[tenant]++
			}
		}
		if diff := cmp.Diff(map[string]int{"flood": 30, "small": 30, "large": 10}, counts); diff != "" {
			t.Error(diff)
		}
	})
}

func TestInteractiveGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Concurrency: 10}}
		must(t, l, limit.Ask{Tenant: "b", Model: "m"}).Done(limit.Outcome{}) // from now on a place is kept
		var calls sync.WaitGroup
		for range 100 {
			calls.Go(func() {
				g := must(t, l, limit.Ask{Tenant: "a", Model: "m", Class: limit.Batch})
				time.Sleep(time.Minute)
				g.Done(limit.Outcome{})
			})
		}
		synctest.Wait()
		if s := l.Snapshot(); s.Bounds.InFlight != 9 || s.Waiting.Batch != 91 {
			t.Errorf("%+v", s)
		}
		start := time.Now()
		g := must(t, l, limit.Ask{Tenant: "b", Model: "m"})
		if waited := time.Since(start); waited != 0 {
			t.Errorf("the place kept for it came after %v", waited)
		}
		second := must(t, l, limit.Ask{Tenant: "b", Model: "m"})
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("the next place came after %v", waited)
		}
		g.Done(limit.Outcome{})
		second.Done(limit.Outcome{})
		calls.Wait()
	})
}

// TestBatchAloneHasAllPlaces is of a provider that no interactive call has asked for a while.
func TestBatchAloneHasAllPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Concurrency: 10}}
		must(t, l, limit.Ask{Tenant: "b", Model: "m"}).Done(limit.Outcome{})
		time.Sleep(2 * time.Minute)
		var calls sync.WaitGroup
		for range 20 {
			calls.Go(func() {
				g := must(t, l, limit.Ask{Tenant: "a", Model: "m", Class: limit.Batch})
				time.Sleep(time.Minute)
				g.Done(limit.Outcome{})
			})
		}
		synctest.Wait()
		if s := l.Snapshot(); s.Bounds.InFlight != 10 {
			t.Errorf("%+v", s)
		}
		calls.Wait()
	})
}

// A model that waits out its Retry-After does not hold up another.
func TestModelsDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Concurrency: 4}, Models: map[string]limit.Limits{"slow": {Requests: 1}, "fast": {}}}
		must(t, l, limit.Ask{Tenant: "a", Model: "slow"}).Done(limit.Outcome{})
		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() {
				if _, err := l.Acquire(ctx, limit.Ask{Tenant: "a", Model: "slow"}); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		must(t, l, limit.Ask{Tenant: "a", Model: "fast", Class: limit.Batch}).Done(limit.Outcome{})
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %v", waited)
		}
		cancel()
		calls.Wait()
		if s := l.Snapshot(); s.Waiting != (limit.Waiting{}) {
			t.Errorf("%+v", s)
		}
	})
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Concurrency: 1}}
		g := must(t, l, limit.Ask{Tenant: "a", Model: "m"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Acquire(ctx, limit.Ask{Tenant: "a", Model: "m"}); schemas.CodeOf(err) != schemas.Deadline {
			t.Error(err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := l.Acquire(gone, limit.Ask{Tenant: "a", Model: "m"}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if s := l.Snapshot(); s.Waiting.Interactive != 0 || s.Bounds.InFlight != 1 {
			t.Errorf("%+v", s)
		}
		g.Done(limit.Outcome{})
		g.Done(limit.Outcome{})
		if s := l.Snapshot(); s.Bounds.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Hundreds of batch calls that may wait only half a minute are sent away, return when they are told, and all are served at the full rate.
func TestLongWaitsGoBackToTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newProvider(sliding(60), 500*time.Millisecond, time.Second)
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Requests: 60}}
		var mu sync.Mutex
		attempts, longest := 0, time.Duration(0)
		var calls sync.WaitGroup
		for i := range 300 {
			calls.Go(func() {
				for {
					start := time.Now()
					g, err := l.Acquire(t.Context(), limit.Ask{Tenant: fmt.Sprint(i % 3), Model: "m", Class: limit.Batch, MaxWait: 30 * time.Second})
					mu.Lock()
					attempts++
					longest = max(longest, time.Since(start))
					mu.Unlock()
					var coded *schemas.Error
					switch {
					case err == nil:
						if err := p.call(g); err != nil {
							t.Error(err)
						}
						return
					case !errors.As(err, &coded) || coded.Code != schemas.RateLimited || coded.RetryAfter <= 0:
						t.Error(err)
						return
					}
					time.Sleep(coded.RetryAfter)
				}
			})
		}
		calls.Wait()
		t.Logf("%d attempts for 300 calls, the longest wait %v", attempts, longest)
		if longest > 31*time.Second || attempts > 750 {
			t.Errorf("%d attempts, the longest wait %v", attempts, longest)
		}
		report(t, p, 60, 5*time.Minute)
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Concurrency: 1}, Queue: 3}
		ctx, cancel := context.WithCancel(t.Context())
		must(t, l, limit.Ask{Tenant: "a", Model: "m"})
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() { _, _ = l.Acquire(ctx, limit.Ask{Tenant: "a", Model: "m"}) })
		}
		synctest.Wait()
		_, err := l.Acquire(ctx, limit.Ask{Tenant: "a", Model: "m"})
		if coded, ok := errors.AsType[*schemas.Error](err); !ok || coded.Code != schemas.RateLimited || coded.RetryAfter <= 0 {
			t.Error(err)
		}
		cancel()
		calls.Wait()
	})
}
