package limit

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Class says who waits for a call.
type Class int

// The classes. An interactive call has a person or a service waiting; batch work waits behind it.
const (
	Interactive Class = iota
	Batch
	classes
)

// Limits bounds calls. A zero field is unknown: it is learned if the provider tells, else unbounded.
type Limits struct {
	Requests    int // a minute
	Tokens      int // a minute, input and output
	Concurrency int // at once
}

// Limiter lets calls of one provider through. Set the fields before the first call and do not copy it afterwards; it is safe for
// concurrent use. The zero value has no bounds but those that it learns.
type Limiter struct {
	Provider string            // for messages
	Limits   Limits            // of all models together
	Models   map[string]Limits // of models that the provider limits apart; they count for Limits too. Refusals of such a model hold up only it
	Queue    int               // calls that may wait; default 10,000

	mu       sync.Mutex
	whole    *scope
	targets  map[string]*target
	queues   [classes]queue
	arrivals uint64
	timer    *time.Timer
	promised time.Time // when the last call that was sent away may come back
}

// target is one model of the provider.
type target struct {
	model   string
	scopes  []*scope // that bound it, the narrowest first
	breaker breaker
}

// Ask is a call that wants to be made.
type Ask struct {
	Tenant  string
	Model   string
	Class   Class
	Tokens  int           // estimate of input and output together
	MaxWait time.Duration // waiting longer is refused, with the time after which to come back; 0 waits until the context ends
}

// Outcome is what came of a call.
type Outcome struct {
	Err        error         // nil, or as the driver returned it
	RetryAfter time.Duration // what the provider asked for; 0 takes it from Err
	Tokens     int           // that the call used; 0 keeps the estimate
	Rates      Rates         // what the headers of the response said
}

// Rates is what a provider says of its limits.
type Rates struct {
	Requests, Tokens Rate
}

// Rate is one limit as a provider reports it.
type Rate struct {
	Limit     int           // a minute; 0 is unknown. Ignored with a Reset above a minute: it counts hours or days then
	Remaining int           // unknown when Known is false
	Known     bool          // Remaining was named
	Reset     time.Duration // until all of Limit remains again; 0 is unknown or now
}

// Grant is leave to make one call. Done must be called once, whatever came of it.
type Grant struct {
	limiter *Limiter
	target  *target
	tokens  int
	start   time.Time
	probe   bool // the call tries a target that was failing
	done    bool // guarded by Limiter.mu
}

// longestHold is the longest Retry-After that is believed.
const longestHold = 24 * time.Hour

// queueLimit bounds waiting calls where Limiter.Queue does not.
const queueLimit = 10_000

// Acquire waits until the call may be made.
//
// Codes: unavailable, unauthorized and over_budget, with RetryAfter, while the target's breaker is open, with the code that opened it;
// rate_limited, with RetryAfter, when the wait would exceed MaxWait or too many wait; deadline when the context's deadline passes. A
// caller that cancels gets its context's error.
func (l *Limiter) Acquire(ctx context.Context, ask Ask) (*Grant, error) {
	if err := cmp.Or(ctx.Err(), quitOf(ctx).Err()); err != nil {
		return nil, l.left(err)
	}
	ask.Tokens = max(ask.Tokens, 0)
	if ask.Class != Interactive {
		ask.Class = Batch
	}
	grant, w, err := l.enter(ask)
	if w == nil {
		return grant, err
	}
	return l.await(ctx, w)
}

// enter grants at once, refuses, or lets the call wait.
func (l *Limiter) enter(ask Ask) (*Grant, *waiter, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	t := l.target(ask.Model)
	if err := t.breaker.refusal(l.full(ask.Model), now); err != nil {
		return nil, nil, err
	}
	if l.waiting() == 0 {
		if wait, _ := t.wait(ask, now); wait == 0 {
			return l.grant(t, ask, now), nil, nil
		}
	}
	l.arrivals++
	w := &waiter{ask: ask, target: t, arrival: l.arrivals, ready: make(chan struct{})}
	l.queues[ask.Class].push(w)
	l.dispatch(now)
	if w.settled() {
		return w.grant, nil, w.err
	}
	wait := l.turn(w, now)
	switch {
	case l.waiting() > cmp.Or(l.Queue, queueLimit):
		l.queues[ask.Class].remove(w)
		return nil, nil, l.sendAway(w, wait, now, "too many calls wait for the model provider %s", l.Provider)
	case ask.MaxWait > 0 && wait > ask.MaxWait:
		l.queues[ask.Class].remove(w)
		return nil, nil, l.sendAway(w, wait, now, "the model provider %s has no room for this call yet", l.Provider)
	}
	return nil, w, nil
}

func (l *Limiter) await(ctx context.Context, w *waiter) (*Grant, error) {
	var bound <-chan time.Time
	if w.ask.MaxWait > 0 {
		timer := time.NewTimer(w.ask.MaxWait)
		defer timer.Stop()
		bound = timer.C
	}
	select {
	case <-w.ready:
		return w.grant, w.err
	case <-ctx.Done():
	case <-quitOf(ctx).Done():
	case <-bound:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	switch {
	case w.settled() && (w.grant == nil || ctx.Err() == nil):
		return w.grant, w.err
	case w.settled():
		l.giveBack(w.grant, now)
		return nil, l.left(ctx.Err())
	}
	wait := l.turn(w, now)
	l.queues[w.ask.Class].remove(w)
	l.dispatch(now) // what it blocked may go
	if err := cmp.Or(ctx.Err(), quitOf(ctx).Err()); err != nil {
		return nil, l.left(err)
	}
	return nil, l.sendAway(w, wait, now, "the model provider %s has no room for this call yet", l.Provider)
}

type quitKey struct{}

// WithQuit returns a context under which a call that waits for its turn leaves when quit ends. One that has its turn goes on: it is paid for.
func WithQuit(ctx, quit context.Context) context.Context {
	return context.WithValue(ctx, quitKey{}, quit)
}

// quitOf is what ends a wait beside its own context; it never ends where nobody said so.
func quitOf(ctx context.Context) context.Context {
	if quit, ok := ctx.Value(quitKey{}).(context.Context); ok {
		return quit
	}
	return context.Background()
}

// left is the error of a caller whose context ended while it waited.
func (l *Limiter) left(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return schemas.Wrap(schemas.Deadline, err, "the call waited for its turn at the model provider %s until its time was over", l.Provider)
	}
	return err
}

// target finds what is known of a model, and sets up what is needed at the first call.
func (l *Limiter) target(model string) *target {
	if t, ok := l.targets[model]; ok {
		return t
	}
	now := time.Now()
	if l.targets == nil {
		l.targets = map[string]*target{}
		l.whole = newScope(l.Limits, now)
	}
	t := &target{model: model, scopes: []*scope{l.whole}}
	if own, ok := l.Models[model]; ok {
		t.scopes = []*scope{newScope(own, now), l.whole}
	}
	l.targets[model] = t
	return t
}

func (l *Limiter) full(model string) string { return l.Provider + "/" + model }

func (l *Limiter) grant(t *target, ask Ask, now time.Time) *Grant {
	for _, s := range t.scopes {
		s.take(ask.Tokens, now)
	}
	return &Grant{limiter: l, target: t, tokens: ask.Tokens, start: now, probe: t.breaker.begin(now)}
}

// giveBack undoes a grant whose call was never made.
func (l *Limiter) giveBack(g *Grant, now time.Time) {
	g.done = true
	for _, s := range g.target.scopes {
		s.untake(g.tokens, now)
	}
	g.target.breaker.end(g, neutral, nil, 0, now)
	l.dispatch(now)
}

// Done hands the grant back. A second call does nothing.
func (g *Grant) Done(o Outcome) {
	l := g.limiter
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.done {
		return
	}
	g.done = true
	now := time.Now()
	v := judge(o.Err)
	after := o.RetryAfter
	if coded, ok := errors.AsType[*schemas.Error](o.Err); ok {
		after = cmp.Or(after, coded.RetryAfter)
	}
	after = min(max(after, 0), longestHold)
	for i, s := range g.target.scopes {
		s.settle(g.tokens, o.Tokens, now)
		if i == 0 { // the provider speaks of the narrowest
			s.learn(o.Rates, now)
			s.react(v, after, g.start, now)
		}
		s.window.inFlight--
	}
	g.target.breaker.end(g, v, o.Err, after, now)
	if g.target.breaker.open(now) {
		l.dismiss(g.target, now)
	}
	l.dispatch(now)
}

// verdict is what an outcome says of the provider.
type verdict int

const (
	answered   verdict = iota // also with a refusal: the provider is there
	neutral                   // says nothing of it
	throttled                 // too many calls or tokens
	overloaded                // does not answer, or not in time
	barred                    // our key or our credit
)

func judge(err error) verdict {
	if err == nil {
		return answered
	}
	coded, ok := errors.AsType[*schemas.Error](err)
	if !ok {
		if errors.Is(err, context.DeadlineExceeded) {
			return overloaded
		}
		return neutral
	}
	switch coded.Code {
	case schemas.RateLimited:
		return throttled
	case schemas.Unavailable, schemas.Deadline:
		return overloaded
	case schemas.Unauthorized, schemas.OverBudget:
		return barred
	case schemas.Invalid, schemas.NotFound, schemas.Conflict, schemas.Refused, schemas.MalformedOutput:
		return answered
	case schemas.Internal:
	}
	return neutral
}
