package gateway

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	tenuto "github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type reconcileInput struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"Names the comparison; the same key joins it."`
	Body           rest.NewReconciliation
}

type reconcileOutput struct{ Body schemas.ReconcileReport }

func (g *Gateway) reconcileRoutes() {
	route(g, huma.Operation{
		OperationID: "reconcile-runs", Method: http.MethodPost, Path: "/api/v1/reconciliations",
		Summary: "Compare the records of runs that were workflows with the histories, and fill in records that are missing", Tags: []string{"chains"},
		Errors: []int{http.StatusServiceUnavailable, http.StatusGatewayTimeout},
	}, operators, g.reconcile)
}

// reconcile starts a comparison of the tenant's runs and waits for its report. It goes on when nobody waits any more, and the same key joins it.
func (g *Gateway) reconcile(ctx context.Context, in *reconcileInput) (*reconcileOutput, error) {
	tenant, id := caller(ctx).Tenant, cmp.Or(in.IdempotencyKey, newID())
	if err := schemas.CheckRunID(id); err != nil {
		return nil, err
	}
	if !in.Body.From.Before(in.Body.To) {
		return nil, schemas.Errorf(schemas.Invalid, "from does not lie before to")
	}
	run, err := tenuto.Start(ctx, g.temporal, client.StartWorkflowOptions{
		ID: schemas.ReconcileID(tenant, id), TaskQueue: schemas.QueueIngest, StaticSummary: "compare the records of runs with their workflows",
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, WorkflowExecutionTimeout: 7 * 24 * time.Hour,
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(tenant)),
	}, schemas.Reconcile, schemas.ReconcileRequest{Tenant: tenant, FromMS: in.Body.From.UnixMilli(), ToMS: in.Body.To.UnixMilli()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	report, err := run.Wait(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, schemas.Wrap(schemas.Deadline, err, "the comparison goes on as the workflow %s; ask again with the idempotency key %s", run.WorkflowID(), id)
	}
	if report.Findings == nil {
		report.Findings = []schemas.ReconcileFinding{}
	}
	return &reconcileOutput{report}, err
}
