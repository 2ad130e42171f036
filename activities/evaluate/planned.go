package evaluate

import (
	"context"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// plannedAs says which plan came of the same package, over the same releases and models.
type plannedAs struct {
	Hash string `json:"hash"`
}

// expansion is counted up when the same suite would be expanded into other cells than before.
const expansion = 2

func (p *planner) plannedKey() string {
	spelt := func(pins map[string]*pinned) map[string]string {
		out := map[string]string{}
		for id, pin := range pins {
			out[id] = pin.identity()
		}
		return out
	}
	asked := map[string]string{}
	for _, kind := range grader.Types() {
		asked[kind] = grader.Pin(schemas.Assertion{Type: kind})
	}
	pins := map[string]string{}
	for id, g := range p.graders {
		pins[id] = g.Pin
	}
	return schemas.SuitePrefix(p.request.Tenant, p.request.Suite) + "planned/" + digestOf(
		expansion, p.request.Package.SHA256, spelt(p.pins), spelt(p.twins), pins, p.plan.Grader, p.plan.Embedder, asked,
		p.request.Repeat, p.request.MaxRepeat, p.request.MaxCells, p.plan.Baseline, p.plan.Earlier,
	) + ".json"
}

// before is the plan that was made of the same; nil where there is none.
func (p *planner) before(ctx context.Context) (*schemas.EvalPlan, error) {
	as, err := blob.GetJSON[plannedAs](ctx, p.a.Store, schemas.Ref{Key: p.plannedKey()})
	if err != nil {
		return nil, unlessAbsent(err)
	}
	prefix := schemas.EvalPlanPrefix(p.request.Tenant, p.request.Suite, as.Hash)
	plan, err := blob.GetJSON[stored](ctx, p.a.Store, schemas.Ref{Key: prefix + planFile})
	if err != nil {
		return nil, unlessAbsent(err)
	}
	plan.Known, err = p.known(ctx, prefix)
	return &plan.EvalPlan, err
}

func unlessAbsent(err error) error {
	if schemas.CodeOf(err) == schemas.NotFound {
		return nil
	}
	return err
}

// asAsked is a plan with what this run wants otherwise than the one for which it was made: it is no part of the plan's hash.
func (p *planner) asAsked(before *schemas.EvalPlan) schemas.EvalPlan {
	if before == nil {
		return schemas.EvalPlan{}
	}
	plan := *before
	plan.Budget, plan.Notify, plan.SinceMS = p.plan.Budget, p.plan.Notify, p.plan.SinceMS
	return plan
}
