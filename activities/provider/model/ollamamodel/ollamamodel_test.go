package ollamamodel

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	chatModel, endlessModel, embedModel = "test-chat", "test-endless", "test-embed"
)

// serve starts a server that speaks Ollama's API and answers as modeltest does.
func serve(t *testing.T) *Driver {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/chat", chat)
	mux.HandleFunc("POST /api/embed", embed)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return connect(t, Options{BaseURL: server.URL})
}

func connect(t *testing.T, o Options) *Driver {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func reply(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func lacks(w http.ResponseWriter, name string) {
	reply(w, http.StatusNotFound, map[string]string{"error": fmt.Sprintf("model %q not found, try pulling it first", name)})
}

func chat(w http.ResponseWriter, r *http.Request) {
	var in chatRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	if in.Model != chatModel && in.Model != endlessModel {
		lacks(w, in.Model)
		return
	}
	request := model.Request{MaxTokens: in.Options.NumPredict, Schema: in.Format}
	for _, m := range in.Messages {
		request.Messages = append(request.Messages, model.Message{Role: m.Role, Text: m.Content})
	}
	for _, t := range in.Tools {
		request.Tools = append(request.Tools, model.Tool{Name: t.Function.Name, Parameters: t.Function.Parameters})
	}
	resp := modeltest.Answer(request)
	last := line{Model: in.Model, Done: true, Reason: "stop", PromptCnt: resp.Usage.InputTokens, EvalCnt: resp.Usage.OutputTokens}
	for _, c := range resp.Calls {
		call := toolCall{}
		call.Function.Name, call.Function.Arguments = c.Name, c.Arguments
		last.Message.ToolCalls = append(last.Message.ToolCalls, call)
	}
	if !in.Stream {
		last.Message.Content = resp.Text
		reply(w, http.StatusOK, last)
		return
	}
	chances := modeltest.LogProbs(resp.Text)
	for i, piece := range modeltest.Pieces(resp.Text) {
		said := line{Model: in.Model, Message: message{Role: "assistant", Content: piece}}
		if in.LogProbs {
			said.LogProbs = []token{{chances[i]}}
		}
		_ = json.NewEncoder(w).Encode(said)
	}
	for in.Model == endlessModel && r.Context().Err() == nil {
		_ = json.NewEncoder(w).Encode(line{Message: message{Content: "again "}})
		_ = http.NewResponseController(w).Flush()
	}
	_ = json.NewEncoder(w).Encode(last)
}

func embed(w http.ResponseWriter, r *http.Request) {
	var in embedRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Model != embedModel {
		lacks(w, in.Model)
		return
	}
	vectors := make([][]float32, len(in.Input))
	for i, text := range in.Input {
		vectors[i] = modeltest.Vector(text, cmp.Or(in.Dimensions, 64))
	}
	reply(w, http.StatusOK, map[string]any{"model": in.Model, "embeddings": vectors, "prompt_eval_count": len(in.Input)})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	modeltest.Run(t, modeltest.Target{
		Driver: serve(t), Generator: chatModel, Embedder: embedModel, Missing: "missing", Caller: chatModel, Endless: endlessModel,
	})
}

// canned answers every call with one body, read as split says, and keeps what was sent.
type canned struct {
	status int
	body   []byte
	split  func([]byte) io.Reader
	sent   []byte
}

func (c *canned) RoundTrip(request *http.Request) (*http.Response, error) {
	sent, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	c.sent = sent
	var body io.Reader = bytes.NewReader(c.body)
	if c.split != nil {
		body = c.split(c.body)
	}
	return &http.Response{StatusCode: cmp.Or(c.status, 200), Header: http.Header{}, Body: io.NopCloser(body), Request: request}, nil
}

func play(t *testing.T, c *canned) *Driver {
	t.Helper()
	return connect(t, Options{Client: &http.Client{Transport: c}})
}

// material reads the answer in a file of the test material. The test skips where there is none.
func material(t *testing.T, name string) []byte {
	t.Helper()
	response := wiretest.Load(t, "ollama/"+name).Interactions[0].Response
	if response.Text != "" {
		return []byte(response.Text)
	}
	var line bytes.Buffer // as the server sends it; the recording is indented
	if err := json.Compact(&line, response.Body); err != nil {
		t.Fatal(err)
	}
	return line.Bytes()
}

var hello = model.Request{Model: "llama3", Messages: []model.Message{{Role: model.RoleUser, Text: "Tell me a joke about OpenTelemetry"}}}

func TestRecorded(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		begins, ends, model string
		usage               schemas.Usage
	}{
		"chat.json":        {"A joke about OpenTelemetry!\n\nWhy", "to your face!)", "llama3", schemas.Usage{InputTokens: 17, OutputTokens: 66}},
		"chat-stream.json": {"Why did the OpenTelemetry agent", "to your face!)", "llama3", schemas.Usage{InputTokens: 17, OutputTokens: 50}},
		"chat-tools.json":  {"This is a simple example", "(e.g., Celsius).", "llama3.1", schemas.Usage{InputTokens: 44, OutputTokens: 113}},
		"generate.json":    {"A niche topic!\n\nHere's one", "to your face!)", "llama3", schemas.Usage{InputTokens: 17, OutputTokens: 63}},
	} {
		c := &canned{body: material(t, name)}
		d := play(t, c)
		for i := range len(c.body) + 1 {
			c.split = func(data []byte) io.Reader {
				return io.MultiReader(bytes.NewReader(data[:i]), bytes.NewReader(data[i:]))
			}
			var pieces strings.Builder
			got, err := d.Generate(t.Context(), hello, func(delta model.Delta) { pieces.WriteString(delta.Text) })
			if err != nil || !strings.HasPrefix(got.Text, want.begins) || !strings.HasSuffix(got.Text, want.ends) || pieces.String() != got.Text {
				t.Fatalf("%s split at %d: %q, %v", name, i, got.Text, err)
			}
			if whole, err := play(t, &canned{body: c.body}).Generate(t.Context(), hello, nil); i == 0 && name != "chat-stream.json" && !gocmp.Equal(got, whole) {
				t.Errorf("%s, not streamed: %+v, %v", name, whole, err)
			}
			got.Text = ""
			if diff := gocmp.Diff(model.Response{Model: want.model, Finish: model.FinishStop, Usage: want.usage}, got); diff != "" {
				t.Fatalf("%s split at %d:\n%s", name, i, diff)
			}
		}
	}
}

func TestAStreamThatIsCut(t *testing.T) {
	t.Parallel()
	whole := material(t, "chat-stream.json")
	last := bytes.LastIndexByte(bytes.TrimSpace(whole), '\n')
	for i := 0; i < last; i += 37 {
		d := play(t, &canned{body: whole[:i]})
		if got, err := d.Generate(t.Context(), hello, func(model.Delta) {}); schemas.CodeOf(err) != schemas.Unavailable {
			t.Fatalf("cut at %d: %+v, %v", i, got, err)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		code   schemas.Code
		is     error
	}{
		"no model":        {404, `{"error":"model \"x\" not found, try pulling it first"}`, schemas.NotFound, nil},
		"in the stream":   {200, "{\"message\":{\"content\":\"a\"}}\n{\"error\":\"llama runner has terminated\"}\n", schemas.Unavailable, nil},
		"busy":            {503, `{"error":"server busy, please try again. maximum pending requests exceeded"}`, schemas.Unavailable, nil},
		"too long":        {400, `{"error":"the input length exceeds the context length"}`, schemas.Invalid, model.ErrContextTooLong},
		"no tools":        {400, `{"error":"llama3 does not support tools"}`, schemas.Invalid, nil},
		"broken line":     {200, "{\"message\":{\"content\":\"a\"}}\n{\"mess\n", schemas.Unavailable, nil},
		"odd arguments":   {200, `{"message":{"tool_calls":[{"function":{"name":"f","arguments":"x"}}]},"done":true}`, schemas.MalformedOutput, nil},
		"nothing":         {200, "", schemas.Unavailable, nil},
		"unknown, as 500": {500, `{"error":"boom"}`, schemas.Unavailable, nil},
	} {
		for _, emit := range []model.Emit{nil, func(model.Delta) {}} {
			if strings.Contains(test.body, "\n") && emit == nil {
				continue
			}
			_, err := play(t, &canned{status: test.status, body: []byte(test.body)}).Generate(t.Context(), hello, emit)
			if schemas.CodeOf(err) != test.code || (test.is != nil) != errors.Is(err, test.is) {
				t.Errorf("%s: %v, want code %s", name, err, test.code)
			}
		}
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	half, seed := 0.5, int64(3)
	c := &canned{body: []byte(`{"model":"m","message":{"content":"","thinking":"hm","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":true}`)}
	d := connect(t, Options{Client: &http.Client{Transport: c}, ContextTokens: 4096})
	request := model.Request{
		Model: "m", MaxTokens: 9, Temperature: &half, TopP: &half, TopK: 4, Seed: &seed, Stop: []string{"x"}, Effort: "minimal",
		Schema: json.RawMessage(`{"type":"object"}`), Tools: []model.Tool{{Name: "g"}, {Name: "f", Description: "d"}}, ToolChoice: "f",
		Messages: []model.Message{{Role: model.RoleUser, Text: "q", Media: []model.Media{{Type: "image/png", Data: []byte("png")}}}},
	}
	resp, err := d.Generate(t.Context(), request, nil)
	if err != nil || resp.Calls[0].ID != "call_1_f" || string(resp.Calls[0].Arguments) != `{"a":1}` || resp.Finish != model.FinishTool {
		t.Fatalf("%+v, %v", resp, err)
	}
	request.Messages = append(request.Messages,
		model.Message{Role: model.RoleAssistant, Calls: resp.Calls, State: resp.State},
		model.Message{Role: model.RoleTool, CallID: resp.Calls[0].ID, Text: "7"},
		model.Message{Role: model.RoleAssistant, Text: "ok", State: json.RawMessage(`{"other":[1]}`)})
	if _, err := d.Generate(t.Context(), request, nil); err != nil {
		t.Fatal(err)
	}
	want := `{"model":"m","messages":[
		{"role":"user","content":"q","images":["cG5n"]},
		{"role":"assistant","content":"","thinking":"hm","tool_calls":[{"id":"call_1_f","function":{"name":"f","arguments":{"a":1}}}]},
		{"role":"tool","content":"7","tool_name":"f","tool_call_id":"call_1_f"},
		{"role":"assistant","content":"ok"}],
		"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}}}}],
		"format":{"type":"object"},"think":"low",
		"options":{"num_ctx":4096,"num_predict":9,"temperature":0.5,"top_p":0.5,"top_k":4,"seed":3,"stop":["x"]},
		"stream":false,"truncate":false}`
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(want), &a), json.Unmarshal(c.sent, &b)); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(a, b); diff != "" {
		t.Errorf("-want +sent:\n%s", diff)
	}
}

func TestToolsThatMustBeCalled(t *testing.T) {
	t.Parallel()
	d := play(t, &canned{body: []byte(`{"message":{"content":"no"},"done":true,"done_reason":"length"}`)})
	for choice, code := range map[string]schemas.Code{"": "", "auto": "", "none": "", "required": schemas.MalformedOutput, "f": schemas.MalformedOutput} {
		request := hello
		request.Tools, request.ToolChoice = []model.Tool{{Name: "f"}}, choice
		resp, err := d.Generate(t.Context(), request, nil)
		if code == "" && (err != nil || resp.Finish != model.FinishLength) || code != "" && schemas.CodeOf(err) != code {
			t.Errorf("choice %q: %+v, %v", choice, resp, err)
		}
	}
}

func TestMediaThatItDoesNotTake(t *testing.T) {
	t.Parallel()
	for _, media := range []model.Media{{Type: "application/pdf", Data: []byte("x")}, {Type: "image/png", URL: "https://example.org/a.png"}} {
		request := hello
		request.Messages = []model.Message{{Role: model.RoleUser, Media: []model.Media{media}}}
		if _, err := play(t, &canned{}).Generate(t.Context(), request, nil); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%+v: %v", media, err)
		}
	}
}

func TestVectorsThatDoNotFit(t *testing.T) {
	t.Parallel()
	d := play(t, &canned{body: []byte(`{"embeddings":[[1]]}`)})
	if _, err := d.Embed(t.Context(), model.EmbedRequest{Model: "m", Inputs: []string{"a", "b"}}); schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Errorf("%v", err)
	}
}

// FuzzRead: whatever a server sends, the answer is whole or the error has a code of the driver, and the pieces are the text.
func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"message\":{\"content\":\"a\"}}\n{\"done\":true}\n"))
	f.Add([]byte(`{"message":{"tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":true}`))
	f.Add([]byte(`{"error":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		client, err := transport.New(transport.Options{Base: DefaultBaseURL, Client: &http.Client{Transport: &canned{body: body}}})
		if err != nil {
			t.Fatal(err)
		}
		var pieces strings.Builder
		resp, err := (&Driver{client: client}).Generate(t.Context(), hello, func(d model.Delta) { pieces.WriteString(d.Text) })
		var coded *schemas.Error
		if err != nil && !errors.As(err, &coded) || err == nil && pieces.String() != resp.Text {
			t.Fatalf("%+v, %v", resp, err)
		}
	})
}
