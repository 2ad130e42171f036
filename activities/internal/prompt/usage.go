package prompt

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Variables returns the paths of the input that the body uses, and the partials it inserts, in the order of the text: user.name, and
// items[].name for what is used of each item. A path that stands in several places is returned for each. What is not the input's,
// such as @state or a named argument of a partial, is left out, and so is a name that only the data decides (lookup). Partials that
// are not found are passed over; Partials names them.
func (p *Prompt) Variables(partials Partials) []Place {
	u := &usage{partials: partials, seen: map[string]bool{}}
	u.src = &p.source
	u.program(p.body, &origins{origin: origin{known: true}})
	return u.places
}

// Partials returns the names of the partials that the body itself inserts, each where it first stands.
func (p *Prompt) Partials() []Place {
	var places []Place
	seen := map[string]bool{}
	includes(p.body, func(in *include) {
		if !seen[in.name] {
			seen[in.name] = true
			line, column := p.source.place(in.at)
			places = append(places, Place{Name: in.name, File: p.source.file, Line: line, Column: column})
		}
	})
	return places
}

func includes(prog *program, visit func(*include)) {
	if prog == nil {
		return
	}
	for _, piece := range prog.pieces {
		switch piece := piece.(type) {
		case *include:
			visit(piece)
		case *block:
			includes(piece.body, visit)
			includes(piece.inverse, visit)
		}
	}
}

// origin is where in the input a value comes from.
type origin struct {
	path  string // "" for the input itself
	known bool
}

func (o origin) member(name string) origin {
	if o.path != "" {
		name = o.path + "." + name
	}
	return origin{name, o.known}
}

func (o origin) item() origin { return origin{o.path + "[]", o.known && o.path != ""} }

// origins is a scope, with origins for values.
type origins struct {
	origin
	parent *origins
	locals map[string]origin // names of a block, and named arguments of a partial
	sealed bool
}

// usage walks a body without rendering it.
type usage struct {
	places   []Place
	partials Partials
	seen     map[string]bool // partials with what they are given
	depth    int
	src      *source
}

func (u *usage) program(prog *program, s *origins) {
	if prog == nil {
		return
	}
	for _, piece := range prog.pieces {
		switch piece := piece.(type) {
		case *output:
			u.value(piece.expr, s)
		case *include:
			u.include(piece, s)
		case *block:
			u.block(piece, s)
		}
	}
}

// value records the paths of an expression and returns where its value comes from.
func (u *usage) value(expr any, s *origins) origin {
	switch e := expr.(type) {
	case *pathExpr:
		o := resolve(e, s)
		if o.known && o.path != "" {
			line, column := u.src.place(e.at)
			u.places = append(u.places, Place{Name: o.path, File: u.src.file, Line: line, Column: column})
		}
		return o
	case *callExpr:
		var args []origin
		for _, arg := range e.args {
			args = append(args, u.value(arg, s))
		}
		for _, arg := range e.hash {
			u.value(arg.value, s)
		}
		if key, ok := lookupKey(e); ok {
			return args[0].member(key)
		}
	}
	return origin{}
}

func lookupKey(c *callExpr) (string, bool) {
	if c.name != "lookup" {
		return "", false
	}
	key, ok := c.args[1].(*constExpr)
	if !ok {
		return "", false
	}
	name, ok := key.value.(string)
	return name, ok
}

func resolve(p *pathExpr, s *origins) origin {
	for n := p.up; n > 0 && s != nil; n-- {
		s = s.parent
	}
	if s == nil {
		return origin{}
	}
	o, parts := s.origin, p.parts
	switch {
	case p.data && len(parts) > 0 && parts[0] == "root":
		for s.parent != nil {
			s = s.parent
		}
		o, parts = s.origin, parts[1:]
	case p.data:
		return origin{}
	case len(parts) > 0:
		if local, ok := s.local(parts[0], p.this || p.up > 0); ok {
			o, parts = local, parts[1:]
		}
	}
	for _, part := range parts {
		o = o.member(part)
	}
	return o
}

// local finds a name that is not the value's own. Of the scope itself only named arguments are part of the value.
func (s *origins) local(name string, own bool) (origin, bool) {
	for ; s != nil && (!own || s.sealed); s = s.parent {
		if o, ok := s.locals[name]; ok {
			return o, true
		}
		if s.sealed {
			break
		}
	}
	return origin{}, false
}

func (u *usage) block(b *block, s *origins) {
	var first origin
	for i, arg := range b.call.args {
		if o := u.value(arg, s); i == 0 {
			first = o
		}
	}
	inner := s
	switch b.call.name {
	case "each":
		inner = &origins{origin: first.item(), parent: s, locals: b.origins(first.item())}
	case "with", "": // {{#name}} may also repeat; its names are then those of each item
		inner = &origins{origin: first, parent: s, locals: b.origins(first)}
	}
	yes, no := inner, s
	if b.inverted {
		yes, no = s, inner
	}
	u.program(b.body, yes)
	u.program(b.inverse, no)
}

// origins gives the names of a block where they come from; the second is an index or a key.
func (b *block) origins(first origin) map[string]origin {
	locals := map[string]origin{}
	for i, name := range b.locals {
		locals[name] = origin{}
		if i == 0 {
			locals[name] = first
		}
	}
	return locals
}

func (u *usage) include(in *include, s *origins) {
	inner := &origins{origin: s.origin, parent: s, locals: map[string]origin{}, sealed: true}
	if in.context != nil {
		inner.origin = u.value(in.context, s)
	}
	for _, a := range in.hash {
		inner.locals[a.name] = u.value(a.value, s)
	}
	partial, ok := u.partials.find(in.name)
	key := in.name + inner.key()
	if !ok || u.seen[key] || u.depth == MaxDepth {
		return
	}
	u.seen[key] = true
	src := u.src
	u.src = &partial.source
	u.depth++
	u.program(partial.body, inner)
	u.depth--
	u.src = src
}

// key tells apart what a partial is given.
func (s *origins) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\x00%v", s.origin)
	for _, name := range slices.Sorted(maps.Keys(s.locals)) {
		fmt.Fprintf(&b, "\x00%s=%v", name, s.locals[name])
	}
	return b.String()
}
