package evaluate

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// absent stands for the contents of a collection that there is not.
const absent = "absent"

// contents are what the collections hold in which chains look, by name: an answer over other documents is another answer. They are those of the
// moment at which the plan is made, also for further rounds of samples.
type contents map[string]string

// searched are the names of the collections in which the chains of a bundle look. Computed says that some names are known to runs only.
func searched(bundle schemas.Bundle) (names []string, computed bool) {
	seen := map[string]bool{}
	for _, def := range bundle.Chains {
		for _, s := range def.Steps {
			if s.Retrieve == nil {
				continue
			}
			name, err := schemas.CanonicalCollection(s.Retrieve.Collection)
			if err != nil || strings.Contains(s.Retrieve.Collection, "${") {
				computed = true
				continue
			}
			seen[name] = true
		}
	}
	return slices.Sorted(maps.Keys(seen)), computed
}

// within is the digest of all that the chains of a bundle look in; empty for those that look nowhere.
func (p *planner) within(ctx context.Context, bundle schemas.Bundle) (string, error) {
	names, computed := searched(bundle)
	if computed {
		p.plan.Warnings = withWarning(p.plan.Warnings, "the chain "+bundle.Chain+" computes the name of a collection: answers are found again though its documents may have changed; --fresh asks anew")
	}
	if len(names) == 0 {
		return "", nil
	}
	held := contents{}
	for _, name := range names {
		if _, known := p.plan.Contents[name]; !known {
			state, err := p.a.contentsOf(ctx, p.request.Tenant, name)
			if err != nil {
				return "", err
			}
			if p.plan.Contents == nil {
				p.plan.Contents = contents{}
			}
			p.plan.Contents[name] = state
		}
		held[name] = p.plan.Contents[name]
	}
	return digestOf(held), nil
}

// warnings are those of the plan, and of collections that changed while the run was under way: its answers may be over both contents.
func (a *Activities) warnings(ctx context.Context, run schemas.EvalRun, plan stored) ([]string, error) {
	all := slices.Clip(plan.Warnings)
	for _, name := range slices.Sorted(maps.Keys(plan.Contents)) {
		now, err := a.contentsOf(ctx, run.Tenant, name)
		if err != nil {
			return nil, err
		}
		if now != plan.Contents[name] {
			all = withWarning(all, "collection "+name+" was changed while the run was under way: run it again to have every answer over the same documents")
		}
	}
	return all, nil
}

// contentsOf is a digest of what ingestions have made of a collection's sources. It stays when an ingestion changes nothing, and is another one
// while an ingestion that does is under way.
func (a *Activities) contentsOf(ctx context.Context, tenant, collection string) (string, error) {
	record, err := blob.GetJSON[schemas.Collection](ctx, a.Store, schemas.Ref{Key: schemas.CollectionKey(tenant, collection)})
	if schemas.CodeOf(err) == schemas.NotFound {
		return absent, nil
	}
	if err != nil {
		return "", err
	}
	parts := []any{record.Version, record.Recipe.Hash()}
	prefix := schemas.CollectionPrefix(tenant, collection) + "sources/"
	for after := ""; ; {
		page, err := a.Store.List(ctx, prefix, after, 1)
		if err != nil {
			return "", err
		}
		if len(page) == 0 {
			return digestOf(parts...), nil
		}
		source, _, _ := strings.Cut(strings.TrimPrefix(page[0].Key, prefix), "/")
		after = prefix + source + "0" // the byte that follows the slash: behind all that is known of the source
		state, err := blob.GetJSON[schemas.SourceState](ctx, a.Store, schemas.Ref{Key: schemas.SourceKey(tenant, collection, source)})
		if schemas.CodeOf(err) == schemas.NotFound {
			continue
		}
		if err != nil {
			return "", err
		}
		parts = append(parts, source, state.Complete, state.Recipe, state.Parser)
		if !state.Complete {
			parts = append(parts, state.Snapshot) // of this ingestion, and of no other that is under way
		}
		for _, b := range state.Buckets {
			parts = append(parts, b.Digest)
		}
	}
}
