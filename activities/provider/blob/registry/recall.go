package registry

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Recall marks a release, so that no run starts on it once this has returned: neither by its hash nor by a label. A repeated recall says what
// is to become of the runs now. Errors: those of Get.
//
// A run by label looks at the label's history only. So every label of the chain gets an entry that says so, after the mark. Whoever moves a
// label reads its history first, then looks for a mark, and then writes the next entry: where that is written before the entry of the
// recall, the entry finds where the label points; where it comes after, there is another entry of that number.
func (r *Registry) Recall(ctx context.Context, tenant string, recall schemas.Recall) error {
	if _, err := r.Get(ctx, tenant, recall.Chain, recall.Release); err != nil {
		return err
	}
	data, err := json.Marshal(recall)
	if err != nil {
		return err
	}
	if err := r.store.Put(ctx, schemas.RecallKey(tenant, recall.Chain, recall.Release), data); err != nil {
		return err
	}
	names, err := r.Labels(ctx, tenant, recall.Chain)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := r.tell(ctx, LabelName{tenant, recall.Chain, name}, recall); err != nil {
			return err
		}
	}
	return nil
}

// tell enters the recall into the history of a label, however often somebody else is faster.
func (r *Registry) tell(ctx context.Context, name LabelName, recall schemas.Recall) error {
	for {
		tip, err := r.Label(ctx, name)
		if err != nil {
			return err
		}
		if tip.Kind == schemas.LabelRecall && tip.Recall == recall.Release {
			return nil
		}
		next := stays(tip, schemas.LabelRecall)
		next.By, next.Why, next.Recall, next.Proposal = recall.By, recall.Why, recall.Release, tip.Proposal
		next.Recalled = tip.Recalled || tip.Release == recall.Release
		if _, err = r.enter(ctx, name, tip, next); schemas.CodeOf(err) != schemas.Conflict || err == nil {
			return err
		}
	}
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

// Resolve is the release that a run by label starts on now: what the label points to, unless that was recalled. Where the label was looked
// at before, it costs one question about one key. Errors: those of Target, refused for a recalled release, those of Load.
func (r *Registry) Resolve(ctx context.Context, name LabelName) (*Loaded, error) {
	tip, err := r.Label(ctx, name)
	if err != nil {
		return nil, err
	}
	hash, err := target(name, tip)
	if err != nil {
		return nil, err
	}
	if tip.Recalled {
		if err := r.CheckRecalled(ctx, name.Tenant, name.Chain, hash); err != nil {
			return nil, err
		}
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
