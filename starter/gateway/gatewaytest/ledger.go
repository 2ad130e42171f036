package gatewaytest

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// ledger keeps the budgets of a tenant as simply as can be: it grants what is needed, as long as the day or the month has it.
type ledger struct {
	budgets map[string]schemas.Budget
	leases  map[string]*lease
	spent   map[string]schemas.Amount // by account, of leases that are closed
}

type lease struct {
	day    string
	shares map[string]schemas.LeaseShare
}

// ledger is open until it is ended.
func (w *Work) ledger(ctx context.Context, _ schemas.LedgerRequest) (schemas.LedgerOutcome, error) {
	<-ctx.Done()
	return schemas.LedgerOutcome{}, ctx.Err()
}

// ledgerOf finds that of a workflow. The caller holds mu.
func (w *Work) ledgerOf(id string) *ledger {
	l := w.ledgers[id]
	if l == nil {
		if w.ledgers == nil {
			w.ledgers = map[string]*ledger{}
		}
		l = &ledger{budgets: map[string]schemas.Budget{}, leases: map[string]*lease{}, spent: map[string]schemas.Amount{}}
		w.ledgers[id] = l
	}
	return l
}

func (w *Work) setBudget(ctx context.Context, in schemas.BudgetChange) (schemas.BudgetList, error) {
	id, _ := ctx.Value(updated{}).(string)
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.ledgerOf(id)
	l.budgets[in.Budget.Subject] = in.Budget
	if in.Budget.IsZero() {
		delete(l.budgets, in.Budget.Subject)
	}
	list := schemas.BudgetList{Budgets: l.list()}
	_, err := w.put(ctx, schemas.BudgetsKey(strings.TrimPrefix(id, schemas.LedgerID(""))), list)
	return list, err
}

func (l *ledger) list() []schemas.Budget {
	budgets := []schemas.Budget{}
	for _, subject := range slices.Sorted(maps.Keys(l.budgets)) {
		budgets = append(budgets, l.budgets[subject])
	}
	return budgets
}

func (w *Work) syncLedger(ctx context.Context, in schemas.LedgerSync) (schemas.LedgerReply, error) {
	id, _ := ctx.Value(updated{}).(string)
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.ledgerOf(id)
	var reply schemas.LedgerReply
	for _, asked := range in.Leases {
		reply.Leases = append(reply.Leases, l.sync(schemas.LeaseID(in.Instance, asked.Number), asked))
	}
	return reply, nil
}

func (l *ledger) sync(id string, in schemas.LeaseSync) schemas.LeaseReply {
	out := schemas.LeaseReply{Number: in.Number}
	if l.leases[id] == nil {
		l.leases[id] = &lease{day: in.Day, shares: map[string]schemas.LeaseShare{}}
	}
	for _, s := range in.Shares {
		before := l.leases[id].shares[s.Subject].Granted
		l.leases[id].shares[s.Subject] = schemas.LeaseShare{Settled: s.Settled, Granted: before.Min(s.Need)}
		more := s.Need.Sub(before).Max(schemas.Amount{})
		for _, b := range l.bounds(s.Subject, in.Day) {
			if b.Unit == schemas.UnitUSD {
				more.Micros = min(more.Micros, schemas.Micros(b.Left()))
			} else {
				more.Tokens = min(more.Tokens, b.Left())
			}
		}
		share := l.leases[id].shares[s.Subject]
		share.Granted = share.Granted.Add(more)
		l.leases[id].shares[s.Subject] = share
		out.Shares = append(out.Shares, schemas.ShareReply{Subject: s.Subject, Granted: share.Granted, Bounds: l.bounds(s.Subject, in.Day)})
	}
	if in.Closed {
		for subject, share := range l.leases[id].shares {
			for _, window := range []string{in.Day, schemas.MonthOf(in.Day)} {
				account := schemas.AccountOf(subject, window)
				l.spent[account] = l.spent[account].Add(share.Settled)
			}
		}
		delete(l.leases, id)
	}
	return out
}

func (l *ledger) bounds(subject, day string) (bounds []schemas.Bound) {
	budget := l.budgets[subject]
	for window, limits := range map[string]schemas.Limits{day: budget.Day, schemas.MonthOf(day): budget.Month} {
		f := l.standing(subject, window)
		if limits.Micros != nil {
			bounds = append(bounds, schemas.Bound{Window: window, Unit: schemas.UnitUSD, Limit: int64(*limits.Micros), Spent: int64(f.Spent.Micros), Reserved: int64(f.Reserved.Micros)})
		}
		if limits.Tokens != nil {
			bounds = append(bounds, schemas.Bound{Window: window, Unit: schemas.UnitTokens, Limit: *limits.Tokens, Spent: f.Spent.Tokens, Reserved: f.Reserved.Tokens})
		}
	}
	return bounds
}

func (l *ledger) standing(subject, window string) schemas.WindowFigures {
	f := schemas.WindowFigures{Subject: subject, Window: window, Spent: l.spent[schemas.AccountOf(subject, window)]}
	for _, lease := range l.leases {
		if lease.day == window || schemas.MonthOf(lease.day) == window {
			share := lease.shares[subject]
			f.Spent = f.Spent.Add(share.Settled)
			f.Reserved = f.Reserved.Add(share.Granted.Sub(share.Settled).Max(schemas.Amount{}))
		}
	}
	return f
}

// showLedger answers the query of that name.
func (w *Work) showLedger(id string) any {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.ledgerOf(id)
	f := schemas.LedgerFigures{Budgets: l.list(), Windows: []schemas.WindowFigures{}, Open: len(l.leases)}
	windows := map[string]schemas.WindowFigures{}
	for account := range l.spent {
		subject, window, _ := strings.Cut(account, "@")
		windows[account] = l.standing(subject, window)
	}
	for _, lease := range l.leases {
		for subject := range lease.shares {
			for _, window := range []string{lease.day, schemas.MonthOf(lease.day)} {
				windows[schemas.AccountOf(subject, window)] = l.standing(subject, window)
			}
		}
	}
	for _, account := range slices.Sorted(maps.Keys(windows)) {
		f.Windows = append(f.Windows, windows[account])
	}
	return f
}
