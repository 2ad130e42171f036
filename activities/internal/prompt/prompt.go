// Package prompt reads prompt files in the dotprompt format and renders them to messages.
//
// The format is that of https://google.github.io/dotprompt/reference/: front matter in YAML with Picoschema, and a body in
// Handlebars. Text is never escaped for HTML. What a template writes and what it does (begin a message, insert history, attach
// media) never share a string, so no value can do what only the template may.
package prompt

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds. A prompt beyond them is an error of code invalid, never cut silently.
const (
	MaxSource = 1 << 20 // bytes of a prompt file
	MaxOutput = 8 << 20 // bytes that a body may render
	MaxDepth  = 16      // partials within partials

	maxSteps   = 1_000_000 // pieces evaluated in one rendering; one turn of a loop is a piece too
	maxNesting = 64        // blocks, and parentheses, within one another
)

// Prompt is a parsed prompt file. It is not changed by rendering and safe for concurrent use. Maps hold what JSON holds: nil,
// bool, int64, uint64, float64, string, []any and map[string]any.
type Prompt struct {
	Name         string // of the front matter, else of the file: greet of prompts/greet.formal.prompt
	Variant      string // likewise: formal
	Version      string
	Description  string
	Model        string
	Tools        []string
	Config       map[string]any // as written; Settings has the known ones
	Settings     Settings
	Default      map[string]any  // values of the input that a caller leaves out
	InputSchema  json.RawMessage // JSON Schema, with properties in the order of the file; nil if there is none
	OutputSchema json.RawMessage // likewise
	OutputFormat string          // such as json or text
	Metadata     map[string]any
	Ext          map[string]map[string]any // keys with a dot, by what stands before the last dot
	Raw          map[string]any            // the whole front matter
	Unknown      []Place                   // keys of the front matter that the format does not know and that have no dot

	source source
	body   *program
}

// Place is a name in a prompt file and where it stands.
type Place struct {
	Name   string
	File   string
	Line   int // from 1
	Column int // in characters, from 1
}

// SyntaxError says what is wrong with a prompt file, where, and what to do. Its code is invalid.
type SyntaxError struct {
	File    string
	Line    int // from 1
	Column  int // in characters, from 1
	Message string
}

// Error returns file, line, column and message.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Unwrap returns the same as an error with a code.
func (e *SyntaxError) Unwrap() error { return schemas.Errorf(schemas.Invalid, "%s", e.Error()) }

// Parser reads prompt files. The zero value reads those that name no schema of others.
type Parser struct {
	Schemas func(name string) (json.RawMessage, bool) // JSON Schemas that Picoschema may refer to by name
}

// Parse reads a prompt file with the zero Parser. Error: *SyntaxError.
func Parse(file, text string) (*Prompt, error) { return Parser{}.Parse(file, text) }

// Parse reads the text of a prompt file; file is its path within the project, for messages and to name the prompt. Error:
// *SyntaxError.
func (r Parser) Parse(file, text string) (*Prompt, error) {
	p := &Prompt{source: source{file: file, text: text}}
	if err := p.source.check(); err != nil {
		return nil, err
	}
	p.Name, p.Variant, _ = strings.Cut(strings.TrimSuffix(path.Base(file), ".prompt"), ".")
	head, from, to, err := p.source.split()
	if err != nil {
		return nil, err
	}
	if err := r.frontMatter(p, head); err != nil {
		return nil, err
	}
	p.body, err = parseBody(&p.source, from, to)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// source is the text of a file that can say where in it something stands.
type source struct {
	file, text string
	marks      []mark // one for each block of markBytes, made by check
}

// mark is the line and column at which a block begins. Without marks, many questions about a long file would take for ever.
type mark struct{ line, column int }

const markBytes = 256

func (s *source) check() error {
	if len(s.text) > MaxSource {
		return &SyntaxError{
			File: s.file, Line: 1, Column: 1,
			Message: fmt.Sprintf("the prompt has %d bytes; at most %d are allowed: give long texts as input", len(s.text), MaxSource),
		}
	}
	s.mark()
	for i, r := range s.text {
		if r == utf8.RuneError && !strings.HasPrefix(s.text[i:], "\uFFFD") {
			return s.fault(i, "the text is not valid UTF-8: save the file as UTF-8")
		}
	}
	return nil
}

// place returns line and column of a byte offset.
func (s *source) place(at int) (line, column int) {
	at = min(at, len(s.text))
	m := mark{1, 1}
	from := 0
	if i := at / markBytes; i < len(s.marks) {
		m, from = s.marks[i], i*markBytes
	}
	m.pass(s.text[from:at])
	return m.line, m.column
}

// pass moves the mark behind text. A character counts at its first byte, so that blocks may divide characters.
func (m *mark) pass(text string) {
	for _, c := range []byte(text) {
		switch {
		case c == '\n':
			m.line, m.column = m.line+1, 1
		case utf8.RuneStart(c):
			m.column++
		}
	}
}

func (s *source) mark() {
	m := mark{1, 1}
	for from := 0; from < len(s.text); from += markBytes {
		s.marks = append(s.marks, m)
		m.pass(s.text[from:min(from+markBytes, len(s.text))])
	}
}

func (s *source) fault(at int, format string, args ...any) *SyntaxError {
	line, column := s.place(at)
	return &SyntaxError{File: s.file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)}
}
