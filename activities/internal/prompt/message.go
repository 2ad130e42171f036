package prompt

import "strings"

// The roles of messages. Those of other formats are translated where they differ: an assistant is a model here.
const (
	RoleSystem = "system"
	RoleUser   = "user"
	RoleModel  = "model"
	RoleTool   = "tool"
)

// Message is one message. Its JSON form is that of the format's specification.
type Message struct {
	Role     string    `json:"role"`
	Content  []Part    `json:"content"`
	Metadata *Metadata `json:"metadata,omitempty"` // purpose history, where {{history}} put it
	Turn     int       `json:"-"`                  // its place in Data.History, from 1; 0 for what the template wrote
}

// Part is text, media, or the place of a section.
type Part struct {
	Text     string    `json:"text,omitempty"`
	Media    *Media    `json:"media,omitempty"`
	Metadata *Metadata `json:"metadata,omitempty"` // purpose and pending, of {{section}}
}

// Media is an image or another file beside the text.
type Media struct {
	URL         string `json:"url"` // http, https, data or what the provider knows; never file
	ContentType string `json:"contentType,omitempty"`
}

// Metadata says what a message or a part is for.
type Metadata struct {
	Purpose string `json:"purpose,omitempty"`
	Pending bool   `json:"pending,omitempty"`
}

// Text returns the text parts of the message, one after the other.
func (m Message) Text() string {
	var b strings.Builder
	for _, part := range m.Content {
		b.WriteString(part.Text)
	}
	return b.String()
}

// sink collects what a body renders. Text and acts reach it on different ways.
type sink struct {
	messages []Message
	role     string
	parts    []Part
	text     strings.Builder
	bytes    int
	indent   string // of each line, within partials that stand alone on a line
	lineEnd  bool   // the next text begins a line
	history  bool   // {{history}} was used
}

// write adds text. It reports whether the bound of the output holds.
func (s *sink) write(text string) bool {
	if s.indent == "" {
		return s.add(text)
	}
	for line := range strings.Lines(text) {
		if s.lineEnd && !s.add(s.indent) {
			return false
		}
		if !s.add(line) {
			return false
		}
		s.lineEnd = strings.HasSuffix(line, "\n")
	}
	return true
}

func (s *sink) add(text string) bool {
	if s.bytes += len(text); s.bytes > MaxOutput {
		return false
	}
	s.text.WriteString(text)
	return true
}

// flush makes a part of the text since the last act. White space alone is none.
func (s *sink) flush() {
	if text := s.text.String(); strings.TrimSpace(text) != "" {
		s.parts = append(s.parts, Part{Text: text})
	}
	s.text.Reset()
	s.lineEnd = false
}

func (s *sink) part(part Part) bool {
	s.flush()
	s.parts = append(s.parts, part)
	if part.Media != nil {
		s.bytes += len(part.Media.URL)
	}
	return s.bytes <= MaxOutput
}

// begin ends the current message, unless it is empty, and begins one with another role.
func (s *sink) begin(role string) {
	s.flush()
	if len(s.parts) > 0 {
		s.messages = append(s.messages, Message{Role: s.role, Content: s.parts})
	}
	s.role, s.parts = role, nil
}

// past inserts the history.
func (s *sink) past(history []Message) {
	s.begin(RoleModel)
	for i, message := range history {
		message.Turn = i + 1
		message.Metadata = &Metadata{Purpose: "history"}
		s.messages = append(s.messages, message)
	}
	s.history = s.history || len(history) > 0
}

// finish returns the messages. History for which the template has no place stands before the user's last message, or last.
func (s *sink) finish(history []Message) []Message {
	s.begin(RoleUser)
	if s.history || len(history) == 0 {
		return s.messages
	}
	at := len(s.messages)
	if at > 0 && s.messages[at-1].Role == RoleUser {
		at--
	}
	out := append([]Message{}, s.messages[:at]...)
	for i, message := range history {
		message.Turn = i + 1
		out = append(out, message)
	}
	return append(out, s.messages[at:]...)
}
