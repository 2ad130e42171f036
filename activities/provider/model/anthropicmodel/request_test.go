package anthropicmodel

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

const whole = `{"id":"msg_1","model":"m","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`

// sent returns the body that a driver sends.
func sent(t *testing.T, request model.Request) map[string]any {
	t.Helper()
	tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Whole(200, whole)}}
	if _, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), request, nil); err != nil {
		t.Fatal(err)
	}
	return tape.Sent()[0].Body.(map[string]any)
}

func TestConversation(t *testing.T) {
	t.Parallel()
	temperature := 0.5
	request := model.Request{
		Model: "claude-sonnet-4-5", Temperature: &temperature, TopK: 7, Stop: []string{"END"}, ToolChoice: "look",
		Tools: []model.Tool{{Name: "look", Description: "Looks.", Parameters: json.RawMessage(`{"type":"object"}`)}, {Name: "wait"}},
		Messages: []model.Message{
			{Role: "system", Text: "Be brief."},
			{Role: "user", Text: "What is this?", Media: []model.Media{
				{Type: "image/png", Data: []byte{1, 2, 3}},
				{Type: "image/jpeg", URL: "https://example.org/a.jpg"},
				{Type: "application/pdf", Data: []byte("%PDF")},
				{Type: "text/markdown", Data: []byte("# a")},
			}},
			{Role: "assistant", Calls: []model.ToolCall{
				{ID: "c1", Name: "look", Arguments: json.RawMessage(`{"at":1}`)}, {ID: "c2", Name: "wait", Arguments: json.RawMessage(`{}`)},
			}},
			{Role: "tool", CallID: "c1", Text: "a cat"},
			{Role: "tool", CallID: "c2", Text: "no time", Failed: true},
			{Role: "user", Text: "And?"},
			{Role: "assistant"},
			{Role: "system", Text: "Be kind."},
		},
	}
	var want any
	wiretest.Decode(t, []byte(`{
		"model": "claude-sonnet-4-5", "max_tokens": 4096, "temperature": 0.5, "top_k": 7, "stop_sequences": ["END"],
		"system": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
		"tools": [
			{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}},
			{"name": "wait", "input_schema": {"type": "object", "properties": {}}, "cache_control": {"type": "ephemeral"}}
		],
		"tool_choice": {"type": "tool", "name": "look"},
		"messages": [
			{"role": "user", "content": [
				{"type": "text", "text": "What is this?"},
				{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AQID"}},
				{"type": "image", "source": {"type": "url", "url": "https://example.org/a.jpg"}},
				{"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}},
				{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# a"}}
			]},
			{"role": "assistant", "content": [
				{"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}},
				{"type": "tool_use", "id": "c2", "name": "wait", "input": {}}
			]},
			{"role": "user", "content": [
				{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "a cat"}]},
				{"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "no time"}], "is_error": true},
				{"type": "text", "text": "And?"}
			]}
		]
	}`), &want)
	if diff := cmp.Diff(want, any(sent(t, request))); diff != "" {
		t.Error(diff)
	}
}

func TestMediaThatCannotBeRead(t *testing.T) {
	t.Parallel()
	request := model.Request{Model: "m", Messages: []model.Message{{Role: "user", Media: []model.Media{{Type: "audio/wav", Data: []byte{1}}}}}}
	if _, err := connect(t, Options{}).Generate(t.Context(), request, nil); schemas.CodeOf(err) != schemas.Invalid {
		t.Error(err)
	}
}

func TestToolChoice(t *testing.T) {
	t.Parallel()
	tools := []model.Tool{{Name: "look"}}
	schema := json.RawMessage(`{"type":"object"}`)
	for name, test := range map[string]struct {
		request model.Request
		want    any
	}{
		"no tools":            {model.Request{ToolChoice: model.ToolRequired}, nil},
		"auto":                {model.Request{Tools: tools, ToolChoice: model.ToolAuto}, nil},
		"none":                {model.Request{Tools: tools, ToolChoice: model.ToolNone}, map[string]any{"type": "none"}},
		"required":            {model.Request{Tools: tools, ToolChoice: model.ToolRequired}, map[string]any{"type": "any"}},
		"named":               {model.Request{Tools: tools, ToolChoice: "look"}, map[string]any{"type": "tool", "name": "look"}},
		"schema":              {model.Request{Schema: schema}, map[string]any{"type": "tool", "name": "output"}},
		"named schema":        {model.Request{Schema: schema, SchemaName: "answer"}, map[string]any{"type": "tool", "name": "answer"}},
		"odd name":            {model.Request{Schema: schema, SchemaName: "an answer"}, map[string]any{"type": "tool", "name": "structured_output"}},
		"taken name":          {model.Request{Schema: schema, SchemaName: "look", Tools: tools, ToolChoice: "none"}, map[string]any{"type": "tool", "name": "structured_output"}},
		"schema or tools":     {model.Request{Schema: schema, Tools: tools}, map[string]any{"type": "any"}},
		"tool before schema":  {model.Request{Schema: schema, Tools: tools, ToolChoice: "look"}, map[string]any{"type": "tool", "name": "look"}},
		"schema and no tools": {model.Request{Schema: schema, Tools: tools, ToolChoice: "none"}, map[string]any{"type": "tool", "name": "output"}},
	} {
		test.request.Model, test.request.Messages = "m", user("m", "x").Messages
		if diff := cmp.Diff(test.want, sent(t, test.request)["tool_choice"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEffort(t *testing.T) {
	t.Parallel()
	budget := func(n float64) any { return map[string]any{"type": "enabled", "budget_tokens": n} }
	adaptive := map[string]any{"type": "adaptive"}
	half := 0.5
	for name, test := range map[string]struct {
		request   model.Request
		thinking  any
		effort    string
		maxTokens float64
		samples   bool
	}{
		"none asked":        {model.Request{Model: "claude-sonnet-4-5"}, nil, "", 4096, true},
		"too old":           {model.Request{Model: "claude-3-5-sonnet-20240620", Effort: "high"}, nil, "", 4096, true},
		"budget":            {model.Request{Model: "claude-3-7-sonnet-20250219", Effort: "low"}, budget(2048), "", 6144, false},
		"half of the bound": {model.Request{Model: "claude-opus-4-20250514", Effort: "high", MaxTokens: 3000}, budget(1500), "", 3000, false},
		"no room":           {model.Request{Model: "claude-haiku-4-5-20251001", Effort: "high", MaxTokens: 2000}, nil, "", 2000, true},
		"a forced tool wins": {
			model.Request{Model: "claude-opus-4-5", Effort: "low", MaxTokens: 9000, Schema: json.RawMessage(`{}`)}, nil, "", 9000, true,
		},
		"adaptive": {model.Request{Model: "claude-opus-4-6", Effort: "minimal"}, adaptive, "low", 5120, false},
		"adaptive and forced": {
			model.Request{Model: "claude-sonnet-5", Effort: "high", Schema: json.RawMessage(`{}`), MaxTokens: 500}, adaptive, "high", 500, false,
		},
		"no sampling": {model.Request{Model: "claude-opus-4-7"}, nil, "", 4096, false},
		"unknown":     {model.Request{Model: "claude-mythos-preview", Effort: "medium"}, adaptive, "medium", 12288, false},
	} {
		test.request.Messages, test.request.Temperature = user("m", "x").Messages, &half
		got := sent(t, test.request)
		var output any
		if test.effort != "" {
			output = map[string]any{"effort": test.effort}
		}
		for field, want := range map[string]any{"thinking": test.thinking, "output_config": output, "max_tokens": test.maxTokens} {
			if diff := cmp.Diff(want, got[field]); diff != "" {
				t.Errorf("%s: %s: %s", name, field, diff)
			}
		}
		if _, ok := got["temperature"]; ok != test.samples {
			t.Errorf("%s: temperature %v", name, got["temperature"])
		}
	}
}

func TestStateComesBack(t *testing.T) {
	t.Parallel()
	events := `data: {"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":5,"cache_read_input_tokens":7,"cache_creation_input_tokens":11}}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm. "}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Yes."}}

data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}

data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"eA=="}}

data: {"type":"content_block_start","index":2,"content_block":{"type":"text","text":"Let me look."}}

data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"c1","name":"look","input":{}}}

data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9,"output_tokens_details":{"thinking_tokens":4}}}

data: {"type":"message_stop"}

`
	got := streamed(t, wiretest.Stream(events), user("m", "x"))
	usage := schemas.Usage{InputTokens: 23, OutputTokens: 9, CachedTokens: 7, WrittenTokens: 11, ReasoningTokens: 4}
	if diff := cmp.Diff(usage, got.Usage); diff != "" {
		t.Error(diff)
	}
	turn := model.Message{Role: "assistant", Text: got.Text, Calls: got.Calls, State: got.State}
	var verbatim, rebuilt any
	wiretest.Decode(t, []byte(`[
		{"type": "thinking", "thinking": "Hm. Yes.", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "eA=="},
		{"type": "text", "text": "Let me look."}, {"type": "tool_use", "id": "c1", "name": "look", "input": {}}
	]`), &verbatim)
	wiretest.Decode(t, []byte(`[{"type": "text", "text": "Let me see."}, {"type": "tool_use", "id": "c1", "name": "look", "input": {}}]`), &rebuilt)
	changed, foreign := turn, turn
	changed.Text = "Let me see."
	foreign.Text, foreign.State = "Let me see.", json.RawMessage(`{"gemini":[]}`)
	for name, test := range map[string]struct {
		turn model.Message
		want any
	}{"as it came": {turn, verbatim}, "changed": {changed, rebuilt}, "of another vendor": {foreign, rebuilt}} {
		request := user("m", "x")
		request.Messages = append(request.Messages, test.turn, model.Message{Role: "tool", CallID: "c1", Text: "a cat"})
		body := sent(t, request)
		if diff := cmp.Diff(test.want, body["messages"].([]any)[1].(map[string]any)["content"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestStateOfStructuredOutput(t *testing.T) {
	t.Parallel()
	request := user("claude-opus-4-6", "x")
	request.Schema = json.RawMessage(`{"type":"object"}`)
	got, err := once(t, wiretest.Whole(200, `{"id":"msg_1","stop_reason":"tool_use","content":[
		{"type":"thinking","thinking":"","signature":"c2ln"},{"type":"text","text":"Here it is."},{"type":"tool_use","id":"c1","name":"output","input":{"a":1}}]}`), request)
	if err != nil || got.Text != `{"a":1}` || got.Finish != model.FinishStop || len(got.Calls) != 0 || got.Model != "claude-opus-4-6" {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(`{"anthropic":[{"type":"thinking","thinking":"","signature":"c2ln"},{"type":"text","text":"{\"a\":1}"}]}`, string(got.State)); diff != "" {
		t.Error(diff)
	}
}

func TestATextInPlaceOfStructuredOutput(t *testing.T) {
	t.Parallel()
	request := user("m", "x")
	request.Schema = json.RawMessage(`{"type":"object"}`)
	got := streamed(t, wiretest.Stream(`data: {"type":"message_start","message":{"id":"msg_1"}}

data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":"I cannot."}}

data: {"type":"message_delta","delta":{"stop_reason":"refusal"}}

data: {"type":"message_stop"}

`), request)
	if got.Text != "I cannot." || got.Finish != model.FinishFilter {
		t.Errorf("%+v", got)
	}
}

func TestTheRequestNamesAResponseWithoutID(t *testing.T) {
	t.Parallel()
	response := wiretest.Whole(200, `{"content":[{"type":"text","text":"x"}],"stop_reason":"pause_turn"}`)
	response.Headers["request-id"] = "req_7"
	got, err := once(t, response, user("m", "x"))
	if diff := cmp.Diff(model.Response{ID: "req_7", Text: "x", Model: "m", Finish: model.FinishLength}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestNoEmbedder(t *testing.T) {
	t.Parallel()
	d := connect(t, Options{})
	if _, err := d.Embed(t.Context(), model.EmbedRequest{}); schemas.CodeOf(err) != schemas.NotFound {
		t.Error(err)
	}
	if _, err := d.Limits("m"); schemas.CodeOf(err) != schemas.NotFound {
		t.Error(err)
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

func TestRatesAreTold(t *testing.T) {
	t.Parallel()
	response := wiretest.Whole(200, whole)
	response.Headers["anthropic-ratelimit-requests-limit"], response.Headers["anthropic-ratelimit-requests-remaining"] = "50", "49"
	tape := &wiretest.Tape{Responses: []wiretest.Response{response}}
	var told []transport.Rates
	d := connect(t, Options{Client: tape.Client(), OnRates: func(r transport.Rates) { told = append(told, r) }})
	if _, err := d.Generate(t.Context(), user("m", "x"), nil); err != nil || len(told) != 1 || told[0].Requests.Limit != 50 || told[0].Requests.Remaining != 49 {
		t.Errorf("%+v, %v", told, err)
	}
}

func TestStreamsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	start := "data: {\"type\":\"message_start\",\"message\":{\"id\":\"i\",\"model\":\"m\"}}\n\n"
	open := func(block string) string {
		return "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":" + block + "}\n\n"
	}
	grow := func(field, piece string) string {
		return "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"" + field + "\":\"" + piece + "\"}}\n\n"
	}
	end := "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n"
	half := strings.Repeat("x", 9<<20)
	for name, test := range map[string]struct {
		stream string
		code   schemas.Code
	}{
		"no JSON":              {start + "data: {\n\n", schemas.Unavailable},
		"block before one":     {start + grow("text", "x"), schemas.Unavailable},
		"block twice":          {start + open(`{"type":"text"}`) + open(`{"type":"text"}`), schemas.Unavailable},
		"message in a message": {start + open(`{"type":"text"}`) + start, schemas.Unavailable},
		"nothing":              {"", schemas.Unavailable},
		"empty message":        {start + "data: {\"type\":\"message_stop\"}\n\n", schemas.Unavailable},
		"call of no JSON":      {start + open(`{"type":"tool_use","name":"f"}`) + grow("partial_json", "{") + end, schemas.MalformedOutput},
		"too much text":        {start + open(`{"type":"text"}`) + grow("text", half) + grow("text", half) + end, schemas.MalformedOutput},
		"too much thought":     {start + open(`{"type":"thinking"}`) + grow("thinking", half) + grow("thinking", half) + end, schemas.MalformedOutput},
	} {
		tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Stream(test.stream)}}
		_, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), user("m", "x"), func(model.Delta) {})
		if schemas.CodeOf(err) != test.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add("data: {\"type\":\"message_start\",\"message\":{\"id\":\"i\"}}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"name\":\"output\"}}\n\n"+
		"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"partial_json\":\"{\"}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens\"}}\n\n", true)
	f.Add("data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"a\"}}\n\ndata: {\"type\":\"message_start\"}\n\n", false)
	f.Add("data: {\"type\":\"content_block_delta\",\"index\":-1}\n\nevent: error\ndata: {\"error\":{\"type\":\"overloaded_error\"}}\n\n", false)
	f.Fuzz(func(t *testing.T, events string, schema bool) {
		tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Stream(events)}}
		request := user("m", "x")
		if schema {
			request.Schema = json.RawMessage(`{}`)
		}
		var emitted strings.Builder
		got, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), request, func(d model.Delta) { emitted.WriteString(d.Text) })
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
			if !json.Valid(c.Arguments) {
				t.Fatalf("%+v", c)
			}
		}
	})
}
