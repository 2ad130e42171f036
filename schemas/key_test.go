package schemas_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"docs-qa", "docs-qa", true},
		{"docs-qa", "docs-qa2", false},
		{"docs-qa", "my-docs-qa", false},
		{"docs-*", "docs-", true},
		{"docs-*", "docs-qa", true},
		{"docs-*", "docs", false},
		{"docs-*", "old-docs-qa", false},
		{"openai/*", "openai/gpt-5-mini", true},
		{"openai/*", "openai/org/tuned", true},
		{"openai/*", "openai", false},
		{"openai/*", "anthropic/openai/x", false},
		{"*-mini", "openai/gpt-5-mini", true},
		{"*-mini", "openai/gpt-5", false},
		{"*", "", true},
		{"*", "anything/at:all", true},
		{"a*b*c", "abc", true},
		{"a*b*c", "a--b--b--c", true},
		{"a*b*c", "acb", false},
		{"ab*ba", "aba", false},
		{"a*aa", "aa", false},
		{"**", "x", true},
		{"", "", true},
		{"", "x", false},
		{"a.c", "abc", false},
	} {
		if got := schemas.Matches(test.pattern, test.name); got != test.want {
			t.Errorf("Matches(%q, %q) = %v", test.pattern, test.name, got)
		}
	}
}

// FuzzMatches compares with a regular expression.
func FuzzMatches(f *testing.F) {
	f.Add("docs-*", "docs-qa")
	f.Add("*a*aa*", "baaab")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if schemas.CheckPattern(pattern) != nil || strings.ContainsRune(name, '\n') {
			return
		}
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(name)
		if got := schemas.Matches(pattern, name); got != want {
			t.Errorf("Matches(%q, %q) = %v, a regular expression says %v", pattern, name, got, want)
		}
	})
}

func TestCheckPattern(t *testing.T) {
	t.Parallel()
	for pattern, ok := range map[string]bool{
		"docs-*": true, "openai/*": true, "*": true, "a@b:c": true, "": false, " x": false, "a b": false, "[a]": false, "a\n": false,
		strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "/etc": false, "ü": false,
	} {
		if err := schemas.CheckPattern(pattern); (err == nil) != ok || err != nil && schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

// TestOldKeysStillOpen reads a record that was stored before keys had lists.
func TestOldKeysStillOpen(t *testing.T) {
	t.Parallel()
	var key schemas.APIKey
	record := `{"id":"0123456789ab","sha256":"00","tenant":"default","roles":["service"],"created_at":"2026-01-01T00:00:00Z"}`
	if err := json.Unmarshal([]byte(record), &key); err != nil {
		t.Fatal(err)
	}
	if !key.Live(time.Now()) || !key.MayRun("any") || !key.MayCall("open/ai") || key.Line() != "0123456789ab" || key.RequestsPerMinute != 0 {
		t.Errorf("%+v", key)
	}
}

func TestASuccessionOnlyShortensALife(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	later := noon.Add(time.Hour)
	for name, test := range map[string]struct {
		expires *time.Time
		ends    time.Time
		want    time.Time
	}{
		"for ever": {nil, noon, noon}, "longer": {&later, noon, noon}, "shorter": {&noon, later, noon},
	} {
		got := schemas.APIKey{ID: "a", ExpiresAt: test.expires}.Ended(schemas.KeySuccession{Successor: "b", Ends: test.ends})
		want := schemas.APIKey{ID: "a", ExpiresAt: &test.want, ReplacedBy: "b"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
