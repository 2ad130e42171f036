package schemas_test

import (
	"math"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestFeedbackSaysOneThing(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	zero, endless, later, before := 0.0, math.Inf(1), now.Add(time.Hour), now.Add(-90*24*time.Hour)
	for name, test := range map[string]struct {
		feedback schemas.Feedback
		sound    bool
	}{
		"a score of nothing":      {schemas.Feedback{Name: "helpful", Score: &zero}, true},
		"a category with a text":  {schemas.Feedback{Name: "tone of voice", Label: "kind", Comment: "line\nline"}, true},
		"of months ago":           {schemas.Feedback{Name: "bought", Label: "no", HappenedAt: &before}, true},
		"nothing":                 {schemas.Feedback{Name: "helpful"}, false},
		"no name":                 {schemas.Feedback{Score: &zero}, false},
		"a name that ends oddly":  {schemas.Feedback{Name: "helpful ", Score: &zero}, false},
		"a score without end":     {schemas.Feedback{Name: "helpful", Score: &endless}, false},
		"a score and a category":  {schemas.Feedback{Name: "helpful", Score: &zero, Label: "kind"}, false},
		"what is yet to come":     {schemas.Feedback{Name: "helpful", Score: &zero, HappenedAt: &later}, false},
		"a user of control bytes": {schemas.Feedback{Name: "helpful", Score: &zero, User: "a\x1b[31m"}, false},
		"what is no UTF-8":        {schemas.Feedback{Name: "helpful", Comment: "\xff"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := test.feedback.Check(now); (err == nil) != test.sound {
				t.Errorf("%v", err)
			}
		})
	}
	if a, b := (schemas.Feedback{User: "x", Key: "1"}), (schemas.Feedback{Key: "x"}); a.Author() == b.Author() {
		t.Error("a user is taken for a key")
	}
	if got := schemas.FeedbackKey("t", "r", now, "f"); got != "tenants/t/feedback/2026/01/02/r/f.json" {
		t.Error(got)
	}
}
