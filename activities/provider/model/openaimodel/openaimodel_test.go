package openaimodel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

const key = "sk-test-0123456789abcdef"

func connect(t *testing.T, o Options) *Driver {
	t.Helper()
	o.APIKey = key
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, floats := range []bool{false, true} {
		t.Run(fmt.Sprintf("floats %v", floats), func(t *testing.T) {
			t.Parallel()
			server := modeltest.NewServer(t, modeltest.Options{Key: key})
			modeltest.Run(t, modeltest.Target{
				Driver:    connect(t, Options{BaseURL: server.URL, FloatVectors: floats}),
				Generator: modeltest.ChatModel, Embedder: modeltest.EmbedModel, Missing: "missing",
				Caller: modeltest.ChatModel, Endless: modeltest.EndlessModel,
			})
		})
	}
}

var hello = model.Request{Model: modeltest.ChatModel, Messages: []model.Message{{Role: model.RoleUser, Text: "Hello"}}}

func TestFailures(t *testing.T) {
	t.Parallel()
	said := func(code, message string) string {
		return fmt.Sprintf(`{"error":{"message":%q,"type":"x","param":null,"code":%q}}`, message, code)
	}
	after := map[string]string{"Retry-After": "7"}
	tests := map[string]struct {
		failure modeltest.Failure
		code    schemas.Code
		after   time.Duration
		holds   string
	}{
		"429":                {modeltest.Failure{Status: 429, Header: after}, schemas.RateLimited, 7 * time.Second, "slower"},
		"429 in ms":          {modeltest.Failure{Status: 429, Header: map[string]string{"Retry-After-Ms": "1500", "Retry-After": "9"}}, schemas.RateLimited, 1500 * time.Millisecond, ""},
		"429 without header": {modeltest.Failure{Status: 429}, schemas.RateLimited, 0, ""},
		"quota":              {modeltest.Failure{Status: 429, Header: after, Body: said("insufficient_quota", "You exceeded")}, schemas.OverBudget, 0, "credit"},
		"no credit":          {modeltest.Failure{Status: 402}, schemas.OverBudget, 0, ""},
		"503":                {modeltest.Failure{Status: 503, Header: after}, schemas.Unavailable, 7 * time.Second, ""},
		"529":                {modeltest.Failure{Status: 529}, schemas.Unavailable, 0, ""},
		"500":                {modeltest.Failure{Status: 500}, schemas.Unavailable, 0, ""},
		"502 in HTML": {
			modeltest.Failure{Status: 502, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>Bad gateway"},
			schemas.Unavailable, 0, "502",
		},
		"401":                 {modeltest.Failure{Status: 401, Body: said("invalid_api_key", "Incorrect API key provided: "+key)}, schemas.Unauthorized, 0, "key"},
		"403":                 {modeltest.Failure{Status: 403}, schemas.Unauthorized, 0, ""},
		"moderation":          {modeltest.Failure{Status: 403, Body: said("", "Your input was flagged by moderation")}, schemas.Refused, 0, ""},
		"404":                 {modeltest.Failure{Status: 404}, schemas.NotFound, 0, modeltest.ChatModel},
		"404 in text":         {modeltest.Failure{Status: 404, Body: "404 page not found"}, schemas.NotFound, 0, ""},
		"408":                 {modeltest.Failure{Status: 408}, schemas.Deadline, 0, ""},
		"504":                 {modeltest.Failure{Status: 504}, schemas.Deadline, 0, ""},
		"400":                 {modeltest.Failure{Status: 400, Body: said("", "seed is too big")}, schemas.Invalid, 0, "seed is too big"},
		"422 of FastAPI":      {modeltest.Failure{Status: 422, Body: `{"detail":[{"msg":"field required"}]}`}, schemas.Invalid, 0, "field required"},
		"400 of Ollama":       {modeltest.Failure{Status: 400, Body: `{"error":"bad things"}`}, schemas.Invalid, 0, "bad things"},
		"400 of vLLM":         {modeltest.Failure{Status: 400, Body: `{"object":"error","message":"bad things","code":400}`}, schemas.Invalid, 0, "bad things"},
		"too long":            {modeltest.Failure{Status: 400, Body: said("context_length_exceeded", "maximum context length is 4097 tokens")}, schemas.Invalid, 0, "4097"},
		"filter":              {modeltest.Failure{Status: 400, Body: said("content_filter", "filtered")}, schemas.Refused, 0, ""},
		"501":                 {modeltest.Failure{Status: 501}, schemas.Invalid, 0, ""},
		"redirect":            {modeltest.Failure{Status: 304}, schemas.Invalid, 0, "redirect"},
		"cut in the middle":   {modeltest.Failure{Cut: true}, schemas.Unavailable, 0, "broke off"},
		"reset":               {modeltest.Failure{Drop: true}, schemas.Unavailable, 0, ""},
		"200 that is no JSON": {modeltest.Failure{Status: 200, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>Sign in"}, schemas.Unavailable, 0, "base URL"},
		"200 cut JSON":        {modeltest.Failure{Status: 200, Body: `{"choices":[`}, schemas.Unavailable, 0, ""},
		"200 without choice":  {modeltest.Failure{Status: 200, Body: `{"choices":[]}`}, schemas.Unavailable, 0, ""},
		"200 with an error":   {modeltest.Failure{Status: 200, Body: `{"error":{"code":429,"message":"slow"}}`}, schemas.RateLimited, 0, ""},
		"200 with a failure":  {modeltest.Failure{Status: 200, Body: `{"error":{"message":"upstream broke"}}`}, schemas.Unavailable, 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := modeltest.NewServer(t, modeltest.Options{Script: []modeltest.Failure{test.failure}})
			d := connect(t, Options{BaseURL: server.URL})
			_, err := d.Generate(t.Context(), hello, nil)
			var coded *schemas.Error
			if !errors.As(err, &coded) || coded.Code != test.code || coded.RetryAfter != test.after {
				t.Fatalf("got %#v, want code %s after %v", err, test.code, test.after)
			}
			if !strings.Contains(coded.Message, test.holds) {
				t.Errorf("message %q does not hold %q", coded.Message, test.holds)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, coded, coded.Cause), key) {
				t.Errorf("the key stands in %v", err)
			}
			if n := server.Stats().Chats; n != 1 {
				t.Errorf("%d calls, want 1: retries belong to Temporal", n)
			}
			if _, err := d.Generate(t.Context(), hello, nil); err != nil {
				t.Errorf("the next call: %v", err)
			}
		})
	}
}

func TestUnsupportedSchema(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"error":{"message":"Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.","param":"response_format"}}`: true,
		`{"detail":"guided decoding is not available"}`: true,
		`{"error":"temperature must be positive"}`:      false,
	} {
		for _, schema := range []json.RawMessage{json.RawMessage(`{"type":"object"}`), nil} {
			server := modeltest.NewServer(t, modeltest.Options{Script: []modeltest.Failure{{Status: 400, Body: body}}})
			request := hello
			request.Schema = schema
			_, err := connect(t, Options{BaseURL: server.URL}).Generate(t.Context(), request, nil)
			if got := model.IsSchemaUnsupported(err); got != (want && schema != nil) || schemas.CodeOf(err) != schemas.Invalid {
				t.Errorf("%s, schema %s: unsupported %v, %v", body, schema, got, err)
			}
		}
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{Latency: time.Minute})
	d := connect(t, Options{BaseURL: server.URL})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := d.Generate(ctx, hello, nil); schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("%v, want code deadline", err)
	}
	d = connect(t, Options{BaseURL: server.URL, Client: &http.Client{Timeout: 20 * time.Millisecond}})
	if _, err := d.Generate(t.Context(), hello, nil); schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("%v, want code deadline", err)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := connect(t, Options{BaseURL: server.URL}).Generate(t.Context(), hello, nil)
	if schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("%v, want code unavailable", err)
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	temperature, seed := 0.0, int64(7)
	request := model.Request{
		Model: "m", MaxTokens: 9, Temperature: &temperature, Seed: &seed, Stop: []string{"END"},
		Schema: json.RawMessage(`{"type":"object"}`), SchemaName: "thing",
		Messages: []model.Message{{Role: "system", Text: "a"}, {Role: "user", Text: "b"}, {Role: "assistant", Text: "c"}},
	}
	for field, other := range map[string]string{"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"} {
		got := sent(t, field, request)
		want := map[string]any{
			"model": "m", field: 9.0, "temperature": 0.0, "seed": 7.0, "stop": []any{"END"},
			"messages": []any{
				map[string]any{"role": "system", "content": "a"},
				map[string]any{"role": "user", "content": "b"},
				map[string]any{"role": "assistant", "content": "c"},
			},
			"response_format": map[string]any{"type": "json_schema", "json_schema": map[string]any{
				"name": "thing", "strict": false, "schema": map[string]any{"type": "object"},
			}},
		}
		if diff := cmp.Diff(want, got); diff != "" || got[other] != nil {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// sent returns the body that the driver sends for request.
func sent(t *testing.T, tokensField string, request model.Request) map[string]any {
	t.Helper()
	var got map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("%s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"x"}}]}`)
	}))
	defer server.Close()
	resp, err := connect(t, Options{BaseURL: server.URL + "/v1", TokensField: tokensField}).Generate(t.Context(), request, nil)
	if err != nil || resp.Text != "x" || resp.Finish != model.FinishStop {
		t.Errorf("%+v, %v", resp, err)
	}
	return got
}

func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no scheme": {BaseURL: "127.0.0.1:8080/v1"}, "other scheme": {BaseURL: "ftp://example.org"},
		"key in the URL": {BaseURL: "https://user:" + key + "@example.org/v1"}, "query": {BaseURL: "https://example.org/v1?key=" + key},
		"key with a line feed": {APIKey: key + "\n"}, "no such API": {API: "assistants"}, "no such field": {TokensField: "tokens"},
	} {
		_, err := New(o)
		if schemas.CodeOf(err) != schemas.Invalid || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	d := connect(t, Options{Limits: model.Limits{MaxInputs: 3}})
	for name, want := range map[string]model.Limits{
		"text-embedding-3-large": {MaxInputs: 3, MaxInputTokens: 300_000, MaxTokensPerInput: 8191, Dimensions: 3072, HybridAlpha: 0.5},
		"some-model":             {MaxInputs: 3, MaxInputTokens: 65536, HybridAlpha: 0.5},
	} {
		got, err := d.Limits(name)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestVectorsThatDoNotFit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		code schemas.Code
	}{
		"too few":            {`{"data":[{"index":0,"embedding":[1]}]}`, schemas.MalformedOutput},
		"twice the same":     {`{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}`, schemas.MalformedOutput},
		"index beyond":       {`{"data":[{"index":0,"embedding":[1]},{"index":5,"embedding":[1]}]}`, schemas.MalformedOutput},
		"lengths differ":     {`{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}]}`, schemas.MalformedOutput},
		"empty":              {`{"data":[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]}`, schemas.MalformedOutput},
		"not a number":       {`{"data":[{"index":0,"embedding":"AADAfw=="},{"index":1,"embedding":[1]}]}`, schemas.MalformedOutput},
		"not whole floats":   {`{"data":[{"index":0,"embedding":"AAA="},{"index":1,"embedding":[1]}]}`, schemas.Unavailable},
		"not base64":         {`{"data":[{"index":0,"embedding":"?"},{"index":1,"embedding":[1]}]}`, schemas.Unavailable},
		"in another order":   {`{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}`, ""},
		"no usage, no model": {`{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[2]}]}`, ""},
	} {
		server := modeltest.NewServer(t, modeltest.Options{Script: []modeltest.Failure{{Status: 200, Body: test.body}}})
		p := &model.Provider{Name: "openai", Driver: connect(t, Options{BaseURL: server.URL})}
		resp, err := p.Embed(t.Context(), "acme", model.EmbedRequest{Model: "m", Inputs: []string{"a", "b"}})
		switch {
		case test.code == "" && (err != nil || resp.Vectors[0][0] != 1 || resp.Vectors[1][0] != 2):
			t.Errorf("%s: %v, %v", name, resp.Vectors, err)
		case test.code != "" && schemas.CodeOf(err) != test.code:
			t.Errorf("%s: %v, want code %s", name, err, test.code)
		}
	}
}

func FuzzVector(f *testing.F) {
	f.Add([]byte(`"AACAPw=="`))
	f.Add([]byte(`[1,2.5]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v vector
		if json.Valid(data) && json.Unmarshal(data, &v) == nil && len(v) > len(data) {
			t.Fatalf("%d numbers of %d bytes", len(v), len(data))
		}
	})
}
