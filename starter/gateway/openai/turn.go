package openai

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"path"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// message is a turn of a conversation.
type message struct {
	Role         string          `json:"role"`
	Content      json.RawMessage `json:"content"`
	Refusal      string          `json:"refusal"`
	ToolCalls    []toolCall      `json:"tool_calls"`
	ToolCallID   string          `json:"tool_call_id"`
	FunctionCall json.RawMessage `json:"function_call"`
	State        json.RawMessage `json:"tenuto_state"` // as the answer had it: what its provider wants back
}

type toolCall struct {
	Index    *int   `json:"index,omitempty"` // in streams only
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// roles are ours by OpenAI's names.
var roles = map[string]string{
	"system": model.RoleSystem, "developer": model.RoleSystem, "user": model.RoleUser, "assistant": model.RoleAssistant, "tool": model.RoleTool,
}

func (m message) portable(i int) (model.Message, error) {
	at := fmt.Sprintf("messages[%d]", i)
	role, ok := roles[m.Role]
	switch {
	case !ok:
		return model.Message{}, relay.Refuse(at+".role", "invalid_value", "the role %.40q is not supported; use system, developer, user, assistant or tool", m.Role)
	case len(m.FunctionCall) > 0 && string(m.FunctionCall) != "null":
		return model.Message{}, relay.Refuse(at+".function_call", "unsupported_parameter", "function_call is deprecated; use tool_calls")
	}
	turn := model.Message{Role: role, CallID: m.ToolCallID}
	if role == model.RoleAssistant {
		turn.State = m.State
	}
	if err := content(&turn, m.Content, at+".content"); err != nil {
		return turn, err
	}
	turn.Text += m.Refusal
	for _, c := range m.ToolCalls {
		arguments := json.RawMessage(c.Function.Arguments)
		if strings.TrimSpace(c.Function.Arguments) == "" {
			arguments = json.RawMessage("{}")
		}
		if c.Type != "function" && c.Type != "" || !json.Valid(arguments) {
			return turn, relay.Refuse(at+".tool_calls", "invalid_value", "tool_calls are of functions, with arguments in JSON")
		}
		turn.Calls = append(turn.Calls, model.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: arguments})
	}
	return turn, nil
}

// part is a part of a message's content.
type part struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Refusal  string `json:"refusal"`
	ImageURL struct {
		URL string `json:"url"`
	} `json:"image_url"`
	InputAudio struct {
		Data   []byte `json:"data"`
		Format string `json:"format"`
	} `json:"input_audio"`
	File struct {
		Data string `json:"file_data"`
	} `json:"file"`
}

// content reads a string, or a list of parts whose texts are joined by line feeds.
func content(turn *model.Message, data json.RawMessage, at string) error {
	if len(data) == 0 || string(data) == "null" {
		return nil
	}
	if data[0] == '"' {
		return json.Unmarshal(data, &turn.Text)
	}
	var parts []part
	if err := json.Unmarshal(data, &parts); err != nil {
		return relay.Refuse(at, "invalid_type", "%s is a text, or a list of parts with types", at)
	}
	var texts []string
	for i, p := range parts {
		if p.Type == "text" || p.Type == "refusal" {
			texts = append(texts, p.Text+p.Refusal)
			continue
		}
		media, err := p.media(fmt.Sprintf("%s[%d]", at, i))
		if err != nil {
			return err
		}
		turn.Media = append(turn.Media, media)
	}
	turn.Text = strings.Join(texts, "\n")
	return nil
}

func (p part) media(at string) (model.Media, error) {
	switch {
	case p.Type == "image_url":
		return fetch(p.ImageURL.URL, at)
	case p.Type == "input_audio" && len(p.InputAudio.Data) > 0:
		return model.Media{Type: "audio/" + p.InputAudio.Format, Data: p.InputAudio.Data}, nil
	case p.Type == "file" && p.File.Data != "":
		return fetch(p.File.Data, at)
	}
	return model.Media{}, relay.Refuse(at, "unsupported_value", "a part of the type %.40q in this form cannot be sent to this model", p.Type)
}

// fetch reads a data URL (RFC 2397) in base64, or leaves another URL to the provider.
func fetch(url, at string) (model.Media, error) {
	data, inline := strings.CutPrefix(url, "data:")
	if !inline {
		kind := mime.TypeByExtension(path.Ext(strings.SplitN(url, "?", 2)[0]))
		if kind == "" {
			kind = "image/jpeg"
		}
		return model.Media{Type: kind, URL: url}, nil
	}
	kind, encoded, ok := strings.Cut(data, ";base64,")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		return model.Media{}, relay.Refuse(at, "invalid_value", "a data URL must be in base64, such as data:image/png;base64,…")
	}
	return model.Media{Type: kind, Data: raw}, nil
}
