package openaimodel

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// mended reads a stream that is recorded as one event a line, where some lines lack their last brace.
func mended(t *testing.T, name string) wiretest.Response {
	t.Helper()
	var text strings.Builder
	for line := range strings.Lines(wiretest.Chunks(t, name).Text) {
		if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok && !json.Valid([]byte(data)) {
			line = "data: " + data + "}\n"
		}
		text.WriteString(line)
	}
	return wiretest.Stream(text.String())
}

// player answers every call with a recorded response, read as split says, and keeps what was sent.
type player struct {
	response wiretest.Response
	split    func([]byte) io.Reader
	sent     []byte
}

func (p *player) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	p.sent = body
	header := http.Header{}
	for name, value := range p.response.Headers {
		header.Set(name, value)
	}
	read := p.split
	if read == nil {
		read = func(data []byte) io.Reader { return bytes.NewReader(data) }
	}
	return &http.Response{
		StatusCode: p.response.Status, Header: header, Body: io.NopCloser(read(p.response.Bytes())), Request: request,
	}, nil
}

// play returns a driver that gets this response.
func play(t *testing.T, response wiretest.Response, api string) (*Driver, *player) {
	t.Helper()
	p := &player{response: response}
	return connect(t, Options{Client: &http.Client{Transport: p}, API: api}), p
}

// listened generates with an Emit and checks that the pieces are the text, of a long one of which it returns the hash.
func listened(t *testing.T, d *Driver, request model.Request) (model.Response, error) {
	t.Helper()
	var pieces strings.Builder
	resp, err := d.Generate(t.Context(), request, func(delta model.Delta) { pieces.WriteString(delta.Text) })
	if err == nil && pieces.String() != resp.Text {
		t.Errorf("pieces %q of %q", pieces.String(), resp.Text)
	}
	if len(resp.Text) > 200 {
		resp.Text = "sha256:" + schemas.Hash([]byte(resp.Text))
	}
	return resp, err
}

func call(id, name, arguments string) model.ToolCall {
	return model.ToolCall{ID: id, Name: name, Arguments: json.RawMessage(arguments)}
}

func tokens(in, out int) schemas.Usage { return schemas.Usage{InputTokens: in, OutputTokens: out} }

// weather declares what the recorded calls call.
var weather = model.Request{
	Model: "m", Messages: []model.Message{{Role: model.RoleUser, Text: "q"}},
	Tools: []model.Tool{{Name: "weather"}, {Name: "cityAttractions"}, {Name: "get_weather"}, {Name: "get_current_weather"}},
}

func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	const mini, turbo, nano = "gpt-4o-mini-2024-07-18", "gpt-3.5-turbo-0125", "gpt-4.1-nano-2025-04-14"
	for _, test := range []struct {
		file, api string
		n         int
		want      model.Response
	}{
		{"openai/chat-basic.json", Chat, 0, model.Response{
			Text:  "Why did Opentelemetry break up with Tracing? Because it couldn't handle the baggage!",
			Model: turbo, Fingerprint: "fp_2b778c6b35", ID: "chatcmpl-908MD9ivBBLb6EaIjlqwFokntayQK", Finish: model.FinishStop, Usage: tokens(15, 19),
		}},
		{"openai/chat-basic.json", Chat, 3, model.Response{
			Text:  "Why did the opentelemetry developer go broke? \n\nBecause he couldn't track his expenses!",
			Model: turbo, ID: "chatcmpl-DPTMnBEiSFiGbsTeSSstpHetixHEm", Finish: model.FinishStop, Usage: tokens(15, 19),
		}},
		{"openai/chat-tool-calls.json", Chat, 0, model.Response{
			Calls: []model.ToolCall{
				call("call_JpNb8OiAkbIbHzDggfpdDHpi", "get_current_weather", `{"location": "Seattle, WA"}`),
				call("call_vaFQc3zK6hHTRZKXRI5Eo2cJ", "get_current_weather", `{"location": "San Francisco, CA"}`),
			},
			Model: mini, Fingerprint: "fp_0ba0d124f1", ID: "chatcmpl-ASYMU9Ntix7ePttk0MSuerJstef6U", Finish: model.FinishTool, Usage: tokens(75, 51),
		}},
		{"openai/chat-tool-calls.json", Chat, 1, model.Response{
			Text:  "Today, the weather in Seattle is 50 degrees and raining, while in San Francisco, it's 70 degrees and sunny.",
			Model: mini, Fingerprint: "fp_9b78b61c52", ID: "chatcmpl-ASYMVzdmBGDbUoHFmt6R16tdtZUzR", Finish: model.FinishStop, Usage: tokens(99, 25),
		}},
		{"openai/native-json-output.json", Chat, 0, model.Response{
			Calls: []model.ToolCall{call("call_PkRGedQNRFUzJp2R7dO7avWR", "get_user_country", `{}`)},
			Model: "gpt-4o-2024-08-06", Fingerprint: "fp_f5bdcc3276", ID: "chatcmpl-BSXjyBwGuZrtuuSzNCeaWMpGv2MZ3", Finish: model.FinishTool, Usage: tokens(71, 12),
		}},
		{"openai/native-json-output.json", Chat, 1, model.Response{
			Text: `{"city":"Mexico City","country":"Mexico"}`, Model: "gpt-4o-2024-08-06", Fingerprint: "fp_f5bdcc3276",
			ID: "chatcmpl-BSXjzYGu67dhTy5r8KmjJvQ4HhDVO", Finish: model.FinishStop, Usage: tokens(92, 15),
		}},
		{"openai/responses-basic.json", Responses, 0, model.Response{
			Text: "The capital of France is Paris.", Model: nano, ID: "resp_685ff88d1f7c8199980b00a1f8b7467b05baa2d6acc60d4f",
			Finish: model.FinishStop, Usage: tokens(14, 8),
		}},
		{"openai/responses-tool-calls.json", Responses, 0, model.Response{
			Calls: []model.ToolCall{
				call("call_tYDv1bhtioyX33juEGDY4D6H", "get_weather", `{"location":"London"}`),
				call("call_lC079UhGnLJngBlPQO0FS6sv", "get_weather", `{"location":"London"}`),
			},
			Model: nano, ID: "resp_685ff8928dc4819aac45e085ba66838101c537ddeff5c2a2", Finish: model.FinishTool, Usage: tokens(58, 44),
		}},
		{"vercel/openai-responses/openai-custom-tool.1.json", Responses, -1, model.Response{
			Calls: []model.ToolCall{call("call_custom_sql_001", "write_sql", `{"input":"SELECT * FROM users WHERE age \u003e 25"}`)},
			Model: "gpt-5.2-codex", ID: "resp_custom_tool_test_001", Finish: model.FinishTool, Usage: tokens(50, 20),
		}},
		{"vercel/openai-responses/parallel-tool-call-wrapper.1.json", Responses, -1, model.Response{
			Calls: []model.ToolCall{
				call("call_parallel_1", "weather", `{"location":"San Francisco"}`), call("call_parallel_2", "cityAttractions", `{"city":"Rome"}`),
			},
			Model: "gpt-5.4", ID: "resp_parallel", Finish: model.FinishTool, Usage: tokens(34, 28),
		}},
	} {
		response := wiretest.Response{Status: 200, Headers: map[string]string{"content-type": "application/json"}}
		if test.n < 0 {
			response.Body = wiretest.Read(t, test.file)
		} else {
			response = wiretest.Load(t, test.file).Interactions[test.n].Response
		}
		d, _ := play(t, response, test.api)
		whole, err := d.Generate(t.Context(), weather, nil)
		if diff := gocmp.Diff(test.want, whole); diff != "" || err != nil {
			t.Errorf("%s %d: %v\n%s", test.file, test.n, err, diff)
		}
		unstreamed, err := listened(t, d, weather) // a server that does not stream when it should
		if diff := gocmp.Diff(test.want, unstreamed); diff != "" || err != nil {
			t.Errorf("%s %d, asked to stream: %v\n%s", test.file, test.n, err, diff)
		}
	}
}

func TestRecordedRequestsAreWhatWeSend(t *testing.T) {
	t.Parallel()
	rec := wiretest.Load(t, "openai/chat-tool-calls.json")
	location := json.RawMessage(`{"type":"object","properties":{"location":{"type":"string","description":"The city and state, e.g. Boston, MA"}},"required":["location"],"additionalProperties":false}`)
	request := model.Request{
		Model: "gpt-4o-mini", ToolChoice: model.ToolAuto,
		Messages: []model.Message{
			{Role: model.RoleSystem, Text: "You're a helpful assistant."},
			{Role: model.RoleUser, Text: "What's the weather in Seattle and San Francisco today?"},
		},
		Tools: []model.Tool{{Name: "get_current_weather", Description: "Get the current weather in a given location", Parameters: location}},
	}
	d, p := play(t, rec.Interactions[0].Response, Chat)
	resp, err := d.Generate(t.Context(), request, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(decoded(t, rec.Interactions[0].Request.Body), decoded(t, p.sent)); diff != "" {
		t.Errorf("first: -recorded +sent:\n%s", diff)
	}
	request.Tools, request.ToolChoice = nil, ""
	request.Messages = append(request.Messages, model.Message{Role: model.RoleAssistant, Calls: resp.Calls},
		model.Message{Role: model.RoleTool, CallID: resp.Calls[0].ID, Text: "50 degrees and raining"},
		model.Message{Role: model.RoleTool, CallID: resp.Calls[1].ID, Text: "70 degrees and sunny"})
	if _, err := d.Generate(t.Context(), request, nil); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(decoded(t, rec.Interactions[1].Request.Body), decoded(t, p.sent)); diff != "" {
		t.Errorf("second: -recorded +sent:\n%s", diff)
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
	failures := map[string]struct {
		response wiretest.Response
		api      string
		code     schemas.Code
	}{
		"quota":           {wiretest.Response{Status: 429, Body: wiretest.Read(t, "vercel/openai-responses/openai-error.1.json")}, Responses, schemas.OverBudget},
		"quota, as 200":   {wiretest.Response{Status: 200, Headers: map[string]string{"content-type": "application/json"}, Body: wiretest.Read(t, "vercel/openai-responses/openai-error.1.json")}, Chat, schemas.OverBudget},
		"malformed":       {wiretest.Chunks(t, "vercel/openai-responses/parallel-tool-call-wrapper.1.chunks.txt"), Responses, schemas.Unavailable},
		"quota, streamed": {mended(t, "vercel/openai-responses/openai-error.1.chunks.txt"), Responses, schemas.OverBudget},
	}
	for name, code := range map[string]schemas.Code{
		"openai/chat-404.json": schemas.NotFound, "openai/embeddings-error.json": schemas.NotFound,
		"openai/responses-error.json": schemas.NotFound, "openrouter/429.json": schemas.RateLimited,
	} {
		for _, interaction := range wiretest.Load(t, name).Interactions {
			failures[name] = struct {
				response wiretest.Response
				api      string
				code     schemas.Code
			}{interaction.Response, Chat, code}
		}
	}
	for name, test := range failures {
		for _, emit := range []model.Emit{nil, func(model.Delta) {}} {
			if strings.HasPrefix(test.response.Text, "data:") && emit == nil {
				continue
			}
			d, _ := play(t, test.response, test.api)
			if _, err := d.Generate(t.Context(), weather, emit); schemas.CodeOf(err) != test.code {
				t.Errorf("%s: %v, want code %s", name, err, test.code)
			}
		}
	}
}

func TestRecordedRates(t *testing.T) {
	t.Parallel()
	var got []transport.Rates
	p := &player{response: wiretest.Load(t, "openai/chat-multi-tools-stream.json").Interactions[0].Response}
	d := connect(t, Options{Client: &http.Client{Transport: p}, OnRates: func(r transport.Rates) { got = append(got, r) }})
	if _, err := listened(t, d, weather); err != nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := transport.Rates{
		Model:    "m",
		Requests: transport.Rate{Limit: 10000, Remaining: 9992, Known: true, Reset: 66_779_000_000},
		Tokens:   transport.Rate{Limit: 200000, Remaining: 199961, Known: true, Reset: 11_000_000},
	}
	if diff := gocmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
}

func TestRecordedEmbeddings(t *testing.T) {
	t.Parallel()
	for name, dims := range map[string]int{"openai/embeddings-base64.json": 1536, "openai/embeddings-dimensions.json": 512} {
		d, _ := play(t, wiretest.Load(t, name).Interactions[0].Response, "")
		p := &model.Provider{Name: "openai", Driver: d}
		got, err := p.Embed(t.Context(), "acme", model.EmbedRequest{Model: "text-embedding-3-small", Inputs: []string{"x"}, Dimensions: dims})
		if err != nil {
			t.Fatal(name, err)
		}
		square := 0.0
		for _, x := range got.Vectors[0] {
			square += float64(x) * float64(x)
		}
		if square < 0.999 || square > 1.001 || got.Tokens == 0 || got.Model != "text-embedding-3-small" {
			t.Errorf("%s: squared length %v, %d tokens, model %q", name, square, got.Tokens, got.Model)
		}
	}
	d, _ := play(t, wiretest.Response{Status: 200, Body: wiretest.Read(t, "vercel/openai-embedding.json")}, "")
	got, err := d.Embed(t.Context(), model.EmbedRequest{Model: "m", Inputs: []string{"a", "b"}})
	if err != nil || len(got.Vectors) != 2 || got.Vectors[0][0] != 0.0057293195 || got.Vectors[1][4] != -0.0035253682 || got.Tokens != 12 {
		t.Errorf("%+v, %v", got, err)
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
