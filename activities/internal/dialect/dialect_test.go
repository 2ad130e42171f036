package dialect_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/dialect"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestRead(t *testing.T) {
	t.Parallel()
	both := []string{"MySQL", "PostgreSQL"}
	tests := []struct {
		databases []string
		text      string
		tables    string // separated by spaces
		columns   string
	}{
		{both, "SELECT id, name FROM users", "select::null::users", "select::null::id select::null::name"},
		{both, "select * from a; select u.* from s.users u;", "select::null::a select::s::users", "select::null::(.*) select::users::(.*)"},
		{both, "SELECT 1", "", ""},
		{both, "SELECT u.name, p.title FROM users u, posts AS p WHERE u.id = p.user_id", "select::null::posts select::null::users", "select::posts::title select::posts::user_id select::users::id select::users::name"},
		{both, "SELECT a FROM t JOIN u ON t.x = u.x WHERE EXISTS (SELECT 1 FROM v WHERE v.y IN (SELECT z FROM w))", "select::null::t select::null::u select::null::v select::null::w", "select::null::a select::null::z select::t::x select::u::x select::v::y"},
		{both, "SELECT count(*) AS n, k FROM t GROUP BY k HAVING n > 1 ORDER BY n", "select::null::t", "select::null::k"},
		{both, "SELECT a FROM t ORDER BY b", "select::null::t", "select::null::a select::null::b"},
		{both, "(SELECT a AS x FROM t) UNION SELECT b FROM u ORDER BY x", "select::null::t select::null::u", "select::null::a select::null::b"},
		{both, "WITH c AS (SELECT a FROM t) SELECT c.a FROM c", "select::null::t", "select::null::a"},
		{both, "WITH users AS (SELECT a FROM users) SELECT a FROM users", "select::null::users", "select::null::a"},
		{both, "WITH RECURSIVE c AS (SELECT a FROM t UNION ALL SELECT c.a FROM c) SELECT c.a FROM c", "select::null::t", "select::null::a"},
		{both, "SELECT x.a FROM (WITH c AS (SELECT 1 AS a) SELECT a FROM c) x, c", "select::null::c", "select::null::a"},
		{both, "SELECT d.n FROM (SELECT count(id) AS n FROM t) d", "select::null::t", "select::null::id"},
		{both, "INSERT INTO department (dept_name, location) VALUES ('Sales', 'New York')", "insert::null::department", "insert::department::dept_name insert::department::location"},
		{both, "INSERT INTO t SELECT a FROM u", "insert::null::t select::null::u", "insert::t::(.*) select::null::a"},
		{both, "UPDATE employee SET salary = 50000 WHERE id = 1", "update::null::employee", "select::null::id update::null::salary"},
		{both, "DELETE FROM employees", "delete::null::employees", "delete::employees::(.*)"},
		{both, "DELETE FROM t WHERE x = 1;", "delete::null::t", "delete::t::(.*) select::null::x"},
		{both, "DROP TABLE a, b", "drop::null::a drop::null::b", ""},
		{both, "CREATE TABLE n AS SELECT a FROM t", "create::null::n select::null::t", "select::null::a"},
		{both, "BEGIN", "", ""},
		{both, "SELECT a b, c FROM t", "select::null::t", "select::null::a select::null::c"},
		{both, "SELECT a AS b FROM t", "select::null::t", "select::null::a"},
		{both, "SELECT DISTINCT name FROM users -- a comment\n", "select::null::users", "select::null::name"},
		{both, "SELECT row_number() OVER (PARTITION BY a ORDER BY b) AS n FROM t", "select::null::t", "select::null::a select::null::b"},
		{both[:1], "SELECT SQL_NO_CACHE `name` FROM `users` LIMIT 1, 2", "select::null::users", "select::null::name"},
		{both[:1], "REPLACE INTO t (a) VALUES (1)", "replace::null::t", "replace::t::a"},
		{both[:1], "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE b = 2", "insert::null::t", "insert::t::a update::null::b"},
		{both[:1], "UPDATE a JOIN b ON a.i = b.i SET a.x = b.x", "select::null::b update::null::a", "select::a::i select::b::i select::b::x update::a::x"},
		{both[:1], "DELETE x FROM a AS x JOIN b ON x.i = b.i", "delete::null::a select::null::b", "delete::a::(.*) select::a::i select::b::i"},
		{both[:1], "SHOW TABLES", "show::null::(.*)", ""},
		{both[1:], "SELECT name FROM users WHERE name ILIKE 'a%'", "select::null::users", "select::null::name"},
		{both[1:], `SELECT DISTINCT "display name" FROM "Users" u`, "select::null::Users", "select::null::display name"},
		{both[1:], "SELECT $$from secrets; drop table x$$ AS sample", "", ""},
		{both[1:], "SELECT a INTO n FROM t", "create::null::n select::null::t", "select::null::a"},
		{both[1:], "UPDATE a SET x = b.x FROM b WHERE a.i = b.i RETURNING *", "select::null::b update::null::a", "select::a::i select::b::i select::b::x select::null::(.*) update::null::x"},
		{both[1:], "WITH gone AS (DELETE FROM t RETURNING a) SELECT * FROM gone", "delete::null::t", "delete::t::(.*) select::null::(.*) select::null::a"},
		{both[1:], "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 2", "insert::null::t", "insert::t::a update::null::b"},
		{both[1:], "TRUNCATE s.t", "truncate::s::t", ""},
		{both[1:], "EXPLAIN SELECT a FROM t", "select::null::t", "select::null::a"},
		{both[1:], "COPY t TO '/tmp/x'", "copy::null::t", ""},
		{both[1:], "SET x = 1", "variable::null::(.*)", ""},
	}
	for _, test := range tests {
		for _, database := range test.databases {
			tables, columns, ok, err := dialect.Reader{}.Read(t.Context(), database, test.text)
			if err != nil || !ok {
				t.Errorf("%s: %s: %v, %v", database, test.text, ok, err)
			}
			if got := strings.Join(tables, " "); got != test.tables && test.text != "BEGIN" {
				t.Errorf("%s: %s: tables %s", database, test.text, got)
			}
			if got := strings.Join(columns, " "); got != test.columns {
				t.Errorf("%s: %s: columns %s", database, test.text, got)
			}
		}
	}
}

// TestReadNot gives texts that are not SQL, or that of another database.
func TestReadNot(t *testing.T) {
	t.Parallel()
	both := []string{"mysql", "MariaDB", "PostgresQL"}
	tests := []struct {
		databases []string
		text      string
	}{
		{both, ""},
		{both, " \n"},
		{both, "-- nothing"},
		{both, "Here is the query you asked for."},
		{both, "SELECT * FROM orders ORDERY BY order_date"},
		{both, "SELECT * FROM select WHERE id = 1"},
		{both, "SELECT * FROM `employees"},
		{both, "SELECT `id, `name FROM `users"},
		{both, "SELECT col1 col2 col3 FROM table1"},
		{both, "SELECT a b FROM t"},
		{both, "SELECT DISTINCT first_name last_name FROM employees"},
		{both, "SELECT 1 UNION SELECT a b FROM t"},
		{both, "DELETE employees WHERE id = 1"},
		{both, "SELECT 1\x00 rubbish"},
		{both, "SELECT '\xff'"},
		{both, "SELECT 1; SELEC 2"},
		{both, "SELECT (1"},
		{both, "SELECT 'open"},
		{both[:2], "SELECT SQL_NO_CACHE a b FROM t"},
		{both[:2], "SELECT name FROM users WHERE name ILIKE 'a%'"},
		{both[:2], "SELECT a::int FROM t"},
		{both[2:], "SELECT * FROM t WHERE id = 1 LOCK IN SHARE MODE"},
		{both[2:], "SELECT a FROM t LIMIT 1, 2"},
		{both[2:], "SELECT `a` FROM t"},
	}
	for _, test := range tests {
		for _, database := range test.databases {
			if tables, columns, ok, err := (dialect.Reader{}).Read(t.Context(), database, test.text); ok || err != nil || tables != nil || columns != nil {
				t.Errorf("%s: %q: %v, %v, %v %v", database, test.text, ok, err, tables, columns)
			}
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	_, _, _, err := dialect.Reader{}.Read(t.Context(), "Snowflake", "SELECT 1")
	if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), `"Snowflake"`) || !strings.Contains(schemas.SafeMessage(err), "postgresql") {
		t.Errorf("an unknown database: %v", err)
	}
	for _, database := range dialect.Databases() {
		_, _, _, err := dialect.Reader{}.Read(t.Context(), database, "SELECT 1"+strings.Repeat(" ", dialect.MaxText))
		if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), "at most 32768 bytes") {
			t.Errorf("%s: a long text: %v", database, err)
		}
	}
}

// TestHostile gives texts that are as deep, as long or as wide as they can be: each is read or refused, in time.
func TestHostile(t *testing.T) {
	t.Parallel()
	before, after := "SELECT ", ""
	shapes := map[string]func(int) string{
		"brackets": func(n int) string { return before + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) },
		"calls":    func(n int) string { return before + strings.Repeat("f(", n) + "1" + strings.Repeat(")", n) },
		"exists":   func(n int) string { return before + strings.Repeat("exists(select ", n) + "1" + strings.Repeat(")", n) },
		"in":       func(n int) string { return before + strings.Repeat("a in (select ", n) + "1" + strings.Repeat(")", n) },
		"derived": func(n int) string {
			return "SELECT * FROM " + strings.Repeat("(select * from ", n) + "a" + strings.Repeat(") x", n)
		},
		"plus":   func(n int) string { return before + "1" + strings.Repeat("+1", n) },
		"names":  func(n int) string { return before + "a.or" + strings.Repeat("+ a.select", n) },
		"not":    func(n int) string { return before + strings.Repeat("not ", n) + "true" },
		"signs":  func(n int) string { return before + strings.Repeat("- ", n) + "a" },
		"unions": func(n int) string { return "SELECT 1" + strings.Repeat(" union select 1", n) },
		"joins":  func(n int) string { return "SELECT * FROM a" + strings.Repeat(" join b on true", n) },
		"cases": func(n int) string {
			return before + strings.Repeat("case when ", n) + "1" + strings.Repeat(" then 1 end", n)
		},
		"ends": func(n int) string {
			return before + strings.Repeat("f(a.end + ", n) + "1" + strings.Repeat(")", n)
		},
		"withs": func(n int) string {
			return strings.Repeat("with c as (", n) + "select 1" + strings.Repeat(") select 1", n)
		},
		"arrays":     func(n int) string { return before + strings.Repeat("array[", n) + "1" + strings.Repeat("]", n) },
		"open":       func(n int) string { return before + strings.Repeat("(", n) },
		"wide":       func(n int) string { return before + "1" + strings.Repeat(",1", n) },
		"statements": func(n int) string { return strings.Repeat("SELECT 1;", n) },
		"or":         func(n int) string { return "SELECT 1 FROM t WHERE a" + strings.Repeat(" or a=1", n) },
		"comments":   func(n int) string { return before + strings.Repeat("/* ( */", n) + "1" + after },
		"strings":    func(n int) string { return before + "'" + strings.Repeat("((", n) + "'" },
	}
	for name, shape := range shapes {
		for _, size := range []int{30, 49, 60, 100, 300, 1000, 3000, 8000, 16000} {
			text := shape(size)
			if len(text) > dialect.MaxText {
				continue
			}
			for _, database := range []string{"mysql", "postgresql"} {
				begin := time.Now()
				_, _, _, err := dialect.Reader{}.Read(t.Context(), database, text)
				if err != nil && schemas.CodeOf(err) != schemas.Invalid {
					t.Errorf("%s: %d %s: %v", database, size, name, err)
				}
				if took := time.Since(begin); took > time.Minute {
					t.Errorf("%s: %d %s took %s", database, size, name, took)
				}
			}
		}
	}
	tables, _, ok, err := dialect.Reader{}.Read(t.Context(), "postgresql", "SELECT a FROM t")
	if diff := cmp.Diff([]string{"select::null::t"}, tables); diff != "" || !ok || err != nil {
		t.Errorf("afterwards: %v, %v, %s", ok, err, diff)
	}
}

// TestOrdinary holds that what people write is not taken for hostile.
func TestOrdinary(t *testing.T) {
	t.Parallel()
	columns := strings.TrimSuffix(strings.Repeat("coalesce(nullif(trim(lower(t.name)), ''), 'none') AS n, ", 200), ", ")
	joins := strings.Repeat(" LEFT JOIN u ON t.id = u.id AND u.at BETWEEN now() - interval '1 day' AND now()", 20)
	where := " WHERE t.a = 1" + strings.Repeat(" AND (t.b = 2 OR t.c IN (1, 2, 3) OR NOT t.d)", 100)
	text := "SELECT " + columns + " FROM t" + joins + where
	if _, _, ok, err := (dialect.Reader{}).Read(t.Context(), "PostgreSQL", text); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestReadStopped(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for range 50 { // where the place is free either may happen
		_, _, ok, err := dialect.Reader{}.Read(ctx, "postgresql", "SELECT 1")
		if err != nil && schemas.CodeOf(err) != schemas.Deadline || err == nil && !ok {
			t.Fatalf("%v, %v", ok, err)
		}
	}
}

// FuzzRead holds that any text is read or refused, and that what is read is said in three parts.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		"SELECT a AS b FROM t WHERE x IN (SELECT y FROM u) ORDER BY b", "WITH c AS (SELECT 1) DELETE FROM t USING c RETURNING *", "UPDATE t SET a = 1, b = DEFAULT",
		"INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", "SELECT CASE WHEN a THEN 'x' END FROM t /* c */ -- d", "CREATE TABLE t (a int REFERENCES u)", "SELECT `a` FROM `t`",
		"SELECT $a$ x $a$, E'\\n', U&'\\0041'", "DROP TABLE a.b", "GRANT ALL ON t TO u", "EXPLAIN ANALYZE SELECT 1", "SELECT a[1:2], b.c.d, (e).f, x::int[]",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, database := range dialect.Databases() {
			tables, columns, ok, err := dialect.Reader{}.Read(t.Context(), database, text)
			if err != nil && schemas.CodeOf(err) != schemas.Invalid || ok && err != nil || !ok && tables != nil {
				t.Fatalf("%s: %v, %v", database, ok, err)
			}
			for _, use := range append(tables, columns...) {
				if strings.Count(use, "::") < 2 || strings.HasPrefix(use, "::") {
					t.Fatalf("%s: %q", database, use)
				}
			}
		}
	})
}
