package evaluate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Budgets lets calls spend what the budgets of the tenant and of the key that pays have room for. Implemented by budget.Keeper.
type Budgets interface {
	Admit(ctx context.Context, in budget.Admission) (budget.Permit, error)
}

// Prices says what a run of a bundle may cost.
type Prices interface {
	Estimate(ctx context.Context, tenant string, bundle schemas.Ref, input schemas.Content) (schemas.Estimate, error)
}

// shortage is a budget without room for a call.
type shortage struct {
	cause error // of the keeper, with the code over_budget
	need  schemas.Estimate
}

// Error implements error.
func (s *shortage) Error() string { return s.cause.Error() }

// Unwrap returns the cause.
func (s *shortage) Unwrap() error { return s.cause }

// short is the shortage as the workflow is told of it.
func (s *shortage) short() *schemas.EvalShort {
	out := &schemas.EvalShort{Reason: schemas.SafeMessage(s.cause), Need: s.need}
	if coded, ok := asError(s.cause); ok && coded.RetryAfter > 0 {
		out.OpensMS = time.Now().Add(coded.RetryAfter).UnixMilli()
	}
	return out
}

// ownStarts are the starts that runs of an evaluation's calls may have: its own, and where it goes on for more days the beginnings of those.
func ownStarts(run schemas.EvalRun, now time.Time) []int64 {
	starts := []int64{run.StartMS}
	for day := beginning(time.UnixMilli(run.StartMS)).AddDate(0, 0, 1); !day.After(now) && len(starts) <= mostDays; day = day.AddDate(0, 0, 1) {
		starts = append(starts, day.UnixMilli())
	}
	return starts
}

// mostDays is how many days of a run are looked at; its activities last no longer.
const mostDays = 45

func beginning(at time.Time) time.Time { return at.UTC().Truncate(24 * time.Hour) }

// pay carries out the run of a chain that asks, charged to the budgets that apply, and returns its record. A run counts on the day on which it is
// asked, as any run does: where a budget applies, one of a later day than its evaluation began starts on that day. Errors: those of the run, and a
// shortage where a budget has no room and nothing under way here may leave some.
func (a *Activities) pay(ctx context.Context, q asking) (schemas.Exchange, error) {
	q.start = q.run.StartMS
	permit, err := a.admit(ctx, q)
	if err != nil {
		return schemas.Exchange{}, err
	}
	var before schemas.Amount
	if q.charge = permit.Charge(); !q.charge.IsZero() {
		a.flights.begin(q.run.Tenant)
		defer a.flights.end(q.run.Tenant) // after the permit is settled
		if q.start, before, err = a.startOf(ctx, q); err != nil {
			permit.Settle(schemas.Amount{})
			return schemas.Exchange{}, err
		}
	}
	detached, err := a.carryOut(ctx, q)
	e, ok, readErr := a.exchange(context.WithoutCancel(ctx), q.run.Tenant, asked{q.own().id, q.start})
	switch {
	case ok && e.Charge.Lease == q.charge.Lease:
		permit.Settle(e.Charge.Amount(e.Usage, e.Cost).Sub(before).Max(schemas.Amount{}))
	case err != nil && detached || readErr != nil:
		permit.Follow(q.own().id, time.UnixMilli(q.start))
	default: // nothing that counts was paid, or another has carried it out
		permit.Settle(schemas.Amount{})
	}
	if err == nil && readErr == nil && !ok {
		err = schemas.Errorf(schemas.Internal, "run %s ended and has no record", q.own().id)
	}
	if err == nil {
		err = readErr
	}
	return e, err
}

// startOf is when the run of a chain starts that asks now, and what a record counts already that the new one takes the place of: a run of the same
// day that failed.
func (a *Activities) startOf(ctx context.Context, q asking) (start int64, before schemas.Amount, err error) {
	now := time.Now()
	start = q.run.StartMS
	if beginning(now).After(time.UnixMilli(start)) {
		start = now.UnixMilli()
		if err := q.work.mark(ctx, now); err != nil {
			return start, before, err
		}
	}
	e, ok, err := a.exchange(ctx, q.run.Tenant, asked{q.own().id, start})
	if err == nil && ok && !e.Charge.IsZero() && e.Status != schemas.RunDone {
		before = e.Charge.Amount(e.Usage, e.Cost)
	}
	return start, before, err
}

// mark notes that a run goes on for another day, where those look for its records that find it cut off.
func (w *batchWork) mark(ctx context.Context, now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.marked == schemas.DayOf(now) {
		return nil
	}
	run := w.in.Run
	run.StartMS = beginning(now).UnixMilli()
	err := w.a.Store.Put(ctx, openKey(run, w.column), []byte("{}"))
	if err == nil {
		w.marked = schemas.DayOf(now)
	}
	return err
}

// admit lets the run spend. What was paid for before it is recorded without asking for room: a response of a batch, or of a run that was cut off.
func (a *Activities) admit(ctx context.Context, q asking) (budget.Permit, error) {
	if short := q.work.shorts(); short != nil {
		return a.admitPaid(ctx, q, short)
	}
	for {
		ends, need := a.flights.ends(q.run.Tenant), schemas.Estimate{}
		permit, err := a.Budgets.Admit(ctx, admission(q.run, func(ctx context.Context) (schemas.Estimate, error) {
			var err error
			need, err = a.Prices.Estimate(ctx, q.run.Tenant, q.target.Bundle, schemas.Content{Text: string(q.input)})
			return need, err
		}))
		if err == nil || schemas.CodeOf(err) != schemas.OverBudget {
			return permit, err
		}
		if !a.flights.wait(ctx, q.run.Tenant, ends) {
			return a.admitPaid(ctx, q, &shortage{cause: err, need: need})
		}
	}
}

// admitPaid admits a run whose call is recorded: it is counted, and nothing is spent. Error: the shortage, of any other.
func (a *Activities) admitPaid(ctx context.Context, q asking, short *shortage) (budget.Permit, error) {
	q.start = q.run.StartMS
	if call, err := a.Chains.Row(ctx, q.request()); err != nil || call.Output == nil {
		return nil, short
	}
	permit, err := a.Budgets.Admit(ctx, admission(q.run, func(context.Context) (schemas.Estimate, error) { return schemas.Estimate{}, nil }))
	if schemas.CodeOf(err) == schemas.OverBudget && err != nil {
		err = short
	}
	return permit, err
}

func admission(run schemas.EvalRun, estimate func(context.Context) (schemas.Estimate, error)) budget.Admission {
	return budget.Admission{Tenant: run.Tenant, Key: schemas.APIKey{ID: run.Payer}, Start: time.Now(), Estimate: estimate}
}

// shorts is what the batch is short of; nil while nothing was refused.
func (w *batchWork) shorts() *shortage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.short
}

// hold notes a cell that waits for room in a budget.
func (w *batchWork) hold(s *shortage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Held++
	if w.short == nil || s.need.Micros > w.short.need.Micros {
		w.short, w.out.Short = s, s.short()
	}
}

// roomEvery is how often the budgets are looked at while an evaluation waits for them.
const roomEvery = 15 * time.Second

// Room says when the budgets have room for a call. Until then it fails, so that it is asked again later: the waits leave nothing in the history.
// Codes: unavailable while there is no room, and where the ledger cannot be asked.
func (a *Activities) Room(ctx context.Context, in schemas.RoomRequest) (schemas.EvalRoom, error) {
	permit, err := a.Budgets.Admit(ctx, admission(in.Run, func(context.Context) (schemas.Estimate, error) { return in.Need, nil }))
	if err != nil {
		failed := schemas.Wrap(schemas.Unavailable, err, "%s", schemas.SafeMessage(err))
		failed.RetryAfter = roomEvery
		return schemas.EvalRoom{}, failed
	}
	permit.Settle(schemas.Amount{})
	return schemas.EvalRoom{AtMS: time.Now().UnixMilli()}, nil
}

// priced is a call with what it may cost in a batch: half.
func (l *listing) priced(ctx context.Context, q asking, call schemas.BulkCall) (listed, error) {
	e, err := l.a.Prices.Estimate(ctx, q.run.Tenant, q.target.Bundle, schemas.Content{Text: string(q.input)})
	e.Micros = (e.Micros + 1) / 2
	return listed{call: call, bundle: q.target.Bundle.SHA256, cost: e}, err
}

// count adds up what an order may cost.
func (l *listing) count(e schemas.Estimate) {
	l.cost.Amount = l.cost.Add(e.Amount)
	l.cost.Unknown = slices.Compact(slices.Sorted(slices.Values(append(l.cost.Unknown, e.Unknown...))))
}

// short says which budget has no room for the batches, nil where there is. What they turn out to cost counts when their responses are answers of
// cells.
func (l *listing) short(ctx context.Context) (*schemas.EvalShort, error) {
	permit, err := l.a.Budgets.Admit(ctx, admission(l.in.Run, func(context.Context) (schemas.Estimate, error) { return l.cost, nil }))
	switch {
	case err == nil:
		permit.Settle(schemas.Amount{})
		return nil, nil //nolint:nilnil // there is room
	case schemas.CodeOf(err) != schemas.OverBudget:
		return nil, err
	}
	short := (&shortage{cause: err, need: l.cost}).short()
	short.Reason = fmt.Sprintf("%d calls in batches: %s", l.rows, short.Reason)
	return short, nil
}
