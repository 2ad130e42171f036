package parse

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of JSON. A path stands before every value, so a long one would multiply the text.
const (
	maxJSONDepth = 256
	maxJSONPath  = 120 // bytes
)

// parseJSON writes a line for every value, "path.to.key: value", and a block for every object that is an element of a list. It
// also reads one value after another (JSON lines).
func parseJSON(in Input) (Document, error) {
	text, err := decode(in.Data, charsetOf(in.MediaType))
	if err != nil {
		return Document{}, err
	}
	data := []byte(text)
	if depth, at := jsonDepth(data); depth > maxJSONDepth {
		return Document{}, invalid("the JSON is nested deeper than %d levels (line %d)", maxJSONDepth, lineAt(data, at))
	}
	w := jsonWalk{dec: json.NewDecoder(bytes.NewReader(data))}
	w.dec.UseNumber()
	for {
		switch err := w.value(""); {
		case errors.Is(err, io.EOF):
			w.flush()
			return w.b.document(w.title, metadata{}), nil
		case err != nil:
			if syntax, ok := errors.AsType[*json.SyntaxError](err); ok { // its own offset counts from where the decoder's buffer begins
				syntax.Offset = w.dec.InputOffset() + 1 + int64(gap(data[w.dec.InputOffset():]))
			}
			return Document{}, jsonFault(data, err)
		}
		w.flush()
	}
}

// gap is how far a value begins behind the token before it.
func gap(data []byte) int {
	return len(data) - len(bytes.TrimLeft(data, " \t\n:,"))
}

type jsonWalk struct {
	dec   *json.Decoder
	b     builder
	lines strings.Builder // of the block at hand
	open  string          // path of the last line, where it may take further values
	title string
}

func (w *jsonWalk) value(path string) error {
	t, err := w.dec.Token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('{'):
		return w.object(path)
	case json.Delim('['):
		return w.array(path)
	}
	w.scalar(path, t, false)
	return nil
}

func (w *jsonWalk) object(path string) error {
	for w.dec.More() {
		key, err := w.dec.Token()
		if err != nil {
			return cut(err)
		}
		name, _ := key.(string) // the decoder lets nothing else stand here
		if path != "" {
			name = path + "." + name
		}
		if err := w.value(clip(name, maxJSONPath)); err != nil {
			return cut(err)
		}
	}
	_, err := w.dec.Token()
	return cut(err)
}

// array puts scalars on one line and every other element under a path with its number.
func (w *jsonWalk) array(path string) error {
	for i := 0; w.dec.More(); i++ {
		t, err := w.dec.Token()
		if err != nil {
			return cut(err)
		}
		element := clip(path+"["+strconv.Itoa(i)+"]", maxJSONPath)
		switch t {
		case json.Delim('{'):
			err = w.object(element)
			w.flush()
		case json.Delim('['):
			err = w.array(element)
		default:
			w.scalar(path, t, true)
		}
		if err != nil {
			return cut(err)
		}
	}
	w.open = ""
	_, err := w.dec.Token()
	return cut(err)
}

// cut says that the input ended within a value.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (w *jsonWalk) scalar(path string, v json.Token, listed bool) {
	if v == nil {
		return
	}
	text := strings.TrimSpace(lineEnds(fmt.Sprint(v)))
	if path == "title" && w.title == "" {
		w.title = text
	}
	if listed && w.open == path+"\x00" {
		w.lines.WriteString(", " + text)
		return
	}
	if w.lines.Len() > 0 {
		w.lines.WriteByte('\n')
	}
	if path != "" {
		w.lines.WriteString(path + ": ")
	}
	w.lines.WriteString(text)
	w.open = ""
	if listed {
		w.open = path + "\x00"
	}
}

func (w *jsonWalk) flush() {
	w.b.add(Table, w.lines.String())
	w.lines.Reset()
	w.open = ""
}

// jsonDepth is how deep brackets nest outside of strings, and where it is deepest.
func jsonDepth(data []byte) (deepest, at int) {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > deepest {
				deepest, at = depth, i
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest, at
}

// jsonFault says where and why data is not JSON.
func jsonFault(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return invalid("not valid JSON: line %d: %s", lineAt(data, int(syntax.Offset)-1), syntax.Error())
	case errors.As(err, &kind):
		return invalid("not a JSON object but a JSON %s", kind.Value)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return invalid("not valid JSON: line %d: the text ends too early", lineAt(data, len(data)))
	}
	return invalid("not valid JSON")
}

func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), len(data))], []byte("\n"))
}
