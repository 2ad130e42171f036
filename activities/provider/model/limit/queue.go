package limit

import "slices"

// waiter is a call that waits. Its fields but ready are guarded by Limiter.mu.
type waiter struct {
	ask     Ask
	target  *target
	tenant  *tenant
	arrival uint64
	grant   *Grant
	err     error
	ready   chan struct{} // closed when grant or err is set
}

func (w *waiter) settled() bool { return w.grant != nil || w.err != nil }

func (w *waiter) settle(g *Grant, err error) {
	w.grant, w.err = g, err
	close(w.ready)
}

// queue holds the waiting calls of a class. The zero value is ready.
//
// It is start-time fair queueing with tags kept by tenant instead of by call, so that a call that leaves costs its tenant nothing: a
// tenant's tag is the virtual time at which its next call starts, the clock is the tag of the call that went last, and the smallest tag
// goes next.
type queue struct {
	tenants []*tenant // with calls that wait, or with a tag ahead of the clock
	clock   float64
	length  int
	tokens  int // of all that wait
}

type tenant struct {
	name   string
	tag    float64
	length int
	lines  []*line
}

// line holds the calls of a tenant that the same limits bound, in the order of arrival.
type line struct {
	narrowest *scope
	waiters   []*waiter
}

func (q *queue) push(w *waiter) {
	i := slices.IndexFunc(q.tenants, func(t *tenant) bool { return t.name == w.ask.Tenant })
	if i < 0 {
		i = len(q.tenants)
		q.tenants = append(q.tenants, &tenant{name: w.ask.Tenant})
	}
	w.tenant = q.tenants[i]
	if w.tenant.length == 0 {
		w.tenant.tag = max(w.tenant.tag, q.clock)
	}
	l := w.tenant.line(w.target.scopes[0])
	l.waiters = append(l.waiters, w)
	w.tenant.length++
	q.length++
	q.tokens += w.ask.Tokens
}

func (t *tenant) line(narrowest *scope) *line {
	for _, l := range t.lines {
		if l.narrowest == narrowest {
			return l
		}
	}
	l := &line{narrowest: narrowest}
	t.lines = append(t.lines, l)
	return l
}

// next is the call that goes next of those that none of the blocked limits bounds; nil when there is none.
func (q *queue) next(blocked []*scope) *waiter {
	var best *waiter
	for _, t := range q.tenants {
		if best != nil && t.tag > best.tenant.tag {
			continue
		}
		w := t.first(blocked)
		if w != nil && (best == nil || t.tag < best.tenant.tag || w.arrival < best.arrival) {
			best = w
		}
	}
	return best
}

func (t *tenant) first(blocked []*scope) *waiter {
	var oldest *waiter
	for _, l := range t.lines {
		if len(l.waiters) == 0 || slices.Contains(blocked, l.narrowest) {
			continue
		}
		if w := l.waiters[0]; oldest == nil || w.arrival < oldest.arrival {
			oldest = w
		}
	}
	return oldest
}

// pop takes out a call that goes, at its tenant's expense.
func (q *queue) pop(w *waiter) {
	q.clock = max(q.clock, w.tenant.tag)
	w.tenant.tag += float64(max(w.ask.Tokens, 1))
	q.remove(w)
}

// remove takes out a call that leaves.
func (q *queue) remove(w *waiter) {
	l := w.tenant.line(w.target.scopes[0])
	if l.waiters[0] == w {
		l.waiters[0] = nil
		l.waiters = l.waiters[1:]
	} else {
		l.waiters = slices.DeleteFunc(l.waiters, func(o *waiter) bool { return o == w })
	}
	w.tenant.length--
	q.length--
	q.tokens -= w.ask.Tokens
	if q.length == 0 {
		*q = queue{}
		return
	}
	q.tenants = slices.DeleteFunc(q.tenants, func(t *tenant) bool { return t.length == 0 && t.tag <= q.clock })
}

// of lists the calls that wait for a target.
func (q *queue) of(target *target) []*waiter {
	var found []*waiter
	for _, t := range q.tenants {
		for _, w := range t.line(target.scopes[0]).waiters {
			if w.target == target {
				found = append(found, w)
			}
		}
	}
	return found
}

// ahead estimates how many calls, and with how many tokens, go before w: its tenant's earlier ones, and as many of each other.
func (q *queue) ahead(w *waiter) (calls, tokens int) {
	place := slices.Index(w.tenant.line(w.target.scopes[0]).waiters, w)
	calls = place
	for _, t := range q.tenants {
		if t != w.tenant {
			calls += min(t.length, place+1)
		}
	}
	return calls, calls * (q.tokens / q.length)
}
