package dialect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sqlc-dev/marino/ast"
	"github.com/sqlc-dev/marino/parser"

	"github.com/tenuto-dev/tenuto/schemas"
)

// mysql reads MySQL by the grammar of TiDB, less the one thing of another database that TiDB took into expressions, ILIKE.
func mysql(_ context.Context, text string) (*Uses, error) {
	if deepest := brackets(text); deepest > maxBrackets {
		return nil, schemas.Errorf(schemas.Invalid, "SQL whose brackets are nested at most %d deep is read, and these are %d deep", maxBrackets, deepest)
	}
	statements, _, err := parser.New().Parse(text, "", "")
	if err != nil || len(statements) == 0 {
		return nil, nil //nolint:nilerr,nilnil // what cannot be parsed is not of the dialect
	}
	w := &mysqlWalk{gatherer: gather(), text: text}
	for _, statement := range statements {
		w.statement(statement)
	}
	if w.foreign {
		return nil, nil //nolint:nilnil // as above
	}
	return w.uses(), nil
}

// mysqlWalk visits the nodes of statements.
type mysqlWalk struct {
	*gatherer
	text    string
	kind    string                    // of the statement, for tables outside of queries
	targets map[*ast.TableName]string // tables that are written, and how
	foreign bool
}

func (w *mysqlWalk) statement(s ast.StmtNode) {
	w.kind, w.targets = verb(strings.TrimPrefix(fmt.Sprintf("%T", s), "*ast.")), map[*ast.TableName]string{}
	before := len(w.tables)
	s.Accept(w)
	switch s.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt, *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt:
	default:
		if len(w.tables) == before {
			w.other(w.kind)
		}
	}
}

// Enter is called before the children of a node are visited; skip leaves them out.
func (w *mysqlWalk) Enter(n ast.Node) (_ ast.Node, skip bool) {
	switch n := n.(type) {
	case *ast.SelectStmt:
		w.beginSelect(n)
	case *ast.SetOprStmt:
		w.enter(selection{union: true})
		w.with(n.With)
		n.With = nil
	case *ast.SetOprSelectList:
		w.enter(selection{union: true})
		w.with(n.With)
		n.With = nil
	case *ast.InsertStmt:
		w.enter(selection{})
		w.insert(n)
	case *ast.UpdateStmt:
		w.enter(selection{})
		w.with(n.With)
		n.With = nil
		w.update(n)
	case *ast.DeleteStmt:
		w.enter(selection{})
		w.with(n.With)
		n.With = nil
		w.remove(n)
	case *ast.GroupByClause, *ast.HavingClause, *ast.OrderByClause:
		w.tail(true)
	case *ast.TableSource:
		return n, w.source(n)
	case *ast.TableName:
		w.table(w.kind, n.Schema.O, n.Name.O, "")
		return n, true
	case *ast.DeleteTableList, *ast.ValuesExpr:
		return n, true
	default:
		w.expression(n)
	}
	return n, false
}

// Leave is called when the children of a node have been visited.
func (w *mysqlWalk) Leave(n ast.Node) (_ ast.Node, ok bool) {
	switch n.(type) {
	case *ast.SelectStmt, *ast.SetOprStmt, *ast.SetOprSelectList, *ast.InsertStmt, *ast.UpdateStmt, *ast.DeleteStmt:
		w.leave()
	case *ast.GroupByClause, *ast.HavingClause, *ast.OrderByClause:
		w.tail(false)
	}
	return n, true
}

func (w *mysqlWalk) expression(n ast.Node) {
	switch n := n.(type) {
	case *ast.SelectField:
		if n.WildCard != nil {
			w.column("select", n.WildCard.Table.O, every)
		}
	case *ast.ColumnNameExpr:
		w.column("select", n.Name.Table.O, n.Name.Name.O)
	case *ast.Assignment:
		w.column("update", n.Column.Table.O, n.Column.Name.O)
	case *ast.PatternLikeOrIlikeExpr:
		w.foreign = w.foreign || !n.IsLike
	}
}

func (w *mysqlWalk) beginSelect(n *ast.SelectStmt) {
	var outputs []string
	if n.Fields != nil {
		for _, field := range n.Fields.Fields {
			outputs = append(outputs, field.AsName.L)
		}
		if len(n.Fields.Fields) == 1 && n.From != nil {
			w.foreign = w.foreign || comma(w.text, n.Fields.Fields[0].Offset)
		}
	}
	w.enter(selection{outputs: outputs})
	w.with(n.With)
	n.With = nil
}

// with visits queries with names, each of which sees those before it, and itself if it is recursive. They are
// not to be visited again.
func (w *mysqlWalk) with(clause *ast.WithClause) {
	if clause == nil {
		return
	}
	for _, query := range clause.CTEs {
		if clause.IsRecursive {
			w.name(query.Name.O)
		}
		query.Query.Accept(w)
		if !clause.IsRecursive {
			w.name(query.Name.O)
		}
	}
}

// source adds what stands in FROM; it reports whether that is done with.
func (w *mysqlWalk) source(n *ast.TableSource) bool {
	table, isTable := n.Source.(*ast.TableName)
	if !isTable {
		w.query(n.AsName.O)
		return false
	}
	does := "select"
	if written := w.targets[table]; written != "" {
		does = written
	}
	w.table(does, table.Schema.O, table.Name.O, n.AsName.O)
	return true
}

func (w *mysqlWalk) insert(n *ast.InsertStmt) {
	does := "insert"
	if n.IsReplace {
		does = "replace"
	}
	for _, source := range sources(n.Table) {
		table, ok := source.Source.(*ast.TableName)
		if !ok {
			continue
		}
		w.targets[table] = does
		for _, column := range n.Columns {
			w.column(does, table.Name.O, column.Name.O)
		}
		if len(n.Columns) == 0 {
			w.column(does, table.Name.O, every)
		}
	}
}

// update marks the tables that are written: those that the assignments name, or all where one names none.
func (w *mysqlWalk) update(n *ast.UpdateStmt) {
	var named []string
	for _, set := range n.List {
		if set.Column.Table.L == "" {
			named = nil
			break
		}
		named = append(named, set.Column.Table.L)
	}
	w.mark(n.TableRefs, "update", named)
}

func (w *mysqlWalk) remove(n *ast.DeleteStmt) {
	var named []string
	if n.IsMultiTable && n.Tables != nil {
		for _, table := range n.Tables.Tables {
			named = append(named, table.Name.L)
		}
	}
	for _, table := range w.mark(n.TableRefs, "delete", named) {
		w.column("delete", table, every)
	}
}

// mark says how tables of a FROM are written, those that have one of the names, or all if there are none. It returns what they are called.
func (w *mysqlWalk) mark(from *ast.TableRefsClause, does string, named []string) (called []string) {
	for _, source := range sources(from) {
		table, ok := source.Source.(*ast.TableName)
		if !ok {
			continue
		}
		name := table.Name
		if source.AsName.L != "" {
			name = source.AsName
		}
		if len(named) == 0 || slices.Contains(named, name.L) || slices.Contains(named, table.Name.L) {
			w.targets[table] = does
			called = append(called, name.O)
		}
	}
	return called
}

// sources are the tables and queries of a FROM, joined or not.
func sources(from *ast.TableRefsClause) (found []*ast.TableSource) {
	if from == nil {
		return nil
	}
	left := []ast.ResultSetNode{from.TableRefs}
	for len(left) > 0 {
		node := left[len(left)-1]
		left = left[:len(left)-1]
		switch n := node.(type) {
		case *ast.Join:
			left = append(left, n.Right, n.Left)
		case *ast.TableSource:
			found = append(found, n)
		}
	}
	return found
}
