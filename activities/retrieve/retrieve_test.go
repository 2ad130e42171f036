package retrieve_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/analyze"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/activities/provider/vector/memvector"
	"github.com/tenuto-dev/tenuto/activities/retrieve"
	"github.com/tenuto-dev/tenuto/schemas"
)

type embedder struct{ calls atomic.Int64 }

func (e *embedder) Generate(context.Context, model.Request, model.Emit) (model.Response, error) {
	return model.Response{}, schemas.Errorf(schemas.NotFound, "it only embeds")
}

func (e *embedder) Limits(string) (model.Limits, error) {
	return model.Limits{MaxInputs: 1, Dimensions: 2, HybridAlpha: 0.5}, nil
}

func (e *embedder) Embed(_ context.Context, in model.EmbedRequest) (model.EmbedResponse, error) {
	e.calls.Add(1)
	v := []float32{0, 1}
	if strings.Contains(in.Inputs[0], "apple") {
		v = []float32{1, 0}
	}
	return model.EmbedResponse{Vectors: [][]float32{v}, Tokens: 3}, nil
}

func setup(t *testing.T) (*retrieve.Activities, *embedder) {
	t.Helper()
	e := &embedder{}
	models, err := model.NewSet(&model.Provider{Name: "two", Driver: e, Records: &modeltest.Memory{}})
	if err != nil {
		t.Fatal(err)
	}
	a := &retrieve.Activities{Store: blob.New(&memblob.Driver{}), Index: vector.New(&memvector.Driver{}), Models: models}
	record := schemas.Collection{
		Tenant: "default", Name: "docs", Alias: "Docs", Class: "Docs_v1", Recipe: schemas.Recipe{Embedder: "two/dims", Language: "auto"},
	}
	if _, err := blob.PutJSON(t.Context(), a.Store, schemas.CollectionKey("default", "docs"), record); err != nil {
		t.Fatal(err)
	}
	if err := a.Index.Ensure(t.Context(), vector.Spec{Alias: "Docs", Class: "Docs_v1", Tenant: "default"}); err != nil {
		t.Fatal(err)
	}
	analyzer, err := analyze.New("auto")
	if err != nil {
		t.Fatal(err)
	}
	object := func(i int, text string, v ...float32) vector.Object {
		return vector.Object{
			ID: schemas.ChunkID("docs", "src", text, "", "", i), Document: text + ".md", Source: "src", Text: text, ChunkHash: text,
			Terms: analyzer.Terms(text), Vector: v, Metadata: map[string][]string{"kind": {text[:1]}},
		}
	}
	err = a.Index.Upsert(t.Context(), vector.Target{Class: "Docs_v1", Tenant: "default"}, []vector.Object{
		object(0, "apples are red", 1, 0), object(1, "bananas are yellow", 0, 1), object(2, "cherries are dark", 0.1, 1),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, e
}

func ask(text string, s schemas.RetrieveSettings) retrieve.Query {
	if s.Collection == "" {
		s.Collection = "docs"
	}
	if s.Limit == 0 {
		s.Limit = 10
	}
	return retrieve.Query{Tenant: "default", Texts: []string{text}, Settings: s}
}

// several is ask with more than one text.
func several(s schemas.RetrieveSettings, texts ...string) retrieve.Query {
	q := ask("", s)
	q.Texts = texts
	return q
}

func find(t *testing.T, a *retrieve.Activities, q retrieve.Query) retrieve.Found {
	t.Helper()
	found, err := a.Find(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for i, hit := range found.Hits {
		if hit.Rank != i+1 {
			t.Errorf("rank %d at place %d", hit.Rank, i)
		}
	}
	return found
}

func texts(t *testing.T, a *retrieve.Activities, q retrieve.Query) []string {
	t.Helper()
	var got []string
	for _, hit := range find(t, a, q).Hits {
		got = append(got, hit.Text)
	}
	return got
}

func TestModes(t *testing.T) {
	t.Parallel()
	a, _ := setup(t)
	one := 1.0
	for name, test := range map[string]struct {
		in   retrieve.Query
		want []string
	}{
		"keyword":         {ask("Banana?", schemas.RetrieveSettings{Mode: schemas.Keyword}), []string{"bananas are yellow"}},
		"vector":          {ask("an apple", schemas.RetrieveSettings{Mode: schemas.Vector, Limit: 1}), []string{"apples are red"}},
		"hybrid":          {ask("cherry", schemas.RetrieveSettings{Mode: schemas.Hybrid, Limit: 1}), []string{"cherries are dark"}},
		"hybrid, alpha 1": {ask("cherry", schemas.RetrieveSettings{Mode: schemas.Hybrid, Limit: 1, Alpha: &one}), []string{"bananas are yellow"}},
		"filtered": {
			ask("cherry banana apple", schemas.RetrieveSettings{Mode: schemas.Keyword, Filter: &schemas.Filter{Metadata: map[string][]string{"kind": {"a"}}}}),
			[]string{"apples are red"},
		},
		"nothing but stop words": {ask("the", schemas.RetrieveSettings{Mode: schemas.Hybrid, Limit: 1}), []string{"bananas are yellow"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, texts(t, a, test.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARepeatedQueryIsEmbeddedOnce(t *testing.T) {
	t.Parallel()
	a, e := setup(t)
	texts(t, a, ask("cherry", schemas.RetrieveSettings{Mode: schemas.Vector}))
	texts(t, a, ask("cherry", schemas.RetrieveSettings{Mode: schemas.Vector}))
	texts(t, a, ask("cherry", schemas.RetrieveSettings{Mode: schemas.Hybrid}))
	texts(t, a, ask("only words", schemas.RetrieveSettings{Mode: schemas.Keyword}))
	if n := e.calls.Load(); n != 1 {
		t.Errorf("%d embeddings for one query; one without a vector needs none", n)
	}
}

func TestSeveralTexts(t *testing.T) {
	t.Parallel()
	a, e := setup(t)
	found := find(t, a, several(schemas.RetrieveSettings{Mode: schemas.Keyword}, "banana", "red banana", " banana "))
	if found.Searches != 2 || e.calls.Load() != 0 {
		t.Errorf("%d searches and %d embeddings, want 2 and none", found.Searches, e.calls.Load())
	}
	var got []string
	for _, hit := range found.Hits {
		got = append(got, hit.Text)
	}
	if diff := cmp.Diff([]string{"bananas are yellow", "apples are red"}, got); diff != "" {
		t.Error(diff)
	}
	first, second := found.Hits[0].Score, found.Hits[1].Score
	if first <= second || first > 2/61.0+1e-12 {
		t.Errorf("scores %v and %v are not those of the fusion", first, second)
	}
	if got := texts(t, a, several(schemas.RetrieveSettings{Mode: schemas.Keyword, Limit: 1}, "apple", "banana", "cherry")); len(got) != 1 {
		t.Errorf("%d hits, and the limit is 1", len(got))
	}
	usage := find(t, a, several(schemas.RetrieveSettings{Mode: schemas.Vector}, "apple", "banana")).Usage
	if diff := cmp.Diff(schemas.Usage{Calls: 2, InputTokens: 6}, usage); diff != "" {
		t.Error(diff)
	}
	if usage := find(t, a, several(schemas.RetrieveSettings{Mode: schemas.Vector}, "apple", "banana")).Usage; usage != (schemas.Usage{}) {
		t.Errorf("the same again cost %+v", usage)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	a, _ := setup(t)
	two := 2.0
	for name, test := range map[string]struct {
		in   retrieve.Query
		code schemas.Code
	}{
		"no text":       {retrieve.Query{Tenant: "default", Settings: schemas.RetrieveSettings{Collection: "docs", Mode: schemas.Keyword, Limit: 1}}, schemas.Invalid},
		"one is empty":  {several(schemas.RetrieveSettings{Mode: schemas.Keyword}, "x", " "), schemas.Invalid},
		"too many":      {several(schemas.RetrieveSettings{Mode: schemas.Keyword}, strings.Split("abcdefghijklmnopq", "")...), schemas.Invalid},
		"empty":         {ask("  ", schemas.RetrieveSettings{Mode: schemas.Hybrid}), schemas.Invalid},
		"mode":          {ask("x", schemas.RetrieveSettings{Mode: "psychic"}), schemas.Invalid},
		"limit":         {ask("x", schemas.RetrieveSettings{Mode: schemas.Hybrid, Limit: 1001}), schemas.Invalid},
		"alpha":         {ask("x", schemas.RetrieveSettings{Mode: schemas.Hybrid, Alpha: &two}), schemas.Invalid},
		"no collection": {ask("x", schemas.RetrieveSettings{Mode: schemas.Hybrid, Collection: "none"}), schemas.NotFound},
		"other tenant":  {retrieve.Query{Tenant: "other", Texts: []string{"x"}, Settings: schemas.RetrieveSettings{Collection: "docs", Mode: schemas.Keyword, Limit: 1}}, schemas.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := a.Find(t.Context(), test.in); err == nil || schemas.CodeOf(err) != test.code {
				t.Errorf("want %s, got %v", test.code, err)
			}
		})
	}
}
