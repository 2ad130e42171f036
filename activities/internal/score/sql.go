package score

import (
	"cmp"
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// SQL reads statements in the dialect of a database. Tables and columns are what the statements use, each in three parts: what is done, the schema or
// table, and the name ("select::null::users"). Ok is false where the text is not SQL of the database. Error: invalid (no such database here, or a text that
// cannot be read for its size).
type SQL interface {
	Read(ctx context.Context, database, text string) (tables, columns []string, ok bool, err error)
}

// maxBlocks bounds the code blocks of one output that are read.
const maxBlocks = 50

// sqlRules are the value of an assertion on SQL.
type sqlRules struct {
	database        string // as the suite spells it
	tables, columns []string
}

// sql checks that the output is SQL of a database, or contains a code block that is, and uses only tables and columns that are allowed: patterns over
// three parts, as promptfoo has them.
func (s Scorer) sql(ctx context.Context, c check) (schemas.AssertionResult, error) {
	rules, err := c.sqlRules()
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	if s.SQL == nil {
		return c.fault("needs a parser of SQL, and there is none here")
	}
	texts := []string{c.text}
	if blocks := codeBlocks(c.text); c.base == "contains-sql" && len(blocks) > 0 {
		texts = blocks
	}
	if len(texts) > maxBlocks {
		return c.fault("looks at up to %d code blocks, and the output has %d", maxBlocks, len(texts))
	}
	reason := ""
	for _, text := range texts {
		if reason, err = s.sqlFault(ctx, c, rules, text); err != nil || reason == "" {
			break
		}
	}
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	return c.holds(reason == "", cmp.Or(reason, "The output SQL statement is valid"))
}

// sqlFault is what is wrong with a text, empty if nothing is.
func (s Scorer) sqlFault(ctx context.Context, c check, rules sqlRules, text string) (string, error) {
	tables, columns, ok, err := s.SQL.Read(ctx, rules.database, text)
	if schemas.CodeOf(err) == schemas.Invalid {
		return "", fault(c.assertion, "cannot be judged: %s", schemas.SafeMessage(err))
	}
	if err != nil {
		return "", err
	}
	if !ok {
		return "SQL statement does not conform to the provided " + rules.database + " database syntax.", nil
	}
	var reasons []string
	for _, list := range []struct {
		word                 string
		found, said, allowed []string
	}{{"table", tables, rules.tables, rules.tables}, {"column", columns, rules.columns, unqualified(rules.columns)}} {
		within, err := allowed(list.found, list.allowed)
		if err != nil {
			return "", fault(c.assertion, "has an allowlist with a pattern that cannot be used: %s", cause(err))
		}
		if !within {
			reasons = append(reasons, clip("SQL references unauthorized "+list.word+"(s). Found: ["+strings.Join(list.found, ", ")+"]. Allowed: ["+strings.Join(list.said, ", ")+"]."))
		}
	}
	return strings.Join(reasons, " "), nil
}

// allowed reports whether each of found is what one of the patterns says, whatever the case of letters. No patterns allow all.
func allowed(found, patterns []string) (bool, error) {
	var compiled []*regexp.Regexp
	for _, pattern := range patterns {
		one, err := regexp.Compile("(?i)^(?:" + pattern + ")$")
		if err != nil {
			return false, err
		}
		compiled = append(compiled, one)
	}
	for _, use := range found {
		if len(compiled) > 0 && !slices.ContainsFunc(compiled, func(p *regexp.Regexp) bool { return p.MatchString(use) }) {
			return false, nil
		}
	}
	return true, nil
}

// unqualified lets columns that are allowed of a table stand without it, too, as promptfoo does.
func unqualified(columns []string) []string {
	all := slices.Clone(columns)
	for _, column := range columns {
		if parts := strings.Split(column, "::"); len(parts) == 3 {
			all = append(all, parts[0]+"::null::"+parts[2])
		}
	}
	return all
}

// sqlRules reads the value of the assertion.
func (c check) sqlRules() (sqlRules, error) {
	rules := sqlRules{database: "MySQL"}
	object, ok := c.assertion.Value.(map[string]any)
	if c.assertion.Value != nil && !ok {
		return rules, fault(c.assertion, "needs no value, or an object with databaseType, allowedTables and allowedColumns")
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		switch value := object[key]; key {
		case "databaseType":
			rules.database, ok = value.(string)
		case "allowedTables":
			rules.tables, ok = texts(value)
		case "allowedColumns":
			rules.columns, ok = texts(value)
		default:
			return rules, fault(c.assertion, "knows no %s: its value has databaseType, allowedTables and allowedColumns", quote(key))
		}
		if !ok {
			return rules, fault(c.assertion, "needs a text as databaseType, and lists of patterns as allowedTables and allowedColumns, such as select::null::users")
		}
	}
	for _, pattern := range slices.Concat(rules.tables, rules.columns) {
		if len(pattern) > maxPattern {
			return rules, fault(c.assertion, "needs patterns of at most %d bytes", maxPattern)
		}
	}
	return rules, nil
}

// fence opens or closes a code block of Markdown.
var fence = regexp.MustCompile("^ {0,3}(`{3,}|~{3,})[ \\t]*([^`]*?)[ \\t]*$")

// sqlTags are what code blocks of SQL are called.
var sqlTags = []string{"", "sql", "mysql", "mariadb", "postgresql", "postgres", "pgsql"}

// codeBlocks are those of a text that may be SQL: called so, or not called anything. One that is left open goes to the end.
func codeBlocks(text string) (blocks []string) {
	open, body, isSQL := "", []string{}, false
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n")+"\n", "\n") {
		match := fence.FindStringSubmatch(line)
		switch {
		case open == "" && match != nil:
			open, body, isSQL = match[1], nil, slices.Contains(sqlTags, strings.ToLower(match[2]))
		case open == "":
		case match != nil && match[2] == "" && strings.HasPrefix(match[1], open):
			if isSQL {
				blocks = append(blocks, strings.Join(body, "\n"))
			}
			open = ""
		default:
			body = append(body, line)
		}
	}
	if open != "" && isSQL {
		blocks = append(blocks, strings.Join(body, "\n"))
	}
	return blocks
}
