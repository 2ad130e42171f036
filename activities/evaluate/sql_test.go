package evaluate_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tenuto-dev/tenuto/activities/evaluate"
	"github.com/tenuto-dev/tenuto/activities/internal/dialect"
	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/activities/suite"
)

// TestSQLDatabases holds that a suite may name each database that there is a parser for, and that such an assertion is judged.
func TestSQLDatabases(t *testing.T) {
	t.Parallel()
	for _, database := range dialect.Databases() {
		text := "prompts: ['SELECT a FROM {{ table }}']\nproviders: [echo]\ntests:\n- vars: {table: t}\n" +
			"  assert: [{type: is-sql, value: {databaseType: " + database + ", allowedTables: ['select::null::{{ table }}']}}]\n"
		s, problems, _ := suite.Load(fstest.MapFS{"suite.yaml": {Data: []byte(text)}}, "suite.yaml")
		if len(problems) > 0 {
			t.Fatalf("%s: %v", database, problems)
		}
		all, err := s.Cells(suite.Expansion{})
		if err != nil {
			t.Fatal(err)
		}
		scoring := evaluate.Scoring{Scorer: score.Scorer{SQL: dialect.Reader{}}}
		for cell, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			for output, want := range map[string]bool{cell.Input: true, strings.Replace(cell.Input, "t", "u", 1): false, "none": false} {
				got, err := scoring.Assert(t.Context(), cell, answerOf(output))
				if err != nil || got.Pass != want {
					t.Errorf("%s: %q: %v %q, %v", database, output, got.Pass, got.Reason, err)
				}
			}
		}
	}
}
