package limit

import (
	"math"
	"time"
)

// bucket bounds an amount a minute: requests or tokens. Its limit may be unknown, then it lets all pass.
type bucket struct {
	configured, learned float64 // a minute; 0 is unknown
	burst               func(limit float64) (reserve, top float64)
	refusals            int       // within the limit, lately: each halves the reserve
	forget              time.Time // the refusals

	rate     float64 // a second
	capacity float64
	reserve  float64 // of capacity, for interactive calls; batch calls take what lies above
	level    float64 // below 0 after a call that was larger than the bucket or than its estimate
	at       time.Time
}

// window is a minute, and a second for what the network delays.
const windowSeconds = 61

// refusalTime is how long a bucket remembers that the provider is stricter than its limit.
const refusalTime = 10 * time.Minute

// requestBurst keeps a twentieth for interactive calls, one from 13 a minute on and 50 at most; with fewer a minute they go first, but
// at the pace. Batch calls go one at a time, or as many as a timer may be late for.
func requestBurst(limit float64) (reserve, top float64) {
	reserve = min(math.Floor(limit/20), 50)
	if reserve == 0 && limit >= 13 {
		reserve = 1
	}
	return reserve, max(math.Floor(limit/500), 1)
}

// tokenBurst gives either class a twenty-fifth. A call of more than both together waits for a full bucket and leaves it in debt, so a
// minute may see the excess of one such call above the limit.
func tokenBurst(limit float64) (reserve, top float64) { return limit / 25, limit / 25 }

func newBucket(limit int, burst func(float64) (float64, float64), now time.Time) bucket {
	b := bucket{configured: float64(limit), burst: burst, at: now}
	b.fit()
	b.level = b.capacity
	return b
}

// limit is what may pass in a minute; 0 is unbounded.
func (b *bucket) limit() float64 {
	if b.configured == 0 || b.learned == 0 {
		return b.configured + b.learned
	}
	return min(b.configured, b.learned)
}

// fit derives burst and rate from the limit, as the package comment explains. The one more may be a fraction of a request, but not a whole.
func (b *bucket) fit() {
	reserve, top := b.burst(b.limit())
	b.reserve = math.Floor(math.Ldexp(reserve, -b.refusals))
	b.capacity = b.reserve + top
	b.rate = (b.limit() + 1 - b.capacity) / windowSeconds
	b.level = min(b.level, b.capacity)
}

// advance brings the level to now.
func (b *bucket) advance(now time.Time) {
	if b.refusals > 0 && !now.Before(b.forget) {
		b.refusals = 0
		b.fit()
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.level = min(b.level+b.rate*passed.Seconds(), b.capacity)
		b.at = now
	}
}

// wait is how long until n may pass. More than the bucket holds may pass when it is full.
func (b *bucket) wait(n float64, class Class, now time.Time) time.Duration {
	if b.limit() == 0 {
		return 0
	}
	b.advance(now)
	kept := b.kept(class)
	return b.reach(min(n, b.capacity-kept) + kept)
}

// after is how long until n have passed altogether.
func (b *bucket) after(n float64, class Class, now time.Time) time.Duration {
	if b.limit() == 0 {
		return 0
	}
	b.advance(now)
	return b.reach(n + b.kept(class))
}

func (b *bucket) kept(class Class) float64 {
	if class == Interactive {
		return 0
	}
	return b.reserve
}

// reach is how long until the level would be reached, in whole microseconds upwards, so that a timer never comes just too early.
func (b *bucket) reach(level float64) time.Duration {
	missing := level - b.level
	if missing <= 1e-9*max(1, level) {
		return 0
	}
	return time.Duration(math.Ceil(missing/b.rate*1e6)) * time.Microsecond
}

// apart is how long n take.
func (b *bucket) apart(n float64) time.Duration {
	if b.limit() == 0 {
		return 0
	}
	return time.Duration(n / b.rate * float64(time.Second))
}

// take lets n pass; less than none gives back.
func (b *bucket) take(n float64, now time.Time) {
	if limit := b.limit(); limit > 0 {
		b.advance(now)
		b.level = min(b.level-min(n, limit), b.capacity)
	}
}

// learn takes over what the provider says of its limit.
func (b *bucket) learn(r Rate, now time.Time) {
	b.advance(now)
	if r.Limit > 0 && r.Reset < windowSeconds*time.Second && float64(r.Limit) != b.learned {
		first := b.limit() == 0
		b.learned = float64(r.Limit)
		b.fit()
		if first {
			b.level = b.capacity
		}
	}
	if r.Known && r.Remaining == 0 {
		b.level = min(b.level, 0)
	}
}

// refused notes that the provider refused a call that the bucket had let pass.
func (b *bucket) refused(now time.Time) {
	b.advance(now)
	b.level = min(b.level, 0)
	b.refusals, b.forget = b.refusals+1, now.Add(refusalTime)
	b.fit()
}
