package geminimodel

import (
	"encoding/json"
	"fmt"
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
	tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Whole(200, `{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}`)}}
	if _, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), request, nil); err != nil {
		t.Fatal(err)
	}
	return tape.Sent()[0].Body.(map[string]any)
}

func TestConversation(t *testing.T) {
	t.Parallel()
	half, seed := 0.5, int64(7)
	request := model.Request{
		Model: "gemini-3-flash", MaxTokens: 100, Temperature: &half, TopP: &half, TopK: 7, Seed: &seed, Stop: []string{"END"}, Effort: "low",
		Schema: json.RawMessage(`{"type":"object"}`), ToolChoice: "look",
		Tools: []model.Tool{{Name: "look", Description: "Looks.", Parameters: json.RawMessage(`{"type":"object"}`)}, {Name: "wait"}},
		Messages: []model.Message{
			{Role: "system", Text: "Be brief."},
			{Role: "user", Text: "What is this?", Media: []model.Media{{Type: "image/png", Data: []byte{1, 2, 3}}, {Type: "video/mp4", URL: "https://example.org/a.mp4"}}},
			{Role: "assistant", Text: "I look.", Calls: []model.ToolCall{
				{ID: "c1", Name: "look", Arguments: json.RawMessage(`{"at":1}`)}, {ID: "c2", Name: "wait", Arguments: json.RawMessage(`{}`)},
			}},
			{Role: "tool", CallID: "c1", Text: `{"is":"a cat"}`},
			{Role: "tool", CallID: "c2", Text: "no time", Failed: true},
			{Role: "user", Text: "And?"},
			{Role: "assistant"},
			{Role: "system", Text: "Be kind."},
		},
	}
	var want any
	wiretest.Decode(t, []byte(`{
		"systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
		"generationConfig": {
			"maxOutputTokens": 100, "temperature": 0.5, "topP": 0.5, "topK": 7, "seed": 7, "stopSequences": ["END"],
			"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}, "thinkingConfig": {"thinkingLevel": "low"}
		},
		"tools": [{"functionDeclarations": [{"name": "look", "description": "Looks.", "parametersJsonSchema": {"type": "object"}}, {"name": "wait"}]}],
		"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
		"contents": [
			{"role": "user", "parts": [
				{"text": "What is this?"}, {"inlineData": {"mimeType": "image/png", "data": "AQID"}},
				{"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.org/a.mp4"}}
			]},
			{"role": "model", "parts": [
				{"text": "I look."},
				{"functionCall": {"id": "c1", "name": "look", "args": {"at": 1}}, "thoughtSignature": "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="},
				{"functionCall": {"id": "c2", "name": "wait", "args": {}}}
			]},
			{"role": "user", "parts": [
				{"functionResponse": {"id": "c1", "name": "look", "response": {"output": {"is": "a cat"}}}},
				{"functionResponse": {"id": "c2", "name": "wait", "response": {"error": "no time"}}}
			]},
			{"role": "user", "parts": [{"text": "And?"}]}
		]
	}`), &want)
	if diff := cmp.Diff(want, any(sent(t, request))); diff != "" {
		t.Error(diff)
	}
}

func TestAResultWithoutItsCall(t *testing.T) {
	t.Parallel()
	request := user("m")
	request.Messages = append(request.Messages, model.Message{Role: "tool", CallID: "c1", Text: "x"})
	if _, err := connect(t, Options{}).Generate(t.Context(), request, nil); schemas.CodeOf(err) != schemas.Invalid {
		t.Error(err)
	}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	for wish, want := range map[string]any{
		"": nil, model.ToolAuto: nil,
		model.ToolNone:     map[string]any{"functionCallingConfig": map[string]any{"mode": "NONE"}},
		model.ToolRequired: map[string]any{"functionCallingConfig": map[string]any{"mode": "ANY"}},
	} {
		request := user("m")
		request.Tools, request.ToolChoice = []model.Tool{{Name: "look"}}, wish
		if diff := cmp.Diff(want, sent(t, request)["toolConfig"]); diff != "" {
			t.Errorf("%q: %s", wish, diff)
		}
	}
}

func TestEffort(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, effort string
		want         any
	}{
		{"gemini-3-flash", "", nil},
		{"gemini-2.0-flash", "high", nil},
		{"gemini-1.5-pro", "high", nil},
		{"gemma-3-27b-it", "high", nil},
		{"gemini-2.5-flash-lite", "minimal", map[string]any{"thinkingBudget": 512.0}},
		{"gemini-2.5-pro", "high", map[string]any{"thinkingBudget": 24576.0}},
		{"gemini-2.5-pro", "extreme", map[string]any{"thinkingBudget": 24576.0}},
		{"gemini-3-pro-preview", "minimal", map[string]any{"thinkingLevel": "low"}},
		{"gemini-3-flash", "minimal", map[string]any{"thinkingLevel": "minimal"}},
		{"gemini-flash-latest", "medium", map[string]any{"thinkingLevel": "medium"}},
	} {
		request := user(test.name)
		request.Effort = test.effort
		var got any
		if config, ok := sent(t, request)["generationConfig"].(map[string]any); ok {
			got = config["thinkingConfig"]
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s %s: %s", test.name, test.effort, diff)
		}
	}
}

func TestStateComesBack(t *testing.T) {
	t.Parallel()
	events := `data: {"responseId":"r","candidates":[{"content":{"parts":[{"text":"Hm.","thought":true},{"text":"Let me"}]}}]}

data: {"candidates":[{"content":{"parts":[{"text":" look."},{"functionCall":{"name":"look"},"thoughtSignature":"c2ln"}]}}]}

data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"look","args":null,"id":"own"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":4,"toolUsePromptTokenCount":2,"candidatesTokenCount":3,"thoughtsTokenCount":5}}

`
	got := streamed(t, wiretest.Stream(events))
	if got.Text != "Let me look." || len(got.Calls) != 2 || got.Calls[0].ID == "" || got.Calls[1].ID != "own" || string(got.Calls[1].Arguments) != "{}" {
		t.Fatalf("%+v", got)
	}
	if diff := cmp.Diff(schemas.Usage{InputTokens: 11, OutputTokens: 8, CachedTokens: 4, ReasoningTokens: 5}, got.Usage); diff != "" {
		t.Error(diff)
	}
	turn := model.Message{Role: "assistant", Text: got.Text, Calls: got.Calls, State: got.State}
	changed := turn
	changed.Text = "Let me see."
	for name, test := range map[string]struct {
		turn model.Message
		want string
	}{
		"as it came": {turn, `[{"text":"Let me look."},{"functionCall":{"id":%q,"name":"look","args":{}},"thoughtSignature":"c2ln"},{"functionCall":{"id":"own","name":"look","args":{}}}]`},
		"changed":    {changed, `[{"text":"Let me see."},{"functionCall":{"id":%q,"name":"look","args":{}},"thoughtSignature":"` + unsigned + `"},{"functionCall":{"id":"own","name":"look","args":{}}}]`},
	} {
		request := user("m")
		request.Messages = append(request.Messages, test.turn)
		var want any
		wiretest.Decode(t, fmt.Appendf(nil, test.want, got.Calls[0].ID), &want)
		if diff := cmp.Diff(want, sent(t, request)["contents"].([]any)[1].(map[string]any)["parts"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body   string
		finish string
		code   schemas.Code
	}{
		"stop":           {`{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}]}`, model.FinishStop, ""},
		"length":         {`{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"MAX_TOKENS"}]}`, model.FinishLength, ""},
		"safety":         {`{"candidates":[{"finishReason":"SAFETY"}]}`, model.FinishFilter, ""},
		"recitation":     {`{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"RECITATION"}]}`, model.FinishFilter, ""},
		"second":         {`{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"},{"index":1,"content":{"parts":[{"text":"y"}]},"finishReason":"SAFETY"}]}`, model.FinishStop, ""},
		"bad call":       {`{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}`, "", schemas.MalformedOutput},
		"call of a list": {`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a","args":[1]}}]},"finishReason":"STOP"}]}`, "", schemas.MalformedOutput},
		"blocked":        {`{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":5}}`, "", schemas.Refused},
		"nothing":        {`{"usageMetadata":{"promptTokenCount":5}}`, "", schemas.Unavailable},
		"no JSON":        {`<html>`, "", schemas.Unavailable},
		"failure":        {`{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`, "", schemas.Unavailable},
	} {
		for _, response := range []wiretest.Response{wiretest.Whole(200, test.body), wiretest.Stream("data: " + test.body + "\n\n")} {
			tape := &wiretest.Tape{Responses: []wiretest.Response{response, response}}
			d := connect(t, Options{Client: tape.Client()})
			for _, emit := range []model.Emit{nil, func(model.Delta) {}} {
				if emit == nil && response.Body == nil {
					continue
				}
				got, err := d.Generate(t.Context(), user("m"), emit)
				if got.Finish != test.finish || (err == nil) != (test.code == "") || err != nil && schemas.CodeOf(err) != test.code {
					t.Errorf("%s: %+v, %v", name, got, err)
				}
			}
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	body := func(code int, status, message, details string) string {
		return fmt.Sprintf(`{"error":{"code":%d,"message":%q,"status":%q,"details":[%s]}}`, code, message, status, details)
	}
	for name, test := range map[string]struct {
		status          int
		body            string
		code            schemas.Code
		after           time.Duration
		tooLong, schema bool
	}{
		"key": {status: 400, body: body(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
			`{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}`), code: schemas.Unauthorized},
		"rights": {status: 403, body: body(403, "PERMISSION_DENIED", "x", ``), code: schemas.Unauthorized},
		"a day": {status: 429, body: body(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota",
			`{"violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},{"retryDelay":"41s"}`), code: schemas.OverBudget},
		"none at all": {status: 429, body: body(429, "RESOURCE_EXHAUSTED", "Quota exceeded for metric: x, limit: 0, model: y", ``), code: schemas.OverBudget},
		"a minute": {status: 429, body: body(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota",
			`{"violations":[{"quotaId":"GenerateContentInputTokensPerMinute"}]},{"retryDelay":"0.5s"}`), code: schemas.RateLimited, after: 500 * time.Millisecond},
		"odd delay": {status: 429, body: body(429, "RESOURCE_EXHAUSTED", "x", `{"retryDelay":"soon"}`), code: schemas.RateLimited},
		"in a list": {status: 503, body: "[" + body(503, "UNAVAILABLE", "overloaded", `{"retryDelay":"2s"}`) + "\n]", code: schemas.Unavailable, after: 2 * time.Second},
		"timeout":   {status: 504, body: body(504, "DEADLINE_EXCEEDED", "x", ``), code: schemas.Deadline},
		"too long": {
			status: 400, body: body(400, "INVALID_ARGUMENT", "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", ``),
			code: schemas.Invalid, tooLong: true,
		},
		"schema beside tools": {
			status: 400, body: body(400, "INVALID_ARGUMENT", "Function calling with a response mime type: 'application/json' is unsupported", ``),
			code: schemas.Invalid, schema: true,
		},
		"other": {status: 400, body: body(400, "INVALID_ARGUMENT", "Unable to submit request", ``), code: schemas.Invalid},
		"proxy": {status: 502, body: `<html>`, code: schemas.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := user("m")
			request.Schema = json.RawMessage(`{"type":"object"}`)
			_, err := once(t, wiretest.Whole(test.status, test.body), request)
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

func TestTheKeyStaysOutOfSight(t *testing.T) {
	t.Parallel()
	tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Whole(400, `{"error":{"code":400,"message":"bad key `+key+`","status":"INVALID_ARGUMENT"}}`)}}
	_, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), user("m"), nil)
	if err == nil || strings.Contains(err.Error(), key) || strings.Contains(tape.Sent()[0].Path, key) {
		t.Errorf("%v after %s", err, tape.Sent()[0].Path)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"gemini-3-flash": "/models/gemini-3-flash:m", "models/gemini-3-flash": "/models/gemini-3-flash:m", "tunedModels/mine": "/tunedModels/mine:m",
		"../secret?x=": "/models/..%2Fsecret%3Fx=:m",
	} {
		if got := path(name, "m"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	tape := &wiretest.Tape{Responses: []wiretest.Response{
		wiretest.Whole(200, `{"embeddings":[{"values":[0.5,1]},{"values":[2,3]}],"usageMetadata":{"promptTokenCount":4}}`),
		wiretest.Whole(200, `{"embeddings":[{"values":[0.5,1]}]}`),
	}}
	d := connect(t, Options{Client: tape.Client(), Limits: model.Limits{MaxInputs: 7}})
	request := model.EmbedRequest{Model: "gemini-embedding-001", Inputs: []string{"a", "b"}, Dimensions: 2}
	got, err := d.Embed(t.Context(), request)
	want := model.EmbedResponse{Vectors: [][]float32{{0.5, 1}, {2, 3}}, Model: "gemini-embedding-001", Tokens: 4}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	var body any
	wiretest.Decode(t, []byte(`{"requests":[
		{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]},"outputDimensionality":2},
		{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"b"}]},"outputDimensionality":2}]}`), &body)
	if diff := cmp.Diff(body, tape.Sent()[0].Body); diff != "" {
		t.Error(diff)
	}
	if _, err := d.Embed(t.Context(), request); schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Errorf("too few: %v", err)
	}
	limits, err := d.Limits("gemini-embedding-001")
	if diff := cmp.Diff(model.Limits{MaxInputs: 7, MaxInputTokens: 65536, MaxTokensPerInput: 2048, Dimensions: 3072, HybridAlpha: 0.5}, limits); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
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

func TestTooMuch(t *testing.T) {
	t.Parallel()
	half := strings.Repeat("x", 9<<20)
	for name, part := range map[string]string{"text": `{"text":"` + half + `"}`, "thought": `{"thought":true,"text":"` + half + `"}`, "call": `{"functionCall":{"name":"` + half + `"}}`} {
		piece := `data: {"candidates":[{"content":{"parts":[` + part + `]},"finishReason":"STOP"}]}` + "\n\n"
		tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Stream(piece + piece)}}
		_, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), user("m"), func(model.Delta) {})
		if schemas.CodeOf(err) != schemas.MalformedOutput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add(`data: {"candidates":[{"content":{"parts":[{"text":"a"},{"functionCall":{"name":"b"}}]},"finishReason":"STOP"}]}` + "\n\n")
	f.Add(`data: {"promptFeedback":{"blockReason":"OTHER"}}` + "\n\n")
	f.Add(`data: [{"error":{"code":429,"details":[{"retryDelay":"1s"}]}}]` + "\n\n")
	f.Fuzz(func(t *testing.T, events string) {
		tape := &wiretest.Tape{Responses: []wiretest.Response{wiretest.Stream(events)}}
		var emitted strings.Builder
		got, err := connect(t, Options{Client: tape.Client()}).Generate(t.Context(), user("m"), func(d model.Delta) { emitted.WriteString(d.Text) })
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

func FuzzProblem(f *testing.F) {
	f.Add([]byte(`{"error":{"code":429,"status":"x","details":[{"retryDelay":"1s","violations":[{"quotaId":"PerDay"}]}]}}`))
	f.Add([]byte(`[{"error":"x"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, err := once(t, wiretest.Response{Status: 429, Text: string(body)}, user("m"))
		if code := schemas.CodeOf(err); code != schemas.RateLimited && code != schemas.OverBudget && code != schemas.Invalid {
			t.Fatal(err)
		}
	})
}
