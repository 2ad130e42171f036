package vectortest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

func ensureAtOnce(t *testing.T, b *bench) {
	fresh := b.spec
	fresh.Class, fresh.Alias = b.spec.Alias+"_race_v1", b.spec.Alias+"_race"
	tenants := []string{"alice", "bob"}
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			spec := fresh
			spec.Tenant = tenants[i%2]
			errs[i] = b.index.Ensure(t.Context(), spec)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("Ensure by several at once: %v", err)
	}
	for _, tenant := range tenants {
		b.put(t, vector.Target{Class: fresh.Class, Tenant: tenant}, object("a", "word"))
	}
	b.ensure(t, fresh)
	if n := b.status(t, vector.Target{Class: fresh.Alias, Tenant: "alice"}).Objects; n != 1 {
		t.Errorf("after another Ensure there are %d objects, want the 1 that was there", n)
	}
}

func aliasStays(t *testing.T, b *bench) {
	b.put(t, b.here, object("first", "word"))
	next := b.spec
	next.Class = b.spec.Alias + "_v2"
	b.ensure(t, next)
	b.put(t, vector.Target{Class: next.Class, Tenant: "alice"}, object("second", "word"))
	found := b.search(t, vector.Target{Class: b.spec.Alias, Tenant: "alice"}, vector.Query{Mode: schemas.Keyword, Terms: "word"})
	wantDocuments(t, "the alias after a second class was made", found, "first")
}

func nameTaken(t *testing.T, b *bench) {
	taken := b.spec
	taken.Alias, taken.Class = b.spec.Class, b.spec.Alias+"_v2"
	wantCode(t, "an alias named like a class", b.index.Ensure(t.Context(), taken), schemas.Conflict)
	taken.Alias, taken.Class = "", b.spec.Alias
	wantCode(t, "a class named like an alias", b.index.Ensure(t.Context(), taken), schemas.Conflict)
}

func readBack(t *testing.T, b *bench) {
	one, two := object("one", "first text"), object("two", "second text")
	b.put(t, b.here, one, two)
	got := b.fetch(t, b.here, one.ID, two.ID, id("absent"), one.ID)
	hashes := map[string]string{}
	for _, s := range got {
		hashes[s.ID] = s.ChunkHash
	}
	want := map[string]string{one.ID: one.ChunkHash, two.ID: two.ChunkHash}
	if diff := cmp.Diff(want, hashes); diff != "" || len(got) != 2 {
		t.Errorf("Fetch returned %d objects (-want +got):\n%s", len(got), diff)
	}
	if got := b.fetch(t, b.here); len(got) != 0 {
		t.Errorf("Fetch of no ids returned %v", got)
	}
	verify(t, b, one, two)
}

func verify(t *testing.T, b *bench, one, two vector.Object) {
	t.Helper()
	want := []vector.Stored{{ID: one.ID, ChunkHash: one.ChunkHash}, {ID: two.ID, ChunkHash: two.ChunkHash}}
	if err := b.index.Verify(t.Context(), b.here, want); err != nil {
		t.Errorf("Verify of what was written: %v", err)
	}
	want[1].ChunkHash = "other"
	err := b.index.Verify(t.Context(), b.here, append(want, vector.Stored{ID: id("absent")}))
	var diff *vector.UnverifiedError
	if !errors.As(err, &diff) {
		t.Fatalf("Verify returned %v, want an *UnverifiedError", err)
	}
	expected := vector.UnverifiedError{Missing: []string{id("absent")}, Different: []string{two.ID}}
	if d := cmp.Diff(expected, *diff); d != "" {
		t.Errorf("Verify (-want +got):\n%s", d)
	}
	wantCode(t, "Verify", err, schemas.Unavailable)
}

func everyField(t *testing.T, b *bench) {
	want := vector.Object{
		ID: id("every"), Document: ` guides/"quoted" \ {a: 1} ?*.md`, Source: "my-source", Title: "Ünïcödé 標題 😀",
		Section: "A > B > C", Text: strings.Repeat("line one\n\ttabbed \u0001 end ", 20_000), Terms: "rare",
		ChunkHash: schemas.Hash([]byte("every")), Ordinal: 7, Start: 1 << 31, End: 1<<31 + 500,
		Metadata: map[string][]string{
			"": {"empty key"}, "empty": {""}, "a=b": {"c", "d=e"}, " space ": {" x "}, "語": {"漢字", "\x00\x01"}, "none": {},
		},
		Vector: []float32{0.5, -0.25, 1e-3},
	}
	plain := object("plain", "rare rare")
	b.put(t, b.here, want, plain)
	found := b.search(t, b.here, vector.Query{Mode: schemas.Vector, Vector: want.Vector, Limit: 1})
	if len(found) != 1 {
		t.Fatalf("found %d objects, want 1", len(found))
	}
	want.Terms, want.Vector = "", nil
	if diff := cmp.Diff(want, found[0].Object); diff != "" {
		t.Errorf("object given back (-want +got):\n%.2000s", diff)
	}
	found = b.search(t, b.here, vector.Query{Mode: schemas.Vector, Vector: plain.Vector, Limit: 1})
	if len(found) != 1 || len(found[0].Metadata) != 0 {
		t.Errorf("an object without metadata came back as %+v", found)
	}
}

func replace(t *testing.T, b *bench) {
	first := object("one", "apple banana", 1, 0, 0)
	first.Metadata = map[string][]string{"k": {"old"}}
	b.put(t, b.here, first)
	second := object("one", "cherry", 0, 1, 0)
	b.put(t, b.here, object("one", "never seen"), second)
	if got := b.status(t, b.here).Objects; got != 1 {
		t.Errorf("after replacing there are %d objects, want 1", got)
	}
	wantDocuments(t, "the old terms", b.search(t, b.here, vector.Query{Mode: schemas.Keyword, Terms: "apple never"}))
	wantDocuments(t, "the new terms", b.search(t, b.here, vector.Query{Mode: schemas.Keyword, Terms: "cherry"}), "one")
	old := &schemas.Filter{Metadata: map[string][]string{"k": {"old"}}}
	wantDocuments(t, "the old metadata", b.search(t, b.here, vector.Query{Mode: schemas.Keyword, Terms: "cherry", Filter: old}))
	found := b.search(t, b.here, vector.Query{Mode: schemas.Vector, Vector: second.Vector})
	if len(found) != 1 || found[0].Score < 0.999 || found[0].ChunkHash != second.ChunkHash {
		t.Errorf("the new vector: found %+v", found)
	}
}

func many(t *testing.T, b *bench) {
	objects := numbered(600)
	b.put(t, b.here, objects...)
	want := make([]vector.Stored, len(objects))
	for i, o := range objects {
		want[i] = vector.Stored{ID: o.ID, ChunkHash: o.ChunkHash}
	}
	if err := b.index.Verify(t.Context(), b.here, want); err != nil {
		t.Error(err)
	}
	if got := b.status(t, b.here); got.Objects != len(objects) || got.Indexing != 0 {
		t.Errorf("Status is %+v, want %d objects and none waiting", got, len(objects))
	}
	if n := len(b.search(t, b.here, vector.Query{Mode: schemas.Keyword, Terms: "common", Limit: 1000})); n != len(objects) {
		t.Errorf("keyword search found %d of %d", n, len(objects))
	}
	near := vector.Query{Mode: schemas.Vector, Vector: []float32{1, 1, 1}, Limit: 1000}
	if n := len(b.search(t, b.here, near)); n != len(objects) {
		t.Errorf("vector search found %d of %d", n, len(objects))
	}
}

func dimensions(t *testing.T, b *bench) {
	b.put(t, b.here, object("one", "word", 1, 0, 0))
	_, err := b.index.Search(t.Context(), b.here, vector.Query{Mode: schemas.Vector, Vector: []float32{1, 0}, Limit: 1})
	wantCode(t, "a query with another number of dimensions", err, schemas.Invalid)

	wrong := object("two", "word", 1, 0)
	err = b.index.Upsert(t.Context(), b.here, []vector.Object{wrong})
	wantCode(t, "an object with another number of dimensions", err, schemas.Invalid)
	var rejected *vector.RejectedError
	if !errors.As(err, &rejected) || len(rejected.Failures) != 1 || rejected.Failures[0].ID != wrong.ID {
		t.Errorf("the error does not name the object: %v", err)
	}

	bob := vector.Target{Class: b.here.Class, Tenant: "bob"}
	b.ensure(t, vector.Spec{Class: bob.Class, Tenant: bob.Tenant})
	b.put(t, bob, wrong)
	found := b.search(t, bob, vector.Query{Mode: schemas.Vector, Vector: []float32{1, 0}})
	wantDocuments(t, "another tenant's vectors of another size", found, "two")
}

func contextEnded(t *testing.T, b *bench) {
	b.put(t, b.here, object("one", "word"))
	query := vector.Query{Mode: schemas.Keyword, Terms: "word", Limit: 1}

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.index.Search(cancelled, b.here, query); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled search returned %v, want context.Canceled", err)
	}
	if err := b.index.Ensure(cancelled, b.spec); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Ensure returned %v, want context.Canceled", err)
	}

	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	_, err := b.index.Search(late, b.here, query)
	wantCode(t, "a search past its deadline", err, schemas.Deadline)
	_, err = b.index.Status(late, b.here)
	wantCode(t, "a status past its deadline", err, schemas.Deadline)
}
