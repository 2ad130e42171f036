// Package registry keeps releases of chains in an artifact store, with the labels that point at them and the marks of those recalled.
//
// A release and an entry of a label's history never change once they are written, so they are read once. What can change is read from the
// store by everybody who asks for it: that there is no later entry of a label, which also tells of recalls, and no mark of a recall for who
// names a release. Those who ask at the same time share a read that began after all of them asked.
package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/schemas"
)

// MaxBundle is how many bytes the JSON of a bundle may have.
const MaxBundle = 4 << 20

// Bounds of what a registry remembers.
const (
	releasesKept = 256
	recordsKept  = 10_000
	labelsKept   = 10_000
)

// Registry is safe for concurrent use.
type Registry struct {
	Meter *meter.Meter // told of changes of labels; may be nil

	store *blob.Store
	now   func() time.Time

	mu       sync.Mutex
	releases map[string]*Loaded            // by key of the record
	records  map[string]schemas.Release    // likewise
	tips     map[string]schemas.LabelEvent // the last known entry of a label's history, by its prefix
	labels   sharedReads[schemas.LabelEvent]
	recalls  sharedReads[*schemas.Recall]
}

// New makes a registry over a store.
func New(store *blob.Store, now func() time.Time) *Registry {
	return &Registry{store: store, now: now, releases: map[string]*Loaded{}, records: map[string]schemas.Release{}, tips: map[string]schemas.LabelEvent{}}
}

// Loaded is a release with its bundle. It is not changed.
type Loaded struct {
	schemas.Release

	Content schemas.Bundle
	Plan    schemas.Plan
}

// Add keeps a bundle in canonical form as a release, and reports whether there was the same one before, which then stays as it is. What is
// missing of the bundle's content is written anew. Errors: invalid for a bundle that is too large or has no plan, those of the store.
func (r *Registry) Add(ctx context.Context, tenant string, bundle schemas.Bundle, about schemas.Release) (release schemas.Release, existed bool, err error) {
	data, err := json.Marshal(bundle)
	if err != nil {
		return release, false, err
	}
	if len(data) > MaxBundle {
		return release, false, schemas.Errorf(schemas.Invalid, "the chain %s and all it uses have %d bytes; at most %d are taken", bundle.Chain, len(data), MaxBundle)
	}
	if err := schemas.CheckChain(bundle.Chain); err != nil {
		return release, false, err
	}
	if _, err := schemas.PlanOf(bundle); err != nil {
		return release, false, err
	}
	ref, err := blob.PutContent(ctx, r.store, tenant, data)
	if err != nil {
		return release, false, err
	}
	release = schemas.Release{
		Hash: ref.SHA256, Chain: bundle.Chain, Bundle: ref, CreatedMS: r.now().UnixMilli(), By: about.By, Source: about.Source, Message: about.Message,
	}
	created, err := putJSON(ctx, r.store, schemas.ReleaseKey(tenant, release.Chain, release.Hash), release)
	if created || err != nil {
		return release, false, err
	}
	release, err = r.Get(ctx, tenant, release.Chain, release.Hash)
	return release, true, err
}

// Get reads the record of a release. Errors: invalid, not_found, those of the store.
func (r *Registry) Get(ctx context.Context, tenant, chain, hash string) (schemas.Release, error) {
	var release schemas.Release
	if err := schemas.CheckChain(chain); err != nil {
		return release, err
	}
	if err := schemas.CheckRelease(hash); err != nil {
		return release, err
	}
	data, err := r.store.Get(ctx, schemas.ReleaseKey(tenant, chain, hash))
	if absent(err) {
		return release, schemas.Wrap(schemas.NotFound, err, "chain %s has no release %s; \"tenuto releases list\" shows those there are", chain, schemas.ShortRelease(hash))
	}
	if err != nil {
		return release, err
	}
	if err := json.Unmarshal(data, &release); err != nil {
		return release, schemas.Wrap(schemas.Internal, err, "the record of release %s cannot be read", schemas.ShortRelease(hash))
	}
	return release, nil
}

// Load reads a release with its bundle, once for as long as the registry remembers it. Errors: those of Get, and not_found for one whose
// bundle is missing from the store, internal for one whose record or bundle is another's.
func (r *Registry) Load(ctx context.Context, tenant, chain, hash string) (*Loaded, error) {
	key := schemas.ReleaseKey(tenant, chain, hash)
	r.mu.Lock()
	kept := r.releases[key]
	r.mu.Unlock()
	if kept != nil {
		return kept, nil
	}
	release, err := r.Get(ctx, tenant, chain, hash)
	if err != nil {
		return nil, err
	}
	if release.Hash != hash || release.Chain != chain || release.Bundle.SHA256 != hash {
		return nil, schemas.Errorf(schemas.Internal, "the record of release %s is damaged: it is that of another; restore it from a backup", schemas.ShortRelease(hash))
	}
	loaded, err := r.content(ctx, release)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.releases) >= releasesKept {
		clear(r.releases)
	}
	r.releases[key] = loaded
	return loaded, nil
}

func (r *Registry) content(ctx context.Context, release schemas.Release) (*Loaded, error) {
	data, err := blob.GetContent(ctx, r.store, release.Bundle)
	short := schemas.ShortRelease(release.Hash)
	if absent(err) {
		return nil, schemas.Wrap(schemas.NotFound, err,
			"release %s of chain %s is recorded, but its bundle is missing from the artifact store; restore %s, or make the release again from %s",
			short, release.Chain, release.Bundle.Key, cmp.Or(release.Source, "the same folder"))
	}
	if err != nil {
		return nil, err
	}
	loaded := &Loaded{Release: release}
	if err := json.Unmarshal(data, &loaded.Content); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the bundle of release %s cannot be read", short)
	}
	loaded.Plan, err = schemas.PlanOf(loaded.Content)
	return loaded, err
}

// Find finds a release by its hash or by the beginning of it, among those of all chains. Errors: invalid for what is no beginning of a
// hash, or of several; not_found, those of the store.
func (r *Registry) Find(ctx context.Context, tenant, name string) (schemas.Release, error) {
	name = strings.ToLower(name)
	if len(name) < shortest || len(name) > 64 || strings.Trim(name, "0123456789abcdef") != "" {
		return schemas.Release{}, schemas.Errorf(schemas.Invalid,
			"release %.70q: name it by its hash, or by the first %d digits of it or more", name, shortest)
	}
	var found []schemas.Release
	for release, err := range r.All(ctx, tenant, "") {
		if err != nil {
			return schemas.Release{}, err
		}
		if strings.HasPrefix(release.Hash, name) {
			found = append(found, release)
		}
	}
	switch len(found) {
	case 0:
		return schemas.Release{}, schemas.Errorf(schemas.NotFound, "there is no release %s; \"tenuto releases list\" shows those there are", name)
	case 1:
		return r.Get(ctx, tenant, found[0].Chain, found[0].Hash)
	}
	return schemas.Release{}, schemas.Errorf(schemas.Invalid, "release %s may be %s of chain %s or %s of chain %s: give more digits", name,
		schemas.ShortRelease(found[0].Hash), found[0].Chain, schemas.ShortRelease(found[1].Hash), found[1].Chain)
}

// shortest is how much of a hash names a release at least.
const shortest = 6

// putJSON writes a record that there is not yet, and reports whether it did.
func putJSON(ctx context.Context, store *blob.Store, key string, v any) (created bool, err error) {
	data, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	return store.PutIfAbsent(ctx, key, data)
}

func absent(err error) bool { return err != nil && schemas.CodeOf(err) == schemas.NotFound }
