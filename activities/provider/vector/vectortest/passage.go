package vectortest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// passage reads runs of chunks out of documents with names alike, also names that a wildcard or a query language could read.
func passage(t *testing.T, b *bench) {
	names := []string{"guide.md", "guide.md.old", "Guide.md", "*", `x" OR "1"="1`}
	var objects []vector.Object
	for _, source := range []string{"docs", "code"} {
		for _, name := range names {
			for i := range 12 {
				o := object(name, fmt.Sprintf("%s %s %d", source, name, i))
				o.ID = schemas.ChunkID("suite", source, name, "recipe", "", i)
				o.Source, o.Ordinal, o.Start, o.End = source, i, 10*i, 10*i+15
				o.Section, o.Metadata = "One", map[string][]string{"k": {"v"}}
				objects = append(objects, o)
			}
		}
	}
	b.put(t, b.here, objects...)
	at := map[string]vector.Target{"class": b.here, "alias": {Class: b.spec.Alias, Tenant: b.spec.Tenant}}
	for _, name := range names {
		for through, target := range at {
			got, err := b.index.Passage(t.Context(), target, vector.Passage{Source: "code", Document: name, First: 3, Last: 5})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(stripped(objects, "code", name, 3, 5), got); diff != "" {
				t.Errorf("%s through the %s (-want +got):\n%s", name, through, diff)
			}
		}
	}
	for what, p := range map[string]vector.Passage{
		"beyond the end":   {Source: "docs", Document: "guide.md", First: 12, Last: 20},
		"no such document": {Source: "docs", Document: "none", Last: 5},
		"no such source":   {Source: "none", Document: "guide.md", Last: 5},
	} {
		if got, err := b.index.Passage(t.Context(), b.here, p); err != nil || len(got) > 0 {
			t.Errorf("%s: %d chunks, %v", what, len(got), err)
		}
	}
	_, err := b.index.Passage(t.Context(), vector.Target{Class: b.spec.Class, Tenant: "nobody"}, vector.Passage{Source: "docs", Document: "guide.md"})
	wantCode(t, "Passage of an unknown tenant", err, schemas.NotFound)
}

// stripped is what a passage returns of objects.
func stripped(objects []vector.Object, source, document string, first, last int) []vector.Object {
	var out []vector.Object
	for _, o := range objects {
		if o.Source == source && o.Document == document && o.Ordinal >= first && o.Ordinal <= last {
			o.Vector, o.Terms = nil, ""
			out = append(out, o)
		}
	}
	return out
}
