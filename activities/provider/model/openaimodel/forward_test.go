package openaimodel

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/schemas"
)

// forwarded sends a body on and returns what came back for its caller, and the JSON of every piece.
func forwarded(t *testing.T, d *Driver, op model.Operation, name, body string) (out string, data []string, resp model.Response, err error) {
	t.Helper()
	parsed, err := object.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	resp, err = d.Forward(t.Context(), model.ForwardRequest{
		Operation: op, Model: name, Body: parsed, Stream: string(parsed.Get("stream")) == "true",
		Header: http.Header{"Openai-Beta": {"x=v1"}, "Authorization": {"Bearer of the caller"}, "Cookie": {"c"}},
	}, func(p model.Piece) error {
		out += string(p.Bytes)
		if p.Data != nil {
			data = append(data, string(p.Data))
		}
		if p.Last {
			last++
		}
		return nil
	})
	if err == nil && last != 1 {
		t.Errorf("%d last pieces", last)
	}
	return out, data, resp, err
}

// TestForwardedStreams passes on the recorded streams without a change, and understands them as Generate does.
func TestForwardedStreams(t *testing.T) {
	t.Parallel()
	for name, s := range recordedStreams(t) {
		if s.api != Chat {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, p := play(t, s.response, Chat)
			data := s.response.Bytes()
			for _, at := range []int{0, 1, len(data) / 3, len(data) - 3} {
				p.split = func(data []byte) io.Reader {
					return io.MultiReader(bytes.NewReader(data[:at]), bytes.NewReader(data[at:]))
				}
				out, events, got, err := forwarded(t, d, model.ChatCompletions, "m", `{"stream":true,"stream_options":{"include_usage":true}}`)
				if err != nil || out != string(data) && out != string(data)+"data: [DONE]\n\n" {
					t.Fatalf("split at %d: %v, %d bytes of %d", at, err, len(out), len(data))
				}
				if len(got.Text) > 60 {
					got.Text = "sha256:" + schemas.Hash([]byte(got.Text))
				}
				if diff := gocmp.Diff(s.want, got); diff != "" {
					t.Fatalf("split at %d\n%s", at, diff)
				}
				for _, e := range events {
					if !json.Valid([]byte(e)) {
						t.Errorf("no JSON: %s", e)
					}
				}
			}
		})
	}
}

// TestForwardedStreamsThatAreCut passes on what came, and never takes the part for the whole.
func TestForwardedStreamsThatAreCut(t *testing.T) {
	t.Parallel()
	for name, s := range recordedStreams(t) {
		if s.api != Chat {
			continue
		}
		d, p := play(t, s.response, Chat)
		data := s.response.Bytes()
		for at := 0; at < len(data); at += 1 + len(data)/50 {
			p.split = func(data []byte) io.Reader { return bytes.NewReader(data[:at]) }
			out, _, got, err := forwarded(t, d, model.ChatCompletions, "m", `{"stream":true,"stream_options":{"include_usage":true}}`)
			out = strings.TrimSuffix(out, "data: [DONE]\n\n")
			switch {
			case !strings.HasPrefix(string(data), out):
				t.Fatalf("%s cut at %d: passed on something else", name, at)
			case err != nil && (schemas.CodeOf(err) != schemas.Unavailable || got.Finish != ""):
				t.Fatalf("%s cut at %d: %+v, %v", name, at, got, err)
			case err == nil && got.Finish != s.want.Finish:
				t.Fatalf("%s cut at %d: %+v", name, at, got)
			}
		}
	}
}

// upstream answers with fn and keeps what was sent.
type upstream struct {
	bodies  []string
	headers []http.Header
}

func serveRaw(t *testing.T, fn func(n int, w http.ResponseWriter)) (*Driver, *upstream) {
	t.Helper()
	u := &upstream{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.bodies, u.headers = append(u.bodies, r.URL.Path+" "+string(body)), append(u.headers, r.Header)
		fn(len(u.bodies), w)
	}))
	t.Cleanup(server.Close)
	return connect(t, Options{BaseURL: server.URL + "/v1"}), u
}

const counted = `data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}],"usage":null}` + "\n\n" +
	`data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}` + "\n\ndata: [DONE]\n\n"

func TestForwardSendsTheBodyOn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ body, sent, back string }{
		"only the model changes": {
			`{ "model" : "openai/x","unknown":{"a":[1]}, "stream": true,"stream_options":{"include_usage":true}}`,
			`{ "model" : "y\"z","unknown":{"a":[1]}, "stream": true,"stream_options":{"include_usage":true}}`, counted,
		},
		"usage is asked for and kept": {
			`{"stream":true,"model":"openai/x"}`, `{"stream":true,"model":"y\"z","stream_options":{"include_usage":true}}`,
			strings.Replace(counted, `data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`+"\n\n", "", 1),
		},
		"usage that is not wanted": {
			`{"stream":true,"model":"openai/x","stream_options":{"include_usage":false,"x":1}}`,
			`{"stream":true,"model":"y\"z","stream_options":{"include_usage":true,"x":1}}`,
			strings.Replace(counted, `data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`+"\n\n", "", 1),
		},
		"options that are none": {`{"stream":true,"model":"x","stream_options":7}`, `{"stream":true,"model":"y\"z","stream_options":7}`, counted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, u := serveRaw(t, func(_ int, w http.ResponseWriter) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, counted)
			})
			out, events, resp, err := forwarded(t, d, model.ChatCompletions, `y"z`, test.body)
			if err != nil || out != test.back || len(events) != 2 {
				t.Errorf("%v; came back %s, %d events", err, out, len(events))
			}
			if diff := gocmp.Diff([]string{"/v1/chat/completions " + test.sent}, u.bodies); diff != "" {
				t.Error(diff)
			}
			if resp.Text != "hi" || resp.Usage != (schemas.Usage{InputTokens: 3, OutputTokens: 4}) {
				t.Errorf("%+v", resp)
			}
			if h := u.headers[0]; h.Get("Openai-Beta") != "x=v1" || h.Get("Cookie") != "" || h.Get("Authorization") != "Bearer "+key {
				t.Errorf("%v", h)
			}
		})
	}
}

func TestForwardWithoutStreamOptions(t *testing.T) {
	t.Parallel()
	d, u := serveRaw(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, `data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}`+"\n\n")
	})
	for range 2 {
		out, _, resp, err := forwarded(t, d, model.ChatCompletions, "m", `{"model":"m","stream":true}`)
		if err != nil || resp.Text != "a" || !strings.HasSuffix(out, "data: [DONE]\n\n") {
			t.Errorf("%q, %+v, %v", out, resp, err)
		}
	}
	const plain = `/v1/chat/completions {"model":"m","stream":true}`
	want := []string{`/v1/chat/completions {"model":"m","stream":true,"stream_options":{"include_usage":true}}`, plain, plain}
	if diff := gocmp.Diff(want, u.bodies); diff != "" {
		t.Error(diff)
	}
	// The caller's own options are not taken away.
	d, _ = serveRaw(t, func(_ int, w http.ResponseWriter) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"stream_options is not supported"}}`)
	})
	if _, _, _, err := forwarded(t, d, model.ChatCompletions, "m", `{"stream":true,"stream_options":{"include_usage":true}}`); schemas.CodeOf(err) != schemas.Invalid {
		t.Error(err)
	}
}

func TestForwardedWholes(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{Replies: []model.Response{
		{Text: "x", Usage: schemas.Usage{InputTokens: 5, OutputTokens: 6, CachedTokens: 2, ReasoningTokens: 1}},
		{Calls: []model.ToolCall{{ID: "c", Name: "f", Arguments: json.RawMessage(`{"a":1}`)}}},
	}})
	d := connect(t, Options{BaseURL: server.URL})
	for _, want := range []model.Response{
		{Text: "x", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 5, OutputTokens: 6, CachedTokens: 2, ReasoningTokens: 1}},
		{Calls: []model.ToolCall{{ID: "c", Name: "f", Arguments: json.RawMessage(`{"a":1}`)}}, Finish: model.FinishTool},
	} {
		out, data, got, err := forwarded(t, d, model.ChatCompletions, modeltest.ChatModel, `{"model":"a","messages":[{"role":"user","content":"q"}]}`)
		want.ID, want.Model, want.Fingerprint = got.ID, modeltest.ChatModel+"-2023-11-14", "fp_test"
		if diff := gocmp.Diff(want, got); diff != "" || err != nil || len(data) != 1 || out != data[0] {
			t.Errorf("%v: %s\n%s", err, out, diff)
		}
	}
	out, _, got, err := forwarded(t, d, model.Embeddings, modeltest.EmbedModel, `{"model":"a","input":["one two","three"],"encoding_format":"base64","dimensions":8}`)
	if err != nil || got.Usage.InputTokens != 3 || got.Model != modeltest.EmbedModel || !strings.Contains(out, `"embedding":"`) {
		t.Errorf("%s, %+v, %v", out, got, err)
	}
	if _, _, _, err := forwarded(t, d, model.ChatCompletions, "gone", `{"messages":[{"role":"user","content":"q"}]}`); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("%v", err)
	} else if report, ok := errors.AsType[*model.ReportedError](err); !ok || report.Status != 404 || !bytes.Contains(report.Body, []byte("model_not_found")) {
		t.Errorf("%+v", report)
	}
}

func TestWhatIsForwarded(t *testing.T) {
	t.Parallel()
	official, responses := connect(t, Options{}), connect(t, Options{API: Responses})
	for _, test := range []struct {
		d    *Driver
		op   model.Operation
		name string
		want bool
	}{
		{official, model.ChatCompletions, "gpt-5-mini", true},
		{official, model.ChatCompletions, "gpt-5-pro", false},
		{responses, model.ChatCompletions, "gpt-5-mini", false},
		{responses, model.Embeddings, "text-embedding-3-small", true},
		{official, model.Messages, "gpt-5-mini", false},
	} {
		if got := test.d.Forwards(test.op, test.name); got != test.want {
			t.Errorf("%s of %s: %v", test.op, test.name, got)
		}
	}
	p := &model.Provider{Name: "p", Driver: official}
	if _, err := p.Forward(t.Context(), model.ForwardRequest{Operation: model.Messages}, nil, nil); schemas.CodeOf(err) != schemas.Invalid || p.Forwards(model.Messages, "") {
		t.Errorf("%v", err)
	}
}
