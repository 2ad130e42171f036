package score

import (
	"math"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// bleu compares with one reference or the best of several.
func (c check) bleu() (schemas.AssertionResult, error) {
	references, ok := texts(c.assertion.Value)
	if !ok || tooLong(references...) {
		return c.fault("needs a value: a reference text, or a list of them, of at most %d bytes each", maxText)
	}
	if c.base == "bleu" {
		return c.atLeast("BLEU", SentenceBLEU(c.text, references), 0.5)
	}
	return c.atLeast("GLEU", SentenceGLEU(c.text, references), 0.5)
}

// rouge is F1 over the tokens of the Penn Treebank, with case. rouge-n is of single tokens, as promptfoo has it.
func (c check) rouge() (schemas.AssertionResult, error) {
	reference, ok := c.assertion.Value.(string)
	if !ok || reference == "" || tooLong(reference) {
		return c.fault("needs a value: a reference text of at most %d bytes", maxText)
	}
	candidate, against := tokens(c.text), tokens(reference)
	if c.base != "rouge-n" && float64(len(candidate))*float64(len(against)) > maxProduct {
		return c.fault("compares texts of at most %d tokens", int(math.Sqrt(maxProduct)))
	}
	score := 0.0
	switch c.base {
	case "rouge-n":
		score = RougeN(candidate, against, 1).F(1)
	case "rouge-l":
		score = RougeL(each(sentences(c.text), treebank), each(sentences(reference), treebank)).F(1)
	case "rouge-s":
		score = RougeS(candidate, against, 0).F(1)
	}
	return c.rouged(score)
}

func (c check) rouged(score float64) (schemas.AssertionResult, error) {
	threshold := c.threshold(0.75)
	result := schemas.AssertionResult{Pass: score >= threshold != c.inverse, Score: score}
	if c.inverse {
		result.Score = 1 - score
	}
	relation := "less than"
	if score >= threshold {
		relation = "greater than or equal to"
	}
	result.Reason = strings.ToUpper(c.base) + " score " + decimal(score, 2) + " is " + relation + " threshold " + plain(threshold)
	return result, nil
}

// levenshtein bounds the edit distance in characters; the threshold is 5 unless the assertion says another.
func (c check) levenshtein() (schemas.AssertionResult, error) {
	want, ok := c.assertion.Value.(string)
	if !ok {
		return c.fault("needs a value: the text to compare with")
	}
	if float64(len(want))*float64(len(c.text)) > maxEdits {
		return c.fault("compares texts of at most %d bytes each", int(math.Sqrt(maxEdits)))
	}
	distance, threshold := float64(Levenshtein(c.text, want)), c.threshold(5)
	relation := "greater than"
	if c.inverse {
		relation = "not greater than"
	}
	return c.holds(distance <= threshold, "Levenshtein distance "+plain(distance)+" is "+relation+" threshold "+plain(threshold))
}

// similar compares embeddings: the output's with the value's, or of several values with the one that is most similar. Euclidean is a
// distance: at most the threshold, with a score of 1/(1+distance).
func (c check) similar() (schemas.AssertionResult, error) {
	values, ok := texts(c.assertion.Value)
	if !ok {
		return c.fault("needs a value: a text, or a list of texts, to be similar to")
	}
	if len(c.output.Targets) != len(values) || len(c.output.Vector) == 0 {
		return c.fault("needs embeddings of the output and of each value")
	}
	best, nearest := math.Inf(-1), 0.0
	for _, target := range c.output.Targets {
		figure, err := c.compare(target)
		if err != nil {
			return schemas.AssertionResult{}, err
		}
		rank := figure
		if c.base == "similar:euclidean" {
			rank = -figure
		}
		if rank > best {
			best, nearest = rank, figure
		}
	}
	return c.nearness(nearest)
}

func (c check) compare(target []float64) (float64, error) {
	if len(target) != len(c.output.Vector) {
		return 0, fault(c.assertion, "needs embeddings of one model: they have %d and %d dimensions", len(c.output.Vector), len(target))
	}
	switch c.base {
	case "similar:dot":
		return Dot(c.output.Vector, target), nil
	case "similar:euclidean":
		return Euclidean(c.output.Vector, target), nil
	}
	return Cosine(c.output.Vector, target), nil
}

func (c check) nearness(figure float64) (schemas.AssertionResult, error) {
	threshold := c.threshold(0.75)
	const epsilon = 0x1p-52
	word, score, within := "Similarity ", figure, figure >= threshold-epsilon
	less, more := " is less than threshold ", " is greater than or equal to threshold "
	if c.base == "similar:euclidean" {
		word, score, within = "Distance ", 1/(1+figure), figure > threshold+epsilon
		less, more = " is less than or equal to threshold ", " is greater than threshold "
	}
	relation := less
	if within {
		relation = more
	}
	result := schemas.AssertionResult{Pass: within != c.inverse, Score: score, Reason: word + decimal(figure, 2) + relation + plain(threshold)}
	if c.base == "similar:euclidean" {
		result.Pass = !result.Pass
	}
	if c.inverse {
		result.Score = 1 - score
	}
	return result, nil
}

// perplexity is exp of the mean negative log probability of the tokens: at most the threshold. perplexity-score is 1/(1+perplexity): at
// least the threshold. Without one both hold.
func (c check) perplexity() (schemas.AssertionResult, error) {
	if len(c.output.LogProbs) == 0 {
		return c.fault("needs log probabilities of the output's tokens, and it came without: the server that answered gives none, or no model was asked")
	}
	value := Perplexity(c.output.LogProbs)
	if !finite(value) {
		return c.fault("needs log probabilities that are finite and not far below 0")
	}
	if c.base == "perplexity-score" {
		figure := 1 / (1 + value)
		result, err := c.holds(figure >= c.threshold(math.Inf(-1)), "Perplexity score "+decimal(figure, 2)+" is "+c.relation("less", "not less")+" than threshold "+plain(c.threshold(0)))
		result.Score = figure
		return result, err
	}
	return c.holds(value <= c.threshold(math.Inf(1)), "Perplexity "+decimal(value, 2)+" is "+c.relation("greater", "not greater")+" than threshold "+plain(c.threshold(0)))
}

func (c check) relation(otherwise, inverse string) string {
	if c.inverse {
		return inverse
	}
	return otherwise
}

// limit bounds what the output cost, in US dollars, or how long it took, in milliseconds. Without a threshold the figure itself is the
// score, for a metric to gather.
func (c check) limit() (schemas.AssertionResult, error) {
	figure, unit, word := c.output.CostUSD, "", "Cost "
	if c.base == "latency" {
		figure, unit, word = c.output.LatencyMS, "ms", "Latency "
	}
	switch {
	case figure == nil:
		return c.fault("needs a %s that was measured, and there is none for this output", c.base)
	case c.assertion.Threshold == nil && (c.inverse || c.assertion.Metric == ""):
		return c.fault("needs a threshold, or without one a metric that gathers the figure")
	case c.assertion.Threshold == nil:
		return schemas.AssertionResult{Pass: true, Score: *figure, Reason: passed}, nil
	}
	shown := plain(*figure)
	if c.base == "cost" {
		shown = significant(*figure)
	}
	reason := word + shown + unit + " is " + c.relation("greater than", "less than or equal to") + " threshold " + plain(*c.assertion.Threshold) + unit
	return c.holds(*figure <= *c.assertion.Threshold, reason)
}

// finishes are promptfoo's names for the ways in which answers end, where ours or a vendor's are others.
var finishes = map[string]string{
	"filter": "content_filter", "refusal": "content_filter", "tool": "tool_calls", "tool_use": "tool_calls", "function_call": "tool_calls",
	"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length",
}

// finish compares why the model ended: stop, length, content_filter or tool_calls, whatever the case of the letters.
func (c check) finish() (schemas.AssertionResult, error) {
	value, ok := scalar(c.assertion.Value)
	if !ok || strings.TrimSpace(value) == "" {
		return c.fault("needs a value: stop, length, content_filter or tool_calls")
	}
	if c.output.Finish == "" {
		return c.fault("needs a reason why the model ended, and there is none for this output")
	}
	want, got := finishName(value), finishName(c.output.Finish)
	return c.holds(got == want, "Expected finish reason "+c.not()+"to be "+quote(want)+", but got "+quote(got))
}

func finishName(reason string) string {
	folded := strings.ToLower(strings.TrimSpace(reason))
	if name, other := finishes[folded]; other {
		return name
	}
	return folded
}
