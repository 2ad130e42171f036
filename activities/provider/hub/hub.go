// Package hub joins the front door with the workers of its process, beside Temporal: runs begin while their lane is asked for them, and
// their callers hear what the answer says while it comes in, and of the end as soon as it is durable. All of it is lost with the process; the run's record is what counts.
package hub

import (
	"slices"
	"sync"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Hub knows who listens to which run. The zero value is ready, and a nil one has no listeners. It is safe for concurrent use.
type Hub struct {
	// Ahead begins a run whose lane is about to ask for it. The lane's call joins it, until forget is called. Done is closed when the run
	// has come to its end or to what a lane must decide. Set it before the first use; nil begins nothing.
	Ahead func(run schemas.RunRequest) (done <-chan struct{}, forget func())

	mu        sync.Mutex
	listeners map[string][]*listener // by tenant and run
	voices    map[string]*Voice      // by tenant and run
}

type listener struct{ ended chan schemas.RunOutcome }

// Begin begins the run ahead of its lane where that is possible: see Ahead.
func (h *Hub) Begin(run schemas.RunRequest) (done <-chan struct{}, forget func()) {
	if h.Ahead == nil {
		never := make(chan struct{})
		close(never)
		return never, func() {}
	}
	return h.Ahead(run)
}

// Listen tells of the end of a run, once everything of it is durable, until stop is called.
func (h *Hub) Listen(tenant, run string) (ended <-chan schemas.RunOutcome, stop func()) {
	l := &listener{ended: make(chan schemas.RunOutcome, 1)}
	name := tenant + "/" + run
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.listeners == nil {
		h.listeners = map[string][]*listener{}
	}
	h.listeners[name] = append(h.listeners[name], l)
	return l.ended, func() { h.forget(name, l) }
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

// End says how the run ended. Of several ends, which are the same where a step was repeated, listeners hear the first.
func (h *Hub) End(tenant string, outcome schemas.RunOutcome) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.listeners[tenant+"/"+outcome.RunID] {
		select {
		case l.ended <- outcome:
		default:
		}
	}
}
