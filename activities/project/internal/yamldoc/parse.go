package yamldoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a document. The parser takes time quadratic in the number of keys, a second for as many tokens as this; and it recurses.
const (
	MaxTokens = 30_000
	MaxDepth  = 64
	maxValues = 50_000 // with what aliases repeat
)

// Parse reads one document. The value is nil for a document without content, and where a fault kept it from being read; with
// faults that did not, such as keys that stand twice, there is one. Tokens tells how much work the document was.
func Parse(text string) (value *Value, faults []Fault, tokens int) {
	if fault, found := encoding(text); found {
		return nil, []Fault{fault}, 0
	}
	defer func() { // the parser is known to panic on some malformed input
		if r := recover(); r != nil {
			value, faults = nil, []Fault{{1, 1, "the file is not valid YAML"}}
		}
	}()
	lexed := lexer.Tokenize(text)
	if fault, found := bound(lexed); found {
		return nil, []Fault{fault}, min(len(lexed), MaxTokens)
	}
	r := reader{lines: strings.Split(text, "\n"), anchors: map[string]ast.Node{}, left: maxValues}
	file, err := parser.Parse(lexed, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, []Fault{r.syntax(err)}, len(lexed)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, nil, len(lexed)
	}
	value = r.value(file.Docs[0].Body, 0)
	if r.stopped {
		value = nil
	}
	if value != nil && value.Kind == Null && strings.TrimSpace(value.Text) == "" && len(r.faults) == 0 {
		value = nil
	}
	return value, r.faults, len(lexed)
}

// bound finds what the parser should not be asked to read.
func bound(tokens token.Tokens) (Fault, bool) {
	depth, documents, line, repeated := 0, 0, 0, 0
	for i, t := range tokens {
		at := func(message string) (Fault, bool) { return Fault{t.Position.Line, t.Position.Column, message}, true }
		if t.Position.Line != line {
			line, repeated = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth = max(depth-1, 0)
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			repeated++
		case token.MappingValueType:
			if depth == 0 {
				repeated++
			}
		case token.DocumentHeaderType:
			if documents++; documents > 1 || i > 0 && anyContent(tokens[:i]) {
				return at("the file holds a second document: keep one, and remove the line of three hyphens")
			}
		}
		if depth+repeated > MaxDepth {
			return at(fmt.Sprintf("the file is nested more than %d deep: flatten it", MaxDepth))
		}
		if i >= MaxTokens {
			return at(fmt.Sprintf("the file has more than %d words and signs: split it", MaxTokens))
		}
	}
	return Fault{}, false
}

func anyContent(tokens token.Tokens) bool {
	return slices.ContainsFunc(tokens, func(t *token.Token) bool {
		return t.Type != token.CommentType && t.Type != token.DirectiveType
	})
}

// reader turns a syntax tree into values.
type reader struct {
	lines   []string
	anchors map[string]ast.Node
	open    []string // anchors around the current place
	left    int
	faults  []Fault
	stopped bool // a bound was passed
}

// syntax says what the parser found.
func (r *reader) syntax(err error) Fault {
	fault, ok := errors.AsType[*yaml.SyntaxError](err)
	if !ok || fault.Token == nil {
		return Fault{1, 1, "the file is not valid YAML"}
	}
	line, column := fault.Token.Position.Line, fault.Token.Position.Column
	for _, near := range []int{line, line + 1, line - 1} {
		if at := r.tab(near); at > 0 {
			return tabFault(near, at)
		}
	}
	return Fault{line, max(column, 1), "not valid YAML: " + advice(fault.Message)}
}

// hints say what to do about the parser's commonest messages.
var hints = []struct{ part, hint string }{
	{"mapping value is not allowed", "put a text with a colon in quotes"},
	{"could not find flow", "close the bracket"},
	{"could not find end character", "close the quotation mark"},
	{"undefined anchor", "put a text that begins with * in quotes, or name an anchor that stands before"},
	{"value is not allowed in this", "check the indentation, and put text with special characters in quotes"},
	{"non-map value", "write key: value"},
}

func advice(message string) string {
	for _, h := range hints {
		if strings.Contains(message, h.part) {
			return message + "; " + h.hint
		}
	}
	return message
}

// tab returns the column of a tab in the indentation of a line; 0 for none.
func (r *reader) tab(line int) int {
	if line < 1 || line > len(r.lines) {
		return 0
	}
	for i, c := range r.lines[line-1] {
		switch c {
		case ' ':
		case '\t':
			return i + 1
		default:
			return 0
		}
	}
	return 0
}

func tabFault(line, column int) Fault {
	return Fault{line, column, "a tab indents this line: use spaces"}
}

func (r *reader) fail(line, column int, format string, args ...any) {
	r.faults = append(r.faults, Fault{line, max(column, 1), fmt.Sprintf(format, args...)})
}

func (r *reader) broken(v *Value, format string, args ...any) {
	v.Kind = Broken
	r.fail(v.Line, v.Column, format, args...)
}

func (r *reader) value(n ast.Node, depth int) *Value {
	position := start(n)
	v := &Value{Kind: Null, Line: position.Line, Column: max(position.Column, 1), lines: r.lines}
	if r.left--; r.left < 0 || depth > MaxDepth {
		if !r.stopped {
			r.fail(v.Line, v.Column, "the file has more than %d values, or %d levels, with what its aliases repeat: write less of it", maxValues, MaxDepth)
		}
		r.stopped = true
	}
	if r.stopped {
		return v
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		r.object(v, n.Values, depth)
	case *ast.MappingValueNode:
		r.object(v, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		v.Kind = List
		for _, item := range n.Values {
			v.Items = append(v.Items, r.value(item, depth+1))
		}
	case *ast.AnchorNode:
		return r.anchor(n, depth)
	case *ast.AliasNode:
		return r.alias(v, n, depth)
	default:
		r.scalar(v, n)
	}
	return v
}

// start is where a node begins; that of a mapping is its first key.
func start(n ast.Node) *token.Position {
	switch n := n.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 && n.Start != nil && n.Start.Type != token.MappingStartType {
			return start(n.Values[0])
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken().Position
	case *ast.SequenceNode:
		if len(n.Values) > 0 && n.Start != nil && n.Start.Type != token.SequenceStartType {
			return n.Start.Position
		}
	}
	return n.GetToken().Position
}

func (r *reader) object(v *Value, pairs []*ast.MappingValueNode, depth int) {
	v.Kind = Object
	first := map[string]int{}
	for _, pair := range pairs {
		t := pair.Key.GetToken()
		f := Field{Key: t.Value, Line: t.Position.Line, Column: max(t.Position.Column, 1)}
		switch pair.Key.(type) {
		case *ast.MergeKeyNode:
			r.fail(f.Line, f.Column, "merge keys (<<) are not supported: write the keys out")
			continue
		case *ast.MappingKeyNode, *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.LiteralNode:
			r.fail(f.Line, f.Column, "a key is plain text: write key: value")
			continue
		}
		if at := r.tab(f.Line); at > 0 && at < f.Column+1 {
			r.faults = append(r.faults, tabFault(f.Line, at))
		}
		if line, twice := first[f.Key]; twice {
			r.fail(f.Line, f.Column, "the key %s stands twice, first in line %d: remove one", f.Key, line)
			continue
		}
		first[f.Key] = f.Line
		f.Value = r.value(pair.Value, depth+1)
		v.Fields = append(v.Fields, f)
	}
}

func (r *reader) anchor(n *ast.AnchorNode, depth int) *Value {
	name := n.Name.GetToken().Value
	r.anchors[name] = n.Value
	r.open = append(r.open, name)
	v := r.value(n.Value, depth+1)
	r.open = r.open[:len(r.open)-1]
	return v
}

// alias reads what an anchor names once more, where the alias stands.
func (r *reader) alias(v *Value, n *ast.AliasNode, depth int) *Value {
	name := n.Value.GetToken().Value
	node, ok := r.anchors[name]
	switch {
	case !ok:
		r.broken(v, "there is no anchor %s before this alias: put a text that begins with * in quotes", name)
		return v
	case slices.Contains(r.open, name):
		r.broken(v, "the alias %s stands within what it repeats: write the value out", name)
		return v
	}
	repeated := *r.value(node, depth+1)
	repeated.Line, repeated.Column = v.Line, v.Column
	return &repeated
}

func (r *reader) scalar(v *Value, n ast.Node) {
	switch n := n.(type) {
	case *ast.NullNode, *ast.CommentGroupNode:
	case *ast.BoolNode:
		v.Kind, v.Text = Boolean, fmt.Sprint(n.Value)
	case *ast.StringNode:
		v.Kind, v.Text = Text, n.Value
	case *ast.LiteralNode:
		v.Kind, v.Text = Text, n.Value.Value
	case *ast.IntegerNode:
		v.Kind, v.Text = Integer, fmt.Sprint(n.Value)
	case *ast.FloatNode:
		v.Kind = Float
		data, err := json.Marshal(n.Value)
		if err != nil || math.IsInf(n.Value, 0) {
			r.broken(v, "the number is too large")
			return
		}
		v.Text = string(data)
	case *ast.InfinityNode, *ast.NanNode:
		r.broken(v, "infinity and not-a-number are no values here: write a number")
	default:
		r.broken(v, "this kind of YAML value is not supported: use text, numbers, true, false, lists and mappings without tags")
	}
}
