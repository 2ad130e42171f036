package suite

import (
	pathpkg "path"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
)

// references puts in what $ref names: a place in the same file (#/assertionTemplates/polite) or in another (checks.yaml#/polite), by a
// JSON Pointer. Keys beside $ref are added to it and win.
func (l *loader) references(root *tree.Value) *tree.Value {
	r := &resolver{loader: l, roots: map[string]*tree.Value{root.File: root}, done: map[*tree.Value]*tree.Value{}, open: map[*tree.Value]bool{}}
	out := r.value(root)
	if out.Size() > tree.MaxValues {
		l.at(root, "the file has more than %d values with what its references repeat: write less of it", tree.MaxValues)
		return &tree.Value{Kind: tree.Object, File: root.File, Line: root.Line, Column: root.Column}
	}
	return out
}

type resolver struct {
	*loader
	roots map[string]*tree.Value // by file, as they were read
	done  map[*tree.Value]*tree.Value
	open  map[*tree.Value]bool
}

func (r *resolver) value(v *tree.Value) *tree.Value {
	if out, ok := r.done[v]; ok {
		return out
	}
	if r.open[v] {
		r.at(v, "$ref leads in a circle: write the value out")
		return &tree.Value{Kind: tree.Null, File: v.File, Line: v.Line, Column: v.Column}
	}
	r.open[v] = true
	defer delete(r.open, v)
	out := *v
	out.Items, out.Fields = nil, nil
	for _, item := range v.Items {
		out.Items = append(out.Items, r.value(item))
	}
	var target *tree.Value
	for _, f := range v.Fields {
		if f.Key == "$ref" && f.Value.Kind == tree.Text {
			if target = r.find(f.Value); target != nil {
				continue
			}
		}
		f.Value = r.value(f.Value)
		out.Fields = append(out.Fields, f)
	}
	result := &out
	if target != nil {
		result = beside(&out, r.value(target))
	}
	r.done[v] = result
	return result
}

// beside is what a reference names, with the keys that stand beside it.
func beside(own, target *tree.Value) *tree.Value {
	if len(own.Fields) == 0 || target.Kind != tree.Object {
		return target
	}
	for _, f := range target.Fields {
		if own.Get(f.Key) == nil {
			own.Fields = append(own.Fields, f)
		}
	}
	return own
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~", "%20", " ")

func (r *resolver) find(v *tree.Value) *tree.Value {
	file, pointer, _ := strings.Cut(v.Text, "#")
	name := v.File
	if file != "" {
		name = pathpkg.Join(pathpkg.Dir(v.File), strings.TrimPrefix(file, "file://"))
	}
	at, known := r.roots[name]
	if !known {
		at = r.document(name, v)
		r.roots[name] = at
	}
	if at == nil {
		return nil
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = unescape.Replace(part)
		next := at.Get(part)
		if i, err := strconv.Atoi(part); err == nil && at.Kind == tree.List && i >= 0 && i < len(at.Items) {
			next = at.Items[i]
		}
		if pointer == "" || pointer == "/" {
			next = at
		}
		if next == nil {
			r.at(v, "`%s` names nothing: there is no `%s`", clip(v.Text), clip(part))
			return nil
		}
		at = next
	}
	return at
}
