package openaimodel

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/cite"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// rich asks for all that a request can.
func rich() model.Request {
	half, seed := 0.5, int64(7)
	return model.Request{
		Model: "m", MaxTokens: 9, Temperature: &half, TopP: &half, TopK: 4, Seed: &seed, Effort: "low",
		Schema: json.RawMessage(`{"type":"object"}`), SchemaName: "thing",
		Tools: []model.Tool{{Name: "f", Description: "d", Parameters: json.RawMessage(`{"type":"object"}`)}, {Name: "g"}}, ToolChoice: "g",
		Messages: []model.Message{
			{Role: model.RoleSystem, Text: "s"},
			{Role: model.RoleUser, Text: "q", Media: []model.Media{
				{Type: "image/png", Data: []byte("png")}, {Type: "image/jpeg", URL: "https://example.org/a.jpg"}, {Type: "application/pdf", Data: []byte("pdf")},
			}},
			{Role: model.RoleAssistant, Text: "I call", Calls: []model.ToolCall{call("1", "f", `{"a":1}`)}, State: json.RawMessage(`{"other":1}`)},
			{Role: model.RoleTool, CallID: "1", Text: "7"},
			{Role: model.RoleAssistant, Calls: []model.ToolCall{call("2", "g", `{}`)}, State: json.RawMessage(`{"openai_items":[{"type":"reasoning","id":"rs"},{"type":"function_call","call_id":"2"}]}`)},
			{Role: model.RoleTool, CallID: "2", Text: ""},
		},
	}
}

// body returns what the driver sends for request.
func body(t *testing.T, o Options, request model.Request, emit model.Emit) any {
	t.Helper()
	p := &player{response: wiretest.Whole(200, `{"status":"completed","choices":[{"message":{"content":"x"}}]}`)}
	o.Client = &http.Client{Transport: p}
	if _, err := connect(t, o).Generate(t.Context(), request, emit); err != nil {
		t.Fatal(err)
	}
	return decoded(t, p.sent)
}

func TestChatRequest(t *testing.T) {
	t.Parallel()
	want := `{"model":"m","messages":[
		{"role":"system","content":"s"},
		{"role":"user","content":[{"type":"text","text":"q"},
			{"type":"image_url","image_url":{"url":"data:image/png;base64,cG5n"}},
			{"type":"image_url","image_url":{"url":"https://example.org/a.jpg"}},
			{"type":"file","file":{"filename":"document.pdf","file_data":"data:application/pdf;base64,cGRm"}}]},
		{"role":"assistant","content":"I call","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
		{"role":"tool","content":"7","tool_call_id":"1"},
		{"role":"assistant","tool_calls":[{"id":"2","type":"function","function":{"name":"g","arguments":"{}"}}]},
		{"role":"tool","content":"","tool_call_id":"2"}],
		"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}},
			{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}],
		"tool_choice":{"type":"function","function":{"name":"g"}},
		"max_completion_tokens":9,"temperature":0.5,"top_p":0.5,"seed":7,"reasoning_effort":"low",
		"response_format":{"type":"json_schema","json_schema":{"name":"thing","schema":{"type":"object"},"strict":false}},
		"stream":true,"stream_options":{"include_usage":true}}`
	got := body(t, Options{}, rich(), func(model.Delta) {})
	if diff := cmp.Diff(decoded(t, []byte(want)), got); diff != "" {
		t.Errorf("-want +sent:\n%s", diff)
	}
	elsewhere, ok := body(t, Options{BaseURL: "https://example.org/v1"}, rich(), nil).(map[string]any)
	if !ok || elsewhere["top_k"] != 4.0 || elsewhere["max_tokens"] != 9.0 || elsewhere["stream"] != nil {
		t.Errorf("to another server: %v", elsewhere)
	}
}

func TestResponsesRequest(t *testing.T) {
	t.Parallel()
	want := `{"model":"m","input":[
		{"role":"system","content":"s"},
		{"role":"user","content":[{"type":"input_text","text":"q"},
			{"type":"input_image","image_url":"data:image/png;base64,cG5n"},
			{"type":"input_image","image_url":"https://example.org/a.jpg"},
			{"type":"input_file","filename":"document.pdf","file_data":"data:application/pdf;base64,cGRm"}]},
		{"role":"assistant","content":"I call"},
		{"type":"function_call","call_id":"1","name":"f","arguments":"{\"a\":1}"},
		{"type":"function_call_output","call_id":"1","output":"7"},
		{"type":"reasoning","id":"rs"},{"type":"function_call","call_id":"2"},
		{"type":"function_call_output","call_id":"2","output":""}],
		"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":false},
			{"type":"function","name":"g","parameters":{"type":"object","properties":{}},"strict":false}],
		"tool_choice":{"type":"function","name":"g"},"max_output_tokens":9,"temperature":0.5,"top_p":0.5,"reasoning":{"effort":"low"},
		"text":{"format":{"type":"json_schema","name":"thing","schema":{"type":"object"},"strict":false}},
		"include":["reasoning.encrypted_content"],"store":false,"stream":true}`
	got := body(t, Options{API: Responses}, rich(), func(model.Delta) {})
	if diff := cmp.Diff(decoded(t, []byte(want)), got); diff != "" {
		t.Errorf("-want +sent:\n%s", diff)
	}
}

func TestWhichAPI(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ base, api, model, want string }{
		{"", "", "gpt-5", Chat},
		{"", "", "o3", Chat},
		{"", "", "o1-preview", Chat},
		{"", "", "gpt-4o-mini", Chat},
		{"", "", "o1-pro", Responses},
		{"", "", "o3-pro-2025-06-10", Responses},
		{"", "", "gpt-5.2-codex", Responses},
		{"", "", "codex-mini-latest", Responses},
		{"", "", "o4-mini-deep-research", Responses},
		{"", "", "gpt-5-pro", Responses},
		{"", Chat, "o1-pro", Chat},
		{"", Responses, "gpt-5", Responses},
		{"https://openrouter.ai/api/v1", "", "o1-pro", Chat},
		{DefaultBaseURL + "/", "", "o1-pro", Responses},
	} {
		if got := connect(t, Options{BaseURL: test.base, API: test.api}).apiOf(test.model); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestWhatTheAPIsCannotDo(t *testing.T) {
	t.Parallel()
	user := func(media model.Media) model.Request {
		return model.Request{Model: "m", Messages: []model.Message{{Role: model.RoleUser, Media: []model.Media{media}}}}
	}
	tool := user(model.Media{Type: "image/png", Data: []byte("x")})
	tool.Messages[0].Role = model.RoleTool
	stop := hello
	stop.Stop = []string{"x"}
	for name, test := range map[string]struct {
		api     string
		request model.Request
	}{
		"a document elsewhere":     {Chat, user(model.Media{Type: "application/pdf", URL: "https://example.org/a.pdf"})},
		"media of a tool":          {Chat, tool},
		"media of a tool, too":     {Responses, tool},
		"stop without a way to it": {Responses, stop},
	} {
		d, p := play(t, wiretest.Response{Status: 200}, test.api)
		if _, err := d.Generate(t.Context(), test.request, nil); schemas.CodeOf(err) != schemas.Invalid || p.sent != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSound(t *testing.T) {
	t.Parallel()
	request := model.Request{Model: "m", Messages: []model.Message{{Role: model.RoleUser, Media: []model.Media{{Type: "audio/mpeg", Data: []byte("mp3")}}}}}
	got := body(t, Options{}, request, nil)
	want := decoded(t, []byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"bXAz","format":"mp3"}}]}]}`))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestIsStrict(t *testing.T) {
	t.Parallel()
	for schema, want := range map[string]bool{
		string(cite.AnswerSchema()): true,
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`:                                                true,
		`{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`:                                                                             false,
		`{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}`:                                                   false,
		`{"type":"object","properties":{"a":{}},"required":["b"],"additionalProperties":false}`:                                                               false,
		`{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"}}},"required":["a"],"additionalProperties":false}`:                       false,
		`{"type":"object","properties":{},"required":[],"additionalProperties":false,"$defs":{"x":{"type":"object","properties":{"a":{}},"required":["a"]}}}`: false,
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"object"}]}},"required":["a"],"additionalProperties":false}`:                    false,
		`{"type":"object","properties":{},"required":[],"additionalProperties":false}`:                                                                        true,
	} {
		if got := isStrict(json.RawMessage(schema)); got != want {
			t.Errorf("%s: %v", schema, got)
		}
	}
}

// picky declines a request that has a field of its list, in the words of one of the servers that do, and answers others.
type picky struct {
	refuses []string
	words   string // with FIELD
	answer  wiretest.Response
	calls   int
}

func (p *picky) RoundTrip(request *http.Request) (*http.Response, error) {
	p.calls++
	inner := &player{response: p.answer}
	var sent map[string]any
	if err := json.NewDecoder(request.Body).Decode(&sent); err != nil {
		return nil, err
	}
	for _, field := range p.refuses {
		if sent[field] != nil {
			inner.response = wiretest.Response{Status: 422, Body: json.RawMessage(strings.ReplaceAll(p.words, "FIELD", field))}
		}
	}
	return inner.RoundTrip(request)
}

func TestServersThatRefuseFields(t *testing.T) {
	t.Parallel()
	chunk := wiretest.Stream("data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	completed := wiretest.Stream("data: {\"type\":\"response.output_text.delta\",\"delta\":\"x\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n")
	for name, test := range map[string]struct {
		api    string
		server picky
		first  int // calls
	}{
		"OpenAI's words": {Chat, picky{[]string{"stream_options"}, `{"error":{"message":"Unknown parameter: 'FIELD'.","param":"FIELD"}}`, chunk, 0}, 2},
		"Mistral's, both": {Chat, picky{
			[]string{"stream_options", "top_k"},
			`{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","FIELD","x"],"msg":"Extra inputs are not permitted","input":true}]}}`, chunk, 0,
		}, 3},
		"encrypted reasoning": {Responses, picky{[]string{"include"}, `{"error":{"message":"Encrypted content is not supported with this model.","param":"include"}}`, completed, 0}, 2},
	} {
		server := &test.server
		d := connect(t, Options{BaseURL: "https://example.org/v1", API: test.api, Client: &http.Client{Transport: server}})
		request := hello
		request.TopK, request.Effort = 3, "low"
		for _, want := range []int{test.first, test.first + 1} {
			if resp, err := listened(t, d, request); err != nil || resp.Text != "x" || server.calls != want {
				t.Errorf("%s: %+v, %v after %d calls, want %d", name, resp, err, server.calls, want)
			}
		}
	}
	server := &picky{refuses: []string{"messages"}, words: `{"error":{"message":"Unknown parameter: 'FIELD'."}}`, answer: chunk}
	d := connect(t, Options{Client: &http.Client{Transport: server}})
	if _, err := d.Generate(t.Context(), hello, nil); schemas.CodeOf(err) != schemas.Invalid || server.calls != 1 {
		t.Errorf("a field that it cannot do without: %v after %d calls", err, server.calls)
	}
}
