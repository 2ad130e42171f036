package nunjucks

func (p *parser) setTag(at int) (node, error) {
	tag := &setTag{at: at}
	var err error
	if tag.names, err = p.nameList(); err != nil {
		return nil, err
	}
	if p.space(); p.take("=") {
		if tag.value, err = p.expression(); err != nil {
			return nil, err
		}
		return tag, p.end("%}", at)
	}
	if err = p.end("%}", at); err != nil {
		return nil, err
	}
	if tag.body, err = p.until(at, "endset"); err != nil {
		return nil, err
	}
	p.closing = ""
	return tag, p.end("%}", p.closingAt)
}

func (p *parser) filterTag(at int) (node, error) {
	p.space()
	filter, err := p.filter(&constExpr{})
	if err != nil {
		return nil, err
	}
	if err = p.end("%}", at); err != nil {
		return nil, err
	}
	body, err := p.until(at, "endfilter")
	if err != nil {
		return nil, err
	}
	p.closing = ""
	return &filterTag{filter: filter, body: body}, p.end("%}", p.closingAt)
}

func (p *parser) macroTag(at int) (node, error) {
	p.space()
	tag := &macroTag{at: at}
	tag.name = p.name()
	if p.space(); tag.name == "" || !p.take("(") {
		return nil, p.fault(at, "write {%% macro name(parameter, other=1) %%}")
	}
	for p.space(); !p.take(")"); p.space() {
		param := parameter{name: p.name()}
		if param.name == "" {
			return nil, p.fault(p.pos, "a parameter is expected instead of %s", p.ahead())
		}
		if p.space(); p.take("=") {
			var err error
			if param.value, err = p.expression(); err != nil {
				return nil, err
			}
		}
		tag.params = append(tag.params, param)
		p.space()
		p.take(",")
	}
	err := p.end("%}", at)
	if err != nil {
		return nil, err
	}
	if tag.body, err = p.until(at, "endmacro"); err != nil {
		return nil, err
	}
	p.closing = ""
	return tag, p.end("%}", p.closingAt)
}
