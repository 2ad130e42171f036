package prompt

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Bounds of front matter. Anchors and aliases, with which a few lines can stand for gigabytes, are refused altogether.
const (
	maxHead   = 64 << 10
	maxValues = 10_000
	maxLevels = 32
)

// head is the front matter of a file: its YAML and where that begins.
type head struct {
	src  *source
	text string
	from int // byte offset
}

// object is a mapping in the order of the file.
type object []field

type field struct {
	key   string
	value any // nil, bool, int64, uint64, float64, string, []any or object
	at    int // byte offset of the key
}

// split finds the front matter between two lines of three hyphens. Empty lines and comments may stand before it. The body behind
// it is trimmed, as the format wants it; a file without front matter is all body. It returns where the body begins and ends.
func (s *source) split() (h head, from, to int, err error) {
	begin := len(s.text) - len(strings.TrimPrefix(s.text, "\uFEFF"))
	opening, start, found := s.fence(begin, true)
	if !found {
		return head{src: s}, begin, len(s.text), nil
	}
	end, from, found := s.fence(start, false)
	if !found {
		return head{}, 0, 0, s.fault(opening, "the front matter is never closed: add a line of three hyphens behind it")
	}
	h = head{src: s, text: s.text[start:end], from: start}
	if len(h.text) > maxHead {
		return head{}, 0, 0, s.fault(opening, "the front matter has %d bytes; at most %d are allowed", len(h.text), maxHead)
	}
	body := strings.TrimLeftFunc(s.text[from:], unicode.IsSpace)
	from = len(s.text) - len(body)
	return h, from, from + len(strings.TrimRightFunc(body, unicode.IsSpace)), nil
}

// fence finds the next line of three hyphens: where it begins, and where the line behind it does. The opening one stands behind
// empty lines and comments only.
func (s *source) fence(from int, opening bool) (at, behind int, found bool) {
	for from < len(s.text) {
		end := len(s.text)
		if i := strings.IndexByte(s.text[from:], '\n'); i >= 0 {
			end = from + i + 1
		}
		line := strings.TrimRight(s.text[from:end], blanks)
		switch {
		case line == "---":
			return from, end, true
		case opening && line != "" && line[0] != '#':
			return 0, 0, false
		}
		from = end
	}
	return 0, 0, false
}

// parse reads the YAML into an object.
func (h head) parse() (fields object, err error) {
	if strings.TrimSpace(h.text) == "" {
		return nil, nil
	}
	if deep(h.text) {
		return nil, h.src.fault(h.from, "the front matter is nested more than %d deep", maxLevels)
	}
	defer func() { // the parser is known to panic on some malformed input
		if r := recover(); r != nil {
			err = h.src.fault(h.from, "the front matter is not valid YAML")
		}
	}()
	file, err := parser.ParseBytes([]byte(h.text), 0)
	if err != nil {
		return nil, h.yamlFault(err)
	}
	if len(file.Docs) != 1 {
		return nil, h.src.fault(h.from, "the front matter is not one YAML document")
	}
	w := walk{head: h, left: maxValues}
	value, err := w.value(file.Docs[0].Body, 0)
	if err != nil || value == nil {
		return nil, err
	}
	fields, ok := value.(object)
	if !ok {
		return nil, h.src.fault(h.from, "the front matter is no mapping: write lines such as model: NAME")
	}
	return fields, nil
}

// deep reports nesting that a recursive parser should not be asked to read.
func deep(text string) bool {
	level, most := 0, 0
	for line := range strings.Lines(text) {
		indent := line[:len(line)-len(strings.TrimLeft(line, " -?:"))]
		most = max(most, strings.Count(indent, "-")+strings.Count(indent, "?")+strings.Count(indent, ":"))
		for _, c := range []byte(line) {
			switch c {
			case '[', '{':
				level++
			case ']', '}':
				level = max(level-1, 0)
			}
			most = max(most, level)
		}
	}
	return most > maxLevels
}

func (h head) yamlFault(err error) error {
	at, message := h.from, "the front matter is not valid YAML"
	if fault, ok := errors.AsType[*yaml.SyntaxError](err); ok && fault.Token != nil {
		at = h.offset(fault.Token.Position.Line, fault.Token.Position.Column)
		message += ": " + fault.Message
	}
	return h.src.fault(at, "%s", message)
}

// offset turns line and column of the YAML into an offset of the file.
func (h head) offset(line, column int) int {
	at := h.from
	for ; line > 1; line-- {
		i := strings.IndexByte(h.src.text[at:], '\n')
		if i < 0 {
			return at
		}
		at += i + 1
	}
	for i := range h.src.text[at:] {
		if column--; column < 1 {
			return at + i
		}
	}
	return len(h.src.text)
}

// walk turns a syntax tree into values.
type walk struct {
	head
	left int
}

func (w *walk) fault(n ast.Node, format string, args ...any) error {
	position := n.GetToken().Position
	return w.src.fault(w.offset(position.Line, position.Column), format, args...)
}

func (w *walk) value(n ast.Node, level int) (any, error) {
	if n == nil {
		return nil, nil
	}
	if w.left--; w.left < 0 || level > maxLevels {
		return nil, w.fault(n, "the front matter has more than %d values or %d levels", maxValues, maxLevels)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return w.object(n.Values, level)
	case *ast.MappingValueNode:
		return w.object([]*ast.MappingValueNode{n}, level)
	case *ast.SequenceNode:
		list := make([]any, 0, len(n.Values))
		for _, item := range n.Values {
			value, err := w.value(item, level+1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	}
	return w.scalar(n)
}

func (w *walk) object(pairs []*ast.MappingValueNode, level int) (any, error) {
	fields := make(object, 0, len(pairs))
	seen := map[string]bool{}
	for _, pair := range pairs {
		key := pair.Key.GetToken()
		switch pair.Key.(type) {
		case *ast.MergeKeyNode, *ast.MappingKeyNode, *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
			return nil, w.fault(pair.Key, "a key is plain text: merge keys, anchors and tags are not supported")
		}
		if seen[key.Value] {
			return nil, w.fault(pair.Key, "the key %s stands twice: remove one", key.Value)
		}
		seen[key.Value] = true
		value, err := w.value(pair.Value, level+1)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field{key.Value, value, w.offset(key.Position.Line, key.Position.Column)})
	}
	return fields, nil
}

func (w *walk) scalar(n ast.Node) (any, error) {
	switch n := n.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
		return nil, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode:
		if u, ok := n.Value.(uint64); ok && u <= math.MaxInt64 {
			return int64(u), nil
		}
		return n.Value, nil
	case *ast.FloatNode:
		if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
			return nil, w.fault(n, "the number is too large")
		}
		return n.Value, nil
	case *ast.AnchorNode, *ast.AliasNode:
		return nil, w.fault(n, "anchors and aliases are not supported in front matter: write the value out")
	}
	return nil, w.fault(n, "this kind of YAML value is not supported: use text, numbers, true, false, null, lists and mappings")
}

// plainValue turns objects into maps.
func plainValue(v any) any {
	switch v := v.(type) {
	case object:
		return v.plain()
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = plainValue(item)
		}
		return list
	}
	return v
}

func (o object) plain() map[string]any {
	m := make(map[string]any, len(o))
	for _, f := range o {
		m[f.key] = plainValue(f.value)
	}
	return m
}

// MarshalJSON keeps the order of the keys.
func (o object) MarshalJSON() ([]byte, error) {
	data := []byte{'{'}
	for i, f := range o {
		if i > 0 {
			data = append(data, ',')
		}
		key, err := json.Marshal(f.key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		data = append(append(append(data, key...), ':'), value...)
	}
	return append(data, '}'), nil
}

// get returns the value of a key.
func (o object) get(key string) (any, bool) {
	for _, f := range o {
		if f.key == key {
			return f.value, true
		}
	}
	return nil, false
}
