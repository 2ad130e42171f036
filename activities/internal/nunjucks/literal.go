package nunjucks

import (
	"slices"
	"strconv"
	"strings"
)

func (p *parser) operand() (expr, error) {
	p.space()
	at := p.pos
	switch rest := p.src[p.pos:]; {
	case rest == "":
		return nil, p.fault(at, "the tag is never closed")
	case rest[0] == '"' || rest[0] == '\'':
		text, err := p.quoted()
		return &constExpr{text}, err
	case rest[0] >= '0' && rest[0] <= '9':
		return p.number()
	case rest[0] == '(':
		return p.group()
	case rest[0] == '[':
		p.pos++
		items, err := p.items("]")
		return &listExpr{items}, err
	case rest[0] == '{':
		return p.dict()
	case strings.HasPrefix(rest, "r/"):
		return nil, p.fault(at, "regular expressions are not supported in templates: use the assertion regex")
	}
	switch name := p.name(); name {
	case "":
		return nil, p.fault(at, "a value is expected instead of %s", p.ahead())
	case "true", "True", "false", "False":
		return &constExpr{name[0]|0x20 == 't'}, nil
	case "none", "null", "None":
		return &constExpr{nil}, nil
	default:
		if slices.Contains(reserved, name) {
			return nil, p.fault(at, "a value is expected instead of `%s`", name)
		}
		return &nameExpr{at: at, name: name}, nil
	}
}

func (p *parser) group() (expr, error) {
	p.pos++
	items, err := p.items(")")
	if err != nil || len(items) != 1 {
		return &listExpr{items}, err
	}
	return items[0], nil
}

func (p *parser) items(closing string) ([]expr, error) {
	var items []expr
	for p.space(); !p.take(closing); p.space() {
		item, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		if p.space(); !p.take(",") && !strings.HasPrefix(p.src[p.pos:], closing) {
			return nil, p.fault(p.pos, "a comma or %s is expected instead of %s", closing, p.ahead())
		}
	}
	return items, nil
}

func (p *parser) dict() (expr, error) {
	d := &dictExpr{}
	p.pos++
	for p.space(); !p.take("}"); p.space() {
		from := p.pos
		var key expr = &constExpr{p.name()}
		if p.pos == from {
			var err error
			if key, err = p.operand(); err != nil {
				return nil, err
			}
		}
		if p.space(); !p.take(":") {
			return nil, p.fault(p.pos, "a colon is expected instead of %s", p.ahead())
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		d.keys, d.values = append(d.keys, key), append(d.values, value)
		if p.space(); !p.take(",") && !strings.HasPrefix(p.src[p.pos:], "}") {
			return nil, p.fault(p.pos, "a comma or } is expected instead of %s", p.ahead())
		}
	}
	return d, nil
}

var escapes = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", '0': "\x00"}

func (p *parser) quoted() (string, error) {
	at, quote := p.pos, p.src[p.pos]
	var b strings.Builder
	for i := at + 1; i < len(p.src); i++ {
		c := p.src[i]
		switch {
		case c == quote:
			p.pos = i + 1
			return b.String(), nil
		case c == '\\' && i+1 < len(p.src):
			i++
			if text, ok := escapes[p.src[i]]; ok {
				b.WriteString(text)
			} else {
				b.WriteByte(p.src[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", p.fault(at, "the text is never closed: add %c", quote)
}

func (p *parser) number() (expr, error) {
	at := p.pos
	for p.pos < len(p.src) && (p.src[p.pos] >= '0' && p.src[p.pos] <= '9' || p.src[p.pos] == '.') {
		p.pos++
	}
	f, err := strconv.ParseFloat(p.src[at:p.pos], 64)
	if err != nil {
		return nil, p.fault(at, "`%s` is no number", clip(p.src[at:p.pos]))
	}
	return &constExpr{f}, nil
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
