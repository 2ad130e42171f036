package coheremodel

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

const key = "co-test-1234567890"

func connect(t testing.TB, o Options) *Driver {
	t.Helper()
	o.APIKey = key
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// once makes one call that is answered with response.
func once(t *testing.T, response wiretest.Response, request model.Request) (model.Response, error) {
	t.Helper()
	tape := &wiretest.Tape{Responses: []wiretest.Response{response}}
	return connect(t, Options{Client: tape.Client()}).Generate(t.Context(), request, nil)
}

// streamed makes one call that is answered with a stream, in all the ways in which it may come in.
func streamed(t *testing.T, response wiretest.Response) model.Response {
	t.Helper()
	return wiretest.Splits(t, response, func(client *http.Client, emit model.Emit) (model.Response, error) {
		return connect(t, Options{Client: client}).Generate(t.Context(), user("m", "x"), emit)
	})
}

func user(name, text string) model.Request {
	return model.Request{Model: name, Messages: []model.Message{{Role: model.RoleUser, Text: text}}}
}

func TestRecordedStream(t *testing.T) {
	t.Parallel()
	rec := wiretest.Load(t, "cohere/chat-v2-stream.json").Interactions[0]
	got := streamed(t, rec.Response)
	if !strings.HasPrefix(got.Text, "Arrrr, matey!") || !strings.HasSuffix(got.Text, " pirate-themed humor!") {
		t.Errorf("text %q", got.Text)
	}
	got.Text = ""
	if diff := cmp.Diff(model.Response{
		Model: "m", ID: "6cd6ce61-bb3b-46f6-907e-fcfab45e51b6", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 7, OutputTokens: 109},
	}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRecordedStreamRequest(t *testing.T) {
	t.Parallel()
	rec := wiretest.Load(t, "cohere/chat-v2-stream.json").Interactions[0]
	tape := &wiretest.Tape{Responses: []wiretest.Response{rec.Response}}
	_, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), user("command", "Tell me a joke, pirate style"), func(model.Delta) {})
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string]any
	wiretest.Decode(t, rec.Request.Body, &recorded)
	turn := recorded["messages"].([]any)[0].(map[string]any)
	turn["content"] = []any{map[string]any{"type": "text", "text": turn["content"]}} // the server takes a bare text for the same
	sent := tape.Sent()[0]
	if diff := cmp.Diff(any(recorded), sent.Body); diff != "" {
		t.Errorf("-recorded +sent:\n%s", diff)
	}
	if sent.Path != "/v2/chat" || sent.Header.Get("Authorization") != "Bearer "+key {
		t.Errorf("%s %v", sent.Path, sent.Header)
	}
}

func TestRecordedEmbedFailure(t *testing.T) {
	t.Parallel()
	rec := wiretest.Load(t, "cohere/embed-error.json").Interactions[0]
	tape := &wiretest.Tape{Responses: []wiretest.Response{rec.Response}}
	d := connect(t, Options{Client: tape.Client(), InputType: "search_query"})
	_, err := d.Embed(t.Context(), model.EmbedRequest{Model: "nonexistent", Inputs: []string{"Hello, world!"}})
	if schemas.CodeOf(err) != schemas.NotFound || !strings.Contains(err.Error(), "make sure the correct model ID") {
		t.Error(err)
	}
	var recorded map[string]any
	wiretest.Decode(t, rec.Request.Body, &recorded)
	for field, value := range recorded {
		if value == nil {
			delete(recorded, field)
		}
	}
	if diff := cmp.Diff(any(recorded), tape.Sent()[0].Body); diff != "" || tape.Sent()[0].Path != "/v2/embed" {
		t.Errorf("-recorded +sent:\n%s", diff)
	}
}

func TestRecordedRerank(t *testing.T) {
	t.Parallel()
	rec := wiretest.Load(t, "cohere/rerank-v2.json").Interactions[0]
	var recorded struct {
		Query     string
		Documents []string
	}
	wiretest.Decode(t, rec.Request.Body, &recorded)
	tape := &wiretest.Tape{Responses: []wiretest.Response{rec.Response}}
	request := model.RerankRequest{Model: "rerank-english-v3.0", Query: recorded.Query, Documents: recorded.Documents, Top: 3}
	got, err := connect(t, Options{Client: tape.Client()}).Rerank(t.Context(), request)
	want := model.RerankResponse{Model: "rerank-english-v3.0", Searches: 1, Results: []model.Ranked{{Index: 3, Score: 0.999071}, {Index: 4, Score: 0.7779754}, {Index: 1, Score: 0.08882029}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	var body any
	wiretest.Decode(t, rec.Request.Body, &body)
	if diff := cmp.Diff(body, tape.Sent()[0].Body); diff != "" || tape.Sent()[0].Path != "/v2/rerank" {
		t.Errorf("%s: -recorded +sent:\n%s", tape.Sent()[0].Path, diff)
	}
}

func TestRecordedReranking(t *testing.T) {
	t.Parallel()
	tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Whole(200, string(wiretest.Read(t, "vercel/cohere/cohere-reranking.1.json")))}}
	got, err := connect(t, Options{Client: tape.Client()}).Rerank(t.Context(), model.RerankRequest{Model: "m", Query: "q", Documents: []string{"a", "b"}})
	want := model.RerankResponse{Model: "m", Searches: 1, Results: []model.Ranked{{Index: 1, Score: 0.10183054}, {Index: 0, Score: 0.03762639}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}
