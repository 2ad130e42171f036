package anthropic

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
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
	asked  model.Request
}

func (b *backend) Generate(_ context.Context, request model.Request, emit model.Emit) (model.Response, error) {
	b.asked = request
	if emit != nil {
		for _, piece := range b.pieces {
			emit(model.Delta{Text: piece})
		}
	}
	return b.resp, nil
}

func (b *backend) Embed(context.Context, model.EmbedRequest) (model.EmbedResponse, error) {
	return model.EmbedResponse{}, errors.New("not asked for here")
}

// translate reads a body, has the backend answer, and returns what was written.
func translate(t *testing.T, body string, b *backend) (string, []model.Piece, error) {
	t.Helper()
	o, err := object.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	call, err := messages{}.Translate(o, relay.About{ID: "run-1", Created: time.Unix(1700000000, 0), Name: "far/model"})
	if err != nil {
		return "", nil, err
	}
	var written strings.Builder
	var pieces []model.Piece
	_, err = call(t.Context(), b, func(p model.Piece) error {
		written.Write(p.Bytes)
		pieces = append(pieces, p)
		return nil
	})
	return written.String(), pieces, err
}

func TestRequestsAreTranslated(t *testing.T) {
	t.Parallel()
	half := 0.5
	for name, test := range map[string]struct {
		body string
		want model.Request
	}{
		"settings": {
			`{"model":"m","max_tokens":9,"system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}},{"type":"text","text":"Be kind."}],
			"messages":[{"role":"user","content":"q"}],"temperature":0.5,"top_p":0.5,"top_k":3,"stop_sequences":["a"],"metadata":{"user_id":"u"},
			"thinking":{"type":"disabled"},"service_tier":"auto","output_config":{"effort":"low","format":{"type":"json_schema","schema":{"type":"object"}}}}`,
			model.Request{
				Messages:  []model.Message{{Role: "system", Text: "Be brief.\nBe kind."}, {Role: "user", Text: "q"}},
				MaxTokens: 9, Temperature: &half, TopP: &half, TopK: 3, Stop: []string{"a"}, Effort: "low", Schema: []byte(`{"type":"object"}`),
			},
		},
		"tools": {
			`{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q"},
				{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"redacted_thinking","data":"tenuto:eyJzIjoxfQ=="},
					{"type":"text","text":"I look."},{"type":"tool_use","id":"c1","name":"f","input":{"x":1}}]},
				{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","is_error":true,"content":[{"type":"text","text":"none"}]},{"type":"text","text":"and?"}]}],
			"tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}}`,
			model.Request{
				Messages: []model.Message{
					{Role: "user", Text: "q"},
					{Role: "assistant", Text: "I look.", Calls: []model.ToolCall{{ID: "c1", Name: "f", Arguments: []byte(`{"x":1}`)}}, State: []byte(`{"s":1}`)},
					{Role: "tool", CallID: "c1", Text: "none", Failed: true},
					{Role: "user", Text: "and?"},
				},
				MaxTokens: 9, Tools: []model.Tool{{Name: "f", Description: "d", Parameters: []byte(`{"type":"object"}`)}}, ToolChoice: "required",
			},
		},
		"media": {
			`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AQI="}},
				{"type":"image","source":{"type":"url","url":"https://example.org/a"}},{"type":"document","source":{"type":"url","url":"https://example.org/b"}},
				{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hello"}},{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}`,
			model.Request{MaxTokens: 9, Messages: []model.Message{{Role: "user", Text: "a\nb", Media: []model.Media{
				{Type: "image/png", Data: []byte{1, 2}},
				{Type: "image/jpeg", URL: "https://example.org/a"},
				{Type: "application/pdf", URL: "https://example.org/b"},
				{Type: "text/plain", Data: []byte("hello")},
			}}}},
		},
	} {
		b := &backend{}
		_, _, err := translate(t, test.body, b)
		if diff := cmp.Diff(test.want, b.asked); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestWhatCannotBeTranslated(t *testing.T) {
	t.Parallel()
	const question = `"max_tokens":9,"messages":[{"role":"user","content":"q"}]`
	for name, test := range map[string]struct{ body, field string }{
		"an unknown field":       {`{` + question + `,"mcp_servers":[]}`, "mcp_servers"},
		"no bound":               {`{"messages":[{"role":"user","content":"q"}]}`, "max_tokens"},
		"no messages":            {`{"max_tokens":9,"messages":[]}`, "messages"},
		"thinking":               {`{` + question + `,"thinking":{"type":"enabled","budget_tokens":1024}}`, "thinking"},
		"a tool of Anthropic's":  {`{` + question + `,"tools":[{"type":"web_search_20250305","name":"web_search"}]}`, "tools"},
		"one tool at a time":     {`{` + question + `,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}`, "tool_choice"},
		"an unknown choice":      {`{` + question + `,"tool_choice":{"type":"maybe"}}`, "tool_choice"},
		"an unknown format":      {`{` + question + `,"output_config":{"format":{"type":"xml"}}}`, "output_config"},
		"a system message":       {`{"max_tokens":9,"messages":[{"role":"system","content":"q"}]}`, "messages"},
		"an unknown block":       {`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"search_result"}]}]}`, "messages"},
		"one in a tool's result": {`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"video"}]}]}]}`, "messages"},
		"a source elsewhere":     {`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]}`, "messages"},
		"a broken image":         {`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"?"}}]}]}`, "messages"},
		"a number for a list":    {`{"max_tokens":9,"messages":7}`, "messages"},
		"a text for a number":    {`{"max_tokens":"nine","messages":[]}`, "max_tokens"},
	} {
		_, _, err := translate(t, test.body, &backend{})
		field, ok := errors.AsType[*relay.FieldError](err)
		if schemas.CodeOf(err) != schemas.Invalid || !ok || field.Field != test.field {
			t.Errorf("%s: %v, %+v", name, err, field)
		}
	}
}

var full = model.Response{
	Text: "a b", Calls: []model.ToolCall{{ID: "c1", Name: "f", Arguments: json.RawMessage(`{"x":1}`)}}, Finish: model.FinishTool, State: json.RawMessage(`{"s":1}`),
	Usage: schemas.Usage{InputTokens: 9, OutputTokens: 3, CachedTokens: 2, WrittenTokens: 1},
}

const head = `"id":"msg_run-1","type":"message","role":"assistant","model":"far/model"`

func TestAnswersAreWritten(t *testing.T) {
	t.Parallel()
	got, pieces, err := translate(t, `{"max_tokens":9,"messages":[{"role":"user","content":"q"}]}`, &backend{resp: full})
	const want = `{` + head + `,"content":[{"type":"redacted_thinking","data":"tenuto:eyJzIjoxfQ=="},{"type":"text","text":"a b"},` +
		`{"type":"tool_use","id":"c1","name":"f","input":{"x":1}}],"stop_reason":"tool_use","stop_sequence":null,` +
		`"usage":{"input_tokens":6,"output_tokens":3,"cache_read_input_tokens":2,"cache_creation_input_tokens":1}}`
	if diff := cmp.Diff(want, got); diff != "" || err != nil || len(pieces) != 1 || !pieces[0].Last {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestStreamsAreWritten(t *testing.T) {
	t.Parallel()
	const request = `{"max_tokens":9,"messages":[{"role":"user","content":"q"}],"stream":true}`
	event := func(kind, data string) string { return "event: " + kind + "\ndata: " + data + "\n\n" }
	start := event("message_start", `{"message":{`+head+`,"content":[],"stop_reason":null,"stop_sequence":null,`+
		`"usage":{"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}},"type":"message_start"}`)
	block := func(i, content string) string {
		return event("content_block_start", `{"content_block":`+content+`,"index":`+i+`,"type":"content_block_start"}`)
	}
	delta := func(i, delta string) string {
		return event("content_block_delta", `{"delta":`+delta+`,"index":`+i+`,"type":"content_block_delta"}`)
	}
	stop := func(i string) string {
		return event("content_block_stop", `{"index":`+i+`,"type":"content_block_stop"}`)
	}
	end := func(reason, usage string) string {
		return event("message_delta", `{"delta":{"stop_reason":"`+reason+`","stop_sequence":null},"type":"message_delta","usage":`+usage+`}`) +
			event("message_stop", `{"type":"message_stop"}`)
	}
	for name, test := range map[string]struct {
		b    backend
		want string
	}{
		"everything": {
			backend{pieces: []string{"a ", "b"}, resp: full},
			start + block("0", `{"type":"text","text":""}`) + delta("0", `{"type":"text_delta","text":"a "}`) + delta("0", `{"type":"text_delta","text":"b"}`) + stop("0") +
				block("1", `{"type":"tool_use","id":"c1","name":"f","input":{}}`) + delta("1", `{"partial_json":"{\"x\":1}","type":"input_json_delta"}`) + stop("1") +
				block("2", `{"type":"redacted_thinking","data":"tenuto:eyJzIjoxfQ=="}`) + stop("2") +
				end("tool_use", `{"input_tokens":6,"output_tokens":3,"cache_read_input_tokens":2,"cache_creation_input_tokens":1}`),
		},
		"nothing": {
			backend{resp: model.Response{Finish: model.FinishFilter}},
			start + end("refusal", `{"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}`),
		},
	} {
		got, pieces, err := translate(t, request, &test.b)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		for i, p := range pieces {
			if p.Last != (i == len(pieces)-1) || !json.Valid(p.Data) {
				t.Errorf("%s: piece %d: %+v", name, i, p)
			}
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	for _, code := range schemas.Codes() {
		out := failure(schemas.Errorf(code, "it says why"))
		var body struct {
			Type  string
			Error struct{ Type, Message string }
		}
		if err := json.Unmarshal(out.Body, &body); err != nil || body.Type != "error" || body.Error.Message != "it says why" || body.Error.Type == "" || out.Status < 400 {
			t.Errorf("%s: %d %s", code, out.Status, out.Body)
		}
		if out.Header.Get("X-Should-Retry") != map[bool]string{true: "", false: "false"}[code.Retryable()] {
			t.Errorf("%s: %v", code, out.Header)
		}
		if want := "event: error\ndata: " + string(out.Body) + "\n\n"; string(out.Event) != want {
			t.Errorf("%s: %s", code, out.Event)
		}
	}
	waiting := schemas.Errorf(schemas.Conflict, "under way")
	waiting.RetryAfter = time.Second
	report := &model.ReportedError{Status: 529, Body: []byte("{\n\"type\":\"error\"}"), Cause: errors.New("x")}
	for name, test := range map[string]struct {
		err    error
		status int
		has    string
		retry  string
	}{
		"a role":               {schemas.Wrap(schemas.Unauthorized, relay.ErrForbidden, "no"), 403, "permission_error", ""},
		"a size":               {schemas.Wrap(schemas.Invalid, relay.ErrTooLarge, "no"), 413, "request_too_large", ""},
		"under way":            {waiting, 409, "under way", "1"},
		"the provider's words": {schemas.Wrap(schemas.Unavailable, report, "down"), 529, "{\n\"type\":\"error\"}", ""},
		"a fault of ours":      {errors.New("secret"), 500, "api_error", ""},
	} {
		out := failure(test.err)
		if out.Status != test.status || !strings.Contains(string(out.Body), test.has) || out.Header.Get("Retry-After") != test.retry || strings.Contains(string(out.Body), "secret") {
			t.Errorf("%s: %d %s %v", name, out.Status, out.Body, out.Header)
		}
		if strings.Count(string(out.Event), "\n") != 3 {
			t.Errorf("%s: %q", name, out.Event)
		}
	}
}

func TestWhereTheKeyStands(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	var seen string
	Mount(mux, nil, func(r *http.Request) (schemas.APIKey, error) {
		seen = r.Header.Get("Authorization")
		return schemas.APIKey{}, schemas.Errorf(schemas.Unauthorized, "no")
	})
	for want, header := range map[string]http.Header{
		"Bearer a": {"X-Api-Key": {"a"}}, "Bearer b": {"Authorization": {"Bearer b"}, "X-Api-Key": {"a"}}, "": {},
	} {
		request := httptest.NewRequest(http.MethodPost, "/v1/messages", strings.NewReader("{}"))
		request.Header = header
		w := httptest.NewRecorder()
		w.Header().Set("X-Request-Id", "r-1")
		mux.ServeHTTP(w, request)
		if seen != want || w.Code != 401 || w.Header().Get("Request-Id") != "r-1" || w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("saw %q, want %q; %d %v", seen, want, w.Code, w.Header())
		}
	}
}

// FuzzTranslate: whatever a body says, it is translated or refused with a reason.
func FuzzTranslate(f *testing.F) {
	f.Add(`{"max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"tools":[{"name":"f"}],"stream":true}`)
	f.Add(`{"max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use"},{"type":"redacted_thinking","data":"tenuto:?"}]}]}`)
	f.Add(`{"max_tokens":9,"messages":[null],"system":null,"tool_choice":{}}`)
	f.Fuzz(func(t *testing.T, body string) {
		if _, err := object.Parse([]byte(body)); err != nil {
			return
		}
		_, pieces, err := translate(t, body, &backend{pieces: []string{"a"}, resp: full})
		if err != nil && schemas.CodeOf(err) != schemas.Invalid {
			t.Fatalf("%s: %v", body, err)
		}
		for _, p := range pieces {
			if !json.Valid(p.Data) {
				t.Fatalf("%s: wrote %s", body, p.Data)
			}
		}
	})
}
