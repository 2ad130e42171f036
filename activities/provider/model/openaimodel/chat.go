package openaimodel

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
)

// chatRequest is the body of a chat completion (platform.openai.com/docs/api-reference/chat/create).
type chatRequest struct {
	Model               string         `json:"model"`
	Messages            []chatMessage  `json:"messages"`
	Tools               []chatTool     `json:"tools,omitempty"`
	ToolChoice          any            `json:"tool_choice,omitempty"`
	MaxTokens           int            `json:"max_tokens,omitempty"`
	MaxCompletionTokens int            `json:"max_completion_tokens,omitempty"`
	Temperature         *float64       `json:"temperature,omitempty"`
	TopP                *float64       `json:"top_p,omitempty"`
	TopK                int            `json:"top_k,omitempty"` // of vLLM, OpenRouter and others; OpenAI has none
	Seed                *int64         `json:"seed,omitempty"`
	Stop                []string       `json:"stop,omitempty"`
	ReasoningEffort     string         `json:"reasoning_effort,omitempty"`
	ResponseFormat      *chatFormat    `json:"response_format,omitempty"`
	LogProbs            bool           `json:"logprobs,omitempty"`
	Stream              bool           `json:"stream,omitempty"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type chatMessage struct {
	Role       string     `json:"role"`
	Content    any        `json:"content,omitempty"` // a string or parts
	ToolCalls  []chatCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type chatCall struct {
	Index    *int         `json:"index,omitempty"` // in streams only
	ID       string       `json:"id,omitempty"`
	Type     string       `json:"type,omitempty"`
	Function functionCall `json:"function"`
}

type functionCall struct {
	Name      string    `json:"name,omitempty"`
	Arguments arguments `json:"arguments"`
}

// arguments is JSON in a string, as the protocol has it; some servers send the object itself.
type arguments string

// UnmarshalJSON reads either form.
func (a *arguments) UnmarshalJSON(data []byte) error {
	if data[0] != '"' {
		*a = arguments(data)
		return nil
	}
	return json.Unmarshal(data, (*string)(a))
}

type chatTool struct {
	Type     string   `json:"type"`
	Function function `json:"function"`
}

type function struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters"`
}

type chatFormat struct {
	Type       string     `json:"type"`
	JSONSchema jsonSchema `json:"json_schema"`
}

type jsonSchema struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
	Strict bool            `json:"strict"`
}

// noParameters is the schema of a tool without arguments.
var noParameters = json.RawMessage(`{"type":"object","properties":{}}`)

// chat makes one chat completion.
func (d *Driver) chat(ctx context.Context, request model.Request, without fields, emit model.Emit) (model.Response, error) {
	call, err := d.chatCall(request, without, emit != nil)
	if err != nil {
		return model.Response{}, err
	}
	if emit != nil {
		return d.chatStream(ctx, call, emit)
	}
	var got completion
	if err := d.client.Post(ctx, call, &got); err != nil {
		return model.Response{}, err
	}
	return d.completed(call, got)
}

// chatCall translates a request.
func (d *Driver) chatCall(request model.Request, without fields, stream bool) (transport.Call, error) {
	messages, err := chatMessages(request.Messages)
	if err != nil {
		return transport.Call{}, err
	}
	body := chatBody(request, messages)
	if d.tokensField == "max_tokens" {
		body.MaxTokens = request.MaxTokens
	} else {
		body.MaxCompletionTokens = request.MaxTokens
	}
	if !d.official && !without.has(fieldTopK) {
		body.TopK = request.TopK
	}
	if stream {
		body.Stream = true
		if !without.has(fieldStreamOptions) {
			body.StreamOptions = &streamOptions{IncludeUsage: true}
		}
	}
	return transport.Call{Path: "/chat/completions", Body: body, Model: request.Model, Schema: len(request.Schema) > 0}, nil
}

func chatBody(request model.Request, messages []chatMessage) chatRequest {
	body := chatRequest{
		Model: request.Model, Messages: messages, ToolChoice: chatToolChoice(request.ToolChoice),
		Temperature: request.Temperature, TopP: request.TopP, Seed: request.Seed, Stop: request.Stop, ReasoningEffort: request.Effort,
		LogProbs: request.LogProbs,
	}
	for _, tool := range request.Tools {
		body.Tools = append(body.Tools, chatTool{"function", function{tool.Name, tool.Description, parameters(tool)}})
	}
	if len(request.Schema) > 0 {
		body.ResponseFormat = &chatFormat{"json_schema", schemaOf(request)}
	}
	return body
}

func parameters(tool model.Tool) json.RawMessage {
	if len(tool.Parameters) == 0 {
		return noParameters
	}
	return tool.Parameters
}

func schemaOf(request model.Request) jsonSchema {
	return jsonSchema{Name: cmp.Or(request.SchemaName, "output"), Schema: request.Schema, Strict: isStrict(request.Schema)}
}

func chatToolChoice(choice string) any {
	switch choice {
	case "":
		return nil
	case model.ToolAuto, model.ToolNone, model.ToolRequired:
		return choice
	}
	return map[string]any{"type": "function", "function": map[string]string{"name": choice}}
}

func chatMessages(turns []model.Message) ([]chatMessage, error) {
	messages := make([]chatMessage, len(turns))
	for i, turn := range turns {
		content, err := chatContent(turn)
		if err != nil {
			return nil, err
		}
		messages[i] = chatMessage{Role: turn.Role, Content: content, ToolCallID: turn.CallID}
		for _, call := range turn.Calls {
			messages[i].ToolCalls = append(messages[i].ToolCalls, chatCall{
				ID: call.ID, Type: "function", Function: functionCall{call.Name, arguments(call.Arguments)},
			})
		}
	}
	return messages, nil
}

// chatContent is a string, or parts when media stand beside it, or nothing for a turn that only calls tools.
func chatContent(turn model.Message) (any, error) {
	if len(turn.Media) == 0 {
		if turn.Text == "" && len(turn.Calls) > 0 {
			return nil, nil
		}
		return turn.Text, nil
	}
	parts := make([]any, 0, 1+len(turn.Media))
	if turn.Text != "" {
		parts = append(parts, map[string]string{"type": "text", "text": turn.Text})
	}
	for _, media := range turn.Media {
		part, err := chatPart(turn.Role, media)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}
