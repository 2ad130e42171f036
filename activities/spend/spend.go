// Package spend adds up what the records of runs say was spent, and keeps the list of a tenant's budgets where gateways look.
package spend

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Runs knows which runs are workflows of their own and have not ended.
type Runs interface {
	// Running counts the tenant's, by the lease under which they were admitted; those without one under an empty name. Codes: unavailable.
	Running(ctx context.Context, tenant string) (map[string]int, error)
}

// Activities are the durable calls of ledgers. All fields are required. It is safe for concurrent use.
type Activities struct {
	Store   *blob.Store
	Journal *journal.Journal
	Runs    Runs
}

// Open reads the list of budgets, and notes that the tenant has a ledger now. A repeated one says that it is not the first, and then the
// records of the month are added up for nothing. Codes: those of the store.
func (a *Activities) Open(ctx context.Context, in schemas.OpenRequest) (schemas.OpenReport, error) {
	var report schemas.OpenReport
	data, err := a.Store.Get(ctx, schemas.BudgetsKey(in.Tenant))
	if err != nil && schemas.CodeOf(err) != schemas.NotFound {
		return report, err
	}
	if err == nil {
		var list schemas.BudgetList
		if err := json.Unmarshal(data, &list); err != nil {
			return report, schemas.Wrap(schemas.Internal, err, "the list of the budgets of tenant %s cannot be read", in.Tenant)
		}
		report.Budgets = list.Budgets
	}
	report.First, err = a.Store.PutIfAbsent(ctx, schemas.LedgerMark(in.Tenant), []byte("{}"))
	return report, err
}

// Keep writes the list of budgets. The ledger asks for one list after the other, so the last one counts. Codes: those of the store.
func (a *Activities) Keep(ctx context.Context, in schemas.KeepRequest) (schemas.BudgetList, error) {
	list := schemas.BudgetList{Budgets: in.Budgets}
	data, err := json.Marshal(list)
	if err != nil {
		return list, err
	}
	return list, a.Store.Put(ctx, schemas.BudgetsKey(in.Tenant), data)
}
