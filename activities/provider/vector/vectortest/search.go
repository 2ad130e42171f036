package vectortest

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

func keyword(t *testing.T, b *bench) {
	b.put(t, b.here,
		object("both", "whale ocean"),
		object("rare", "whale ship"),
		object("common-1", "ocean ship"), object("common-2", "ocean ship boat"), object("common-3", "ocean ship boat sail"),
		object("case", "Whale"), object("chinese", "海洋 洋流"))
	cases := map[string]struct {
		terms string
		want  []string
	}{
		"both terms, then the rarer one": {"whale ocean", []string{"both", "rare", "common-1", "common-2", "common-3"}},
		"terms as they are":              {"Whale", []string{"case"}},
		"not in english":                 {"洋流", []string{"chinese"}},
		"stop words count":               {"the", nil},
		"only the terms are searched":    {"Text:", nil},
		"nothing":                        {"", nil},
		"syntax":                         {`") {name} \"ocean AND -*`, nil},
	}
	for name, c := range cases {
		wantDocuments(t, name, b.search(t, b.here, vector.Query{Mode: schemas.Keyword, Terms: c.terms}), c.want...)
	}
	limited := b.search(t, b.here, vector.Query{Mode: schemas.Keyword, Terms: "whale ocean", Limit: 2})
	wantDocuments(t, "limit", limited, "both", "rare")
}

func keywordStatistics(t *testing.T, b *bench) {
	b.put(t, b.here,
		object("often", "cat cat cat dog dog dog"),
		object("once", "cat bird bird dog dog dog"),
		object("long", "cat "+longText()),
		object("other", "tree"))
	found := b.search(t, b.here, vector.Query{Mode: schemas.Keyword, Terms: "cat"})
	wantDocuments(t, "often before once before a long text", found, "often", "once", "long")
}

func longText() string {
	var text strings.Builder
	for range 200 {
		text.WriteString("filler ")
	}
	return text.String()
}

func nearest(t *testing.T, b *bench) {
	b.put(t, b.here,
		object("same", "a", 2, 0, 0), object("near", "b", 1, 1, 0), object("across", "c", 0, 3, 0), object("opposite", "d", -1, 0, 0))
	found := b.search(t, b.here, vector.Query{Mode: schemas.Vector, Vector: []float32{5, 0, 0}})
	wantDocuments(t, "by cosine", found, "same", "near", "across", "opposite")
	for i, want := range []float64{1, math.Sqrt(0.5), 0, -1} {
		if i < len(found) && math.Abs(found[i].Score-want) > 1e-3 {
			t.Errorf("score of %s is %v, want %v", found[i].Document, found[i].Score, want)
		}
	}
	zero, err := b.index.Search(t.Context(), b.here, vector.Query{Mode: schemas.Vector, Vector: []float32{0, 0, 0}, Limit: 10})
	if err != nil || slices.ContainsFunc(zero, func(f vector.Found) bool { return math.IsNaN(f.Score) }) {
		t.Errorf("a query without direction returned %+v, %v", zero, err)
	}
}

func hybrid(t *testing.T, b *bench) {
	b.put(t, b.here,
		object("terms", "whale whale", 0, 1, 0), object("direction", "ship", 1, 0, 0), object("both", "whale sail", 1, 0.2, 0),
		object("weak", "whale a b c d e f g", 0, 0, 1), object("neither", "tree", 0, 0, 1))
	ask := func(alpha float64) []vector.Found {
		return b.search(t, b.here, vector.Query{Mode: schemas.Hybrid, Terms: "whale", Vector: []float32{1, 0, 0}, Alpha: alpha})
	}
	if got := documents(ask(0.5)); len(got) == 0 || got[0] != "both" {
		t.Errorf("at a half: %v, want both first", got)
	}
	if got := documents(ask(0)); len(got) < 2 || got[0] != "terms" || got[1] != "both" {
		t.Errorf("keyword alone: %v, want terms, both", got)
	}
	if got := documents(ask(1)); len(got) < 2 || got[0] != "direction" || got[1] != "both" {
		t.Errorf("vector alone: %v, want direction, both", got)
	}
	for _, f := range ask(0.3) {
		if f.Score < 0 || f.Score > 1.0001 {
			t.Errorf("score of %s is %v, want 0 to 1", f.Document, f.Score)
		}
	}
	none := b.search(t, b.here, vector.Query{Mode: schemas.Hybrid, Vector: []float32{1, 0, 0}, Alpha: 0.25, Limit: 2})
	wantDocuments(t, "without terms", none, "direction", "both")
}

func filtered(t *testing.T, b *bench) {
	put := func(document, source string, metadata map[string][]string) {
		o := object(document, "word")
		o.Source, o.Metadata = source, metadata
		b.put(t, b.here, o)
	}
	put("guide/a.md", "docs", map[string][]string{"lang": {"en", "de"}, "team": {"core"}})
	put("guide/b.md", "docs", map[string][]string{"lang": {"fr"}, "a": {"b=c"}})
	put("api/c.md", "code", map[string][]string{"lang": {"en"}, "a=b": {"c"}})
	put("what?.md", "code", map[string][]string{"space": {" x "}, "percent": {"%20;"}})
	put("whatX.md", "code", map[string][]string{"space": {"x"}, "long": {longText() + "1"}})
	put(`x" OR "1"="1`, "odd", map[string][]string{"long": {longText() + "2"}})
	for name, c := range filterCases() {
		for _, query := range []vector.Query{
			{Mode: schemas.Keyword, Terms: "word", Filter: &c.filter},
			{Mode: schemas.Vector, Vector: []float32{1, 0, 0}, Filter: &c.filter},
			{Mode: schemas.Hybrid, Terms: "word", Vector: []float32{1, 0, 0}, Alpha: 0.5, Filter: &c.filter},
		} {
			got := documents(b.search(t, b.here, query))
			slices.Sort(got)
			if diff := cmp.Diff(append([]string{}, c.want...), got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, query.Mode, diff)
			}
		}
	}
}

type filterCase struct {
	filter schemas.Filter
	want   []string // sorted
}

func filterCases() map[string]filterCase {
	meta := func(pairs ...string) schemas.Filter {
		f := schemas.Filter{Metadata: map[string][]string{}}
		for i := 0; i < len(pairs); i += 2 {
			f.Metadata[pairs[i]] = append(f.Metadata[pairs[i]], pairs[i+1])
		}
		return f
	}
	all := []string{"api/c.md", "guide/a.md", "guide/b.md", "what?.md", "whatX.md", `x" OR "1"="1`}
	return map[string]filterCase{
		"none":                   {schemas.Filter{}, all},
		"source":                 {schemas.Filter{Source: "code"}, []string{"api/c.md", "what?.md", "whatX.md"}},
		"source in part":         {schemas.Filter{Source: "cod"}, nil},
		"document":               {schemas.Filter{Document: "guide/a.md"}, []string{"guide/a.md"}},
		"document in other case": {schemas.Filter{Document: "Guide/a.md"}, nil},
		"document in part":       {schemas.Filter{Document: "guide"}, nil},
		"folder":                 {schemas.Filter{Document: "guide/*"}, []string{"guide/a.md", "guide/b.md"}},
		"ending":                 {schemas.Filter{Document: "*c.md"}, []string{"api/c.md"}},
		"middle":                 {schemas.Filter{Document: "g*/*.md"}, []string{"guide/a.md", "guide/b.md"}},
		"star alone":             {schemas.Filter{Document: "*"}, all},
		"question mark":          {schemas.Filter{Document: "what?*"}, []string{"what?.md"}},
		"regular expression":     {schemas.Filter{Document: "guide/.*|*(x"}, nil},
		"quotes":                 {schemas.Filter{Document: `x" OR "1"="1`}, []string{`x" OR "1"="1`}},
		"injection":              {schemas.Filter{Source: `docs" }, { operator: Or`}, nil},
		"value":                  {meta("lang", "en"), []string{"api/c.md", "guide/a.md"}},
		"any value":              {meta("lang", "fr", "lang", "de"), []string{"guide/a.md", "guide/b.md"}},
		"every key":              {meta("lang", "en", "team", "core"), []string{"guide/a.md"}},
		"no such value":          {meta("lang", "EN"), nil},
		"no such key":            {meta("Lang", "en"), nil},
		"equals in the value":    {meta("a", "b=c"), []string{"guide/b.md"}},
		"equals in the key":      {meta("a=b", "c"), []string{"api/c.md"}},
		"white space":            {meta("space", " x "), []string{"what?.md"}},
		"no white space":         {meta("space", "x"), []string{"whatX.md"}},
		"escape":                 {meta("percent", "%20;"), []string{"what?.md"}},
		"long value":             {meta("long", longText()+"2"), []string{`x" OR "1"="1`}},
		"everything": {
			schemas.Filter{Source: "docs", Document: "guide/*", Metadata: map[string][]string{"lang": {"de"}}}, []string{"guide/a.md"},
		},
	}
}

func ties(t *testing.T, b *bench) {
	objects := make([]vector.Object, 20)
	for i := range objects {
		objects[i] = object(string(rune('a'+i)), "same words")
	}
	b.put(t, b.here, objects...)
	for _, query := range []vector.Query{
		{Mode: schemas.Keyword, Terms: "same", Limit: 50},
		{Mode: schemas.Vector, Vector: []float32{1, 0, 0}, Limit: 50},
		{Mode: schemas.Hybrid, Terms: "same", Vector: []float32{1, 0, 0}, Alpha: 0.5, Limit: 50},
	} {
		found := b.search(t, b.here, query)
		byID := slices.IsSortedFunc(found, func(a, b vector.Found) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
		if len(found) != len(objects) || !byID {
			t.Errorf("%s: %d objects of equal score, want %d in the order of their ids", query.Mode, len(found), len(objects))
		}
	}
}

func nothingThere(t *testing.T, b *bench) {
	for _, query := range []vector.Query{
		{Mode: schemas.Keyword, Terms: "word"},
		{Mode: schemas.Vector, Vector: []float32{1, 0, 0}},
		{Mode: schemas.Hybrid, Terms: "word", Vector: []float32{1, 0, 0}, Alpha: 0.5},
	} {
		wantDocuments(t, "an empty index, "+string(query.Mode), b.search(t, b.here, query))
	}
	if got := b.status(t, b.here); got != (vector.Status{}) {
		t.Errorf("Status of an empty index is %+v", got)
	}
}

func throughAlias(t *testing.T, b *bench) {
	b.put(t, b.here, object("one", "word"))
	alias := vector.Target{Class: b.spec.Alias, Tenant: b.spec.Tenant}
	for _, query := range []vector.Query{
		{Mode: schemas.Keyword, Terms: "word"},
		{Mode: schemas.Vector, Vector: []float32{1, 0, 0}},
		{Mode: schemas.Hybrid, Terms: "word", Vector: []float32{1, 0, 0}, Alpha: 0.5},
	} {
		wantDocuments(t, "through the alias, "+string(query.Mode), b.search(t, alias, query), "one")
	}
	wantCode(t, "Upsert through the alias", b.index.Upsert(t.Context(), alias, []vector.Object{object("two", "word")}), schemas.NotFound)
	if n := len(b.fetch(t, alias, id("one"), id("two"))); n != 1 {
		t.Errorf("Fetch through the alias returned %d objects, want 1", n)
	}
	if got := b.status(t, alias); got.Objects != 1 || got.Indexing != 0 {
		t.Errorf("Status through the alias is %+v", got)
	}
}
