package expr

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// References lists what the expression reads, sorted and each once: a variable and the fields below it, such as steps, find, hits
// for steps.find.hits, steps["find"].?hits and has(steps.find.hits). A path ends where a field is computed or a list is indexed.
// Variables of the expression's own, as in hits.all(h, h.score > 0.5), are none.
func (p *Program) References() [][]string {
	r := reader{names: p.names}
	r.visit(p.ast.NativeRep().Expr())
	slices.SortFunc(r.paths, slices.Compare)
	return slices.CompactFunc(r.paths, slices.Equal)
}

// reader walks an expression. Names are its variables; own are those that loops around the current place declare.
type reader struct {
	names, own []string
	paths      [][]string
}

func (r *reader) visit(e ast.Expr) {
	if path, ok := r.path(e); ok {
		if len(path) > 0 {
			r.paths = append(r.paths, path)
		}
		return
	}
	switch e.Kind() {
	case ast.SelectKind:
		r.visit(e.AsSelect().Operand())
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			r.visit(call.Target())
		}
		r.visitAll(call.Args())
	case ast.ListKind:
		r.visitAll(e.AsList().Elements())
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.visitAll([]ast.Expr{entry.AsMapEntry().Key(), entry.AsMapEntry().Value()})
		}
	case ast.StructKind:
		for _, field := range e.AsStruct().Fields() {
			r.visit(field.AsStructField().Value())
		}
	case ast.ComprehensionKind:
		r.loop(e.AsComprehension())
	case ast.IdentKind, ast.LiteralKind, ast.UnspecifiedExprKind:
	}
}

func (r *reader) visitAll(expressions []ast.Expr) {
	for _, e := range expressions {
		r.visit(e)
	}
}

// loop visits what a macro such as all or cel.bind became.
func (r *reader) loop(c ast.ComprehensionExpr) {
	r.visitAll([]ast.Expr{c.IterRange(), c.AccuInit()})
	outer := len(r.own)
	r.own = append(r.own, c.AccuVar())
	r.visit(c.Result())
	r.own = append(r.own, c.IterVar(), c.IterVar2())
	r.visitAll([]ast.Expr{c.LoopCondition(), c.LoopStep()})
	r.own = r.own[:outer]
}

// path reads e as a variable and fields below it; it is empty for a variable of the expression's own and for the name of a type.
func (r *reader) path(e ast.Expr) ([]string, bool) {
	switch e.Kind() {
	case ast.IdentKind:
		if name := e.AsIdent(); slices.Contains(r.names, name) && !slices.Contains(r.own, name) {
			return []string{name}, true
		}
		return nil, true
	case ast.SelectKind:
		return r.below(e.AsSelect().Operand(), e.AsSelect().FieldName())
	case ast.CallKind:
		call := e.AsCall()
		switch call.FunctionName() {
		case operators.Index, operators.OptIndex, operators.OptSelect:
			if field, ok := literal(call.Args()[1]); ok {
				return r.below(call.Args()[0], field)
			}
		}
	}
	return nil, false
}

func (r *reader) below(operand ast.Expr, field string) ([]string, bool) {
	path, ok := r.path(operand)
	if len(path) > 0 {
		path = append(path, field)
	}
	return path, ok
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}
