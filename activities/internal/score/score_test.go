package score_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestScore(t *testing.T) {
	t.Parallel()
	fine := "Assertion passed"
	tests := []struct {
		name      string
		assertion score.Assertion
		output    score.Output
		pass      bool
		score     float64
		reason    string
	}{
		{"number equals text", score.Assertion{Type: "equals", Value: 42.0}, score.Output{Value: "42"}, true, 1, fine},
		{"object equals whatever its order", score.Assertion{Type: "equals", Value: map[string]any{"a": 1, "b": "x"}}, score.Output{Value: `{"b":"x","a":1}`}, true, 1, fine},
		{"object is not prose", score.Assertion{Type: "not-equals", Value: map[string]any{"a": 1}}, score.Output{Value: "a is 1"}, true, 1, fine},
		{"ends with", score.Assertion{Type: "ends-with", Value: "."}, score.Output{Value: "Yes"}, false, 0, `Expected output to end with "."`},
		{"contains all of fields in quotes", score.Assertion{Type: "contains-all", Value: `"a, b", "say ""hi"""`}, score.Output{Value: `a, b and say "hi"`}, true, 1, fine},
		{"words exactly", score.Assertion{Type: "word-count", Value: 3}, score.Output{Value: " one two\nthree "}, true, 1, fine},
		{"words within", score.Assertion{Type: "word-count", Value: map[string]any{"min": 2, "max": 4}}, score.Output{Value: "one"}, false, 0, "Word count 1 is not between 2 and 4"},
		{"words above", score.Assertion{Type: "not-word-count", Value: map[string]any{"max": 4}}, score.Output{Value: "one"}, false, 0, "Expected word count to be greater than 4, but got 1"},
		{"required property", score.Assertion{Type: "is-json", Value: map[string]any{"required": []any{"a"}}}, score.Output{Value: "{}"}, false, 0, "JSON does not conform to the provided schema. Errors: data must have required property 'a'"},
		{"one of the values fits", score.Assertion{Type: "contains-json", Value: map[string]any{"required": []any{"a"}}}, score.Output{Value: `{"b":1} or {"a":1}`}, true, 1, fine},
		{"no value may fit", score.Assertion{Type: "not-contains-json", Value: map[string]any{"required": []any{"a"}}}, score.Output{Value: `{"b":1} or {"a":1}`}, false, 0, "Output contains JSON conforming to the provided schema"},
		{"XML without its end", score.Assertion{Type: "is-xml"}, score.Output{Value: "<a><b></a>"}, false, 0, "XML parsing failed: XML syntax error on line 1: element <b> closed by </a>"},
		{"XML lacks an element", score.Assertion{Type: "is-xml", Value: "a.b,a.c"}, score.Output{Value: "<a><b/></a>"}, false, 0, "XML is missing required elements: a.c"},
		{"HTML in prose", score.Assertion{Type: "contains-html"}, score.Output{Value: "Here: <p>text</p>"}, true, 1, fine},
		{"prose around HTML", score.Assertion{Type: "is-html"}, score.Output{Value: "Here: <p>text</p>"}, false, 0, "Output must be wrapped in HTML tags"},
		{"prose after what holds nothing", score.Assertion{Type: "is-html"}, score.Output{Value: "<br>text"}, false, 0, "Output must be wrapped in HTML tags"},
		{"HTML of an unknown kind", score.Assertion{Type: "is-html"}, score.Output{Value: "<value>text</value>"}, false, 0, "Output does not contain recognized HTML elements"},
		{"XML", score.Assertion{Type: "is-html"}, score.Output{Value: "<?xml version='1.0'?><p>text</p>"}, false, 0, "Output appears to be XML, not HTML"},
		{"not HTML", score.Assertion{Type: "not-is-html"}, score.Output{Value: " <p>text</p> "}, false, 0, "Output is valid HTML"},
		{"a custom element", score.Assertion{Type: "is-html"}, score.Output{Value: "<my-part>text</my-part>"}, true, 1, fine},
		{"a comment alone", score.Assertion{Type: "contains-html"}, score.Output{Value: "x <!-- y -->"}, false, 0, "Expected output to contain HTML content"},
		{"comparisons without spaces", score.Assertion{Type: "contains-html"}, score.Output{Value: "if (a<b) c<d and e>f"}, false, 0, "Expected output to contain HTML content"},
		{"all HTML", score.Assertion{Type: "is-html"}, score.Output{Value: "<p>text</p>\n<hr>"}, true, 1, fine},
		{"a comparison is no HTML", score.Assertion{Type: "contains-html"}, score.Output{Value: "a < b, and <thing> holds"}, false, 0, "Expected output to contain HTML content"},
		{"cosine", score.Assertion{Type: "similar", Value: "x"}, score.Output{Vector: []float64{1, 1}, Targets: [][]float64{{2, 2}}}, true, 1, "Similarity 1.00 is greater than or equal to threshold 0.75"},
		{"the nearest of several", score.Assertion{Type: "similar:dot", Value: []any{"x", "y"}, Threshold: new(3.0)}, score.Output{Vector: []float64{1, 1}, Targets: [][]float64{{0, 1}, {2, 2}}}, true, 4, "Similarity 4.00 is greater than or equal to threshold 3"},
		{"distance", score.Assertion{Type: "similar:euclidean", Value: "x", Threshold: new(1.0)}, score.Output{Vector: []float64{0, 0}, Targets: [][]float64{{3, 4}}}, false, 1.0 / 6, "Distance 5.00 is greater than threshold 1"},
		{"far enough", score.Assertion{Type: "not-similar:euclidean", Value: "x", Threshold: new(1.0)}, score.Output{Vector: []float64{0, 0}, Targets: [][]float64{{3, 4}}}, true, 5.0 / 6, "Distance 5.00 is greater than threshold 1"},
		{"perplexity", score.Assertion{Type: "perplexity", Threshold: new(1.5)}, score.Output{LogProbs: []float64{-math.Ln2, -math.Ln2}}, false, 0, "Perplexity 2.00 is greater than threshold 1.5"},
		{"perplexity score", score.Assertion{Type: "perplexity-score", Threshold: new(0.3)}, score.Output{LogProbs: []float64{-math.Ln2}}, true, 1.0 / 3, fine},
		{"cost", score.Assertion{Type: "cost", Threshold: new(0.001)}, score.Output{CostUSD: new(0.00234)}, false, 0, "Cost 0.0023 is greater than threshold 0.001"},
		{"cost as a metric", score.Assertion{Type: "cost", Metric: "usd"}, score.Output{CostUSD: new(0.00234)}, true, 0.00234, fine},
		{"slow enough", score.Assertion{Type: "not-latency", Threshold: new(10.0)}, score.Output{LatencyMS: new(10.0)}, false, 0, "Latency 10ms is less than or equal to threshold 10ms"},
		{"the provider refused", score.Assertion{Type: "is-refusal"}, score.Output{Value: "Fine.", Refused: true}, true, 1, "Provider reported a refusal"},
		{"finish", score.Assertion{Type: "finish-reason", Value: "STOP"}, score.Output{Finish: "stop"}, true, 1, fine},
		{"our words for finishing", score.Assertion{Type: "finish-reason", Value: "content_filter"}, score.Output{Finish: "filter"}, true, 1, fine},
		{"cut off", score.Assertion{Type: "finish-reason", Value: "stop"}, score.Output{Finish: "length"}, false, 0, `Expected finish reason to be "stop", but got "length"`},
		{"calls no tools", score.Assertion{Type: "not-finish-reason", Value: "tool_calls"}, score.Output{Finish: "tool"}, false, 0, `Expected finish reason not to be "tool_calls", but got "tool_calls"`},
		{"rouge-l", score.Assertion{Type: "rouge-l", Value: "police killed the gunman", Threshold: new(0.7)}, score.Output{Value: "police kill the gunman"}, true, 0.75, "ROUGE-L score 0.75 is greater than or equal to threshold 0.7"},
		{"word error rate", score.Assertion{Type: "word-error-rate", Value: "one two three four", Threshold: new(0.25)}, score.Output{Value: "one two three five"}, true, 0.75, fine},
		{"ndcg", score.Assertion{Type: "ndcg@2", Value: []any{"a"}, Threshold: new(0.7)}, score.Output{Retrieved: []string{"x", "a"}}, false, 1 / math.Log2(3), "ndcg score 0.6309 is less than threshold 0.7"},
		{"recall", score.Assertion{Type: "recall@1", Value: map[string]any{"a": 1, "b": 2, "c": 0}}, score.Output{Retrieved: []string{"b", "a"}}, true, 0.5, fine},
		{"precision", score.Assertion{Type: "precision@4", Value: []any{"a"}}, score.Output{Retrieved: []string{"a"}}, false, 0.25, "precision score 0.2500 is less than threshold 0.5"},
		{"mrr", score.Assertion{Type: "mrr", Value: []any{"a"}}, score.Output{Retrieved: []string{"x", "a"}}, true, 0.5, fine},
		{"map", score.Assertion{Type: "map", Value: []any{"a", "b"}, Threshold: new(0.8)}, score.Output{Retrieved: []string{"a", "x", "b"}}, true, 5.0 / 6, fine},
		{"json diff", score.Assertion{Type: "json-diff", Value: map[string]any{"a": 1.0}, Threshold: new(0.5)}, score.Output{Value: `{"a":2}`}, true, 2.0 / 3, fine},
		{"token F1", score.Assertion{Type: "token-f1", Value: "the cat"}, score.Output{Value: "A cat."}, true, 1, fine},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := score.Scorer{}.Score(t.Context(), test.assertion, test.output)
			if err != nil {
				t.Fatal(err)
			}
			if got.Pass != test.pass || math.Abs(got.Score-test.score) > 1e-9 || got.Reason != test.reason {
				t.Errorf("got %v %v %q", got.Pass, got.Score, got.Reason)
			}
			if got.Type != test.assertion.Type || got.Weight != 1 {
				t.Errorf("type %q, weight %v", got.Type, got.Weight)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		assertion score.Assertion
		output    score.Output
		message   string
	}{
		{score.Assertion{Type: "llm-rubric", Value: "kind"}, score.Output{}, `the assertion "llm-rubric" is not a type`},
		{score.Assertion{Type: "equals"}, score.Output{}, "needs a value"},
		{score.Assertion{Type: "contains", Value: ""}, score.Output{}, "not empty"},
		{score.Assertion{Type: "contains-any", Value: `"open`}, score.Output{}, "every quote closed"},
		{score.Assertion{Type: "regex", Value: "(?=x)"}, score.Output{}, "no look-around"},
		{score.Assertion{Type: "regex", Value: strings.Repeat("x", 5000)}, score.Output{}, "at most 4096 bytes"},
		{score.Assertion{Type: "is-json", Value: map[string]any{"type": "thing"}}, score.Output{Value: "{}"}, "JSON Schema that cannot be used"},
		{score.Assertion{Type: "is-json", Value: map[string]any{"$ref": "https://example.com/s"}}, score.Output{Value: "{}"}, "refer only to itself"},
		{score.Assertion{Type: "is-json", Value: 7.0}, score.Output{Value: "{}"}, "an object, true or false"},
		{score.Assertion{Type: "is-xml", Value: 7.0}, score.Output{}, "paths of required elements"},
		{score.Assertion{Type: "word-count", Value: map[string]any{"min": 5, "max": 2}}, score.Output{}, "min not above max"},
		{score.Assertion{Type: "levenshtein", Value: strings.Repeat("x", 1<<20)}, score.Output{Value: strings.Repeat("y", 1<<20)}, "at most 20000 bytes"},
		{score.Assertion{Type: "equals", Value: "x"}, score.Output{Value: strings.Repeat("y", 5<<20)}, "at most 4194304 bytes"},
		{score.Assertion{Type: "similar", Value: "x"}, score.Output{Vector: []float64{1}}, "needs embeddings"},
		{score.Assertion{Type: "similar", Value: "x"}, score.Output{Vector: []float64{1}, Targets: [][]float64{{1, 2}}}, "of one model"},
		{score.Assertion{Type: "perplexity"}, score.Output{}, "needs log probabilities"},
		{score.Assertion{Type: "perplexity"}, score.Output{LogProbs: []float64{math.Inf(-1)}}, "finite"},
		{score.Assertion{Type: "cost", Threshold: new(1.0)}, score.Output{}, "needs a cost that was measured"},
		{score.Assertion{Type: "latency"}, score.Output{LatencyMS: new(1.0)}, "needs a threshold"},
		{score.Assertion{Type: "finish-reason", Value: "stop"}, score.Output{}, "there is none for this output"},
		{score.Assertion{Type: "not-finish-reason"}, score.Output{Finish: "stop"}, "needs a value: stop"},
		{score.Assertion{Type: "ndcg", Value: []any{"a"}}, score.Output{}, "such as ndcg@10"},
		{score.Assertion{Type: "ndcg@0", Value: []any{"a"}}, score.Output{}, "from 1 to"},
		{score.Assertion{Type: "recall@1", Value: map[string]any{"a": 0.5}}, score.Output{}, "whole grades"},
		{score.Assertion{Type: "javascript", Value: "true"}, score.Output{}, "nothing here to run it"},
		{score.Assertion{Type: "equals", Value: "x", Weight: new(-1.0)}, score.Output{}, "not negative"},
		{score.Assertion{Type: "assert-set", Assert: make([]score.Assertion, 1001)}, score.Output{}, "at most 1000"},
	}
	for _, test := range tests {
		_, err := score.Scorer{}.Score(t.Context(), test.assertion, test.output)
		checkInvalid(t, err, test.message)
	}
}

func TestScoreAll(t *testing.T) {
	t.Parallel()
	yes := score.Assertion{Type: "contains", Value: "yes", Metric: "tone", Weight: new(3.0)}
	no := score.Assertion{Type: "contains", Value: "no", Metric: "tone"}
	silent := score.Assertion{Type: "word-count", Value: 9, Weight: new(0.0)}
	tests := []struct {
		name      string
		assert    []score.Assertion
		threshold *float64
		want      schemas.AssertionResult
	}{
		{name: "nothing to hold", want: schemas.AssertionResult{Pass: true, Score: 1, Reason: "No assertions"}},
		{name: "all hold", assert: []score.Assertion{yes}, want: schemas.AssertionResult{Pass: true, Score: 1, Reason: "All assertions passed", Named: map[string]float64{"tone": 1}}},
		{name: "one fails", assert: []score.Assertion{yes, no}, want: schemas.AssertionResult{Score: 0.75, Reason: `Expected output to contain "no"`, Named: map[string]float64{"tone": 0.75}}},
		{name: "the threshold decides", assert: []score.Assertion{yes, no}, threshold: new(0.75), want: schemas.AssertionResult{Pass: true, Score: 0.75, Reason: "Aggregate score 0.75 ≥ 0.75 threshold", Named: map[string]float64{"tone": 0.75}}},
		{name: "weight 0 fails nothing", assert: []score.Assertion{yes, silent}, want: schemas.AssertionResult{Pass: true, Score: 1, Reason: "All assertions passed", Named: map[string]float64{"tone": 1}}},
		{name: "a metric without weight", assert: []score.Assertion{yes, {Type: "contains", Value: "y", Metric: "shown", Weight: new(0.0)}}, want: schemas.AssertionResult{Pass: true, Score: 1, Reason: "All assertions passed", Named: map[string]float64{"tone": 1, "shown": 1}}},
		{name: "a set of weight 0 fails", assert: []score.Assertion{yes, {Type: "assert-set", Weight: new(0.0), Assert: []score.Assertion{no}}}, want: schemas.AssertionResult{Score: 1, Reason: `Expected output to contain "no"`, Named: map[string]float64{"tone": 1}}},
		{name: "a set in a set", assert: []score.Assertion{{Type: "assert-set", Assert: []score.Assertion{no}, Threshold: new(0.0)}}, want: schemas.AssertionResult{Score: 0, Pass: true, Reason: "All assertions passed", Named: map[string]float64{"tone": 0}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := score.Scorer{}.ScoreAll(t.Context(), test.assert, test.threshold, score.Output{Value: "yes"})
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Parts) != len(test.assert) {
				t.Errorf("%d parts of %d assertions", len(got.Parts), len(test.assert))
			}
			got.Parts, got.Type, got.Weight = nil, "", 0
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// said is an interpreter that returns what it is told to.
type said struct {
	value any
	fault string
}

func (s said) Run(context.Context, string, any, map[string]any) (any, string, error) {
	return s.value, s.fault, nil
}

func TestJavascriptResults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		said      said
		kind      string
		threshold *float64
		pass      bool
		score     float64
		reason    string
	}{
		{name: "true", said: said{value: true}, pass: true, score: 1, reason: "Assertion passed"},
		{name: "false", said: said{value: false}, reason: "Custom function returned false\ncode"},
		{name: "false turned round", said: said{value: false}, kind: "not-javascript", pass: true, score: 1, reason: "Assertion passed"},
		{name: "a number", said: said{value: 0.4}, pass: true, score: 0.4, reason: "Assertion passed"},
		{name: "below the threshold", said: said{value: 0.4}, threshold: new(0.5), score: 0.4, reason: "Custom function returned false\ncode"},
		{name: "an object", said: said{value: map[string]any{"pass": true, "score": 0.5, "reason": "why"}}, pass: true, score: 0.5, reason: "why"},
		{name: "half an object", said: said{value: map[string]any{"pass": true}}, reason: "Custom function must return a GradingResult object with pass (boolean), score (number) and reason (text)"},
		{name: "text", said: said{value: "yes"}, reason: "Custom function must return a boolean, number, or GradingResult object. Got: yes"},
		{name: "nothing", said: said{}, reason: "Custom function must return a boolean, number, or GradingResult object. Got: nothing. Code on several lines says its result with return"},
		{name: "a failing script never passes", said: said{fault: "it loops"}, kind: "not-javascript", reason: "Custom function threw error: it loops"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			kind := "javascript"
			if test.kind != "" {
				kind = test.kind
			}
			a := score.Assertion{Type: kind, Value: "code", Threshold: test.threshold}
			got, err := score.Scorer{Script: test.said}.Score(t.Context(), a, score.Output{})
			if err != nil {
				t.Fatal(err)
			}
			if got.Pass != test.pass || got.Score != test.score || got.Reason != test.reason {
				t.Errorf("got %v %v %q", got.Pass, got.Score, got.Reason)
			}
		})
	}
}

func TestTransform(t *testing.T) {
	t.Parallel()
	a := score.Assertion{Type: "equals", Value: "made", Transform: "code"}
	got, err := score.Scorer{Script: said{value: "made"}}.Score(t.Context(), a, score.Output{Value: "raw"})
	if err != nil || !got.Pass {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = score.Scorer{Script: said{fault: "broken"}}.Score(t.Context(), a, score.Output{Value: "made"})
	if err != nil || got.Pass || got.Reason != "Custom function threw error: broken" {
		t.Errorf("got %+v, %v", got, err)
	}
}
