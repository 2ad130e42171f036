package evaluate

import (
	"context"
	"sync"
)

// flights counts calls of evaluations that are charged and under way, by tenant: what they do not spend others may. The zero value is ready.
type flights struct {
	mu    sync.Mutex
	lanes map[string]*flying
}

// flying are the calls of one tenant.
type flying struct {
	open  int
	ends  int           // so many have ended
	ended chan struct{} // closed when the next ends
}

// of finds the calls of a tenant. The caller holds the lock.
func (f *flights) of(tenant string) *flying {
	one := f.lanes[tenant]
	if one == nil {
		if f.lanes == nil {
			f.lanes = map[string]*flying{}
		}
		one = &flying{ended: make(chan struct{})}
		f.lanes[tenant] = one
	}
	return one
}

func (f *flights) begin(tenant string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of(tenant).open++
}

func (f *flights) end(tenant string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.of(tenant)
	one.open--
	one.ends++
	close(one.ended)
	one.ended = make(chan struct{})
}

// ends is how many calls of a tenant have ended.
func (f *flights) ends(tenant string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of(tenant).ends
}

// wait waits until more calls of the tenant have ended than that. False, at once, where none is under way.
func (f *flights) wait(ctx context.Context, tenant string, ends int) bool {
	f.mu.Lock()
	one := f.of(tenant)
	ended, open, more := one.ended, one.open, one.ends > ends
	f.mu.Unlock()
	if more || open == 0 {
		return more
	}
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}
