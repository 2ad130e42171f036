package vector

import (
	"regexp"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	o := Object{Document: "guide/a.md", Source: "docs", Metadata: map[string][]string{"lang": {"en", "de"}}}
	cases := map[string]struct {
		filter *schemas.Filter
		want   bool
	}{
		"nil":              {nil, true},
		"empty":            {&schemas.Filter{}, true},
		"source":           {&schemas.Filter{Source: "docs"}, true},
		"other source":     {&schemas.Filter{Source: "doc"}, false},
		"document":         {&schemas.Filter{Document: "guide/a.md"}, true},
		"part of a name":   {&schemas.Filter{Document: "guide/a"}, false},
		"start":            {&schemas.Filter{Document: "guide/*"}, true},
		"overlap":          {&schemas.Filter{Document: "guide/a*a.md"}, false},
		"several":          {&schemas.Filter{Document: "*d*/*.m*"}, true},
		"wrong order":      {&schemas.Filter{Document: "*a*guide*"}, false},
		"value":            {&schemas.Filter{Metadata: map[string][]string{"lang": {"fr", "de"}}}, true},
		"other value":      {&schemas.Filter{Metadata: map[string][]string{"lang": {"fr"}}}, false},
		"other key":        {&schemas.Filter{Metadata: map[string][]string{"team": {"de"}}}, false},
		"one of two wrong": {&schemas.Filter{Source: "docs", Document: "x"}, false},
	}
	for name, c := range cases {
		if got := Matches(c.filter, o); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// FuzzWildcard compares with the regular expression that says the same.
func FuzzWildcard(f *testing.F) {
	for _, seed := range [][2]string{{"*", ""}, {"a*b*c", "abc"}, {"a*a", "a"}, {"**", "x"}, {"*.md", "a\n.md"}, {"a?", "ab"}, {"*aab", "aaab"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		quoted := strings.ReplaceAll(regexp.QuoteMeta(strings.ToValidUTF8(pattern, "�")), `\*`, `.*`)
		pattern, name = strings.ToValidUTF8(pattern, "�"), strings.ToValidUTF8(name, "�")
		want := regexp.MustCompile(`(?s)\A` + quoted + `\z`).MatchString(name)
		if got := wildcard(pattern, name); got != want {
			t.Errorf("wildcard(%q, %q) = %v, want %v", pattern, name, got, want)
		}
	})
}
