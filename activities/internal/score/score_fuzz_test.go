package score_test

import (
	"math"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/schemas"
)

// FuzzScore judges any text by any value under every type: each ends with a finite result or says what is wrong, and "not-" of a check
// without a score of its own is its opposite.
func FuzzScore(f *testing.F) {
	kinds := []string{
		"equals", "contains", "icontains", "contains-any", "icontains-all", "starts-with", "regex", "is-json", "contains-json", "is-xml",
		"contains-xml", "is-html", "contains-html", "is-refusal", "word-count", "levenshtein", "rouge-n", "rouge-l", "rouge-s", "bleu", "gleu",
		"json-diff", "numeric-diff", "token-f1", "word-error-rate",
	}
	f.Add("Hello <b>world</b> {\"a\": [1]}", "a.b, \"c\"")
	f.Add("<a><b>x</b></a>", "a.b")
	f.Add("12", "(a+)+$")
	f.Add("[[[[[[{{{{", "type: object")
	f.Add("Mr. Smith can't. He \"won't\" ... go!", "I'm sorry. As an AI")
	f.Fuzz(func(t *testing.T, output, value string) {
		for _, kind := range kinds {
			got, err := score.Scorer{}.Score(t.Context(), score.Assertion{Type: kind, Value: value}, score.Output{Value: output})
			opposite, inverseErr := score.Scorer{}.Score(t.Context(), score.Assertion{Type: "not-" + kind, Value: value}, score.Output{Value: output})
			if (err == nil) != (inverseErr == nil) {
				t.Fatalf("%s: %v, turned round %v", kind, err, inverseErr)
			}
			if err != nil {
				if schemas.CodeOf(err) != schemas.Invalid {
					t.Fatalf("%s: %v", kind, err)
				}
				continue
			}
			if math.IsNaN(got.Score) || got.Score < -1e-9 || got.Score > 1+1e-9 || got.Reason == "" {
				t.Fatalf("%s: %+v", kind, got)
			}
			if got.Pass == opposite.Pass {
				t.Fatalf("%s and its opposite are both %v: %q, %q", kind, got.Pass, got.Reason, opposite.Reason)
			}
		}
	})
}
