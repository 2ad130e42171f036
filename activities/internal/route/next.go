package route

import (
	"slices"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Tried is an attempt and what came of it.
type Tried struct {
	Attempt
	Code       schemas.Code  // empty for an answer
	RetryAfter time.Duration // of a failure
	TooLong    bool          // invalid, because the model's context has no room for the request
	Escalated  bool          // an answer that is not good enough
}

// Next is the attempt of the plan that follows those that were tried; not ok when there is none, and Final says what holds then.
//
// The next target is asked after an answer that escalates, and after a failure that another model may not have: rate_limited (the
// caller has waited as long as it would), unavailable, deadline, over_budget, unauthorized, not_found and malformed_output; refused where
// the route says so; invalid only for a request that was too long, and then a target with a larger context. Any other answer or
// failure ends the route: the same request would fail everywhere, or the fault is ours.
func Next(r Route, plan []Attempt, tried []Tried) (Attempt, bool) {
	if len(tried) > 0 && !r.continues(tried[len(tried)-1]) {
		return Attempt{}, false
	}
	room := 0 // that was not enough
	limited := false
	for _, t := range tried {
		if t.TooLong {
			limited, room = true, max(room, r.Targets[t.Target].Context)
		}
	}
	for _, a := range plan {
		before := slices.ContainsFunc(tried, func(t Tried) bool { return t.Attempt == a })
		if !before && (!limited || r.Targets[a.Target].Context > room) {
			return a, true
		}
	}
	return Attempt{}, false
}

func (r Route) continues(last Tried) bool {
	switch last.Code {
	case "":
		return last.Escalated
	case schemas.RateLimited, schemas.Unavailable, schemas.Deadline, schemas.OverBudget, schemas.Unauthorized, schemas.NotFound,
		schemas.MalformedOutput:
		return true
	case schemas.Refused:
		return r.Refusals
	case schemas.Invalid:
		return last.TooLong
	case schemas.Conflict, schemas.Internal:
	}
	return false
}

// Final is the index in tried of what the route ends with when there is no next attempt: the last answer, though it may escalate; else a
// failure that ends the route by itself; else the failure that can be repeated soonest, so that one target's refused key does not end
// what another's pause would mend; else the last failure. Tried must not be empty.
func Final(r Route, tried []Tried) int {
	last := len(tried) - 1
	for i := last; i >= 0; i-- {
		if tried[i].Code == "" {
			return i
		}
	}
	if !r.continues(tried[last]) {
		return last
	}
	best := -1
	for i, t := range tried {
		if t.Code.Retryable() && (best < 0 || t.RetryAfter < tried[best].RetryAfter) {
			best = i
		}
	}
	if best < 0 {
		return last
	}
	return best
}
