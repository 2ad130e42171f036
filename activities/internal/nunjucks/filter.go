package nunjucks

import (
	"maps"
	"slices"
	"strings"
)

// filterCall is what a filter gets: the arguments are as many as its parameters, undefined where none was given.
type filterCall struct {
	r    *rendering
	at   int
	args []any
}

func (c *filterCall) text(i int, otherwise string) string {
	if c.args[i] == undefined {
		return otherwise
	}
	return Text(c.args[i])
}

// count reads the first argument, a number of characters or elements.
func (c *filterCall) count(otherwise, most int) (int, error) {
	if c.args[0] == undefined {
		return otherwise, nil
	}
	f := number(c.args[0])
	if f != f || f < 0 || f > float64(most) {
		return 0, c.r.fault(c.at, "a number from 0 to %d is expected here, not `%s`", most, clip(Text(c.args[0])))
	}
	return int(f), nil
}

// grown checks the length of a text before it is made.
func (c *filterCall) grown(size int) error { return c.r.grown(c.at, size) }

func (r *rendering) grown(at, size int) error {
	if size > MaxOutput {
		return r.fault(at, "the text grows larger than %d MB: give it less", MaxOutput>>20)
	}
	return r.spend(at, 1+size/64)
}

type filter struct {
	params []string
	apply  func(c *filterCall, v any) (any, error)
}

// filters are those of Nunjucks, save random, urlize and striptags, with load, by which suites read JSON, and tojson, which is dump.
var filters = map[string]filter{
	"abs":         {nil, absolute},
	"batch":       {[]string{"size", "fill"}, batch},
	"capitalize":  {nil, textual(capitalize)},
	"center":      {[]string{"width"}, center},
	"d":           {[]string{"value", "boolean"}, orDefault},
	"default":     {[]string{"value", "boolean"}, orDefault},
	"dictsort":    {[]string{"case_sensitive", "by"}, dictSort},
	"dump":        {[]string{"spaces"}, dump},
	"e":           {nil, textual(htmlEscaper.Replace)},
	"escape":      {nil, textual(htmlEscaper.Replace)},
	"first":       {nil, first},
	"float":       {[]string{"default"}, toFloat},
	"forceescape": {nil, textual(htmlEscaper.Replace)},
	"groupby":     {[]string{"attr"}, groupBy},
	"indent":      {[]string{"width", "first"}, indent},
	"int":         {[]string{"default", "base"}, toInt},
	"join":        {[]string{"separator", "attr"}, join},
	"last":        {nil, last},
	"length":      {nil, length},
	"list":        {nil, list},
	"load":        {nil, load},
	"lower":       {nil, textual(strings.ToLower)},
	"nl2br":       {nil, replaced("\n", "<br />\n")},
	"reject":      {[]string{"test", "value"}, selected(false)},
	"rejectattr":  {[]string{"attr"}, selectedAttr(false)},
	"replace":     {[]string{"old", "new", "count"}, replace},
	"reverse":     {nil, reverse},
	"round":       {[]string{"precision", "method"}, round},
	"safe":        {nil, func(_ *filterCall, v any) (any, error) { return v, nil }},
	"select":      {[]string{"test", "value"}, selected(true)},
	"selectattr":  {[]string{"attr"}, selectedAttr(true)},
	"slice":       {[]string{"slices", "fill"}, slice},
	"sort":        {[]string{"reverse", "case_sensitive", "attribute"}, sorted},
	"string":      {nil, textual(func(s string) string { return s })},
	"sum":         {[]string{"attr", "start"}, sum},
	"title":       {nil, textual(title)},
	"tojson":      {[]string{"spaces"}, dump},
	"trim":        {nil, textual(strings.TrimSpace)},
	"truncate":    {[]string{"length", "killwords", "end"}, truncate},
	"upper":       {nil, textual(strings.ToUpper)},
	"urlencode":   {nil, urlEncode},
	"wordcount":   {nil, wordCount},
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// filter applies a filter to a value.
func (r *rendering) filter(e *filterExpr, v any) (any, error) {
	known := filters[e.name]
	c := &filterCall{r: r, at: e.at, args: make([]any, len(known.params))}
	for i := range c.args {
		c.args[i] = undefined
	}
	values, err := r.values(e.args)
	if err != nil {
		return nil, err
	}
	copy(c.args, values)
	for _, a := range e.named {
		if c.args[slices.Index(known.params, a.name)], err = r.value(a.value); err != nil {
			return nil, err
		}
	}
	if err := r.spend(e.at, weight(v)+weight(c.args)); err != nil {
		return nil, err
	}
	return known.apply(c, v)
}

// textual is a filter that makes a text from a text; nothing stays an empty text.
func textual(change func(string) string) func(*filterCall, any) (any, error) {
	return func(c *filterCall, v any) (any, error) {
		text := Text(v)
		if err := c.grown(6 * len(text)); err != nil { // what escaping makes of it at most
			return nil, err
		}
		return change(text), nil
	}
}

func replaced(old, with string) func(*filterCall, any) (any, error) {
	return func(c *filterCall, v any) (any, error) { return c.replace(Text(v), old, with, -1) }
}

func (c *filterCall) replace(text, old, with string, n int) (any, error) {
	times := strings.Count(text, old)
	if n >= 0 {
		times = min(times, n)
	}
	if err := c.grown(len(text) + times*max(0, len(with)-len(old))); err != nil {
		return nil, err
	}
	return strings.Replace(text, old, with, n), nil
}

func replace(c *filterCall, v any) (any, error) {
	n := -1
	if c.args[2] != undefined {
		n = int(max(-1, min(number(c.args[2]), maxSteps)))
	}
	return c.replace(Text(v), c.text(0, ""), c.text(1, ""), n)
}

func (r *rendering) join(at int, items []any, separator string) (any, error) {
	size := 0
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = Text(item)
		size += len(parts[i]) + len(separator)
	}
	if err := r.grown(at, size); err != nil {
		return nil, err
	}
	return strings.Join(parts, separator), nil
}

func join(c *filterCall, v any) (any, error) {
	items := elements(v)
	if c.args[1] != undefined {
		items = slices.Clone(items)
		for i, item := range items {
			items[i] = attribute(item, Text(c.args[1]))
		}
	}
	return c.r.join(c.at, items, c.text(0, ""))
}

// elements are those of a list, the characters of a text, the values of an object.
func elements(v any) []any {
	var out []any
	switch v := v.(type) {
	case []any:
		return v
	case string:
		for _, c := range v {
			out = append(out, string(c))
		}
	case Object:
		for _, f := range v {
			out = append(out, f.Value)
		}
	}
	return out
}

// attribute looks up a path such as a.b.
func attribute(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		v = member(v, name)
	}
	return v
}

func orDefault(c *filterCall, v any) (any, error) {
	if v == undefined || truthy(c.args[1]) && !truthy(v) {
		return c.args[0], nil
	}
	return v, nil
}

func dump(c *filterCall, v any) (any, error) {
	spaces := c.args[0]
	pad := ""
	switch s := spaces.(type) {
	case string:
		pad = s
	case float64:
		pad = strings.Repeat(" ", int(max(0, min(s, 10))))
	}
	if v == undefined {
		return "", nil
	}
	data, err := marshal(v)
	if err != nil {
		return nil, c.r.fault(c.at, "this value has no JSON form")
	}
	text := string(data)
	if len(pad) > 10 {
		pad = pad[:10]
	}
	if pad != "" {
		text = pretty(text, pad)
	}
	return text, c.grown(len(text))
}

// load reads a JSON text.
func load(c *filterCall, v any) (any, error) {
	text, ok := v.(string)
	if !ok {
		return v, nil // it is a value already
	}
	value, err := ParseJSON(text)
	if err != nil {
		return nil, c.r.fault(c.at, "`load` reads JSON, and this is none: %s", clip(text))
	}
	return value, nil
}
