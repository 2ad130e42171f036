package nunjucks

import (
	"slices"
	"strings"
)

func first(_ *filterCall, v any) (any, error) {
	if items := elements(v); len(items) > 0 {
		return items[0], nil
	}
	return undefined, nil
}

func last(_ *filterCall, v any) (any, error) {
	if items := elements(v); len(items) > 0 {
		return items[len(items)-1], nil
	}
	return undefined, nil
}

func length(_ *filterCall, v any) (any, error) {
	return float64(len(elements(v))), nil
}

// list makes a list; of an object one of its fields.
func list(_ *filterCall, v any) (any, error) {
	if o, ok := v.(Object); ok {
		var out []any
		for _, f := range o {
			out = append(out, Object{{"key", f.Name}, {"value", f.Value}})
		}
		return out, nil
	}
	return elements(v), nil
}

func reverse(_ *filterCall, v any) (any, error) {
	items := slices.Clone(elements(v))
	slices.Reverse(items)
	if _, ok := v.(string); !ok {
		return items, nil
	}
	var b strings.Builder
	for _, item := range items {
		b.WriteString(Text(item))
	}
	return b.String(), nil
}

func batch(c *filterCall, v any) (any, error) {
	size, err := c.count(1, maxSteps)
	if err != nil {
		return nil, err
	}
	var out []any
	for chunk := range slices.Chunk(elements(v), max(size, 1)) {
		row := slices.Clone(chunk)
		if err := c.r.spend(c.at, size); err != nil {
			return nil, err
		}
		for len(row) < size && c.args[1] != undefined {
			row = append(row, c.args[1])
		}
		out = append(out, row)
	}
	return out, nil
}

// slice cuts a list into as many lists as are asked for.
func slice(c *filterCall, v any) (any, error) {
	n, err := c.count(1, maxSteps)
	if err != nil {
		return nil, err
	}
	items := elements(v)
	if err := c.r.spend(c.at, n); err != nil || n == 0 {
		return []any{}, err
	}
	out := make([]any, n)
	from, size, more := 0, len(items)/n, len(items)%n
	for i := range out {
		to := from + size
		if i < more {
			to++
		}
		row := slices.Clone(items[from:to])
		if i >= more && more > 0 && c.args[1] != undefined {
			row = append(row, c.args[1])
		}
		out[i], from = row, to
	}
	return out, nil
}

func sorted(c *filterCall, v any) (any, error) {
	key := func(item any) any {
		if c.args[2] != undefined {
			item = attribute(item, Text(c.args[2]))
		}
		if text, ok := item.(string); ok && !truthy(c.args[1]) {
			return strings.ToLower(text)
		}
		return item
	}
	items := slices.Clone(elements(v))
	if err := c.r.spend(c.at, 8*len(items)); err != nil {
		return nil, err
	}
	slices.SortStableFunc(items, func(a, b any) int { return order(key(a), key(b), truthy(c.args[0])) })
	return items, nil
}

func order(a, b any, descending bool) int {
	if descending {
		a, b = b, a
	}
	switch {
	case less(a, b):
		return -1
	case less(b, a):
		return 1
	}
	return 0
}

func dictSort(c *filterCall, v any) (any, error) {
	o, ok := v.(Object)
	if !ok {
		return nil, c.r.fault(c.at, "`dictsort` sorts an object")
	}
	byValue := Text(c.args[1]) == "value"
	key := func(f Field) any {
		var k any = f.Name
		if byValue {
			k = f.Value
		}
		if text, ok := k.(string); ok && !truthy(c.args[0]) {
			return strings.ToLower(text)
		}
		return k
	}
	o = slices.Clone(o)
	slices.SortStableFunc(o, func(a, b Field) int { return order(key(a), key(b), false) })
	var out []any
	for _, f := range o {
		out = append(out, []any{f.Name, f.Value})
	}
	return out, nil
}

func groupBy(c *filterCall, v any) (any, error) {
	out, place := Object{}, map[string]int{}
	for _, item := range elements(v) {
		name := Text(attribute(item, c.text(0, "")))
		i, ok := place[name]
		if !ok {
			i = len(out)
			place[name] = i
			out = append(out, Field{name, []any{}})
		}
		group, _ := out[i].Value.([]any)
		out[i].Value = append(group, item)
	}
	return out, nil
}

func sum(c *filterCall, v any) (any, error) {
	total := 0.0
	if c.args[1] != undefined {
		total = number(c.args[1])
	}
	for _, item := range elements(v) {
		if c.args[0] != undefined {
			item = attribute(item, Text(c.args[0]))
		}
		total += number(item)
	}
	return total, nil
}

// selected keeps the items for which a test, or their own truth, is as wanted.
func selected(want bool) func(*filterCall, any) (any, error) {
	return func(c *filterCall, v any) (any, error) {
		out := []any{}
		name := c.text(0, "truthy")
		check, ok := tests[name]
		if !ok {
			return nil, c.r.fault(c.at, "there is no test `%s`: use %s", clip(name), strings.Join(sortedNames(tests), ", "))
		}
		for _, item := range elements(v) {
			if check.holds(item, c.args[1]) == want {
				out = append(out, item)
			}
		}
		return out, nil
	}
}

func selectedAttr(want bool) func(*filterCall, any) (any, error) {
	return func(c *filterCall, v any) (any, error) {
		out := []any{}
		for _, item := range elements(v) {
			if truthy(attribute(item, c.text(0, ""))) == want {
				out = append(out, item)
			}
		}
		return out, nil
	}
}
