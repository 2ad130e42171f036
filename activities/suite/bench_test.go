package suite_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/suite"
)

// BenchmarkSuite loads a suite of 1,000 tests and makes its 2,000 cells.
func BenchmarkSuite(b *testing.B) {
	var tests strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&tests, `{"vars": {"question": "What is %d?", "context": %q}, "assert": [{"type": "icontains", "value": "{{question}}"}, {"type": "llm-rubric", "value": "is right"}]}`+"\n", i, strings.Repeat("word ", 200))
	}
	fsys := folder(map[string]string{
		"suite.yaml": "prompts: ['Answer {{question | trim}} from {{context}}']\nproviders: [openai:gpt-5, openai:gpt-5-mini]\ntests: cases.jsonl\n", "cases.jsonl": tests.String(),
	})
	for b.Loop() {
		s, problems, _ := suite.Load(fsys, "suite.yaml")
		if len(problems) > 0 {
			b.Fatal(problems)
		}
		all, err := s.Cells(suite.Expansion{})
		if err != nil {
			b.Fatal(err)
		}
		made := 0
		for _, err := range all {
			if err != nil {
				b.Fatal(err)
			}
			made++
		}
		if made != 2000 {
			b.Fatalf("%d cells", made)
		}
	}
}
