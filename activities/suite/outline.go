package suite

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Outline is what people want to see of a suite that was checked.
type Outline struct {
	schemas.SuiteSummary
	Cases      int64           `json:"cases"`      // tests, each with every combination of its variables
	Assertions []string        `json:"assertions"` // types, sorted; those in sets too
	Schedule   *Schedule       `json:"schedule,omitempty"`
	Budget     *Budget         `json:"budget,omitempty"`
	MaxAgeMS   *int64          `json:"max_age_ms,omitempty"`
	Policy     json.RawMessage `json:"policy,omitempty"`
}

// Outline counts what the suite holds. Nothing is expanded.
func (s *Suite) Outline() Outline {
	out := Outline{SuiteSummary: s.Summary(0), Schedule: s.Schedule, Budget: s.Budget, MaxAgeMS: s.MaxAge, Policy: s.Policy}
	types := map[string]bool{}
	for i := range s.Cases {
		out.Cases = plus(out.Cases, s.Cases[i].combinations())
		typesOf(s.Cases[i].Assertions, types)
	}
	out.Assertions = append([]string{}, slices.Sorted(maps.Keys(types))...)
	return out
}

func typesOf(list []schemas.Assertion, into map[string]bool) {
	for _, a := range list {
		into[a.Type] = true
		typesOf(a.Assert, into)
	}
}

// written is how many prompts the suite itself has; none where its providers have their own.
func (s *Suite) written() int {
	if len(s.Prompts) == 1 && s.Prompts[0] == (Prompt{}) {
		return 0
	}
	return len(s.Prompts)
}

// marks are the keys that make a file a suite, and not data of one. The pattern finds them in a file that is not valid YAML.
var (
	marks       = []string{"prompts", "providers", "targets", "tests"}
	markPattern = regexp.MustCompile(`(?m)^["']?(prompts|providers|targets|tests)["']?[ \t]*:`)
	markWords   = regexp.MustCompile(`prompts|providers|targets|tests`)
)

// Is reports whether the text of a YAML file is that of a suite: whether prompts, providers (or targets) or tests are keys at its top level.
func Is(text string) bool {
	if !markWords.MatchString(text) { // most files need not be parsed
		return false
	}
	v, problems := tree.YAML("", text)
	if v == nil {
		return len(problems) > 0 && markPattern.MatchString(text)
	}
	return slices.ContainsFunc(marks, func(key string) bool { return v.Get(key) != nil })
}
