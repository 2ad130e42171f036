package evaluate_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/schemas"
)

// budgets are those of every tenant. They are a budget.Source whose runs all have their results at once.
type budgets []schemas.Budget

func (b budgets) Budgets(context.Context, string) ([]schemas.Budget, error) { return b, nil }

func (b budgets) Ended(context.Context, string, string, time.Time) (budget.Ending, error) {
	return budget.Ending{}, nil
}

// costs are the millionths of a dollar that any run may cost.
type costs int64

func (c costs) Estimate(context.Context, string, schemas.Ref, schemas.Content) (schemas.Estimate, error) {
	return schemas.Estimate{Amount: schemas.Amount{Micros: schemas.Micros(c)}}, nil
}

// till is a budget of so many millionths of a dollar for the tenant.
type till struct {
	mu      sync.Mutex
	left    schemas.Micros
	held    schemas.Micros
	settled schemas.Micros
	days    []string
	keys    []string
}

func (b *till) Admit(ctx context.Context, in budget.Admission) (budget.Permit, error) {
	e, err := in.Estimate(ctx)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Micros > b.left-b.held-b.settled && e.Micros > 0 {
		return nil, &schemas.Error{Code: schemas.OverBudget, Message: "over the budget of the tenant", RetryAfter: time.Hour}
	}
	b.held += e.Micros
	b.days, b.keys = append(b.days, schemas.DayOf(in.Start)), append(b.keys, in.Key.Line())
	return &slip{b, e.Micros}, nil
}

// slip is a permit of a till.
type slip struct {
	till *till
	held schemas.Micros
}

func (s *slip) Charge() schemas.Charge {
	return schemas.Charge{Lease: "w/1", Subjects: []string{schemas.SubjectTenant}}
}

func (s *slip) Settle(spent schemas.Amount) {
	s.till.mu.Lock()
	defer s.till.mu.Unlock()
	s.till.held -= s.held
	s.till.settled += spent.Micros
}

func (s *slip) Follow(string, time.Time) {}

// charged adds up what the records of runs charge, by the day under which they are.
func (r *rig) charged(t *testing.T) map[string]schemas.Micros {
	t.Helper()
	sums := map[string]schemas.Micros{}
	prefix := schemas.TenantPrefix("default") + "runs/"
	for found, err := range r.journal.Find(t.Context(), "default", prefix) {
		if err != nil {
			t.Fatal(err)
		}
		var e schemas.Exchange
		if err := json.Unmarshal(found.Data, &e); err != nil {
			t.Fatal(err)
		}
		if e.Charge.Lease != "" && e.Metadata[schemas.MetadataEval] != "" {
			day := strings.ReplaceAll(strings.TrimPrefix(found.Key, prefix)[:10], "/", "-")
			sums[day] += e.Charge.Amount(e.Usage, e.Cost).Micros
		}
	}
	return sums
}

// TestCellsAreCharged once, on the day on which they are asked, to the key that pays; known ones are not.
func TestCellsAreCharged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := &till{left: 1_000_000}
	r.Budgets, r.Prices = b, costs(1000)
	in := r.request(r.pack(t, twoCases))
	in.Payer = "aaaaaaaaaaaa"
	plan, run := r.plan(t, in)
	run.Payer = in.Payer
	outs := r.columns(t, plan, run, 2) // the end of the first attempt is lost
	paid := schemas.MicrosOf(outs[0].Cost.USD)
	today := schemas.DayOf(time.Now())
	if got := r.charged(t); paid == 0 || got[today] != b.settled || len(got) != 1 || b.held != 0 || len(b.days) != 2 || b.days[0] != today || b.keys[0] != in.Payer {
		t.Errorf("%d was paid, the records charge %v, %d is settled, %d held on %v by %v", paid, got, b.settled, b.held, b.days, b.keys)
	}
	settled := b.settled
	if s, calls := r.run(t, r.pack(t, twoCases)); calls != 0 || s.Reused != 2 || b.settled != settled {
		t.Errorf("again: %d calls, %+v, %d settled after %d", calls, s, b.settled, settled)
	}
}

// TestCellsWithoutRoom are held, and go on in another call when there is some. What is answered stays.
func TestCellsWithoutRoom(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := &till{}
	r.Budgets, r.Prices = b, costs(1000)
	plan, run := r.plan(t, r.request(r.pack(t, twoCases)))
	work, err := r.Open(t.Context(), schemas.ColumnRequest{Run: run})
	if err != nil {
		t.Fatal(err)
	}
	in := schemas.CellsRequest{Run: run, Prefix: work.Prefix, Fresh: work.Fresh, Last: true}
	out, err := r.Cells(t.Context(), in)
	if err != nil || out.Held != 2 || out.Short == nil || out.Short.Need.Micros != 1000 || out.Short.OpensMS == 0 || out.Errored+out.Done != 0 || r.models.Stats().Chats != 0 {
		t.Fatalf("%+v, %v, %d calls", out, err, r.models.Stats().Chats)
	}
	room := schemas.RoomRequest{Run: run, Need: out.Short.Need}
	if _, err := r.Room(t.Context(), room); schemas.CodeOf(err) != schemas.Unavailable || !strings.Contains(err.Error(), "budget of the tenant") {
		t.Errorf("no room: %v", err)
	}
	b.left = 1000 // one at a time: the other waits for it
	if _, err := r.Room(t.Context(), room); err != nil || b.held != 0 {
		t.Errorf("room: %v", err)
	}
	in.Try, in.Fresh = 1, false
	out, err = r.Cells(t.Context(), in)
	b.left += 10_000
	in.Try = 2
	last, err2 := r.Cells(t.Context(), in)
	if err != nil || err2 != nil || out.Done+last.Done != 2 || last.Short != nil || r.models.Stats().Chats != 2 || plan.Columns[0].Cells != 2 {
		t.Errorf("%+v, then %+v; %v, %v, %d calls", out, last, err, err2, r.models.Stats().Chats)
	}
	if got := r.charged(t); got[schemas.DayOf(time.Now())] != b.settled {
		t.Errorf("the records charge %v, %d is settled", got, b.settled)
	}
}
