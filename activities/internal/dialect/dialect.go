// Package dialect reads SQL in the dialects of several databases: whether a text is SQL of theirs, and which tables and columns it uses.
package dialect

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// MaxText bounds a text that is read, in bytes.
const MaxText = 32 << 10

// Uses is what a text does to a database. Each entry has three parts, as the authorities of node-sql-parser have, which promptfoo's allowlists are
// written for: "select::null::users" is a table that is read, of no named schema; "update::users::name" a column that is written, "null" being in the
// place of a table that the text does not name. "(.*)" stands for all columns. What is done to tables is called select, insert, replace, update or
// delete; other statements are called by their first word, with "null::(.*)" where they name no table. Entries are sorted, each stands once.
type Uses struct {
	Tables  []string
	Columns []string
}

// read takes a text apart. A nil result is a text that is not of the dialect.
type read func(ctx context.Context, text string) (*Uses, error)

var dialects = map[string]read{"mysql": mysql, "mariadb": mysql, "postgresql": postgres, "postgres": postgres}

// Databases are the names of the databases whose SQL can be read, in lower case.
func Databases() []string {
	var names []string
	for name := range dialects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Reader reads SQL. The zero Reader is ready, and safe for concurrent use. Nothing is prepared before the first text of a database comes: the parser
// of PostgreSQL takes a second or more then.
type Reader struct{}

// Read reads the statements of a text, one or several with semicolons between them. Ok is false where the text is not SQL of the database, and where it
// selects "a b" and nothing else, which is rather a forgotten comma than a name for a. MariaDB is read as MySQL, without what only MariaDB has. Errors:
// invalid (no such database here, a text that is too long or nested too deep to be read), deadline, internal.
func (Reader) Read(ctx context.Context, database, text string) (tables, columns []string, ok bool, err error) {
	reader, known := dialects[strings.ToLower(database)]
	switch {
	case !known:
		return nil, nil, false, schemas.Errorf(schemas.Invalid, "there is no parser for the SQL of %q here; there is one for each of %s", database, strings.Join(Databases(), ", "))
	case len(text) > MaxText:
		return nil, nil, false, schemas.Errorf(schemas.Invalid, "SQL of at most %d bytes is read, and this has %d", MaxText, len(text))
	case strings.TrimSpace(text) == "", strings.ContainsRune(text, 0), !utf8.ValidString(text):
		return nil, nil, false, nil
	}
	defer func() {
		if fault := recover(); fault != nil {
			tables, columns, ok = nil, nil, false
			err = schemas.Errorf(schemas.Internal, "the parser of %s failed over this SQL: %v", database, fault)
		}
	}()
	uses, err := reader(ctx, text)
	if err != nil || uses == nil {
		return nil, nil, false, err
	}
	return uses.Tables, uses.Columns, true, nil
}

// forgotten is a column followed by a word and FROM.
var forgotten = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*\s+[A-Za-z_][A-Za-z0-9_]*\s+(?i:from)\b`)

// comma reports whether a comma was likely forgotten before the second word of a list of columns that begins at offset.
func comma(text string, offset int) bool {
	return offset >= 0 && offset < len(text) && forgotten.MatchString(text[offset:])
}
