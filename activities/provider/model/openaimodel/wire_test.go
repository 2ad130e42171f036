package openaimodel

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// recording is traffic of a real server, from the test material.
type recording struct {
	Interactions []struct {
		Request struct {
			Body json.RawMessage
		}
		Response struct {
			Status  int
			Headers map[string]string
			Body    json.RawMessage
		}
	}
}

// material reads a file of the test material into v. The test skips where there is none.
func material(t *testing.T, name string, v any) {
	t.Helper()
	root := cmp.Or(os.Getenv("TENUTO_TESTDATA"), filepath.Join("..", "..", "..", "..", "..", "shared", "data"))
	data, err := os.ReadFile(filepath.Join(root, "wire", filepath.FromSlash(name)))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no recorded traffic under %s; set TENUTO_TESTDATA", root)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

// replay returns a driver whose n-th call gets the n-th recorded response, and what it sent.
func replay(t *testing.T, rec recording) (*Driver, *[]json.RawMessage) {
	t.Helper()
	var bodies []json.RawMessage
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			t.Error(err)
		}
		response := rec.Interactions[len(bodies)].Response
		bodies = append(bodies, body.Bytes())
		for name, value := range response.Headers {
			if name != "transfer-encoding" {
				w.Header().Set(name, value)
			}
		}
		w.WriteHeader(response.Status)
		_, _ = w.Write(response.Body)
	}))
	t.Cleanup(server.Close)
	return connect(t, Options{BaseURL: server.URL}), &bodies
}

func TestRecordedChat(t *testing.T) {
	t.Parallel()
	var rec recording
	material(t, "openai/chat-basic.json", &rec)
	d, bodies := replay(t, rec)
	request := model.Request{Model: "gpt-3.5-turbo", Messages: []model.Message{{Role: "user", Text: "Tell me a joke about opentelemetry"}}}
	for i, interaction := range rec.Interactions {
		got, err := d.Generate(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			ID, Model string
			Choices   []struct{ Message struct{ Content string } }
			Usage     struct {
				Prompt     int `json:"prompt_tokens"`
				Completion int `json:"completion_tokens"`
			}
			Fingerprint string `json:"system_fingerprint"`
		}
		if err := json.Unmarshal(interaction.Response.Body, &want); err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(model.Response{
			Text: want.Choices[0].Message.Content, Model: want.Model, Fingerprint: want.Fingerprint, ID: want.ID,
			Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: want.Usage.Prompt, OutputTokens: want.Usage.Completion},
		}, got); diff != "" {
			t.Errorf("interaction %d: -want +got:\n%s", i, diff)
		}
		if diff := gocmp.Diff(decoded(t, interaction.Request.Body), decoded(t, (*bodies)[i])); diff != "" {
			t.Errorf("interaction %d sends another request: -want +got:\n%s", i, diff)
		}
	}
}

func decoded(t *testing.T, data []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRecordedFailures(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]schemas.Code{
		"openai/chat-404.json":         schemas.NotFound,
		"openai/embeddings-error.json": schemas.NotFound,
		"openrouter/429.json":          schemas.RateLimited,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rec recording
			material(t, name, &rec)
			d, _ := replay(t, rec)
			if _, err := d.Generate(t.Context(), hello); schemas.CodeOf(err) != code {
				t.Errorf("%v, want code %s", err, code)
			}
		})
	}
}

func TestRecordedEmbeddings(t *testing.T) {
	t.Parallel()
	for name, dims := range map[string]int{"openai/embeddings-base64.json": 1536, "openai/embeddings-dimensions.json": 512} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var rec recording
			material(t, name, &rec)
			d, _ := replay(t, rec)
			p := &model.Provider{Name: "openai", Driver: d}
			got, err := p.Embed(t.Context(), "acme", model.EmbedRequest{Model: "text-embedding-3-small", Inputs: []string{"x"}, Dimensions: dims})
			if err != nil {
				t.Fatal(err)
			}
			square := 0.0
			for _, x := range got.Vectors[0] {
				square += float64(x) * float64(x)
			}
			if square < 0.999 || square > 1.001 || got.Tokens == 0 || got.Model != "text-embedding-3-small" {
				t.Errorf("squared length %v, %d tokens, model %q", square, got.Tokens, got.Model)
			}
		})
	}
}

func TestRecordedRetryAfter(t *testing.T) {
	t.Parallel()
	var table struct {
		Now   int64 `json:"now_unix"`
		Cases []struct {
			RetryAfter string `json:"retry_after"`
			Seconds    float64
		}
	}
	material(t, "retry-after.json", &table)
	// The recording tells how long a client waits that retries by itself, which falls back to its own pace above two minutes. We
	// pass on what the server asks for.
	longer := map[string]float64{"121": 121, "Fri, 29 Sep 2023 16:28:38 GMT": 121}
	for _, c := range table.Cases {
		want := c.Seconds
		if !slices.Contains([]float64{20, 60, 61, 120}, want) {
			want = longer[c.RetryAfter]
		}
		got := retryAfter(http.Header{"Retry-After": {c.RetryAfter}}, time.Unix(table.Now, 0))
		if got != time.Duration(want*float64(time.Second)) {
			t.Errorf("Retry-After %q: %v, want %v s", c.RetryAfter, got, want)
		}
	}
}

func TestBase64IsWhatTheNumbersSay(t *testing.T) {
	t.Parallel()
	var v vector
	text := base64.StdEncoding.EncodeToString([]byte{0, 0, 128, 63, 0, 0, 0, 192})
	if err := json.Unmarshal([]byte(`"`+text+`"`), &v); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(vector{1, -2}, v); diff != "" {
		t.Error(diff)
	}
}
