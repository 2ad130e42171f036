package evaluate_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/evaluate"
	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/activities/internal/script"
	"github.com/tenuto-dev/tenuto/schemas"
)

// oracle answers graders by purpose, and embeds a text as how often it has the letters a and b.
type oracle struct {
	answers map[string]string
	fails   error
	asked   []grader.Question
}

func (o *oracle) Ask(_ context.Context, q grader.Question, _ func(string) error) (string, error) {
	o.asked = append(o.asked, q)
	return o.answers[q.Purpose], o.fails
}

func (o *oracle) Embed(_ context.Context, _ string, texts []string) ([][]float64, error) {
	out := make([][]float64, len(texts))
	for i, text := range texts {
		out[i] = []float64{float64(strings.Count(text, "a")), float64(strings.Count(text, "b"))}
	}
	return out, o.fails
}

func scoring(o *oracle) evaluate.Scoring {
	return evaluate.Scoring{Scorer: score.Scorer{Script: script.Engine{}}, Grader: grader.Grader{Asker: o}}
}

func answerOf(output any) schemas.CellAnswer {
	data, _ := json.Marshal(output)
	return schemas.CellAnswer{Output: data}
}

const kind = `{"reason":"warm","score":0.75,"pass":true}`

func TestAssert(t *testing.T) {
	t.Parallel()
	rubric := schemas.Assertion{Type: "llm-rubric", Value: "is kind"}
	contains := schemas.Assertion{Type: "contains", Value: "x"}
	recall := schemas.Assertion{Type: "context-recall", Value: "One."}
	held := map[string]string{"llm-rubric": kind, "context-recall": `{"findings":[{"number":1,"reason":"","supported":true}]}`}
	weighed := func(a schemas.Assertion, w float64) schemas.Assertion { a.Weight = &w; return a }
	measured := answerOf("x")
	measured.LatencyMS, measured.Cost, measured.Finish, measured.Retrieved = new(5.0), schemas.Cost{USD: 0.25}, "length", []string{"d1", "d2"}
	measured.Context = []string{"One.", "Two."}
	tests := []struct {
		name   string
		cell   schemas.EvalCell
		answer schemas.CellAnswer
		pass   bool
		score  float64
		parts  int
		reason string
	}{
		{"none", schemas.EvalCell{}, answerOf("x"), true, 1, 0, "No assertions"},
		{"both kinds", schemas.EvalCell{Assertions: []schemas.Assertion{rubric, contains}}, answerOf("x"), true, 0.875, 2, "All assertions passed"},
		{"one fails", schemas.EvalCell{Assertions: []schemas.Assertion{rubric, contains}}, answerOf("y"), false, 0.375, 2, `Expected output to contain "x"`},
		{"weights", schemas.EvalCell{Assertions: []schemas.Assertion{weighed(rubric, 0), weighed(contains, 3)}}, answerOf("x"), true, 1, 2, "All assertions passed"},
		{"a weight of 0 that fails", schemas.EvalCell{Assertions: []schemas.Assertion{rubric, weighed(contains, 0)}, Threshold: new(0.7)}, answerOf("y"), true, 0.75, 2, "Aggregate score 0.75 ≥ 0.7 threshold"},
		{"threshold", schemas.EvalCell{Assertions: []schemas.Assertion{rubric, contains}, Threshold: new(0.9)}, answerOf("x"), false, 0.875, 2, "Aggregate score 0.88 < 0.9 threshold"},
		{"set", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "assert-set", Threshold: new(0.3), Weight: new(2.0), Assert: []schemas.Assertion{rubric, contains}}, contains}}, answerOf("x"), true, (2*0.875 + 1) / 3, 2, "All assertions passed"},
		{"set without its threshold", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "assert-set", Threshold: new(0.4), Assert: []schemas.Assertion{rubric, contains}}}}, answerOf("y"), false, 0.375, 1, "Aggregate score 0.38 < 0.4 threshold"},
		{"comparisons come later", schemas.EvalCell{Assertions: []schemas.Assertion{contains, {Type: "select-best", Value: "x"}, {Type: "not-battle"}, {Type: "max-score"}}}, answerOf("x"), true, 1, 1, "All assertions passed"},
		{"transforms in their order", schemas.EvalCell{Transform: []string{"JSON.parse(output)", "output.a + '!'"}, Assertions: []schemas.Assertion{{Type: "equals", Value: "x!"}}}, answerOf(`{"a":"x"}`), true, 1, 1, "All assertions passed"},
		{"a transform that fails", schemas.EvalCell{Transform: []string{"JSON.parse(output).a"}, Assertions: []schemas.Assertion{contains}}, answerOf("x"), false, 0, 1, "The transform JSON.parse(output).a threw error: "},
		{"a transform of a graded one", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "llm-rubric", Value: "v", Transform: "output.a.b.c"}}}, answerOf("x"), false, 0, 1, "The transform output.a.b.c threw error: "},
		{"cost, latency, finish, ranking", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "cost", Threshold: new(0.3)}, {Type: "latency", Threshold: new(6.0)}, {Type: "finish-reason", Value: "length"}, {Type: "recall@1", Value: []any{"d1"}}}}, measured, true, 1, 4, "All assertions passed"},
		{"scripts see what was retrieved", schemas.EvalCell{Vars: json.RawMessage(`{"n":2}`), Assertions: []schemas.Assertion{{Type: "javascript", Value: "context.metadata.retrieved.length === context.vars.n && context.metadata.retrieved[1].content === 'Two.'"}}}, measured, true, 1, 1, "All assertions passed"},
		{"a refusal is of the output that is judged", schemas.EvalCell{Transform: []string{"'fine'"}, Assertions: []schemas.Assertion{{Type: "not-is-refusal"}}}, schemas.CellAnswer{Output: json.RawMessage(`"no"`), Refused: true}, true, 1, 1, "All assertions passed"},
		{"similar", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "similar", Value: []any{"bbb", "aaa"}}}}, answerOf("a"), true, 1, 1, "All assertions passed"},
		{"not similar", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "not-similar", Value: "bb"}}}, answerOf("a"), true, 1, 1, "All assertions passed"},
		{"similar by distance", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "similar:euclidean", Value: "aa", Threshold: new(1.0), Transform: "output.a"}}}, answerOf(map[string]any{"a": "a"}), true, 0.5, 1, "All assertions passed"},
		{"nothing is similar to nothing", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "similar", Value: "a", Threshold: new(-1.0)}}}, answerOf(" "), false, 0, 1, "The output is empty, and nothing is similar to that"},
		{"the context that was retrieved", schemas.EvalCell{Assertions: []schemas.Assertion{recall}}, measured, true, 1, 1, "All assertions passed"},
		{"a context out of the output", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "context-recall", Value: "One.", Transform: "output.answer", ContextTransform: "output.sources"}}}, answerOf(map[string]any{"answer": "a", "sources": []string{"One.", ""}}), true, 1, 1, "All assertions passed"},
		{"no context in the output", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "context-recall", Value: "One.", ContextTransform: "output.sources"}}}, answerOf(map[string]any{"answer": "a"}), false, 0, 1, "contextTransform must return a text, or a list of texts. Got: "},
		{"an empty context", schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "not-context-recall", Value: "One.", ContextTransform: "[' ']"}}}, answerOf("a"), false, 0, 1, "contextTransform found no text in the output"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := scoring(&oracle{answers: held}).Assert(t.Context(), test.cell, test.answer)
			if err != nil {
				t.Fatal(err)
			}
			if got.Pass != test.pass || math.Abs(got.Score-test.score) > 1e-9 || len(got.Parts) != test.parts || !strings.HasPrefix(got.Reason, test.reason) {
				t.Errorf("got %v %v %q, %d parts", got.Pass, got.Score, got.Reason, len(got.Parts))
			}
			for i, part := range got.Parts {
				if part.Type == "" || part.Type != "transform" && len(test.cell.Assertions) == len(got.Parts) && part.Type != test.cell.Assertions[i].Type {
					t.Errorf("part %d has the type %q", i, part.Type)
				}
			}
		})
	}
}

// TestAssertErrors holds that what cannot be judged is never a result, whatever the other assertions say.
func TestAssertErrors(t *testing.T) {
	t.Parallel()
	late := &schemas.Error{Code: schemas.RateLimited, Message: "later", RetryAfter: time.Minute}
	tests := []struct {
		name    string
		a       schemas.Assertion
		oracle  oracle
		code    schemas.Code
		message string
	}{
		{"prose", schemas.Assertion{Type: "llm-rubric", Value: "x"}, oracle{answers: map[string]string{"llm-rubric": "It is kind."}}, schemas.MalformedOutput, "assertion 2, llm-rubric: "},
		{"prose of not", schemas.Assertion{Type: "not-llm-rubric", Value: "x"}, oracle{answers: map[string]string{"llm-rubric": ""}}, schemas.MalformedOutput, "assertion 2, not-llm-rubric: "},
		{"a set", schemas.Assertion{Type: "assert-set", Threshold: new(0.0), Assert: []schemas.Assertion{{Type: "llm-rubric", Value: "x"}}}, oracle{}, schemas.MalformedOutput, "assertion 2, assert-set: assertion 1, llm-rubric: "},
		{"a limit", schemas.Assertion{Type: "llm-rubric", Value: "x"}, oracle{fails: late}, schemas.RateLimited, "later"},
		{"embeddings", schemas.Assertion{Type: "not-similar", Value: "x"}, oracle{fails: late}, schemas.RateLimited, "later"},
		{"similar to nothing", schemas.Assertion{Type: "similar", Value: []any{"x", ""}}, oracle{}, schemas.Invalid, "none of them empty"},
		{"a comparison in a set", schemas.Assertion{Type: "assert-set", Assert: []schemas.Assertion{{Type: "battle"}}}, oracle{}, schemas.Invalid, "beside the set"},
		{"cost that nobody measured", schemas.Assertion{Type: "cost", Threshold: new(1.0)}, oracle{}, schemas.Invalid, "a cost that was measured"},
		{"an unknown type", schemas.Assertion{Type: "vibe"}, oracle{}, schemas.Invalid, "is not a type"},
		{"a webhook with nobody to post", schemas.Assertion{Type: "webhook", Value: "https://example.com"}, oracle{}, schemas.Invalid, "nothing here to do it"},
	}
	for _, test := range tests {
		cell := schemas.EvalCell{Assertions: []schemas.Assertion{{Type: "contains", Value: "x"}, test.a}, Threshold: new(0.1)}
		got, err := scoring(&test.oracle).Assert(t.Context(), cell, answerOf("x"))
		if schemas.CodeOf(err) != test.code || !strings.Contains(schemas.SafeMessage(err), test.message) || got.Pass {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
		if coded, ok := err.(*schemas.Error); test.code == schemas.RateLimited && (!ok || coded.RetryAfter != time.Minute) { //nolint:errorlint // the outermost is meant
			t.Errorf("%s: the time to wait is lost: %v", test.name, err)
		}
	}
	if _, err := (evaluate.Scoring{}).Assert(t.Context(), schemas.EvalCell{Transform: []string{"output"}}, answerOf("x")); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("without an interpreter: %v", err)
	}
	if _, err := scoring(&oracle{}).Assert(t.Context(), schemas.EvalCell{}, schemas.CellAnswer{Output: json.RawMessage("{")}); schemas.CodeOf(err) != schemas.Internal {
		t.Errorf("of a damaged answer: %v", err)
	}
}

// TestVariableBeforeRetrieved holds that a case's own context is what counts, where it has one.
func TestVariableBeforeRetrieved(t *testing.T) {
	t.Parallel()
	o := &oracle{answers: map[string]string{"context-recall": `{"findings":[{"number":1,"supported":false}]}`}}
	answer := answerOf("x")
	answer.Context = []string{"retrieved"}
	cell := schemas.EvalCell{Vars: json.RawMessage(`{"context":"written"}`), Assertions: []schemas.Assertion{{Type: "context-recall", Value: "One."}}}
	if _, err := scoring(o).Assert(t.Context(), cell, answer); err != nil {
		t.Fatal(err)
	}
	if text := o.asked[0].Messages[1].Text; !strings.Contains(text, "written") || strings.Contains(text, "retrieved") {
		t.Errorf("asked %s", text)
	}
}

func TestContender(t *testing.T) {
	t.Parallel()
	cell := schemas.EvalCell{Transform: []string{"JSON.parse(output).a"}, Input: "ask", Vars: json.RawMessage(`{"v":1}`)}
	results := []schemas.AssertionResult{{Type: "contains", Score: 1}}
	got, err := scoring(&oracle{}).Contender(t.Context(), cell, answerOf(`{"a":"x"}`), results)
	if err != nil || got.Output.Value != "x" || got.Output.Prompt != "ask" || got.Output.Vars["v"] != 1.0 || len(got.Results) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := scoring(&oracle{}).Contender(t.Context(), cell, answerOf("x"), nil); err != nil || got.Output.Value != nil {
		t.Errorf("of a transform that fails: %v, %v", got, err)
	}
}
