package prompt

import "strings"

// scanner reads a body. Its position is a byte offset of the file.
type scanner struct {
	src     *source
	text    string // the file up to the end of the body
	pos     int
	deep    int
	escaped bool   // the tag that follows is text
	head    string // of the tag read last: its first name, as written
}

func parseBody(src *source, from, to int) (*program, error) {
	p := &scanner{src: src, text: src.text[:to], pos: from}
	body, end, err := p.program()
	if err != nil {
		return nil, err
	}
	switch {
	case end == nil:
	case end.kind == '/':
		return nil, src.fault(end.at, "{{/%s}} closes a block that is not open: remove it", end.name)
	default:
		return nil, src.fault(end.at, "{{else}} stands outside a block: remove it")
	}
	trimProgram(body, true)
	return body, nil
}

// boundary is a tag that ends a program: {{else}} (kind 'e'), {{^}} (also 'e') or {{/name}} (kind '/').
type boundary struct {
	kind  byte
	name  string    // of '/'
	chain *callExpr // of {{else if x}}
	local []string
	strip strip
	at    int
}

// program reads until the tag that ends it, which it returns; nil at the end of the body.
func (p *scanner) program() (*program, *boundary, error) {
	if p.deep++; p.deep > maxNesting {
		return nil, nil, p.src.fault(p.pos, "blocks are nested more than %d deep: move some into a partial", maxNesting)
	}
	defer func() { p.deep-- }()
	prog := &program{}
	for p.pos < len(p.text) {
		at := p.pos
		if text := p.literal(); text != "" {
			prog.pieces = append(prog.pieces, &literal{text: text, original: text, at: at})
		}
		if p.escaped || !p.peek("{{") {
			continue
		}
		piece, end, err := p.tag()
		if err != nil || end != nil {
			return prog, end, err
		}
		prog.pieces = append(prog.pieces, piece)
	}
	return prog, nil, nil
}

// literal reads text up to the next tag. A backslash before a tag makes it text, up to the tag after it; two backslashes are one,
// and the tag is a tag. It returns nothing where a tag stands, or a tag made text.
func (p *scanner) literal() string {
	start := p.pos
	if p.escaped {
		p.escaped = false
		end := p.index(start + len("{{"))
		p.pos = max(end-min(trailing(p.text[start:end]), 2), start+len("{{"))
		return p.text[start:p.pos]
	}
	p.pos = p.index(start)
	text := p.text[start:p.pos]
	if p.pos < len(p.text) && trailing(text) > 0 {
		p.escaped = trailing(text) == 1
		text = text[:len(text)-1]
	}
	return text
}

// index is where the next tag begins, or the end of the body.
func (p *scanner) index(from int) int {
	if i := strings.Index(p.text[from:], "{{"); i >= 0 {
		return from + i
	}
	return len(p.text)
}

// trailing counts the backslashes at the end of a text.
func trailing(text string) int { return len(text) - len(strings.TrimRight(text, `\`)) }

// tag reads one tag, and with {{#...}} all up to its {{/...}}.
func (p *scanner) tag() (piece any, end *boundary, err error) {
	at := p.pos
	p.pos += len("{{")
	if p.take("{{") {
		return nil, nil, p.src.fault(at, "raw blocks ({{{{...}}}}) are not supported: write \\{{ for a literal {{")
	}
	left := p.take("~")
	switch {
	case p.take("!"):
		return p.comment(at, left)
	case p.take("#>"), p.take("#*"), p.take("*"):
		return nil, nil, p.src.fault(at, "partial blocks and decorators are not supported: use {{> name}} with named arguments")
	case p.take("#"):
		piece, err = p.block(at, left, false)
	case p.take("^"):
		if p.skip(); p.peek("}}") || p.peek("~}}") {
			end, err = p.boundary(at, left)
			return nil, end, err
		}
		piece, err = p.block(at, left, true)
	case p.take("/"):
		end, err = p.closing(at, left)
	case p.take(">"):
		piece, err = p.include(at, left)
	case p.word("else"):
		end, err = p.boundary(at, left)
	default:
		piece, err = p.output(at, left)
	}
	return piece, end, err
}

// comment ends at the first }}, or at --}} where it began with --.
func (p *scanner) comment(at int, left bool) (any, *boundary, error) {
	closing := "}}"
	if p.peek("--") {
		closing = "--"
	}
	for i := p.pos; ; i++ {
		next := strings.Index(p.text[i:], closing)
		if next < 0 {
			return nil, nil, p.src.fault(at, "the comment is never closed: add }}, or --}} if it begins with --")
		}
		i += next
		end := i + len(closing)
		right := closing == "}}" && p.text[i-1] == '~'
		if closing == "--" {
			rest := strings.TrimPrefix(p.text[end:], "~")
			if !strings.HasPrefix(rest, "}}") {
				continue
			}
			right = len(rest) < len(p.text)-end
			end = len(p.text) - len(rest) + len("}}")
		}
		p.pos = end
		return &comment{strip: strip{left, right}}, nil, nil
	}
}

func (p *scanner) output(at int, left bool) (any, error) {
	closing := "}}"
	if p.take("{") {
		closing = "}}}"
	} else {
		p.take("&")
	}
	expr, err := p.call(at)
	if err != nil {
		return nil, err
	}
	if expr, err = p.asOutput(expr); err != nil {
		return nil, err
	}
	right, err := p.end(at, closing)
	return &output{expr: expr, strip: strip{left, right}}, err
}

func (p *scanner) include(at int, left bool) (any, error) {
	p.skip()
	name, err := p.partialName()
	if err != nil {
		return nil, err
	}
	in := &include{name: name, at: at, strip: strip{left: left}}
	call := &callExpr{at: at}
	if err := p.arguments(call); err != nil {
		return nil, err
	}
	if len(call.args) > 1 {
		return nil, p.src.fault(at, "the partial %s takes one value: give further ones by name, as in {{> %s name=value}}", name, name)
	}
	if len(call.args) == 1 {
		in.context = call.args[0]
	}
	in.hash = call.hash
	in.strip.right, err = p.end(at, "}}")
	return in, err
}

// partialName is a string, or a path taken as it is written.
func (p *scanner) partialName() (string, error) {
	at := p.pos
	if p.peek("(") {
		return "", p.src.fault(at, "the name of a partial must be written out, so that it can be checked: choose between partials with {{#if}}")
	}
	if p.peek(`"`) || p.peek("'") {
		return p.quoted()
	}
	for p.pos < len(p.text) && (nameByte(p.text[p.pos]) || strings.IndexByte("./@", p.text[p.pos]) >= 0) {
		p.pos++
	}
	if p.pos == at {
		return "", p.src.fault(at, "the name of a partial is missing: write {{> name}}")
	}
	return p.text[at:p.pos], nil
}

// boundary reads what stands behind else, or behind ^.
func (p *scanner) boundary(at int, left bool) (*boundary, error) {
	b := &boundary{kind: 'e', at: at, strip: strip{left: left}}
	if p.skip(); !p.peek("}}") && !p.peek("~}}") {
		expr, err := p.call(p.pos)
		if err != nil {
			return nil, err
		}
		if b.chain, err = p.asBlock(expr, p.pos); err != nil {
			return nil, err
		}
		if b.local, err = p.locals(); err != nil {
			return nil, err
		}
	}
	var err error
	b.strip.right, err = p.end(at, "}}")
	return b, err
}

func (p *scanner) closing(at int, left bool) (*boundary, error) {
	p.skip()
	start := p.pos
	expr, err := p.operand()
	if err != nil {
		return nil, err
	}
	if _, ok := expr.(*pathExpr); !ok {
		return nil, p.src.fault(at, "a closing tag names its block: write {{/name}}")
	}
	b := &boundary{kind: '/', name: p.text[start:p.pos], at: at, strip: strip{left: left}}
	b.strip.right, err = p.end(at, "}}")
	return b, err
}

// block reads an opening tag and all up to its closing tag. A block that opens with ^ has its sides exchanged.
func (p *scanner) block(at int, left, inverted bool) (any, error) {
	expr, err := p.call(at)
	if err != nil {
		return nil, err
	}
	name := p.head
	b := &block{at: at, open: strip{left: left}, inverted: inverted}
	if b.call, err = p.asBlock(expr, at); err != nil {
		return nil, err
	}
	if b.locals, err = p.locals(); err != nil {
		return nil, err
	}
	if b.open.right, err = p.end(at, "}}"); err != nil {
		return nil, err
	}
	first, end, err := p.program()
	if err != nil {
		return nil, err
	}
	b.body = first
	return b, p.sides(b, name, end)
}

// sides reads the else side, if there is one, and checks the closing tag.
func (p *scanner) sides(b *block, name string, end *boundary) (err error) {
	if end != nil && end.kind == 'e' {
		b.middle = end.strip
		if b.inverse, end, err = p.inverse(end); err != nil {
			return err
		}
	}
	switch {
	case end == nil:
		return p.src.fault(b.at, "the block {{#%s}} is never closed: add {{/%s}}", name, name)
	case end.kind == 'e':
		return p.src.fault(end.at, "the block {{#%s}} has a second {{else}}: remove one", name)
	case end.name != name:
		return p.src.fault(end.at, "{{/%s}} closes {{#%s}}: write {{/%s}}, or close the inner block first", end.name, name, name)
	}
	b.close = end.strip
	return nil
}

// inverse reads the side behind else. Behind "else if" it is one block that shares the closing tag of the outer one.
func (p *scanner) inverse(from *boundary) (*program, *boundary, error) {
	if from.chain == nil {
		return p.program()
	}
	p.deep++ // program refuses what is too deep
	defer func() { p.deep-- }()
	inner := &block{call: from.chain, locals: from.local, at: from.at, open: from.strip}
	body, end, err := p.program()
	if err != nil {
		return nil, nil, err
	}
	inner.body = body
	if end != nil && end.kind == 'e' {
		inner.middle = end.strip
		if inner.inverse, end, err = p.inverse(end); err != nil {
			return nil, nil, err
		}
	}
	if end != nil {
		inner.close = end.strip
	}
	return &program{pieces: []any{inner}, chained: true}, end, nil
}
