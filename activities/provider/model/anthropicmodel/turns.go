package anthropicmodel

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// The types of a block that are read or written here.
const (
	textBlock     = "text"
	toolBlock     = "tool_use"
	thinkingBlock = "thinking"
	redactedBlock = "redacted_thinking"
)

// turn is a message on the wire.
type turn struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

// block is a piece of a message, in both directions.
type block struct {
	Type string `json:"type"`
	Text string `json:"text,omitempty"`

	// tool_use
	ID    string          `json:"id,omitempty"`
	Name  string          `json:"name,omitempty"`
	Input json.RawMessage `json:"input,omitempty"`

	// tool_result
	ToolUseID string  `json:"tool_use_id,omitempty"`
	Content   []block `json:"content,omitempty"`
	IsError   bool    `json:"is_error,omitempty"`

	// image, document
	Source *source `json:"source,omitempty"`

	// thinking, redacted_thinking
	Thinking  *string `json:"thinking,omitempty"` // empty, not absent, where the server keeps it to itself
	Signature string  `json:"signature,omitempty"`
	Data      string  `json:"data,omitempty"`

	Cache *cacheControl `json:"cache_control,omitempty"`
}

type source struct {
	Type      string `json:"type"`
	MediaType string `json:"media_type,omitempty"`
	Data      string `json:"data,omitempty"`
	URL       string `json:"url,omitempty"`
}

// turns divides a conversation into the instructions and turns that alternate: results of tools belong to the user's turn.
func turns(messages []model.Message) (system []block, out []turn, err error) {
	for _, m := range messages {
		content, err := blocks(m)
		switch {
		case err != nil:
			return nil, nil, err
		case m.Role == model.RoleSystem:
			system = append(system, content...)
			continue
		case len(content) == 0:
			continue // the server takes no empty turn
		}
		role := m.Role
		if role == model.RoleTool {
			role = model.RoleUser
		}
		if n := len(out); n > 0 && out[n-1].Role == role {
			out[n-1].Content = append(out[n-1].Content, content...)
			continue
		}
		out = append(out, turn{Role: role, Content: content})
	}
	return system, out, nil
}

func blocks(m model.Message) ([]block, error) {
	if kept := recalled(m); kept != nil {
		return kept, nil
	}
	var content []block
	if m.Text != "" {
		content = append(content, block{Type: textBlock, Text: m.Text})
	}
	for _, media := range m.Media {
		b, err := attach(media)
		if err != nil {
			return nil, err
		}
		content = append(content, b)
	}
	for _, c := range m.Calls {
		content = append(content, block{Type: toolBlock, ID: c.ID, Name: c.Name, Input: c.Arguments})
	}
	if m.Role == model.RoleTool {
		return []block{{Type: "tool_result", ToolUseID: m.CallID, Content: content, IsError: m.Failed}}, nil
	}
	return content, nil
}

// attach makes the block of an image, a PDF or a text.
func attach(media model.Media) (block, error) {
	if kind, _, _ := strings.Cut(media.Type, ";"); strings.HasPrefix(kind, "text/") && media.URL == "" {
		return block{Type: "document", Source: &source{Type: "text", MediaType: "text/plain", Data: string(media.Data)}}, nil
	}
	b := block{Source: &source{Type: "url", URL: media.URL}}
	if media.URL == "" {
		b.Source = &source{Type: "base64", MediaType: media.Type, Data: encode(media.Data)}
	}
	switch {
	case strings.HasPrefix(media.Type, "image/"):
		b.Type = "image"
	case media.Type == "application/pdf":
		b.Type = "document"
	default:
		return block{}, schemas.Errorf(schemas.Invalid, "Anthropic's models read images, PDF and text; not %s", media.Type)
	}
	return b, nil
}

// state is what Response.State holds: the turn as the server wrote it, because it takes its own thinking back only unchanged and in
// its place. Other vendors' drivers ignore it by its name.
type state struct {
	Blocks []block `json:"anthropic"`
}

// remember keeps a turn that holds thinking.
func remember(resp *model.Response, content []block) error {
	if !slices.ContainsFunc(content, func(b block) bool { return b.Type == thinkingBlock || b.Type == redactedBlock }) {
		return nil
	}
	var err error
	resp.State, err = json.Marshal(state{content})
	return err
}

// recalled returns the turn that State holds if it still says what the message says: whoever changed the message meant it.
func recalled(m model.Message) []block {
	var kept state
	if m.Role != model.RoleAssistant || json.Unmarshal(m.State, &kept) != nil {
		return nil
	}
	text, calls := "", 0
	for _, b := range kept.Blocks {
		switch b.Type {
		case textBlock:
			text += b.Text
		case toolBlock:
			if calls >= len(m.Calls) || m.Calls[calls].ID != b.ID {
				return nil
			}
			calls++
		}
	}
	if text != m.Text || calls != len(m.Calls) || len(m.Media) > 0 {
		return nil
	}
	return kept.Blocks
}
