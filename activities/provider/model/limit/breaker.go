package limit

import (
	"cmp"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// breaker keeps calls from a target that fails. The zero value is closed.
//
// It is our own because it shares the lock of the queue, takes the time to stay open from the failure (Retry-After, a refused key), and
// must let a probe be given back unused; the libraries at hand open for one fixed time.
type breaker struct {
	until       time.Time // zero while closed; then when the next probe may go
	cause       schemas.Code
	cooldown    time.Duration // the last one
	probing     bool
	consecutive int       // failures of calls that started after the one before had failed
	failed      time.Time // the last of them
	recent      [2]tally  // of this half minute and the one before
	turned      time.Time
}

type tally struct{ calls, failures int }

// When a breaker opens, and for how long: doubled with each probe that fails.
const (
	consecutiveFailures = 5
	ratioCalls          = 20 // in the last minute, half of them failures
	halfWindow          = 30 * time.Second
	firstCooldown       = 5 * time.Second
	lastCooldown        = time.Minute
	barredCooldown      = time.Minute
	lastBarredCooldown  = 15 * time.Minute
	probeTime           = time.Second // after which to ask again while a probe is on its way
)

// open reports whether calls fail at once.
func (b *breaker) open(now time.Time) bool {
	return !b.until.IsZero() && (b.probing || now.Before(b.until))
}

// refusal is the error for a call of model while open, nil otherwise. It has the code of what opened the breaker: a refused key does not
// become a matter of patience.
func (b *breaker) refusal(model string, now time.Time) error {
	if !b.open(now) {
		return nil
	}
	after := max(b.until.Sub(now), probeTime)
	refusal := schemas.Errorf(b.cause, "the model %s failed repeatedly and is tried again in %s", model, after.Round(time.Second))
	switch b.cause { //nolint:exhaustive // the others are failures to answer
	case schemas.Unauthorized:
		refusal.Message = "the provider of the model " + model + " refuses the key; it is tried again in " + after.Round(time.Second).String()
	case schemas.OverBudget:
		refusal.Message = "the quota or credit for the model " + model + " is used up; it is tried again in " + after.Round(time.Second).String()
	}
	refusal.RetryAfter = after
	return refusal
}

// begin notes a call, and reports whether it is the probe.
func (b *breaker) begin(now time.Time) bool {
	b.probing = !b.until.IsZero() && !now.Before(b.until)
	return b.probing
}

// end notes what came of a call. While open only the probe counts.
func (b *breaker) end(g *Grant, v verdict, err error, after time.Duration, now time.Time) {
	if g.probe {
		b.probing = false
	}
	if v == neutral || (!b.until.IsZero() && !g.probe) {
		return
	}
	if !g.probe {
		b.count(v, g.start, now)
	}
	switch {
	case v == barred:
		b.trip(schemas.CodeOf(err), after, barredCooldown, lastBarredCooldown, now)
	case v == overloaded && (g.probe || b.failing()):
		b.trip(schemas.Unavailable, after, firstCooldown, lastCooldown, now)
	case g.probe:
		*b = breaker{}
	}
}

func (b *breaker) count(v verdict, start, now time.Time) {
	switch idle := now.Sub(b.turned); {
	case idle >= 2*halfWindow:
		b.recent, b.turned = [2]tally{}, now
	case idle >= halfWindow:
		b.recent, b.turned = [2]tally{{}, b.recent[0]}, now
	}
	b.recent[0].calls++
	switch v {
	case overloaded:
		b.recent[0].failures++
		if !start.Before(b.failed) { // one burst of a server at its limit is not a server that is down
			b.consecutive, b.failed = b.consecutive+1, now
		}
	case answered:
		b.consecutive = 0
	case neutral, throttled, barred:
	}
}

func (b *breaker) failing() bool {
	calls := b.recent[0].calls + b.recent[1].calls
	failures := b.recent[0].failures + b.recent[1].failures
	return b.consecutive >= consecutiveFailures || (calls >= ratioCalls && 2*failures >= calls)
}

func (b *breaker) trip(cause schemas.Code, after, first, last time.Duration, now time.Time) {
	cooldown := min(cmp.Or(2*b.cooldown, first), last)
	*b = breaker{cause: cause, cooldown: max(cooldown, first), until: now.Add(max(cooldown, first, after))}
}
