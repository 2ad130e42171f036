package rerankmodel

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

const key = "jina_test1234567890"

func connect(t testing.TB, o Options, body string) (*Driver, *wiretest.Tape) {
	t.Helper()
	tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Whole(200, body)}}
	o.APIKey, o.Client = key, tape.Client()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d, tape
}

func TestRecordedRerank(t *testing.T) {
	t.Parallel()
	rec := wiretest.Load(t, "jina/rerank-shape.json").Interactions[0]
	d, tape := connect(t, Options{}, string(rec.Response.Body))
	got, err := d.Rerank(t.Context(), model.RerankRequest{
		Model: "jina-reranker-v1-base-en", Query: "capital of France", Documents: []string{"Paris is the capital of France.", "Berlin is the capital of Germany."}, Top: 2,
	})
	want := model.RerankResponse{Model: "jina-reranker-v1-base-en", Tokens: 4, Results: []model.Ranked{{Index: 0, Score: 2}, {Index: 1, Score: 1}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	var recorded any
	wiretest.Decode(t, rec.Request.Body, &recorded)
	sent := tape.Sent()[0]
	if diff := cmp.Diff(recorded, sent.Body); diff != "" {
		t.Errorf("-recorded +sent:\n%s", diff)
	}
	if sent.Path != "/v1/rerank" || sent.Header.Get("Authorization") != "Bearer "+key {
		t.Errorf("%s %v", sent.Path, sent.Header)
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	d, tape := connect(t, Options{BaseURL: "http://127.0.0.1:1", Texts: true}, ` [{"index":1,"score":0.9},{"index":2,"score":-0.5},{"index":0,"score":0.95}]`)
	got, err := d.Rerank(t.Context(), model.RerankRequest{Model: "bge", Query: "q", Documents: []string{"a", "b", "c"}, Top: 2})
	if diff := cmp.Diff(model.RerankResponse{Model: "bge", Results: []model.Ranked{{Index: 0, Score: 0.95}, {Index: 1, Score: 0.9}}}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	sent := tape.Sent()[0]
	if diff := cmp.Diff(any(map[string]any{"query": "q", "texts": []any{"a", "b", "c"}}), sent.Body); diff != "" || sent.Path != "/rerank" {
		t.Errorf("%s\n%s", sent.Path, diff)
	}
}

func TestOrdersThatDoNotFit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		code schemas.Code
	}{
		"beyond":    {`{"results":[{"index":2,"relevance_score":1},{"index":0,"relevance_score":1}]}`, schemas.MalformedOutput},
		"negative":  {`{"results":[{"index":-1,"relevance_score":1},{"index":0,"relevance_score":1}]}`, schemas.MalformedOutput},
		"twice":     {`{"results":[{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}]}`, schemas.MalformedOutput},
		"no score":  {`{"results":[{"index":0},{"index":1,"relevance_score":1}]}`, schemas.MalformedOutput},
		"no index":  {`{"results":[{"relevance_score":1},{"index":1,"relevance_score":1}]}`, schemas.MalformedOutput},
		"too few":   {`{"results":[{"index":1,"relevance_score":1}]}`, schemas.MalformedOutput},
		"none":      {`{}`, schemas.MalformedOutput},
		"no JSON":   {`<html>`, schemas.Unavailable},
		"a failure": {`{"error":{"message":"overloaded","code":503}}`, schemas.Unavailable},
	} {
		d, _ := connect(t, Options{}, test.body)
		if _, err := d.Rerank(t.Context(), model.RerankRequest{Model: "m", Query: "q", Documents: []string{"a", "b"}}); schemas.CodeOf(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestItOnlyReranks(t *testing.T) {
	t.Parallel()
	d, _ := connect(t, Options{}, ``)
	_, generated := d.Generate(t.Context(), model.Request{Model: "m"}, nil)
	_, embedded := d.Embed(t.Context(), model.EmbedRequest{Model: "m"})
	_, limited := d.Limits("m")
	for _, err := range []error{generated, embedded, limited} {
		if schemas.CodeOf(err) != schemas.NotFound {
			t.Error(err)
		}
	}
	if _, err := New(Options{BaseURL: "example.org"}); schemas.CodeOf(err) != schemas.Invalid {
		t.Error(err)
	}
}

func FuzzRanking(f *testing.F) {
	f.Add(`{"results":[{"index":1,"relevance_score":1},{"index":0,"relevance_score":2}],"meta":{"billed_units":{"search_units":1}}}`)
	f.Add(`[{"index":0,"score":1},{"index":1,"score":1e300}]`)
	f.Fuzz(func(t *testing.T, body string) {
		d, _ := connect(t, Options{}, body)
		got, err := d.Rerank(t.Context(), model.RerankRequest{Model: "m", Query: "q", Documents: []string{"a", "b"}})
		if err != nil {
			if schemas.CodeOf(err) == schemas.Internal {
				t.Fatal(err)
			}
			return
		}
		places := []int{}
		for _, r := range got.Results {
			places = append(places, r.Index)
		}
		slices.Sort(places)
		if diff := cmp.Diff([]int{0, 1}, places); diff != "" || got.Results[0].Score < got.Results[1].Score {
			t.Fatal(got)
		}
	})
}
