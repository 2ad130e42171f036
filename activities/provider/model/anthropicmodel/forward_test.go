package anthropicmodel

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/activities/provider/model/wiretest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// forwarded sends a body on and returns what came back for its caller.
func forwarded(t *testing.T, d *Driver, name, body string) (string, model.Response, error) {
	t.Helper()
	parsed, err := object.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	resp, err := d.Forward(t.Context(), model.ForwardRequest{
		Operation: model.Messages, Model: name, Body: parsed, Stream: string(parsed.Get("stream")) == "true",
		Header: http.Header{"Anthropic-Beta": {"a", "b"}, "Anthropic-Version": {"2024-01-01"}, "X-Api-Key": {"of the caller"}},
	}, func(p model.Piece) error {
		out.Write(p.Bytes)
		return nil
	})
	return out.String(), resp, err
}

// TestForwardedStreams passes on the recorded streams without a change, and understands them as Generate does.
func TestForwardedStreams(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"message-stream", "thinking-stream", "tools-stream"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := wiretest.Load(t, "anthropic/"+name+".json").Interactions[0].Response
			want, err := connect(t, Options{Client: (&wiretest.Tape{Responses: []wiretest.Response{stream}}).Client()}).
				Generate(t.Context(), user("m", "x"), func(model.Delta) {})
			if err != nil {
				t.Fatal(err)
			}
			tape := &wiretest.Tape{Responses: []wiretest.Response{stream}}
			out, got, err := forwarded(t, connect(t, Options{Client: tape.Client()}), "m", `{"model":"anthropic/m","stream":true,"max_tokens":9}`)
			if diff := cmp.Diff(want, got); diff != "" || err != nil || out != stream.Text {
				t.Errorf("%v, %d bytes of %d\n%s", err, len(out), len(stream.Text), diff)
			}
			sent := tape.Sent()[0]
			if diff := cmp.Diff(map[string]any{"model": "m", "stream": true, "max_tokens": 9.}, sent.Body); diff != "" || sent.Path != "/v1/messages" {
				t.Errorf("%s %s", sent.Path, diff)
			}
			h := sent.Header
			if h.Get("X-Api-Key") != key || h.Get("Anthropic-Version") != "2024-01-01" || len(h.Values("Anthropic-Beta")) != 2 {
				t.Errorf("%v", h)
			}
			for at := 0; at < len(stream.Text); at += 1 + len(stream.Text)/50 {
				cut := stream
				cut.Text = stream.Text[:at]
				tape := &wiretest.Tape{Responses: []wiretest.Response{cut}}
				out, part, err := forwarded(t, connect(t, Options{Client: tape.Client()}), "m", `{"stream":true}`)
				out = strings.TrimSuffix(out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
				switch {
				case !strings.HasPrefix(stream.Text, out) || !strings.HasPrefix(want.Text, part.Text):
					t.Fatalf("cut at %d: passed on something else", at)
				case err != nil && (schemas.CodeOf(err) != schemas.Unavailable || part.Finish != ""):
					t.Fatalf("cut at %d: %+v, %v", at, part, err)
				case err == nil && !cmp.Equal(want, part):
					t.Fatalf("cut at %d: %s", at, cmp.Diff(want, part))
				}
			}
		})
	}
}

func TestForwardedWholes(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(serve))
	t.Cleanup(server.Close)
	d := connect(t, Options{BaseURL: server.URL + "/v1"})
	const question = `"max_tokens":50,"messages":[{"role":"user","content":[{"type":"text","text":"one two"}]}]}`
	out, resp, err := forwarded(t, d, chatModel, `{"model":"a",`+question)
	if err != nil || resp.Text != "You said: one two" || resp.Finish != model.FinishStop || resp.Usage.OutputTokens != 4 || !json.Valid([]byte(out)) {
		t.Errorf("%s, %+v, %v", out, resp, err)
	}
	out, resp, err = forwarded(t, d, "claude-none", `{"model":"a",`+question)
	report, ok := errors.AsType[*model.ReportedError](err)
	if out != "" || schemas.CodeOf(err) != schemas.NotFound || !ok || report.Status != 404 || !strings.Contains(string(report.Body), "not_found_error") {
		t.Errorf("%q, %+v, %v", out, resp, err)
	}
	if d.Forwards(model.ChatCompletions, chatModel) {
		t.Error("takes OpenAI's requests")
	}
}

func TestForwardedFailureInAStream(t *testing.T) {
	t.Parallel()
	stream := wiretest.Stream(`event: message_start
data: {"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":7,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}

event: error
data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}

`)
	tape := &wiretest.Tape{Responses: []wiretest.Response{stream}}
	out, resp, err := forwarded(t, connect(t, Options{Client: tape.Client()}), "m", `{"stream":true}`)
	report, ok := errors.AsType[*model.ReportedError](err)
	if schemas.CodeOf(err) != schemas.Unavailable || !ok || string(report.Body) != `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}` {
		t.Errorf("%v, %+v", err, report)
	}
	if resp.Text != "Hel" || resp.Usage.InputTokens != 7 || resp.Finish != "" || strings.Contains(out, "Overloaded") {
		t.Errorf("%q, %+v", out, resp)
	}
}
