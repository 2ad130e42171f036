package modeltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
)

type chatRequest struct {
	Model    string `json:"model"`
	Messages []struct {
		Role       string     `json:"role"`
		Content    chatText   `json:"content"`
		ToolCalls  []chatCall `json:"tool_calls"`
		ToolCallID string     `json:"tool_call_id"`
	} `json:"messages"`
	Tools []struct {
		Function model.Tool `json:"function"`
	} `json:"tools"`
	ToolChoice          json.RawMessage `json:"tool_choice"`
	MaxTokens           int             `json:"max_tokens"`
	MaxCompletionTokens int             `json:"max_completion_tokens"`
	LogProbs            bool            `json:"logprobs"`
	Stream              bool            `json:"stream"`
	StreamOptions       struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	ResponseFormat struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
}

type chatCall struct {
	Index    *int   `json:"index,omitempty"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// chatText is the content of a message: a string, parts, or null.
type chatText string

// UnmarshalJSON reads any form.
func (c *chatText) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, (*string)(c)) == nil {
		return nil
	}
	var parts []struct{ Type, Text string }
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	for _, part := range parts {
		*c += chatText(part.Text)
	}
	return nil
}

// chat answers a chat completion.
func (h *Handler) chat(body []byte, fails bool) answer {
	var in chatRequest
	switch err := json.Unmarshal(body, &in); {
	case err != nil:
		return declined(http.StatusBadRequest, "", "We could not parse the JSON body of your request.")
	case in.Model != ChatModel && in.Model != EndlessModel:
		return missing(in.Model)
	case len(in.Messages) == 0:
		return declined(http.StatusBadRequest, "", "[] is too short - 'messages'")
	}
	request := in.portable()
	words := 0
	for _, m := range request.Messages {
		words += len(strings.Fields(m.Text))
	}
	if limit := h.options.ContextTokens; limit > 0 && words > limit {
		return declined(http.StatusBadRequest, "context_length_exceeded", fmt.Sprintf(
			"This model's maximum context length is %d tokens. However, your messages resulted in %d tokens.", limit, words))
	}
	sum := hash(string(body))
	resp, scripted := model.Response{}, false
	if !fails {
		resp, scripted = h.nextReply()
	}
	if !scripted {
		resp = Answer(request)
	}
	resp.ID, resp.Model = "chatcmpl-"+sum[:24], in.Model+"-2023-11-14"
	got := answer{status: http.StatusOK, endless: in.Model == EndlessModel, count: func(s *Stats, abandoned bool) {
		if abandoned {
			s.Abandoned++
			return
		}
		s.Prompts[sum]++
	}}
	if in.LogProbs {
		resp.LogProbs = LogProbs(resp.Text)
	}
	if in.Stream {
		got.events = chunks(resp, in.StreamOptions.IncludeUsage)
	} else {
		got.body = completion(resp)
	}
	return got
}

func (in chatRequest) portable() model.Request {
	request := model.Request{MaxTokens: max(in.MaxTokens, in.MaxCompletionTokens), ToolChoice: in.choice()}
	for _, m := range in.Messages {
		turn := model.Message{Role: m.Role, Text: string(m.Content), CallID: m.ToolCallID}
		for _, c := range m.ToolCalls {
			turn.Calls = append(turn.Calls, model.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: json.RawMessage(c.Function.Arguments)})
		}
		request.Messages = append(request.Messages, turn)
	}
	for _, tool := range in.Tools {
		request.Tools = append(request.Tools, tool.Function)
	}
	if in.ResponseFormat.Type == "json_schema" {
		request.Schema = in.ResponseFormat.JSONSchema.Schema
	}
	return request
}

func (in chatRequest) choice() string {
	var named struct{ Function struct{ Name string } }
	var word string
	if json.Unmarshal(in.ToolChoice, &word) == nil {
		return word
	}
	_ = json.Unmarshal(in.ToolChoice, &named) // a choice that is neither counts as none
	return named.Function.Name
}

// completion is the body of a whole answer.
func completion(resp model.Response) any {
	message := map[string]any{"role": "assistant", "content": resp.Text, "refusal": nil}
	if len(resp.Calls) > 0 {
		message["tool_calls"] = wireCalls(resp.Calls)
	}
	return map[string]any{
		"id": resp.ID, "object": "chat.completion", "created": 1700000000, "model": resp.Model,
		"choices": []any{map[string]any{"index": 0, "logprobs": wireLogProbs(resp.Text, resp.LogProbs), "finish_reason": reason(resp), "message": message}},
		"usage":   usage(resp), "system_fingerprint": "fp_test",
	}
}

// chunks is a streamed answer, as the data of its events.
func chunks(resp model.Response, withUsage bool) []string {
	head := map[string]any{
		"id": resp.ID, "object": "chat.completion.chunk", "created": 1700000000, "model": resp.Model, "system_fingerprint": "fp_test",
	}
	var events []string
	add := func(choices []any, usage any) {
		head["choices"], head["usage"] = choices, usage
		data, err := json.Marshal(head)
		if err != nil {
			panic(err) // strings and numbers always marshal
		}
		events = append(events, string(data))
	}
	var chances any
	delta := func(finish any, delta map[string]any) {
		add([]any{map[string]any{"index": 0, "delta": delta, "logprobs": chances, "finish_reason": finish}}, nil)
	}
	delta(nil, map[string]any{"role": "assistant", "content": ""})
	for i, piece := range Pieces(resp.Text) {
		if resp.LogProbs != nil {
			chances = wireLogProbs(piece, resp.LogProbs[i:i+1])
		}
		delta(nil, map[string]any{"content": piece})
	}
	chances = nil
	for i, call := range wireCalls(resp.Calls) {
		whole := call.Function.Arguments
		call.Index, call.Function.Arguments = &i, ""
		delta(nil, map[string]any{"tool_calls": []chatCall{call}})
		for _, part := range []string{whole[:len(whole)/2], whole[len(whole)/2:]} {
			piece := chatCall{Index: &i}
			piece.Function.Arguments = part
			delta(nil, map[string]any{"tool_calls": []chatCall{piece}})
		}
	}
	delta(reason(resp), map[string]any{})
	if withUsage {
		add([]any{}, usage(resp))
	}
	return append(events, "[DONE]")
}

// wireLogProbs are those of the pieces of a text; nil where nobody asked.
func wireLogProbs(text string, logProbs []float64) any {
	if logProbs == nil {
		return nil
	}
	var tokens []any
	for i, piece := range Pieces(text)[:len(logProbs)] {
		tokens = append(tokens, map[string]any{"token": piece, "logprob": logProbs[i], "bytes": nil, "top_logprobs": []any{}})
	}
	return map[string]any{"content": tokens, "refusal": nil}
}

func wireCalls(calls []model.ToolCall) []chatCall {
	wire := make([]chatCall, len(calls))
	for i, call := range calls {
		wire[i] = chatCall{ID: call.ID, Type: "function"}
		wire[i].Function.Name, wire[i].Function.Arguments = call.Name, string(call.Arguments)
	}
	return wire
}

func reason(resp model.Response) string {
	switch {
	case resp.Finish == model.FinishTool, resp.Finish == "" && len(resp.Calls) > 0:
		return "tool_calls"
	case resp.Finish == model.FinishFilter:
		return "content_filter"
	case resp.Finish == "":
		return "stop"
	}
	return resp.Finish
}

func usage(resp model.Response) any {
	return map[string]any{
		"prompt_tokens": resp.Usage.InputTokens, "completion_tokens": resp.Usage.OutputTokens,
		"total_tokens":              resp.Usage.InputTokens + resp.Usage.OutputTokens,
		"prompt_tokens_details":     map[string]any{"cached_tokens": resp.Usage.CachedTokens},
		"completion_tokens_details": map[string]any{"reasoning_tokens": resp.Usage.ReasoningTokens},
	}
}
