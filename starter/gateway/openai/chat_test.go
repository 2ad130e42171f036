package openai

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// backend keeps what it is asked and answers with what it has.
type backend struct {
	pieces []string
	resp   model.Response
	embed  model.EmbedResponse
	err    error

	asked      model.Request
	askedEmbed model.EmbedRequest
}

func (b *backend) Generate(_ context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	b.asked = request
	if emit != nil {
		for _, piece := range b.pieces {
			emit(model.Delta{Text: piece})
		}
	}
	return b.resp, b.err
}

func (b *backend) Embed(_ context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	b.askedEmbed = request
	return b.embed, b.err
}

var about = relay.About{ID: "run-1", Created: time.Unix(1700000000, 0), Name: "far/model"}

// translate reads a body, has the backend answer, and returns what was written.
func translate(t *testing.T, p relay.Protocol, body string, b *backend) (written string, pieces []model.Piece, resp model.Response, err error) {
	t.Helper()
	o, err := object.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	call, err := p.Translate(o, about)
	if err != nil {
		return "", nil, resp, err
	}
	resp, err = call(t.Context(), b, func(p model.Piece) error {
		written += string(p.Bytes)
		pieces = append(pieces, p)
		return nil
	})
	return written, pieces, resp, err
}

func TestRequestsAreTranslated(t *testing.T) {
	t.Parallel()
	half, seed := 0.5, int64(7)
	for name, test := range map[string]struct {
		body string
		want model.Request
	}{
		"settings": {
			`{"model":"m","messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":"q","name":"ann"}],"temperature":0.5,"top_p":0.5,
			"seed":7,"stop":["a","b"],"max_tokens":9,"max_completion_tokens":10,"reasoning_effort":"low","user":"u","metadata":{"a":"b"},"n":1,"logprobs":false,
			"logit_bias":{},"parallel_tool_calls":true,"frequency_penalty":0,"tools":null,"store":false,"service_tier":"auto","modalities":["text"]}`,
			model.Request{
				Messages:    []model.Message{{Role: "system", Text: "Be brief."}, {Role: "user", Text: "q"}},
				Temperature: &half, TopP: &half, Seed: &seed, Stop: []string{"a", "b"}, MaxTokens: 10, Effort: "low",
			},
		},
		"one stop sequence": {
			`{"model":"m","messages":[{"role":"user","content":"q"}],"stop":"a"}`,
			model.Request{Messages: []model.Message{{Role: "user", Text: "q"}}, Stop: []string{"a"}},
		},
		"tools": {
			`{"model":"m","messages":[
				{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
				{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
					{"id":"c2","type":"function","function":{"name":"f","arguments":""}}],"tenuto_state":{"s":1}},
				{"role":"tool","tool_call_id":"c1","content":"sunny"},{"role":"tool","tool_call_id":"c2","content":[{"type":"text","text":"cold"}]}],
			"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}}],
			"tool_choice":{"type":"function","function":{"name":"f"}}}`,
			model.Request{
				Messages: []model.Message{
					{Role: "user", Text: "a\nb"},
					{Role: "assistant", Calls: []model.ToolCall{{ID: "c1", Name: "f", Arguments: []byte(`{"x":1}`)}, {ID: "c2", Name: "f", Arguments: []byte(`{}`)}}, State: []byte(`{"s":1}`)},
					{Role: "tool", CallID: "c1", Text: "sunny"},
					{Role: "tool", CallID: "c2", Text: "cold"},
				},
				Tools: []model.Tool{{Name: "f", Description: "d", Parameters: []byte(`{"type":"object"}`)}}, ToolChoice: "f",
			},
		},
		"media": {
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AQI="}},{"type":"text","text":"q"},
				{"type":"image_url","image_url":{"url":"https://example.org/a.png?b=c"}},{"type":"image_url","image_url":{"url":"https://example.org/a"}},
				{"type":"input_audio","input_audio":{"data":"AQI=","format":"wav"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,AQI="}}]}]}`,
			model.Request{Messages: []model.Message{{Role: "user", Text: "q", Media: []model.Media{
				{Type: "image/png", Data: []byte{1, 2}},
				{Type: "image/png", URL: "https://example.org/a.png?b=c"},
				{Type: "image/jpeg", URL: "https://example.org/a"},
				{Type: "audio/wav", Data: []byte{1, 2}},
				{Type: "application/pdf", Data: []byte{1, 2}},
			}}}},
		},
		"a schema": {
			`{"model":"m","messages":[{"role":"user","content":"q"}],"response_format":{"type":"json_schema","json_schema":{"name":"out","strict":true,"schema":{"type":"object"}}}}`,
			model.Request{Messages: []model.Message{{Role: "user", Text: "q"}}, Schema: []byte(`{"type":"object"}`), SchemaName: "out"},
		},
		"any object": {
			`{"model":"m","messages":[{"role":"user","content":"q"}],"response_format":{"type":"json_object"},"tool_choice":"none"}`,
			model.Request{Messages: []model.Message{{Role: "user", Text: "q"}}, Schema: []byte(`{"type":"object"}`), ToolChoice: "none"},
		},
		"a refusal of before": {
			`{"model":"m","messages":[{"role":"assistant","refusal":"no"},{"role":"user","content":"q"}],"response_format":{"type":"text"},"tool_choice":null}`,
			model.Request{Messages: []model.Message{{Role: "assistant", Text: "no"}, {Role: "user", Text: "q"}}},
		},
	} {
		b := &backend{}
		_, _, _, err := translate(t, chat{}, test.body, b)
		if diff := cmp.Diff(test.want, b.asked); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestWhatCannotBeTranslated(t *testing.T) {
	t.Parallel()
	const question = `"messages":[{"role":"user","content":"q"}]`
	for name, test := range map[string]struct{ body, field, code string }{
		"an unknown field":         {`{` + question + `,"odd":1}`, "odd", "unsupported_parameter"},
		"several answers":          {`{` + question + `,"n":2}`, "n", "unsupported_parameter"},
		"log probabilities":        {`{` + question + `,"logprobs":true}`, "logprobs", "unsupported_parameter"},
		"a penalty":                {`{` + question + `,"frequency_penalty":0.5}`, "frequency_penalty", "unsupported_parameter"},
		"one tool at a time":       {`{` + question + `,"parallel_tool_calls":false}`, "parallel_tool_calls", "unsupported_parameter"},
		"a tool of OpenAI's":       {`{` + question + `,"tools":[{"type":"custom","custom":{"name":"x"}}]}`, "tools", "unsupported_value"},
		"a choice among tools":     {`{` + question + `,"tool_choice":{"type":"allowed_tools"}}`, "tool_choice", "unsupported_value"},
		"an unknown choice":        {`{` + question + `,"tool_choice":"maybe"}`, "tool_choice", "invalid_value"},
		"an unknown format":        {`{` + question + `,"response_format":{"type":"xml"}}`, "response_format", "invalid_value"},
		"no messages":              {`{"messages":[]}`, "messages", "missing_required_parameter"},
		"messages that are none":   {`{"messages":"q"}`, "messages", "invalid_type"},
		"a temperature in words":   {`{` + question + `,"temperature":"hot"}`, "temperature", "invalid_type"},
		"stop of numbers":          {`{` + question + `,"stop":[1]}`, "stop", "invalid_type"},
		"no tokens":                {`{` + question + `,"max_tokens":0}`, "max_completion_tokens", "integer_below_min_value"},
		"an unknown role":          {`{"messages":[{"role":"robot","content":"q"}]}`, "messages[0].role", "invalid_value"},
		"a function call":          {`{"messages":[{"role":"assistant","function_call":{"name":"f"}}]}`, "messages[0].function_call", "unsupported_parameter"},
		"content that is a number": {`{"messages":[{"role":"user","content":7}]}`, "messages[0].content", "invalid_type"},
		"an unknown part":          {`{"messages":[{"role":"user","content":[{"type":"video"}]}]}`, "messages[0].content[0]", "unsupported_value"},
		"a file elsewhere":         {`{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}`, "messages[0].content[0]", "unsupported_value"},
		"a broken image":           {`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,abc"}}]}]}`, "messages[0].content[0]", "invalid_value"},
		"arguments without JSON":   {`{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}]}`, "messages[0].tool_calls", "invalid_value"},
	} {
		_, _, _, err := translate(t, chat{}, test.body, &backend{})
		field, ok := errors.AsType[*relay.FieldError](err)
		if schemas.CodeOf(err) != schemas.Invalid || !ok || field.Field != test.field || field.Code != test.code {
			t.Errorf("%s: %v, %+v", name, err, field)
		}
	}
}

func TestAnswersAreWritten(t *testing.T) {
	t.Parallel()
	usage := schemas.Usage{InputTokens: 5, OutputTokens: 3, CachedTokens: 2, ReasoningTokens: 1}
	const tokens = `"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}`
	const head = `{"id":"chatcmpl-run-1","object":"chat.completion","created":1700000000,"model":"far/model","choices":[{"index":0,"message":`
	calls := []model.ToolCall{{ID: "c1", Name: "f", Arguments: json.RawMessage(`{"x":1}`)}}
	for name, test := range map[string]struct {
		resp model.Response
		want string
	}{
		"a text": {
			model.Response{Text: "hi", Finish: model.FinishLength, Usage: usage, Fingerprint: "fp"},
			head + `{"role":"assistant","content":"hi","refusal":null},"logprobs":null,"finish_reason":"length"}],` + tokens + `,"system_fingerprint":"fp"}`,
		},
		"a call": {
			model.Response{Calls: calls, Finish: model.FinishTool, Usage: usage, State: json.RawMessage(`{"s":1}`)},
			head + `{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}],"tenuto_state":{"s":1},` +
				`"content":null,"refusal":null},"logprobs":null,"finish_reason":"tool_calls"}],` + tokens + `}`,
		},
		"nothing": {
			model.Response{Finish: model.FinishFilter, Usage: usage},
			head + `{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":"content_filter"}],` + tokens + `}`,
		},
	} {
		got, pieces, resp, err := translate(t, chat{}, `{"messages":[{"role":"user","content":"q"}]}`, &backend{resp: test.resp})
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil || len(pieces) != 1 || !pieces[0].Last || !cmp.Equal(resp, test.resp) {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestStreamsAreWritten(t *testing.T) {
	t.Parallel()
	usage := schemas.Usage{InputTokens: 5, OutputTokens: 3}
	wrap := func(choice string) string {
		return `data: {"id":"chatcmpl-run-1","object":"chat.completion.chunk","created":1700000000,"model":"far/model","choices":[` + choice + "]}\n\n"
	}
	delta := func(delta, finish string) string {
		return wrap(`{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}`)
	}
	calls := []model.ToolCall{{ID: "c1", Name: "f", Arguments: json.RawMessage(`{"x":1}`)}, {ID: "c2", Name: "g", Arguments: json.RawMessage(`{}`)}}
	for name, test := range map[string]struct {
		options string
		b       backend
		want    string
	}{
		"a text": {
			``,
			backend{pieces: []string{"a ", "b"}, resp: model.Response{Text: "a b", Finish: model.FinishStop, Usage: usage}},
			delta(`{"role":"assistant","content":""}`, "null") + delta(`{"content":"a "}`, "null") + delta(`{"content":"b"}`, "null") + delta(`{}`, `"stop"`) + "data: [DONE]\n\n",
		},
		"calls, with usage": {
			`,"stream_options":{"include_usage":true}`,
			backend{resp: model.Response{Calls: calls, Finish: model.FinishTool, Usage: usage}},
			delta(`{"role":"assistant","content":""}`, "null") +
				delta(`{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},`+
					`{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]}`, "null") + delta(`{}`, `"tool_calls"`) +
				strings.Replace(wrap(``), "]}", `],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}`, 1) +
				"data: [DONE]\n\n",
		},
	} {
		got, pieces, _, err := translate(t, chat{}, `{"messages":[{"role":"user","content":"q"}],"stream":true`+test.options+`}`, &test.b)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		for i, p := range pieces {
			if last := i == len(pieces)-1; p.Last != last || (len(p.Data) == 0) != last {
				t.Errorf("%s: piece %d: %+v", name, i, p)
			}
		}
	}
}

// TestAStreamEndsWithItsCaller: the model is told, and the error is the caller's.
func TestAStreamEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	o, err := object.Parse([]byte(`{"messages":[{"role":"user","content":"q"}],"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	call, err := chat{}.Translate(o, about)
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("gone")
	heard := 0
	b := &backend{pieces: []string{"a", "b", "c"}, resp: model.Response{Text: "abc"}}
	if _, err := call(t.Context(), b, func(model.Piece) error { heard++; return gone }); !errors.Is(err, gone) || heard != 1 {
		t.Errorf("%v after %d pieces", err, heard)
	}
	broken := schemas.Errorf(schemas.Unavailable, "down")
	if _, _, _, err := translate(t, chat{}, `{"messages":[{"role":"user","content":"q"}],"stream":true}`, &backend{err: broken}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestEmbeddingsAreTranslated(t *testing.T) {
	t.Parallel()
	b := &backend{embed: model.EmbedResponse{Vectors: [][]float32{{1, -0.5}, {0, 2}}, Model: "e-1", Tokens: 3}}
	got, _, resp, err := translate(t, embeddings{}, `{"model":"m","input":["a b","c"],"dimensions":2,"user":"u"}`, b)
	const want = `{"data":[{"embedding":[1,-0.5],"index":0,"object":"embedding"},{"embedding":[0,2],"index":1,"object":"embedding"}],"model":"far/model","object":"list","usage":{"prompt_tokens":3,"total_tokens":3}}`
	if diff := cmp.Diff(want, got); diff != "" || err != nil || resp.Model != "e-1" || resp.Usage.InputTokens != 3 {
		t.Errorf("%v, %+v\n%s", err, resp, diff)
	}
	if diff := cmp.Diff(model.EmbedRequest{Inputs: []string{"a b", "c"}, Dimensions: 2}, b.askedEmbed); diff != "" {
		t.Error(diff)
	}
	got, _, _, err = translate(t, embeddings{}, `{"input":"a","encoding_format":"base64"}`, &backend{embed: model.EmbedResponse{Vectors: [][]float32{{1, -0.5}}}})
	if err != nil || !strings.Contains(got, `"embedding":"AACAPwAAAL8="`) {
		t.Errorf("%s, %v", got, err)
	}
	for body, field := range map[string]string{
		`{"input":[1,2]}`: "input", `{"input":[[1],[2]]}`: "input", `{"input":[]}`: "input", `{"input":null}`: "input", `{}`: "input", `{"input":"a","odd":1}`: "odd",
		`{"input":"a","dimensions":-1}`: "dimensions", `{"input":"a","encoding_format":"int8"}`: "encoding_format", `{"input":"a","dimensions":"2"}`: "dimensions",
	} {
		_, _, _, err := translate(t, embeddings{}, body, b)
		if found, ok := errors.AsType[*relay.FieldError](err); !ok || found.Field != field {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// FuzzTranslate: whatever a body says, it is translated or refused with a reason.
func FuzzTranslate(f *testing.F) {
	f.Add(`{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"tools":[{"type":"function","function":{"name":"f"}}]}`)
	f.Add(`{"messages":[null],"stop":null,"tool_choice":[],"response_format":{}}`)
	f.Add(`{"messages":[{"role":"assistant","tool_calls":[{}],"content":{}}],"stream":true}`)
	f.Fuzz(func(t *testing.T, body string) {
		o, err := object.Parse([]byte(body))
		if err != nil {
			return
		}
		for _, p := range []relay.Protocol{chat{}, embeddings{}} {
			call, err := p.Translate(o, about)
			if err != nil {
				if schemas.CodeOf(err) != schemas.Invalid || !json.Valid(p.Failure(err).Body) {
					t.Fatalf("%s: %v", body, err)
				}
				continue
			}
			_, err = call(t.Context(), &backend{embed: model.EmbedResponse{Vectors: [][]float32{{1}}}}, func(p model.Piece) error {
				if len(p.Data) > 0 && !json.Valid(p.Data) {
					t.Fatalf("%s: wrote %s", body, p.Data)
				}
				return nil
			})
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
		}
	})
}
