package anthropicmodel

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

const key = "sk-ant-test-1234567890"

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
func streamed(t *testing.T, response wiretest.Response, request model.Request) model.Response {
	t.Helper()
	return wiretest.Splits(t, response, func(client *http.Client, emit model.Emit) (model.Response, error) {
		return connect(t, Options{Client: client}).Generate(t.Context(), request, emit)
	})
}

func user(name, text string) model.Request {
	return model.Request{Model: name, Messages: []model.Message{{Role: model.RoleUser, Text: text}}}
}

func TestRecordedMessage(t *testing.T) {
	t.Parallel()
	rec := wiretest.Load(t, "anthropic/message-basic.json").Interactions[0]
	var body struct {
		Content []struct{ Text string }
	}
	wiretest.Decode(t, rec.Response.Body, &body)
	got, err := once(t, rec.Response, user("claude-3-opus-20240229", "x"))
	if diff := cmp.Diff(model.Response{
		Text: body.Content[0].Text, Model: "claude-3-opus-20240229", ID: "msg_01TPXhkPo8jy6yQMrMhjpiAE", Finish: model.FinishStop,
		Usage: schemas.Usage{InputTokens: 17, OutputTokens: 220},
	}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestRecordedToolCalls(t *testing.T) {
	t.Parallel()
	rec := wiretest.Load(t, "anthropic/tools.json").Interactions[0]
	got, err := once(t, rec.Response, user("claude-3-5-sonnet-20240620", "x"))
	if !strings.HasPrefix(got.Text, "Certainly! I'd be happy") || !strings.HasSuffix(got.Text, "for you.") {
		t.Errorf("text %q", got.Text)
	}
	got.Text = ""
	for i := range got.Calls {
		got.Calls[i].Arguments = compact(t, got.Calls[i].Arguments)
	}
	if diff := cmp.Diff(model.Response{
		Model: "claude-3-5-sonnet-20240620", ID: "msg_01RBkXFe9TmDNNWThMz2HmGt", Finish: model.FinishTool,
		Usage: schemas.Usage{InputTokens: 514, OutputTokens: 152},
		Calls: []model.ToolCall{
			{ID: "toolu_012r6TBCWjRHG71j6zruYyUL", Name: "get_weather", Arguments: json.RawMessage(`{"location":"New York, NY","unit":"fahrenheit"}`)},
			{ID: "toolu_01SkeBKkLCNYWNuivqFerGDd", Name: "get_time", Arguments: json.RawMessage(`{"timezone":"America/New_York"}`)},
		},
	}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// compact brings JSON into one spelling.
func compact(t *testing.T, data json.RawMessage) json.RawMessage {
	t.Helper()
	var v any
	wiretest.Decode(t, data, &v)
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRecordedStreams(t *testing.T) {
	t.Parallel()
	load := func(name string) wiretest.Response { return wiretest.Load(t, name).Interactions[0].Response }
	raw := func(name string) wiretest.Response {
		return wiretest.Stream(string(wiretest.Read(t, "anthropic/raw/"+name+".sse.txt")))
	}
	schema := user("m", "x")
	schema.Schema, schema.SchemaName = json.RawMessage(`{"type":"object"}`), "json"
	for name, test := range map[string]struct {
		stream  wiretest.Response
		request model.Request
		want    model.Response
	}{
		"message": {load("anthropic/message-stream.json"), user("m", "x"), model.Response{
			Model: "claude-3-haiku-20240307",
			ID:    "msg_01MXWxhWoPSgrYhjTuMDM6F1", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 17, OutputTokens: 171},
		}},
		"thinking": {load("anthropic/thinking-stream.json"), user("m", "x"), model.Response{
			Text: `The letter 'r' appears 3 times in the word "strawberry".`, Model: "claude-3-7-sonnet-20250219",
			ID: "msg_01SZKz6DEhWnfZcxPQDQz49Y", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 52, OutputTokens: 216},
		}},
		"tools": {load("anthropic/tools-stream.json"), user("m", "x"), model.Response{
			Model: "claude-3-5-sonnet-20240620",
			ID:    "msg_0138UNF3YbNp49KkqZtUBWqz", Finish: model.FinishTool, Usage: schemas.Usage{InputTokens: 506, OutputTokens: 153},
			Calls: []model.ToolCall{
				{ID: "toolu_014x5X91kx3fvdhpLvwXZWE2", Name: "get_weather", Arguments: json.RawMessage(`{"location": "San Francisco, CA", "unit": "celsius"}`)},
				{ID: "toolu_0121kXsENLvoDZ72LCuAnCCz", Name: "get_time", Arguments: json.RawMessage(`{"timezone": "America/Los_Angeles"}`)},
			},
		}},
		"raw text": {raw("basic_response"), user("m", "x"), model.Response{
			Text: "Hello there!", Model: "claude-3-opus-latest", ID: "msg_4QpJur2dWWDjF6C758FbBw5vm12BaVipnK", Finish: model.FinishStop,
			Usage: schemas.Usage{InputTokens: 11, OutputTokens: 6},
		}},
		"raw tool": {raw("tool_use_response"), user("m", "x"), model.Response{
			Text: "I'll check the current weather in Paris for you.", Model: "claude-sonnet-4-20250514", ID: "msg_019Q1hrJbZG26Fb9BQhrkHEr",
			Finish: model.FinishTool, Usage: schemas.Usage{InputTokens: 377, OutputTokens: 65},
			Calls: []model.ToolCall{{ID: "toolu_01NRLabsLyVHZPKxbKvkfSMn", Name: "get_weather", Arguments: json.RawMessage(`{"location": "Paris"}`)}},
		}},
		"raw refusal": {raw("refusal_response"), user("m", "x"), model.Response{
			Model: "claude-opus-4-7", ID: "msg_01RefusalTestMessage123456789", Finish: model.FinishFilter, Usage: schemas.Usage{InputTokens: 20},
		}},
		"raw cut in a call": {raw("incomplete_partial_json_response"), user("m", "x"), model.Response{
			Model: "claude-3-7-sonnet-20250219", ID: "msg_01UdjYBBipA9omjYhicnevgq", Finish: model.FinishLength,
			Usage: schemas.Usage{InputTokens: 450, OutputTokens: 124},
		}},
		"chunks text": {wiretest.Chunks(t, "vercel/anthropic/anthropic-text.chunks.txt"), user("m", "x"), model.Response{
			Model: "claude-sonnet-4-5-20250929", ID: "msg_01QC4g3HwBThD4BaNtBckFDJ", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 12, OutputTokens: 30},
		}},
		"chunks tool without arguments": {wiretest.Chunks(t, "vercel/anthropic/anthropic-tool-no-args.chunks.txt"), user("m", "x"), model.Response{
			Model: "claude-sonnet-4-5-20250929", ID: "msg_01GE2RKp1VYsPzdFs3sS9z5S",
			Finish: model.FinishTool, Usage: schemas.Usage{InputTokens: 565, OutputTokens: 48},
			Calls: []model.ToolCall{{ID: "toolu_01QE1WLsSVp5hy5Q3GmGTmjP", Name: "updateIssueList", Arguments: json.RawMessage(`{}`)}},
		}},
		"chunks structured": {wiretest.Chunks(t, "vercel/anthropic/anthropic-json-tool.1.chunks.txt"), schema, model.Response{
			Text:  `{"elements": [{"location": "San Francisco", "temperature": 58, "condition": "sunny"}]}`,
			Model: "claude-haiku-4-5-20251001", ID: "msg_01K2JbSUMYhez5RHoK9ZCj9U", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 849, OutputTokens: 47},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := streamed(t, test.stream, test.request)
			if hasState := got.State != nil; hasState != (name == "thinking") {
				t.Errorf("state %s", got.State)
			}
			got.State = nil
			if test.want.Text == "" {
				test.want.Text = deltas(t, test.stream.Text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// deltas joins the pieces of text in a stream.
func deltas(t *testing.T, stream string) string {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(stream) {
		data, ok := strings.CutPrefix(line, "data:")
		if !ok {
			continue
		}
		var e struct{ Delta struct{ Text string } }
		wiretest.Decode(t, []byte(data), &e)
		text.WriteString(e.Delta.Text)
	}
	return text.String()
}

func TestRecordedWholeAnswers(t *testing.T) {
	t.Parallel()
	schema := user("m", "x")
	schema.Schema, schema.SchemaName = json.RawMessage(`{"type":"object"}`), "json"
	for name, test := range map[string]struct {
		request model.Request
		want    model.Response
	}{
		"text": {user("m", "x"), model.Response{
			Model: "claude-sonnet-4-5-20250929", ID: "msg_01VdEjxAP5ahtHKrrRdNBteQ", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 12, OutputTokens: 29},
		}},
		"tool-no-args": {user("m", "x"), model.Response{
			Model: "claude-3-opus-20240229", ID: "msg_01GCBaV8gyWAYgMVggRqZbuQ", Finish: model.FinishTool, Usage: schemas.Usage{InputTokens: 602, OutputTokens: 93},
			Calls: []model.ToolCall{{ID: "toolu_01LRmxn9vGM1d2DZSDBowdZ1", Name: "updateIssueList", Arguments: json.RawMessage(`{}`)}},
		}},
		"json-tool.1": {schema, model.Response{
			Model: "claude-haiku-4-5-20251001", ID: "msg_0191iYfpERYfS27xLsdW2nbb", Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: 1151, OutputTokens: 87},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := wiretest.Read(t, "vercel/anthropic/anthropic-"+name+".json")
			var recorded struct {
				Content []struct {
					Text  string
					Input json.RawMessage
				}
			}
			wiretest.Decode(t, body, &recorded)
			test.want.Text = recorded.Content[0].Text + string(recorded.Content[0].Input)
			got, err := once(t, wiretest.Whole(200, string(body)), test.request)
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestRecordedOverload(t *testing.T) {
	t.Parallel()
	var cases []struct {
		Name    string
		Status  int
		Headers map[string]string
		Body    string
		Partial string `json:"partial_text"`
	}
	wiretest.Decode(t, wiretest.Read(t, "anthropic/overloaded.json"), &cases)
	if len(cases) != 3 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			tape := &wiretest.Tape{Responses: []wiretest.Response{{Status: c.Status, Headers: c.Headers, Text: c.Body}}}
			var emitted string
			_, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), user("m", "x"), func(d model.Delta) { emitted += d.Text })
			if schemas.CodeOf(err) != schemas.Unavailable || !strings.Contains(err.Error(), "Overloaded") || emitted != c.Partial {
				t.Errorf("%v; emitted %q", err, emitted)
			}
		})
	}
}

func TestRecordedCountTokensFailure(t *testing.T) {
	t.Parallel()
	rec := wiretest.Load(t, "anthropic/count-tokens-error.json").Interactions[0]
	_, err := once(t, rec.Response, user("claude-does-not-exist", "hello"))
	if schemas.CodeOf(err) != schemas.NotFound || !strings.Contains(schemas.SafeMessage(err), "claude-does-not-exist") {
		t.Error(err)
	}
}

func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"message-basic", "message-stream", "thinking-stream", "tools", "tools-stream"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := wiretest.Load(t, "anthropic/"+name+".json").Interactions[0]
			var recorded any
			wiretest.Decode(t, rec.Request.Body, &recorded)
			request, stream := portable(t, rec.Request.Body)
			tape := &wiretest.Tape{Responses: []wiretest.Response{rec.Response}}
			var emit model.Emit
			if stream {
				emit = func(model.Delta) {}
			}
			if _, err := connect(t, Options{Client: tape.Client(), NoCache: true}).Generate(t.Context(), request, emit); err != nil {
				t.Fatal(err)
			}
			sent := tape.Sent()[0]
			if diff := cmp.Diff(spelledOut(recorded), sent.Body); diff != "" {
				t.Errorf("-recorded +sent:\n%s", diff)
			}
			if sent.Path != "/v1/messages" || sent.Header.Get("X-Api-Key") != key || sent.Header.Get("Anthropic-Version") != "2023-06-01" {
				t.Errorf("%s %v", sent.Path, sent.Header)
			}
		})
	}
}

// portable reads a recorded request into the portable one that it could have been made of.
func portable(t *testing.T, body []byte) (request model.Request, stream bool) {
	t.Helper()
	var in struct {
		Model     string
		MaxTokens int `json:"max_tokens"`
		Messages  []struct {
			Role    string
			Content json.RawMessage
		}
		Tools []struct {
			Name, Description string
			Schema            json.RawMessage `json:"input_schema"`
		}
		Thinking *struct{}
		Stream   bool
	}
	wiretest.Decode(t, body, &in)
	request = model.Request{Model: in.Model, MaxTokens: in.MaxTokens}
	for _, m := range in.Messages {
		var blocks []struct{ Text string }
		var text string
		if json.Unmarshal(m.Content, &blocks) == nil {
			text = blocks[0].Text
		} else {
			wiretest.Decode(t, m.Content, &text)
		}
		request.Messages = append(request.Messages, model.Message{Role: m.Role, Text: text})
	}
	for _, tool := range in.Tools {
		request.Tools = append(request.Tools, model.Tool{Name: tool.Name, Description: tool.Description, Parameters: tool.Schema})
	}
	if in.Thinking != nil {
		request.Effort = "high"
	}
	return request, in.Stream
}

// spelledOut writes a message that is a bare text as its block, which the server takes for the same.
func spelledOut(body any) any {
	for _, m := range body.(map[string]any)["messages"].([]any) {
		turn := m.(map[string]any)
		if text, ok := turn["content"].(string); ok {
			turn["content"] = []any{map[string]any{"type": "text", "text": text}}
		}
	}
	return body
}

func TestFailures(t *testing.T) {
	t.Parallel()
	body := func(kind, message string) string {
		data, _ := json.Marshal(map[string]any{"type": "error", "error": map[string]string{"type": kind, "message": message}, "request_id": "req_1"})
		return string(data)
	}
	for name, test := range map[string]struct {
		status  int
		body    string
		retry   string
		code    schemas.Code
		tooLong bool
		schema  bool
		after   time.Duration
	}{
		"key":       {status: 401, body: body("authentication_error", "invalid x-api-key"), code: schemas.Unauthorized},
		"rights":    {status: 403, body: body("permission_error", "Your API key does not have permission to use the specified resource."), code: schemas.Unauthorized},
		"credit":    {status: 400, body: body("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), code: schemas.OverBudget},
		"own limit": {status: 400, body: body("invalid_request_error", "You have reached your specified API usage limits."), code: schemas.OverBudget},
		"billing":   {status: 402, body: body("billing_error", "x"), code: schemas.OverBudget},
		"pace":      {status: 429, body: body("rate_limit_error", "This request would exceed the rate limit for your organization"), retry: "17", code: schemas.RateLimited, after: 17 * time.Second},
		"overload":  {status: 529, body: body("overloaded_error", "Overloaded"), retry: "3", code: schemas.Unavailable, after: 3 * time.Second},
		"fault":     {status: 500, body: body("api_error", "Internal server error"), code: schemas.Unavailable},
		"timeout":   {status: 504, body: body("timeout_error", "x"), code: schemas.Deadline},
		"proxy":     {status: 502, body: "<html>Bad gateway</html>", code: schemas.Unavailable},
		"too long":  {status: 400, body: body("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"), code: schemas.Invalid, tooLong: true},
		"too long with the answer": {
			status: 400, body: body("invalid_request_error", "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"), code: schemas.Invalid, tooLong: true,
		},
		"too large": {status: 413, body: body("request_too_large", "Request exceeds the maximum size"), code: schemas.Invalid, tooLong: true},
		"filter":    {status: 400, body: body("invalid_request_error", "Output blocked by content filtering policy"), code: schemas.Refused},
		"schema": {
			status: 400, body: body("invalid_request_error", "tools.0.custom.input_schema.type: Input should be 'object'"), code: schemas.Invalid, schema: true,
		},
		"other": {status: 400, body: body("invalid_request_error", "messages: at least one message is required"), code: schemas.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response := wiretest.Response{Status: test.status, Headers: map[string]string{"retry-after": test.retry}, Text: test.body}
			request := user("m", "x")
			request.Schema = json.RawMessage(`{"type":"string"}`)
			_, err := once(t, response, request)
			if schemas.CodeOf(err) != test.code || model.IsContextTooLong(err) != test.tooLong || model.IsSchemaUnsupported(err) != test.schema {
				t.Errorf("%v: code %s", err, schemas.CodeOf(err))
			}
			if coded, ok := err.(*schemas.Error); !ok || coded.RetryAfter != test.after { //nolint:errorlint // drivers return it bare
				t.Errorf("retry after %v, want %v", coded.RetryAfter, test.after)
			}
		})
	}
}
