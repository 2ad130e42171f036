package tree

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// JSON reads one JSON text that begins in a line of the file. The value is nil where a fault kept it from being read.
func JSON(file, text string, line int) (*Value, []schemas.Problem) {
	r := &jsonReader{file: file, text: text, first: line, lines: lineStarts(text), decoder: json.NewDecoder(strings.NewReader(text))}
	r.decoder.UseNumber()
	value, err := r.value(0)
	if err == nil {
		if _, err = r.decoder.Token(); err == io.EOF { //nolint:errorlint // the decoder returns it bare
			return value, r.problems
		}
		err = errors.New("there is something after the value")
	}
	at := r.next()
	message := strings.TrimPrefix(err.Error(), "json: ")
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		at, message = len(text), "it ends too early"
	}
	r.fail(at, "not valid JSON: %s", message)
	return nil, r.problems
}

func lineStarts(text string) []int {
	starts := []int{0}
	for i := range len(text) {
		if text[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

type jsonReader struct {
	file, text string
	first      int
	lines      []int // where they begin
	decoder    *json.Decoder
	problems   []schemas.Problem
}

func (r *jsonReader) place(offset int) (line, column int) {
	low, high := 0, len(r.lines)
	for high-low > 1 {
		if middle := (low + high) / 2; r.lines[middle] <= offset {
			low = middle
		} else {
			high = middle
		}
	}
	from := r.lines[low]
	if offset-from > 1<<16 { // of a very long line the column is counted in bytes
		return r.first + low, offset - from + 1
	}
	_, column = place(r.text[from:min(max(offset, from), len(r.text))], offset-from)
	return r.first + low, column
}

func (r *jsonReader) fail(offset int, format string, args ...any) {
	line, column := r.place(offset)
	r.problems = append(r.problems, schemas.Problem{File: r.file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)})
}

// next is where the next token begins.
func (r *jsonReader) next() int {
	at := int(r.decoder.InputOffset())
	for at < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[at]) >= 0 {
		at++
	}
	return at
}

func (r *jsonReader) value(depth int) (*Value, error) {
	v := &Value{File: r.file}
	v.Line, v.Column = r.place(r.next())
	if depth > MaxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep", MaxDepth)
	}
	token, err := r.decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case nil:
		v.Kind = Null
	case bool:
		v.Kind, v.Text = Boolean, fmt.Sprint(token)
	case string:
		v.Kind, v.Text = Text, token
	case json.Number:
		v.Kind, v.Text = Number, token.String()
	case json.Delim:
		if token == '[' {
			return v, r.list(v, depth)
		}
		return v, r.object(v, depth)
	}
	return v, nil
}

func (r *jsonReader) list(v *Value, depth int) error {
	v.Kind = List
	for r.decoder.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		v.Items = append(v.Items, item)
	}
	_, err := r.decoder.Token()
	return err
}

func (r *jsonReader) object(v *Value, depth int) error {
	v.Kind = Object
	seen := map[string]bool{}
	for r.decoder.More() {
		at := r.next()
		token, err := r.decoder.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // keys are nothing else
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		if seen[key] {
			r.fail(at, "the key `%s` stands twice: remove one", clip(key))
			continue
		}
		seen[key] = true
		line, column := r.place(at)
		v.Fields = append(v.Fields, Field{Key: key, Line: line, Column: column, Value: value})
	}
	_, err := r.decoder.Token()
	return err
}
