package nunjucks

import (
	"slices"
	"strings"
)

// expr is an expression: one of the kinds below.
type expr any

type constExpr struct{ value any }

type nameExpr struct {
	at   int
	name string
}

type memberExpr struct {
	at     int
	target expr
	key    expr
}

type callExpr struct {
	at     int
	target expr
	args   []expr
	named  []argument
}

type argument struct {
	name  string
	value expr
}

type filterExpr struct {
	at     int
	name   string
	target expr
	args   []expr
	named  []argument
}

type testExpr struct {
	at     int
	name   string
	not    bool
	target expr
	args   []expr
}

type unaryExpr struct {
	op    string // not, -, +
	value expr
}

type binaryExpr struct {
	at   int
	op   string
	a, b expr
}

type condExpr struct{ cond, then, orElse expr }

type listExpr struct{ items []expr }

type dictExpr struct{ keys, values []expr }

// reserved are words that are no names of variables.
var reserved = []string{"and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "null", "True", "False", "None"}

func (p *parser) space() {
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *parser) take(s string) bool {
	if !strings.HasPrefix(p.src[p.pos:], s) {
		return false
	}
	p.pos += len(s)
	return true
}

func nameByte(c byte, first bool) bool {
	letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == '$' || c >= 0x80
	return letter || !first && c >= '0' && c <= '9'
}

// name takes a name; empty if there is none.
func (p *parser) name() string {
	from := p.pos
	for p.pos < len(p.src) && nameByte(p.src[p.pos], p.pos == from) {
		p.pos++
	}
	return p.src[from:p.pos]
}

// word takes one of the words, if it comes next.
func (p *parser) word(words ...string) string {
	p.space()
	from := p.pos
	if name := p.name(); slices.Contains(words, name) {
		return name
	}
	p.pos = from
	return ""
}

// expression reads an expression with its inline condition.
func (p *parser) expression() (expr, error) {
	if p.deep++; p.deep > maxNesting {
		return nil, p.fault(p.pos, "expressions are nested more than %d deep: write it flatter", maxNesting)
	}
	defer func() { p.deep-- }()
	value, err := p.level(0)
	if err != nil || p.word("if") == "" {
		return value, err
	}
	c := &condExpr{then: value}
	if c.cond, err = p.level(0); err != nil {
		return nil, err
	}
	if p.word("else") != "" {
		c.orElse, err = p.expression()
	}
	return c, err
}

// levels are the operators that bind alike, the loosest first.
var levels = [][]string{
	{"or"},
	{"and"},
	{"not"},
	{"in", "not in"},
	{"is"},
	{"===", "!==", "==", "!=", "<=", ">=", "<", ">"},
	{"~"},
	{"+"},
	{"-"},
	{"*"},
	{"/"},
	{"//"},
	{"%"},
	{"**"},
}

// level reads operands of the level with the operators between them.
func (p *parser) level(n int) (expr, error) {
	if n == len(levels) {
		return p.unary(true)
	}
	if levels[n][0] == "not" {
		if p.word("not") == "" {
			return p.level(n + 1)
		}
		if p.deep++; p.deep > maxNesting {
			return nil, p.fault(p.pos, "there are more than %d words `not` in a row", maxNesting)
		}
		defer func() { p.deep-- }()
		value, err := p.level(n)
		return &unaryExpr{"not", value}, err
	}
	a, err := p.level(n + 1)
	for err == nil {
		p.space()
		at := p.pos
		op := p.operator(levels[n])
		if op == "" {
			return a, nil
		}
		if op == "is" {
			a, err = p.test(a, at)
			continue
		}
		b, fault := p.level(n + 1)
		a, err = &binaryExpr{at: at, op: op, a: a, b: b}, fault
	}
	return nil, err
}

// operator takes one of the operators, if it comes next.
func (p *parser) operator(ops []string) string {
	if nameByte(ops[0][0], true) {
		from := p.pos
		if len(ops) == 2 && p.word("not") != "" {
			if p.word("in") != "" {
				return "not in"
			}
			p.pos = from
			return ""
		}
		return p.word(ops[0])
	}
	rest := p.src[p.pos:]
	for _, op := range ops {
		after, ok := strings.CutPrefix(rest, op)
		double := len(op) == 1 && (op == "*" || op == "/") && strings.HasPrefix(after, op)
		ends := (op == "-" || op == "%") && (strings.HasPrefix(after, "}") || strings.HasPrefix(after, "%}"))
		if ok && !double && !ends {
			p.pos += len(op)
			return op
		}
	}
	return ""
}

func (p *parser) test(target expr, at int) (expr, error) {
	t := &testExpr{at: at, target: target, not: p.word("not") != ""}
	p.space()
	t.at = p.pos
	t.name = p.name()
	check, known := tests[t.name]
	if !known {
		return nil, p.fault(t.at, "there is no test `%s`: use %s", clip(t.name), strings.Join(sortedNames(tests), ", "))
	}
	p.space()
	if p.take("(") {
		args, named, err := p.arguments()
		if err != nil {
			return nil, err
		}
		if len(named) > 0 {
			return nil, p.fault(t.at, "a test has no named arguments: write is %s(value)", t.name)
		}
		t.args = args
	} else if check.args == 1 {
		value, err := p.unary(false)
		if err != nil {
			return nil, err
		}
		t.args = []expr{value}
	}
	if len(t.args) != check.args {
		return nil, p.fault(t.at, "the test `%s` has %d arguments", t.name, check.args)
	}
	return t, nil
}

func (p *parser) unary(filters bool) (expr, error) {
	p.space()
	at := p.pos
	for _, sign := range []string{"-", "+"} {
		if strings.HasPrefix(p.src[p.pos:], sign) {
			p.pos++
			if p.deep++; p.deep > maxNesting {
				return nil, p.fault(at, "there are more than %d signs in a row", maxNesting)
			}
			value, err := p.unary(false)
			p.deep--
			if err != nil {
				return nil, err
			}
			return p.filtered(&unaryExpr{sign, value}, filters)
		}
	}
	value, err := p.primary()
	if err != nil {
		return nil, err
	}
	return p.filtered(value, filters)
}

func (p *parser) filtered(value expr, filters bool) (expr, error) {
	for n := 0; filters; n++ {
		if p.space(); !p.take("|") {
			break
		}
		if n > maxNesting {
			return nil, p.fault(p.pos, "there are more than %d filters in a row", maxNesting)
		}
		p.space()
		filter, err := p.filter(value)
		if err != nil {
			return nil, err
		}
		value = filter
	}
	return value, nil
}

func (p *parser) filter(target expr) (*filterExpr, error) {
	f := &filterExpr{at: p.pos, target: target}
	f.name = p.name()
	known, ok := filters[f.name]
	if !ok {
		return nil, p.fault(f.at, "there is no filter `%s`: use %s", clip(f.name), strings.Join(sortedNames(filters), ", "))
	}
	if p.space(); p.take("(") {
		var err error
		if f.args, f.named, err = p.arguments(); err != nil {
			return nil, err
		}
	}
	for _, a := range f.named {
		if !slices.Contains(known.params, a.name) {
			return nil, p.fault(f.at, "the filter `%s` has no argument `%s`; it has: %s", f.name, clip(a.name), strings.Join(known.params, ", "))
		}
	}
	if len(f.args) > len(known.params) {
		return nil, p.fault(f.at, "the filter `%s` has at most %d arguments", f.name, len(known.params))
	}
	return f, nil
}

// arguments reads what stands in parentheses.
func (p *parser) arguments() (args []expr, named []argument, err error) {
	for p.space(); !p.take(")"); p.space() {
		from := p.pos
		name := p.name()
		p.space()
		if name != "" && p.take("=") && !strings.HasPrefix(p.src[p.pos:], "=") {
			value, err := p.expression()
			if err != nil {
				return nil, nil, err
			}
			named = append(named, argument{name, value})
		} else {
			p.pos = from
			value, err := p.expression()
			if err != nil {
				return nil, nil, err
			}
			args = append(args, value)
		}
		if p.space(); !p.take(",") && !strings.HasPrefix(p.src[p.pos:], ")") {
			return nil, nil, p.fault(p.pos, "a comma or ) is expected instead of %s", p.ahead())
		}
	}
	return args, named, nil
}

// primary reads a literal, a name or what stands in brackets, with the lookups and calls behind it.
func (p *parser) primary() (expr, error) {
	value, err := p.operand()
	for err == nil {
		p.space()
		at := p.pos
		switch {
		case p.take("."):
			p.space()
			name := p.name()
			if name == "" {
				return nil, p.fault(p.pos, "a name is expected after the dot instead of %s", p.ahead())
			}
			value = &memberExpr{at: at, target: value, key: &constExpr{name}}
		case p.take("["):
			var key expr
			if key, err = p.expression(); err != nil {
				return nil, err
			}
			if p.space(); !p.take("]") {
				return nil, p.fault(p.pos, "] is expected instead of %s", p.ahead())
			}
			value = &memberExpr{at: at, target: value, key: key}
		case p.take("("):
			c := &callExpr{at: at, target: value}
			c.args, c.named, err = p.arguments()
			value = c
		default:
			return value, nil
		}
	}
	return nil, err
}
