package tree

import (
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tenuto-dev/tenuto/schemas"
)

// YAML reads one document. Numbers, true, false and null are those of YAML 1.2; anchors, aliases and merge keys are followed; dates and
// all else are text. The value is nil for a document without content and where a fault kept it from being read.
func YAML(file, text string) (value *Value, problems []schemas.Problem) {
	r := &yamlReader{file: file, text: text, values: map[*yaml.Node]*Value{}, open: map[*yaml.Node]bool{}}
	defer func() { // the parser is not known to panic, but reads what strangers wrote
		if recovered := recover(); recovered != nil {
			value, problems = nil, []schemas.Problem{{File: file, Line: 1, Column: 1, Message: "the file is not valid YAML"}}
		}
	}()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case err == io.EOF: //nolint:errorlint // the decoder returns it bare
		return nil, nil
	case err != nil:
		return nil, []schemas.Problem{r.syntax(err)}
	}
	if err := decoder.Decode(&second); err == nil {
		r.fail(second.Line, second.Column, "the file holds a second document: keep one, and remove the line of three hyphens")
	}
	if len(document.Content) == 0 {
		return nil, r.problems
	}
	value = r.value(document.Content[0], 0)
	if value.Size() > MaxValues {
		r.fail(1, 1, "the file has more than %d values with what its aliases repeat: write less of it", MaxValues)
		return nil, r.problems
	}
	if r.deep {
		return nil, r.problems
	}
	return value, r.problems
}

type yamlReader struct {
	file     string
	text     string
	values   map[*yaml.Node]*Value
	open     map[*yaml.Node]bool // being read, around the current place
	problems []schemas.Problem
	deep     bool
}

func (r *yamlReader) fail(line, column int, format string, args ...any) {
	r.problems = append(r.problems, schemas.Problem{File: r.file, Line: line, Column: max(column, 1), Message: fmt.Sprintf(format, args...)})
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

// syntax says what the parser found.
func (r *yamlReader) syntax(err error) schemas.Problem {
	p := schemas.Problem{File: r.file, Line: 1, Column: 1, Message: "not valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			p.Line = line
		}
		p.Message = "not valid YAML: " + m[2] + "; check indentation and quotes"
		if strings.HasPrefix(m[2], "found character that cannot start any token") && r.tabbed(p.Line) {
			p.Message = "not valid YAML: the line is indented by a tab; YAML is indented by spaces"
		}
	}
	return p
}

var tabIndent = regexp.MustCompile(`^ *\t`)

// tabbed reports whether a tab stands before the first word of a line, or of the one after it: the parser says either.
func (r *yamlReader) tabbed(line int) bool {
	lines := strings.Split(r.text, "\n")
	for _, i := range []int{line - 1, line} {
		if i >= 0 && i < len(lines) && tabIndent.MatchString(lines[i]) {
			return true
		}
	}
	return false
}

func (r *yamlReader) value(n *yaml.Node, depth int) *Value {
	if n.Kind == yaml.AliasNode {
		return r.alias(n, depth)
	}
	if v, ok := r.values[n]; ok {
		return v
	}
	v := &Value{Kind: Null, File: r.file, Line: n.Line, Column: n.Column}
	r.values[n] = v
	if depth > MaxDepth {
		if !r.deep {
			r.fail(n.Line, n.Column, "the file is nested more than %d deep: flatten it", MaxDepth)
		}
		r.deep = true
		return v
	}
	r.open[n] = true
	defer delete(r.open, n)
	switch n.Kind {
	case yaml.MappingNode:
		v.Kind = Object
		r.object(v, n, depth)
	case yaml.SequenceNode:
		v.Kind = List
		for _, item := range n.Content {
			v.Items = append(v.Items, r.value(item, depth+1))
		}
	default:
		r.scalar(v, n)
	}
	return v
}

func (r *yamlReader) alias(n *yaml.Node, depth int) *Value {
	if n.Alias == nil || r.open[n.Alias] {
		r.fail(n.Line, n.Column, "the alias %s stands within what it repeats: write the value out", clip(n.Value))
		return &Value{Kind: Null, File: r.file, Line: n.Line, Column: n.Column}
	}
	return r.value(n.Alias, depth+1)
}

func (r *yamlReader) object(v *Value, n *yaml.Node, depth int) {
	first := map[string]int{}
	var merged []*Value
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, r.value(value, depth+1))
			continue
		}
		if key.Kind != yaml.ScalarNode {
			r.fail(key.Line, key.Column, "a key is plain text: write key: value")
			continue
		}
		if line, twice := first[key.Value]; twice {
			r.fail(key.Line, key.Column, "the key `%s` stands twice, first in line %d: remove one", clip(key.Value), line)
			continue
		}
		first[key.Value] = key.Line
		v.Fields = append(v.Fields, Field{Key: key.Value, Line: key.Line, Column: key.Column, Value: r.value(value, depth+1)})
	}
	for _, m := range merged {
		r.merge(v, m, first)
	}
}

// merge adds the fields of a merge key that the object does not have itself.
func (r *yamlReader) merge(v, from *Value, known map[string]int) {
	switch from.Kind {
	case Object:
		for _, f := range from.Fields {
			if _, has := known[f.Key]; !has {
				known[f.Key] = f.Line
				v.Fields = append(v.Fields, f)
			}
		}
	case List:
		for _, item := range from.Items {
			if item.Kind != Object {
				r.fail(item.Line, item.Column, "a merge key (<<) takes a mapping, or a list of mappings")
				return
			}
			r.merge(v, item, known)
		}
	default:
		r.fail(from.Line, from.Column, "a merge key (<<) takes a mapping, or a list of mappings")
	}
}

var yamlInteger = regexp.MustCompile(`^[-+]?[0-9]+$`)

func (r *yamlReader) scalar(v *Value, n *yaml.Node) {
	v.Kind, v.Text = Text, n.Value
	switch n.ShortTag() {
	case "!!null":
		v.Kind, v.Text = Null, ""
	case "!!bool":
		v.Kind, v.Text = Boolean, strings.ToLower(n.Value)
	case "!!int", "!!float":
		r.number(v, n)
	case "!!binary":
		r.fail(n.Line, n.Column, "binary values are not supported: write text")
	}
}

func (r *yamlReader) number(v *Value, n *yaml.Node) {
	text := n.Value
	if !yamlInteger.MatchString(text) {
		if i, err := strconv.ParseInt(text, 0, 64); err == nil && !strings.Contains(text, "_") { // 0x1F, 0o17
			text = strconv.FormatInt(i, 10)
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case strings.Contains(text, "_"), strings.Contains(text, ":"): // numbers of YAML 1.1 only
		return
	case err != nil || math.IsInf(f, 0) || math.IsNaN(f):
		r.fail(n.Line, n.Column, "`%s` is no number that can be used here: put it in quotes, or write a smaller one", clip(n.Value))
		return
	}
	v.Kind, v.Text = Number, text
}
