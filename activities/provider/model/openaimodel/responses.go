package openaimodel

import (
	"context"
	"encoding/json"
	"regexp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// responsesRequest is the body of a call of the Responses API (platform.openai.com/docs/api-reference/responses/create).
type responsesRequest struct {
	Model           string          `json:"model"`
	Input           []any           `json:"input"`
	Tools           []responsesTool `json:"tools,omitempty"`
	ToolChoice      any             `json:"tool_choice,omitempty"`
	MaxOutputTokens int             `json:"max_output_tokens,omitempty"`
	Temperature     *float64        `json:"temperature,omitempty"`
	TopP            *float64        `json:"top_p,omitempty"`
	Reasoning       *reasoning      `json:"reasoning,omitempty"`
	Text            *responsesText  `json:"text,omitempty"`
	Include         []string        `json:"include,omitempty"`
	Store           bool            `json:"store"` // false: what was said is kept here, not there
	Stream          bool            `json:"stream,omitempty"`
}

type reasoning struct {
	Effort string `json:"effort"`
}

type responsesText struct {
	Format responsesFormat `json:"format"`
}

type responsesFormat struct {
	Type string `json:"type"`
	jsonSchema
}

type responsesTool struct {
	Type string `json:"type"`
	function
	Strict bool `json:"strict"` // the API's own default is true, which changes the schema
}

type inputMessage struct {
	Role    string `json:"role"`
	Content any    `json:"content"` // a string or parts
}

type inputCall struct {
	Type      string `json:"type"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type inputResult struct {
	Type   string `json:"type"`
	CallID string `json:"call_id"`
	Output string `json:"output"`
}

// state is Response.State: the items of a turn that reasoned. Its name tells it from the state of other providers.
type state struct {
	Items []json.RawMessage `json:"openai_items"`
}

// responses makes one call of the Responses API.
func (d *Driver) responses(ctx context.Context, request model.Request, without fields, emit model.Emit) (model.Response, error) {
	call, err := d.responsesCall(request, without, emit != nil)
	if err != nil {
		return model.Response{}, err
	}
	if emit != nil {
		return d.responsesStream(ctx, call, request, emit)
	}
	var got responsesAnswer
	if err := d.client.Post(ctx, call, &got); err != nil {
		return model.Response{}, err
	}
	return d.responded(call, request, got, got.Output)
}

// responsesCall translates a request.
func (d *Driver) responsesCall(request model.Request, without fields, stream bool) (transport.Call, error) {
	if len(request.Stop) > 0 {
		return transport.Call{}, schemas.Errorf(schemas.Invalid, "OpenAI's Responses API, which %s needs, has no stop sequences; leave them out", request.Model)
	}
	input, err := inputItems(request.Messages)
	if err != nil {
		return transport.Call{}, err
	}
	body := responsesBody(request, input)
	body.Stream = stream
	if reasons(request) && !without.has(fieldInclude) {
		body.Include = []string{"reasoning.encrypted_content"}
	}
	if request.LogProbs {
		body.Include = append(body.Include, "message.output_text.logprobs")
	}
	return transport.Call{Path: "/responses", Body: body, Model: request.Model, Schema: len(request.Schema) > 0}, nil
}

func responsesBody(request model.Request, input []any) responsesRequest {
	body := responsesRequest{
		Model: request.Model, Input: input, ToolChoice: responsesToolChoice(request.ToolChoice),
		MaxOutputTokens: request.MaxTokens, Temperature: request.Temperature, TopP: request.TopP,
	}
	for _, tool := range request.Tools {
		body.Tools = append(body.Tools, responsesTool{Type: "function", function: function{tool.Name, tool.Description, parameters(tool)}})
	}
	if request.Effort != "" {
		body.Reasoning = &reasoning{request.Effort}
	}
	if len(request.Schema) > 0 {
		body.Text = &responsesText{responsesFormat{"json_schema", schemaOf(request)}}
	}
	return body
}

func responsesToolChoice(choice string) any {
	switch choice {
	case "":
		return nil
	case model.ToolAuto, model.ToolNone, model.ToolRequired:
		return choice
	}
	return map[string]string{"type": "function", "name": choice}
}

var reasoningModels = regexp.MustCompile(`^(o\d|gpt-5|codex|computer-use)`)

// reasons reports whether the model is known to reason. Others decline to include encrypted reasoning.
func reasons(request model.Request) bool {
	return request.Effort != "" || reasoningModels.MatchString(request.Model)
}

func inputItems(turns []model.Message) ([]any, error) {
	var items []any
	for _, turn := range turns {
		switch turn.Role {
		case model.RoleTool:
			items = append(items, inputResult{"function_call_output", turn.CallID, turn.Text})
		case model.RoleAssistant:
			items = append(items, assistantItems(turn)...)
		default:
			items = append(items, inputMessage{turn.Role, inputContent(turn)})
		}
		if len(turn.Media) > 0 && turn.Role != model.RoleUser {
			return nil, schemas.Errorf(schemas.Invalid, "OpenAI's Responses take media from the user only; this one is of the role %s", turn.Role)
		}
	}
	return items, nil
}

// assistantItems are the items of the turn as they came, or what stands for them.
func assistantItems(turn model.Message) []any {
	var kept state
	if json.Unmarshal(turn.State, &kept) == nil && len(kept.Items) > 0 {
		items := make([]any, len(kept.Items))
		for i, item := range kept.Items {
			items[i] = item
		}
		return items
	}
	var items []any
	if turn.Text != "" || len(turn.Calls) == 0 {
		items = append(items, inputMessage{model.RoleAssistant, turn.Text})
	}
	for _, call := range turn.Calls {
		items = append(items, inputCall{"function_call", call.ID, call.Name, string(call.Arguments)})
	}
	return items
}

func inputContent(turn model.Message) any {
	if len(turn.Media) == 0 {
		return turn.Text
	}
	parts := make([]any, 0, 1+len(turn.Media))
	if turn.Text != "" {
		parts = append(parts, map[string]string{"type": "input_text", "text": turn.Text})
	}
	for _, media := range turn.Media {
		parts = append(parts, inputPart(media))
	}
	return parts
}
