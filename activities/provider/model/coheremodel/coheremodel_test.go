package coheremodel

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// sent returns the body that a driver sends.
func sent(t *testing.T, request model.Request) map[string]any {
	t.Helper()
	tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Whole(200, `{"finish_reason":"COMPLETE","message":{"content":[{"type":"text","text":"x"}]}}`)}}
	if _, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), request, nil); err != nil {
		t.Fatal(err)
	}
	return tape.Sent()[0].Body.(map[string]any)
}

func TestConversation(t *testing.T) {
	t.Parallel()
	half, seed := 0.5, int64(7)
	request := model.Request{
		Model: "command-a-reasoning-08-2025", MaxTokens: 100, Temperature: &half, TopP: &half, TopK: 7, Seed: &seed, Stop: []string{"END"}, Effort: "low",
		Schema: json.RawMessage(`{"type":"object"}`), ToolChoice: model.ToolRequired,
		Tools: []model.Tool{{Name: "look", Description: "Looks.", Parameters: json.RawMessage(`{"type":"object"}`)}, {Name: "wait"}},
		Messages: []model.Message{
			{Role: "system", Text: "Be brief."},
			{Role: "user", Text: "What is this?", Media: []model.Media{{Type: "image/png", Data: []byte{1, 2, 3}}, {Type: "image/png", URL: "https://example.org/a.png"}}},
			{Role: "assistant", Calls: []model.ToolCall{{ID: "c1", Name: "look", Arguments: json.RawMessage(`{"at":1}`)}}, State: json.RawMessage(`{"cohere":{"plan":"I will look.","thinking":"Hm."}}`)},
			{Role: "tool", CallID: "c1"},
			{Role: "assistant", Text: "A cat.", State: json.RawMessage(`{"anthropic":[]}`)},
		},
	}
	var want any
	wiretest.Decode(t, []byte(`{
		"model": "command-a-reasoning-08-2025", "max_tokens": 100, "temperature": 0.5, "p": 0.5, "k": 7, "seed": 7, "stop_sequences": ["END"], "stream": false,
		"thinking": {"type": "enabled", "token_budget": 2048}, "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
		"tool_choice": "REQUIRED", "tools": [
			{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}},
			{"type": "function", "function": {"name": "wait", "parameters": {"type": "object", "properties": {}}}}
		],
		"messages": [
			{"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
			{"role": "user", "content": [
				{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQID"}},
				{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
			]},
			{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}], "tool_plan": "I will look.",
				"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}}]},
			{"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": ""}]},
			{"role": "assistant", "content": [{"type": "text", "text": "A cat."}]}
		]
	}`), &want)
	if diff := cmp.Diff(want, any(sent(t, request))); diff != "" {
		t.Error(diff)
	}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	for wish, want := range map[string]struct {
		choice any
		tools  int
	}{
		"": {nil, 2}, model.ToolAuto: {nil, 2}, model.ToolNone: {"NONE", 2}, model.ToolRequired: {"REQUIRED", 2}, "look": {"REQUIRED", 1},
	} {
		request := user("m", "x")
		request.Tools, request.ToolChoice = []model.Tool{{Name: "look"}, {Name: "wait"}}, wish
		body := sent(t, request)
		if body["tool_choice"] != want.choice || len(body["tools"].([]any)) != want.tools {
			t.Errorf("%q: %v %v", wish, body["tool_choice"], body["tools"])
		}
	}
	request := user("m", "x")
	request.ToolChoice = model.ToolRequired
	if body := sent(t, request); body["tool_choice"] != nil {
		t.Errorf("without tools: %v", body["tool_choice"])
	}
}

func TestEffort(t *testing.T) {
	t.Parallel()
	for effort, want := range map[string]any{
		"": nil, "minimal": map[string]any{"type": "disabled"}, "medium": map[string]any{"type": "enabled", "token_budget": 8192.0},
		"high": map[string]any{"type": "enabled"},
	} {
		request := user("command-a-reasoning-08-2025", "x")
		request.Effort = effort
		if diff := cmp.Diff(want, sent(t, request)["thinking"]); diff != "" {
			t.Errorf("%s: %s", effort, diff)
		}
		request.Model = "command-a-03-2025"
		if got := sent(t, request)["thinking"]; got != nil {
			t.Errorf("%s: %v", effort, got)
		}
	}
}

func TestMediaThatCannotBeRead(t *testing.T) {
	t.Parallel()
	request := model.Request{Model: "m", Messages: []model.Message{{Role: "user", Media: []model.Media{{Type: "application/pdf", Data: []byte{1}}}}}}
	if _, err := connect(t, Options{}).Generate(t.Context(), request, nil); schemas.CodeOf(err) != schemas.Invalid {
		t.Error(err)
	}
}

var callEvents = `data: {"type":"message-start","id":"i","delta":{"message":{"role":"assistant","content":[],"tool_calls":[]}}}

data: {"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I will"}}}

data: {"type":"tool-plan-delta","delta":{"message":{"tool_plan":" look."}}}

data: {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":"H"}}}}

data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"m."}}}}

data: {"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"c1","type":"function","function":{"name":"look","arguments":""}}}}}

data: {"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"at\""}}}}}

data: {"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":": 1}"}}}}}

data: {"type":"tool-call-end","index":0}

data: {"type":"tool-call-start","index":1,"delta":{"message":{"tool_calls":{"id":"c2","type":"function","function":{"name":"wait","arguments":""}}}}}

data: {"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":1,"end":2,"text":"x"}}}}

data: {"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"tokens":{"input_tokens":9,"output_tokens":3},"cached_tokens":4}}}

`

func TestToolCalls(t *testing.T) {
	t.Parallel()
	want := model.Response{
		Model: "m", ID: "i", Finish: model.FinishTool, Usage: schemas.Usage{InputTokens: 9, OutputTokens: 3, CachedTokens: 4},
		Calls: []model.ToolCall{{ID: "c1", Name: "look", Arguments: json.RawMessage(`{"at": 1}`)}, {ID: "c2", Name: "wait", Arguments: json.RawMessage(`{}`)}},
		State: json.RawMessage(`{"cohere":{"plan":"I will look.","thinking":"Hm."}}`),
	}
	if diff := cmp.Diff(want, streamed(t, wiretest.Stream(callEvents))); diff != "" {
		t.Errorf("streamed: %s", diff)
	}
	got, err := once(t, wiretest.Whole(200, `{"id":"i","finish_reason":"TOOL_CALL","usage":{"tokens":{"input_tokens":9,"output_tokens":3},"cached_tokens":4},"message":{
		"tool_plan":"I will look.","content":[{"type":"thinking","thinking":"Hm."}],"tool_calls":[
		{"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\": 1}"}},{"id":"c2","type":"function","function":{"name":"wait","arguments":"{}"}}]}}`), user("m", "x"))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("whole: %v\n%s", err, diff)
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]struct {
		finish string
		code   schemas.Code
	}{
		"COMPLETE": {model.FinishStop, ""}, "STOP_SEQUENCE": {model.FinishStop, ""}, "MAX_TOKENS": {model.FinishLength, ""}, "ERROR_TOXIC": {model.FinishFilter, ""},
		"ERROR": {"", schemas.Unavailable}, "TIMEOUT": {"", schemas.Deadline}, "": {"", schemas.Unavailable},
	} {
		body := `{"finish_reason":"` + reason + `","message":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"a\":"}}]}}`
		if reason != "MAX_TOKENS" {
			body = `{"finish_reason":"` + reason + `","message":{"content":[{"type":"text","text":"x"}]}}`
		}
		got, err := once(t, wiretest.Whole(200, body), user("m", "x"))
		if got.Finish != want.finish || (err == nil) != (want.code == "") || err != nil && schemas.CodeOf(err) != want.code || len(got.Calls) > 0 {
			t.Errorf("%s: %+v, %v", reason, got, err)
		}
	}
	stream := `data: {"type":"message-end","delta":{"finish_reason":"ERROR","error":"out of memory"}}` + "\n\n"
	tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Stream(stream)}}
	_, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), user("m", "x"), func(model.Delta) {})
	if schemas.CodeOf(err) != schemas.Unavailable || !strings.Contains(err.Error(), "out of memory") {
		t.Error(err)
	}
	if _, err := once(t, wiretest.Whole(200, `{"finish_reason":"TOOL_CALL","message":{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"x"}}]}}`), user("m", "x")); schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Error(err)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status          int
		message         string
		code            schemas.Code
		after           time.Duration
		tooLong, schema bool
	}{
		"key":      {status: 401, message: "invalid api token", code: schemas.Unauthorized},
		"credit":   {status: 402, message: "please add or update your payment method", code: schemas.OverBudget},
		"a minute": {status: 429, message: "You are using a Trial key, which is limited to 10 API calls / minute.", code: schemas.RateLimited, after: 5 * time.Second},
		"a month":  {status: 429, message: "You are using a Trial key, which is limited to 1000 API calls / month.", code: schemas.OverBudget},
		"words":    {status: 498, message: "blocked output: please try again", code: schemas.Refused},
		"too long": {status: 400, message: "too many tokens: size limit exceeded by 11326 tokens.", code: schemas.Invalid, tooLong: true},
		"max tokens": {
			status: 400, message: "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model - received 8192.",
			code: schemas.Invalid,
		},
		"schema": {status: 400, message: "invalid request: response_format is not supported with this model", code: schemas.Invalid, schema: true},
		"fault":  {status: 500, message: "internal server error", code: schemas.Unavailable, after: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, _ := json.Marshal(map[string]string{"message": test.message, "id": "i"})
			response := wiretest.Whole(test.status, string(body))
			response.Headers["retry-after"] = "5"
			request := user("m", "x")
			request.Schema = json.RawMessage(`{"type":"object"}`)
			_, err := once(t, response, request)
			coded, ok := err.(*schemas.Error) //nolint:errorlint // drivers return it bare
			if !ok || coded.Code != test.code || coded.RetryAfter != test.after {
				t.Errorf("%#v", err)
			}
			if model.IsContextTooLong(err) != test.tooLong || model.IsSchemaUnsupported(err) != test.schema {
				t.Error(err)
			}
		})
	}
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	body := wiretest.Whole(200, `{"id":"i","embeddings":{"float":[[0.5,1],[2,3]]},"texts":["a","b"],"meta":{"billed_units":{"input_tokens":4}},"response_type":"embeddings_by_type"}`)
	tape := &wiretest.Tape{Responses: []wiretest.Response{body, body}}
	d := connect(t, Options{Client: tape.Client(), Limits: model.Limits{MaxInputs: 7}})
	got, err := d.Embed(t.Context(), model.EmbedRequest{Model: "embed-v4.0", Inputs: []string{"a", "b"}, Dimensions: 256})
	if diff := cmp.Diff(model.EmbedResponse{Vectors: [][]float32{{0.5, 1}, {2, 3}}, Model: "embed-v4.0", Tokens: 4}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	want := map[string]any{
		"model": "embed-v4.0", "texts": []any{"a", "b"}, "input_type": "search_document", "embedding_types": []any{"float"}, "output_dimension": 256.0, "truncate": "NONE",
	}
	if diff := cmp.Diff(any(want), tape.Sent()[0].Body); diff != "" {
		t.Error(diff)
	}
	if _, err := d.Embed(t.Context(), model.EmbedRequest{Model: "embed-v4.0", Inputs: []string{"a"}}); schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Errorf("too many: %v", err)
	}
	for name, want := range map[string]model.Limits{
		"embed-v4.0":               {MaxInputs: 7, MaxInputTokens: 128_000, MaxTokensPerInput: 128_000, Dimensions: 1536, HybridAlpha: 0.5},
		"embed-multilingual-v3.0":  {MaxInputs: 7, MaxInputTokens: 65536, MaxTokensPerInput: 512, Dimensions: 1024, HybridAlpha: 0.5},
		"embed-english-light-v3.0": {MaxInputs: 7, MaxInputTokens: 65536, MaxTokensPerInput: 512, Dimensions: 384, HybridAlpha: 0.5},
		"other":                    {MaxInputs: 7, MaxInputTokens: 65536, MaxTokensPerInput: 512, HybridAlpha: 0.5},
	} {
		got, err := d.Limits(name)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{BaseURL: "ftp://example.org"}, {APIKey: "a\n"}} {
		if _, err := New(o); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestStreamsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("x", 9<<20)
	delta := func(kind, message string) string {
		return `data: {"type":"` + kind + `","delta":{"message":` + message + `}}` + "\n\n"
	}
	twice := func(event string) string { return event + event }
	for name, test := range map[string]struct {
		stream string
		code   schemas.Code
	}{
		"nothing":            {"", schemas.Unavailable},
		"content of a list":  {delta("content-delta", `{"content":[]}`), schemas.Unavailable},
		"no content":         {delta("content-delta", `{}`), schemas.Unavailable},
		"no call":            {delta("tool-call-start", `{"tool_calls":7}`), schemas.Unavailable},
		"a failure":          {`data: {"error":{"message":"overloaded","code":503}}` + "\n\n", schemas.Unavailable},
		"too much text":      {twice(delta("content-delta", `{"content":{"text":"`+half+`"}}`)), schemas.MalformedOutput},
		"too much thought":   {twice(delta("content-delta", `{"content":{"thinking":"`+half+`"}}`)), schemas.MalformedOutput},
		"too much of a plan": {twice(delta("tool-plan-delta", `{"tool_plan":"`+half+`"}`)), schemas.MalformedOutput},
		"too long a call":    {twice(delta("tool-call-delta", `{"tool_calls":{"function":{"arguments":"`+half+`"}}}`)), schemas.MalformedOutput},
	} {
		tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Stream(test.stream)}}
		_, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), user("m", "x"), func(model.Delta) {})
		if schemas.CodeOf(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add(callEvents)
	f.Add(`data: {"type":"content-delta","delta":{"message":{"content":{"text":"a"}}}}` + "\n\n" + `data: {"type":"message-end","delta":{"finish_reason":"MAX_TOKENS"}}` + "\n\n")
	f.Fuzz(func(t *testing.T, events string) {
		tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Stream(events)}}
		var emitted strings.Builder
		got, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), user("m", "x"), func(d model.Delta) { emitted.WriteString(d.Text) })
		if err != nil {
			if schemas.CodeOf(err) == schemas.Internal {
				t.Fatal(err)
			}
			return
		}
		if emitted.String() != got.Text || got.Finish == "" {
			t.Fatalf("%+v, emitted %q", got, emitted.String())
		}
		for _, c := range got.Calls {
			if c.ID == "" || !json.Valid(c.Arguments) {
				t.Fatalf("%+v", c)
			}
		}
	})
}
