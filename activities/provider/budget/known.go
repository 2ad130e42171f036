package budget

import (
	"context"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	freshFor = time.Second     // after which the list of budgets is read again, beside the admissions
	knownFor = 2 * time.Second // after which they wait for it: a new budget counts everywhere by then
	staleFor = time.Minute     // that the list may be old while the store is down, when no budget can be set either
	readTime = 5 * time.Second
)

// known is what was last read of a tenant's budgets.
type known struct {
	budgets []schemas.Budget
	at      time.Time     // when reading it began
	reading chan struct{} // closed when a reading that is under way has ended; nil for none
	err     error         // of the last reading
}

// budgets lists the tenant's, two seconds old at most.
func (k *Keeper) budgets(ctx context.Context, tenant string) ([]schemas.Budget, error) {
	k.mu.Lock()
	n := k.known[tenant]
	if n == nil {
		if k.known == nil {
			k.known = map[string]*known{}
		}
		n = &known{}
		k.known[tenant] = n
	}
	age := time.Since(n.at)
	if age > freshFor && n.reading == nil {
		n.reading = make(chan struct{})
		go k.read(context.WithoutCancel(ctx), tenant, n)
	}
	budgets, reading := n.budgets, n.reading
	k.mu.Unlock()
	if age <= knownFor {
		return budgets, nil
	}
	select {
	case <-reading:
	case <-ctx.Done():
		return nil, schemas.Wrap(schemas.Deadline, ctx.Err(), "the call ended before the budgets were known")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if n.err != nil && time.Since(n.at) > staleFor {
		return nil, n.err
	}
	return n.budgets, nil
}

func (k *Keeper) read(ctx context.Context, tenant string, n *known) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	at := time.Now()
	budgets, err := k.Source.Budgets(ctx, tenant)
	k.mu.Lock()
	defer k.mu.Unlock()
	if n.err = err; err == nil {
		n.budgets, n.at = budgets, at
	}
	close(n.reading)
	n.reading = nil
}
