// Package tree reads YAML, JSON and CSV into values that know where they stand in their file.
package tree

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Kind is what a value is.
type Kind string

// The kinds, in the words of messages.
const (
	Null    Kind = "nothing"
	Boolean Kind = "true or false"
	Number  Kind = "a number"
	Text    Kind = "text"
	List    Kind = "a list"
	Object  Kind = "a mapping"
)

// Bounds of a document.
const (
	MaxDepth  = 64
	MaxValues = 1_000_000 // with what aliases and references repeat
)

// Value is one value of a document. What an alias repeats is one value, which stands where the anchor does.
type Value struct {
	Kind   Kind
	Text   string   // of a text what it says, of a number as it is written, of a boolean true or false
	Items  []*Value // of a list
	Fields []Field  // of an object, in the order of the file
	File   string
	Line   int // from 1
	Column int // in characters, from 1
}

// Field is a key of an object and its value.
type Field struct {
	Key    string
	Line   int
	Column int
	Value  *Value
}

// Get returns the value of a key of an object; nil if there is none.
func (v *Value) Get(key string) *Value {
	if v == nil {
		return nil
	}
	for _, f := range v.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return nil
}

// Problem says what is wrong with the value.
func (v *Value) Problem(format string, args ...any) schemas.Problem {
	return schemas.Problem{File: v.File, Line: v.Line, Column: v.Column, Message: fmt.Sprintf(format, args...)}
}

// Number returns the number that a value is.
func (v *Value) Number() (float64, bool) {
	f, err := strconv.ParseFloat(v.Text, 64)
	return f, v.Kind == Number && err == nil
}

// Data returns the value as templates know it.
func (v *Value) Data() any {
	switch v.Kind {
	case Boolean:
		return v.Text == "true"
	case Number:
		f, _ := v.Number()
		return f
	case Text:
		return v.Text
	case List:
		list := make([]any, len(v.Items))
		for i, item := range v.Items {
			list[i] = item.Data()
		}
		return list
	case Object:
		object := make(nunjucks.Object, len(v.Fields))
		for i, f := range v.Fields {
			object[i] = nunjucks.Field{Name: f.Key, Value: f.Value.Data()}
		}
		return object
	case Null:
	}
	return nil
}

// Size counts the values in v, those that are repeated each time. It stops counting at math.MaxInt32.
func (v *Value) Size() int { return v.size(map[*Value]int{}) }

func (v *Value) size(known map[*Value]int) int {
	if n, ok := known[v]; ok {
		return n
	}
	n := 1
	for _, item := range v.Items {
		n += item.size(known)
	}
	for _, f := range v.Fields {
		n += f.Value.size(known)
	}
	known[v] = min(n, math.MaxInt32)
	return known[v]
}

// Clean returns a file's text without byte order mark and with line feeds only. It must be UTF-8 without control characters.
func Clean(file, text string) (string, []schemas.Problem) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\uFEFF"), "\r\n", "\n")
	for i, r := range text {
		broken := r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD")
		if !broken && (r >= ' ' || r == '\n' || r == '\r' || r == '\t') {
			continue
		}
		line, column := place(text, i)
		message := fmt.Sprintf("the file holds the control character %U: remove it, or save the file as UTF-8", r)
		if broken {
			message = "the file is not valid UTF-8 here: save it as UTF-8"
		}
		return "", []schemas.Problem{{File: file, Line: line, Column: column, Message: message}}
	}
	return text, nil
}

// place is where an offset of a text is.
func place(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	return 1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
