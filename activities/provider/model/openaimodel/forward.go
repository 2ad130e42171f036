package openaimodel

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

var _ model.Forwarder = (*Driver)(nil)

// Forwards takes OpenAI's own requests: every server of the protocol has them. Models that only have Responses are translated.
func (d *Driver) Forwards(op model.Operation, name string) bool {
	switch op {
	case model.ChatCompletions:
		return d.apiOf(name) == Chat
	case model.Embeddings:
		return true
	case model.Messages:
	}
	return false
}

// Forward sends a request on. A stream is made to tell its usage, which is in the response, and in the pieces only where the caller asked for
// it too. A server that knows no stream_options is asked once more without, as by Generate; it had declined and not worked.
func (d *Driver) Forward(ctx context.Context, request model.ForwardRequest, each func(model.Piece) error) (model.Response, error) {
	name, err := json.Marshal(request.Model)
	if err != nil {
		return model.Response{}, schemas.Wrap(schemas.Invalid, err, "the name of the model cannot be written as JSON")
	}
	request.Body = request.Body.With("model", name)
	if request.Operation == model.Embeddings {
		copied := &embedCopy{client: d.client}
		err := d.client.Forward(ctx, passed("/embeddings", request), false, copied, each)
		return copied.resp, err
	}
	without := d.refused.of(request.Model)
	for {
		resp, err := d.forwardChat(ctx, request, without, each)
		field := without.named(err)
		if field != fieldStreamOptions || !request.Stream {
			return resp, err
		}
		without = d.refused.add(request.Model, field)
	}
}

// passed describes the call of a request that is sent on.
func passed(path string, request model.ForwardRequest) transport.Call {
	header := http.Header{}
	if beta := request.Header.Values("Openai-Beta"); len(beta) > 0 {
		header["Openai-Beta"] = beta
	}
	return transport.Call{Path: path, Raw: request.Body.Bytes(), Header: header, Model: request.Model}
}

func (d *Driver) forwardChat(ctx context.Context, request model.ForwardRequest, without fields, each func(model.Piece) error) (model.Response, error) {
	copied := &chatCopy{d: d, stream: chatStream{places: map[int]int{}}, call: passed("/chat/completions", request)}
	if request.Stream && !without.has(fieldStreamOptions) {
		if options, added := withUsage(request.Body.Get(fieldStreamOptions)); added {
			copied.extra = true
			copied.call.Raw = request.Body.With(fieldStreamOptions, options).Bytes()
		}
	}
	err := d.client.Forward(ctx, copied.call, request.Stream, copied, each)
	return copied.response(), err
}

// withUsage asks for usage in the options of a stream. Added is false where they ask for it already or are no object.
func withUsage(options json.RawMessage) (with json.RawMessage, added bool) {
	members := map[string]json.RawMessage{}
	if len(options) > 0 && (json.Unmarshal(options, &members) != nil || string(members["include_usage"]) == "true") {
		return options, false
	}
	if members == nil { // it was null
		members = map[string]json.RawMessage{}
	}
	members["include_usage"] = json.RawMessage("true")
	with, err := json.Marshal(members)
	return with, err == nil
}

// chatCopy reads the copy of a completion that is passed on. What cannot be said in our words is left out of it.
type chatCopy struct {
	d      *Driver
	call   transport.Call
	stream chatStream
	extra  bool // the usage at the end of the stream was not asked for by the caller
	whole  *completion
}

// Whole implements transport.Reader.
func (c *chatCopy) Whole(body []byte) error {
	c.whole = new(completion)
	return c.d.client.Read(body, c.whole)
}

// Event implements transport.Reader.
func (c *chatCopy) Event(data []byte) (last, extra bool, err error) {
	if string(data) == "[DONE]" {
		if !c.stream.begun {
			return true, false, c.d.noChoice()
		}
		return true, false, nil
	}
	var chunk completion
	if err := c.d.client.Read(data, &chunk); err != nil {
		return false, false, err
	}
	usage := chunk.Usage != nil && len(chunk.Choices) == 0
	return false, c.extra && usage, c.d.take(c.call, &c.stream, chunk)
}

// End implements transport.Reader. A finish reason ends an answer also where no [DONE] follows it.
func (c *chatCopy) End() ([]byte, error) {
	if c.stream.reason == "" {
		return nil, c.d.client.Cut()
	}
	return []byte("data: [DONE]\n\n"), nil
}

// response is what has come, in our words.
func (c *chatCopy) response() model.Response {
	if c.whole == nil {
		resp := c.stream.resp
		resp.Text = c.stream.answer.Text()
		resp.Calls, _ = c.stream.answer.Calls() // of a broken call the events have what came
		if c.stream.reason != "" {
			resp.Finish = finish(c.stream.reason, c.stream.refused, len(resp.Calls) > 0)
		}
		return resp
	}
	resp := model.Response{Model: c.whole.Model, Fingerprint: c.whole.SystemFingerprint, ID: c.whole.ID, Usage: c.whole.Usage.portable()}
	if len(c.whole.Choices) == 0 {
		return resp
	}
	first := c.whole.Choices[0]
	resp.Text = first.Message.text()
	for i, call := range first.Message.ToolCalls {
		if made, err := transport.NewCall(i, call.ID, call.Function.Name, string(call.Function.Arguments)); err == nil {
			resp.Calls = append(resp.Calls, made)
		}
	}
	resp.Finish = finish(first.FinishReason, first.Message.Refusal != "", len(resp.Calls) > 0)
	return resp
}

// embedCopy reads what embeddings say of themselves, and no vector.
type embedCopy struct {
	client *transport.Client
	resp   model.Response
}

// Whole implements transport.Reader.
func (c *embedCopy) Whole(body []byte) error {
	var got struct {
		Model string `json:"model"`
		Usage struct {
			PromptTokens int `json:"prompt_tokens"`
		} `json:"usage"`
	}
	if err := c.client.Read(body, &got); err != nil {
		return err
	}
	c.resp = model.Response{Model: got.Model, Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: got.Usage.PromptTokens}}
	return nil
}

// Event implements transport.Reader. Embeddings are not streamed.
func (c *embedCopy) Event([]byte) (last, extra bool, err error) {
	return false, false, c.client.Cut()
}

// End implements transport.Reader.
func (c *embedCopy) End() ([]byte, error) { return nil, c.client.Cut() }
