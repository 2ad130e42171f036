// Package budget admits what costs money: it spends amounts that this process has leased from the ledgers of tenants, and settles what
// was really spent, in the background. An admission that the lease has room for makes no call.
package budget

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Ledger is the authority on budgets. Implemented by client.Ledgers.
type Ledger interface {
	Sync(ctx context.Context, tenant string, in schemas.LedgerSync) (schemas.LedgerReply, error)
}

// Source says what is durable. Implemented by the gateway.
type Source interface {
	// Budgets lists the tenant's budgets. Codes: those of the store.
	Budgets(ctx context.Context, tenant string) ([]schemas.Budget, error)
	// Ended finds what a run has cost, and to which lease its record counts. Codes: those of the store and of Temporal.
	Ended(ctx context.Context, tenant, run string, start time.Time) (Ending, error)
}

// Ending is what is known of a run.
type Ending struct {
	Done    bool // its record says the rest
	Running bool // it is a workflow and goes on; not known to run and not done is one that nobody may have begun
	Amount  schemas.Amount
	Lease   string
}

// Life gives signs of life of this process, by which ledgers know that its leases are in use. Implemented by the gateway.
type Life interface {
	// Beat gives a sign of life unless one was given within two seconds.
	Beat(ctx context.Context) error
	// Sure reports whether others must still think that the process lives.
	Sure() bool
}

// Permit is the leave to spend. Exactly one of Settle and Follow is to be called, once.
type Permit interface {
	// Charge is what the record of the run must carry.
	Charge() schemas.Charge
	// Settle says what was spent; nothing, if it was not begun or another's record counts.
	Settle(spent schemas.Amount)
	// Follow has the record say what was spent, when there is one.
	Follow(run string, start time.Time)
}

// Admission is what is to be admitted.
type Admission struct {
	Tenant   string
	Key      schemas.APIKey
	Start    time.Time // of the run: its day and month pay
	Estimate func(ctx context.Context) (schemas.Estimate, error)
}

// Keeper keeps the leases of one process. Set the fields before the first call; it is safe for concurrent use.
type Keeper struct {
	Ledger   Ledger
	Source   Source
	Life     Life
	Instance string // unique name of the process

	mu      sync.Mutex
	known   map[string]*known // by tenant
	purses  map[string]*purse // by tenant
	closed  bool
	follows follows
}

// oldest is how long after its start a run may still be charged; see workflows/internal/ledger.
const oldest = 6 * 24 * time.Hour

// Admit lets a run spend what it may cost, or says why not. It waits for the ledger only where the lease has no room. Errors: over_budget,
// saying which budget, how much is left and when it opens again, also where a price is not known; unavailable where the ledger cannot be asked;
// conflict for a run that began too long ago; those of Estimate and of the source.
func (k *Keeper) Admit(ctx context.Context, in Admission) (Permit, error) {
	applied, err := k.applied(ctx, in)
	if err != nil {
		return nil, err
	}
	if len(applied) == 0 {
		return free{}, nil
	}
	var charge schemas.Charge
	for _, b := range applied {
		charge.Subjects = append(charge.Subjects, b.Subject)
	}
	if time.Since(in.Start) > oldest {
		return nil, schemas.Errorf(schemas.Conflict, "the run began on %s, and the budgets of that day are closed; use a new idempotency key", schemas.DayOf(in.Start))
	}
	estimate, err := in.Estimate(ctx)
	if err != nil {
		return nil, err
	}
	if err := priced(applied, estimate); err != nil {
		return nil, err
	}
	return k.purse(in.Tenant).admit(ctx, charge, schemas.DayOf(in.Start), estimate.Amount)
}

// Check says whether something that is not counted may be done at all: not where a price is not known, and a budget of money wants it known.
// Errors: over_budget, and those of Estimate and of the source.
func (k *Keeper) Check(ctx context.Context, in Admission) error {
	applied, err := k.applied(ctx, in)
	if err != nil || len(applied) == 0 {
		return err
	}
	estimate, err := in.Estimate(ctx)
	if err != nil {
		return err
	}
	return priced(applied, estimate)
}

// Leases counts the leases that this process holds.
func (k *Keeper) Leases() int {
	k.mu.Lock()
	purses := slices.Collect(maps.Values(k.purses))
	k.mu.Unlock()
	count := 0
	for _, p := range purses {
		p.mu.Lock()
		count += len(p.open)
		p.mu.Unlock()
	}
	return count
}

// applied are the budgets that an admission counts against.
func (k *Keeper) applied(ctx context.Context, in Admission) (applied []schemas.Budget, err error) {
	budgets, err := k.budgets(ctx, in.Tenant)
	for _, b := range budgets {
		if b.Subject == schemas.SubjectTenant || b.Subject == schemas.SubjectOfKey(in.Key) {
			applied = append(applied, b)
		}
	}
	return applied, err
}

// priced refuses what cannot be held to a limit of money.
func priced(budgets []schemas.Budget, estimate schemas.Estimate) error {
	for _, b := range budgets {
		if !b.Money() || b.AllowUnknown {
			continue
		}
		var what string
		switch {
		case len(estimate.Unknown) > 0:
			what = "the price of model " + estimate.Unknown[0] + " is not known (models.yaml can say it: the project's, or for PROVIDER/MODEL that of the installation, TENUTO_MODELS)"
		case len(estimate.Collections) > 0 && estimate.Collections[0] == "":
			what = "the run chooses its collection by itself, so the price of its embedder is not known"
		case len(estimate.Collections) > 0:
			what = "the price of the embedder of collection " + estimate.Collections[0] + " is not known"
		default:
			continue
		}
		return schemas.Errorf(schemas.OverBudget, "%s has a budget in US dollars, and %s; what costs an unknown amount is refused unless the budget is set with --unknown allow",
			schemas.SubjectName(b.Subject), what)
	}
	return nil
}

// free is a permit where no budget applies.
type free struct{}

// Charge implements Permit.
func (free) Charge() schemas.Charge { return schemas.Charge{} }

// Settle implements Permit.
func (free) Settle(schemas.Amount) {}

// Follow implements Permit.
func (free) Follow(string, time.Time) {}

// purse finds or makes the purse of a tenant.
func (k *Keeper) purse(tenant string) *purse {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.purses[tenant]
	if p == nil {
		if k.purses == nil {
			k.purses = map[string]*purse{}
		}
		p = newPurse(k, tenant)
		p.closed = k.closed
		k.purses[tenant] = p
	}
	return p
}

// Close gives back what is not spent. What is under way is found by its records. Admit nothing after it.
func (k *Keeper) Close(ctx context.Context) {
	k.mu.Lock()
	k.closed = true
	purses := make([]*purse, 0, len(k.purses))
	for _, p := range k.purses {
		purses = append(purses, p)
	}
	k.mu.Unlock()
	k.follows.look(ctx, k, time.Now().Add(longestPause)) // all of them
	var closing sync.WaitGroup
	for _, p := range purses {
		closing.Go(func() { p.close(ctx) })
	}
	closing.Wait()
}
