package nunjucks

import (
	"slices"
	"strings"
)

// rendering is the state of one Render.
type rendering struct {
	t       *Template
	out     *strings.Builder
	steps   int // that are left
	depth   int // of macros
	globals map[string]any
	scopes  []map[string]any // of tags, the innermost last
}

func (r *rendering) fault(at int, format string, args ...any) error {
	return r.t.fault(at, format, args...)
}

// spend counts work, so that no template and no data keep a worker busy for long.
func (r *rendering) spend(at, n int) error {
	if r.steps -= n; r.steps < 0 {
		return r.fault(at, "the template takes too much work with this data: loop over less")
	}
	return nil
}

func (r *rendering) write(at int, text string) error {
	if r.out.Len()+len(text) > MaxOutput {
		return r.fault(at, "the template renders to more than %d MB: give it less", MaxOutput>>20)
	}
	r.out.WriteString(text)
	return r.spend(at, 1+len(text)/64)
}

func (r *rendering) nodes(list []node) error {
	for _, n := range list {
		if err := r.node(n); err != nil {
			return err
		}
	}
	return nil
}

func (r *rendering) node(n node) error {
	switch n := n.(type) {
	case string:
		return r.write(0, n)
	case *output:
		value, err := r.value(n.value)
		if err != nil {
			return err
		}
		if err := r.spend(n.at, weight(value)); err != nil {
			return err
		}
		return r.write(n.at, Text(value))
	case *ifTag:
		value, err := r.value(n.cond)
		if err != nil {
			return err
		}
		if truthy(value) {
			return r.nodes(n.body)
		}
		return r.nodes(n.orElse)
	case *forTag:
		return r.loop(n)
	case *setTag:
		return r.set(n)
	case *filterTag:
		text, err := r.capture(n.body)
		if err != nil {
			return err
		}
		value, err := r.filter(n.filter, text)
		if err != nil {
			return err
		}
		return r.write(n.filter.at, Text(value))
	case *macroTag:
		r.assign(n.name, &macro{tag: n})
	}
	return nil
}

// capture renders nodes to a text of its own.
func (r *rendering) capture(body []node) (string, error) {
	outer := r.out
	r.out = &strings.Builder{}
	defer func() { r.out = outer }()
	err := r.nodes(body)
	return r.out.String(), err
}

// assign sets a name where it exists, else in the innermost scope.
func (r *rendering) assign(name string, value any) {
	for _, scope := range slices.Backward(r.scopes) {
		if _, ok := scope[name]; ok {
			scope[name] = value
			return
		}
	}
	r.scopes[len(r.scopes)-1][name] = value
}

func (r *rendering) lookup(name string) any {
	for _, scope := range slices.Backward(r.scopes) {
		if value, ok := scope[name]; ok {
			return value
		}
	}
	if value, ok := r.globals[name]; ok {
		return value
	}
	return undefined
}

func (r *rendering) set(n *setTag) error {
	var value any
	var err error
	if n.value == nil {
		value, err = r.capture(n.body)
	} else {
		value, err = r.value(n.value)
	}
	if err != nil {
		return err
	}
	for _, name := range n.names {
		r.assign(name, value)
	}
	return nil
}

func (r *rendering) loop(n *forTag) error {
	over, err := r.value(n.over)
	if err != nil {
		return err
	}
	var items []any
	switch over := over.(type) {
	case []any:
		items = over
	case Object:
		for _, f := range over {
			items = append(items, []any{f.Name, f.Value})
		}
	case string:
		for _, c := range over {
			items = append(items, string(c))
		}
	}
	if err := r.spend(n.at, 1+len(items)); err != nil {
		return err
	}
	if len(items) == 0 {
		return r.nodes(n.orElse)
	}
	r.scopes = append(r.scopes, map[string]any{})
	defer func() { r.scopes = r.scopes[:len(r.scopes)-1] }()
	for i, item := range items {
		r.iteration(n, i, len(items), item)
		if err := r.nodes(n.body); err != nil {
			return err
		}
	}
	return nil
}

// iteration puts the names of one turn of a loop into its scope.
func (r *rendering) iteration(n *forTag, i, length int, item any) {
	scope := map[string]any{"loop": Object{
		{"index", float64(i + 1)},
		{"index0", float64(i)},
		{"revindex", float64(length - i)},
		{"revindex0", float64(length - i - 1)},
		{"first", i == 0},
		{"last", i == length-1},
		{"length", float64(length)},
	}}
	if len(n.names) == 1 {
		scope[n.names[0]] = item
	} else {
		parts, _ := item.([]any)
		for j, name := range n.names {
			scope[name] = undefined
			if j < len(parts) {
				scope[name] = parts[j]
			}
		}
	}
	r.scopes[len(r.scopes)-1] = scope
}

// macro is a macro as a value.
type macro struct{ tag *macroTag }

// expand renders a macro with its arguments. It sees what stands outside, and nothing of what called it.
func (r *rendering) expand(m *macro, c *callExpr) (any, error) {
	if r.depth++; r.depth > maxNesting {
		return nil, r.fault(c.at, "macros are nested more than %d deep: `%s` may call itself", maxNesting, m.tag.name)
	}
	defer func() { r.depth-- }()
	scope := map[string]any{}
	for i, param := range m.tag.params {
		value, err := r.argument(param, i, c)
		if err != nil {
			return nil, err
		}
		scope[param.name] = value
	}
	scopes := r.scopes
	r.scopes = []map[string]any{scopes[0], scope}
	text, err := r.capture(m.tag.body)
	r.scopes = scopes
	return text, err
}

func (r *rendering) argument(param parameter, i int, c *callExpr) (any, error) {
	for _, a := range c.named {
		if a.name == param.name {
			return r.value(a.value)
		}
	}
	switch {
	case i < len(c.args):
		return r.value(c.args[i])
	case param.value != nil:
		return r.value(param.value)
	}
	return undefined, nil
}
