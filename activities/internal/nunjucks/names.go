package nunjucks

// names collects the names that a template reads, and those that it makes itself.
type names struct{ read, made map[string]bool }

func (s *names) nodes(list []node) {
	for _, n := range list {
		switch n := n.(type) {
		case *output:
			s.expr(n.value)
		case *ifTag:
			s.expr(n.cond)
			s.nodes(n.body)
			s.nodes(n.orElse)
		case *forTag:
			s.expr(n.over)
			s.make(n.names...)
			s.nodes(n.body)
			s.nodes(n.orElse)
		case *setTag:
			s.expr(n.value)
			s.make(n.names...)
			s.nodes(n.body)
		case *filterTag:
			s.expr(n.filter)
			s.nodes(n.body)
		case *macroTag:
			s.make(n.name)
			for _, p := range n.params {
				s.make(p.name)
				s.expr(p.value)
			}
			s.nodes(n.body)
		}
	}
}

func (s *names) make(list ...string) {
	for _, name := range list {
		s.made[name] = true
	}
}

func (s *names) exprs(list []expr) {
	for _, e := range list {
		s.expr(e)
	}
}

func (s *names) named(list []argument) {
	for _, a := range list {
		s.expr(a.value)
	}
}

func (s *names) expr(e expr) {
	switch e := e.(type) {
	case *nameExpr:
		s.read[e.name] = true
	case *memberExpr:
		s.exprs([]expr{e.target, e.key})
	case *callExpr:
		s.expr(e.target)
		s.exprs(e.args)
		s.named(e.named)
	case *filterExpr:
		s.expr(e.target)
		s.exprs(e.args)
		s.named(e.named)
	case *testExpr:
		s.expr(e.target)
		s.exprs(e.args)
	case *unaryExpr:
		s.expr(e.value)
	case *binaryExpr:
		s.exprs([]expr{e.a, e.b})
	case *condExpr:
		s.exprs([]expr{e.cond, e.then, e.orElse})
	case *listExpr:
		s.exprs(e.items)
	case *dictExpr:
		s.exprs(e.keys)
		s.exprs(e.values)
	}
}
