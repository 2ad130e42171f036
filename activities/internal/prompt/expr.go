package prompt

import (
	"slices"
	"strconv"
	"strings"
)

func (p *scanner) skip() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *scanner) peek(s string) bool { return strings.HasPrefix(p.text[p.pos:], s) }

func (p *scanner) take(s string) bool {
	if !p.peek(s) {
		return false
	}
	p.pos += len(s)
	return true
}

// word takes a whole word, such as else, with the white space before it.
func (p *scanner) word(s string) bool {
	start := p.pos
	p.skip()
	if p.take(s) && (p.pos == len(p.text) || strings.IndexByte(" \t\r\n~}", p.text[p.pos]) >= 0) {
		return true
	}
	p.pos = start
	return false
}

// end takes the end of a tag and reports a tilde before it.
func (p *scanner) end(at int, closing string) (bool, error) {
	p.skip()
	if closing == "}}}" { // the tilde stands behind the third brace from the right
		if !p.take("}") {
			return false, p.src.fault(at, "the tag {{{ is not closed: end it with }}}")
		}
	}
	right := p.take("~")
	if p.take("}}") {
		return right, nil
	}
	if p.pos == len(p.text) || strings.IndexByte(p.text[p.pos:], '}') < 0 {
		return false, p.src.fault(at, "the tag is never closed: end it with %s", closing)
	}
	return false, p.src.fault(p.pos, "%s is not expected here: end the tag with %s", quoteFirst(p.text[p.pos:]), closing)
}

func quoteFirst(s string) string {
	for _, r := range s {
		return strconv.Quote(string(r))
	}
	return "nothing"
}

// nameByte reports bytes of names. Handlebars excludes white space and !"#%&'()*+,./;<=>@[\]^`{|}~.
func nameByte(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte("!\"#%&'()*+,./;<=>@[\\]^`{|}~", c) < 0
}

// call reads an expression with its arguments, if it has some.
func (p *scanner) call(at int) (any, error) {
	p.skip()
	at = max(at, p.pos)
	start := p.pos
	head, err := p.operand()
	if err != nil {
		return nil, err
	}
	name := p.text[start:p.pos]
	call := &callExpr{at: at}
	if err := p.arguments(call); err != nil {
		return nil, err
	}
	p.head = name
	if path, ok := head.(*pathExpr); ok && path.simple() != "" {
		if _, known := helpers[path.simple()]; known || len(call.args)+len(call.hash) > 0 {
			call.name = path.simple()
			return call, p.checkHelper(call)
		}
	}
	if len(call.args)+len(call.hash) > 0 {
		return nil, p.src.fault(at, "only a helper takes arguments: %s", known())
	}
	if c, ok := head.(*constExpr); ok {
		return nil, p.src.fault(at, "a tag holds a name, not the literal %v: write it as text", c.value)
	}
	return head, nil
}

func (p *scanner) checkHelper(call *callExpr) error {
	h, ok := helpers[call.name]
	if !ok {
		return p.src.fault(call.at, "there is no helper %q: %s", call.name, known())
	}
	if n := len(call.args); n < h.min || n > h.max {
		return p.src.fault(call.at, "write %s (an input named %s is {{this.%s}})", h.use, call.name, call.name)
	}
	for i, a := range call.hash {
		if !slices.Contains(h.named, a.name) {
			return p.src.fault(call.at, "the helper %s has no argument %s: write %s", call.name, a.name, h.use)
		}
		if slices.ContainsFunc(call.hash[:i], func(b argument) bool { return a.name == b.name }) {
			return p.src.fault(call.at, "the argument %s is given twice: remove one", a.name)
		}
	}
	return nil
}

// asOutput refuses block helpers in a plain tag.
func (p *scanner) asOutput(expr any) (any, error) {
	if call, ok := expr.(*callExpr); ok && helpers[call.name].kind == blockHelper {
		return nil, p.src.fault(call.at, "%s is a block: write %s", call.name, helpers[call.name].use)
	}
	return expr, nil
}

// asBlock makes a call out of what opens a block, and refuses helpers that are none.
func (p *scanner) asBlock(expr any, at int) (*callExpr, error) {
	call, ok := expr.(*callExpr)
	if !ok {
		return &callExpr{args: []any{expr}, at: at}, nil
	}
	if h := helpers[call.name]; h.kind != blockHelper {
		return nil, p.src.fault(at, "%s opens no block: write %s", call.name, h.use)
	}
	return call, nil
}

// arguments reads values and named values up to what cannot be one.
func (p *scanner) arguments(call *callExpr) error {
	for {
		if p.skip(); p.pos == len(p.text) || strings.IndexByte("}~)", p.text[p.pos]) >= 0 || p.peekLocals() {
			return nil
		}
		at := p.pos
		if name := p.hashName(); name != "" {
			value, err := p.operand()
			if err != nil {
				return err
			}
			call.hash = append(call.hash, argument{name, value})
			continue
		}
		if len(call.hash) > 0 {
			return p.src.fault(at, "a value stands behind named arguments: put it before them")
		}
		value, err := p.operand()
		if err != nil {
			return err
		}
		call.args = append(call.args, value)
	}
}

// hashName takes "name =" if that stands here.
func (p *scanner) hashName() string {
	start := p.pos
	for p.pos < len(p.text) && nameByte(p.text[p.pos]) {
		p.pos++
	}
	name := p.text[start:p.pos]
	p.skip()
	if name != "" && p.take("=") {
		p.skip()
		return name
	}
	p.pos = start
	return ""
}

func (p *scanner) peekLocals() bool {
	if !p.peek("as") {
		return false
	}
	rest := strings.TrimLeft(p.text[p.pos+2:], " \t\r\n")
	return len(rest) < len(p.text[p.pos+2:]) && strings.HasPrefix(rest, "|")
}

// locals reads "as |item index|".
func (p *scanner) locals() ([]string, error) {
	if p.skip(); !p.peekLocals() {
		return nil, nil
	}
	at := p.pos
	p.pos += len("as")
	p.skip()
	p.take("|")
	inside, _, found := strings.Cut(p.text[p.pos:], "|")
	names := strings.Fields(inside)
	if !found || len(names) == 0 || len(names) > 2 || strings.ContainsAny(inside, "{}") {
		return nil, p.src.fault(at, "names of a block stand between bars, one or two of them: as |item index|")
	}
	p.pos += len(inside) + 1
	return names, nil
}

// operand reads a literal, a path or an expression in parentheses.
func (p *scanner) operand() (any, error) {
	at := p.pos
	switch {
	case p.pos == len(p.text):
		return nil, p.src.fault(at, "the tag is never closed: end it with }}")
	case p.peek(`"`), p.peek("'"):
		text, err := p.quoted()
		return &constExpr{text}, err
	case p.peek("("):
		return p.parenthesis()
	}
	if number, ok := p.number(); ok {
		return &constExpr{number}, nil
	}
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	switch path.simple() {
	case "true", "false":
		return &constExpr{path.simple() == "true"}, nil
	case "null", "undefined":
		return &constExpr{nil}, nil
	}
	return path, nil
}

func (p *scanner) parenthesis() (any, error) {
	at := p.pos
	if p.deep++; p.deep > maxNesting {
		return nil, p.src.fault(at, "parentheses are nested more than %d deep", maxNesting)
	}
	defer func() { p.deep-- }()
	p.pos++
	expr, err := p.call(p.pos)
	if err != nil {
		return nil, err
	}
	call, ok := expr.(*callExpr)
	if !ok || helpers[call.name].kind != valueHelper {
		return nil, p.src.fault(at, "parentheses hold a helper that returns a value: lookup or json")
	}
	if p.skip(); !p.take(")") {
		return nil, p.src.fault(at, "the parenthesis is never closed: add )")
	}
	return call, nil
}

// quoted reads a string in single or double quotes, in which a backslash stands before the quote itself.
func (p *scanner) quoted() (string, error) {
	at, quote := p.pos, p.text[p.pos]
	for i := at + 1; i < len(p.text); i++ {
		if p.text[i] == quote && p.text[i-1] != '\\' {
			p.pos = i + 1
			return strings.ReplaceAll(p.text[at+1:i], `\`+string(quote), string(quote)), nil
		}
	}
	return "", p.src.fault(at, "the string is never closed: add %c", quote)
}

func (p *scanner) number() (any, bool) {
	end := p.pos
	for end < len(p.text) && (p.text[end] >= '0' && p.text[end] <= '9' || p.text[end] == '.' || p.text[end] == '-') {
		end++
	}
	if end < len(p.text) && strings.IndexByte("=~} \t\r\n)", p.text[end]) < 0 {
		return nil, false
	}
	text := p.text[p.pos:end]
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		p.pos = end
		return n, true
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.HasPrefix(text, ".") || strings.HasSuffix(text, ".") {
		return nil, false
	}
	p.pos = end
	return n, true
}

// path reads a.b, a/b, a.[b c], ../a, ./a, this.a, @a and @../a.
func (p *scanner) path() (*pathExpr, error) {
	path := &pathExpr{at: p.pos}
	path.data = p.take("@")
	for p.take("..") {
		if path.up++; path.up > maxNesting {
			return nil, p.src.fault(path.at, "the path has more than %d steps", maxNesting)
		}
		if !p.take("/") {
			return path, p.refuseName()
		}
	}
	if p.peek("this") && (p.pos+4 == len(p.text) || !nameByte(p.text[p.pos+4])) {
		p.pos += len("this")
		path.this = true
	} else if p.take(".") {
		path.this = true
	}
	if path.this && !p.take(".") && !p.take("/") {
		return path, p.refuseName()
	}
	for {
		name, err := p.segment()
		if err != nil {
			return nil, err
		}
		if path.parts = append(path.parts, name); len(path.parts) > maxNesting {
			return nil, p.src.fault(path.at, "the path has more than %d steps", maxNesting)
		}
		if !p.take(".") && !p.take("/") {
			return path, nil
		}
	}
}

// refuseName objects to a name that follows without a separator, as in ..name.
func (p *scanner) refuseName() error {
	if p.pos < len(p.text) && nameByte(p.text[p.pos]) {
		return p.src.fault(p.pos, "a separator is missing: write ../name, ./name or this.name")
	}
	return nil
}

func (p *scanner) segment() (string, error) {
	at := p.pos
	if p.take("[") {
		i := strings.IndexByte(p.text[p.pos:], ']')
		if i < 0 {
			return "", p.src.fault(at, "the bracket is never closed: add ]")
		}
		name := p.text[p.pos : p.pos+i]
		p.pos += i + 1
		return name, nil
	}
	for p.pos < len(p.text) && nameByte(p.text[p.pos]) {
		p.pos++
	}
	if p.pos == at {
		if at == len(p.text) {
			return "", p.src.fault(at, "the tag is never closed: end it with }}")
		}
		return "", p.src.fault(at, "a name is expected instead of %s", quoteFirst(p.text[at:]))
	}
	return p.text[at:p.pos], nil
}
