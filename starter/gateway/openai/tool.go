package openai

import (
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

type tool struct {
	Type     string     `json:"type"`
	Function model.Tool `json:"function"`
}

// tools translates the tools of a request, and which of them must be called.
func (in chatRequest) tools(request *model.Request) error {
	for _, t := range in.Tools {
		if t.Type != "function" {
			return relay.Refuse("tools", "unsupported_value", "tools of the type %.40q are OpenAI's own; this model has functions only", t.Type)
		}
		request.Tools = append(request.Tools, t.Function)
	}
	if len(in.ToolChoice) == 0 || string(in.ToolChoice) == "null" {
		return nil
	}
	if json.Unmarshal(in.ToolChoice, &request.ToolChoice) == nil {
		switch request.ToolChoice {
		case model.ToolAuto, model.ToolNone, model.ToolRequired:
			return nil
		}
		return relay.Refuse("tool_choice", "invalid_value", "tool_choice is auto, none, required, or an object that names a function")
	}
	var named struct {
		Type     string `json:"type"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if err := json.Unmarshal(in.ToolChoice, &named); err != nil || named.Type != "function" || named.Function.Name == "" {
		return relay.Refuse("tool_choice", "unsupported_value", "tool_choice of this form cannot be honoured; name one function, or choose auto, none or required")
	}
	request.ToolChoice = named.Function.Name
	return nil
}

type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Name   string          `json:"name"`
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

// anyObject is the schema of what only must be a JSON object.
var anyObject = json.RawMessage(`{"type":"object"}`)

func (f *responseFormat) apply(request *model.Request) error {
	if f == nil {
		return nil
	}
	switch f.Type {
	case "text":
	case "json_object":
		request.Schema = anyObject
	case "json_schema":
		if request.Schema, request.SchemaName = f.JSONSchema.Schema, f.JSONSchema.Name; len(request.Schema) == 0 {
			request.Schema = anyObject
		}
	default:
		return relay.Refuse("response_format", "invalid_value", "response_format is text, json_object or json_schema")
	}
	return nil
}
