package anthropic

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

type turn struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
}

// content is a list of blocks; a text stands for one.
type content []block

// UnmarshalJSON reads either form.
func (c *content) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*c = content{{Type: "text"}}
		return json.Unmarshal(data, &(*c)[0].Text)
	}
	return json.Unmarshal(data, (*[]block)(c))
}

// block is a piece of a message, as a request has it.
type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	ID        string          `json:"id"` // of tool_use
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"` // of tool_result
	Content   content         `json:"content"`
	IsError   bool            `json:"is_error"`
	Data      string          `json:"data"` // of redacted_thinking
	Source    struct {
		Type      string `json:"type"`
		MediaType string `json:"media_type"`
		Data      string `json:"data"`
		URL       string `json:"url"`
	} `json:"source"` // of image and document
}

// statePrefix marks the redacted thinking that is Response.State of another provider, in base64.
const statePrefix = "tenuto:"

func (in request) turns() ([]model.Message, error) {
	var out []model.Message
	if text := join(in.System); text != "" {
		out = append(out, model.Message{Role: model.RoleSystem, Text: text})
	}
	for i, t := range in.Messages {
		if t.Role != model.RoleUser && t.Role != model.RoleAssistant {
			return nil, relay.Refuse("messages", "", "messages.%d: the role is user or assistant", i)
		}
		said := model.Message{Role: t.Role}
		for _, b := range t.Content {
			if b.Type == "tool_result" {
				result, err := b.result(i)
				if err != nil {
					return nil, err
				}
				out = append(out, result)
				continue
			}
			if err := b.add(&said, i); err != nil {
				return nil, err
			}
		}
		if said.Text != "" || len(said.Media) > 0 || len(said.Calls) > 0 {
			out = append(out, said)
		}
	}
	return out, nil
}

// join puts texts together.
func join(blocks content) string {
	var texts []string
	for _, b := range blocks {
		if b.Type == "text" && b.Text != "" {
			texts = append(texts, b.Text)
		}
	}
	return strings.Join(texts, "\n")
}

func (b block) result(i int) (model.Message, error) {
	result := model.Message{Role: model.RoleTool, CallID: b.ToolUseID, Failed: b.IsError}
	for _, inner := range b.Content {
		if err := inner.add(&result, i); err != nil {
			return result, err
		}
	}
	return result, nil
}

// add puts a block into a message. The thinking of other models is left out: only they can read it.
func (b block) add(m *model.Message, i int) error {
	switch b.Type {
	case "text":
		if m.Text != "" && b.Text != "" {
			m.Text += "\n"
		}
		m.Text += b.Text
	case "image", "document":
		media, err := b.media(i)
		if err != nil {
			return err
		}
		m.Media = append(m.Media, media)
	case "tool_use":
		input := b.Input
		if len(input) == 0 {
			input = json.RawMessage("{}")
		}
		m.Calls = append(m.Calls, model.ToolCall{ID: b.ID, Name: b.Name, Arguments: input})
	case "redacted_thinking":
		encoded, ours := strings.CutPrefix(b.Data, statePrefix)
		if state, err := base64.StdEncoding.DecodeString(encoded); ours && err == nil && m.Role == model.RoleAssistant {
			m.State = state
		}
	case "thinking":
	default:
		return relay.Refuse("messages", "", "messages.%d: a block of the type %.40q cannot be sent to this model", i, b.Type)
	}
	return nil
}

func (b block) media(i int) (model.Media, error) {
	switch b.Source.Type {
	case "base64":
		data, err := base64.StdEncoding.DecodeString(b.Source.Data)
		if err != nil {
			return model.Media{}, relay.Refuse("messages", "", "messages.%d: the data of the %s is no base64", i, b.Type)
		}
		return model.Media{Type: b.Source.MediaType, Data: data}, nil
	case "text":
		return model.Media{Type: "text/plain", Data: []byte(b.Source.Data)}, nil
	case "url":
		kind := "image/jpeg"
		if b.Type == "document" {
			kind = "application/pdf"
		}
		return model.Media{Type: kind, URL: b.Source.URL}, nil
	}
	return model.Media{}, relay.Refuse("messages", "", "messages.%d: the source of the %s must be base64, text or url", i, b.Type)
}
