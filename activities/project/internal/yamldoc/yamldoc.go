// Package yamldoc reads YAML into values that know where they stand in their file.
package yamldoc

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind is what a value is.
type Kind string

// The kinds, in the words of messages.
const (
	Null    Kind = "nothing"
	Broken  Kind = "what cannot be read" // a fault says why
	Boolean Kind = "true or false"
	Integer Kind = "a whole number"
	Float   Kind = "a number"
	Text    Kind = "text"
	List    Kind = "a list"
	Object  Kind = "a mapping"
)

// Value is one value of a document. A value that an alias repeats stands where the alias does.
type Value struct {
	Kind   Kind
	Text   string   // of a text what it says, of a number its JSON form, of a boolean true or false
	Items  []*Value // of a list
	Fields []Field  // of an object, in the order of the file
	Line   int      // from 1
	Column int      // in characters, from 1

	lines []string // of the file
}

// Field is a key of an object and its value.
type Field struct {
	Key    string
	Line   int
	Column int
	Value  *Value
}

// Fault says what is wrong with a document, where, and what to do.
type Fault struct {
	Line    int // from 1
	Column  int // in characters, from 1
	Message string
}

// Get returns the value of a key of an object; nil if there is none.
func (v *Value) Get(key string) *Value {
	for _, f := range v.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return nil
}

// Within returns where a place in the text of v stands in the file. Line and column are counted from 1 in the text. Where escapes
// or folded lines hide the place it is the beginning of v.
func (v *Value) Within(line, column int) (fileLine, fileColumn int) {
	said := strings.Split(v.Text, "\n")
	if v.Kind != Text || line < 1 || line > len(said) {
		return v.Line, v.Column
	}
	begin := strings.TrimPrefix(v.line(v.Line), prefix(v.line(v.Line), v.Column-1))
	if strings.HasPrefix(begin, "|") { // a literal block: its lines stand below, indented
		if indent, ok := strings.CutSuffix(v.line(v.Line+line), said[line-1]); ok && strings.Trim(indent, " ") == "" {
			return v.Line + line, len(indent) + column
		}
		return v.Line, v.Column
	}
	quote := 0
	if strings.HasPrefix(begin, `"`) || strings.HasPrefix(begin, "'") {
		quote = 1
	}
	if line == 1 && strings.HasPrefix(begin[quote:], prefix(said[0], column-1)) {
		return v.Line, v.Column + quote + column - 1
	}
	return v.Line, v.Column
}

func (v *Value) line(n int) string {
	if n < 1 || n > len(v.lines) {
		return ""
	}
	return strings.TrimSuffix(v.lines[n-1], "\r")
}

// prefix is the first n characters of s.
func prefix(s string, n int) string {
	for i := range s {
		if n <= 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// encoding finds what a text file may not hold.
func encoding(text string) (Fault, bool) {
	if strings.HasPrefix(text, "\uFEFF") {
		return Fault{1, 1, "the file begins with a byte order mark: save it as UTF-8 without one"}, true
	}
	for i, r := range text {
		broken := r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD")
		if !broken && (r >= ' ' || r == '\n' || r == '\r' || r == '\t') {
			continue
		}
		line := 1 + strings.Count(text[:i], "\n")
		column := 1 + utf8.RuneCountInString(text[strings.LastIndexByte(text[:i], '\n')+1:i])
		if broken {
			return Fault{line, column, "the file is not valid UTF-8 here: save it as UTF-8"}, true
		}
		return Fault{line, column, fmt.Sprintf("the file holds the control character %U: remove it, or save the file as UTF-8", r)}, true
	}
	return Fault{}, false
}

// Encoding checks that a text is UTF-8 without a byte order mark and control characters.
func Encoding(text string) []Fault {
	if fault, found := encoding(text); found {
		return []Fault{fault}
	}
	return nil
}
