package openaimodel

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// responsesAnswer is a response of the Responses API.
type responsesAnswer struct {
	ID         string            `json:"id"`
	Model      string            `json:"model"`
	Status     string            `json:"status"`
	Error      json.RawMessage   `json:"error"`
	Output     []json.RawMessage `json:"output"`
	Incomplete struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
	Usage struct {
		InputTokens        int `json:"input_tokens"`
		OutputTokens       int `json:"output_tokens"`
		InputTokensDetails struct {
			CachedTokens int `json:"cached_tokens"`
		} `json:"input_tokens_details"`
		OutputTokensDetails struct {
			ReasoningTokens int `json:"reasoning_tokens"`
		} `json:"output_tokens_details"`
	} `json:"usage"`
}

// outputItem is one item of an output.
type outputItem struct {
	Type    string `json:"type"`
	Content []struct {
		Type     string   `json:"type"`
		Text     string   `json:"text"`
		Refusal  string   `json:"refusal"`
		LogProbs logProbs `json:"logprobs"`
	} `json:"content"` // of a message
	CallID    string    `json:"call_id"`
	Name      string    `json:"name"`
	Arguments arguments `json:"arguments"`         // of a function call
	Input     string    `json:"input"`             // of a custom tool call: plain text
	Encrypted string    `json:"encrypted_content"` // of reasoning
}

// output is what the items of a response come to.
type output struct {
	text     strings.Builder
	logProbs []float64
	refused  bool
	calls    []model.ToolCall
	items    []json.RawMessage // for the next turn
	keep     bool              // the items hold reasoning that the next turn can use
}

// responded translates a response with these items of output.
func (d *Driver) responded(call transport.Call, request model.Request, got responsesAnswer, items []json.RawMessage) (model.Response, error) {
	switch got.Status {
	case "failed":
		return model.Response{}, d.client.Failure(call, append(append([]byte(`{"error":`), orNull(got.Error)...), '}'))
	case "cancelled", "queued", "in_progress":
		return model.Response{}, schemas.Errorf(schemas.Unavailable, "the model server at %s left the response %s", d.client.Base(), got.Status)
	}
	var out output
	for _, raw := range items {
		if err := out.add(raw, request.Tools); err != nil {
			return model.Response{}, err
		}
	}
	resp := model.Response{
		Text: out.text.String(), LogProbs: out.logProbs, Calls: out.calls, Model: got.Model, ID: got.ID, Finish: finish(reasonOf(got), out.refused, len(out.calls) > 0),
		Usage: schemas.Usage{
			InputTokens: got.Usage.InputTokens, OutputTokens: got.Usage.OutputTokens,
			CachedTokens: got.Usage.InputTokensDetails.CachedTokens, ReasoningTokens: got.Usage.OutputTokensDetails.ReasoningTokens,
		},
	}
	if !out.keep {
		return resp, nil
	}
	data, err := json.Marshal(state{out.items})
	if err != nil {
		return model.Response{}, schemas.Wrap(schemas.Internal, err, "the model's reasoning cannot be kept for the next turn")
	}
	resp.State = data
	return resp, nil
}

// reasonOf is the finish reason in the words of chat completions.
func reasonOf(got responsesAnswer) string {
	switch {
	case got.Status == "incomplete" && got.Incomplete.Reason == "content_filter":
		return "content_filter"
	case got.Status == "incomplete":
		return "length"
	}
	return "stop"
}

func (o *output) add(raw json.RawMessage, tools []model.Tool) error {
	var item outputItem
	if err := json.Unmarshal(raw, &item); err != nil {
		return schemas.Wrap(schemas.MalformedOutput, err, "the model server sent an output item that cannot be read")
	}
	switch item.Type {
	case "message":
		for _, part := range item.Content {
			o.text.WriteString(part.Text + part.Refusal)
			o.logProbs = append(o.logProbs, part.LogProbs...)
			o.refused = o.refused || part.Refusal != ""
		}
	case "function_call":
		return o.call(raw, item, tools)
	case "custom_tool_call": // its input is plain text
		data, err := json.Marshal(map[string]string{"input": item.Input})
		if err != nil {
			return schemas.Wrap(schemas.Internal, err, "the input of a tool call cannot be written as JSON")
		}
		item.Arguments = arguments(data)
		return o.call(raw, item, tools)
	case "reasoning":
		if item.Encrypted == "" { // the server, which was told to store nothing, would not know it again
			return nil
		}
		o.keep = true
	}
	o.items = append(o.items, raw)
	return nil
}

func (o *output) call(raw json.RawMessage, item outputItem, tools []model.Tool) error {
	if wrapped := unwrap(item, tools); wrapped != nil {
		return o.addWrapped(wrapped)
	}
	made, err := transport.NewCall(len(o.calls), item.CallID, item.Name, string(item.Arguments))
	if err != nil {
		return err
	}
	o.calls, o.items = append(o.calls, made), append(o.items, raw)
	return nil
}

// addWrapped takes several calls in place of the item that wrapped them, in the next turn too: each result needs its call.
func (o *output) addWrapped(calls []model.ToolCall) error {
	for _, call := range calls {
		raw, err := json.Marshal(inputCall{"function_call", call.ID, call.Name, string(call.Arguments)})
		if err != nil {
			return schemas.Wrap(schemas.Internal, err, "a tool call cannot be written as JSON")
		}
		o.calls, o.items = append(o.calls, call), append(o.items, raw)
	}
	return nil
}

// unwrap returns the calls inside a call of "parallel", a tool that nobody declared: models make it up from their training to call
// several tools at once. Nil for any other call, and when it holds a call of a tool that was not declared either.
func unwrap(item outputItem, tools []model.Tool) []model.ToolCall {
	if item.Name != "parallel" && item.Name != "multi_tool_use.parallel" || declares(tools, item.Name) {
		return nil
	}
	var wrapper struct {
		ToolUses []struct {
			Name       string          `json:"recipient_name"`
			Parameters json.RawMessage `json:"parameters"`
		} `json:"tool_uses"`
	}
	if json.Unmarshal([]byte(item.Arguments), &wrapper) != nil {
		return nil
	}
	var calls []model.ToolCall
	for i, use := range wrapper.ToolUses {
		name := strings.TrimPrefix(use.Name, "functions.")
		call, err := transport.NewCall(i, fmt.Sprintf("%s_%d", item.CallID, i+1), name, string(use.Parameters))
		if err != nil || !declares(tools, name) {
			return nil
		}
		calls = append(calls, call)
	}
	return calls
}

func declares(tools []model.Tool, name string) bool {
	for _, tool := range tools {
		if tool.Name == name {
			return true
		}
	}
	return false
}

// responsesEvent is an event of a streamed response (platform.openai.com/docs/api-reference/responses-streaming).
type responsesEvent struct {
	Type     string          `json:"type"`
	Index    int             `json:"output_index"`
	Delta    json.RawMessage `json:"delta"` // a string for text; objects elsewhere
	Item     json.RawMessage `json:"item"`
	Response responsesAnswer `json:"response"`
}

// responsesStream reads a streamed response. Its terminal events are response.completed, .incomplete and .failed.
func (d *Driver) responsesStream(ctx context.Context, call transport.Call, request model.Request, emit model.Emit) (model.Response, error) {
	s := responsesStream{answer: transport.Answer{Emit: emit}, items: map[int]json.RawMessage{}}
	for event, err := range d.client.Events(ctx, call) {
		if err != nil {
			return model.Response{}, err
		}
		if event.Whole {
			var got responsesAnswer
			if err := d.client.Decode(call, event.Data, &got); err != nil {
				return model.Response{}, err
			}
			return d.finished(call, request, &s, got)
		}
		var e responsesEvent
		if err := d.client.Decode(call, event.Data, &e); err != nil {
			return model.Response{}, err
		}
		switch e.Type {
		case "error":
			return model.Response{}, d.client.Failure(call, event.Data)
		case "response.completed", "response.incomplete", "response.failed":
			return d.finished(call, request, &s, e.Response)
		}
		if err := s.take(e); err != nil {
			return model.Response{}, err
		}
	}
	return model.Response{}, d.client.Cut()
}

// responsesStream is what came of a streamed response so far.
type responsesStream struct {
	answer transport.Answer
	items  map[int]json.RawMessage
}

func (s *responsesStream) take(e responsesEvent) error {
	switch e.Type {
	case "response.output_text.delta", "response.refusal.delta":
		var piece string
		if err := json.Unmarshal(e.Delta, &piece); err != nil {
			return schemas.Wrap(schemas.MalformedOutput, err, "the model server sent a piece of text that is none")
		}
		return s.answer.Add(piece)
	case "response.output_item.done":
		s.items[e.Index] = e.Item
		return s.answer.Grow(len(e.Item))
	}
	return nil
}

// finished translates a streamed response. The items that came are the authority, because some servers leave the output of the last
// event empty. Text that came in no piece is emitted now.
func (d *Driver) finished(call transport.Call, request model.Request, s *responsesStream, got responsesAnswer) (model.Response, error) {
	items := make([]json.RawMessage, 0, len(s.items))
	for _, i := range slices.Sorted(maps.Keys(s.items)) {
		items = append(items, s.items[i])
	}
	if len(items) == 0 {
		items = got.Output
	}
	resp, err := d.responded(call, request, got, items)
	if err != nil {
		return model.Response{}, err
	}
	streamed := s.answer.Text()
	rest, ok := strings.CutPrefix(resp.Text, streamed)
	if !ok { // what the caller saw is what counts
		resp.Text = streamed
		return resp, nil
	}
	if err := s.answer.Add(rest); err != nil {
		return model.Response{}, err
	}
	return resp, nil
}
