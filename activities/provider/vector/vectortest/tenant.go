package vectortest

import (
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

func tenantsApart(t *testing.T, b *bench) {
	bob := vector.Target{Class: b.here.Class, Tenant: "bob"}
	b.ensure(t, vector.Spec{Class: bob.Class, Tenant: bob.Tenant})
	secret, shared := object("secret", "word secret"), object("shared", "word")
	b.put(t, b.here, secret, shared)
	theirs := shared
	theirs.ChunkHash = "bob's"
	b.put(t, bob, theirs)

	for _, class := range []string{b.spec.Class, b.spec.Alias} {
		target := vector.Target{Class: class, Tenant: "bob"}
		for _, query := range []vector.Query{
			{Mode: schemas.Keyword, Terms: "word secret"},
			{Mode: schemas.Vector, Vector: secret.Vector},
			{Mode: schemas.Hybrid, Terms: "secret word", Vector: secret.Vector, Alpha: 0.5},
			{Mode: schemas.Keyword, Terms: "word", Filter: &schemas.Filter{Document: "*"}},
		} {
			found := b.search(t, target, query)
			wantDocuments(t, "bob in "+class+", "+string(query.Mode), found, "shared")
			if len(found) == 1 && found[0].ChunkHash != "bob's" {
				t.Errorf("bob was given alice's object")
			}
		}
	}
	if got := b.fetch(t, bob, secret.ID, shared.ID); len(got) != 1 || got[0].ChunkHash != "bob's" {
		t.Errorf("bob fetched %+v", got)
	}
	if n, err := b.index.Delete(t.Context(), bob, vector.Selection{IDs: []string{secret.ID}}); n != 0 || err != nil {
		t.Errorf("bob deleted %d of alice's objects, %v", n, err)
	}
	if n := b.status(t, b.here).Objects; n != 2 {
		t.Errorf("alice has %d objects, want 2", n)
	}
}

func unknownTarget(t *testing.T, b *bench) {
	b.put(t, b.here, object("one", "word"))
	for _, target := range []vector.Target{
		{Class: b.spec.Class, Tenant: "mallory"},
		{Class: b.spec.Alias, Tenant: "mallory"},
		{Class: b.spec.Alias + "_nowhere", Tenant: "alice"},
	} {
		where := target.Class + "/" + target.Tenant
		for _, query := range []vector.Query{
			{Mode: schemas.Keyword, Terms: "word", Limit: 1},
			{Mode: schemas.Vector, Vector: []float32{1, 0, 0}, Limit: 1},
			{Mode: schemas.Hybrid, Terms: "word", Vector: []float32{1, 0, 0}, Limit: 1},
		} {
			_, err := b.index.Search(t.Context(), target, query)
			wantCode(t, "Search "+where, err, schemas.NotFound)
		}
		_, err := b.index.Fetch(t.Context(), target, []string{id("one")})
		wantCode(t, "Fetch "+where, err, schemas.NotFound)
		_, err = b.index.Status(t.Context(), target)
		wantCode(t, "Status "+where, err, schemas.NotFound)
		_, err = b.index.Delete(t.Context(), target, vector.Selection{IDs: []string{id("one")}})
		wantCode(t, "Delete "+where, err, schemas.NotFound)
		wantCode(t, "Upsert "+where, b.index.Upsert(t.Context(), target, []vector.Object{object("one", "word")}), schemas.NotFound)
		if n, err := b.index.Delete(t.Context(), target, vector.Selection{All: true}); n != 0 || err != nil {
			t.Errorf("Delete of all in %s: %d, %v; want 0 and no error", where, n, err)
		}
	}
}

func deleteIDs(t *testing.T, b *bench) {
	b.put(t, b.here, object("one", "word", 1, 0, 0), object("two", "word", 0, 1, 0), object("three", "word", 0, 0, 1))
	gone := vector.Selection{IDs: []string{id("one"), id("absent"), id("two"), id("one")}}
	for i, want := range []int{2, 0} {
		if n, err := b.index.Delete(t.Context(), b.here, gone); n != want || err != nil {
			t.Errorf("Delete, time %d: %d, %v; want %d", i+1, n, err, want)
		}
	}
	for _, query := range []vector.Query{
		{Mode: schemas.Keyword, Terms: "word"},
		{Mode: schemas.Vector, Vector: []float32{1, 0, 0}},
	} {
		wantDocuments(t, "after Delete, "+string(query.Mode), b.search(t, b.here, query), "three")
	}
	if n := b.status(t, b.here).Objects; n != 1 {
		t.Errorf("after Delete there are %d objects, want 1", n)
	}
	b.put(t, b.here, object("one", "word", 1, 0, 0))
	wantDocuments(t, "written again", b.search(t, b.here, vector.Query{Mode: schemas.Vector, Vector: []float32{1, 0, 0}, Limit: 1}), "one")
	if n, err := b.index.Delete(t.Context(), b.here, vector.Selection{}); n != 0 || err != nil {
		t.Errorf("Delete of nothing: %d, %v", n, err)
	}
}

func deleteAll(t *testing.T, b *bench) {
	bob := vector.Target{Class: b.here.Class, Tenant: "bob"}
	b.ensure(t, vector.Spec{Class: bob.Class, Tenant: bob.Tenant})
	b.put(t, b.here, object("one", "word"), object("two", "word"))
	b.put(t, bob, object("one", "word"))
	for i, want := range []int{2, 0} {
		if n, err := b.index.Delete(t.Context(), b.here, vector.Selection{All: true}); n != want || err != nil {
			t.Errorf("Delete of all, time %d: %d, %v; want %d", i+1, n, err, want)
		}
	}
	_, err := b.index.Status(t.Context(), b.here)
	wantCode(t, "Status of a tenant that is gone", err, schemas.NotFound)
	wantDocuments(t, "bob's", b.search(t, bob, vector.Query{Mode: schemas.Keyword, Terms: "word"}), "one")
	b.ensure(t, b.spec)
	wantDocuments(t, "made again", b.search(t, b.here, vector.Query{Mode: schemas.Keyword, Terms: "word"}))
	b.put(t, b.here, object("three", "word"))
	wantDocuments(t, "written again", b.search(t, b.here, vector.Query{Mode: schemas.Keyword, Terms: "word"}), "three")
}
