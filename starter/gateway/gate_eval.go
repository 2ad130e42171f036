package gateway

import (
	"context"
	"encoding/json"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	tenuto "github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// evalReport is the path of a run's page.
func evalReport(suite, id string) string { return "/console/evals/" + suite + "/" + id }

// suitePackage finds a package in the store. Error: not_found.
func (g *Gateway) suitePackage(ctx context.Context, tenant, suite, hash string) (schemas.Ref, error) {
	key := schemas.SuitePackageKey(tenant, suite, hash)
	info, err := g.store.Stat(ctx, key)
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return schemas.Ref{}, schemas.Wrap(schemas.NotFound, err, "suite %s has no package %s; upload it first, as the commands that name a suite's file do", suite, schemas.ShortRelease(hash))
	}
	return schemas.Ref{Key: key, SHA256: hash, Bytes: info.Bytes}, err
}

// beginEval starts an evaluation, or finds the one that has its id.
func (g *Gateway) beginEval(ctx context.Context, in schemas.EvalRequest) error {
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
	if stands.summary, err = g.evalSummary(ctx, tenant, suite, id); stands.summary != nil || err != nil {
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
	if stands.summary, err = g.evalSummary(ctx, tenant, suite, id); stands.summary != nil || err != nil { // it may have ended meanwhile
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

// evalSummary reads what a run that ended left; nil for none.
func (g *Gateway) evalSummary(ctx context.Context, tenant, suite, id string) (*schemas.EvalSummary, error) {
	key := schemas.EvalSummaryKey(tenant, suite, id)
	data, err := g.store.Get(ctx, key)
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			return nil, nil //nolint:nilnil // that there is none is an answer
		}
		return nil, err
	}
	summary := new(schemas.EvalSummary)
	if err := json.Unmarshal(data, summary); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the summary %s cannot be read", key)
	}
	return summary, nil
}

// evalProgress asks a run how far it is; nil while no worker can be asked.
func (g *Gateway) evalProgress(ctx context.Context, tenant, suite, id string) *schemas.EvalProgress {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	answer, err := g.temporal.QueryWorkflow(ctx, schemas.EvalID(tenant, suite, id), "", schemas.EvalShow.Name())
	progress := new(schemas.EvalProgress)
	if err != nil || answer.Get(progress) != nil {
		return nil
	}
	return progress
}
