package grader_test

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/schemas"
)

// recorded answers questions by their purpose, in turn, and remembers them.
type recorded struct {
	answers map[string][]string
	vectors [][]float64
	fails   error
	asked   []grader.Question
	embeds  [][]string
}

func (r *recorded) Ask(_ context.Context, q grader.Question, _ func(string) error) (string, error) {
	r.asked = append(r.asked, q)
	if r.fails != nil {
		return "", r.fails
	}
	list := r.answers[q.Purpose]
	if len(list) == 0 {
		return "", schemas.Errorf(schemas.Internal, "nothing is recorded for %s", q.Purpose)
	}
	r.answers[q.Purpose] = list[1:]
	return list[0], nil
}

func (r *recorded) Embed(_ context.Context, _ string, texts []string) ([][]float64, error) {
	r.embeds = append(r.embeds, texts)
	return r.vectors, nil
}

type answers = map[string][]string

const (
	statements = `{"statements": ["Paris is the capital.", "It has 9 million people."]}`
	half       = `{"findings": [{"number": 2, "reason": "not said", "supported": false}, {"number": 1, "reason": "first line", "supported": true}]}`
)

func one(purpose, answer string) answers { return answers{purpose: {answer}} }

func TestJudge(t *testing.T) {
	t.Parallel()
	rag := map[string]any{"query": "What is the capital?", "context": "Paris is the capital. France has great wine. The Eiffel Tower is in Paris."}
	chunks := map[string]any{"query": "Why RAG?", "context": []any{"one. and more", "two", "three", "the weather"}}
	gEval := func(scores ...string) answers {
		out := answers{}
		for _, s := range scores {
			out["g-eval-steps"] = append(out["g-eval-steps"], `{"steps": ["look", "judge"]}`)
			out["g-eval"] = append(out["g-eval"], `{"reason": "r`+s+`", "score": `+s+`}`)
		}
		return out
	}
	tests := []struct {
		name    string
		a       schemas.Assertion
		output  grader.Output
		answers answers
		vectors [][]float64
		pass    bool
		score   float64
		reason  string
	}{
		{"rubric passes", schemas.Assertion{Type: "llm-rubric", Value: "is kind"}, grader.Output{Value: "Dear you"}, one("llm-rubric", `{"reason":"warm","score":0.9,"pass":true}`), nil, true, 0.9, "warm"},
		{"rubric fails", schemas.Assertion{Type: "llm-rubric", Value: "is kind"}, grader.Output{Value: "Go"}, one("llm-rubric", `{"reason":"rude","score":0.2,"pass":false}`), nil, false, 0.2, "rude"},
		{"pass alone decides without a threshold", schemas.Assertion{Type: "llm-rubric", Value: "x"}, grader.Output{}, one("llm-rubric", `{"reason":"","score":0,"pass":true}`), nil, true, 0, ""},
		{"both must hold with one", schemas.Assertion{Type: "llm-rubric", Value: "x", Threshold: new(0.8)}, grader.Output{}, one("llm-rubric", `{"reason":"so so","score":0.7,"pass":true}`), nil, false, 0.7, "Score 0.7 is below threshold 0.8: so so"},
		{"a score does not mend a fail", schemas.Assertion{Type: "llm-rubric", Value: "x", Threshold: new(0.5)}, grader.Output{}, one("llm-rubric", `{"reason":"no","score":0.9,"pass":false}`), nil, false, 0.9, "no"},
		{"not", schemas.Assertion{Type: "not-llm-rubric", Value: "x"}, grader.Output{}, one("llm-rubric", `{"reason":"no","score":0.25,"pass":false}`), nil, true, 0.75, "no"},
		{"not with a threshold", schemas.Assertion{Type: "not-llm-rubric", Value: "x", Threshold: new(0.5)}, grader.Output{}, one("llm-rubric", `{"reason":"yes","score":0.75,"pass":true}`), nil, false, 0.25, "yes"},
		{"a fence around it", schemas.Assertion{Type: "llm-rubric", Value: "x"}, grader.Output{}, one("llm-rubric", "```json\n{\"reason\":\"r\",\"score\":1,\"pass\":true}\n```\n"), nil, true, 1, "r"},
		{"a rubric that is an object", schemas.Assertion{Type: "llm-rubric", Value: map[string]any{"tone": "warm"}}, grader.Output{}, one("llm-rubric", `{"score":1,"pass":true}`), nil, true, 1, ""},
		{"closed question", schemas.Assertion{Type: "model-graded-closedqa", Value: "is short"}, grader.Output{Value: "Yes."}, one("model-graded-closedqa", `{"reason":"one word","pass":true}`), nil, true, 1, "one word"},
		{"closed question, not", schemas.Assertion{Type: "not-model-graded-closedqa", Value: "is short"}, grader.Output{Value: "Yes."}, one("model-graded-closedqa", `{"reason":"one word","pass":true}`), nil, false, 0, "one word"},
		{"subset", schemas.Assertion{Type: "factuality", Value: "ref"}, grader.Output{Value: "out"}, one("factuality", `{"reason":"less","category":"A"}`), nil, true, 1, "the output is a subset of the reference, and consistent with it: less"},
		{"disagree", schemas.Assertion{Type: "model-graded-factuality", Value: "ref"}, grader.Output{Value: "out"}, one("factuality", `{"reason":"wrong year","category":"D"}`), nil, false, 0, "the output disagrees with the reference: wrong year"},
		{"scores of categories", schemas.Assertion{Type: "factuality", Value: "ref", Config: json.RawMessage(`{"factuality":{"superset":0.6}}`)}, grader.Output{}, one("factuality", `{"reason":"","category":"b"}`), nil, true, 0.6, "the output is a superset of the reference, and consistent with it"},
		{"a category that scores nothing", schemas.Assertion{Type: "factuality", Value: "ref", Config: json.RawMessage(`{"factuality":{"differButFactual":0}}`)}, grader.Output{}, one("factuality", `{"reason":"","category":"E"}`), nil, false, 0, "the output differs from the reference in nothing that matters to the facts"},
		{"factuality with a threshold", schemas.Assertion{Type: "factuality", Value: "ref", Threshold: new(0.7), Config: json.RawMessage(`{"factuality":{"subset":0.6}}`)}, grader.Output{}, one("factuality", `{"reason":"","category":"A"}`), nil, false, 0.6, "the output is a subset of the reference, and consistent with it"},
		{"g-eval", schemas.Assertion{Type: "g-eval", Value: "is clear"}, grader.Output{Value: "x"}, gEval("7"), nil, true, 0.7, "Score 0.70 is >= 0.7: r7"},
		{"g-eval over several", schemas.Assertion{Type: "g-eval", Value: []any{"is clear", "is short"}}, grader.Output{Value: "x"}, gEval("8", "5"), nil, false, 0.65, "Score 0.65 is < 0.7: r8\n\nr5"},
		{"not g-eval passes below", schemas.Assertion{Type: "not-g-eval", Value: "leaks"}, grader.Output{Value: "x"}, gEval("1"), nil, true, 0.9, "Score 0.10 is < 0.7: r1"},
		{"answer relevance", schemas.Assertion{Type: "answer-relevance", Threshold: new(0.6)}, grader.Output{Value: "Paris", Prompt: "Capital?"}, one("answer-relevance", `{"questions":["a","b","c"]}`), [][]float64{{1, 0}, {2, 0}, {1, 0}, {0, 1}}, true, 2.0 / 3, "Relevance 0.67 is greater than threshold 0.6"},
		{"answer relevance of nothing", schemas.Assertion{Type: "answer-relevance", Threshold: new(0.1)}, grader.Output{Value: " ", Prompt: "Capital?"}, nil, nil, false, 0, "Relevance 0.00 is less than threshold 0.1, because the output is empty"},
		{"a threshold of 0 is the default", schemas.Assertion{Type: "context-recall", Value: "Paris is the capital."}, grader.Output{Vars: rag}, one("context-recall", `{"findings":[{"number":1,"reason":"","supported":false}]}`), nil, true, 0, "Recall 0.00 is >= 0: not supported: Paris is the capital."},
		{"recall", schemas.Assertion{Type: "context-recall", Value: "Paris is the capital. It has 9 million people.", Threshold: new(0.9)}, grader.Output{Vars: rag}, one("context-recall", half), nil, false, 0.5, "Recall 0.50 is < 0.9: not supported: It has 9 million people."},
		{"relevance by sentences", schemas.Assertion{Type: "context-relevance", Threshold: new(0.3)}, grader.Output{Vars: rag}, one("context-relevance", `{"reason":"the first says it","needed":[1]}`), nil, true, 1.0 / 3, "Relevance 0.33 is >= 0.3: the first says it"},
		{"relevance by chunks", schemas.Assertion{Type: "context-relevance", Threshold: new(0.8)}, grader.Output{Vars: chunks}, one("context-relevance", `{"reason":"","needed":[1,2,3]}`), nil, false, 0.75, "Relevance 0.75 is < 0.8"},
		{"relevance, nothing needed", schemas.Assertion{Type: "not-context-relevance", Threshold: new(0.3)}, grader.Output{Vars: rag}, one("context-relevance", `{"reason":"","needed":[]}`), nil, true, 1, "Relevance 0.00 is < 0.3"},
		{"faithfulness", schemas.Assertion{Type: "context-faithfulness", Threshold: new(0.5)}, grader.Output{Value: "Paris, 9 million.", Vars: rag}, answers{"context-faithfulness-statements": {statements}, "context-faithfulness": {half}}, nil, true, 0.5, "Faithfulness 0.50 is >= 0.5: not supported: It has 9 million people."},
		{"faithfulness of no claim", schemas.Assertion{Type: "context-faithfulness", Threshold: new(0.9)}, grader.Output{Value: "I cannot say.", Vars: rag}, one("context-faithfulness-statements", `{"statements":[]}`), nil, true, 1, "Faithfulness 1.00 is >= 0.9: the output states nothing that could be unfaithful"},
		{"faithfulness of nothing", schemas.Assertion{Type: "context-faithfulness", Threshold: new(0.9)}, grader.Output{Vars: rag}, nil, nil, false, 0, "Faithfulness 0.00 is < 0.9: the output is empty"},
		{"a context that was retrieved", schemas.Assertion{Type: "context-recall", Value: "Paris is the capital."}, grader.Output{Context: []string{"Paris is the capital."}}, one("context-recall", `{"findings":[{"number":1,"reason":"","supported":true}]}`), nil, true, 1, "Recall 1.00 is >= 0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			asker := &recorded{answers: test.answers, vectors: test.vectors}
			got, err := grader.Grader{Asker: asker}.Judge(t.Context(), test.a, test.output)
			if err != nil {
				t.Fatal(err)
			}
			if got.Pass != test.pass || math.Abs(got.Score-test.score) > 1e-9 || got.Reason != test.reason {
				t.Errorf("got %v %v %q", got.Pass, got.Score, got.Reason)
			}
			if got.Type != test.a.Type || got.Weight != 1 {
				t.Errorf("type %q, weight %v", got.Type, got.Weight)
			}
			for purpose, left := range test.answers {
				if len(left) > 0 {
					t.Errorf("%d answers of %s were not asked for", len(left), purpose)
				}
			}
		})
	}
}

// TestMalformed gives every assertion answers that cannot be read: none may pass or fail.
func TestMalformed(t *testing.T) {
	t.Parallel()
	prose := []string{"", "  \n", "I think that it is fine.", "null", "[]", "7", `"pass"`, "{", `{"pass": true,`, `{}`, "Yes: {\"pass\": true, \"score\": 1, \"category\": \"A\", \"reason\": \"\"}", `{"pass":true,"score":1,"category":"A"} {"pass":false}`}
	recall := schemas.Assertion{Type: "context-recall", Value: "One. Two."}
	tests := []struct {
		a       schemas.Assertion
		purpose string
		answers []string
	}{
		{schemas.Assertion{Type: "llm-rubric", Value: "x"}, "llm-rubric", []string{`{"reason":"r","pass":true}`, `{"reason":"r","score":1}`, `{"score":1.2,"pass":true}`, `{"score":-0.1,"pass":true}`, `{"score":"1","pass":true}`, `{"score":1,"pass":"true"}`, `{"score":null,"pass":true}`, `{"score":1e999,"pass":true}`, `{"score":1,"pass":false,"pass":true}`}},
		{schemas.Assertion{Type: "not-llm-rubric", Value: "x", RubricPrompt: "Judge {{output}}"}, "llm-rubric", []string{`{"score":3,"pass":true}`}},
		{schemas.Assertion{Type: "model-graded-closedqa", Value: "x"}, "model-graded-closedqa", []string{`{"reason":"Y"}`, `{"pass":1}`}},
		{schemas.Assertion{Type: "factuality", Value: "x"}, "factuality", []string{`{"category":"F"}`, `{"category":""}`, `{"category":"A or B"}`, `{"reason":"A"}`}},
		{schemas.Assertion{Type: "g-eval", Value: "x"}, "g-eval-steps", []string{`{"steps":[]}`, `{"steps":[""]}`, `{"steps":"look"}`}},
		{schemas.Assertion{Type: "g-eval", Value: "x"}, "g-eval", []string{`{"score":11}`, `{"score":-1}`, `{"reason":"10"}`}},
		{schemas.Assertion{Type: "answer-relevance"}, "answer-relevance", []string{`{"questions":["a","b"]}`, `{"questions":["a","b","c","d"]}`, `{"questions":["a","b"," "]}`}},
		{recall, "context-recall", []string{`{"findings":[{"number":1,"supported":true}]}`, `{"findings":[{"number":1,"supported":true},{"number":1,"supported":true}]}`, `{"findings":[{"number":1,"supported":true},{"number":3,"supported":true}]}`, `{"findings":[{"number":1},{"number":2,"supported":true}]}`, `{"findings":[]}`}},
		{schemas.Assertion{Type: "context-relevance"}, "context-relevance", []string{`{"needed":[0]}`, `{"needed":[3]}`, `{"needed":[1,1]}`, `{"needed":"all"}`}},
		{schemas.Assertion{Type: "context-faithfulness"}, "context-faithfulness-statements", []string{`{"statements":[""]}`, `{"statements":"one"}`}},
		{schemas.Assertion{Type: "context-faithfulness"}, "context-faithfulness", []string{`{"findings":[{"number":1,"supported":true}]}`}},
	}
	for _, test := range tests {
		for _, answer := range append(test.answers, prose...) {
			asker := &recorded{answers: answers{"g-eval-steps": {`{"steps":["look"]}`}, "context-faithfulness-statements": {statements}}}
			asker.answers[test.purpose] = []string{answer}
			output := grader.Output{Value: "out", Prompt: "question", Vars: map[string]any{"context": "One. Two."}}
			got, err := grader.Grader{Asker: asker, Render: render}.Judge(t.Context(), test.a, output)
			if err == nil {
				t.Errorf("%s: %q came to %v %v", test.a.Type, answer, got.Pass, got.Score)
				continue
			}
			begins := strings.TrimSpace(answer) == "" || strings.Contains(schemas.SafeMessage(err), strings.Trim(jsonOf(answer), `"`))
			if schemas.CodeOf(err) != schemas.MalformedOutput || !begins {
				t.Errorf("%s: %q: %s: %v", test.a.Type, answer, schemas.CodeOf(err), err)
			}
		}
	}
}

func render(template string, names map[string]any) (string, error) {
	for name, value := range names {
		if text, ok := value.(string); ok {
			template = strings.ReplaceAll(template, "{{"+name+"}}", text)
		}
		if list, ok := value.([]any); ok {
			parts := make([]string, len(list))
			for i := range list {
				parts[i], _ = list[i].(string)
			}
			template = strings.ReplaceAll(template, "{{"+name+"}}", strings.Join(parts, ","))
		}
	}
	return template, nil
}

func jsonOf(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v)
	return strings.TrimSuffix(b.String(), "\n")
}

func TestReask(t *testing.T) {
	t.Parallel()
	good := `{"reason":"r","score":1,"pass":true}`
	asker := &recorded{answers: answers{"llm-rubric": {"Well …", good}}}
	got, err := grader.Grader{Asker: asker, Reasks: 1}.Judge(t.Context(), schemas.Assertion{Type: "llm-rubric", Value: "x", Provider: "model:judge"}, grader.Output{Value: "o"})
	if err != nil || !got.Pass {
		t.Fatalf("%v, %v", got, err)
	}
	again := asker.asked[1].Messages
	if len(again) != 4 || again[2] != (grader.Message{Role: "assistant", Text: "Well …"}) || !strings.Contains(again[3].Text, "not a JSON object") {
		t.Errorf("asked again with %v", again)
	}
	if asker.asked[1].Grader != "model:judge" || len(asker.asked[0].Messages) != 2 {
		t.Errorf("asked %v", asker.asked)
	}
	twice := &recorded{answers: answers{"llm-rubric": {"Well …", "Hm …", good}}}
	if _, err := (grader.Grader{Asker: twice, Reasks: 1}).Judge(t.Context(), schemas.Assertion{Type: "llm-rubric", Value: "x"}, grader.Output{}); schemas.CodeOf(err) != schemas.MalformedOutput || len(twice.asked) != 2 {
		t.Errorf("after %d questions: %v", len(twice.asked), err)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a       schemas.Assertion
		output  grader.Output
		message string
	}{
		{schemas.Assertion{Type: "contains", Value: "x"}, grader.Output{}, "is not judged by a model"},
		{schemas.Assertion{Type: "similar", Value: "x"}, grader.Output{}, "is not judged by a model"},
		{schemas.Assertion{Type: "llm-rubric"}, grader.Output{}, "needs a value"},
		{schemas.Assertion{Type: "llm-rubric", Value: " "}, grader.Output{}, "needs a value"},
		{schemas.Assertion{Type: "llm-rubric", Value: "x"}, grader.Output{Value: strings.Repeat("x", 2<<20)}, "at most 1048576 bytes"},
		{schemas.Assertion{Type: "llm-rubric", Value: "x", Weight: new(-1.0)}, grader.Output{}, "not negative"},
		{schemas.Assertion{Type: "llm-rubric", RubricPrompt: "{{output}}"}, grader.Output{}, "nothing here to render it"},
		{schemas.Assertion{Type: "g-eval", Value: []any{}}, grader.Output{}, "needs a value"},
		{schemas.Assertion{Type: "factuality", Value: "x", Config: json.RawMessage(`{"factuality":{"subset":2}}`)}, grader.Output{}, "numbers from 0 to 1"},
		{schemas.Assertion{Type: "factuality", Value: "x", Config: json.RawMessage(`{"factuality":{"agreed":1}}`)}, grader.Output{}, "factuality.agreed"},
		{schemas.Assertion{Type: "factuality", Value: "x", Config: json.RawMessage(`{"factuality":"high"}`)}, grader.Output{}, "not numbers"},
		{schemas.Assertion{Type: "context-recall", Value: "x"}, grader.Output{Vars: map[string]any{"context": " "}}, "needs a context"},
		{schemas.Assertion{Type: "context-relevance"}, grader.Output{Vars: map[string]any{"context": "x"}}, "needs a question"},
		{schemas.Assertion{Type: "answer-relevance"}, grader.Output{Value: "x"}, "needs a question"},
	}
	for _, test := range tests {
		weightless := &recorded{answers: one("llm-rubric", `{"score":1,"pass":true}`)}
		_, err := grader.Grader{Asker: weightless}.Judge(t.Context(), test.a, test.output)
		if schemas.CodeOf(err) != schemas.Invalid || !strings.Contains(schemas.SafeMessage(err), test.message) {
			t.Errorf("%s: %v", test.a.Type, err)
		}
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	t.Parallel()
	asker := &recorded{fails: schemas.Errorf(schemas.RateLimited, "later")}
	_, err := grader.Grader{Asker: asker}.Judge(t.Context(), schemas.Assertion{Type: "not-g-eval", Value: "x"}, grader.Output{})
	if schemas.CodeOf(err) != schemas.RateLimited {
		t.Errorf("got %v", err)
	}
}

func TestWeightOfZeroIsKept(t *testing.T) {
	t.Parallel()
	asker := &recorded{answers: one("llm-rubric", `{"score":1,"pass":true}`)}
	got, err := grader.Grader{Asker: asker}.Judge(t.Context(), schemas.Assertion{Type: "llm-rubric", Value: "x", Weight: new(0.0), Metric: "tone"}, grader.Output{})
	want := schemas.AssertionResult{Type: "llm-rubric", Metric: "tone", Pass: true, Score: 1}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	for name, vectors := range map[string][][]float64{
		"too few": {{1, 2}}, "of no dimension": {{}, {}}, "of two lengths": {{1, 2}, {1}}, "not finite": {{1, 2}, {1, math.NaN()}},
	} {
		if _, err := grader.Embed(t.Context(), &recorded{vectors: vectors}, "", []string{"a", "b"}); schemas.CodeOf(err) != schemas.MalformedOutput {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := grader.Embed(t.Context(), &recorded{vectors: [][]float64{{1, 2}, {0, 0}}}, "", []string{"a", "b"}); err != nil || len(got) != 2 {
		t.Errorf("got %v, %v", got, err)
	}
}
