// Package anthropic serves Anthropic's Messages API for configured models and chains.
package anthropic

import (
	"encoding/json"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// Mount adds POST /v1/messages to mux. A key may come in X-Api-Key, where Anthropic's clients put it, as well as in Authorization.
func Mount(mux *http.ServeMux, r *relay.Relay, authorize relay.Authorize) {
	mux.HandleFunc("POST /v1/messages", func(w http.ResponseWriter, request *http.Request) {
		w.Header().Set("Request-Id", w.Header().Get("X-Request-Id")) // where the clients look for it
		key, err := authorize(bearer(request))
		if err != nil {
			relay.Fail(w, failure(err).WithoutKey())
			return
		}
		r.Serve(w, request, messages{}, key)
	})
}

// bearer is the request with its key where it is looked for.
func bearer(request *http.Request) *http.Request {
	key := request.Header.Get("X-Api-Key")
	if key == "" || request.Header.Get("Authorization") != "" {
		return request
	}
	moved := request.Clone(request.Context())
	moved.Header.Set("Authorization", "Bearer "+key)
	return moved
}

// messages is the protocol of Messages.
type messages struct{}

// Operation implements relay.Protocol.
func (messages) Operation() model.Operation { return model.Messages }

// Failure implements relay.Protocol.
func (messages) Failure(err error) relay.Failure { return failure(err) }

// request is what of one can be translated (platform.claude.com/docs/en/api/messages).
type request struct {
	System      content     `json:"system"`
	Messages    []turn      `json:"messages"`
	MaxTokens   int         `json:"max_tokens"`
	Stop        []string    `json:"stop_sequences"`
	Temperature *float64    `json:"temperature"`
	TopP        *float64    `json:"top_p"`
	TopK        int         `json:"top_k"`
	Tools       []tool      `json:"tools"`
	ToolChoice  *toolChoice `json:"tool_choice"`
	Thinking    *struct {
		Type string `json:"type"`
	} `json:"thinking"`
	Output *struct {
		Effort string `json:"effort"`
		Format *struct {
			Type   string          `json:"type"`
			Schema json.RawMessage `json:"schema"`
		} `json:"format"`
	} `json:"output_config"`
	Stream bool `json:"stream"`
}

type tool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"input_schema"`
}

type toolChoice struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Single bool   `json:"disable_parallel_tool_use"`
}

var fields = relay.Fields{
	Honoured: []string{
		"model", "system", "messages", "max_tokens", "stop_sequences", "temperature", "top_p", "top_k", "tools", "tool_choice", "thinking",
		"output_config", "stream",
	},
	Noted: []string{"metadata", "cache_control"},
	Plain: map[string][]string{"service_tier": {`"auto"`}},
}

// Translate implements relay.Protocol.
func (messages) Translate(body *object.Object, about relay.About) (relay.Translated, error) {
	if err := fields.Check(body, about.Name); err != nil {
		return nil, err
	}
	var in request
	if err := relay.Decode(body, &in); err != nil {
		return nil, err
	}
	portable, err := in.portable()
	if err != nil {
		return nil, err
	}
	out := &writer{about: about}
	if in.Stream {
		return out.stream(portable), nil
	}
	return out.whole(portable), nil
}

func (in request) portable() (model.Request, error) {
	request := model.Request{
		MaxTokens: in.MaxTokens, Stop: in.Stop, Temperature: in.Temperature, TopP: in.TopP, TopK: in.TopK,
	}
	switch {
	case in.MaxTokens < 1:
		return request, relay.Refuse("max_tokens", "", "max_tokens is missing or below 1")
	case len(in.Messages) == 0:
		return request, relay.Refuse("messages", "", "messages is empty; send at least one message")
	case in.Thinking != nil && in.Thinking.Type != "disabled":
		return request, relay.Refuse("thinking", "", "thinking cannot be honoured for this model, whose provider has another API; leave it out")
	}
	turns, err := in.turns()
	if err != nil {
		return request, err
	}
	request.Messages = turns
	if err := in.tools(&request); err != nil {
		return request, err
	}
	return request, in.output(&request)
}

// output translates what is wanted of the answer's form.
func (in request) output(request *model.Request) error {
	if in.Output == nil {
		return nil
	}
	request.Effort = in.Output.Effort
	if f := in.Output.Format; f != nil {
		if f.Type != "json_schema" || len(f.Schema) == 0 {
			return relay.Refuse("output_config", "", "output_config.format is a json_schema with a schema")
		}
		request.Schema = f.Schema
	}
	return nil
}

// tools translates the tools of a request, and which of them must be called.
func (in request) tools(request *model.Request) error {
	for _, t := range in.Tools {
		if t.Type != "" && t.Type != "custom" {
			return relay.Refuse("tools", "", "tools of the type %.40q are Anthropic's own; this model has others only", t.Type)
		}
		request.Tools = append(request.Tools, model.Tool{Name: t.Name, Description: t.Description, Parameters: t.Schema})
	}
	choice := in.ToolChoice
	if choice == nil {
		return nil
	}
	if choice.Single {
		return relay.Refuse("tool_choice", "", "disable_parallel_tool_use cannot be honoured for this model; leave it out")
	}
	switch choice.Type {
	case "auto", "none":
		request.ToolChoice = choice.Type
	case "any":
		request.ToolChoice = model.ToolRequired
	case "tool":
		request.ToolChoice = choice.Name
	default:
		return relay.Refuse("tool_choice", "", "tool_choice.type is auto, any, tool or none")
	}
	return nil
}
