package suite_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/suite"
)

func TestOutline(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("v%d: [%sx]", i, strings.Repeat("x, ", 9)))
	}
	tests := map[string]struct {
		text  string
		cases int64
		want  []string // types of assertions
	}{
		"lists": {"prompts: a\nproviders: echo\ntests: [{vars: {a: [x, y], b: [x, y, z]}}, {vars: {a: [1, 2]}}]\n", 7, []string{}},
		"types": {
			"providers: [chain:qa]\ndefaultTest: {assert: [{type: not-contains, value: x}]}\ntests: [{assert: [{type: assert-set, assert: [{type: equals, value: x}]}]}, {}]\n",
			2,
			[]string{"assert-set", "equals", "not-contains"},
		},
		"more than can be counted": {"prompts: a\nproviders: echo\ntests: [{vars: {" + strings.Join(many, ", ") + "}}, {}]\n", math.MaxInt64, []string{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := load(t, map[string]string{"suite.yaml": test.text}).Outline()
			if out.Cases != test.cases {
				t.Errorf("%d cases, want %d", out.Cases, test.cases)
			}
			if diff := cmp.Diff(test.want, out.Assertions); diff != "" {
				t.Errorf("assertions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want bool
	}{
		"prompts":          {"prompts: [a]\n", true},
		"providers":        {"description: x\nproviders: echo\n", true},
		"targets":          {"targets: echo\n", true},
		"tests alone":      {"tests: cases.csv\n", true},
		"in flow style":    {`{"tests": []}`, true},
		"by a merge":       {"x: &x {tests: []}\n<<: *x\n", true},
		"not valid YAML":   {"prompts: [a\ntests: b\n", true},
		"a key twice":      {"tests: a\ntests: b\n", true},
		"empty":            {"", false},
		"deeper":           {"data:\n  prompts: [a]\n", false},
		"in a text":        {"data: |\n  prompts: a\n", false},
		"a list of tests":  {"- vars: {tests: 1}\n", false},
		"a word":           {"about: tests\n", false},
		"broken otherwise": {"data: [tests\n", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := suite.Is(test.text); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}
