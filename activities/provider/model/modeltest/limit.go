package modeltest

import (
	"cmp"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limiter allows a number of calls in any window of time. The zero value allows all.
type limiter struct {
	mu     sync.Mutex
	calls  int
	window time.Duration
	taken  []time.Time // of the calls in the window, in order
}

// take counts a call, if it is allowed, and says so in the headers that OpenAI sends.
func (l *limiter) take(header http.Header, now time.Time) bool {
	if l.calls == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	window := cmp.Or(l.window, time.Minute)
	for len(l.taken) > 0 && now.Sub(l.taken[0]) >= window {
		l.taken = l.taken[1:]
	}
	allowed := len(l.taken) < l.calls
	if allowed {
		l.taken = append(l.taken, now)
	} else {
		wait := window - now.Sub(l.taken[0])
		header.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		header.Set("Retry-After-Ms", strconv.FormatInt(wait.Milliseconds()+1, 10))
	}
	header.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(l.calls))
	header.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(l.calls-len(l.taken)))
	header.Set("X-Ratelimit-Reset-Requests", (window - now.Sub(l.taken[len(l.taken)-1])).Round(time.Millisecond).String())
	return allowed
}
