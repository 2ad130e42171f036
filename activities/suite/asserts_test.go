package suite_test

import (
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/suite"
)

// TestDocumentedAssertions holds that each assertion that promptfoo documents (https://www.promptfoo.dev/docs/configuration/expected-outputs) is made, or
// refused at its place with a reason, and so is its opposite.
func TestDocumentedAssertions(t *testing.T) {
	t.Parallel()
	values := map[string]string{"assert-set": "assert: [{type: is-json}]", "is-sql": "value: {databaseType: MySQL}", "contains-sql": "threshold: 1"}
	made := `equals contains icontains regex starts-with contains-any contains-all icontains-any icontains-all is-json contains-json is-html contains-html is-sql
		contains-sql is-xml contains-xml is-refusal javascript webhook rouge-n bleu gleu levenshtein latency perplexity perplexity-score cost finish-reason
		word-count similar similar:cosine similar:dot similar:euclidean llm-rubric g-eval answer-relevance context-faithfulness context-recall
		context-relevance factuality model-graded-factuality model-graded-closedqa select-best max-score`
	refused := `python ruby meteor is-valid-function-call is-valid-openai-function-call is-valid-openai-tools-call tool-call-f1 trace-span-count
		trace-span-duration trace-error-spans skill-used trajectory:tool-used trajectory:tool-args-match trajectory:tool-sequence trajectory:step-count
		trajectory:goal-success guardrails classifier moderation conversation-relevance pi search-rubric agent-rubric human promptfoo:redteam:harmful`
	check := func(kind string) string {
		value := values[strings.TrimPrefix(kind, "not-")]
		if value == "" {
			value = "value: 'true'"
		}
		_, problems, _ := suite.Load(folder(map[string]string{
			"suite.yaml": "prompts: [p]\nproviders: [echo]\ntests:\n- assert:\n  - {type: '" + kind + "', " + value + "}\n",
		}), "suite.yaml")
		return lines(problems)
	}
	for kind := range strings.FieldsSeq(made) {
		for _, kind := range []string{kind, "not-" + kind} {
			if got := check(kind); got != "" {
				t.Errorf("%s: %s", kind, got)
			}
		}
	}
	if got := check("assert-set"); got != "" {
		t.Errorf("assert-set: %s", got)
	}
	for kind := range strings.FieldsSeq(refused) {
		for _, kind := range []string{kind, "not-" + kind} {
			if got := check(kind); !strings.HasPrefix(got, "suite.yaml:5:12: `"+kind+"` is not supported: ") {
				t.Errorf("%s: %s", kind, got)
			}
		}
	}
}

func TestSQLValues(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"{databaseType: postgresql}":                                                   "",
		"{databaseType: '{{ database }}', allowedTables: '{{ list }}'}":                "",
		"{allowedTables: ['(select|update)::null::a'], allowedColumns: select::a::.*}": "",
		"MySQL":                         "`is-sql` cannot be judged: its value is an object",
		"[MySQL]":                       "`is-sql` cannot be judged: its value is an object",
		"{databaseType: Snowflake}":     "no parser here for the SQL of this databaseType; there is one for each of MySQL, MariaDB, PostgreSQL",
		"{databaseType: 5}":             "no parser here",
		"{dialect: MySQL}":              "no key `dialect`, but databaseType",
		"{allowedTables: [{a: b}]}":     "allowedTables is a list of patterns",
		"{allowedColumns: ['select(']}": "allowedColumns has a pattern that cannot be used (missing closing )",
	} {
		_, problems, _ := suite.Load(folder(map[string]string{
			"suite.yaml": "prompts: [p]\nproviders: [echo]\ntests:\n- vars: {database: MySQL, list: x}\n  assert:\n  - {type: is-sql, value: " + value + "}\n",
		}), "suite.yaml")
		if got := lines(problems); (got == "") != (want == "") || got != "" && (!strings.Contains(got, want) || !strings.HasPrefix(got, "suite.yaml:6:12: ")) {
			t.Errorf("%s: %s", value, got)
		}
	}
}
