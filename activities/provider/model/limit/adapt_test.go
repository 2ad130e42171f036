package limit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/schemas"
)

// A server bears 20 calls at once and answers 503 to more. Concurrency settles about there from far above, and grows back when the server grows.
func TestConcurrencyAdapts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p"}
		var mu sync.Mutex
		bears, inFlight, served, failed, dismissed := 20, 0, 0, 0, 0
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for i := range 200 {
			callers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(i), 3))
				for ctx.Err() == nil {
					g, err := l.Acquire(ctx, limit.Ask{Tenant: "a", Model: "m"})
					if err != nil {
						if coded, ok := errors.AsType[*schemas.Error](err); ok {
							mu.Lock()
							dismissed++
							mu.Unlock()
							time.Sleep(coded.RetryAfter)
						}
						continue
					}
					mu.Lock()
					inFlight++
					over := inFlight > bears
					mu.Unlock()
					time.Sleep(time.Duration(500+random.IntN(1000)) * time.Millisecond)
					mu.Lock()
					inFlight--
					if over {
						failed++
						err = schemas.Errorf(schemas.Unavailable, "overloaded")
					} else {
						served++
					}
					mu.Unlock()
					g.Done(limit.Outcome{Err: err})
				}
			})
		}
		measure := func(name string, capacity int, span time.Duration) {
			time.Sleep(time.Minute)
			mu.Lock()
			served, failed = 0, 0
			mu.Unlock()
			time.Sleep(span)
			mu.Lock()
			defer mu.Unlock()
			use := float64(served) / (float64(capacity) * span.Seconds())
			share := float64(failed) / float64(served+failed)
			t.Logf("%s: %.0f %% of what the server bears, %.1f %% failed, %d dismissed, window %d", name, 100*use, 100*share, dismissed, l.Snapshot().Bounds.Concurrency)
			if use < 0.7 || share > 0.15 {
				t.Errorf("%s: used %.2f, failed %.2f", name, use, share)
			}
		}
		measure("20 at once", 20, 5*time.Minute)
		mu.Lock()
		bears = 60
		mu.Unlock()
		measure("60 at once", 60, 5*time.Minute)
		cancel()
		callers.Wait()
	})
}

func TestOneDecreaseARoundTrip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Concurrency: 40}}
		grants := make([]*limit.Grant, 40)
		for i := range grants {
			grants[i] = must(t, l, limit.Ask{Tenant: "a", Model: fmt.Sprint("model ", i)}) // so that no breaker opens
		}
		time.Sleep(time.Second)
		for _, g := range grants {
			g.Done(limit.Outcome{Err: context.DeadlineExceeded})
		}
		if size := l.Snapshot().Bounds.Concurrency; size != 28 {
			t.Errorf("concurrency %d after one round trip of timeouts", size)
		}
	})
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p"}
		ask := limit.Ask{Tenant: "a", Model: "m"}
		down := schemas.Errorf(schemas.Unavailable, "down")
		for range 5 {
			must(t, l, ask).Done(limit.Outcome{Err: down})
		}
		wantOpen(t, l, schemas.Unavailable, 5*time.Second)
		must(t, l, limit.Ask{Tenant: "a", Model: "other"}).Done(limit.Outcome{})
		time.Sleep(5 * time.Second)
		probe := must(t, l, ask)
		wantOpen(t, l, schemas.Unavailable, time.Second) // one call tries it
		probe.Done(limit.Outcome{Err: down})
		wantOpen(t, l, schemas.Unavailable, 10*time.Second)
		time.Sleep(10 * time.Second)
		must(t, l, ask).Done(limit.Outcome{Err: context.Canceled}) // a probe that tells nothing
		if state := l.Snapshot().Models[0].Breaker; state != "half-open" {
			t.Error(state)
		}
		must(t, l, ask).Done(limit.Outcome{Err: schemas.Errorf(schemas.Refused, "no")}) // it answers
		if state := l.Snapshot().Models[0].Breaker; state != "closed" {
			t.Error(state)
		}
		must(t, l, ask).Done(limit.Outcome{})
	})
}

func wantOpen(t *testing.T, l *limit.Limiter, code schemas.Code, after time.Duration) {
	t.Helper()
	start := time.Now()
	_, err := l.Acquire(t.Context(), limit.Ask{Tenant: "a", Model: "m"})
	coded, ok := errors.AsType[*schemas.Error](err)
	if !ok || coded.Code != code || coded.RetryAfter != after || time.Since(start) > 0 {
		t.Errorf("got %v after %v, want %s to be asked again in %v", err, time.Since(start), code, after)
	}
}

func TestWhatOpensTheBreaker(t *testing.T) {
	t.Parallel()
	failures := func(err error, n int) []error {
		all := make([]error, n)
		for i := range all {
			all[i] = err
		}
		return all
	}
	unavailable, deadline := schemas.Errorf(schemas.Unavailable, "down"), schemas.Errorf(schemas.Deadline, "late")
	patient := schemas.Errorf(schemas.Unavailable, "down")
	patient.RetryAfter = 90 * time.Second
	var half []error
	for range 10 {
		half = append(half, nil, unavailable)
	}
	for name, c := range map[string]struct {
		outcomes []error
		code     schemas.Code // empty: stays closed
		after    time.Duration
	}{
		"four in a row":          {outcomes: failures(unavailable, 4)},
		"five in a row":          {failures(unavailable, 5), schemas.Unavailable, 5 * time.Second},
		"deadlines":              {failures(deadline, 5), schemas.Unavailable, 5 * time.Second},
		"one answer between":     {outcomes: append(append(failures(unavailable, 4), nil), failures(unavailable, 4)...)},
		"a refusal is an answer": {outcomes: append(append(failures(unavailable, 4), schemas.Errorf(schemas.Refused, "")), failures(unavailable, 4)...)},
		"half of twenty":         {half, schemas.Unavailable, 5 * time.Second},
		"bad requests":           {outcomes: failures(schemas.Errorf(schemas.Invalid, ""), 50)},
		"cancelled":              {outcomes: failures(context.Canceled, 50)},
		"our own faults":         {outcomes: failures(errors.New("bug"), 50)},
		"a refused key":          {failures(schemas.Errorf(schemas.Unauthorized, ""), 1), schemas.Unauthorized, time.Minute},
		"no credit":              {failures(schemas.Errorf(schemas.OverBudget, ""), 1), schemas.OverBudget, time.Minute},
		"as long as it says":     {failures(patient, 5), schemas.Unavailable, 90 * time.Second},
		"rate limits":            {outcomes: failures(schemas.Errorf(schemas.RateLimited, ""), 30)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &limit.Limiter{Provider: "p"}
				grants := make([]*limit.Grant, len(c.outcomes))
				for i := range grants {
					grants[i] = must(t, l, limit.Ask{Tenant: "a", Model: "m"})
				}
				for i, err := range c.outcomes {
					grants[i].Done(limit.Outcome{Err: err})
				}
				if c.code != "" {
					wantOpen(t, l, c.code, c.after)
				} else if state := l.Snapshot().Models[0].Breaker; state != "closed" {
					t.Error(state)
				}
			})
		})
	}
}

// Those who wait when the breaker opens learn it at once.
func TestAnOpeningBreakerDismissesTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Concurrency: 1}}
		g := must(t, l, limit.Ask{Tenant: "a", Model: "m"})
		start := time.Now()
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() {
				if _, err := l.Acquire(t.Context(), limit.Ask{Tenant: "a", Model: "m", Class: limit.Batch}); schemas.CodeOf(err) != schemas.Unauthorized {
					t.Error(err)
				}
			})
		}
		var other *limit.Grant
		calls.Go(func() { other = must(t, l, limit.Ask{Tenant: "a", Model: "other", Class: limit.Batch}) })
		synctest.Wait()
		g.Done(limit.Outcome{Err: schemas.Errorf(schemas.Unauthorized, "no")})
		calls.Wait()
		other.Done(limit.Outcome{})
		if waited := time.Since(start); waited > 0 {
			t.Errorf("waited %v", waited)
		}
	})
}

// Callers come, leave, fail and time out at random. In the end nothing is held and nobody waits.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &limit.Limiter{
			Provider: "p", Limits: limit.Limits{Requests: 6000, Tokens: 100_000, Concurrency: 30}, Queue: 200,
			Models: map[string]limit.Limits{"m0": {Requests: 600, Concurrency: 3}, "m1": {Tokens: 20_000}},
		}
		outcomes := []error{nil, nil, nil, nil, nil, nil, schemas.Errorf(schemas.RateLimited, ""), schemas.Errorf(schemas.Unavailable, ""), context.Canceled, schemas.Errorf(schemas.Invalid, "")}
		var callers sync.WaitGroup
		for i := range 400 {
			callers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(i), 7))
				for range 50 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(3000))*time.Millisecond)
					g, err := l.Acquire(ctx, limit.Ask{
						Tenant: fmt.Sprint(random.IntN(7)), Model: fmt.Sprint("m", random.IntN(4)), Class: limit.Class(random.IntN(2)),
						Tokens: random.IntN(200), MaxWait: time.Duration(random.IntN(2)) * time.Second,
					})
					cancel()
					if err != nil {
						continue
					}
					time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
					g.Done(limit.Outcome{Err: outcomes[random.IntN(len(outcomes))], Tokens: random.IntN(300)})
				}
			})
		}
		callers.Wait()
		s := l.Snapshot()
		if s.Waiting != (limit.Waiting{}) || s.Bounds.InFlight != 0 {
			t.Errorf("%+v", s)
		}
		for _, m := range s.Models {
			if m.Bounds != nil && m.Bounds.InFlight != 0 {
				t.Errorf("%s: %+v", m.Name, m.Bounds)
			}
		}
	})
}

func BenchmarkUncontended(b *testing.B) {
	l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Requests: 1 << 40, Tokens: 1 << 50}}
	ask := limit.Ask{Tenant: "a", Model: "m", Tokens: 100}
	b.ReportAllocs()
	for b.Loop() {
		g, err := l.Acquire(b.Context(), ask)
		if err != nil {
			b.Fatal(err)
		}
		g.Done(limit.Outcome{Tokens: 90})
	}
}

// A call comes and goes while a thousand others of a hundred tenants wait.
func BenchmarkBehindAQueue(b *testing.B) {
	l := &limit.Limiter{Provider: "p", Limits: limit.Limits{Concurrency: 2}}
	ctx, cancel := context.WithCancel(b.Context())
	held, err := l.Acquire(ctx, limit.Ask{Tenant: "a", Model: "m"})
	if err != nil {
		b.Fatal(err)
	}
	var waiters sync.WaitGroup
	for i := range 1000 {
		waiters.Go(func() {
			for {
				g, err := l.Acquire(ctx, limit.Ask{Tenant: fmt.Sprint(i % 100), Model: "m", Class: limit.Batch, Tokens: 100})
				if err != nil {
					return
				}
				g.Done(limit.Outcome{})
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		g, err := l.Acquire(ctx, limit.Ask{Tenant: "b", Model: "m"})
		if err != nil {
			b.Fatal(err)
		}
		g.Done(limit.Outcome{})
	}
	held.Done(limit.Outcome{})
	cancel()
	waiters.Wait()
}
