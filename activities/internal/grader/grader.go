// Package grader judges outputs by asking a model: it puts the questions of promptfoo's model-graded assertions, reads the answers strictly,
// and makes results of them (https://www.promptfoo.dev/docs/configuration/expected-outputs/model-graded).
//
// It makes no call itself: whoever asks for a judgement answers the questions, so that each can be a recorded, limited and priced run. What is
// judged reaches the grader as JSON strings in one object, whose quotes no text can close, and the grader is told that it is material and no
// instruction. An answer is read whole or not at all: JSON that stands within prose may be a quotation from the material, so it is no verdict.
// What cannot be read is an error, never a pass or a fail.
package grader

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Message is one turn of a question.
type Message struct {
	Role string `json:"role"` // system, user or assistant
	Text string `json:"text"`
}

// Question is asked of a grader's model. Equal questions want the same answer, so its JSON can be a part of the call's identity.
type Question struct {
	Grader   string          `json:"grader,omitempty"` // as a suite spells providers; empty is the suite's own
	Purpose  string          `json:"purpose"`          // such as llm-rubric, or g-eval-steps
	Messages []Message       `json:"messages"`
	Schema   json.RawMessage `json:"schema"` // JSON Schema of the answer; it uses nothing but types, enumerations and required properties
	Shared   bool            `json:"-"`      // it says nothing of what is judged: one answer serves all that ask it of the same model
}

// Asker answers questions. Implemented over runs of chains by activities/evaluate, and by recorded answers in tests. Errors keep their codes.
type Asker interface {
	// Ask returns what the model said: the whole text, not JSON that was found within it. Usable says why an answer cannot be read: one that was
	// recorded for somebody before, and cannot be, is asked for anew.
	Ask(ctx context.Context, q Question, usable func(answer string) error) (string, error)
	// Embed returns the vectors of texts, in their order. Grader is a model of embeddings, as a suite spells providers; empty is the suite's own.
	Embed(ctx context.Context, grader string, texts []string) ([][]float64, error)
}

// Output is what is judged.
type Output struct {
	Value   any            // a string, or what JSON can say; nil if there was none
	Vars    map[string]any // of the case
	Prompt  string         // as it was sent
	Context []string       // texts that the output should rest upon, best first; nil takes the variable `context`
}

// Grader judges. All fields but Render and Post are needed by every assertion that asks.
type Grader struct {
	Asker  Asker
	Render func(template string, names map[string]any) (string, error) // of prompts that a suite wrote itself
	Poster Poster                                                      // of webhooks
	Reasks int                                                         // how often a grader whose answer cannot be read is told so and asked again
}

// Text is what a grader reads of an output: a string as it is, nothing of nothing, and compact JSON of all else.
func (o Output) Text() string {
	switch v := o.Value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return jsonText(o.Value)
}

// query is what was asked of the one who is judged: the variable of that name, else the prompt.
func (o Output) query() string {
	if query, ok := o.Vars["query"].(string); ok && strings.TrimSpace(query) != "" {
		return query
	}
	return o.Prompt
}

// maxText bounds what is judged, and each text that it is compared with, in bytes: more than a grader reads.
const maxText = 1 << 20

// Judge judges output by one assertion. An assertion that does not hold is a result. Errors: invalid (the assertion is malformed or of a type
// that is not judged here, or the output lacks what it needs), malformed_output (the grader's answer cannot be read; the message has its
// beginning), and those of Asker and Poster.
func (g Grader) Judge(ctx context.Context, a schemas.Assertion, output Output) (schemas.AssertionResult, error) {
	base, inverse := strings.CutPrefix(a.Type, "not-")
	j := judgement{Grader: g, a: a, base: base, inverse: inverse, output: output, text: output.Text()}
	judge, known := judges[base]
	switch {
	case !known:
		return schemas.AssertionResult{}, j.fault("is not judged by a model; the assertions that are: %s", strings.Join(Types(), ", "))
	case len(j.text) > maxText:
		return schemas.AssertionResult{}, j.fault("is for outputs of at most %d bytes, and this one has %d", maxText, len(j.text))
	}
	result, err := judge(ctx, j)
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	return j.settled(result)
}

// judges are the assertions over one output.
var judges = map[string]func(context.Context, judgement) (schemas.AssertionResult, error){
	"llm-rubric": rubric, "model-graded-closedqa": closedQA, "model-graded-factuality": factuality, "factuality": factuality, "g-eval": gEval,
	"answer-relevance": answerRelevance, "context-faithfulness": faithfulness, "context-recall": contextRecall,
	"context-relevance": contextRelevance, "webhook": webhook,
}

// judgement is one assertion on its way.
type judgement struct {
	Grader
	a       schemas.Assertion
	base    string // the type without "not-"
	inverse bool
	output  Output
	text    string
}

// settled gives a result what it has of the assertion, and turns it round for "not-". A score that "not-" turns is in [0, 1].
func (j judgement) settled(r schemas.AssertionResult) (schemas.AssertionResult, error) {
	if j.inverse {
		r.Pass, r.Score = !r.Pass, 1-r.Score
	}
	r.Type, r.Metric, r.Weight, r.Reason = j.a.Type, j.a.Metric, 1, clip(r.Reason, maxReason)
	if j.a.Weight != nil {
		r.Weight = *j.a.Weight
	}
	if !finite(r.Score) || !finite(r.Weight) || r.Weight < 0 {
		return schemas.AssertionResult{}, j.fault("has the score %v and the weight %v; both must be finite, and the weight not negative", r.Score, r.Weight)
	}
	return r, nil
}

// reaches makes a result of a score and the assertion's threshold. Word names the score in the reason, detail follows it.
func (j judgement) reaches(word string, score, otherwise float64, detail string) schemas.AssertionResult {
	threshold := j.threshold(otherwise)
	pass, sign := score >= threshold-epsilon, "<"
	if pass {
		sign = ">="
	}
	reason := word + " " + decimal(score) + " is " + sign + " " + plain(threshold)
	if detail != "" {
		reason += ": " + detail
	}
	return schemas.AssertionResult{Pass: pass, Score: score, Reason: reason}
}

const epsilon = 0x1p-52

func (j judgement) threshold(otherwise float64) float64 {
	if j.a.Threshold == nil {
		return otherwise
	}
	return *j.a.Threshold
}

// value is the assertion's value as text; an object or a list is its JSON. What says what the value is, for the error.
func (j judgement) value(what string) (string, error) {
	text := Output{Value: j.a.Value}.Text()
	if strings.TrimSpace(text) == "" || len(text) > maxText {
		return "", j.fault("needs a value: %s, of at most %d bytes", what, maxText)
	}
	return text, nil
}

// fault is the error of an assertion that cannot be judged.
func (j judgement) fault(format string, args ...any) error {
	e := schemas.Errorf(schemas.Invalid, format, args...)
	e.Message = "the assertion " + strconv.Quote(j.a.Type) + " " + e.Message
	return e
}

const (
	maxReason = 2000 // bytes of a reason
	maxShown  = 300  // bytes of an answer that is quoted in an error
)

func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	last := 0
	for i := range text {
		if i > most {
			break
		}
		last = i
	}
	return text[:last] + "…"
}

// jsonText is compact JSON in which nothing is escaped that JSON lets stand.
func jsonText(v any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// decimal is JavaScript's toFixed(2), which promptfoo's reasons have.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
