package limit_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/schemas"
)

// meter decides as a provider does whether a request that arrives now is within its limit, else when it would be.
type meter func(now time.Time) time.Duration

// fixed counts in minutes that begin at a moment of its own.
func fixed(perMinute int, offset time.Duration) meter {
	var began time.Time
	used := 0
	return func(now time.Time) time.Duration {
		if this := now.Add(-offset).Truncate(time.Minute).Add(offset); this.After(began) {
			began, used = this, 0
		}
		if used++; used > perMinute {
			return began.Add(time.Minute).Sub(now)
		}
		return 0
	}
}

// sliding counts in the minute before each request.
func sliding(perMinute int) meter {
	var passed []time.Time
	return func(now time.Time) time.Duration {
		for len(passed) > 0 && now.Sub(passed[0]) >= time.Minute {
			passed = passed[1:]
		}
		if len(passed) >= perMinute {
			return passed[0].Add(time.Minute).Sub(now)
		}
		passed = append(passed, now)
		return 0
	}
}

// gcra is the generic cell rate algorithm: requests evenly, burst of them early.
func gcra(perMinute, burst int) meter {
	interval := time.Minute / time.Duration(perMinute)
	var due time.Time
	return func(now time.Time) time.Duration {
		if now.After(due) {
			due = now
		}
		if early := due.Sub(now) - time.Duration(burst-1)*interval; early > 0 {
			return early
		}
		due = due.Add(interval)
		return 0
	}
}

// provider is a simulated one. Requests take up to delay to reach it, and then latency to be answered.
type provider struct {
	meter          meter
	delay, latency time.Duration

	mu       sync.Mutex
	random   *rand.Rand
	arrivals []time.Time
	refused  int
}

func newProvider(m meter, delay, latency time.Duration) *provider {
	return &provider{meter: m, delay: delay, latency: latency, random: rand.New(rand.NewPCG(1, 2))}
}

// call makes one call, and hands back the grant.
func (p *provider) call(g *limit.Grant) error {
	time.Sleep(p.travel())
	err := p.arrive()
	if err == nil {
		time.Sleep(p.latency)
	}
	g.Done(limit.Outcome{Err: err})
	return err
}

func (p *provider) travel() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.delay == 0 {
		return 0
	}
	return time.Duration(p.random.Int64N(int64(p.delay)))
}

func (p *provider) arrive() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if after := p.meter(now); after > 0 {
		p.refused++
		refusal := schemas.Errorf(schemas.RateLimited, "too many requests")
		refusal.RetryAfter = after
		return refusal
	}
	p.arrivals = append(p.arrivals, now)
	return nil
}

// refusals counts what it has refused so far.
func (p *provider) refusals() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused
}

// busiest is the most requests that arrived in any window of this length.
func (p *provider) busiest(length time.Duration) int {
	most, first := 0, 0
	for i, at := range p.arrivals {
		for at.Sub(p.arrivals[first]) > length {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// between counts the arrivals of a span after the first.
func (p *provider) between(from, to time.Duration) int {
	n := 0
	for _, at := range p.arrivals {
		if since := at.Sub(p.arrivals[0]); since >= from && since < to {
			n++
		}
	}
	return n
}

func meters(perMinute int) map[string]meter {
	return map[string]meter{
		"fixed window":   fixed(perMinute, 17*time.Second),
		"sliding window": sliding(perMinute),
		"cell rate":      gcra(perMinute, 5),
	}
}

func must(t *testing.T, l *limit.Limiter, ask limit.Ask) *limit.Grant {
	t.Helper()
	g, err := l.Acquire(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
