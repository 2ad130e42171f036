package nunjucks

import (
	"slices"
	"strings"
)

// node is a piece of a template: text, *output or one of the tags below.
type node any

type output struct {
	value expr
	at    int
}

type ifTag struct {
	at     int
	cond   expr
	body   []node
	orElse []node // of which the first may be the next condition
}

type forTag struct {
	at     int
	names  []string
	over   expr
	body   []node
	orElse []node
}

type setTag struct {
	at    int
	names []string
	value expr   // or
	body  []node // what they render to
}

type filterTag struct {
	filter *filterExpr // its target is empty
	body   []node
}

type macroTag struct {
	at     int
	name   string
	params []parameter
	body   []node
}

type parameter struct {
	name  string
	value expr // nil for a parameter without default
}

// parser reads a template from left to right.
type parser struct {
	t         *Template
	src       string
	pos       int
	deep      int
	trim      bool   // the white space that follows belongs to a tag with a hyphen
	closing   string // the tag that ended the last nodes: else, endif and so on
	closingAt int
}

func (p *parser) fault(at int, format string, args ...any) error {
	return p.t.fault(at, format, args...)
}

// nodes reads up to a tag that the caller knows: it stands in closing, and its name is read.
func (p *parser) nodes() ([]node, error) {
	var out []node
	p.closing = ""
	if p.deep++; p.deep > maxNesting {
		return nil, p.fault(p.pos, "tags are nested more than %d deep: write it flatter", maxNesting)
	}
	defer func() { p.deep-- }()
	for p.pos < len(p.src) {
		text, opening := p.text()
		if text != "" {
			out = append(out, text)
		}
		at := p.pos
		var piece node
		var err error
		switch opening {
		case "":
			return out, nil
		case "{#":
			err = p.comment()
		case "{{":
			piece, err = p.output()
		default:
			piece, err = p.tag(at)
		}
		if err != nil || p.closing != "" {
			return out, err
		}
		if piece != nil {
			out = append(out, piece)
		}
	}
	return out, nil
}

// text takes what stands before the next opening of a tag.
func (p *parser) text() (text, opening string) {
	rest := p.src[p.pos:]
	end, opening := len(rest), ""
	for i := 0; i+1 < len(rest); i++ {
		if rest[i] == '{' && (rest[i+1] == '{' || rest[i+1] == '%' || rest[i+1] == '#') {
			end, opening = i, rest[i:i+2]
			break
		}
	}
	text = rest[:end]
	p.pos += end
	if p.trim {
		text = strings.TrimLeft(text, " \t\r\n")
	}
	p.trim = false
	if strings.HasPrefix(rest[end:], opening+"-") && opening != "" {
		text = strings.TrimRight(text, " \t\r\n")
	}
	return text, opening
}

func (p *parser) comment() error {
	end := strings.Index(p.src[p.pos:], "#}")
	if end < 0 {
		return p.fault(p.pos, "the comment is never closed: end it with #}")
	}
	p.trim = strings.HasSuffix(p.src[:p.pos+end], "-")
	p.pos += end + 2
	return nil
}

func (p *parser) output() (node, error) {
	o := &output{at: p.pos}
	p.open()
	var err error
	if o.value, err = p.expression(); err != nil {
		return nil, err
	}
	return o, p.end("}}", o.at)
}

// open takes the opening of a tag.
func (p *parser) open() {
	p.pos += 2
	if p.pos < len(p.src) && p.src[p.pos] == '-' {
		p.pos++
	}
}

// end takes the end of a tag that began at a place.
func (p *parser) end(closing string, at int) error {
	p.space()
	p.trim = strings.HasPrefix(p.src[p.pos:], "-"+closing)
	if p.trim {
		p.pos++
	}
	if strings.HasPrefix(p.src[p.pos:], closing) {
		p.pos += len(closing)
		return nil
	}
	if p.pos >= len(p.src) || !strings.Contains(p.src[p.pos:], closing) {
		return p.fault(at, "the tag is never closed: end it with %s", closing)
	}
	return p.fault(p.pos, "%s is not expected here: end the tag with %s", p.ahead(), closing)
}

func (p *parser) ahead() string {
	for _, r := range p.src[min(p.pos, len(p.src)):] {
		return "`" + string(r) + "`"
	}
	return "the end"
}

// ends are the tags that end or divide others.
var ends = []string{
	"else", "elif", "elseif", "endif", "endfor", "endeach", "endall", "endset", "endfilter", "endmacro", "endraw", "endverbatim",
}

// tag reads one tag with all that belongs to it.
func (p *parser) tag(at int) (node, error) {
	p.open()
	p.space()
	name := p.name()
	if slices.Contains(ends, name) {
		p.closing, p.closingAt = name, at
		return nil, nil
	}
	switch name {
	case "raw", "verbatim":
		return p.raw(at, name)
	case "if", "ifAsync":
		return p.ifTag(at)
	case "for", "asyncEach", "asyncAll":
		return p.forTag(at, map[string]string{"for": "endfor", "asyncEach": "endeach", "asyncAll": "endall"}[name])
	case "set":
		return p.setTag(at)
	case "filter":
		return p.filterTag(at)
	case "macro":
		return p.macroTag(at)
	case "include", "import", "from", "extends", "block":
		return nil, p.fault(at, "templates read no other files, so there is no {%% %s %%}: write the text here", name)
	}
	return nil, p.fault(at, "there is no tag `%s`: use if, for, set, filter, macro, raw or a comment", name)
}

// until reads nodes up to one of the closing tags.
func (p *parser) until(at int, names ...string) ([]node, error) {
	body, err := p.nodes()
	if err != nil {
		return nil, err
	}
	if p.closing == "" {
		return nil, p.fault(at, "the tag is never ended: add {%% %s %%}", names[len(names)-1])
	}
	if !slices.Contains(names, p.closing) {
		return nil, p.fault(p.closingAt, "{%% %s %%} is not expected here: first end the tag before with {%% %s %%}", p.closing, names[len(names)-1])
	}
	return body, nil
}

func (p *parser) raw(at int, name string) (node, error) {
	if err := p.end("%}", at); err != nil {
		return nil, err
	}
	from, deep := p.pos, 1
	for search := p.pos; ; {
		i := strings.Index(p.src[search:], "{%")
		if i < 0 {
			return nil, p.fault(at, "the tag is never ended: add {%% end%s %%}", name)
		}
		p.pos = search + i
		to := p.pos
		p.open()
		p.space()
		switch p.name() {
		case name:
			deep++
		case "end" + name:
			deep--
		}
		if deep == 0 {
			return p.src[from:to], p.end("%}", to)
		}
		search = to + 2
	}
}

func (p *parser) ifTag(at int) (node, error) {
	tag := &ifTag{at: at}
	var err error
	if tag.cond, err = p.expression(); err != nil {
		return nil, err
	}
	if err = p.end("%}", at); err != nil {
		return nil, err
	}
	if tag.body, err = p.until(at, "else", "elif", "elseif", "endif"); err != nil {
		return nil, err
	}
	return tag, p.orElse(at, &tag.orElse)
}

// orElse reads what follows the first part of an if.
func (p *parser) orElse(at int, into *[]node) (err error) {
	closing, closingAt := p.closing, p.closingAt
	p.closing = ""
	switch closing {
	case "elif", "elseif":
		if p.deep++; p.deep > maxNesting {
			return p.fault(closingAt, "there are more than %d conditions in a row: write fewer", maxNesting)
		}
		defer func() { p.deep-- }()
		next, err := p.ifTag(closingAt)
		*into = []node{next}
		return err
	case "else":
		if err = p.end("%}", closingAt); err != nil {
			return err
		}
		if *into, err = p.until(at, "endif"); err != nil {
			return err
		}
		closingAt, p.closing = p.closingAt, ""
	}
	return p.end("%}", closingAt)
}

func (p *parser) forTag(at int, end string) (node, error) {
	tag := &forTag{at: at}
	var err error
	if tag.names, err = p.nameList(); err != nil {
		return nil, err
	}
	if p.space(); p.name() != "in" {
		return nil, p.fault(at, "write {%% for item in list %%}")
	}
	if tag.over, err = p.expression(); err != nil {
		return nil, err
	}
	if err = p.end("%}", at); err != nil {
		return nil, err
	}
	if tag.body, err = p.until(at, "else", end); err != nil {
		return nil, err
	}
	if p.closing == "else" {
		if err = p.end("%}", p.closingAt); err != nil {
			return nil, err
		}
		if tag.orElse, err = p.until(at, end); err != nil {
			return nil, err
		}
	}
	p.closing = ""
	return tag, p.end("%}", p.closingAt)
}

func (p *parser) nameList() ([]string, error) {
	var names []string
	for {
		p.space()
		at := p.pos
		name := p.name()
		if name == "" || slices.Contains(reserved, name) {
			return nil, p.fault(at, "a name is expected instead of %s", p.ahead())
		}
		names = append(names, name)
		if p.space(); !p.take(",") {
			return names, nil
		}
	}
}
