package dialect

import (
	"cmp"
	"slices"
	"strings"
)

const every = "(.*)"

// gatherer gathers what the statements of a text use, while a dialect walks over them.
type gatherer struct {
	tables  []string
	columns []column
	known   map[string][]string // what a table is called within the text, in lower case: its names; "" is that of a query
	named   []string            // queries that WITH named and that can be seen, in lower case
	selects []selection         // those that are being walked over, the innermost last
}

type column struct{ does, table, name string }

// selection is a SELECT on its way.
type selection struct {
	outputs []string // the names that it gives to its outputs, in lower case
	tail    bool     // in GROUP BY, HAVING or ORDER BY, which may use these names
	union   bool     // its ORDER BY knows no other names
	above   int      // queries with names that could be seen outside
}

func gather() *gatherer { return &gatherer{known: map[string][]string{}} }

// enter begins a statement that may have queries with names, and outputs with names.
func (g *gatherer) enter(s selection) {
	s.above = len(g.named)
	g.selects = append(g.selects, s)
}

func (g *gatherer) leave() {
	g.named = g.named[:g.selects[len(g.selects)-1].above]
	g.selects = g.selects[:len(g.selects)-1]
}

func (g *gatherer) tail(on bool) {
	if len(g.selects) > 0 {
		g.selects[len(g.selects)-1].tail = on
	}
}

func (g *gatherer) name(query string) { g.named = append(g.named, strings.ToLower(query)) }

// table adds a table, unless it is a query that has this name. Alias is what the statement calls it, empty if nothing else.
func (g *gatherer) table(does, schema, name, alias string) {
	if schema == "" && slices.Contains(g.named, strings.ToLower(name)) {
		g.query(cmp.Or(alias, name))
		return
	}
	g.call(cmp.Or(alias, name), name)
	g.tables = append(g.tables, does+"::"+cmp.Or(schema, "null")+"::"+name)
}

// query says that something is called alias that is no table: its columns are those of its own tables.
func (g *gatherer) query(alias string) { g.call(alias, "") }

func (g *gatherer) call(alias, name string) {
	alias = strings.ToLower(alias)
	if !slices.Contains(g.known[alias], name) {
		g.known[alias] = append(g.known[alias], name)
	}
}

// column adds a column of what the statement calls table, empty if it does not say. A name that the selection gave to an output is none.
func (g *gatherer) column(does, table, name string) {
	if len(g.selects) > 0 && table == "" && does == "select" {
		s := g.selects[len(g.selects)-1]
		if s.tail && (s.union || slices.Contains(s.outputs, strings.ToLower(name))) {
			return
		}
	}
	g.columns = append(g.columns, column{does, table, name})
}

// other adds a statement of another kind that names no table.
func (g *gatherer) other(does string) { g.tables = append(g.tables, does+"::null::"+every) }

// uses puts together what was gathered, with tables for the names that the text calls them by.
func (g *gatherer) uses() *Uses {
	var columns []string
	for _, c := range g.columns {
		names, called := g.known[strings.ToLower(c.table)]
		if !called {
			names = []string{cmp.Or(c.table, "null")}
		}
		for _, name := range names {
			if name != "" {
				columns = append(columns, c.does+"::"+name+"::"+c.name)
			}
		}
	}
	return &Uses{Tables: sorted(g.tables), Columns: sorted(columns)}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// verb is the first word of a name in camel case, in lower case.
func verb(camel string) string {
	for i, r := range camel {
		if i > 0 && r >= 'A' && r <= 'Z' {
			return strings.ToLower(camel[:i])
		}
	}
	return strings.ToLower(camel)
}
