// Package vectortest is the suite that every driver of a search index passes.
package vectortest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Run tests the driver that open returns. Each test asks for a driver of its own; they may share a server, since every test uses
// classes of its own.
func Run(t *testing.T, open func(*testing.T) vector.Driver) {
	t.Helper()
	cases := []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"Ensure/repeated and at once", ensureAtOnce},
		{"Ensure/alias", aliasStays},
		{"Ensure/name taken", nameTaken},
		{"Write/read back", readBack},
		{"Write/every field", everyField},
		{"Write/replace", replace},
		{"Write/many", many},
		{"Write/dimensions", dimensions},
		{"Search/keyword", keyword},
		{"Search/keyword statistics", keywordStatistics},
		{"Search/vector", nearest},
		{"Search/hybrid", hybrid},
		{"Search/filters", filtered},
		{"Search/ties", ties},
		{"Search/nothing there", nothingThere},
		{"Search/through alias", throughAlias},
		{"Passage/of a document", passage},
		{"Tenants/apart", tenantsApart},
		{"Tenants/unknown", unknownTarget},
		{"Delete/ids", deleteIDs},
		{"Delete/all", deleteAll},
		{"Context/ended", contextEnded},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, prepare(t, open(t)))
		})
	}
}

// bench is a class of its own with the tenant alice, behind an alias.
type bench struct {
	index *vector.Index
	spec  vector.Spec
	here  vector.Target // the class, alice's part
}

func prepare(t *testing.T, driver vector.Driver) *bench {
	t.Helper()
	var random [6]byte
	if _, err := rand.Read(random[:]); err != nil {
		t.Fatal(err)
	}
	name := "Suite_" + hex.EncodeToString(random[:])
	b := &bench{index: vector.New(driver), spec: vector.Spec{Alias: name, Class: name + "_v1", Tenant: "alice"}}
	b.here = vector.Target{Class: b.spec.Class, Tenant: b.spec.Tenant}
	b.ensure(t, b.spec)
	return b
}

func (b *bench) ensure(t *testing.T, spec vector.Spec) {
	t.Helper()
	if err := b.index.Ensure(t.Context(), spec); err != nil {
		t.Fatalf("Ensure(%+v): %v", spec, err)
	}
}

// put writes objects for a tenant and waits until they are indexed.
func (b *bench) put(t *testing.T, target vector.Target, objects ...vector.Object) {
	t.Helper()
	if err := b.index.Upsert(t.Context(), target, objects); err != nil {
		t.Fatalf("Upsert of %d objects: %v", len(objects), err)
	}
	b.settle(t, target)
}

func (b *bench) settle(t *testing.T, target vector.Target) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for b.status(t, target).Indexing > 0 {
		select {
		case <-poll.C:
		case <-t.Context().Done():
			t.Fatal("the vectors were not indexed in time")
		}
	}
}

func (b *bench) status(t *testing.T, target vector.Target) vector.Status {
	t.Helper()
	status, err := b.index.Status(t.Context(), target)
	if err != nil {
		t.Fatalf("Status(%+v): %v", target, err)
	}
	return status
}

func (b *bench) fetch(t *testing.T, target vector.Target, ids ...string) []vector.Stored {
	t.Helper()
	stored, err := b.index.Fetch(t.Context(), target, ids)
	if err != nil {
		t.Fatalf("Fetch(%+v): %v", target, err)
	}
	return stored
}

func (b *bench) search(t *testing.T, target vector.Target, query vector.Query) []vector.Found {
	t.Helper()
	if query.Limit == 0 {
		query.Limit = 10
	}
	found, err := b.index.Search(t.Context(), target, query)
	if err != nil {
		t.Fatalf("Search(%+v, %+v): %v", target, query, err)
	}
	scores := func(a, b vector.Found) int { return -slices.Compare([]float64{a.Score}, []float64{b.Score}) }
	if !slices.IsSortedFunc(found, scores) {
		t.Errorf("Search(%+v): scores do not fall: %+v", query, found)
	}
	return found
}

// object makes one whose document is also its name in the results of a test.
func object(document, terms string, direction ...float32) vector.Object {
	if direction == nil {
		direction = []float32{1, 0, 0}
	}
	hash := schemas.Hash([]byte(terms))
	return vector.Object{
		ID:       id(document),
		Document: document, Source: "docs", Title: "Title of " + document, Section: "One > Two",
		Text: "Text: " + terms, Terms: terms, ChunkHash: hash, Ordinal: 0, Start: 0, End: len(terms) + 6,
		Vector: direction,
	}
}

func id(document string) string { return schemas.ChunkID("suite", "docs", document, "recipe", "", 0) }

func documents(found []vector.Found) []string {
	names := []string{}
	for _, f := range found {
		names = append(names, f.Document)
	}
	return names
}

func wantDocuments(t *testing.T, what string, found []vector.Found, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), documents(found)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantCode(t *testing.T, what string, err error, want schemas.Code) {
	t.Helper()
	if err == nil || schemas.CodeOf(err) != want {
		t.Errorf("%s: got error %v (code %q), want code %q", what, err, codeOf(err), want)
	}
}

func codeOf(err error) string {
	if err == nil {
		return "none"
	}
	return string(schemas.CodeOf(err))
}

func numbered(n int) []vector.Object {
	objects := make([]vector.Object, n)
	for i := range objects {
		objects[i] = object(fmt.Sprintf("doc-%04d", i), fmt.Sprintf("word common w%d", i), float32(i%7), float32(i%11), float32(i)+1)
	}
	return objects
}
