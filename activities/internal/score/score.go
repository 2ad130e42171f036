// Package score judges outputs without a model: it checks assertions of the kinds that promptfoo defines, and measures rankings as
// trec_eval does.
package score

import (
	"context"
	"encoding/json"
	"math"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// maxText bounds an output, and each text that it is compared with, in bytes.
const maxText = 4 << 20

// Assertion is one check of a suite. Its JSON names are the YAML keys of promptfoo, whose templates were rendered before
// (https://www.promptfoo.dev/docs/configuration/expected-outputs).
type Assertion struct {
	Type      string      `json:"type"`                // with "not-" before it, the opposite
	Value     any         `json:"value,omitempty"`     // what JSON can say; its shape is the type's
	Threshold *float64    `json:"threshold,omitempty"` // its meaning and default are the type's
	Weight    *float64    `json:"weight,omitempty"`    // nil is 1
	Metric    string      `json:"metric,omitempty"`
	Transform string      `json:"transform,omitempty"` // a script that makes of the output what is judged
	Assert    []Assertion `json:"assert,omitempty"`    // of an assert-set
}

// Output is what is judged, and what is known of how it came about.
type Output struct {
	Value     any            // a string, or what JSON can say; nil if there was none
	Vars      map[string]any // of the case
	Prompt    string         // as it was sent
	Metadata  map[string]any // whatever the provider said besides
	LatencyMS *float64       // nil if it was not measured, as for a stored answer
	CostUSD   *float64       // nil if it is not known
	LogProbs  []float64      // natural logarithms, one a token
	Refused   bool           // the provider says that it refused
	Finish    string         // why the model ended, as the provider says; empty if it does not
	Vector    []float64      // the output's embedding
	Targets   [][]float64    // embeddings of the assertion's values, in their order
	Retrieved []string       // ids of documents, best first
}

// Interpreter runs a script of a suite. Source sees output and context, the object of promptfoo's scripts. Fault says what the script did
// wrong, in words for its author; an error is ours.
type Interpreter interface {
	Run(ctx context.Context, source string, output any, context map[string]any) (value any, fault string, err error)
}

// Scorer scores. The zero Scorer is ready; it refuses assertions that need what it lacks.
type Scorer struct {
	Script Interpreter // for javascript assertions and transforms
	SQL    SQL         // for assertions on SQL
}

// Score judges output by one assertion. An assertion that does not hold is a result; errors are for assertions and outputs that cannot be
// judged: invalid (the assertion is malformed, of a type that is not scored here, or needs what the output lacks).
func (s Scorer) Score(ctx context.Context, a Assertion, output Output) (schemas.AssertionResult, error) {
	result, err := s.judge(ctx, a, output)
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	result.Type, result.Metric, result.Weight = a.Type, a.Metric, 1
	if a.Weight != nil {
		result.Weight = *a.Weight
	}
	if !finite(result.Score) || !finite(result.Weight) || result.Weight < 0 {
		return schemas.AssertionResult{}, fault(a, "has the score %v and the weight %v; both must be finite, and the weight not negative", result.Score, result.Weight)
	}
	return result, nil
}

func (s Scorer) judge(ctx context.Context, a Assertion, output Output) (schemas.AssertionResult, error) {
	if a.Type == "assert-set" {
		return s.set(ctx, a, output)
	}
	base, inverse := strings.CutPrefix(a.Type, "not-")
	c := check{assertion: a, base: base, inverse: inverse, output: output}
	if a.Transform != "" {
		value, reason, err := s.run(ctx, a, a.Transform, output)
		if err != nil || reason != "" {
			return schemas.AssertionResult{Reason: reason}, err
		}
		c.output.Value, c.transformed = value, true
	}
	c.text = Text(c.output.Value)
	if len(c.text) > maxText {
		return schemas.AssertionResult{}, fault(a, "is for outputs of at most %d bytes, and this one has %d", maxText, len(c.text))
	}
	switch base {
	case "javascript":
		return s.javascript(ctx, c)
	case "is-sql", "contains-sql":
		return s.sql(ctx, c)
	}
	return c.judge()
}

// judge is the list of what is scored here.
func (c check) judge() (schemas.AssertionResult, error) {
	base, k, _ := strings.Cut(c.base, "@")
	switch base {
	case "equals":
		return c.equals()
	case "contains", "icontains", "starts-with", "ends-with":
		return c.phrase()
	case "contains-any", "icontains-any", "contains-all", "icontains-all":
		return c.phrases()
	case "regex":
		return c.regex()
	case "is-json", "contains-json":
		return c.json()
	case "is-xml", "contains-xml":
		return c.xml()
	case "is-html", "contains-html":
		return c.html()
	case "is-refusal":
		return c.refusal()
	case "word-count":
		return c.wordCount()
	case "levenshtein":
		return c.levenshtein()
	case "rouge-n", "rouge-l", "rouge-s":
		return c.rouge()
	case "bleu", "gleu":
		return c.bleu()
	case "similar", "similar:cosine", "similar:dot", "similar:euclidean":
		return c.similar()
	case "perplexity", "perplexity-score":
		return c.perplexity()
	case "cost", "latency":
		return c.limit()
	case "finish-reason":
		return c.finish()
	case "json-diff", "numeric-diff", "token-f1", "word-error-rate":
		return c.difference()
	case "ndcg", "recall", "precision", "mrr", "map":
		return c.ranking(base, k)
	}
	return schemas.AssertionResult{}, fault(c.assertion, "is not a type that is scored without a model here; take one of the types that the documentation lists")
}

// Text is what assertions on text read of an output: a string as it is, nothing of nothing, and compact JSON of all else.
func Text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// check is one assertion on its way.
type check struct {
	assertion   Assertion
	base        string // the type without "not-"
	inverse     bool
	transformed bool // the output is a script's, and no longer the provider's
	output      Output
	text        string
}

const passed = "Assertion passed"

// holds makes a result of a condition: score 1 or 0, turned round by "not-". The reason is for the case that it fails.
func (c check) holds(condition bool, reason string) (schemas.AssertionResult, error) {
	if condition != c.inverse {
		return schemas.AssertionResult{Pass: true, Score: 1, Reason: passed}, nil
	}
	return schemas.AssertionResult{Reason: reason}, nil
}

// atLeast makes a result of a score in [0, 1] and the assertion's threshold.
func (c check) atLeast(name string, score, otherwise float64) (schemas.AssertionResult, error) {
	threshold := c.threshold(otherwise)
	result := schemas.AssertionResult{Pass: score >= threshold != c.inverse, Score: score, Reason: passed}
	word := "less"
	if c.inverse {
		result.Score, word = 1-score, "greater"
	}
	if !result.Pass {
		result.Reason = name + " score " + decimal(score, 4) + " is " + word + " than threshold " + plain(threshold)
	}
	return result, nil
}

func (c check) threshold(otherwise float64) float64 {
	if c.assertion.Threshold == nil {
		return otherwise
	}
	return *c.assertion.Threshold
}

// not is the word that reasons of "not-" assertions have more.
func (c check) not() string {
	if c.inverse {
		return "not "
	}
	return ""
}

func (c check) fault(format string, args ...any) (schemas.AssertionResult, error) {
	return schemas.AssertionResult{}, fault(c.assertion, format, args...)
}

// fault is the error of an assertion that cannot be judged.
func fault(a Assertion, format string, args ...any) error {
	e := schemas.Errorf(schemas.Invalid, format, args...)
	e.Message = "the assertion " + quote(a.Type) + " " + e.Message
	return e
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
