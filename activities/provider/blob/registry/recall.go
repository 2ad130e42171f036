package registry

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Recall marks a release, so that no run starts on it from now on. A repeated recall says what is to become of the runs now. Errors: those
// of Get.
func (r *Registry) Recall(ctx context.Context, tenant string, recall schemas.Recall) error {
	if _, err := r.Get(ctx, tenant, recall.Chain, recall.Release); err != nil {
		return err
	}
	data, err := json.Marshal(recall)
	if err != nil {
		return err
	}
	return r.store.Put(ctx, schemas.RecallKey(tenant, recall.Chain, recall.Release), data)
}

// Recalled returns the mark of a recalled release, by a read that begins after the call; nil for one that was not. Errors: those of the store.
func (r *Registry) Recalled(ctx context.Context, tenant, chain, hash string) (*schemas.Recall, error) {
	key := schemas.RecallKey(tenant, chain, hash)
	return r.recalls.do(ctx, key, func(ctx context.Context) (*schemas.Recall, error) {
		data, err := r.store.Get(ctx, key)
		if absent(err) {
			return nil, nil //nolint:nilnil // that there is none is an answer
		}
		if err != nil {
			return nil, err
		}
		recall := new(schemas.Recall)
		if err := json.Unmarshal(data, recall); err != nil {
			return nil, schemas.Wrap(schemas.Internal, err, "the recall of release %s cannot be read", schemas.ShortRelease(hash))
		}
		return recall, nil
	})
}

// CheckRecalled is Recalled as an error. Error: refused for a recalled release.
func (r *Registry) CheckRecalled(ctx context.Context, tenant, chain, hash string) error {
	recall, err := r.Recalled(ctx, tenant, chain, hash)
	if err != nil || recall == nil {
		return err
	}
	why := ""
	if recall.Why != "" {
		why = ": " + recall.Why
	}
	return schemas.Errorf(schemas.Refused, "release %s of chain %s was recalled%s; name another release, or move the label to one",
		schemas.ShortRelease(hash), chain, why)
}

// Resolve is the release that a run by label starts on now: what the label points to, unless that was recalled. Both are read at the same
// time where it is known what the label pointed to. Errors: those of Target, CheckRecalled and Load.
func (r *Registry) Resolve(ctx context.Context, name LabelName) (*Loaded, error) {
	if err := name.check(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	likely := r.tips[name.prefix()].Release
	r.mu.Unlock()
	early := make(chan error, 1)
	if likely != "" {
		go func() { early <- r.CheckRecalled(ctx, name.Tenant, name.Chain, likely) }()
	}
	hash, err := r.Target(ctx, name)
	if err != nil {
		return nil, err
	}
	if hash == likely {
		err = <-early
	} else {
		err = r.CheckRecalled(ctx, name.Tenant, name.Chain, hash)
	}
	if err != nil {
		return nil, err
	}
	return r.Load(ctx, name.Tenant, name.Chain, hash)
}

// Pinned is the release of that hash, unless it was recalled. Errors: those of CheckRecalled and Load.
func (r *Registry) Pinned(ctx context.Context, tenant, chain, hash string) (*Loaded, error) {
	loaded, err := r.Load(ctx, tenant, chain, hash)
	if err != nil {
		return nil, err
	}
	return loaded, r.CheckRecalled(ctx, tenant, chain, hash)
}
