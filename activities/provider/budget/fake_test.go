package budget_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/schemas"
)

// authority is a ledger with one limit of money for every subject and day. It grants what is wanted of half of what is left, and what is
// needed of all of it.
type authority struct {
	mu     sync.Mutex
	limit  schemas.Micros
	leases map[string]*granted // by LeaseID
	closed map[string]bool
	spent  map[string]schemas.Micros // by subject and day, of closed leases
	seq    map[string]int64
	syncs  int
	fail   error
	slow   time.Duration
	lose   bool // every lease is lost
}

type granted struct {
	day    string
	shares map[string][2]schemas.Micros // granted, settled
}

func newAuthority(limit schemas.Micros) *authority {
	return &authority{limit: limit, leases: map[string]*granted{}, closed: map[string]bool{}, spent: map[string]schemas.Micros{}, seq: map[string]int64{}}
}

// standing is what was spent, and what leases may yet spend.
func (a *authority) standing(subject, day string) (spent, reserved schemas.Micros) {
	spent = a.spent[subject+"@"+day]
	for _, l := range a.leases {
		if l.day == day {
			share := l.shares[subject]
			spent += share[1]
			reserved += max(0, share[0]-share[1])
		}
	}
	return spent, reserved
}

// Sync implements budget.Ledger.
func (a *authority) Sync(ctx context.Context, _ string, in schemas.LedgerSync) (schemas.LedgerReply, error) {
	a.mu.Lock()
	slow := a.slow
	a.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return schemas.LedgerReply{}, schemas.Wrap(schemas.Deadline, ctx.Err(), "the call ended")
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.syncs++
	if a.fail != nil {
		return schemas.LedgerReply{}, a.fail
	}
	if in.Seq <= a.seq[in.Instance] {
		return schemas.LedgerReply{}, schemas.Errorf(schemas.Conflict, "too late")
	}
	a.seq[in.Instance] = in.Seq
	reply := schemas.LedgerReply{}
	for _, lease := range in.Leases {
		reply.Leases = append(reply.Leases, a.one(schemas.LeaseID(in.Instance, lease.Number), lease))
	}
	return reply, nil
}

func (a *authority) one(id string, in schemas.LeaseSync) schemas.LeaseReply {
	out := schemas.LeaseReply{Number: in.Number, Lost: a.lose || a.closed[id] && !in.Closed}
	if out.Lost || a.closed[id] {
		return out
	}
	l := a.leases[id]
	if l == nil {
		l = &granted{day: in.Day, shares: map[string][2]schemas.Micros{}}
		a.leases[id] = l
	}
	for _, s := range in.Shares {
		share := l.shares[s.Subject]
		share[1] = max(share[1], s.Settled.Micros)
		want := max(s.Want.Micros, s.Need.Micros, share[1])
		share[0] = min(share[0], want)
		l.shares[s.Subject] = share
		spent, reserved := a.standing(s.Subject, in.Day)
		left := max(0, a.limit-spent-reserved)
		share[0] += max(0, min(want-share[0], max(left/2, min(s.Need.Micros-share[0], left))))
		l.shares[s.Subject] = share
		spent, reserved = a.standing(s.Subject, in.Day)
		out.Shares = append(out.Shares, schemas.ShareReply{Subject: s.Subject, Granted: schemas.Amount{Micros: share[0]}, Bounds: []schemas.Bound{{
			Window: in.Day, Unit: schemas.UnitUSD, Limit: int64(a.limit), Spent: int64(spent), Reserved: int64(reserved),
		}}})
	}
	if in.Closed {
		for subject, share := range l.shares {
			a.spent[subject+"@"+l.day] += share[1]
		}
		delete(a.leases, id)
		a.closed[id] = true
	}
	return out
}

// figures are those of the tenant today.
func (a *authority) figures() (spent, reserved schemas.Micros, syncs int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	spent, reserved = a.standing(schemas.SubjectTenant, schemas.DayOf(time.Now()))
	return spent, reserved, a.syncs
}

func (a *authority) set(change func(*authority)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

// source has budgets, and endings of runs by their names.
type source struct {
	mu      sync.Mutex
	budgets []schemas.Budget
	endings map[string]budget.Ending
	fail    error
	reads   int
}

func (s *source) Budgets(context.Context, string) ([]schemas.Budget, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	return s.budgets, s.fail
}

func (s *source) Ended(_ context.Context, _, run string, _ time.Time) (budget.Ending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.endings[run], s.fail
}

func (s *source) set(change func(*source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// pulse is a life whose store may be down.
type pulse struct {
	down  atomic.Bool
	beats atomic.Int64
}

func (p *pulse) Beat(context.Context) error {
	if p.down.Load() {
		return schemas.Errorf(schemas.Unavailable, "the store is down")
	}
	p.beats.Add(1)
	return nil
}

func (p *pulse) Sure() bool { return p.beats.Load() > 0 && !p.down.Load() }

// bench is a keeper over fakes.
type bench struct {
	*budget.Keeper

	ledger *authority
	source *source
	life   *pulse
}

// start makes a keeper of a tenant with a budget of money. It is closed with the bubble's test.
func start(t *testing.T, limit schemas.Micros) *bench {
	t.Helper()
	b := &bench{ledger: newAuthority(limit), life: &pulse{}, source: &source{
		budgets: []schemas.Budget{tenantBudget(limit)}, endings: map[string]budget.Ending{},
	}}
	b.Keeper = &budget.Keeper{Ledger: b.ledger, Source: b.source, Life: b.life, Instance: "here"}
	return b
}

func tenantBudget(limit schemas.Micros) schemas.Budget {
	return schemas.Budget{Subject: schemas.SubjectTenant, Day: schemas.Limits{Micros: &limit}}
}

var robot = schemas.APIKey{ID: "aaaaaaaaaaaa"}

// admission is one of today that may cost so much.
func admission(micros schemas.Micros) budget.Admission {
	return budget.Admission{Tenant: "default", Key: robot, Start: time.Now(), Estimate: func(context.Context) (schemas.Estimate, error) {
		return schemas.Estimate{Amount: schemas.Amount{Micros: micros, Tokens: 1}}, nil
	}}
}

// admit admits what must be admitted.
func (b *bench) admit(t *testing.T, micros schemas.Micros) budget.Permit {
	t.Helper()
	permit, err := b.Admit(t.Context(), admission(micros))
	if err != nil {
		t.Fatal(err)
	}
	return permit
}

func cost(micros schemas.Micros) schemas.Amount { return schemas.Amount{Micros: micros} }
