package score

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxProduct = 25e6 // tokens times tokens, of comparisons that keep a table
	maxEdits   = 4e8  // bytes times bytes, of an edit distance
)

func tooLong(all ...string) bool {
	return slices.ContainsFunc(all, func(text string) bool { return len(text) > maxText })
}

// Levenshtein is the least number of characters to insert, delete or replace to make b of a.
func Levenshtein(a, b string) int { return edits([]rune(a), []rune(b)) }

// edits is the distance between two sequences, by the algorithm of Wagner and Fischer (1974) with one row.
func edits[T comparable](a, b []T) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			replaced := diagonal
			if x != y {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// TextSimilarity is 1 less the edit distance by the longer text's characters; 1 for two empty texts.
func TextSimilarity(a, b string) float64 {
	left, right := []rune(a), []rune(b)
	longer := max(len(left), len(right))
	if longer == 0 {
		return 1
	}
	return 1 - float64(edits(left, right))/float64(longer)
}

// NumericSimilarity is 1 less the difference by the sum of both magnitudes, never below 0, as autoevals' NumericDiff has it.
func NumericSimilarity(a, b float64) float64 {
	if a == b {
		return 1
	}
	return max(0, 1-math.Abs(a-b)/(math.Abs(a)+math.Abs(b)))
}

// JSONSimilarity compares what JSON can say, as autoevals' JSONDiff does: objects by the mean over the keys of either, lists by place over
// the longer, numbers and texts by their similarity; values of different kinds by the similarity of their JSON, and null is like null alone.
func JSONSimilarity(a, b any) float64 {
	switch left := a.(type) {
	case map[string]any:
		if right, ok := b.(map[string]any); ok {
			return objects(left, right)
		}
	case []any:
		if right, ok := b.([]any); ok {
			return lists(left, right)
		}
	}
	x, numberA := numeric(a)
	y, numberB := numeric(b)
	switch {
	case a == nil || b == nil:
		return truth(a == nil && b == nil)
	case numberA && numberB:
		return NumericSimilarity(x, y)
	}
	return TextSimilarity(Text(a), Text(b))
}

func objects(a, b map[string]any) float64 {
	keys, sum := 0, 0.0
	for key, left := range a {
		keys++
		if right, ok := b[key]; ok {
			sum += JSONSimilarity(left, right)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys++
		}
	}
	if keys == 0 {
		return 1
	}
	return sum / float64(keys)
}

func lists(a, b []any) float64 {
	longer := max(len(a), len(b))
	if longer == 0 {
		return 1
	}
	sum := 0.0
	for i := range min(len(a), len(b)) {
		sum += JSONSimilarity(a[i], b[i])
	}
	return sum / float64(longer)
}

func truth(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

// WordErrorRate is the edit distance in words by the words of the references, over all pairs. 0 is best, and it may exceed 1.
func WordErrorRate(candidates, references []string) float64 {
	errors, total := 0, 0
	for i, reference := range references {
		want := strings.Fields(reference)
		errors += edits(strings.Fields(candidates[i]), want)
		total += len(want)
	}
	return ratio(float64(errors), float64(total))
}

var (
	articles = regexp.MustCompile(`\b(a|an|the)\b`)
	marks    = regexp.MustCompile("[!-/:-@\\[-`{-~]") // ASCII punctuation
)

// answerTokens folds an answer as SQuAD's evaluation does: lower case, no punctuation, no articles.
func answerTokens(answer string) []string {
	return strings.Fields(articles.ReplaceAllString(marks.ReplaceAllString(strings.ToLower(answer), ""), " "))
}

// TokenF1 is SQuAD's measure of an answer, and exact whether both are the same after folding; of several references the best counts
// (Rajpurkar et al., EMNLP 2016).
func TokenF1(candidate string, references []string) (f1 float64, exact bool) {
	have := answerTokens(candidate)
	for _, reference := range references {
		want := answerTokens(reference)
		exact = exact || slices.Equal(have, want)
		score := RougeN(have, want, 1).F(1)
		if len(have) == 0 || len(want) == 0 {
			score = truth(len(have) == len(want))
		}
		f1 = max(f1, score)
	}
	return f1, exact
}

// difference scores by likeness, with a threshold of 1 less a rounding error unless the assertion says another; word-error-rate is an
// upper bound on the rate, of 0 by default, with a score of 1 less the rate.
func (c check) difference() (schemas.AssertionResult, error) {
	if c.assertion.Value == nil && c.base != "json-diff" {
		return c.fault("needs a value to compare with")
	}
	references, isText := texts(c.assertion.Value)
	switch {
	case c.base == "json-diff":
		return c.atLeast("JSON diff", JSONSimilarity(parsed(c.output.Value), parsed(c.assertion.Value)), 1)
	case c.base == "numeric-diff":
		have, ok := number(c.output.Value)
		want, known := number(c.assertion.Value)
		if !known {
			return c.fault("needs a value: a number")
		}
		return c.atLeast("Numeric diff", truth(ok)*NumericSimilarity(have, want), 1)
	case !isText || tooLong(references...):
		return c.fault("needs a value: a text, or a list of texts")
	case c.base == "token-f1":
		f1, _ := TokenF1(c.text, references)
		return c.atLeast("Token F1", f1, 1)
	}
	return c.wordErrors(references)
}

func (c check) wordErrors(references []string) (schemas.AssertionResult, error) {
	best := math.Inf(1)
	for _, reference := range references {
		if float64(len(reference))*float64(len(c.text)) > maxEdits {
			return c.fault("compares texts of at most %d bytes each", int(math.Sqrt(maxEdits)))
		}
		best = min(best, WordErrorRate([]string{c.text}, []string{reference}))
	}
	result, err := c.holds(best <= c.threshold(0), "Word error rate "+decimal(best, 4)+" is "+c.relation("greater", "not greater")+" than threshold "+plain(c.threshold(0)))
	result.Score = max(0, 1-best)
	if c.inverse {
		result.Score = 1 - result.Score
	}
	return result, err
}

// parsed is what a text says as JSON, if it says an object or a list, at any depth.
func parsed(value any) any {
	switch v := value.(type) {
	case string:
		var inner any
		if trimmed := strings.TrimSpace(v); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
			if json.Unmarshal([]byte(trimmed), &inner) == nil {
				return inner
			}
		}
	case []string:
		out := make([]any, len(v))
		for i := range v {
			out[i] = v[i]
		}
		return out
	}
	return value
}

// Cosine is the cosine of the angle between two vectors of one length; 0 if one has no length.
func Cosine(a, b []float64) float64 { return ratio(Dot(a, b), math.Sqrt(Dot(a, a)*Dot(b, b))) }

// Dot is the scalar product of two vectors of one length.
func Dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// Euclidean is the distance between two vectors of one length.
func Euclidean(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum)
}

// Perplexity is exp of the mean negative log probability, in nats.
func Perplexity(logProbs []float64) float64 {
	sum := 0.0
	for _, p := range logProbs {
		sum -= p
	}
	return math.Exp(sum / float64(len(logProbs)))
}

// significant is JavaScript's toPrecision(2), for the sizes of costs.
func significant(v float64) string {
	if v == 0 {
		return "0.0"
	}
	digits := 1 - int(math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', max(digits, 0), 64)
}
