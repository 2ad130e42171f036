package nunjucks

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// value evaluates an expression.
func (r *rendering) value(e expr) (any, error) {
	if err := r.spend(0, 1); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case *constExpr:
		return e.value, nil
	case *nameExpr:
		return r.lookup(e.name), nil
	case *memberExpr:
		return r.member(e)
	case *callExpr:
		return r.call(e)
	case *filterExpr:
		target, err := r.value(e.target)
		if err != nil {
			return nil, err
		}
		return r.filter(e, target)
	case *testExpr:
		return r.test(e)
	case *unaryExpr:
		return r.unary(e)
	case *binaryExpr:
		return r.binary(e)
	case *condExpr:
		return r.choose(e)
	case *listExpr:
		return r.values(e.items)
	case *dictExpr:
		return r.dict(e)
	}
	return undefined, nil
}

func (r *rendering) values(list []expr) ([]any, error) {
	out := make([]any, len(list))
	for i, e := range list {
		var err error
		if out[i], err = r.value(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *rendering) dict(e *dictExpr) (any, error) {
	out := Object{}
	for i := range e.keys {
		key, err := r.value(e.keys[i])
		if err != nil {
			return nil, err
		}
		value, err := r.value(e.values[i])
		if err != nil {
			return nil, err
		}
		name := Text(key)
		if at := slices.IndexFunc(out, func(f Field) bool { return f.Name == name }); at >= 0 {
			out[at].Value = value
			continue
		}
		out = append(out, Field{name, value})
	}
	return out, nil
}

func (r *rendering) choose(e *condExpr) (any, error) {
	cond, err := r.value(e.cond)
	if err != nil {
		return nil, err
	}
	if truthy(cond) {
		return r.value(e.then)
	}
	if e.orElse == nil {
		return undefined, nil
	}
	return r.value(e.orElse)
}

func (r *rendering) member(e *memberExpr) (any, error) {
	target, err := r.value(e.target)
	if err != nil {
		return nil, err
	}
	key, err := r.value(e.key)
	if err != nil {
		return nil, err
	}
	if o, ok := target.(Object); ok {
		err = r.spend(e.at, len(o)/8)
	}
	return member(target, key), err
}

// member looks up a field, an element or a length; what does not exist is undefined.
func member(target, key any) any {
	name := Text(key)
	var length int
	switch target := target.(type) {
	case Object:
		if value, ok := target.Get(name); ok {
			return value
		}
		return undefined
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(target) {
			return target[i]
		}
		length = len(target)
	case string:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 {
			if runes := []rune(target); i < len(runes) {
				return string(runes[i])
			}
		}
		length = len([]rune(target))
	default:
		return undefined
	}
	if name == "length" {
		return float64(length)
	}
	return undefined
}

func (r *rendering) unary(e *unaryExpr) (any, error) {
	value, err := r.value(e.value)
	switch {
	case err != nil:
		return nil, err
	case e.op == "not":
		return !truthy(value), nil
	case e.op == "-":
		return -number(value), nil
	}
	return number(value), nil
}

func (r *rendering) binary(e *binaryExpr) (any, error) {
	a, err := r.value(e.a)
	if err != nil {
		return nil, err
	}
	if e.op == "or" && truthy(a) || e.op == "and" && !truthy(a) {
		return a, nil
	}
	b, err := r.value(e.b)
	if err != nil {
		return nil, err
	}
	if e.op == "or" || e.op == "and" {
		return b, nil
	}
	if err := r.spend(e.at, weight(a)+weight(b)); err != nil {
		return nil, err
	}
	switch e.op {
	case "~":
		return r.joined(e.at, Text(a), Text(b))
	case "+":
		_, x := a.(string)
		_, y := b.(string)
		if x || y || compound(a) || compound(b) {
			return r.joined(e.at, Text(a), Text(b))
		}
		return number(a) + number(b), nil
	case "in", "not in":
		found, err := r.contains(e.at, b, a)
		return found == (e.op == "in"), err
	}
	if value, ok := compare(e.op, a, b); ok {
		return value, nil
	}
	return arithmetic(e.op, number(a), number(b)), nil
}

func (r *rendering) joined(at int, a, b string) (any, error) {
	if len(a)+len(b) > MaxOutput {
		return nil, r.fault(at, "the text grows larger than %d MB: give it less", MaxOutput>>20)
	}
	return a + b, r.spend(at, 1+(len(a)+len(b))/64)
}

func (r *rendering) contains(at int, in, value any) (bool, error) {
	switch in := in.(type) {
	case string:
		return strings.Contains(in, Text(value)), nil
	case []any:
		return slices.ContainsFunc(in, func(item any) bool { return same(item, value, true) }), nil
	case Object:
		_, ok := in.Get(Text(value))
		return ok, nil
	}
	return false, r.fault(at, "`in` looks into a text, a list or an object, and this is none: test with `is defined` before")
}

func compare(op string, a, b any) (result, ok bool) {
	switch op {
	case "==", "===":
		return same(a, b, op == "==="), true
	case "!=", "!==":
		return !same(a, b, op == "!=="), true
	case "<":
		return less(a, b), true
	case ">":
		return less(b, a), true
	case "<=":
		return less(a, b) || same(a, b, false), true
	case ">=":
		return less(b, a) || same(a, b, false), true
	}
	return false, false
}

func arithmetic(op string, a, b float64) float64 {
	switch op {
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	case "//":
		return math.Floor(a / b)
	case "%":
		return math.Mod(a, b)
	}
	return math.Pow(a, b)
}

// call makes the calls that there are: range, macros, and some methods of texts and lists.
func (r *rendering) call(e *callExpr) (any, error) {
	name, ok := e.target.(*nameExpr)
	if !ok {
		return r.method(e)
	}
	if m, ok := r.lookup(name.name).(*macro); ok {
		return r.expand(m, e)
	}
	if name.name != "range" || r.lookup("range") != undefined {
		return nil, r.fault(e.at, "`%s` cannot be called: of functions there is range", clip(name.name))
	}
	args, err := r.values(e.args)
	if err != nil {
		return nil, err
	}
	return r.numbers(e.at, args)
}

func (r *rendering) numbers(at int, args []any) (any, error) {
	var from, to float64
	by := 1.0
	switch len(args) {
	case 1:
		to = number(args[0])
	case 2, 3:
		from, to = number(args[0]), number(args[1])
		if len(args) == 3 {
			by = number(args[2])
		}
	default:
		return nil, r.fault(at, "write range(stop), range(start, stop) or range(start, stop, step)")
	}
	count := math.Ceil((to - from) / by)
	if by == 0 || math.IsNaN(count) || count > maxSteps {
		return nil, r.fault(at, "the range has no end, or more than %d numbers", maxSteps)
	}
	if count < 0 {
		count = 0
	}
	out := make([]any, int(count))
	for i := range out {
		out[i] = from + float64(i)*by
	}
	return out, r.spend(at, 1+len(out))
}

func (r *rendering) method(e *callExpr) (any, error) {
	m, ok := e.target.(*memberExpr)
	if !ok {
		return nil, r.fault(e.at, "this value cannot be called")
	}
	target, err := r.value(m.target)
	if err != nil {
		return nil, err
	}
	key, err := r.value(m.key)
	if err != nil {
		return nil, err
	}
	args, err := r.values(e.args)
	if err != nil {
		return nil, err
	}
	if err := r.spend(e.at, weight(target)+weight(args)); err != nil {
		return nil, err
	}
	if list, ok := target.([]any); ok && Text(key) == "join" && len(args) <= 1 {
		return r.join(e.at, list, Text(append(args, ",")[0]))
	}
	value, known := method(target, Text(key), args)
	if !known {
		return nil, r.fault(e.at, "`%s` cannot be called here: use a filter", clip(Text(key)))
	}
	return value, nil
}

// method carries out the methods of JavaScript that prompts use.
func method(target any, name string, args []any) (value any, known bool) {
	arg := ""
	if len(args) > 0 {
		arg = Text(args[0])
	}
	if list, ok := target.([]any); ok && name == "includes" && len(args) == 1 {
		return slices.ContainsFunc(list, func(item any) bool { return same(item, args[0], true) }), true
	}
	text, ok := target.(string)
	if !ok {
		return nil, false
	}
	switch name {
	case "toUpperCase":
		return strings.ToUpper(text), true
	case "toLowerCase":
		return strings.ToLower(text), true
	case "trim":
		return strings.TrimSpace(text), true
	case "includes":
		return strings.Contains(text, arg), true
	case "startsWith":
		return strings.HasPrefix(text, arg), true
	case "endsWith":
		return strings.HasSuffix(text, arg), true
	case "split":
		var parts []any
		for part := range strings.SplitSeq(text, arg) {
			parts = append(parts, part)
		}
		return parts, len(args) == 1
	}
	return nil, false
}
