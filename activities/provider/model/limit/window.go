package limit

import "time"

// window bounds the calls in flight by additive increase and multiplicative decrease.
type window struct {
	size     float64
	most     float64
	inFlight int
	asked    time.Time // the last interactive call
	cut      time.Time // when it was last decreased; zero until then, while it doubles each round trip
}

// Bounds of a window whose limit is not configured.
const (
	firstSize = 64
	mostSize  = 10_000
)

// decrease is the factor of RFC 9438, section 4.6: gentler than a half, because whoever overshoots here costs one refused call.
const decrease = 0.7

func newWindow(limit int) window {
	if limit > 0 {
		return window{size: float64(limit), most: float64(limit)}
	}
	return window{size: firstSize, most: mostSize}
}

// keptFor is how long a place is kept for interactive calls after the last one.
const keptFor = time.Minute

// free is how many calls more may go. A tenth is kept for interactive calls, at least one where there are four, while there are such calls: at a
// provider that only batch work asks, all places are for it.
func (w *window) free(class Class, now time.Time) int {
	size := int(w.size)
	if class == Batch && size >= 4 && now.Sub(w.asked) < keptFor {
		size -= max(size/10, 1)
	}
	return max(size-w.inFlight, 0)
}

// room reports whether one more may go.
func (w *window) room(class Class, now time.Time) bool {
	if class == Interactive {
		w.asked = now
	}
	return w.free(class, now) > 0
}

// grow is told of an answer. A window that is not used is not tested by it, and stays.
func (w *window) grow() {
	if float64(2*w.inFlight) < w.size {
		return
	}
	step := 1.0
	if !w.cut.IsZero() {
		step = 1 / w.size
	}
	w.size = min(w.size+step, w.most)
}

// shrink is told of a sign of overload from a call that started at start, and reports whether it is the first of its round trip: calls
// that were on their way at the last decrease tell nothing new.
func (w *window) shrink(start, now time.Time) bool {
	if !start.After(w.cut) {
		return false
	}
	w.size = max(min(w.size, float64(2*w.inFlight))*decrease, 1)
	w.cut = now
	return true
}
