package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

func asError(err error) (*schemas.Error, bool) { return errors.AsType[*schemas.Error](err) }

// message is one turn, as the prompt of a bundle that is made here takes it.
type message struct {
	Role  string   `json:"as"`
	Text  string   `json:"text"`
	Media []string `json:"media,omitempty"` // URLs
}

// messagesOf reads a rendered prompt: a JSON list of messages, as promptfoo has it, is a chat, anything else one message of the user.
func messagesOf(input, system string) ([]message, error) {
	var out []message
	if system != "" {
		out = append(out, message{Role: "system", Text: system})
	}
	var turns []struct {
		Role    *string         `json:"role"`
		Content json.RawMessage `json:"content"`
	}
	isList := strings.HasPrefix(strings.TrimSpace(input), "[") && json.Unmarshal([]byte(input), &turns) == nil
	if !isList || len(turns) == 0 || turns[0].Role == nil {
		return append(out, message{Role: "user", Text: input}), nil
	}
	for n, t := range turns {
		if t.Role == nil {
			return nil, schemas.Errorf(schemas.Invalid, "message %d of the prompt has no role", n+1)
		}
		m := message{Role: *t.Role}
		if m.Role == "developer" {
			m.Role = "system"
		}
		if err := m.read(t.Content); err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err, "message %d of the prompt: %s", n+1, err.Error())
		}
		out = append(out, m)
	}
	return out, nil
}

// read reads the content of a message: a text, or parts with texts and pictures.
func (m *message) read(content json.RawMessage) error {
	if json.Unmarshal(content, &m.Text) == nil {
		return nil
	}
	var parts []struct {
		Type  string          `json:"type"`
		Text  string          `json:"text"`
		Image json.RawMessage `json:"image_url"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return errors.New("its content must be text or a list of parts")
	}
	for _, p := range parts {
		switch p.Type {
		case "text", "input_text":
			m.Text += p.Text
		case "image_url", "input_image":
			url, err := imageURL(p.Image)
			if err != nil {
				return err
			}
			m.Media = append(m.Media, url)
		default:
			return fmt.Errorf("a part of type %.40q is not sent: use text and image_url", p.Type)
		}
	}
	return nil
}

func imageURL(data json.RawMessage) (string, error) {
	var url string
	if json.Unmarshal(data, &url) == nil {
		return url, nil
	}
	var object struct {
		URL string `json:"url"`
	}
	if json.Unmarshal(data, &object) != nil || object.URL == "" {
		return "", errors.New("image_url has no url")
	}
	return object.URL, nil
}
