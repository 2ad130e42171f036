package gateway

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// mostClaims bounds the claims of a label that are listed.
const mostClaims = 1000

// triedGates are the runs that stood before moves of a label, of its entries from a number on, the latest first and at most limit. What they say is
// said of who asked, the release and how the run stands.
func (g *Gateway) triedGates(ctx context.Context, name registry.LabelName, from, limit int) ([]rest.GateAttempt, error) {
	prefix := schemas.GateClaimsPrefix(name.Tenant, name.Chain, name.Label)
	found, err := g.store.List(ctx, prefix, schemas.GateClaimsFrom(name.Tenant, name.Chain, name.Label, from), mostClaims)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b blob.Info) int { return cmp.Or(b.Modified.Compare(a.Modified), strings.Compare(b.Key, a.Key)) })
	attempts := make([]rest.GateAttempt, min(len(found), limit))
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(8)
	for i := range attempts {
		reading.Go(func() (err error) {
			attempts[i], err = g.triedGate(ctx, name, found[i].Key)
			return err
		})
	}
	err = reading.Wait()
	return slices.DeleteFunc(attempts, func(a rest.GateAttempt) bool { return a.ID == "" }), err
}

// triedGate is the run that a claim stands for; zero for a key that is none of a claim.
func (g *Gateway) triedGate(ctx context.Context, name registry.LabelName, key string) (rest.GateAttempt, error) {
	number, suite, ok := schemas.GateClaimOf(key)
	if !ok {
		return rest.GateAttempt{}, nil
	}
	claim, err := blob.GetJSON[schemas.GateClaim](ctx, g.store, schemas.Ref{Key: key})
	if err != nil {
		return rest.GateAttempt{}, err
	}
	out := rest.GateAttempt{
		GateRun: rest.GateRun{GateEval: schemas.GateEval{Suite: suite, ID: claim.ID, Package: claim.Package}, Report: evalReport(suite, claim.ID)},
		Number:  number, Release: claim.Release, At: time.UnixMilli(claim.StartMS).UTC(), By: claim.By,
	}
	summary, err := g.evalSummary(ctx, name.Tenant, suite, claim.ID)
	if err == nil {
		return judgedGate(out, name, summary), nil
	}
	if schemas.CodeOf(err) != schemas.NotFound {
		return out, err
	}
	stands, err := g.evalStands(ctx, name.Tenant, suite, claim.ID, 0)
	switch {
	case err != nil && schemas.CodeOf(err) == schemas.NotFound: // it was claimed, and never started
		out.Broken, out.Reasons = true, []string{"the run was never started; the next request starts it"}
		return out, nil
	case err != nil:
		return out, err
	case stands.Summary != nil:
		out = judgedGate(out, name, *stands.Summary)
	case stands.Failure != nil:
		out.Broken, out.Reasons = true, []string{"the run broke: " + stands.Failure.Message}
	default:
		out.Progress = stands.Progress
	}
	return out, nil
}

// judgedGate adds what a run came to, as the gate takes it.
func judgedGate(out rest.GateAttempt, name registry.LabelName, s schemas.EvalSummary) rest.GateAttempt {
	if out.Release == "" { // of a claim that did not say it
		for _, release := range s.Releases {
			if chain, hash, ok := strings.Cut(release, "@"); ok && chain == name.Chain {
				out.Release, out.By = hash, s.By
			}
		}
	}
	out.Package = cmp.Or(out.Package, s.Package)
	move := gatedMove{name: name, release: out.Release, requires: schemas.SuiteRequirement{Package: out.Package}}
	out.Ruling, out.Reasons = move.ruling(s)
	return out
}
