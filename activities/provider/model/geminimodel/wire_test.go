package geminimodel

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

const key = "AIzaTest1234567890"

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
func streamed(t *testing.T, response wiretest.Response) model.Response {
	t.Helper()
	return wiretest.Splits(t, response, func(client *http.Client, emit model.Emit) (model.Response, error) {
		return connect(t, Options{Client: client}).Generate(t.Context(), user("m"), emit)
	})
}

func user(name string) model.Request {
	return model.Request{Model: name, Messages: []model.Message{{Role: model.RoleUser, Text: "x"}}}
}

// signatures reads what the recorded pieces are signed with, in order.
func signatures(t *testing.T, chunks ...string) []string {
	t.Helper()
	var all []string
	for _, chunk := range chunks {
		var r reply
		wiretest.Decode(t, []byte(chunk), &r)
		for _, p := range r.Candidates[0].Content.Parts {
			if p.Signature != "" {
				all = append(all, p.Signature)
			}
		}
	}
	return all
}

func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	load := func(name string, n int) wiretest.Response { return wiretest.Load(t, name).Interactions[n].Response }
	file := func(name string) wiretest.Response { return wiretest.Whole(200, string(wiretest.Read(t, name))) }
	for name, test := range map[string]struct {
		response wiretest.Response
		want     model.Response
		signed   bool
	}{
		"generate": {load("gemini/generate.json", 0), model.Response{
			Text: "Hello! How can I help you today?", Model: "gemini-2.5-flash", ID: "bzlXaa_EE_aHqtsPi_zw8Ao", Finish: model.FinishStop,
			Usage: schemas.Usage{InputTokens: 9, OutputTokens: 43, ReasoningTokens: 34},
		}, false},
		"call": {load("gemini/structured-output.json", 0), model.Response{
			Model: "gemini-2.0-flash", ID: "cDlXacOkMODnqtsPz8P96Ao", Finish: model.FinishTool, Usage: schemas.Usage{InputTokens: 69, OutputTokens: 14},
			Calls: []model.ToolCall{{Name: "temperature", Arguments: json.RawMessage(`{"city":"London","date":"2022-01-01"}`)}},
		}, false},
		"final call": {load("gemini/structured-output.json", 1), model.Response{
			Model: "gemini-2.0-flash", ID: "cjlXadqMAv3hqtsPuej14A4", Finish: model.FinishTool, Usage: schemas.Usage{InputTokens: 91, OutputTokens: 21},
			Calls: []model.ToolCall{{Name: "final_result", Arguments: json.RawMessage(`{"city":"London","date":"2022-01-01","temperature":"30°C"}`)}},
		}, false},
		"text": {file("vercel/gemini/google-text.json"), model.Response{
			Text:  "There are **3** r's in strawberry.\n\nHere is the breakdown: st**r**awbe**rr**y.",
			Model: "gemini-3-pro-preview", ID: "Un6LacrVMcjUxs0PmJfWoQc", Finish: model.FinishStop,
			Usage: schemas.Usage{InputTokens: 9, OutputTokens: 272, ReasoningTokens: 244},
		}, true},
		"tool call": {file("vercel/gemini/google-tool-call.json"), model.Response{
			Model: "gemini-3-pro-preview", ID: "m36LaZGyCLz1xs0PtNSB-QU", Finish: model.FinishTool,
			Usage: schemas.Usage{InputTokens: 29, OutputTokens: 908, ReasoningTokens: 893},
			Calls: []model.ToolCall{{Name: "weather", Arguments: json.RawMessage(`{"location":"San Francisco"}`)}},
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := once(t, test.response, user("m"))
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if test.signed {
				want = signatures(t, string(test.response.Body))
			}
			check(t, test.want, got, want)
		})
	}
}

// check compares a response whose call ids were made up and whose state is signed so.
func check(t *testing.T, want, got model.Response, signed []string) {
	t.Helper()
	for i, c := range got.Calls {
		if !strings.HasPrefix(c.ID, "call_") || len(c.ID) != 29 {
			t.Errorf("call id %q", c.ID)
		}
		got.Calls[i].ID = ""
		got.Calls[i].Arguments = compact(t, c.Arguments)
	}
	var kept state
	if got.State != nil {
		wiretest.Decode(t, got.State, &kept)
	}
	var seen []string
	for _, p := range kept.Parts {
		if p.Signature != "" {
			seen = append(seen, p.Signature)
		}
	}
	if diff := cmp.Diff(signed, seen); diff != "" {
		t.Errorf("signatures: %s", diff)
	}
	got.State = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
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
	chunks := func(name string) (wiretest.Response, []string) {
		response := wiretest.Chunks(t, name)
		return response, signatures(t, strings.Split(strings.TrimSpace(string(wiretest.Read(t, name))), "\n")...)
	}
	text, textSigned := chunks("vercel/gemini/google-text.chunks.txt")
	call, callSigned := chunks("vercel/gemini/google-tool-call.chunks.txt")
	for name, test := range map[string]struct {
		response wiretest.Response
		want     model.Response
		signed   []string
	}{
		"stream": {wiretest.Load(t, "gemini/stream.json").Interactions[0].Response, model.Response{
			Text: "The capital of France is Paris.\n", Model: "gemini-2.0-flash-exp", ID: "w1peaMz6INOvnvgPgYfPiQY", Finish: model.FinishStop,
			Usage: schemas.Usage{InputTokens: 13, OutputTokens: 8},
		}, nil},
		"text": {text, model.Response{
			Text:  "There are **3** \"r\"s in strawberry.\n\nst**r**awbe**rr**y",
			Model: "gemini-3-pro-preview", ID: "bH6LaZW8Fp_3nsEPqtaSwQ4", Finish: model.FinishStop,
			Usage: schemas.Usage{InputTokens: 9, OutputTokens: 208, ReasoningTokens: 185},
		}, textSigned},
		"tool call": {call, model.Response{
			Model: "gemini-3-pro-preview", ID: "b36LacjwM668nsEP2tbsgQQ", Finish: model.FinishTool,
			Usage: schemas.Usage{InputTokens: 29, OutputTokens: 60, ReasoningTokens: 45},
			Calls: []model.ToolCall{{Name: "weather", Arguments: json.RawMessage(`{"location":"San Francisco"}`)}},
		}, callSigned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, test.want, streamed(t, test.response), test.signed)
		})
	}
}

func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	generate := wiretest.Load(t, "gemini/generate.json")
	stream := wiretest.Load(t, "gemini/stream.json")
	calls := wiretest.Load(t, "gemini/structured-output.json")
	zero := 0.0
	for name, test := range map[string]struct {
		recording wiretest.Recording
		request   func(responses []model.Response) model.Request
		path      string
	}{
		"generate": {generate, func([]model.Response) model.Request {
			return model.Request{Model: "gemini-2.5-flash", Messages: []model.Message{{Role: "system", Text: "You are a chatbot."}, {Role: "user", Text: "Hello!"}}}
		}, "/v1beta/models/gemini-2.5-flash:generateContent"},
		"stream": {stream, func([]model.Response) model.Request {
			return model.Request{Model: "gemini-2.0-flash-exp", Temperature: &zero, Messages: []model.Message{
				{Role: "system", Text: "You are a helpful chatbot."}, {Role: "user", Text: "What is the capital of France?"},
			}}
		}, "/v1beta/models/gemini-2.0-flash-exp:streamGenerateContent?alt=sse"},
		"calls": {calls, func(before []model.Response) model.Request {
			request := model.Request{
				Model: "gemini-2.0-flash", ToolChoice: model.ToolRequired, Tools: declared(t, calls.Interactions[0].Request.Body),
				Messages: []model.Message{
					{Role: "system", Text: "You are a helpful chatbot."}, {Role: "user", Text: "What was the temperature in London 1st January 2022?"},
				},
			}
			for _, resp := range before {
				request.Messages = append(request.Messages, model.Message{Role: "assistant", Calls: resp.Calls},
					model.Message{Role: "tool", CallID: resp.Calls[0].ID, Text: "30°C"})
			}
			return request
		}, "/v1beta/models/gemini-2.0-flash:generateContent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tape := &wiretest.Tape{Responses: test.recording.Responses()}
			d := connect(t, Options{Client: tape.Client()})
			var emit model.Emit
			if name == "stream" {
				emit = func(model.Delta) {}
			}
			var before []model.Response
			for i, interaction := range test.recording.Interactions {
				resp, err := d.Generate(t.Context(), test.request(before), emit)
				if err != nil {
					t.Fatal(err)
				}
				before = append(before, resp)
				var recorded any
				wiretest.Decode(t, interaction.Request.Body, &recorded)
				sent := tape.Sent()[i]
				if diff := cmp.Diff(alike(t, recorded), alike(t, sent.Body)); diff != "" {
					t.Errorf("interaction %d: -recorded +sent:\n%s", i, diff)
				}
				if sent.Path != test.path || sent.Header.Get("X-Goog-Api-Key") != key {
					t.Errorf("%s %v", sent.Path, sent.Header)
				}
			}
		})
	}
}

// declared reads the tools of a recorded request.
func declared(t *testing.T, body []byte) []model.Tool {
	t.Helper()
	var in struct {
		Tools []struct {
			Functions []struct {
				Name, Description string
				Schema            json.RawMessage `json:"parameters_json_schema"`
			} `json:"functionDeclarations"`
		}
	}
	wiretest.Decode(t, body, &in)
	var out []model.Tool
	for _, f := range in.Tools[0].Functions {
		out = append(out, model.Tool{Name: f.Name, Description: f.Description, Parameters: f.Schema})
	}
	return out
}

// alike takes out of a body what clients may choose: the modalities that are the default anyway, the role of the instructions, the names of all
// functions where any may be called, ids of their own making and the key of a result; and spells one field as we do.
func alike(t *testing.T, body any) any {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("parameters_json_schema", "parametersJsonSchema", `"return_value"`, `"output"`, `"responseModalities":["TEXT"]`, ``,
		`"allowedFunctionNames":["temperature","final_result"],`, ``).Replace(string(data))
	var out map[string]any
	wiretest.Decode(t, []byte(text), &out)
	delete(out["systemInstruction"].(map[string]any), "role")
	if c, ok := out["generationConfig"].(map[string]any); ok && len(c) == 0 {
		delete(out, "generationConfig")
	}
	for _, c := range out["contents"].([]any) {
		for _, p := range c.(map[string]any)["parts"].([]any) {
			for _, kind := range []string{"functionCall", "functionResponse"} {
				if f, ok := p.(map[string]any)[kind].(map[string]any); ok && f["id"] != "" {
					f["id"] = "some id"
				}
			}
		}
	}
	return out
}

func TestRecordedFailures(t *testing.T) {
	t.Parallel()
	_, err := once(t, wiretest.Whole(429, string(wiretest.Read(t, "gemini/429-retry-info.json"))), user("m"))
	coded, ok := err.(*schemas.Error) //nolint:errorlint // drivers return it bare
	if !ok || coded.Code != schemas.RateLimited || coded.RetryAfter != 34400*time.Millisecond {
		t.Errorf("%#v", err)
	}
	rec := wiretest.Load(t, "gemini/embed-error.json").Interactions[0]
	tape := &wiretest.Tape{Responses: []wiretest.Response{rec.Response}}
	d := connect(t, Options{Client: tape.Client(), TaskType: "RETRIEVAL_QUERY"})
	_, err = d.Embed(t.Context(), model.EmbedRequest{Model: "nonexistent-model", Inputs: []string{"Hello, world!"}})
	if schemas.CodeOf(err) != schemas.NotFound {
		t.Error(err)
	}
	var recorded any
	wiretest.Decode(t, rec.Request.Body, &recorded)
	sent := tape.Sent()[0]
	if diff := cmp.Diff(recorded, sent.Body); diff != "" || sent.Path != "/v1beta/models/nonexistent-model:batchEmbedContents" {
		t.Errorf("%s\n%s", sent.Path, diff)
	}
}
