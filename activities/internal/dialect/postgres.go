package dialect

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/wasilibs/go-pgquery/parser"

	"github.com/tenuto-dev/tenuto/schemas"
)

// parsing holds the one place to parse PostgreSQL in. The parser is PostgreSQL's own, as WebAssembly; each further instance would take as long to
// prepare as the first, and a hundred megabytes.
var parsing = make(chan struct{}, 1)

// postgres reads PostgreSQL by PostgreSQL's own parser.
func postgres(ctx context.Context, text string) (*Uses, error) {
	select {
	case parsing <- struct{}{}:
		defer func() { <-parsing }()
	case <-ctx.Done():
		return nil, schemas.Wrap(schemas.Deadline, ctx.Err(), "the SQL was not parsed in time; try again")
	}
	if ok, err := shallow(text); !ok || err != nil {
		return nil, err
	}
	parsed, err := parser.ParseToJSON(text)
	if err != nil {
		return nil, refused(err)
	}
	var tree struct {
		Stmts []struct {
			Stmt object `json:"stmt"`
		} `json:"stmts"`
	}
	if err := json.Unmarshal([]byte(parsed), &tree); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the tree of a parsed statement cannot be read")
	}
	if len(tree.Stmts) == 0 {
		return nil, nil //nolint:nilnil // comments alone are no statement
	}
	w := &postgresWalk{gatherer: gather(), text: text}
	for _, statement := range tree.Stmts {
		w.statement(statement.Stmt)
	}
	if w.foreign {
		return nil, nil //nolint:nilnil // a comma is missing
	}
	return w.uses(), nil
}

// refused is nil for what the parser says of a text that is not PostgreSQL.
func refused(err error) error {
	if _, syntax := errors.AsType[*parser.Error](err); syntax {
		return nil
	}
	return schemas.Wrap(schemas.Internal, err, "the parser of PostgreSQL failed")
}

type object = map[string]any

// postgresWalk walks over the JSON of a parse tree: an object with the name of a node's type as its one key, or the node itself where the type is clear.
type postgresWalk struct {
	*gatherer
	text    string
	kind    string // what is done to tables that are met
	foreign bool
}

func (w *postgresWalk) statement(node object) {
	before := len(w.tables)
	for name := range node {
		w.kind = verb(name)
		w.node(node)
		switch name {
		case "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt":
		default:
			if len(w.tables) == before {
				w.other(verb(name))
			}
		}
	}
}

// walk visits a value of the tree, in an order that does not depend on chance.
func (w *postgresWalk) walk(value any) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			w.walk(item)
		}
	case object:
		w.node(v)
	}
}

func (w *postgresWalk) node(node object) {
	for _, name := range slices.Sorted(maps.Keys(node)) {
		inner, isObject := node[name].(object)
		if !isObject {
			w.walk(node[name])
			continue
		}
		switch name {
		case "SelectStmt":
			w.query(inner)
		case "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt":
			w.change(verb(name), inner)
		case "RangeVar", "relation", "rel", "sequence", "view":
			w.relation(w.kind, inner)
		case "DropStmt":
			w.drop(inner)
		case "ColumnRef":
			w.reference(inner)
		case "RangeSubselect", "RangeFunction", "RangeTableFunc", "JsonTable":
			w.derived(inner)
		default:
			w.node(inner)
		}
	}
}

// query walks over a SELECT, or the sets that UNION and its like put together.
func (w *postgresWalk) query(node object) {
	defer func(kind string) { w.kind = kind }(w.kind)
	w.kind = "select"
	fields := list(node["targetList"])
	s := selection{union: node["larg"] != nil}
	for _, field := range fields {
		s.outputs = append(s.outputs, strings.ToLower(text(inside(field, "ResTarget")["name"])))
	}
	if len(fields) == 1 && node["fromClause"] != nil {
		offset, known := inside(fields[0], "ResTarget")["location"].(float64)
		w.foreign = w.foreign || comma(w.text, int(offset)) && (known || offset == 0)
	}
	w.enter(s)
	defer w.leave()
	w.with(node["withClause"])
	if into, ok := node["intoClause"].(object); ok {
		w.relation("create", inside(into, "rel"))
	}
	for _, side := range []string{"larg", "rarg"} {
		if part, ok := node[side].(object); ok {
			w.query(part)
		}
	}
	tail := []string{"groupClause", "havingClause", "sortClause"}
	for _, key := range slices.Sorted(maps.Keys(node)) {
		if !slices.Contains(tail, key) && !slices.Contains([]string{"withClause", "intoClause", "larg", "rarg"}, key) {
			w.walk(node[key])
		}
	}
	w.tail(true)
	for _, key := range tail {
		w.walk(node[key])
	}
}

// with walks over queries with names, each of which sees those before it, and itself if it is recursive.
func (w *postgresWalk) with(clause any) {
	node, _ := clause.(object)
	recursive, _ := node["recursive"].(bool)
	for _, item := range list(node["ctes"]) {
		query := inside(item, "CommonTableExpr")
		if recursive {
			w.name(text(query["ctename"]))
		}
		w.walk(query["ctequery"])
		if !recursive {
			w.name(text(query["ctename"]))
		}
	}
}

// change walks over a statement that writes a table.
func (w *postgresWalk) change(does string, node object) {
	defer func(kind string) { w.kind = kind }(w.kind)
	w.kind = "select"
	w.enter(selection{})
	defer w.leave()
	w.with(node["withClause"])
	target := inside(node, "relation")
	w.relation(does, target)
	name := text(target["relname"])
	switch does {
	case "insert":
		for _, column := range list(node["cols"]) {
			w.column(does, name, text(inside(column, "ResTarget")["name"]))
		}
		if len(list(node["cols"])) == 0 {
			w.column(does, name, every)
		}
		w.sets(inside(node, "onConflictClause")["targetList"])
	case "update":
		w.sets(node["targetList"])
	case "delete", "merge":
		w.column(does, name, every)
	}
	for _, key := range slices.Sorted(maps.Keys(node)) {
		if key != "relation" && key != "withClause" && key != "cols" {
			w.walk(node[key])
		}
	}
}

// sets adds the columns that get a value.
func (w *postgresWalk) sets(targets any) {
	for _, target := range list(targets) {
		w.column("update", "", text(inside(target, "ResTarget")["name"]))
	}
}

func (w *postgresWalk) relation(does string, node object) {
	w.table(does, text(node["schemaname"]), text(node["relname"]), text(inside(node, "alias")["aliasname"]))
}

// derived walks over what stands in FROM and is no table.
func (w *postgresWalk) derived(node object) {
	if alias := text(inside(node, "alias")["aliasname"]); alias != "" {
		w.gatherer.query(alias)
	}
	for _, key := range slices.Sorted(maps.Keys(node)) {
		w.walk(node[key])
	}
}

// reference adds a column: one to four names, or names and a star.
func (w *postgresWalk) reference(node object) {
	fields := list(node["fields"])
	if len(fields) == 0 {
		return
	}
	parts := make([]string, len(fields))
	for i, field := range fields {
		parts[i] = text(inside(field, "String")["sval"])
	}
	last, table := parts[len(parts)-1], ""
	if last == "" {
		last = every
	}
	if len(parts) > 1 {
		table = parts[len(parts)-2]
	}
	w.column("select", table, last)
}

// drop adds what DROP names: lists of names.
func (w *postgresWalk) drop(node object) {
	for _, item := range list(node["objects"]) {
		names := list(inside(item, "List")["items"])
		if len(names) == 0 {
			continue
		}
		schema := ""
		if len(names) > 1 {
			schema = text(inside(names[len(names)-2], "String")["sval"])
		}
		w.table("drop", schema, text(inside(names[len(names)-1], "String")["sval"]), "")
	}
}

func list(value any) []any { items, _ := value.([]any); return items }

func text(value any) string { s, _ := value.(string); return s }

// inside is an object within another, empty if it is not there.
func inside(value any, key string) object {
	outer, _ := value.(object)
	inner, _ := outer[key].(object)
	return inner
}
