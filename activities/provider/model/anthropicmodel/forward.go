package anthropicmodel

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

var _ model.Forwarder = (*Driver)(nil)

// Forwards takes requests of Messages.
func (d *Driver) Forwards(op model.Operation, _ string) bool { return op == model.Messages }

// Forward sends a request on, with its betas and the version of the API that its caller speaks.
func (d *Driver) Forward(ctx context.Context, request model.ForwardRequest, each func(model.Piece) error) (model.Response, error) {
	name, err := json.Marshal(request.Model)
	if err != nil {
		return model.Response{}, schemas.Wrap(schemas.Invalid, err, "the name of the model cannot be written as JSON")
	}
	header := http.Header{}
	for _, field := range []string{"Anthropic-Beta", "Anthropic-Version"} {
		if values := request.Header.Values(field); len(values) > 0 {
			header[field] = values
		}
	}
	call := transport.Call{Path: "/messages", Raw: request.Body.With("model", name).Bytes(), Header: header, Model: request.Model}
	copied := &messageCopy{client: d.client}
	err = d.client.Forward(ctx, call, request.Stream, copied, each)
	return copied.response(request.Model), err
}

// messageCopy reads the copy of a message that is passed on. What cannot be said in our words is left out of it.
type messageCopy struct {
	client *transport.Client
	answer assembly
	began  bool
}

// Whole implements transport.Reader.
func (c *messageCopy) Whole(body []byte) error {
	c.began = true
	return c.client.Read(body, &c.answer.reply)
}

// Event implements transport.Reader.
func (c *messageCopy) Event(data []byte) (last, extra bool, err error) {
	var e event
	if err := c.client.Read(data, &e); err != nil {
		return false, false, err
	}
	c.began = c.began || e.Type == "message_start"
	last, err = c.answer.add(e)
	return last, false, err
}

// End implements transport.Reader.
func (c *messageCopy) End() ([]byte, error) {
	if c.answer.StopReason == "" {
		return nil, c.client.Cut()
	}
	return []byte("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), nil
}

// response is what has come, in our words.
func (c *messageCopy) response(asked string) model.Response {
	if !c.began {
		return model.Response{}
	}
	got := c.answer.finished()
	resp, err := got.response("")
	if err != nil { // a tool call that is no JSON, or nothing but the beginning
		resp = model.Response{ID: got.ID, Model: got.Model, Usage: got.Usage.portable()}
	}
	if got.StopReason == "" {
		resp.Finish = ""
	}
	if resp.Model == "" {
		resp.Model = asked
	}
	return resp
}
