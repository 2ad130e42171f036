package geminimodel

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// content is a turn on the wire.
type content struct {
	Role  string `json:"role,omitempty"`
	Parts []part `json:"parts"`
}

// part is a piece of a turn, in both directions.
type part struct {
	Text      *string `json:"text,omitempty"`
	Thought   bool    `json:"thought,omitempty"` // the text is a summary of hidden reasoning
	Signature string  `json:"thoughtSignature,omitempty"`
	Inline    *inline `json:"inlineData,omitempty"`
	File      *file   `json:"fileData,omitempty"`
	Call      *call   `json:"functionCall,omitempty"`
	Result    *result `json:"functionResponse,omitempty"`
}

type inline struct {
	Type string `json:"mimeType"`
	Data []byte `json:"data"`
}

type file struct {
	Type string `json:"mimeType,omitempty"`
	URI  string `json:"fileUri"`
}

type call struct {
	ID   string          `json:"id,omitempty"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitempty"`
}

type result struct {
	ID       string         `json:"id,omitempty"`
	Name     string         `json:"name"`
	Response map[string]any `json:"response"`
}

// unsigned stands for the signature of a call that Gemini did not make: version 3 insists on one (ai.google.dev/gemini-api/docs/thought-signatures).
// It is base64 of skip_thought_signature_validator.
const unsigned = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

// contents divides a conversation into the instructions and turns. The results of one turn's calls belong into one turn.
func contents(messages []model.Message) (system *content, turns []content, err error) {
	afterTool := false
	for i, m := range messages {
		parts, err := parts(messages[:i], m)
		switch n := len(turns); {
		case err != nil:
			return nil, nil, err
		case len(parts) == 0:
			continue
		case m.Role == model.RoleSystem:
			if system == nil {
				system = &content{}
			}
			system.Parts = append(system.Parts, parts...)
			continue
		case m.Role == model.RoleAssistant:
			turns = append(turns, content{"model", parts})
		case m.Role == model.RoleTool && afterTool:
			turns[n-1].Parts = append(turns[n-1].Parts, parts...)
		default:
			turns = append(turns, content{"user", parts})
		}
		afterTool = m.Role == model.RoleTool
	}
	return system, turns, nil
}

// parts translates a message that comes after others.
func parts(before []model.Message, m model.Message) ([]part, error) {
	if kept := recalled(m); kept != nil {
		return kept, nil
	}
	var out []part
	switch {
	case m.Role == model.RoleTool:
		name, err := calledName(before, m.CallID)
		if err != nil {
			return nil, err
		}
		out = append(out, part{Result: &result{m.CallID, name, outcome(m)}})
	case m.Text != "":
		out = append(out, part{Text: &m.Text})
	}
	for _, media := range m.Media {
		p := part{Inline: &inline{media.Type, media.Data}}
		if media.URL != "" {
			p = part{File: &file{media.Type, media.URL}}
		}
		out = append(out, p)
	}
	for i, c := range m.Calls {
		p := part{Call: &call{c.ID, c.Name, c.Arguments}}
		if i == 0 {
			p.Signature = unsigned
		}
		out = append(out, p)
	}
	return out, nil
}

// calledName finds the name of the function that a result belongs to, which the server wants to read again.
func calledName(before []model.Message, id string) (string, error) {
	for _, m := range slices.Backward(before) {
		for _, c := range m.Calls {
			if c.ID == id {
				return c.Name, nil
			}
		}
	}
	return "", schemas.Errorf(schemas.Invalid, "the result of the tool call %q comes without the call", id)
}

// outcome is what a tool gave: JSON as it is, other text as a string.
func outcome(m model.Message) map[string]any {
	key := "output"
	if m.Failed {
		key = "error"
	}
	if json.Valid([]byte(m.Text)) {
		return map[string]any{key: json.RawMessage(m.Text)}
	}
	return map[string]any{key: m.Text}
}

// state is what Response.State holds: the turn as the server wrote it, with its signatures where they were. Other vendors' drivers ignore it
// by its name.
type state struct {
	Parts []part `json:"gemini"`
}

// remember keeps a turn that is signed.
func remember(parts []part) (json.RawMessage, error) {
	if !slices.ContainsFunc(parts, func(p part) bool { return p.Signature != "" }) {
		return nil, nil
	}
	return json.Marshal(state{parts})
}

// recalled returns the turn that State holds if it still says what the message says: whoever changed the message meant it.
func recalled(m model.Message) []part {
	var kept state
	if m.Role != model.RoleAssistant || len(m.Media) > 0 || json.Unmarshal(m.State, &kept) != nil {
		return nil
	}
	var text strings.Builder
	var ids, want []string
	for _, p := range kept.Parts {
		switch {
		case p.Call != nil:
			ids = append(ids, p.Call.ID)
		case p.Text != nil && !p.Thought:
			text.WriteString(*p.Text)
		}
	}
	for _, c := range m.Calls {
		want = append(want, c.ID)
	}
	if text.String() != m.Text || !slices.Equal(ids, want) {
		return nil
	}
	return kept.Parts
}
