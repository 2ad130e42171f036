package registry_test

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

const tenant = "default"

var (
	ann = schemas.Actor{Key: "0a", Name: "ann"}
	bob = schemas.Actor{Key: "0b", Name: "bob"}
)

// counting counts what is asked of a store, and can hold its answers back.
type counting struct {
	blob.Driver

	gets, lists atomic.Int64
	gate        func(key string)
	before      func(key string) // called before a write
}

func (c *counting) Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	if c.before != nil {
		c.before(key)
	}
	return c.Driver.Put(ctx, key, r, size, ifAbsent)
}

func (c *counting) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	c.gets.Add(1)
	data, err := c.Driver.Get(ctx, key, offset, length)
	if c.gate != nil {
		c.gate(key)
	}
	return data, err
}

func (c *counting) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	c.lists.Add(1)
	return c.Driver.List(ctx, prefix, after, limit)
}

// fresh is a registry over an empty store, and its clock stands.
func fresh() (*registry.Registry, *blob.Store, *counting) {
	driver := &counting{Driver: &memblob.Driver{}}
	store := blob.New(driver)
	return registry.New(store, func() time.Time { return time.UnixMilli(1000) }), store, driver
}

func about() schemas.Release { return schemas.Release{By: ann, Source: "folder x"} }

func bundle(chain, text string) schemas.Bundle {
	return schemas.Bundle{
		Chain: chain, Prompts: map[string]string{"p": text},
		Chains: map[string]schemas.ChainDef{chain: {Steps: []schemas.StepDef{{ID: "say", Generate: &schemas.GenerateDef{Prompt: "p"}}}}},
	}
}

// add makes a release and returns its hash.
func add(t *testing.T, r *registry.Registry, chain, text string) string {
	t.Helper()
	release, _, err := r.Add(t.Context(), tenant, bundle(chain, text), schemas.Release{By: ann, Source: "folder x", Message: text})
	if err != nil {
		t.Fatal(err)
	}
	return release.Hash
}

func label(name string) registry.LabelName {
	return registry.LabelName{Tenant: tenant, Chain: "qa", Label: name}
}

func code(t *testing.T, err error, want schemas.Code, word string) {
	t.Helper()
	if err == nil || schemas.CodeOf(err) != want || !strings.Contains(schemas.SafeMessage(err), word) {
		t.Errorf("error %v, want %s with %q", err, want, word)
	}
}

func TestReleases(t *testing.T) {
	t.Parallel()
	r, store, _ := fresh()
	first, existed, err := r.Add(t.Context(), tenant, bundle("qa", "one"), schemas.Release{By: ann, Source: "folder x", Message: "m"})
	if err != nil || existed {
		t.Fatalf("%v, existed %v", err, existed)
	}
	want := schemas.Release{
		Hash: first.Bundle.SHA256, Chain: "qa", CreatedMS: 1000, By: ann, Source: "folder x", Message: "m",
		Bundle: schemas.Ref{Key: "tenants/default/blobs/" + first.Hash, SHA256: first.Hash, Bytes: first.Bundle.Bytes},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	again, existed, err := r.Add(t.Context(), tenant, bundle("qa", "one"), schemas.Release{By: bob, Source: "folder y"})
	if diff := cmp.Diff(first, again); diff != "" || !existed || err != nil {
		t.Errorf("the same again: %v, existed %v\n%s", err, existed, diff)
	}
	other := add(t, r, "qa", "two")
	loaded, err := r.Load(t.Context(), tenant, "qa", other)
	if err != nil || loaded.Content.Prompts["p"] != "two" || loaded.Plan.Chain != "qa" {
		t.Errorf("%+v, %v", loaded, err)
	}
	found, err := r.Find(t.Context(), tenant, strings.ToUpper(other[:8]))
	if err != nil || found.Hash != other || found.Source != "folder x" {
		t.Errorf("%+v, %v", found, err)
	}

	code(t, second(r.Find(t.Context(), tenant, "0000000")), schemas.NotFound, "no release 0000000")
	code(t, second(r.Find(t.Context(), tenant, "00")), schemas.Invalid, "first 6 digits")
	code(t, second(r.Find(t.Context(), tenant, "../../x")), schemas.Invalid, "hash")
	code(t, second(r.Load(t.Context(), "other", "qa", other)), schemas.NotFound, "chain qa has no release")
	code(t, second(r.Load(t.Context(), tenant, "qa", strings.Repeat("0", 64))), schemas.NotFound, "no release")
	code(t, second(r.Load(t.Context(), tenant, "a/b", other)), schemas.Invalid, "chain")
	code(t, second(r.Load(t.Context(), tenant, "qa", "../"+other[3:])), schemas.Invalid, "release")
	_, _, err = r.Add(t.Context(), tenant, bundle("../qa", "x"), schemas.Release{})
	code(t, err, schemas.Invalid, "chain")
	_, _, err = r.Add(t.Context(), tenant, bundle("qa", strings.Repeat("x", registry.MaxBundle)), schemas.Release{})
	code(t, err, schemas.Invalid, "at most")
	_, _, err = r.Add(t.Context(), tenant, schemas.Bundle{Chain: "qa"}, schemas.Release{})
	code(t, err, schemas.Invalid, "no chain")

	// Its content is gone: what remembers it does not notice, others say so, and the same release again brings it back.
	if err := store.Delete(t.Context(), first.Bundle.Key); err != nil {
		t.Fatal(err)
	}
	cold := registry.New(store, time.Now)
	code(t, second(cold.Load(t.Context(), tenant, "qa", first.Hash)), schemas.NotFound, "is missing from the artifact store")
	add(t, r, "qa", "one")
	if _, err := cold.Load(t.Context(), tenant, "qa", first.Hash); err != nil {
		t.Error(err)
	}

	// The record of one stands in the place of another's.
	record, err := store.Get(t.Context(), schemas.ReleaseKey(tenant, "qa", other))
	if err == nil {
		err = store.Put(t.Context(), schemas.ReleaseKey(tenant, "qa", first.Hash), record)
	}
	if err != nil {
		t.Fatal(err)
	}
	code(t, second(registry.New(store, time.Now).Load(t.Context(), tenant, "qa", first.Hash)), schemas.Internal, "damaged")
}

func second[T any](_ T, err error) error { return err }

// kinds are the entries of a history, as kind and release.
// TestARepeatedMoveIsOneMove has answers get lost on the way: who asks again, with what was expected, finds the move done.
// TestAResolvedLabelIsNeverOld moves a label on one gateway and asks another at once, again and again.
// between reports whether one of the moves, counted from 1, led to the release.
// TestWhatALabelCosts counts what a run that starts by label asks of the store.
func TestListing(t *testing.T) {
	t.Parallel()
	r, store, _ := fresh()
	for _, chain := range []string{"qa", "qa-long", "a"} {
		for _, name := range []string{"staging", "production", "canary"} {
			hash := add(t, r, chain, name)
			if _, err := r.Move(t.Context(), registry.Move{Name: registry.LabelName{Tenant: tenant, Chain: chain, Label: name}, Release: hash, By: ann}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := store.Put(t.Context(), "tenants/other/labels/x/y/1.json", nil); err != nil {
		t.Fatal(err)
	}
	labels, err := r.Labels(t.Context(), tenant, "qa")
	if diff := cmp.Diff([]string{"canary", "production", "staging"}, labels); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	chains, err := r.LabeledChains(t.Context(), tenant)
	if diff := cmp.Diff([]string{"a", "qa", "qa-long"}, chains, cmpopts.SortSlices(strings.Compare)); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	n := map[string]int{}
	for release, err := range r.All(t.Context(), tenant, "") {
		if err != nil || schemas.CheckRelease(release.Hash) != nil {
			t.Fatalf("%+v, %v", release, err)
		}
		n[release.Chain]++
	}
	if n["qa"] != 3 || n["qa-long"] != 3 || n["a"] != 3 {
		t.Error(n)
	}
}

// broken is a store that is down.
// TestAStoreThatIsDownIsNoAnswer must never read as a label that is where it was, or a release that was not recalled.
// switching is a store that can go down.
// TestARecallStopsAMoveOnItsWay holds a move back between its look for a recall and its entry, and recalls meanwhile.
// TestARecallIsAWall recalls a release while others set labels to it, new ones too: once the recall has returned, no label leads to it, not
// for a moment.
