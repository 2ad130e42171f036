package nunjucks

import (
	"math"
	"strings"
)

// check is a test behind `is`.
type check struct {
	args  int
	holds func(v, arg any) bool
}

func compares(op string) check {
	return check{1, func(v, arg any) bool { holds, _ := compare(op, v, arg); return holds }}
}

func parity(rest float64) check {
	return check{0, func(v, _ any) bool { return math.Abs(math.Mod(number(v), 2)) == rest }}
}

// tests are those of Nunjucks, save those of Python's and JavaScript's kinds that templates cannot hold.
var tests = map[string]check{
	"defined":     {0, func(v, _ any) bool { return v != undefined }},
	"undefined":   {0, func(v, _ any) bool { return v == undefined }},
	"none":        {0, func(v, _ any) bool { return v == nil }},
	"null":        {0, func(v, _ any) bool { return v == nil }},
	"truthy":      {0, func(v, _ any) bool { return truthy(v) }},
	"falsy":       {0, func(v, _ any) bool { return !truthy(v) }},
	"string":      {0, func(v, _ any) bool { _, ok := v.(string); return ok }},
	"number":      {0, func(v, _ any) bool { _, ok := v.(float64); return ok }},
	"boolean":     {0, func(v, _ any) bool { _, ok := v.(bool); return ok }},
	"mapping":     {0, func(v, _ any) bool { _, ok := v.(Object); return ok }},
	"iterable":    {0, func(v, _ any) bool { _, text := v.(string); _, list := v.([]any); return text || list }},
	"lower":       {0, func(v, _ any) bool { text := Text(v); return text == strings.ToLower(text) }},
	"upper":       {0, func(v, _ any) bool { text := Text(v); return text == strings.ToUpper(text) }},
	"odd":         parity(1),
	"even":        parity(0),
	"divisibleby": {1, func(v, arg any) bool { return math.Mod(number(v), number(arg)) == 0 }},
	"equalto":     compares("==="),
	"eq":          compares("==="),
	"sameas":      compares("==="),
	"ne":          compares("!=="),
	"lt":          compares("<"),
	"lessthan":    compares("<"),
	"le":          compares("<="),
	"gt":          compares(">"),
	"greaterthan": compares(">"),
	"ge":          compares(">="),
}

func (r *rendering) test(e *testExpr) (any, error) {
	target, err := r.value(e.target)
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
	return tests[e.name].holds(target, append(args, undefined)[0]) != e.not, nil
}
