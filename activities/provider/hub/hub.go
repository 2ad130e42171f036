// Package hub tells callers in this process how their runs get on, beside Temporal. What it tells of an end is durable already; it
// is lost with the process, and the run's record is what counts.
package hub

import (
	"slices"
	"sync"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Hub knows who listens to which run. The zero value is ready, and a nil one has no listeners. It is safe for concurrent use.
type Hub struct {
	mu        sync.Mutex
	listeners map[string][]*listener // by tenant and run
}

type listener struct {
	began chan struct{}
	ended chan schemas.RunOutcome
	heard bool // that the run has begun
}

// Listen tells of a run until stop is called: began is closed when its first step begins in this process, ended has the outcome once
// everything of the run is durable.
func (h *Hub) Listen(tenant, run string) (began <-chan struct{}, ended <-chan schemas.RunOutcome, stop func()) {
	l := &listener{began: make(chan struct{}), ended: make(chan schemas.RunOutcome, 1)}
	name := tenant + "/" + run
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners == nil {
		h.listeners = map[string][]*listener{}
	}
	h.listeners[name] = append(h.listeners[name], l)
	return l.began, l.ended, func() { h.forget(name, l) }
}

func (h *Hub) forget(name string, l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	others := slices.DeleteFunc(h.listeners[name], func(other *listener) bool { return other == l })
	if len(others) == 0 {
		delete(h.listeners, name)
		return
	}
	h.listeners[name] = others
}

// Begin says that a step of the run begins.
func (h *Hub) Begin(tenant, run string) {
	h.each(tenant, run, func(l *listener) {
		if !l.heard {
			l.heard = true
			close(l.began)
		}
	})
}

// End says how the run ended. Of several ends, which are the same where a step was repeated, listeners hear the first.
func (h *Hub) End(tenant string, outcome schemas.RunOutcome) {
	h.each(tenant, outcome.RunID, func(l *listener) {
		select {
		case l.ended <- outcome:
		default:
		}
	})
}

func (h *Hub) each(tenant, run string, tell func(*listener)) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.listeners[tenant+"/"+run] {
		tell(l)
	}
}
