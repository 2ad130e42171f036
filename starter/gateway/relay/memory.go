package relay

import (
	"sync/atomic"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// maxHeld bounds the bytes of all requests and answers that are in memory at once.
const maxHeld = 512 << 20

// memory counts the bytes that calls hold. The zero value is ready.
type memory struct{ held atomic.Int64 }

// take reserves n bytes if there is room for them.
func (m *memory) take(n int64) bool {
	if m.held.Add(n) <= maxHeld {
		return true
	}
	m.held.Add(-n)
	return false
}

func (m *memory) give(n int64) { m.held.Add(-n) }

// hold reserves memory for the call until it ends. Error: unavailable where calls hold too much together.
func (c *call) hold(n int) error {
	if !c.memory.take(int64(n)) {
		full := schemas.Errorf(schemas.Unavailable, "the gateway has as many requests in hand as it can hold; try again shortly")
		full.RetryAfter = time.Second
		return full
	}
	c.held += int64(n)
	return nil
}
