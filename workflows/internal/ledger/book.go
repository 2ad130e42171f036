// Package ledger keeps the accounts of a tenant's budgets. It is replayed code: what it decides changes only with a version.
package ledger

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
)

// portion is the part of what is left that one lease takes without need: near the end of a budget leases become small.
const portion = 8

// Book is the state of a ledger and the rules of its changes. For every subject, window and unit at all times
//
//	spent + reserved <= limit
//
// unless a run cost more than was granted for it, or the limit was lowered. Here spent is what the accounts have and what open leases
// have settled, and reserved what open leases were granted beyond that.
type Book struct{ State schemas.LedgerState }

// Open continues a state, or begins one.
func Open(state *schemas.LedgerState) *Book {
	b := &Book{}
	if state != nil {
		b.State = *state
	}
	s := &b.State
	s.Budgets = filled(s.Budgets)
	s.Accounts = filled(s.Accounts)
	s.Leases = filled(s.Leases)
	s.Instances = filled(s.Instances)
	s.Recounts = filled(s.Recounts)
	return b
}

func filled[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}

// Set changes a budget. One without limits ends it; what was spent stays known.
func (b *Book) Set(budget schemas.Budget) {
	if budget.IsZero() {
		delete(b.State.Budgets, budget.Subject)
		return
	}
	b.State.Budgets[budget.Subject] = budget
}

// Budgets are those there are, sorted by subject.
func (b *Book) Budgets() []schemas.Budget {
	budgets := make([]schemas.Budget, 0, len(b.State.Budgets))
	for _, subject := range workflow.DeterministicKeys(b.State.Budgets) {
		budgets = append(budgets, b.State.Budgets[subject])
	}
	return budgets
}

// windows are those that a day belongs to.
func windows(day string) []string { return []string{day, schemas.MonthOf(day)} }

func within(day, window string) bool { return slices.Contains(windows(day), window) }

// add books an amount that a lease which is closed has spent.
func (b *Book) add(subject, day string, amount schemas.Amount) {
	for _, window := range windows(day) {
		name := schemas.AccountOf(subject, window)
		account := b.State.Accounts[name]
		account.Spent = account.Spent.Add(amount)
		b.State.Accounts[name] = account
	}
}

// standing is what a subject has spent in a window, and what leases may yet spend.
func (b *Book) standing(subject, window string) (spent, reserved schemas.Amount) {
	spent = b.State.Accounts[schemas.AccountOf(subject, window)].Spent
	for _, id := range workflow.DeterministicKeys(b.State.Leases) {
		lease := b.State.Leases[id]
		share, ok := lease.Shares[subject]
		if !ok || !within(lease.Day, window) {
			continue
		}
		spent = spent.Add(share.Settled)
		reserved = reserved.Add(share.Granted.Sub(share.Settled).Max(schemas.Amount{}))
	}
	return spent, reserved
}

// bounds are the tightest limits of a subject on a day, one for each unit that is limited.
func (b *Book) bounds(subject, day string) []schemas.Bound {
	budget := b.State.Budgets[subject]
	var money, tokens []schemas.Bound
	for i, limits := range []schemas.Limits{budget.Day, budget.Month} {
		if limits.IsZero() {
			continue
		}
		window := windows(day)[i]
		spent, reserved := b.standing(subject, window)
		if limits.Micros != nil {
			money = append(money, schemas.Bound{
				Window: window, Unit: schemas.UnitUSD, Limit: int64(*limits.Micros), Spent: int64(spent.Micros), Reserved: int64(reserved.Micros),
			})
		}
		if limits.Tokens != nil {
			tokens = append(tokens, schemas.Bound{
				Window: window, Unit: schemas.UnitTokens, Limit: *limits.Tokens, Spent: spent.Tokens, Reserved: reserved.Tokens,
			})
		}
	}
	return append(tightest(money), tightest(tokens)...)
}

// tightest keeps the bound that leaves least.
func tightest(bounds []schemas.Bound) []schemas.Bound {
	if len(bounds) == 0 {
		return nil
	}
	return []schemas.Bound{slices.MinFunc(bounds, func(a, b schemas.Bound) int { return int(min(1, max(-1, a.Left()-b.Left()))) })}
}

// Figures tells people what the book knows.
func (b *Book) Figures() schemas.LedgerFigures {
	f := schemas.LedgerFigures{Budgets: b.Budgets(), Windows: []schemas.WindowFigures{}}
	known := map[string]bool{}
	note := func(subject, window string) {
		name := schemas.AccountOf(subject, window)
		if known[name] {
			return
		}
		known[name] = true
		account := b.State.Accounts[name]
		figures := schemas.WindowFigures{Subject: subject, Window: window, Audited: account.Audited, Corrected: account.Corrected}
		figures.Spent, figures.Reserved = b.standing(subject, window)
		f.Windows = append(f.Windows, figures)
	}
	for _, name := range workflow.DeterministicKeys(b.State.Accounts) {
		note(parted(name))
	}
	for _, id := range workflow.DeterministicKeys(b.State.Leases) {
		lease := b.State.Leases[id]
		if lease.Lost {
			f.Lost++
		} else {
			f.Open++
		}
		for _, subject := range workflow.DeterministicKeys(lease.Shares) {
			for _, window := range windows(lease.Day) {
				note(subject, window)
			}
		}
	}
	slices.SortFunc(f.Windows, func(x, y schemas.WindowFigures) int {
		return slices.Compare([]string{x.Subject, x.Window}, []string{y.Subject, y.Window})
	})
	return f
}

// parted is the opposite of schemas.AccountOf; no subject has an @.
func parted(account string) (subject, window string) {
	i := slices.Index([]byte(account), '@')
	return account[:i], account[i+1:]
}

func millis(ms int64) time.Time { return time.UnixMilli(ms) }
