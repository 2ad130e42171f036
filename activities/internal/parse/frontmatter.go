package parse

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Bounds of front matter. Aliases may repeat values, but not without end ("billion laughs").
const (
	maxFrontMatter = 256 << 10
	maxNodes       = 10_000
	maxNesting     = 64
)

// frontMatter splits YAML (between --- lines) or TOML (between +++ lines) off the head of a Markdown text. A text that begins
// with a thematic break has none. Error: invalid, with the line at which it does not parse.
func frontMatter(text string) (meta metadata, rest string, err error) {
	for _, fence := range []string{"---", "+++"} {
		head, body, found := fenced(text, fence)
		if !found {
			continue
		}
		if len(head) > maxFrontMatter {
			return metadata{}, "", invalid("the front matter is larger than %d KB", maxFrontMatter>>10)
		}
		if fence == "+++" {
			meta, err = tomlMetadata(head)
		} else if meta, err = yamlMetadata(head); errors.Is(err, errNoMapping) {
			return metadata{}, text, nil
		}
		return meta, body, err
	}
	return metadata{}, text, nil
}

// fenced finds what stands between a first line that is fence and the next such line. YAML may also end with "...".
func fenced(text, fence string) (head, body string, found bool) {
	first, _, _ := strings.Cut(text, "\n")
	if strings.TrimRight(first, " \t") != fence {
		return "", "", false
	}
	for from, line := range lines(text) {
		end := strings.TrimRight(line, " \t")
		if from > 0 && (end == fence || fence == "---" && end == "...") {
			return text[min(len(first)+1, from):from], text[min(from+len(line)+1, len(text)):], true
		}
	}
	return "", "", false
}

var errNoMapping = errors.New("no mapping")

// yamlMetadata walks the syntax tree instead of decoding it, so that aliases cost no more than maxNodes. Lines count from the
// head of the document.
func yamlMetadata(head string) (metadata, error) {
	if deep(head) {
		return metadata{}, invalid("the front matter is nested deeper than %d levels", maxNesting)
	}
	file, err := parser.ParseBytes([]byte("\n"+head), 0)
	if err != nil {
		return metadata{}, yamlFault(err)
	}
	w := yamlWalk{anchors: map[string]ast.Node{}, left: maxNodes}
	for _, doc := range file.Docs {
		switch doc.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
		case *ast.MappingNode, *ast.MappingValueNode:
			w.walk("", doc.Body, 0)
		default:
			return metadata{}, errNoMapping
		}
	}
	if w.left <= 0 {
		return metadata{}, invalid("the front matter has more than %d values", maxNodes)
	}
	return w.meta, nil
}

// deep reports nesting that a recursive parser should not be asked to read.
func deep(head string) bool {
	open := strings.Count(head, "[") + strings.Count(head, "{")
	if open > maxNodes {
		return true
	}
	for _, line := range lines(head) {
		if n := len(line) - len(strings.TrimLeft(line, " -?:[{")); n > 4*maxNesting {
			return true
		}
	}
	return false
}

func yamlFault(err error) error {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) && syntax.Token != nil {
		return invalid("the front matter is not valid YAML: line %d: %s", syntax.Token.Position.Line, syntax.Message)
	}
	return invalid("the front matter is not valid YAML")
}

type yamlWalk struct {
	meta    metadata
	anchors map[string]ast.Node
	left    int // nodes that may still be visited
}

func (w *yamlWalk) walk(key string, n ast.Node, depth int) {
	if w.left--; w.left <= 0 || depth > maxNesting || n == nil {
		return
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			w.walk(key, v, depth)
		}
	case *ast.MappingValueNode:
		w.walk(joinKey(key, n.Key), n.Value, depth+1)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			w.walk(key, v, depth+1)
		}
	case *ast.AnchorNode:
		w.anchors[n.Name.GetToken().Value] = n.Value
		w.walk(key, n.Value, depth+1)
	case *ast.AliasNode:
		w.walk(key, w.anchors[n.Value.GetToken().Value], depth+1)
	case *ast.TagNode:
		w.walk(key, n.Value, depth+1)
	case *ast.LiteralNode:
		w.meta.add(key, n.Value.Value)
	case *ast.NullNode:
	case ast.ScalarNode:
		w.meta.add(key, n.GetToken().Value)
	}
}

// joinKey puts a dot between nested keys; a merge key (<<) adds nothing.
func joinKey(key string, n ast.MapKeyNode) string {
	if n.IsMergeKey() {
		return key
	}
	return dotted(key, n.GetToken().Value)
}

func dotted(key, name string) string {
	if key == "" {
		return name
	}
	return clip(key+"."+name, maxKey+1) // one more than a key may have: such a key is dropped
}

func tomlMetadata(head string) (metadata, error) {
	var meta metadata
	values := map[string]any{}
	if _, err := toml.Decode(head, &values); err != nil {
		if fault, ok := errors.AsType[toml.ParseError](err); ok {
			return meta, invalid("the front matter is not valid TOML: line %d: %s", fault.Position.Line+1, fault.Message)
		}
		return meta, invalid("the front matter is not valid TOML")
	}
	meta.flatten("", values, 0)
	return meta, nil
}

// flatten adds decoded values: nested objects under dotted keys, lists as several values. Keys are taken in order, so that the
// bounds drop the same ones each time.
func (m *metadata) flatten(key string, value any, depth int) {
	if depth > maxNesting {
		return
	}
	switch v := value.(type) {
	case nil:
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			m.flatten(dotted(key, name), v[name], depth+1)
		}
	case []any:
		for _, item := range v {
			m.flatten(key, item, depth+1)
		}
	case []map[string]any:
		for _, item := range v {
			m.flatten(key, item, depth+1)
		}
	default:
		m.add(key, fmt.Sprint(v))
	}
}
