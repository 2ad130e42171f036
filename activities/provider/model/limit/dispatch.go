package limit

import (
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// forever is the wait for something that no clock brings, such as the end of another call.
const forever = time.Duration(1<<63 - 1)

// When a call that was sent away is asked to come back, at the soonest and at the latest.
const (
	soonestReturn = time.Second
	longestReturn = 15 * time.Minute
)

func (l *Limiter) waiting() int { return l.queues[Interactive].length + l.queues[Batch].length }

// dispatch lets go what may go now, and sets the timer for what may go later. A call that must wait for one model's limits holds up
// the calls behind it that need them too, and one that waits for the provider's holds up all: else many small calls would pass a
// large one for ever.
func (l *Limiter) dispatch(now time.Time) {
	later := forever
	var blocked []*scope
	for class := range l.queues {
		for w := l.queues[class].next(blocked); w != nil; w = l.queues[class].next(blocked) {
			wait, by := w.target.wait(w.ask, now)
			if wait == 0 {
				l.send(w, now)
				continue
			}
			later = min(later, wait)
			if by == l.whole {
				l.wakeIn(later)
				return
			}
			blocked = append(blocked, by)
		}
	}
	l.wakeIn(later)
}

// send ends the wait of a call.
func (l *Limiter) send(w *waiter, now time.Time) {
	if err := w.target.breaker.refusal(l.full(w.ask.Model), now); err != nil {
		l.queues[w.ask.Class].remove(w)
		w.settle(nil, err)
		return
	}
	l.queues[w.ask.Class].pop(w)
	w.settle(l.grant(w.target, w.ask, now), nil)
}

// dismiss answers all that wait for a target whose breaker has opened.
func (l *Limiter) dismiss(t *target, now time.Time) {
	for class := range l.queues {
		for _, w := range l.queues[class].of(t) {
			l.queues[class].remove(w)
			w.settle(nil, t.breaker.refusal(l.full(t.model), now))
		}
	}
}

func (l *Limiter) wakeIn(wait time.Duration) {
	switch {
	case wait == forever && l.timer == nil:
	case wait == forever:
		l.timer.Stop()
	case l.timer == nil:
		l.timer = time.AfterFunc(wait, l.tick)
	default:
		l.timer.Reset(wait)
	}
}

func (l *Limiter) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dispatch(time.Now())
}

// wait is how long the target's limits alone hold up ask, and which of them does; 0 lets it go.
func (t *target) wait(ask Ask, now time.Time) (time.Duration, *scope) {
	var longest time.Duration
	var by *scope
	for _, s := range t.scopes {
		if wait := s.wait(ask, now); wait > longest {
			longest, by = wait, s
		}
	}
	return longest, by
}

// turn estimates when a waiting call will go, from what waits before it.
func (l *Limiter) turn(w *waiter, now time.Time) time.Duration {
	ahead, tokens := l.queues[w.ask.Class].ahead(w)
	if w.ask.Class == Batch {
		ahead, tokens = ahead+l.queues[Interactive].length, tokens+l.queues[Interactive].tokens
	}
	var longest time.Duration
	for _, s := range w.target.scopes {
		longest = max(longest, s.after(ahead+1, tokens+w.ask.Tokens, w.ask.Class, now))
	}
	return longest
}

// sendAway refuses a call that would wait too long, and says when to come back: when its turn would come, and not at the same time
// as the others that were sent away.
func (l *Limiter) sendAway(w *waiter, wait time.Duration, now time.Time, format string, args ...any) error {
	wait = min(max(wait, l.promised.Sub(now), soonestReturn), longestReturn)
	var apart time.Duration
	for _, s := range w.target.scopes {
		apart = max(apart, s.apart(w.ask.Tokens))
	}
	l.promised = now.Add(wait + apart)
	refusal := schemas.Errorf(schemas.RateLimited, format, args...)
	refusal.RetryAfter = wait
	return refusal
}
