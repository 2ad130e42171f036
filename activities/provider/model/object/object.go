// Package object reads and edits the members of a JSON object and leaves all other bytes as they are, so that a request can be passed on
// with what only its sender and its receiver understand.
package object

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Object is a JSON object. Make it with Parse; it is not safe for concurrent use.
type Object struct {
	data    []byte
	members []member
	edits   map[string]json.RawMessage
}

// member is a name with the place of its value in data.
type member struct {
	name     string
	from, to int
}

// Parse finds the members of an object. It keeps data, which must not be changed afterwards. Error: invalid, for what is no JSON in UTF-8 or
// no object, and where a name stands twice, be it in another case: two readers could then understand two different requests.
func Parse(data []byte) (*Object, error) {
	switch {
	case !utf8.Valid(data):
		return nil, schemas.Errorf(schemas.Invalid, "the body is not UTF-8; send JSON in UTF-8")
	case !json.Valid(data):
		return nil, schemas.Errorf(schemas.Invalid, "the body is no valid JSON")
	}
	o := &Object{data: data}
	at := space(data, 0)
	if data[at] != '{' {
		return nil, schemas.Errorf(schemas.Invalid, "the body is no JSON object")
	}
	seen := map[string]bool{}
	for at = space(data, at+1); data[at] != '}'; at = space(data, at) {
		if data[at] == ',' {
			at = space(data, at+1)
		}
		var m member
		m, at = next(data, at)
		if seen[fold(m.name)] {
			return nil, schemas.Errorf(schemas.Invalid, "the body has %.80q twice; send every field once", m.name)
		}
		seen[fold(m.name)] = true
		o.members = append(o.members, m)
	}
	return o, nil
}

// next reads the member at a quote of valid JSON, and returns where it ends.
func next(data []byte, at int) (member, int) {
	end := value(data, at)
	var m member
	if quoted := data[at+1 : end-1]; bytes.IndexByte(quoted, '\\') < 0 {
		m.name = string(quoted)
	} else {
		_ = json.Unmarshal(data[at:end], &m.name) // it is valid
	}
	m.from = space(data, space(data, end)+1)
	m.to = value(data, m.from)
	return m, m.to
}

// space skips white space.
func space(data []byte, at int) int {
	for data[at] == ' ' || data[at] == '\t' || data[at] == '\n' || data[at] == '\r' {
		at++
	}
	return at
}

// value returns where the value of valid JSON that begins at a place ends.
func value(data []byte, at int) int {
	depth := 0
	for {
		switch data[at] {
		case '"':
			at = text(data, at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		case ',', ':', ' ', '\t', '\n', '\r': // within a list or an object
			at++
			continue
		default:
			at = word(data, at)
		}
		if depth == 0 {
			return at
		}
	}
}

// text skips a string.
func text(data []byte, at int) int {
	for at++; data[at] != '"'; at++ {
		if data[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// word skips a number, true, false or null.
func word(data []byte, at int) int {
	for at < len(data) && bytes.IndexByte([]byte(",]} \t\r\n"), data[at]) < 0 {
		at++
	}
	return at
}

// fold is one spelling of names that readers which do not heed case take for the same.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}

// Get returns the value of a member, nil where there is none.
func (o *Object) Get(name string) json.RawMessage {
	if edited, ok := o.edits[name]; ok {
		return edited
	}
	for _, m := range o.members {
		if m.name == name {
			return json.RawMessage(o.data[m.from:m.to])
		}
	}
	return nil
}

// Names lists the members that Parse found, in their order.
func (o *Object) Names() []string {
	names := make([]string, len(o.members))
	for i, m := range o.members {
		names[i] = m.name
	}
	return names
}

// With returns a copy in which a member has another value, which is valid JSON. A new member stands at the end.
func (o *Object) With(name string, value json.RawMessage) *Object {
	edited := *o
	edited.edits = map[string]json.RawMessage{name: value}
	for other, old := range o.edits {
		if other != name {
			edited.edits[other] = old
		}
	}
	return &edited
}

// Original is what Parse was given.
func (o *Object) Original() []byte { return o.data }

// Bytes is the object with what was edited. Callers must not change it.
func (o *Object) Bytes() []byte {
	if len(o.edits) == 0 {
		return o.data
	}
	out := make([]byte, 0, len(o.data)+64*len(o.edits))
	done, known := 0, map[string]bool{}
	for _, m := range o.members {
		known[m.name] = true
		if edited, ok := o.edits[m.name]; ok {
			out = append(append(out, o.data[done:m.from]...), edited...)
			done = m.to
		}
	}
	end := bytes.LastIndexByte(o.data, '}')
	out = append(out, o.data[done:end]...)
	first := len(o.members) == 0
	for name, edited := range o.edits {
		if known[name] {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		quoted, _ := json.Marshal(name) //nolint:errchkjson // a string
		out = append(append(append(out, quoted...), ':'), edited...)
	}
	return append(out, o.data[end:]...)
}
