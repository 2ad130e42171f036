package score_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/internal/dialect"
	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/schemas"
)

const noMySQL = "SQL statement does not conform to the provided MySQL database syntax."

func TestSQL(t *testing.T) {
	t.Parallel()
	departments := map[string]any{"allowedTables": []any{"(select|update)::null::departments"}}
	names := map[string]any{"databaseType": "PostgreSQL", "allowedColumns": []any{"select::staff::name", "update::null::id"}}
	tests := []struct {
		name, kind string
		value      any
		output     string
		pass       bool
		reason     string
	}{
		{"SQL", "is-sql", nil, "SELECT id FROM users", true, "Assertion passed"},
		{"none", "is-sql", nil, "all users", false, noMySQL},
		{"nothing", "is-sql", nil, "", false, noMySQL},
		{"a block is not the whole", "is-sql", nil, "```sql\nSELECT 1\n```", false, noMySQL},
		{"not SQL", "not-is-sql", nil, "all users", true, "Assertion passed"},
		{"but it is", "not-is-sql", nil, "SELECT 1", false, "The output SQL statement is valid"},
		{"of another database", "is-sql", map[string]any{"databaseType": "PostgreSQL"}, "SELECT a FROM t LIMIT 1, 2", false, "SQL statement does not conform to the provided PostgreSQL database syntax."},
		{"a table that is allowed", "is-sql", departments, "SELECT * FROM departments", true, "Assertion passed"},
		{"whatever the case of letters", "is-sql", departments, "update Departments set a = 1", true, "Assertion passed"},
		{"a table that is not", "is-sql", departments, "SELECT * FROM employees", false, "SQL references unauthorized table(s). Found: [select::null::employees]. Allowed: [(select|update)::null::departments]."},
		{"half a name", "is-sql", departments, "SELECT * FROM departments_old", false, "SQL references unauthorized table(s). Found: [select::null::departments_old]. Allowed: [(select|update)::null::departments]."},
		{"what is not done", "is-sql", departments, "DELETE FROM departments", false, "SQL references unauthorized table(s). Found: [delete::null::departments]. Allowed: [(select|update)::null::departments]."},
		{"a statement without tables", "is-sql", departments, "SHOW TABLES", false, "SQL references unauthorized table(s). Found: [show::null::(.*)]. Allowed: [(select|update)::null::departments]."},
		{"a table that is not allowed is no SQL", "not-is-sql", departments, "SELECT * FROM employees", true, "Assertion passed"},
		{"columns without their table", "is-sql", names, "SELECT name FROM staff", true, "Assertion passed"},
		{"columns of a name for the table", "is-sql", names, "SELECT s.name FROM staff AS s", true, "Assertion passed"},
		{"columns of another table", "is-sql", names, "SELECT s.name FROM bosses AS s", false, "SQL references unauthorized column(s). Found: [select::bosses::name]. Allowed: [select::staff::name, update::null::id]."},
		{"all columns", "is-sql", names, "SELECT * FROM staff", false, "SQL references unauthorized column(s). Found: [select::null::(.*)]. Allowed: [select::staff::name, update::null::id]."},
		{"both lists", "is-sql", map[string]any{"allowedTables": "select::null::a", "allowedColumns": "select::null::x"}, "SELECT y FROM b", false, "SQL references unauthorized table(s). Found: [select::null::b]. Allowed: [select::null::a]. SQL references unauthorized column(s). Found: [select::null::y]. Allowed: [select::null::x]."},
		{"a block", "contains-sql", nil, "Here:\n```sql\nSELECT id\nFROM users;\n```\nDone.", true, "Assertion passed"},
		{"a block of no language", "contains-sql", nil, "Here:\r\n```\r\nSELECT 1\r\n```", true, "Assertion passed"},
		{"names in backticks", "contains-sql", nil, "```mysql\nSELECT `id` FROM `users`\n```", true, "Assertion passed"},
		{"no block", "contains-sql", nil, "SELECT 1", true, "Assertion passed"},
		{"another language", "contains-sql", nil, "```python\nSELECT = 1\n```", false, noMySQL},
		{"the second block", "contains-sql", nil, "```\nls\n```\nand\n~~~ SQL\nSELECT 1\n~~~", true, "Assertion passed"},
		{"an open block", "contains-sql", nil, "```sql\nSELECT 1", true, "Assertion passed"},
		{"the block counts, not the rest", "contains-sql", nil, "```sql\nSELEC 1\n```", false, noMySQL},
		{"contains none", "not-contains-sql", nil, "Hello", true, "Assertion passed"},
		{"contains some", "not-contains-sql", nil, "```\nSELECT 1\n```", false, "The output SQL statement is valid"},
	}
	for _, test := range tests {
		a := score.Assertion{Type: test.kind, Value: test.value}
		got, err := score.Scorer{SQL: dialect.Reader{}}.Score(t.Context(), a, score.Output{Value: test.output})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got.Pass != test.pass || got.Score != map[bool]float64{true: 1}[test.pass] || got.Reason != test.reason {
			t.Errorf("%s: got %v %v %q", test.name, got.Pass, got.Score, got.Reason)
		}
	}
}

// unready is a parser that cannot be used now.
type unready struct{}

func (unready) Read(context.Context, string, string) (tables, columns []string, ok bool, err error) {
	return nil, nil, false, schemas.Errorf(schemas.Deadline, "later")
}

func TestSQLRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value   any
		output  string
		message string
	}{
		{"MySQL", "", "an object with databaseType"},
		{map[string]any{"database": "MySQL"}, "", `knows no "database"`},
		{map[string]any{"databaseType": 5.0}, "", "needs a text as databaseType"},
		{map[string]any{"allowedTables": []any{map[string]any{}}}, "", "needs a text as databaseType"},
		{map[string]any{"allowedTables": []any{"select::(null::a"}}, "SELECT 1 FROM a", "a pattern that cannot be used"},
		{map[string]any{"allowedTables": strings.Repeat("x", 5000)}, "", "at most 4096 bytes"},
		{map[string]any{"databaseType": "Snowflake"}, "SELECT 1", `there is no parser for the SQL of "Snowflake"`},
		{nil, strings.Repeat("(", 10_000), "nested at most"},
		{nil, strings.Repeat(" ", 40_000), "at most 32768 bytes"},
		{nil, strings.Repeat("```sql\nSELECT\n```\n", 60), "up to 50 code blocks"},
	}
	for _, test := range tests {
		_, err := score.Scorer{SQL: dialect.Reader{}}.Score(t.Context(), score.Assertion{Type: "not-contains-sql", Value: test.value}, score.Output{Value: test.output})
		checkInvalid(t, err, test.message)
	}
	_, err := score.Scorer{}.Score(t.Context(), score.Assertion{Type: "is-sql"}, score.Output{Value: "SELECT 1"})
	checkInvalid(t, err, "there is none here")
	_, err = score.Scorer{SQL: unready{}}.Score(t.Context(), score.Assertion{Type: "is-sql"}, score.Output{Value: "SELECT 1"})
	if schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("a parser that is not ready: %v", err)
	}
}
