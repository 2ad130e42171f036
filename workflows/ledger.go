package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/internal/ledger"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

const (
	ledgerUpdates = 1000             // of one execution; the server allows 2,000
	ledgerPace    = 20 * time.Second // between looks at what is due, while leases are open
)

// Ledger is the authority on the budgets of a tenant, for as long as the tenant has any. Processes lease amounts from it (update
// ledger.sync), so that what they admit costs no durable write, and settle what was spent; budgets are set by the update ledger.set; the
// query ledger.show answers what it knows. A process that falls silent loses its leases, and then the records say what was spent under
// them. It continues as new after some updates, with its state.
func Ledger(ctx workflow.Context, in schemas.LedgerRequest) (schemas.LedgerOutcome, error) {
	l := &keeping{tenant: in.Tenant, book: ledger.Open(in.State), ready: in.State != nil, writing: workflow.NewMutex(ctx)}
	err := errors.Join(
		step.Handle(ctx, schemas.SyncLedger, l.sync, func(in schemas.LedgerSync) error { return l.admits(ctx, in) }),
		step.Handle(ctx, schemas.SetBudget, l.set, l.settable),
		step.Answer(ctx, schemas.LedgerShow, func() schemas.LedgerFigures { return l.book.Figures() }),
	)
	if err != nil {
		return schemas.LedgerOutcome{}, err
	}
	if !l.ready {
		if err := l.begin(ctx); err != nil {
			return schemas.LedgerOutcome{}, err
		}
	}
	for {
		l.tell(ctx)
		if l.full(ctx) {
			return schemas.LedgerOutcome{}, l.again(ctx)
		}
		if err := l.work(ctx); err != nil {
			return schemas.LedgerOutcome{}, err
		}
	}
}

// keeping is the replayed state of a ledger.
type keeping struct {
	tenant  string
	book    *ledger.Book
	ready   bool // the book knows what the store knows
	closing bool
	updates int
	writing workflow.Mutex // the list in the store is written in the order of the changes
}

// full reports whether this execution has had its share of updates.
func (l *keeping) full(ctx workflow.Context) bool {
	return l.updates >= ledgerUpdates || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

// tell says in the Temporal UI what the ledger does.
func (l *keeping) tell(ctx workflow.Context) {
	f := l.book.Figures()
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("%d budgets; %d leases are open, and %d of processes that are gone", len(f.Budgets), f.Open, f.Lost))
}

// work does what is due, or waits until something is.
func (l *keeping) work(ctx workflow.Context) error {
	now := workflow.Now(ctx)
	task, due := l.book.Next(now)
	if task != nil {
		return l.count(ctx, *task)
	}
	idle := len(l.book.State.Leases) == 0
	wake := func() bool { return l.full(ctx) || idle && len(l.book.State.Leases) > 0 }
	if due.IsZero() {
		return workflow.Await(ctx, wake)
	}
	wait := due.Sub(now)
	if !idle {
		wait = min(wait, ledgerPace)
	}
	_, err := workflow.AwaitWithTimeout(ctx, wait, wake)
	return err
}

// count has the records of a task added up, and books what they say.
func (l *keeping) count(ctx workflow.Context, task ledger.Task) error {
	task.Sum.Tenant = l.tenant
	what := "the records of " + task.Sum.Day
	if task.Sum.Instance != "" {
		what = fmt.Sprintf("what %s admitted on %s", task.Sum.Instance, task.Sum.Day)
	}
	report, err := step.Do(ctx, step.Tally, schemas.SumSpend, task.Sum, what)
	if temporal.IsCanceledError(err) {
		return err
	}
	if err != nil { // not within three days; what is reserved stays so until it can be counted
		return workflow.Sleep(ctx, time.Minute)
	}
	l.book.Counted(workflow.Now(ctx), task, report)
	return nil
}

// begin learns what the store knows. Where the tenant had a ledger before that is gone, the records of the month say what was spent.
func (l *keeping) begin(ctx workflow.Context) error {
	known, err := step.Do(ctx, step.Tally, schemas.OpenLedger, schemas.OpenRequest{Tenant: l.tenant}, "what the store knows")
	if err != nil {
		return err
	}
	for _, budget := range known.Budgets {
		l.book.Set(budget)
	}
	today := workflow.Now(ctx).UTC()
	first := time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, time.UTC)
	for day := first; !known.First && !day.After(today); day = day.AddDate(0, 0, 1) {
		sum := schemas.SumRequest{Tenant: l.tenant, Day: schemas.DayOf(day)}
		report, err := step.Do(ctx, step.Tally, schemas.SumSpend, sum, "the records of "+sum.Day)
		if err != nil {
			return err
		}
		l.book.Rebuild(sum.Day, report)
	}
	l.ready = true
	return nil
}

// again continues as new at the next moment at which no request is under way. One that comes then is refused, and sent again.
func (l *keeping) again(ctx workflow.Context) error {
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return err
	}
	l.closing = true
	l.book.Prune(workflow.Now(ctx))
	return step.Again(ctx, schemas.Ledger, schemas.LedgerRequest{Tenant: l.tenant, State: &l.book.State})
}

func (l *keeping) open() error {
	if l.closing {
		return temporal.NewApplicationError("the ledger is about to continue; send it again", string(schemas.Unavailable))
	}
	return nil
}

func (l *keeping) admits(ctx workflow.Context, in schemas.LedgerSync) error {
	if err := l.open(); err != nil {
		return err
	}
	return refused(l.book.Check(workflow.Now(ctx), in))
}

// refused is an error of the book as the caller is to see it.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return temporal.NewNonRetryableApplicationError(schemas.SafeMessage(err), string(schemas.CodeOf(err)), nil)
}

func (l *keeping) sync(ctx workflow.Context, in schemas.LedgerSync) (schemas.LedgerReply, error) {
	l.updates++
	if err := workflow.Await(ctx, func() bool { return l.ready }); err != nil {
		return schemas.LedgerReply{}, err
	}
	if err := l.book.Check(workflow.Now(ctx), in); err != nil { // another message was faster while this one waited
		return schemas.LedgerReply{}, refused(err)
	}
	return l.book.Sync(workflow.Now(ctx), in), nil
}

func (l *keeping) settable(in schemas.BudgetChange) error {
	if err := schemas.CheckSubject(in.Budget.Subject); err != nil {
		return refused(err)
	}
	_, known := l.book.State.Budgets[in.Budget.Subject]
	if !known && len(l.book.State.Budgets) >= schemas.MaxBudgets {
		return refused(schemas.Errorf(schemas.Invalid, "a tenant may have %d budgets; unset one first", schemas.MaxBudgets))
	}
	return l.open()
}

// set changes a budget and writes the list that gateways look at.
func (l *keeping) set(ctx workflow.Context, in schemas.BudgetChange) (schemas.BudgetList, error) {
	l.updates++
	if err := workflow.Await(ctx, func() bool { return l.ready }); err != nil {
		return schemas.BudgetList{}, err
	}
	if err := l.writing.Lock(ctx); err != nil {
		return schemas.BudgetList{}, err
	}
	defer l.writing.Unlock()
	l.book.Set(in.Budget)
	return step.DoLocal(ctx, step.Record, schemas.KeepBudgets, schemas.KeepRequest{Tenant: l.tenant, Budgets: l.book.Budgets()}, "the list of budgets")
}
