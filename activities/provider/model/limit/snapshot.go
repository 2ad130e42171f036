package limit

import (
	"cmp"
	"slices"
	"time"
)

// Snapshot is the state of a limiter at one moment, for metrics and for people.
type Snapshot struct {
	Provider string  `json:"provider"`
	Waiting  Waiting `json:"waiting"`
	Bounds   Bounds  `json:"bounds"`
	Models   []Model `json:"models"` // that were called, by name
}

// Waiting counts the calls that wait.
type Waiting struct {
	Interactive int `json:"interactive"`
	Batch       int `json:"batch"`
}

// Bounds is what holds now for a provider or a model.
type Bounds struct {
	InFlight    int           `json:"in_flight"`
	Concurrency int           `json:"concurrency"` // adapted
	Requests    int           `json:"requests"`    // a minute, configured or learned; 0 is unbounded
	Tokens      int           `json:"tokens"`      // a minute, likewise
	Hold        time.Duration `json:"hold"`        // until anything goes
}

// Model is the state of one target.
type Model struct {
	Name    string        `json:"name"`
	Breaker string        `json:"breaker"`          // closed, open or half-open
	Retry   time.Duration `json:"retry"`            // until the breaker lets a probe go
	Bounds  *Bounds       `json:"bounds,omitempty"` // of its own
}

// Snapshot reads the state.
func (l *Limiter) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	snapshot := Snapshot{Provider: l.Provider, Models: []Model{}}
	snapshot.Waiting = Waiting{Interactive: l.queues[Interactive].length, Batch: l.queues[Batch].length}
	if l.whole != nil {
		snapshot.Bounds = l.whole.bounds(now)
	}
	for _, t := range l.targets {
		m := Model{Name: t.model, Breaker: t.breaker.state(now), Retry: max(t.breaker.until.Sub(now), 0)}
		if t.scopes[0] != l.whole {
			own := t.scopes[0].bounds(now)
			m.Bounds = &own
		}
		snapshot.Models = append(snapshot.Models, m)
	}
	slices.SortFunc(snapshot.Models, func(a, b Model) int { return cmp.Compare(a.Name, b.Name) })
	return snapshot
}

func (s *scope) bounds(now time.Time) Bounds {
	return Bounds{
		InFlight: s.window.inFlight, Concurrency: int(s.window.size),
		Requests: int(s.requests.limit()), Tokens: int(s.tokens.limit()),
		Hold: max(s.hold.Sub(now), 0),
	}
}

func (b *breaker) state(now time.Time) string {
	switch {
	case b.until.IsZero():
		return "closed"
	case now.Before(b.until):
		return "open"
	}
	return "half-open"
}
