package coheremodel

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// body is that of chat (docs.cohere.com/reference/chat).
type body struct {
	Model       string    `json:"model"`
	Messages    []message `json:"messages"`
	Tools       []tool    `json:"tools,omitempty"`
	ToolChoice  string    `json:"tool_choice,omitempty"`
	MaxTokens   int       `json:"max_tokens,omitempty"`
	Temperature *float64  `json:"temperature,omitempty"`
	P           *float64  `json:"p,omitempty"`
	K           int       `json:"k,omitempty"`
	Seed        *int64    `json:"seed,omitempty"`
	Stop        []string  `json:"stop_sequences,omitempty"`
	Format      *format   `json:"response_format,omitempty"`
	Thinking    *thinking `json:"thinking,omitempty"`
	LogProbs    bool      `json:"logprobs,omitempty"`
	Stream      bool      `json:"stream"`
}

type message struct {
	Role    string     `json:"role"`
	Content []part     `json:"content,omitempty"`
	Plan    string     `json:"tool_plan,omitempty"`
	Calls   []toolCall `json:"tool_calls,omitempty"`
	CallID  string     `json:"tool_call_id,omitempty"`
}

type part struct {
	Type     string    `json:"type"`
	Text     *string   `json:"text,omitempty"`
	Thinking string    `json:"thinking,omitempty"`
	Image    *imageURL `json:"image_url,omitempty"`
}

type imageURL struct {
	URL string `json:"url"`
}

type toolCall struct {
	ID       string   `json:"id,omitempty"`
	Type     string   `json:"type,omitempty"`
	Function function `json:"function"`
}

type function struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

type tool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description string          `json:"description,omitempty"`
		Parameters  json.RawMessage `json:"parameters"`
	} `json:"function"`
}

type format struct {
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"json_schema"`
}

type thinking struct {
	Type   string `json:"type"`
	Budget int    `json:"token_budget,omitempty"`
}

// translate makes the body of a request. Code: invalid, for media that is no image.
func translate(request model.Request, stream bool) (body, error) {
	b := body{
		Model: request.Model, MaxTokens: request.MaxTokens, Temperature: request.Temperature, P: request.TopP, K: request.TopK,
		Seed: request.Seed, Stop: request.Stop, Thinking: think(request.Model, request.Effort), LogProbs: request.LogProbs, Stream: stream,
	}
	b.Tools, b.ToolChoice = tools(request)
	for _, m := range request.Messages {
		translated, err := translateMessage(m)
		if err != nil {
			return body{}, err
		}
		b.Messages = append(b.Messages, translated)
	}
	if len(request.Schema) > 0 {
		b.Format = &format{"json_object", request.Schema}
	}
	return b, nil
}

// tools offers the tools. The server cannot be told which one to call, so a choice leaves only that one.
func tools(request model.Request) (out []tool, choice string) {
	switch request.ToolChoice {
	case "", model.ToolAuto:
	case model.ToolNone:
		choice = "NONE"
	default:
		choice = "REQUIRED"
	}
	for _, t := range request.Tools {
		if choice == "REQUIRED" && request.ToolChoice != model.ToolRequired && t.Name != request.ToolChoice {
			continue
		}
		offered := tool{Type: "function"}
		offered.Function.Name, offered.Function.Description, offered.Function.Parameters = t.Name, t.Description, t.Parameters
		if len(t.Parameters) == 0 {
			offered.Function.Parameters = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		out = append(out, offered)
	}
	if len(out) == 0 {
		choice = ""
	}
	return out, choice
}

// think translates an effort for the models that reason; they do so by themselves, so the least effort is none.
func think(name, effort string) *thinking {
	switch {
	case effort == "", !strings.Contains(name, "reasoning"):
		return nil
	case effort == "minimal":
		return &thinking{Type: "disabled"}
	case effort == "low":
		return &thinking{Type: "enabled", Budget: 2048}
	case effort == "medium":
		return &thinking{Type: "enabled", Budget: 8192}
	}
	return &thinking{Type: "enabled"}
}

// state is what Response.State holds. Other vendors' drivers ignore it by its name.
type state struct {
	Cohere *memory `json:"cohere"`
}

type memory struct {
	Plan     string `json:"plan,omitempty"`
	Thinking string `json:"thinking,omitempty"`
}

func translateMessage(m model.Message) (message, error) {
	out := message{Role: m.Role, CallID: m.CallID}
	var kept state
	if m.Role == model.RoleAssistant && json.Unmarshal(m.State, &kept) == nil && kept.Cohere != nil {
		out.Plan = kept.Cohere.Plan
		if kept.Cohere.Thinking != "" {
			out.Content = append(out.Content, part{Type: "thinking", Thinking: kept.Cohere.Thinking})
		}
	}
	if m.Text != "" || m.Role == model.RoleTool {
		out.Content = append(out.Content, part{Type: "text", Text: &m.Text})
	}
	for _, media := range m.Media {
		if !strings.HasPrefix(media.Type, "image/") {
			return message{}, schemas.Errorf(schemas.Invalid, "Cohere's models read images; not %s", media.Type)
		}
		url := media.URL
		if url == "" {
			url = "data:" + media.Type + ";base64," + base64.StdEncoding.EncodeToString(media.Data)
		}
		out.Content = append(out.Content, part{Type: "image_url", Image: &imageURL{url}})
	}
	for _, c := range m.Calls {
		out.Calls = append(out.Calls, toolCall{c.ID, "function", function{c.Name, string(c.Arguments)}})
	}
	return out, nil
}
