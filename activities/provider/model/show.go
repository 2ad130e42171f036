package model

import "encoding/json"

// The attributes of spans that hold what was said. Their form is that of the JSON Schemas of the conventions for generative AI,
// https://opentelemetry.io/docs/specs/semconv/gen-ai/.
const (
	inputKey  = "gen_ai.input.messages"
	outputKey = "gen_ai.output.messages"
)

// shownMessage is a message as spans have it.
type shownMessage struct {
	Role   string      `json:"role"`
	Parts  []shownPart `json:"parts"`
	Finish string      `json:"finish_reason,omitempty"` // of an output
}

type shownPart struct {
	Type      string          `json:"type"`
	Content   string          `json:"content,omitempty"` // of a text
	ID        string          `json:"id,omitempty"`      // of a tool call or its response
	Name      string          `json:"name,omitempty"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Response  string          `json:"response,omitempty"`
	Modality  string          `json:"modality,omitempty"` // of media, which are named and not shown
	MIME      string          `json:"mime_type,omitempty"`
}

func shownRequest(r Request) string {
	shown := make([]shownMessage, len(r.Messages))
	for i, m := range r.Messages {
		shown[i] = shownMessage{Role: m.Role, Parts: partsOf(m.Text, m.Calls)}
		if m.Role == RoleTool {
			shown[i].Parts = []shownPart{{Type: "tool_call_response", ID: m.CallID, Response: m.Text}}
		}
		for _, media := range m.Media {
			shown[i].Parts = append(shown[i].Parts, shownPart{Type: "blob", MIME: media.Type})
		}
	}
	return written(shown)
}

func shownResponse(r Response) string {
	return written([]shownMessage{{Role: RoleAssistant, Parts: partsOf(r.Text, r.Calls), Finish: r.Finish}})
}

func partsOf(text string, calls []ToolCall) []shownPart {
	parts := []shownPart{}
	if text != "" {
		parts = append(parts, shownPart{Type: "text", Content: text})
	}
	for _, c := range calls {
		parts = append(parts, shownPart{Type: "tool_call", ID: c.ID, Name: c.Name, Arguments: c.Arguments})
	}
	return parts
}

func written(messages []shownMessage) string {
	data, err := json.Marshal(messages)
	if err != nil { // arguments that are no JSON
		return ""
	}
	return string(data)
}
