package gateway

import (
	"context"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	tenuto "github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// evalReport is the path of a run's page.
func evalReport(suite, id string) string { return "/console/evals/" + suite + "/" + id }

// beginGateEval starts an evaluation, or finds the one that has its id.
func (g *Gateway) beginGateEval(ctx context.Context, in schemas.EvalRequest) error {
	_, err := tenuto.Start(ctx, g.temporal, client.StartWorkflowOptions{
		ID: schemas.EvalID(in.Tenant, in.Suite, in.ID), TaskQueue: schemas.QueueEval, StaticSummary: "evaluation of suite " + in.Suite,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		Priority:                 temporal.Priority{FairnessKey: in.Tenant},
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(in.Tenant),
			temporal.NewSearchAttributeKeyKeyword(schemas.AttrSuite).ValueSet(in.Suite),
		),
	}, schemas.Evaluate, in)
	return err
}

// gateStanding is how a run of a suite stands. The zero value is that of one that nobody started.
type gateStanding struct {
	running bool
	summary *schemas.EvalSummary // of one that ended
	broken  string               // why one ended without a summary
}

// gateStands looks for what a run left, and for its workflow where it left nothing.
func (g *Gateway) gateStands(ctx context.Context, tenant, suite, id string) (stands gateStanding, err error) {
	if stands.summary, err = g.gateSummary(ctx, tenant, suite, id); stands.summary != nil || err != nil {
		return stands, err
	}
	workflow := schemas.EvalID(tenant, suite, id)
	found, err := g.temporal.DescribeWorkflow(ctx, workflow, "")
	if err != nil {
		if coded := tenuto.Coded(err); schemas.CodeOf(coded) != schemas.NotFound {
			return stands, coded
		}
		return stands, nil
	}
	if stands.running = statusOf(found.Status) == rest.Running; stands.running {
		return stands, nil
	}
	if stands.summary, err = g.gateSummary(ctx, tenant, suite, id); stands.summary != nil || err != nil { // it may have ended meanwhile
		return stands, err
	}
	summary, err := tenuto.Attach(ctx, g.temporal, schemas.Evaluate, workflow, found.WorkflowExecution.RunID).Wait(ctx)
	if err != nil {
		stands.broken = "the run broke: " + schemas.SafeMessage(err)
		return stands, nil
	}
	stands.summary = &summary
	return stands, nil
}

// gateSummary reads what a run that ended left; nil for none.
func (g *Gateway) gateSummary(ctx context.Context, tenant, suite, id string) (*schemas.EvalSummary, error) {
	summary, err := g.evalSummary(ctx, tenant, suite, id)
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return nil, nil //nolint:nilnil // that there is none is an answer
	}
	return &summary, err
}
