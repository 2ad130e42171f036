package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// maxRounds is how many runs of a suite stand for one move of a label: another follows where one ended without a verdict.
const maxRounds = 100

// gateAnswer describes the answer to a move whose suites run.
func (g *Gateway) gateAnswer() map[string]*huma.Response {
	return map[string]*huma.Response{"202": {
		Description: "The label requires suites, and they run: it is not moved yet. Ask again.",
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: huma.SchemaFromType(g.api.OpenAPI().Components.Schemas, typeOf[rest.Label]()),
		}},
	}}
}

// requireSuites changes what a label requires. The packages are in the store.
func (g *Gateway) requireSuites(ctx context.Context, in *requireInput) (*labelOutput, error) {
	name := labelOf(ctx, in.Chain, in.Label)
	requires := in.Body.Requires
	for i := range requires {
		requires[i].Baseline = cmp.Or(requires[i].Baseline, schemas.BaselineCurrent)
	}
	if err := schemas.CheckRequirements(requires); err != nil {
		return nil, err
	}
	for _, r := range requires {
		if _, err := g.suitePackage(ctx, name.Tenant, r.Suite, r.Package); err != nil {
			return nil, err
		}
	}
	tip, err := g.registry.Require(ctx, name, requires, actor(ctx), in.Body.Why)
	if err != nil {
		return nil, err
	}
	return &labelOutput{labelStands(name, tip)}, nil
}

// gate is what lets a move through, or the runs that decide about it. Errors: refused where a suite did not pass, and those of beginEval.
func (g *Gateway) gate(ctx context.Context, tip schemas.LabelEvent, move registry.Move, body rest.MoveLabel) (*schemas.LabelGate, []rest.GateRun, error) {
	gate := &schemas.LabelGate{Number: tip.Number, Release: move.Release}
	if body.Override {
		gate.Override, gate.Reason = true, body.Reason
		return gate, nil, nil
	}
	var waiting, refused []rest.GateRun
	for _, r := range tip.Requires {
		run, err := g.gateRun(ctx, gatedMove{name: move.Name, tip: tip, release: move.Release, requires: r, waited: body.Waited, by: move.By})
		switch {
		case err != nil:
			return nil, nil, err
		case run.Ruling == "":
			waiting = append(waiting, run)
		case run.Ruling == schemas.RulingPassed:
			gate.Evals = append(gate.Evals, run.GateEval)
		default:
			refused = append(refused, run)
		}
	}
	if len(refused) > 0 {
		return nil, nil, refusedBy(move, refused)
	}
	return gate, waiting, nil
}

// refusedBy says which suites keep a label where it is.
func refusedBy(move registry.Move, evals []rest.GateRun) error {
	var said []string
	for _, e := range evals {
		text := fmt.Sprintf("suite %s is %s", e.Suite, strings.ReplaceAll(string(e.Ruling), "_", " "))
		if len(e.Reasons) > 0 {
			text += " (" + strings.Join(e.Reasons[:min(len(e.Reasons), 3)], "; ") + ")"
		}
		said = append(said, text+", see "+e.Report)
	}
	err := newProblem(http.StatusUnprocessableEntity, schemas.Refused, fmt.Sprintf("label %s stays where it is, because for release %s %s",
		move.Name, schemas.ShortRelease(move.Release), strings.Join(said, ", and ")))
	err.Evals = evals
	return err
}

// gatedMove is one suite that stands before a move.
type gatedMove struct {
	name     registry.LabelName
	tip      schemas.LabelEvent
	release  string
	requires schemas.SuiteRequirement
	waited   []string // runs whose verdict is wanted, whatever it is
	by       schemas.Actor
}

// gateRun finds the run that decides, or starts it. Its ruling is empty while it goes on. A run without a verdict decides only for who waited for
// it; for all others another one follows, and finds what is paid for.
func (g *Gateway) gateRun(ctx context.Context, m gatedMove) (rest.GateRun, error) {
	for round := range maxRounds {
		claim, err := g.claimGate(ctx, m, round)
		if err != nil {
			return rest.GateRun{}, err
		}
		run, again, err := g.claimedRun(ctx, m, claim)
		if err != nil || !again || slices.Contains(m.waited, run.ID) {
			return run, err
		}
	}
	return rest.GateRun{}, schemas.Errorf(schemas.Conflict, "suite %s ended %d times without a verdict for label %s; mend what keeps it from one, or override it with a reason",
		m.requires.Suite, maxRounds, m.name)
}

// claimGate is the run that stands for the move; the same for all who ask for it.
func (g *Gateway) claimGate(ctx context.Context, m gatedMove, round int) (claim schemas.GateClaim, err error) {
	key := schemas.GateClaimKey(m.name.Tenant, m.name.Chain, m.name.Label, m.tip.Number, m.release, m.requires, round)
	mine := schemas.GateClaim{ID: newID(), StartMS: g.now().UnixMilli(), Release: m.release, Package: m.requires.Package, By: m.by}
	data, err := g.store.Get(ctx, key)
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		created, err := g.store.PutIfAbsent(ctx, key, encode(mine))
		if created || err != nil {
			return mine, err
		}
		data, err = g.store.Get(ctx, key)
		if err != nil {
			return claim, err
		}
	} else if err != nil {
		return claim, err
	}
	if err := json.Unmarshal(data, &claim); err != nil {
		return claim, schemas.Wrap(schemas.Internal, err, "the record %s cannot be read", key)
	}
	return claim, nil
}

// claimedRun says how a run stands, and starts it if nobody has. Again says that it has no verdict, or one older than what counts.
func (g *Gateway) claimedRun(ctx context.Context, m gatedMove, claim schemas.GateClaim) (run rest.GateRun, again bool, err error) {
	tenant, suite := m.name.Tenant, m.requires.Suite
	run = rest.GateRun{GateEval: schemas.GateEval{Suite: suite, ID: claim.ID, Package: m.requires.Package}, Report: evalReport(suite, claim.ID)}
	stands, err := g.evalStands(ctx, tenant, suite, claim.ID, 0)
	switch {
	case err != nil && schemas.CodeOf(err) == schemas.NotFound:
		return run, false, g.startGate(ctx, m, claim)
	case err != nil:
		return run, false, err
	case stands.Status == rest.Running:
		run.Progress = stands.Progress
		return run, false, nil
	case stands.Summary == nil:
		run.Ruling, run.Reasons = schemas.RulingUnresolved, []string{"the run broke: " + stands.Failure.Message}
		return run, true, nil
	}
	run.Ruling, run.Reasons = m.ruling(*stands.Summary)
	age := g.now().Sub(time.UnixMilli(stands.Summary.EndMS))
	aged := m.requires.MaxAgeS > 0 && age > time.Duration(m.requires.MaxAgeS)*time.Second
	return run, aged || stands.Summary.Stopped || stands.Summary.Ruling == schemas.RulingUnresolved, nil
}

// ruling is what a run says about the move: its verdict counts for the release and the package that it judged, and for nothing else.
func (m gatedMove) ruling(s schemas.EvalSummary) (schemas.Ruling, []string) {
	switch {
	case s.Package != m.requires.Package:
		return schemas.RulingUnresolved, []string{"it judged another package of the suite"}
	case !slices.Contains(s.Releases, m.name.Chain+"@"+m.release):
		return schemas.RulingUnresolved, []string{fmt.Sprintf("it did not judge the release: the suite has to name chain:%s among its providers, without a version", m.name.Chain)}
	case s.Stopped && s.Ruling == schemas.RulingPassed:
		return schemas.RulingUnresolved, []string{"it was ended early"}
	}
	return s.Ruling, s.Reasons
}

func (g *Gateway) startGate(ctx context.Context, m gatedMove, claim schemas.GateClaim) error {
	content, err := g.suitePackage(ctx, m.name.Tenant, m.requires.Suite, m.requires.Package)
	if err != nil {
		return err
	}
	_, err = g.beginEval(ctx, schemas.EvalRequest{
		Tenant: m.name.Tenant, Suite: m.requires.Suite, ID: claim.ID, Package: content, StartMS: claim.StartMS,
		Releases: map[string]string{m.name.Chain: m.release}, Baseline: m.requires.BaselineOf(m.tip.Release),
		Trigger: schemas.EvalGate, By: m.by, Payer: caller(ctx).Line(),
	}, claim.ID)
	return err
}

// evalReport is the path of a run's page.
func evalReport(suite, id string) string { return "/console/evals/" + suite + "/" + id }
