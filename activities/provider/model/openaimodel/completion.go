package openaimodel

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// completion is a whole chat completion, or a chunk of a streamed one, whose choices have a delta in place of a message.
type completion struct {
	ID                string   `json:"id"`
	Model             string   `json:"model"`
	SystemFingerprint string   `json:"system_fingerprint"`
	Choices           []choice `json:"choices"`
	Usage             *usage   `json:"usage"`
}

type choice struct {
	Index        int             `json:"index"`
	Message      said            `json:"message"`
	Delta        said            `json:"delta"`
	LogProbs     logProbs        `json:"logprobs"`
	FinishReason string          `json:"finish_reason"`
	Error        json.RawMessage `json:"error"` // OpenRouter: the provider behind it failed
}

type said struct {
	Content   content    `json:"content"`
	Refusal   string     `json:"refusal"`
	ToolCalls []chatCall `json:"tool_calls"`
}

func (s said) text() string { return string(s.Content) + s.Refusal }

// content is text: a string or, at Mistral, a list of parts, of which reasoning is left out.
type content string

// UnmarshalJSON reads either form.
func (c *content) UnmarshalJSON(data []byte) error {
	if data[0] != '[' {
		return json.Unmarshal(data, (*string)(c))
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	var text strings.Builder
	for _, part := range parts {
		if part.Type == "text" {
			text.WriteString(part.Text)
		}
	}
	*c = content(text.String())
	return nil
}

type usage struct {
	PromptTokens        int `json:"prompt_tokens"`
	CompletionTokens    int `json:"completion_tokens"`
	PromptTokensDetails struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionTokensDetails struct {
		ReasoningTokens int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

func (u *usage) portable() schemas.Usage {
	if u == nil {
		return schemas.Usage{}
	}
	return schemas.Usage{
		InputTokens: u.PromptTokens, OutputTokens: u.CompletionTokens,
		CachedTokens: u.PromptTokensDetails.CachedTokens, ReasoningTokens: u.CompletionTokensDetails.ReasoningTokens,
	}
}

// completed translates a whole completion. One without any choice is unavailable: it comes from what stands between us and the model.
func (d *Driver) completed(call transport.Call, got completion) (model.Response, error) {
	if len(got.Choices) == 0 {
		return model.Response{}, d.noChoice()
	}
	first := got.Choices[0]
	if err := d.failed(call, first); err != nil {
		return model.Response{}, err
	}
	resp := model.Response{
		Text: first.Message.text(), Model: got.Model, Fingerprint: got.SystemFingerprint, ID: got.ID, Usage: got.Usage.portable(),
		LogProbs: first.LogProbs,
	}
	for i, c := range first.Message.ToolCalls {
		made, err := transport.NewCall(i, c.ID, c.Function.Name, string(c.Function.Arguments))
		if err != nil {
			return model.Response{}, err
		}
		resp.Calls = append(resp.Calls, made)
	}
	resp.Finish = finish(first.FinishReason, first.Message.Refusal != "", len(resp.Calls) > 0)
	return resp, nil
}

func (d *Driver) noChoice() error {
	return schemas.Errorf(schemas.Unavailable, "the model server at %s answered without a choice", d.client.Base())
}

// failed is the error of a choice that reports one in place of an answer.
func (d *Driver) failed(call transport.Call, c choice) error {
	reported := len(c.Error) > 0 && string(c.Error) != "null"
	if !reported && c.FinishReason != "error" {
		return nil
	}
	return d.client.Failure(call, append(append([]byte(`{"error":`), orNull(c.Error)...), '}'))
}

func orNull(data json.RawMessage) json.RawMessage {
	if len(data) == 0 {
		return json.RawMessage("null")
	}
	return data
}

// finish translates a finish reason. One that is not known, or left out as small servers do, is a stop.
func finish(reason string, refused, calls bool) string {
	switch {
	case refused, reason == "content_filter":
		return model.FinishFilter
	case reason == "length":
		return model.FinishLength
	case calls, reason == "tool_calls", reason == "function_call":
		return model.FinishTool
	}
	return model.FinishStop
}

// chatStream reads a streamed completion. Its terminal event is a finish reason; usage may follow it, and then [DONE].
func (d *Driver) chatStream(ctx context.Context, call transport.Call, emit model.Emit) (model.Response, error) {
	s := chatStream{answer: transport.Answer{Emit: emit}, places: map[int]int{}}
	for event, err := range d.client.Events(ctx, call) {
		switch {
		case err != nil && s.reason != "" && ctx.Err() == nil: // it broke off after the answer
			return s.response()
		case err != nil:
			return model.Response{}, err
		case event.Whole:
			return d.unstreamed(call, event.Data, emit)
		case string(event.Data) == "[DONE]":
			return d.done(&s)
		}
		var chunk completion
		if err := d.client.Decode(call, event.Data, &chunk); err != nil {
			return model.Response{}, err
		}
		if err := d.take(call, &s, chunk); err != nil {
			return model.Response{}, err
		}
	}
	if s.reason == "" {
		return model.Response{}, d.client.Cut()
	}
	return s.response()
}

// unstreamed reads the answer of a server that was asked to stream and did not.
func (d *Driver) unstreamed(call transport.Call, body []byte, emit model.Emit) (model.Response, error) {
	var got completion
	if err := d.client.Decode(call, body, &got); err != nil {
		return model.Response{}, err
	}
	resp, err := d.completed(call, got)
	if err == nil && resp.Text != "" {
		emit(model.Delta{Text: resp.Text})
	}
	return resp, err
}

func (d *Driver) done(s *chatStream) (model.Response, error) {
	if !s.begun {
		return model.Response{}, d.noChoice()
	}
	return s.response()
}

// chatStream is what came of a streamed completion so far.
type chatStream struct {
	answer  transport.Answer
	resp    model.Response
	begun   bool // there was a choice
	refused bool
	reason  string
	places  map[int]int // index on the wire to index in answer
	ids     []string    // of the calls in answer
}

// take adds a chunk. Choices beside the first were not asked for.
func (d *Driver) take(call transport.Call, s *chatStream, chunk completion) error {
	s.describe(chunk)
	for _, c := range chunk.Choices {
		if c.Index != 0 {
			continue
		}
		if err := d.failed(call, c); err != nil {
			return err
		}
		s.begun, s.refused = true, s.refused || c.Delta.Refusal != ""
		if c.FinishReason != "" {
			s.reason = c.FinishReason
		}
		if err := cmp.Or(s.answer.Add(c.Delta.text()), s.answer.Grow(len(c.LogProbs))); err != nil {
			return err
		}
		s.resp.LogProbs = append(s.resp.LogProbs, c.LogProbs...)
		for _, piece := range c.Delta.ToolCalls {
			if err := s.answer.Call(s.place(piece), piece.ID, piece.Function.Name, string(piece.Function.Arguments)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *chatStream) describe(chunk completion) {
	if chunk.ID != "" {
		s.resp.ID = chunk.ID
	}
	if chunk.Model != "" {
		s.resp.Model = chunk.Model
	}
	if chunk.SystemFingerprint != "" {
		s.resp.Fingerprint = chunk.SystemFingerprint
	}
	if chunk.Usage != nil {
		s.resp.Usage = chunk.Usage.portable()
	}
}

// place tells which call a piece belongs to. Some servers number every call 0, or none: then another id, or another name of an
// unnumbered one, begins another call.
func (s *chatStream) place(piece chatCall) int {
	index := 0
	if piece.Index != nil {
		index = *piece.Index
	}
	at, known := s.places[index]
	switch {
	case !known, piece.ID != "" && s.ids[at] != "" && piece.ID != s.ids[at], piece.Index == nil && piece.ID == "" && piece.Function.Name != "":
		at = len(s.ids)
		s.places[index] = at
		s.ids = append(s.ids, piece.ID)
	case s.ids[at] == "":
		s.ids[at] = piece.ID
	}
	return at
}

func (s *chatStream) response() (model.Response, error) {
	calls, err := s.answer.Calls()
	if err != nil {
		return model.Response{}, err
	}
	s.resp.Text, s.resp.Calls = s.answer.Text(), calls
	s.resp.Finish = finish(s.reason, s.refused, len(calls) > 0)
	return s.resp, nil
}
