package anthropicmodel

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
)

// call is the body of a request.
type call struct {
	Model       string        `json:"model"`
	MaxTokens   int           `json:"max_tokens"`
	System      []block       `json:"system,omitempty"`
	Messages    []turn        `json:"messages"`
	Tools       []tool        `json:"tools,omitempty"`
	ToolChoice  *toolChoice   `json:"tool_choice,omitempty"`
	Temperature *float64      `json:"temperature,omitempty"`
	TopP        *float64      `json:"top_p,omitempty"`
	TopK        int           `json:"top_k,omitempty"`
	Stop        []string      `json:"stop_sequences,omitempty"`
	Thinking    *thinking     `json:"thinking,omitempty"`
	Output      *outputConfig `json:"output_config,omitempty"`
	Stream      bool          `json:"stream,omitempty"`
}

type tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Schema      json.RawMessage `json:"input_schema"`
	Cache       *cacheControl   `json:"cache_control,omitempty"`
}

type toolChoice struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
}

// cacheControl ends a prefix of the prompt that the server keeps for the next request with the same one.
type cacheControl struct {
	Type string `json:"type"`
}

// translate makes the body of a request. Seed has no counterpart there.
func translate(request model.Request, stream bool) (call, error) {
	system, messages, err := turns(request.Messages)
	if err != nil {
		return call{}, err
	}
	output := outputTool(request)
	c := call{
		Model: request.Model, MaxTokens: cmp.Or(request.MaxTokens, defaultTokens), System: system, Messages: messages,
		Tools: tools(request, output), ToolChoice: choice(request, output), Stop: request.Stop, Stream: stream,
	}
	c.reason(request)
	if c.samples() {
		c.Temperature, c.TopP, c.TopK = request.Temperature, request.TopP, request.TopK
	}
	return c, nil
}

// breakpoints marks the ends of the stable prefix: the tools, and after them the instructions.
func (c *call) breakpoints() {
	if n := len(c.Tools); n > 0 {
		c.Tools[n-1].Cache = &cacheControl{Type: "ephemeral"}
	}
	if n := len(c.System); n > 0 {
		c.System[n-1].Cache = &cacheControl{Type: "ephemeral"}
	}
}

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// outputTool names the tool whose input is the structured output; empty when none is asked for.
func outputTool(request model.Request) string {
	name := cmp.Or(request.SchemaName, "output")
	taken := slices.ContainsFunc(request.Tools, func(t model.Tool) bool { return t.Name == name })
	switch {
	case len(request.Schema) == 0:
		return ""
	case taken || !toolName.MatchString(name):
		return "structured_output"
	}
	return name
}

func tools(request model.Request, output string) []tool {
	var out []tool
	for _, t := range request.Tools {
		schema := t.Parameters
		if len(schema) == 0 {
			schema = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		out = append(out, tool{Name: t.Name, Description: t.Description, Schema: schema})
	}
	if output != "" {
		out = append(out, tool{Name: output, Description: "Gives the final answer. Call it once, with the whole answer.", Schema: request.Schema})
	}
	return out
}

// choice says which tool must be called. Structured output is a tool among the others: it is what remains when no other may be
// called, and one of them must be.
func choice(request model.Request, output string) *toolChoice {
	others := len(request.Tools) > 0
	switch wish := request.ToolChoice; {
	case !others && output == "":
		return nil
	case output != "" && (!others || wish == model.ToolNone):
		return &toolChoice{Type: "tool", Name: output}
	case wish == model.ToolRequired, output != "" && (wish == "" || wish == model.ToolAuto):
		return &toolChoice{Type: "any"}
	case wish == model.ToolNone:
		return &toolChoice{Type: "none"}
	case wish == "", wish == model.ToolAuto:
		return nil
	default:
		return &toolChoice{Type: "tool", Name: wish}
	}
}
