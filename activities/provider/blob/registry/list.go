package registry

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

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

// recordsAtOnce is how many records are read at the same time.
const recordsAtOnce = 16

// Records reads the releases of a chain, or of all chains if chain is empty, the latest first. A record is read once for as long as the
// registry remembers it.
func (r *Registry) Records(ctx context.Context, tenant, chain string) ([]schemas.Release, error) {
	var keys []schemas.Release
	for key, err := range r.All(ctx, tenant, chain) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	records := make([]schemas.Release, len(keys))
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(recordsAtOnce)
	for i, key := range keys {
		group.Go(func() (err error) {
			records[i], err = r.record(reading, tenant, key)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(records, func(a, b schemas.Release) int {
		return cmp.Or(cmp.Compare(b.CreatedMS, a.CreatedMS), cmp.Compare(a.Chain, b.Chain), cmp.Compare(a.Hash, b.Hash))
	})
	return records, nil
}

func (r *Registry) record(ctx context.Context, tenant string, name schemas.Release) (schemas.Release, error) {
	key := schemas.ReleaseKey(tenant, name.Chain, name.Hash)
	r.mu.Lock()
	kept, ok := r.records[key]
	r.mu.Unlock()
	if ok {
		return kept, nil
	}
	record, err := r.Get(ctx, tenant, name.Chain, name.Hash)
	if err != nil {
		return record, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.records) >= recordsKept {
		clear(r.records)
	}
	r.records[key] = record
	return record, nil
}

// Recalls reads the marks of a chain's recalled releases, or of all chains if chain is empty, by hash.
func (r *Registry) Recalls(ctx context.Context, tenant, chain string) (map[string]schemas.Recall, error) {
	marks := map[string]schemas.Recall{}
	root := schemas.RecallPrefix(tenant, "")
	for info, err := range r.store.All(ctx, schemas.RecallPrefix(tenant, chain)) {
		if err != nil {
			return nil, err
		}
		name, hash, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(info.Key, root), ".json"), "/")
		mark, err := r.Recalled(ctx, tenant, name, hash)
		if err != nil {
			return nil, err
		}
		if mark != nil {
			marks[hash] = *mark
		}
	}
	return marks, nil
}
