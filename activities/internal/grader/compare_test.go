package grader_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/schemas"
)

func contenders(texts ...string) []grader.Contender {
	out := make([]grader.Contender, len(texts))
	for i, text := range texts {
		out[i].Output.Value = text
	}
	return out
}

func passes(results []schemas.AssertionResult) string {
	var out strings.Builder
	for _, r := range results {
		out.WriteString(map[bool]string{true: "+", false: "-"}[r.Pass])
	}
	return out.String()
}

func TestSelectBest(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"select-best": "-+-", "not-select-best": "+-+"} {
		asker := &recorded{answers: one("select-best", `{"reason":"funny","index":1}`)}
		got, err := grader.Grader{Asker: asker}.Compare(t.Context(), schemas.Assertion{Type: kind, Value: "the funniest"}, contenders("a", "b", "c"))
		if err != nil || passes(got) != want {
			t.Fatalf("%s: %v, %v", kind, got, err)
		}
		if got[1].Reason != "Output selected as the best: the funniest: funny" || got[0].Reason != "Output not selected: the funniest: funny" {
			t.Errorf("%s: %v", kind, got)
		}
	}
	for _, answer := range []string{`{"index":3}`, `{"index":-1}`, `{"index":1.5}`, `{"index":"1"}`, "The best is 1.", ""} {
		asker := &recorded{answers: one("select-best", answer)}
		if got, err := (grader.Grader{Asker: asker}).Compare(t.Context(), schemas.Assertion{Type: "select-best", Value: "x"}, contenders("a", "b", "c")); schemas.CodeOf(err) != schemas.MalformedOutput {
			t.Errorf("%q: %v, %v", answer, got, err)
		}
	}
}

// opinion answers battles by what it thinks of the texts, or by their place.
type opinion func(first, second string) string

func (o opinion) Ask(_ context.Context, q grader.Question, _ func(string) error) (string, error) {
	facts := factsOf(q)
	first, _ := facts["first"].(string)
	second, _ := facts["second"].(string)
	return `{"reason":"because","winner":"` + o(first, second) + `"}`, nil
}

func (o opinion) Embed(context.Context, string, []string) ([][]float64, error) { return nil, nil }

func TestBattle(t *testing.T) {
	t.Parallel()
	longer := func(first, second string) string {
		switch {
		case len(first) > len(second):
			return "first"
		case len(first) < len(second):
			return "second"
		}
		return "tie"
	}
	tests := []struct {
		name      string
		judge     opinion
		outputs   []string
		kind      string
		threshold *float64
		passes    string
		scores    []float64
	}{
		{"one is better", longer, []string{"short", "much longer"}, "battle", nil, "-+", []float64{0, 1}},
		{"whoever stands first wins nothing", func(string, string) string { return "first" }, []string{"a", "b"}, "battle", nil, "++", []float64{0.5, 0.5}},
		{"whoever stands last wins nothing", func(string, string) string { return "second" }, []string{"a", "b"}, "battle", nil, "++", []float64{0.5, 0.5}},
		{"a tie is not beaten", longer, []string{"ab", "cd"}, "battle", nil, "++", []float64{0.5, 0.5}},
		{"a tie is no win", longer, []string{"ab", "cd"}, "battle", new(1.0), "--", []float64{0.5, 0.5}},
		{"three", longer, []string{"a", "abc", "ab"}, "battle", nil, "-++", []float64{0, 1, 0.5}},
		{"not", longer, []string{"short", "much longer"}, "not-battle", nil, "+-", []float64{1, 0}},
	}
	for _, test := range tests {
		got, err := grader.Grader{Asker: test.judge}.Compare(t.Context(), schemas.Assertion{Type: test.kind, Value: "x", Threshold: test.threshold}, contenders(test.outputs...))
		if err != nil || passes(got) != test.passes {
			t.Errorf("%s: %v, %v", test.name, got, err)
			continue
		}
		for i, want := range test.scores {
			if got[i].Score != want {
				t.Errorf("%s: score %d is %v and not %v: %s", test.name, i, got[i].Score, want, got[i].Reason)
			}
		}
	}
	same := &recorded{}
	if got, err := (grader.Grader{Asker: same}).Compare(t.Context(), schemas.Assertion{Type: "battle", Value: "x"}, contenders("a", "a")); err != nil || passes(got) != "++" || len(same.asked) > 0 {
		t.Errorf("of equals %v, %v after %d questions", got, err, len(same.asked))
	}
	confused := &recorded{answers: answers{"battle": {`{"winner":"first"}`, "the first again"}}}
	if got, err := (grader.Grader{Asker: confused}).Compare(t.Context(), schemas.Assertion{Type: "battle", Value: "x"}, contenders("a", "b")); schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Errorf("of prose %v, %v", got, err)
	}
}

func TestMaxScore(t *testing.T) {
	t.Parallel()
	of := func(scores ...float64) grader.Contender {
		types := []string{"python", "llm-rubric", "contains"}
		c := grader.Contender{Results: []schemas.AssertionResult{{Type: "select-best", Score: 1}}}
		for i, score := range scores {
			c.Results = append(c.Results, schemas.AssertionResult{Type: types[i], Score: score, Weight: 1})
		}
		return c
	}
	list := []grader.Contender{of(1, 0.5, 1), of(0, 1, 1), of(1, 0.5, 1)}
	weights := map[string]any{"python": 3.0, "llm-rubric": 1.0}
	tests := []struct {
		name   string
		a      schemas.Assertion
		passes string
		reason string // of the first
	}{
		{"mean, the first of equals", schemas.Assertion{Type: "max-score"}, "+--", "Selected as highest scoring output (score: 0.833)"},
		{"weights", schemas.Assertion{Type: "max-score", Value: map[string]any{"weights": weights}}, "+--", "Selected as highest scoring output (score: 0.900)"},
		{"sum", schemas.Assertion{Type: "max-score", Value: map[string]any{"method": "sum", "weights": weights}}, "+--", "Selected as highest scoring output (score: 4.500)"},
		{"weights that turn it", schemas.Assertion{Type: "max-score", Value: map[string]any{"weights": map[string]any{"python": 0.0}}}, "-+-", "Not selected (score: 0.750, max: 1.000)"},
		{"below the threshold", schemas.Assertion{Type: "max-score", Value: map[string]any{"threshold": 0.9}}, "---", "Not selected - score 0.833 below threshold 0.9"},
		{"not", schemas.Assertion{Type: "not-max-score"}, "-++", "Selected as highest scoring output (score: 0.833)"},
	}
	for _, test := range tests {
		got, err := grader.Grader{}.Compare(t.Context(), test.a, list)
		if err != nil || passes(got) != test.passes || got[0].Reason != test.reason {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
}

func TestCompareRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a       schemas.Assertion
		list    []grader.Contender
		message string
	}{
		{schemas.Assertion{Type: "llm-rubric", Value: "x"}, contenders("a", "b"), "compares no outputs"},
		{schemas.Assertion{Type: "select-best", Value: "x"}, contenders("a"), "from 2 to 50"},
		{schemas.Assertion{Type: "select-best"}, contenders("a", "b"), "needs a value"},
		{schemas.Assertion{Type: "battle"}, contenders("a", "b"), "needs a value"},
		{schemas.Assertion{Type: "battle", Value: "x"}, contenders(strings.Split("abcdefghi", "")...), "use select-best"},
		{schemas.Assertion{Type: "max-score"}, contenders("a", "b"), "needs another assertion"},
		{schemas.Assertion{Type: "max-score", Value: "sum"}, contenders("a", "b"), "an object with method"},
		{schemas.Assertion{Type: "max-score", Value: map[string]any{"method": "median"}}, contenders("a", "b"), `the method "median"`},
		{schemas.Assertion{Type: "select-best", Value: "x"}, contenders("a", strings.Repeat("b", 2<<20)), "at most 1048576 bytes"},
	}
	for _, test := range tests {
		_, err := grader.Grader{Asker: &recorded{}}.Compare(t.Context(), test.a, test.list)
		if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), test.message) {
			t.Errorf("%s: %v", test.a.Type, err)
		}
	}
	if !grader.Compares("not-battle") || grader.Compares("llm-rubric") {
		t.Error("what is compared is not known")
	}
}

type posted struct {
	status int
	answer string
	fails  error
	url    string
	body   string
}

func (p *posted) Post(_ context.Context, url string, body []byte) (int, []byte, error) {
	p.url, p.body = url, string(body)
	return p.status, []byte(p.answer), p.fails
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind, answer string
		status       int
		pass         bool
		score        float64
		reason       string
		code         schemas.Code
	}{
		{"webhook", `{"pass":true}`, 200, true, 1, "Assertion passed", ""},
		{"webhook", `{"pass":false}`, 200, false, 0, "Webhook returned false", ""},
		{"webhook", `{"pass":true,"score":0.5,"reason":"so so"}`, 201, true, 0.5, "so so", ""},
		{"webhook", `{"pass":true,"score":null}`, 200, true, 1, "Assertion passed", ""},
		{"not-webhook", `{"pass":true,"score":0.75}`, 200, false, 0.25, "Assertion passed", ""},
		{"not-webhook", `{"pass":false}`, 200, true, 1, "Webhook returned false", ""},
		{"webhook", `{"pass":"true"}`, 200, false, 0, "", schemas.MalformedOutput},
		{"not-webhook", `{"score":1}`, 200, false, 0, "", schemas.MalformedOutput},
		{"webhook", `{"pass":true,"score":1.5}`, 200, false, 0, "", schemas.MalformedOutput},
		{"webhook", `<html>`, 200, false, 0, "", schemas.MalformedOutput},
		{"webhook", ``, 204, false, 0, "", schemas.MalformedOutput},
		{"not-webhook", `{"pass":false}`, 500, false, 0, "", schemas.Unavailable},
		{"webhook", `slow down`, 429, false, 0, "", schemas.RateLimited},
		{"webhook", `no`, 404, false, 0, "", schemas.Invalid},
		{"webhook", ``, 302, false, 0, "", schemas.Invalid},
	}
	for _, test := range tests {
		poster := &posted{status: test.status, answer: test.answer}
		output := grader.Output{Value: "Hello", Prompt: "Greet", Vars: map[string]any{"example": "text"}}
		got, err := grader.Grader{Poster: poster}.Judge(t.Context(), schemas.Assertion{Type: test.kind, Value: "https://example.com/hook"}, output)
		if (err != nil) != (test.code != "") || err != nil && schemas.CodeOf(err) != test.code {
			t.Errorf("%s %d %s: %v", test.kind, test.status, test.answer, err)
		}
		if got.Pass != test.pass || math.Abs(got.Score-test.score) > 1e-9 || got.Reason != test.reason {
			t.Errorf("%s %d %s: %v", test.kind, test.status, test.answer, got)
		}
		if poster.body != `{"context":{"prompt":"Greet","vars":{"example":"text"}},"output":"Hello"}` || poster.url != "https://example.com/hook" {
			t.Errorf("posted %s to %s", poster.body, poster.url)
		}
	}
	for _, value := range []any{nil, "", "example.com", "file:///etc/passwd", "https://", 7.0} {
		if _, err := (grader.Grader{Poster: &posted{status: 200}}).Judge(t.Context(), schemas.Assertion{Type: "webhook", Value: value}, grader.Output{}); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%v: %v", value, err)
		}
	}
	if _, err := (grader.Grader{}).Judge(t.Context(), schemas.Assertion{Type: "webhook", Value: "https://example.com"}, grader.Output{}); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("with nobody to post: %v", err)
	}
	if _, err := (grader.Grader{Poster: &posted{fails: schemas.Errorf(schemas.Deadline, "late")}}).Judge(t.Context(), schemas.Assertion{Type: "webhook", Value: "https://example.com"}, grader.Output{}); schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("when it is late: %v", err)
	}
}
