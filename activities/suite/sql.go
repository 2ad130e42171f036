package suite

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
)

// sqlDatabases are those whose SQL is read.
var sqlDatabases = []string{"MySQL", "MariaDB", "PostgreSQL", "Postgres"}

// sqlFault says what is wrong with the value of an assertion on SQL, empty if nothing is, or what depends on variables.
func sqlFault(base string, value any) string {
	if base != "is-sql" && base != "contains-sql" || value == nil {
		return ""
	}
	object, ok := value.(map[string]any)
	if !ok {
		return "its value is an object with databaseType, allowedTables and allowedColumns"
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		var fault string
		switch key {
		case "databaseType":
			fault = databaseFault(object[key])
		case "allowedTables", "allowedColumns":
			fault = allowlistFault(key, object[key])
		default:
			fault = "its value has no key `" + clip(key) + "`, but databaseType, allowedTables and allowedColumns"
		}
		if fault != "" {
			return fault
		}
	}
	return ""
}

func databaseFault(value any) string {
	name, ok := value.(string)
	known := slices.ContainsFunc(sqlDatabases, func(database string) bool { return strings.EqualFold(database, name) })
	if !ok || !known && nunjucks.Plain(name) {
		return "there is no parser here for the SQL of this databaseType; there is one for each of " + strings.Join(sqlDatabases, ", ")
	}
	return ""
}

func allowlistFault(key string, value any) string {
	patterns, several := value.([]any)
	if !several {
		patterns = []any{value}
	}
	for _, item := range patterns {
		pattern, ok := item.(string)
		if !ok {
			return key + " is a list of patterns such as select::null::users"
		}
		if _, err := regexp.Compile(pattern); err != nil && nunjucks.Plain(pattern) {
			return key + " has a pattern that cannot be used (" + clip(strings.TrimPrefix(err.Error(), "error parsing regexp: ")) + ")"
		}
	}
	return ""
}
