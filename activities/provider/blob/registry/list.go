package registry

import (
	"context"
	"iter"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// All yields the releases of a chain, or of all chains if chain is empty, by chain and hash, with nothing but those. It ends at the first
// error.
func (r *Registry) All(ctx context.Context, tenant, chain string) iter.Seq2[schemas.Release, error] {
	return func(yield func(schemas.Release, error) bool) {
		root := schemas.ReleasePrefix(tenant, "")
		for info, err := range r.store.All(ctx, schemas.ReleasePrefix(tenant, chain)) {
			if err != nil {
				yield(schemas.Release{}, err)
				return
			}
			name, hash, _ := strings.Cut(strings.TrimPrefix(info.Key, root), "/")
			if !yield(schemas.Release{Chain: name, Hash: strings.TrimSuffix(hash, ".json")}, nil) {
				return
			}
		}
	}
}

// Labels lists the names of a chain's labels, sorted. The histories of labels are stepped over: '0' is the byte that follows the slash.
func (r *Registry) Labels(ctx context.Context, tenant, chain string) ([]string, error) {
	return r.below(ctx, schemas.LabelPrefix(tenant, chain, ""))
}

// LabeledChains lists the chains that have labels, sorted.
func (r *Registry) LabeledChains(ctx context.Context, tenant string) ([]string, error) {
	return r.below(ctx, schemas.LabelPrefix(tenant, "", ""))
}

// below lists the names of the folders right below a prefix.
func (r *Registry) below(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	after := ""
	for {
		page, err := r.store.List(ctx, prefix, after, 1)
		if err != nil || len(page) == 0 {
			return names, err
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(page[0].Key, prefix), "/")
		names = append(names, name)
		after = prefix + name + "0"
	}
}
