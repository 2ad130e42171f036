package openaimodel

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// events is a response that streams data.
func events(data ...string) wiretest.Response {
	var text strings.Builder
	for _, d := range data {
		text.WriteString("data: " + d + "\n\n")
	}
	return wiretest.Stream(text.String())
}

func TestChatStreams(t *testing.T) {
	t.Parallel()
	const done = "[DONE]"
	piece := func(calls string) string { return `{"choices":[{"delta":{"tool_calls":[` + calls + `]}}]}` }
	two := []model.ToolCall{call("a", "f", `{"x":1}`), call("b", "g", `{}`)}
	unnamed := []model.ToolCall{call("call_1_f", "f", `{"x":1}`), call("call_2_g", "g", `{}`)}
	for name, test := range map[string]struct {
		response wiretest.Response
		want     model.Response
		code     schemas.Code
	}{
		"usage after the end": {
			events(`{"choices":[{"delta":{"content":"x"},"finish_reason":"length"}]}`,
				`{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}`, done),
			model.Response{Text: "x", Finish: model.FinishLength, Usage: schemas.Usage{InputTokens: 9, OutputTokens: 5, CachedTokens: 4, ReasoningTokens: 3}},
			"",
		},
		"no finish reason":  {events(`{"choices":[{"delta":{"content":"x"}}]}`, done), model.Response{Text: "x", Finish: model.FinishStop}, ""},
		"no [DONE]":         {events(`{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}`), model.Response{Text: "x", Finish: model.FinishStop}, ""},
		"neither":           {events(`{"choices":[{"delta":{"content":"x"}}]}`), model.Response{}, schemas.Unavailable},
		"no choice":         {events(done), model.Response{}, schemas.Unavailable},
		"refusal":           {events(`{"choices":[{"delta":{"refusal":"I can"}}]}`, `{"choices":[{"delta":{"refusal":"not"},"finish_reason":"stop"}]}`), model.Response{Text: "I cannot", Finish: model.FinishFilter}, ""},
		"filter":            {events(`{"choices":[{"delta":{"content":"x"},"finish_reason":"content_filter"}]}`), model.Response{Text: "x", Finish: model.FinishFilter}, ""},
		"numbered calls":    {events(piece(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}`), piece(`{"index":1,"id":"b","function":{"name":"g"}},{"index":0,"function":{"arguments":":1}"}}`), done), model.Response{Calls: two, Finish: model.FinishTool}, ""},
		"all numbered 0":    {events(piece(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}`), piece(`{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}`), done), model.Response{Calls: two, Finish: model.FinishTool}, ""},
		"no numbers":        {events(piece(`{"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"b","function":{"name":"g","arguments":"{}"}}`), done), model.Response{Calls: two, Finish: model.FinishTool}, ""},
		"nothing but names": {events(piece(`{"function":{"name":"f","arguments":{"x":1}}},{"function":{"name":"g"}}`), done), model.Response{Calls: unnamed, Finish: model.FinishTool}, ""},
		"the id comes late": {events(piece(`{"index":0,"function":{"name":"f","arguments":"{\"x\":"}}`), piece(`{"index":0,"id":"a","function":{"arguments":"1}"}}`), done), model.Response{Calls: two[:1], Finish: model.FinishTool}, ""},
		"broken arguments":  {events(piece(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}`), done), model.Response{}, schemas.MalformedOutput},
		"parts of Mistral":  {events(`{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"x"}]},"finish_reason":"stop"}]}`), model.Response{Text: "x", Finish: model.FinishStop}, ""},
		"an error inside":   {events(`{"choices":[{"delta":{"content":"x"}}]}`, `{"error":{"message":"slow","code":429}}`), model.Response{}, schemas.RateLimited},
		"of OpenRouter":     {events(`{"choices":[{"delta":{"content":""},"finish_reason":"error"}],"error":{"code":"server_error","message":"gone"}}`), model.Response{}, schemas.Unavailable},
		"of vLLM":           {events(`{"object":"error","message":"too long","code":400}`), model.Response{}, schemas.Invalid},
		"no JSON":           {events(`{"choices":`), model.Response{}, schemas.Unavailable},
		"a failed choice":   {wiretest.Whole(200, `{"choices":[{"finish_reason":"error","error":{"code":429,"message":"slow"},"message":{"content":""}}]}`), model.Response{}, schemas.RateLimited},
		"no choices, error": {wiretest.Whole(200, `{"choices":[],"error":{"code":503,"message":"slow"}}`), model.Response{}, schemas.Unavailable},
		"nothing":           {wiretest.Response{Status: 200}, model.Response{}, schemas.Unavailable},
		"a page":            {wiretest.Response{Status: 200, Headers: map[string]string{"content-type": "text/html"}, Text: "<html>Sign in"}, model.Response{}, schemas.Unavailable},
	} {
		d, _ := play(t, test.response, Chat)
		got, err := listened(t, d, hello)
		if diff := cmp.Diff(test.want, got); diff != "" || test.code != "" && schemas.CodeOf(err) != test.code || test.code == "" && err != nil {
			t.Errorf("%s: %v, want code %q\n%s", name, err, test.code, diff)
		}
	}
}

func TestResponsesStreams(t *testing.T) {
	t.Parallel()
	const (
		reasoned = `{"type":"reasoning","id":"rs","encrypted_content":"e","summary":[]}`
		called   = `{"type":"function_call","call_id":"1","name":"f","arguments":"{}"}`
		bare     = `{"type":"reasoning","id":"rs","summary":[]}`
	)
	item := func(n, item string) string {
		return `{"type":"response.output_item.done","output_index":` + n + `,"item":` + item + `}`
	}
	end := func(response string) string { return `{"type":"response.completed","response":` + response + `}` }
	for name, test := range map[string]struct {
		response wiretest.Response
		want     model.Response
		code     schemas.Code
	}{
		"reasoning is kept": {
			events(item("1", called), item("0", reasoned), end(`{"status":"completed","usage":{"input_tokens":5,"output_tokens":4,"input_tokens_details":{"cached_tokens":2},"output_tokens_details":{"reasoning_tokens":3}}}`)),
			model.Response{
				Calls: []model.ToolCall{call("1", "f", `{}`)}, Finish: model.FinishTool, State: json.RawMessage(`{"openai_items":[` + reasoned + `,` + called + `]}`),
				Usage: schemas.Usage{InputTokens: 5, OutputTokens: 4, CachedTokens: 2, ReasoningTokens: 3},
			},
			"",
		},
		"reasoning that nobody can read": {
			events(item("0", bare), item("1", called), end(`{"status":"completed"}`)),
			model.Response{Calls: []model.ToolCall{call("1", "f", `{}`)}, Finish: model.FinishTool},
			"",
		},
		"no pieces": {events(end(`{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}]}`)), model.Response{Text: "x", Finish: model.FinishStop}, ""},
		"no items":  {events(`{"type":"response.output_text.delta","delta":"x"}`, end(`{"status":"completed"}`)), model.Response{Text: "x", Finish: model.FinishStop}, ""},
		"length": {
			events(`{"type":"response.output_text.delta","delta":"x"}`, `{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}`),
			model.Response{Text: "x", Finish: model.FinishLength},
			"",
		},
		"filter": {events(`{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"content_filter"}}}`), model.Response{Finish: model.FinishFilter}, ""},
		"refusal": {
			events(`{"type":"response.refusal.delta","delta":"no"}`, item("0", `{"type":"message","content":[{"type":"refusal","refusal":"no"}]}`), end(`{"status":"completed"}`)),
			model.Response{Text: "no", Finish: model.FinishFilter},
			"",
		},
		"failed":          {events(`{"type":"response.failed","response":{"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"}}}`), model.Response{}, schemas.RateLimited},
		"failed silently": {events(`{"type":"response.failed","response":{"status":"failed"}}`), model.Response{}, schemas.Unavailable},
		"an error event":  {events(`{"type":"error","code":"server_error","message":"gone"}`), model.Response{}, schemas.Unavailable},
		"cut":             {events(`{"type":"response.output_text.delta","delta":"x"}`), model.Response{}, schemas.Unavailable},
		"left queued":     {wiretest.Whole(200, `{"status":"queued"}`), model.Response{}, schemas.Unavailable},
		"failed, whole":   {wiretest.Whole(200, `{"status":"failed","error":{"code":"invalid_prompt","message":"violates our usage policy"}}`), model.Response{}, schemas.Refused},
		"an odd piece":    {events(`{"type":"response.output_text.delta","delta":{}}`), model.Response{}, schemas.MalformedOutput},
		"an odd item":     {events(item("0", `7`), end(`{"status":"completed"}`)), model.Response{}, schemas.MalformedOutput},
		"far apart":       {events(item("2000000000", called), item("-3", bare), end(`{"status":"completed"}`)), model.Response{Calls: []model.ToolCall{call("1", "f", `{}`)}, Finish: model.FinishTool}, ""},
	} {
		d, _ := play(t, test.response, Responses)
		got, err := listened(t, d, hello)
		if diff := cmp.Diff(test.want, got); diff != "" || test.code != "" && schemas.CodeOf(err) != test.code || test.code == "" && err != nil {
			t.Errorf("%s: %v, want code %q\n%s", name, err, test.code, diff)
		}
	}
}

func TestUnwrapOnlyWhatIsWrapped(t *testing.T) {
	t.Parallel()
	wrapped := `{"type":"function_call","call_id":"1","name":"parallel","arguments":"{\"tool_uses\":[{\"recipient_name\":\"functions.f\",\"parameters\":{}}]}"}`
	for name, test := range map[string]struct {
		tools []model.Tool
		want  string
	}{
		"declared":      {[]model.Tool{{Name: "f"}}, "f"},
		"not declared":  {[]model.Tool{{Name: "g"}}, "parallel"},
		"its own right": {[]model.Tool{{Name: "f"}, {Name: "parallel"}}, "parallel"},
	} {
		request := hello
		request.Tools = test.tools
		d, _ := play(t, wiretest.Whole(200, `{"status":"completed","output":[`+wrapped+`]}`), Responses)
		got, err := d.Generate(t.Context(), request, nil)
		if err != nil || len(got.Calls) != 1 || got.Calls[0].Name != test.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// torrent repeats an event for ever.
type torrent struct {
	event []byte
	at    int
}

func (r *torrent) Read(p []byte) (int, error) {
	n := copy(p, r.event[r.at:])
	r.at = (r.at + n) % len(r.event)
	return n, nil
}

func TestAModelThatStreamsForEverIsStopped(t *testing.T) {
	t.Parallel()
	mega := strings.Repeat("x", 1<<18)
	for name, event := range map[string]string{
		Chat:      `{"choices":[{"delta":{"content":"` + mega + `"}}]}`,
		"tools":   `{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"` + mega + `"}}]}}]}`,
		Responses: `{"type":"response.output_text.delta","delta":"` + mega + `"}`,
	} {
		api := name
		if name == "tools" {
			api = Chat
		}
		d, p := play(t, events(), api)
		p.split = func([]byte) io.Reader { return &torrent{event: []byte("data: " + event + "\n\n")} }
		if _, err := d.Generate(t.Context(), hello, func(model.Delta) {}); schemas.CodeOf(err) != schemas.MalformedOutput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzStreams: whatever a server sends, the answer is whole or the error is coded, and the pieces are the text.
func FuzzStreams(f *testing.F) {
	f.Add("data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n", true)
	f.Add("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\ndata: [DONE]\n\n", true)
	f.Add("data: {\"type\":\"response.output_item.done\",\"item\":{\"type\":\"message\",\"content\":[{\"text\":\"x\"}]}}\n\ndata: {\"type\":\"response.completed\"}\n\n", false)
	f.Fuzz(func(t *testing.T, text string, chat bool) {
		api := Responses
		if chat {
			api = Chat
		}
		d, _ := play(t, wiretest.Response{Status: 200, Text: text}, api)
		var pieces strings.Builder
		resp, err := d.Generate(t.Context(), hello, func(delta model.Delta) { pieces.WriteString(delta.Text) })
		var coded *schemas.Error
		if err != nil && !errors.As(err, &coded) || err == nil && pieces.String() != resp.Text {
			t.Fatalf("%+v, %v, pieces %q", resp, err, pieces.String())
		}
	})
}
