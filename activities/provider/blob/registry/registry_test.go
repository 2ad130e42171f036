package registry_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
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
}

func second[T any](_ T, err error) error { return err }

// kinds are the entries of a history, as kind and release.
func kinds(t *testing.T, r *registry.Registry, name registry.LabelName, names map[string]string) string {
	t.Helper()
	events, err := r.History(t.Context(), name, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for i, e := range events {
		if e.Number != len(events)-i || e.AtMS != 1000 {
			t.Errorf("entry %+v", e)
		}
		words = append(words, string(e.Kind)+":"+names[e.Release])
	}
	return strings.Join(words, " ")
}

func TestLabelsMoveAndGoBack(t *testing.T) {
	t.Parallel()
	r, _, _ := fresh()
	a, b, c, d := add(t, r, "qa", "a"), add(t, r, "qa", "b"), add(t, r, "qa", "c"), add(t, r, "qa", "d")
	names := map[string]string{a: "a", b: "b", c: "c", d: "d", "": "-"}
	name := label("production")
	set := func(release, expect string) error {
		_, err := r.Move(t.Context(), registry.Move{Name: name, Release: release, Expect: expect, By: ann, Why: "w"})
		return err
	}
	undo := func(expect string) error {
		_, err := r.Move(t.Context(), registry.Move{Name: name, Undo: true, Expect: expect, By: ann})
		return err
	}
	code(t, second(r.Target(t.Context(), name)), schemas.NotFound, "no label production")
	code(t, second(r.History(t.Context(), name, 0, 1)), schemas.NotFound, "no label")
	code(t, undo(""), schemas.Conflict, "no release before")
	for i, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return set(a, registry.Nothing) }, a},
		{func() error { return set(a, "") }, a}, // it is there already
		{func() error { return set(b, a) }, b},
		{func() error { return set(c, b) }, c},
		{func() error { return undo("") }, b}, // each undo goes one further back
		{func() error { return undo("") }, a},
		{func() error { return set(d, "") }, d},
		{func() error { return undo("") }, a},
		{func() error { return set(b, "") }, b},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Target(t.Context(), name); got != step.want || err != nil {
			t.Errorf("after step %d it points to %s (%v), want %s", i, names[got], err, names[step.want])
		}
	}
	if got, want := kinds(t, r, name, names), "set:b undo:a set:d undo:a undo:b set:c set:b set:a"; got != want {
		t.Errorf("history %s\nwant    %s", got, want)
	}
	code(t, set(c, a), schemas.Conflict, "points to "+schemas.ShortRelease(b))
	code(t, set(c, registry.Nothing), schemas.Conflict, "and not to no release")
	code(t, set(strings.Repeat("0", 64), ""), schemas.NotFound, "no release")
	code(t, set("nonsense", ""), schemas.Invalid, "hex digits")
	if err := undo(""); err != nil { // back to a
		t.Error(err)
	}
	code(t, undo(""), schemas.Conflict, "no release before")
	events, err := r.History(t.Context(), name, 3, 1)
	if err != nil || len(events) != 1 || events[0].Number != 2 || events[0].By != ann || events[0].Why != "w" || events[0].Before != a {
		t.Errorf("%+v, %v", events, err)
	}
	for _, bad := range []registry.LabelName{{tenant, "qa", "a/b"}, {tenant, "qa", "../x"}, {tenant, "Q", "x"}, {"../t", "qa", "x"}, {tenant, "qa", ""}, {tenant, "qa", "x\r\ny"}} {
		code(t, second(r.Label(t.Context(), bad)), schemas.Invalid, "")
		code(t, second(r.Resolve(t.Context(), bad)), schemas.Invalid, "")
	}
}

// TestARepeatedMoveIsOneMove has answers get lost on the way: who asks again, with what was expected, finds the move done.
func TestARepeatedMoveIsOneMove(t *testing.T) {
	t.Parallel()
	r, _, _ := fresh()
	a, b := add(t, r, "qa", "a"), add(t, r, "qa", "b")
	name := label("staging")
	for _, m := range []registry.Move{
		{Name: name, Release: a, Expect: registry.Nothing, By: ann},
		{Name: name, Release: b, Expect: a, By: ann},
		{Name: name, Undo: true, Expect: b, By: ann},
	} {
		first, err := r.Move(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := r.Move(t.Context(), m)
		if diff := cmp.Diff(first, again); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		m.By = bob
		if _, err := r.Move(t.Context(), m); schemas.CodeOf(err) != schemas.Conflict {
			t.Errorf("of somebody else it is another move: %v", err)
		}
	}
}

func TestOneOfManyMovesWins(t *testing.T) {
	t.Parallel()
	r, store, _ := fresh()
	base := add(t, r, "qa", "base")
	name := label("production")
	if _, err := r.Move(t.Context(), registry.Move{Name: name, Release: base, By: ann}); err != nil {
		t.Fatal(err)
	}
	const movers = 8
	releases := make([]string, movers)
	for i := range releases {
		releases[i] = add(t, r, "qa", fmt.Sprint(i))
	}
	var won, lost atomic.Int64
	var moving sync.WaitGroup
	for _, release := range releases {
		moving.Go(func() {
			other := registry.New(store, time.Now) // another gateway
			_, err := other.Move(t.Context(), registry.Move{Name: name, Release: release, Expect: base, By: schemas.Actor{Key: release}})
			switch {
			case err == nil:
				won.Add(1)
			case schemas.CodeOf(err) == schemas.Conflict:
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	moving.Wait()
	if won.Load() != 1 || lost.Load() != movers-1 {
		t.Errorf("%d won and %d lost", won.Load(), lost.Load())
	}
}

func TestProtectedLabelsNeedASecondPerson(t *testing.T) {
	t.Parallel()
	r, _, _ := fresh()
	a, b, c := add(t, r, "qa", "a"), add(t, r, "qa", "b"), add(t, r, "qa", "c")
	name := label("production")
	move := func(release string, by schemas.Actor) schemas.LabelEvent {
		t.Helper()
		event, err := r.Move(t.Context(), registry.Move{Name: name, Release: release, Undo: release == "", By: by, Why: "why"})
		if err != nil {
			t.Fatal(err)
		}
		return event
	}
	decide := func(number int, approve bool, by schemas.Actor) (schemas.LabelEvent, error) {
		return r.Decide(t.Context(), registry.Decision{Name: name, Proposal: number, Approve: approve, By: by})
	}
	move(a, ann)
	for range 2 { // once more changes nothing
		if e, err := r.Protect(t.Context(), name, true, ann, ""); err != nil || e.Number != 2 || !e.Protected || e.Release != a {
			t.Fatalf("%+v, %v", e, err)
		}
	}
	first := move(b, ann)
	want := schemas.LabelEvent{
		Number: 3, Kind: schemas.LabelPropose, AtMS: 1000, By: ann, Why: "why", Release: a, Before: a, Protected: true,
		Proposal: &schemas.LabelProposal{Number: 3, Release: b, By: ann, AtMS: 1000, Why: "why"},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	code(t, second(decide(3, true, ann)), schemas.Refused, "second person")
	code(t, second(decide(3, true, schemas.Actor{Key: "0c", Name: "ann"})), schemas.Refused, "second person") // a second key of hers
	code(t, second(decide(4, true, bob)), schemas.Conflict, "stale")
	next := move(c, bob) // takes the place of the first
	code(t, second(decide(3, true, schemas.Actor{Key: "0d"})), schemas.Conflict, "proposal 3 of label qa@production is stale")
	moved, err := decide(next.Number, true, ann)
	if err != nil || moved.Release != c || moved.Proposal != nil || moved.Decided.By != bob || moved.Before != a || moved.Kind != schemas.LabelApprove {
		t.Fatalf("%+v, %v", moved, err)
	}
	if again, err := decide(next.Number, true, ann); err != nil || again.Number != moved.Number {
		t.Errorf("approved once more: %+v, %v", again, err)
	}
	code(t, second(decide(next.Number, true, bob)), schemas.Conflict, "no proposal waits")

	// Back, as a proposal too; rejected, proposed again, approved.
	back := move("", ann)
	if e, err := decide(back.Number, false, ann); err != nil || e.Release != c || e.Proposal != nil || e.Decided.Number != back.Number {
		t.Errorf("%+v, %v", e, err)
	}
	back = move("", ann)
	if e, err := decide(back.Number, true, bob); err != nil || e.Release != a || e.Back != 0 {
		t.Errorf("%+v, %v", e, err)
	}
	move(b, ann)
	if e, err := r.Protect(t.Context(), name, false, ann, ""); err != nil || e.Proposal != nil || e.Protected || e.Release != a {
		t.Errorf("%+v, %v", e, err)
	}
	if e := move(b, ann); e.Release != b {
		t.Errorf("%+v", e)
	}
	if e, err := r.Protect(t.Context(), label("new"), true, ann, ""); err != nil || e.Release != "" {
		t.Errorf("%+v, %v", e, err)
	}
	code(t, second(r.Target(t.Context(), label("new"))), schemas.NotFound, "no release yet")
}

func TestRecalledReleases(t *testing.T) {
	t.Parallel()
	r, store, _ := fresh()
	a, b := add(t, r, "qa", "a"), add(t, r, "qa", "b")
	name := label("production")
	for _, release := range []string{a, b} {
		if _, err := r.Move(t.Context(), registry.Move{Name: name, Release: release, By: ann}); err != nil {
			t.Fatal(err)
		}
	}
	other := registry.New(store, time.Now)
	if loaded, err := other.Resolve(t.Context(), name); err != nil || loaded.Hash != b {
		t.Fatalf("%+v, %v", loaded, err)
	}
	mark := schemas.Recall{Chain: "qa", Release: b, Action: schemas.RecallStop, AtMS: 5, By: bob, Why: "it lies"}
	if err := r.Recall(t.Context(), tenant, mark); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Recalled(t.Context(), tenant, "qa", b); err != nil || !cmp.Equal(*got, mark) {
		t.Errorf("%+v, %v", got, err)
	}
	code(t, second(other.Resolve(t.Context(), name)), schemas.Refused, "was recalled: it lies")
	code(t, second(other.Pinned(t.Context(), tenant, "qa", b)), schemas.Refused, "recalled")
	if _, err := r.Move(t.Context(), registry.Move{Name: name, Undo: true, By: ann}); err != nil {
		t.Error(err)
	}
	if loaded, err := other.Resolve(t.Context(), name); err != nil || loaded.Hash != a {
		t.Errorf("%+v, %v", loaded, err)
	}
	code(t, second(r.Move(t.Context(), registry.Move{Name: name, Release: b, By: ann})), schemas.Refused, "recalled")
	code(t, r.Recall(t.Context(), tenant, schemas.Recall{Chain: "qa", Release: strings.Repeat("1", 64)}), schemas.NotFound, "no release")
}

// TestAResolvedLabelIsNeverOld moves a label on one gateway and asks another at once, again and again.
func TestAResolvedLabelIsNeverOld(t *testing.T) {
	t.Parallel()
	r, store, _ := fresh()
	name := label("production")
	releases := []string{add(t, r, "qa", "0"), add(t, r, "qa", "1"), add(t, r, "qa", "2")}
	mine, theirs := registry.New(store, time.Now), registry.New(store, time.Now)
	var latest atomic.Int64 // how many moves are done
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := latest.Load()
				loaded, err := theirs.Resolve(t.Context(), name)
				after := latest.Load()
				if before == 0 {
					continue // it may not be set yet
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !between(releases, loaded.Hash, before, after+1) {
					t.Errorf("old release after move %d", before)
					return
				}
			}
		})
	}
	for n := range int64(300) {
		if _, err := mine.Move(t.Context(), registry.Move{Name: name, Release: releases[n%3], By: ann}); err != nil {
			t.Error(err)
		}
		latest.Store(n + 1)
	}
	close(stop)
	asking.Wait()
}

// between reports whether one of the moves, counted from 1, led to the release.
func between(releases []string, hash string, from, to int64) bool {
	for n := from; n <= to; n++ {
		if releases[(n-1)%3] == hash {
			return true
		}
	}
	return false
}

// TestWhatALabelCosts counts what a run that starts by label asks of the store.
func TestWhatALabelCosts(t *testing.T) {
	t.Parallel()
	r, _, driver := fresh()
	name := label("production")
	if _, err := r.Move(t.Context(), registry.Move{Name: name, Release: add(t, r, "qa", "a"), By: ann}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	driver.gets.Store(0)
	driver.lists.Store(0)
	for range 10 {
		if _, err := r.Resolve(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if driver.gets.Load() != 20 || driver.lists.Load() != 0 { // is there a later entry, and is there a recall
		t.Errorf("%d gets and %d lists for 10 runs", driver.gets.Load(), driver.lists.Load())
	}

	// Of 64 at the same time, most share what they read.
	driver.gate = func(string) { time.Sleep(5 * time.Millisecond) }
	driver.gets.Store(0)
	var asking sync.WaitGroup
	for range 64 {
		asking.Go(func() {
			if _, err := r.Resolve(t.Context(), name); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if driver.gets.Load() > 16 {
		t.Errorf("%d gets for 64 runs at once", driver.gets.Load())
	}
}

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
type broken struct{ blob.Driver }

func (broken) Get(context.Context, string, int64, int64) ([]byte, error) {
	return nil, schemas.Errorf(schemas.Unavailable, "down")
}

func (broken) List(context.Context, string, string, int) ([]blob.Info, error) {
	return nil, schemas.Errorf(schemas.Unavailable, "down")
}

func (broken) Put(context.Context, string, io.Reader, int64, bool) (bool, error) {
	return false, schemas.Errorf(schemas.Unavailable, "down")
}

// TestAStoreThatIsDownIsNoAnswer must never read as a label that is where it was, or a release that was not recalled.
func TestAStoreThatIsDownIsNoAnswer(t *testing.T) {
	t.Parallel()
	memory := &memblob.Driver{}
	up := registry.New(blob.New(memory), time.Now)
	name := label("production")
	a, b := add(t, up, "qa", "a"), add(t, up, "qa", "b")
	for _, release := range []string{a, b} {
		if _, err := up.Move(t.Context(), registry.Move{Name: name, Release: release, By: ann}); err != nil {
			t.Fatal(err)
		}
	}
	failing := &switching{Driver: memory}
	r := registry.New(blob.New(failing), time.Now)
	if _, err := r.Resolve(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	failing.down.Store(true)
	code(t, second(r.Resolve(t.Context(), name)), schemas.Unavailable, "down")
	code(t, second(r.Pinned(t.Context(), tenant, "qa", b)), schemas.Unavailable, "down")
	code(t, second(r.Label(t.Context(), name)), schemas.Unavailable, "down")
	code(t, second(r.Move(t.Context(), registry.Move{Name: name, Undo: true, By: ann})), schemas.Unavailable, "down")
	code(t, second(r.Labels(t.Context(), tenant, "qa")), schemas.Unavailable, "down")
	code(t, second(r.Find(t.Context(), tenant, a)), schemas.Unavailable, "down")
	_, _, err := r.Add(t.Context(), tenant, bundle("qa", "c"), schemas.Release{})
	code(t, err, schemas.Unavailable, "down")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failing.down.Store(false)
	if _, err := r.Label(ctx, name); err != nil && schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("for who has left: %v", err)
	}
}

// switching is a store that can go down.
type switching struct {
	blob.Driver

	down atomic.Bool
}

func (s *switching) to() blob.Driver {
	if s.down.Load() {
		return broken{s.Driver}
	}
	return s.Driver
}

func (s *switching) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	return s.to().Get(ctx, key, offset, length)
}

func (s *switching) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	return s.to().List(ctx, prefix, after, limit)
}

func (s *switching) Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	return s.to().Put(ctx, key, r, size, ifAbsent)
}
