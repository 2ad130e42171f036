package prompt

// value evaluates an expression; at is where it stands, or 0.
func (r *rendering) value(expr any, s *scope) (value any, at int, err error) {
	switch e := expr.(type) {
	case *constExpr:
		return e.value, 0, nil
	case *pathExpr:
		return r.path(e, s), e.at, nil
	case *callExpr:
		value, err = r.call(e, s)
		return value, e.at, err
	}
	return nil, 0, nil
}

func (r *rendering) path(p *pathExpr, s *scope) any {
	s = s.up(p.up)
	parts := p.parts
	var value any
	switch {
	case s == nil:
		return nil
	case p.data:
		if len(parts) == 0 {
			return nil
		}
		value, parts = s.data(parts[0]), parts[1:]
	case !p.this && p.up == 0 && len(parts) > 0:
		if local, ok := s.local(parts[0]); ok {
			value, parts = local, parts[1:]
			break
		}
		value = s.value
	default:
		value = s.value
	}
	for _, part := range parts {
		value = member(value, part)
	}
	return value
}

// call evaluates a helper that returns a value.
func (r *rendering) call(c *callExpr, s *scope) (any, error) {
	first, _, err := r.value(c.args[0], s)
	if err != nil {
		return nil, err
	}
	if c.name == "lookup" {
		key, _, err := r.value(c.args[1], s)
		return member(first, inText(key)), err
	}
	indent, at, err := r.value(c.named("indent"), s)
	if err != nil {
		return nil, err
	}
	n, ok := indent.(int64)
	if indent != nil && (!ok || n < 0 || n > 10) {
		return nil, r.fault(max(at, c.at), "indent is a whole number from 0 to 10")
	}
	if err := r.spend(c.at, size(first)); err != nil {
		return nil, err
	}
	return inJSON(first, int(n)), nil
}

func (r *rendering) block(b *block, s *scope) error {
	if err := r.spend(b.at, 1); err != nil {
		return err
	}
	args := make([]any, len(b.call.args))
	for i, arg := range b.call.args {
		var err error
		if args[i], _, err = r.value(arg, s); err != nil {
			return err
		}
	}
	switch b.call.name {
	case "if", "unless":
		zero, _, err := r.value(b.call.named("includeZero"), s)
		if err != nil {
			return err
		}
		holds := truthy(args[0], truthy(zero, false)) == (b.call.name == "if")
		return r.program(b.side(holds), s)
	case "ifEquals":
		return r.program(b.side(equal(args[0], args[1])), s)
	case "unlessEquals":
		return r.program(b.side(!equal(args[0], args[1])), s)
	case "each":
		return r.each(b, args[0], s)
	case "with":
		if !truthy(args[0], true) {
			return r.program(b.side(false), s)
		}
		return r.program(b.side(true), &scope{value: args[0], parent: s, locals: b.bind(args[0], nil)})
	}
	return r.section(b, args[0], s)
}

// side is the program for a condition.
func (b *block) side(holds bool) *program {
	if holds != b.inverted {
		return b.body
	}
	return b.inverse
}

// bind gives the names of a block their values.
func (b *block) bind(values ...any) map[string]any {
	if len(b.locals) == 0 {
		return nil
	}
	locals := make(map[string]any, len(b.locals))
	for i, name := range b.locals {
		locals[name] = values[i]
	}
	return locals
}

// section is a block of a value, {{#items}}: it repeats for a list, and else stands once if the value does.
func (r *rendering) section(b *block, value any, s *scope) error {
	switch v := value.(type) {
	case []any:
		return r.each(b, v, s)
	case bool:
		return r.program(b.side(v), s)
	case nil:
		return r.program(b.side(false), s)
	}
	return r.program(b.side(true), &scope{value: value, parent: s, locals: b.bind(value, nil)})
}

func (r *rendering) each(b *block, value any, s *scope) error {
	prog := b.side(true)
	turns := 0
	turn := func(item, key any, i, n int) error {
		turns++
		if err := r.spend(b.at, 1); err != nil || prog == nil {
			return err
		}
		vars := map[string]any{"index": int64(i), "key": key, "first": i == 0, "last": i == n-1}
		return r.program(prog, &scope{value: item, parent: s, vars: vars, locals: b.bind(item, key)})
	}
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			if err := turn(item, int64(i), i, len(v)); err != nil {
				return err
			}
		}
	case map[string]any:
		if err := r.spend(b.at, len(v)); err != nil {
			return err
		}
		for i, key := range keys(v) {
			if err := turn(v[key], key, i, len(v)); err != nil {
				return err
			}
		}
	}
	if turns > 0 {
		return nil
	}
	return r.program(b.side(false), s)
}
