package limit

import (
	"cmp"
	"time"
)

// scope is what one set of limits covers: a provider, or a model that it limits apart.
type scope struct {
	requests, tokens bucket
	window           window
	hold             time.Time     // nothing goes before
	pause            time.Duration // after the last refusal that named none
	latency          time.Duration // of calls, a moving average
}

// Pauses after a refusal that names none: doubled with each round trip that is refused.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

func newScope(limits Limits, now time.Time) *scope {
	return &scope{
		requests: newBucket(limits.Requests, requestBurst, now),
		tokens:   newBucket(limits.Tokens, tokenBurst, now),
		window:   newWindow(limits.Concurrency),
	}
}

// wait is how long ask must wait at least; 0 lets it go.
func (s *scope) wait(ask Ask, now time.Time) time.Duration {
	if !s.window.room(ask.Class, now) {
		return forever
	}
	return max(s.hold.Sub(now), s.requests.wait(1, ask.Class, now), s.tokens.wait(float64(ask.Tokens), ask.Class, now), 0)
}

// after estimates how long until that many calls with that many tokens have gone.
func (s *scope) after(calls, tokens int, class Class, now time.Time) time.Duration {
	paced := max(s.requests.after(float64(calls), class, now), s.tokens.after(float64(tokens), class, now))
	if free := s.window.free(class, now); calls > free {
		paced = max(paced, time.Duration(float64(s.latency)*float64(calls-free)/s.window.size))
	}
	return max(s.hold.Sub(now), 0) + paced
}

// apart is the time between two calls like this one when many wait.
func (s *scope) apart(tokens int) time.Duration {
	return max(s.requests.apart(1), s.tokens.apart(float64(tokens)), time.Duration(float64(s.latency)/s.window.size))
}

func (s *scope) take(tokens int, now time.Time) {
	s.window.inFlight++
	s.requests.take(1, now)
	s.tokens.take(float64(tokens), now)
}

// untake undoes take.
func (s *scope) untake(tokens int, now time.Time) {
	s.window.inFlight--
	s.requests.take(-1, now)
	s.tokens.take(-float64(tokens), now)
}

// settle corrects the estimate of a call by what it used.
func (s *scope) settle(estimated, used int, now time.Time) {
	if used > 0 {
		s.tokens.take(float64(used-estimated), now)
	}
}

func (s *scope) learn(rates Rates, now time.Time) {
	s.requests.learn(rates.Requests, now)
	s.tokens.learn(rates.Tokens, now)
}

// react adapts to what came of a call that started at start.
func (s *scope) react(v verdict, after time.Duration, start, now time.Time) {
	switch v {
	case answered:
		s.pause = 0
		took := now.Sub(start)
		s.latency = cmp.Or(s.latency, took)
		s.latency += (took - s.latency) / 8 // the gain of RFC 6298
		s.window.grow()
	case throttled:
		first := s.window.shrink(start, now)
		if first {
			s.requests.refused(now)
			s.pause = min(max(2*s.pause, firstPause), lastPause)
		}
		if after == 0 && first {
			after = s.pause
		}
	case overloaded:
		s.window.shrink(start, now)
	case neutral, barred:
		return
	}
	if until := now.Add(after); after > 0 && until.After(s.hold) {
		s.hold = until
	}
}
