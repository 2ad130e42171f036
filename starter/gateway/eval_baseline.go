package gateway

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

// mostAsked bounds the chains that a suite names: each is looked up before a run starts.
const mostAsked = 1000

// checkAsked reports what is wrong with the chains that a package names.
func checkAsked(chains []string) error {
	if len(chains) > mostAsked {
		return schemas.Errorf(schemas.Invalid, "the suite names %d chains, and %d are allowed: divide it", len(chains), mostAsked)
	}
	for _, name := range chains {
		chain, version, versioned := strings.Cut(name, "@")
		err := schemas.CheckChain(chain)
		if err == nil && versioned && schemas.CheckRelease(version) != nil {
			err = schemas.CheckLabel(version)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCompared reports why a run cannot be what is asked for: a provider of the suite is a chain at a label or release that there is not, or
// nothing is there that it could be compared with. What the plan finds out itself, it is left to. Errors: invalid, not_found, refused for a
// release that was recalled.
func (g *Gateway) checkCompared(ctx context.Context, r schemas.EvalRequest) error {
	pack, err := blob.GetJSON[struct {
		Chains   []string `json:"chains"`
		Baseline string   `json:"baseline"`
	}](ctx, g.store, r.Package)
	if err != nil {
		return err
	}
	for _, name := range pack.Chains {
		if chain, version, versioned := strings.Cut(name, "@"); versioned {
			if err := g.checkVersion(ctx, r.Tenant, chain, version); err != nil {
				return err
			}
		}
	}
	return g.checkBaseline(ctx, r.Tenant, r.Suite, cmp.Or(r.Baseline, pack.Baseline), pack.Chains)
}

// checkBaseline reports why a run cannot be compared with what is named: a label or a release of each chain that it stands in for, or an earlier
// run, which is of the same suite.
func (g *Gateway) checkBaseline(ctx context.Context, tenant, suite, baseline string, chains []string) error {
	if baseline == "" {
		return nil
	}
	if len(baseline) == 36 && uuid.Validate(baseline) == nil {
		_, err := g.store.Stat(ctx, schemas.EvalSummaryKey(tenant, suite, baseline))
		if err != nil && schemas.CodeOf(err) == schemas.NotFound {
			return schemas.Wrap(schemas.NotFound, err, "suite %s has no run %s that ended with a verdict, so nothing can be compared with it; \"tenuto eval list %s\" shows those there are", suite, baseline, suite)
		}
		return err
	}
	isRelease := schemas.CheckRelease(baseline) == nil
	if !isRelease && schemas.CheckLabel(baseline) != nil {
		return schemas.Errorf(schemas.Invalid, "baseline %.80q: name a label, the whole hash of a release, or the id of an earlier run of the suite", baseline)
	}
	for _, chain := range replaced(chains) {
		if err := g.checkVersion(ctx, tenant, chain, baseline); err != nil {
			return err
		}
	}
	if isRelease && len(chains) == 0 { // a package that does not name them
		_, err := g.registry.Find(ctx, tenant, baseline)
		return err
	}
	return nil
}

// replaced are the chains that a baseline stands in for: those under test, else those that are asked at a version.
func replaced(chains []string) []string {
	var out []string
	tested := slices.ContainsFunc(chains, func(name string) bool { return !strings.Contains(name, "@") })
	for _, name := range chains {
		chain, _, versioned := strings.Cut(name, "@")
		if !versioned || !tested {
			out = append(out, chain)
		}
	}
	return slices.Compact(out)
}

// checkVersion reports why a chain has no such label or release.
func (g *Gateway) checkVersion(ctx context.Context, tenant, chain, version string) error {
	if schemas.CheckRelease(version) == nil {
		_, err := g.registry.Pinned(ctx, tenant, chain, version)
		return err
	}
	_, err := g.registry.Resolve(ctx, registry.LabelName{Tenant: tenant, Chain: chain, Label: version})
	if err == nil || schemas.CodeOf(err) != schemas.NotFound {
		return err
	}
	labels, failed := g.registry.Labels(ctx, tenant, chain)
	switch {
	case failed != nil:
		return failed
	case len(labels) == 0:
		return schemas.Wrap(schemas.NotFound, err, "chain %s has no label %s, nor any other; \"tenuto label set %s@%s RELEASE\" sets it", chain, version, chain, version)
	case !slices.Contains(labels, version):
		return schemas.Wrap(schemas.NotFound, err, "chain %s has no label %s; it has %s", chain, version, strings.Join(labels, ", "))
	}
	return err
}
