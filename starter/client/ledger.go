package client

import (
	"context"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Temporal is the part of Temporal's client that ledgers need. Every client.Client is one.
type Temporal interface {
	Starter
	UpdateWorkflow(ctx context.Context, options client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error)
	QueryWorkflow(ctx context.Context, workflowID, runID, query string, args ...any) (converter.EncodedValue, error)
}

// Ledgers are the authorities on the budgets of tenants: a workflow for each tenant that has or had a budget.
type Ledgers struct{ Temporal Temporal }

// Sync tells the ledger of a tenant how the leases of a process stand. The ledger is started where there is none: the store knows the
// budgets, and the records what was spent. Errors: invalid, conflict for a message that another has overtaken, and those of [Coded].
func (l Ledgers) Sync(ctx context.Context, tenant string, in schemas.LedgerSync) (schemas.LedgerReply, error) {
	id := fmt.Sprintf("%s/%d", in.Instance, in.Seq)
	reply, err := request(ctx, l.Temporal, tenant, id, schemas.SyncLedger, in)
	if err == nil || schemas.CodeOf(err) != schemas.NotFound {
		return reply, err
	}
	if err := l.start(ctx, tenant); err != nil {
		return reply, err
	}
	return request(ctx, l.Temporal, tenant, id, schemas.SyncLedger, in)
}

// Set changes a budget and returns all of the tenant. A budget without limits ends it. Errors: invalid, and those of [Coded].
func (l Ledgers) Set(ctx context.Context, tenant string, budget schemas.Budget) (schemas.BudgetList, error) {
	if err := l.start(ctx, tenant); err != nil {
		return schemas.BudgetList{}, err
	}
	return request(ctx, l.Temporal, tenant, "", schemas.SetBudget, schemas.BudgetChange{Budget: budget})
}

// Show asks the ledger of a tenant what it knows. Error: not_found for a tenant that never had a budget; otherwise those of [Coded].
func (l Ledgers) Show(ctx context.Context, tenant string) (schemas.LedgerFigures, error) {
	var figures schemas.LedgerFigures
	answer, err := l.Temporal.QueryWorkflow(ctx, schemas.LedgerID(tenant), "", schemas.LedgerShow.Name())
	if err == nil {
		err = answer.Get(&figures)
	}
	return figures, Coded(err)
}

// start starts the ledger, or finds it running.
func (l Ledgers) start(ctx context.Context, tenant string) error {
	_, err := Start(ctx, l.Temporal, client.StartWorkflowOptions{
		ID: schemas.LedgerID(tenant), TaskQueue: schemas.QueueInteractive,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, StaticSummary: "keeps the budgets of tenant " + tenant,
		Priority:              temporal.Priority{PriorityKey: priorityInteractive, FairnessKey: tenant},
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(tenant)),
	}, schemas.Ledger, schemas.LedgerRequest{Tenant: tenant})
	return err
}

// request sends an update to the ledger and waits for its answer.
func request[In, Out any](ctx context.Context, c Temporal, tenant, id string, u schemas.Update[In, Out], in In) (out Out, err error) {
	handle, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: schemas.LedgerID(tenant), UpdateID: id, UpdateName: u.Name(), Args: []any{in},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &out)
	}
	return out, Coded(err)
}
