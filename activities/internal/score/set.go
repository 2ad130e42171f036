package score

import (
	"context"
	"maps"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxAssertions = 1000 // of one set
	maxSetDepth   = 4    // sets within sets; promptfoo has one level
)

// ScoreAll judges output by all assertions of a case and combines the results as [Combine] does. Threshold is the case's; nil asks that
// all hold. Errors: those of [Scorer.Score].
func (s Scorer) ScoreAll(ctx context.Context, assertions []Assertion, threshold *float64, output Output) (schemas.AssertionResult, error) {
	result, err := s.Score(ctx, Assertion{Type: "assert-set", Assert: assertions, Threshold: threshold}, output)
	if len(assertions) == 0 && err == nil {
		result.Reason = "No assertions"
	}
	return result, err
}

func (s Scorer) set(ctx context.Context, a Assertion, output Output) (schemas.AssertionResult, error) {
	if len(a.Assert) > maxAssertions || depth(a) > maxSetDepth {
		return schemas.AssertionResult{}, fault(a, "may hold at most %d assertions, nested at most %d deep", maxAssertions, maxSetDepth)
	}
	results := make([]schemas.AssertionResult, 0, len(a.Assert))
	for _, part := range a.Assert {
		result, err := s.Score(ctx, part, output)
		if err != nil {
			return schemas.AssertionResult{}, err
		}
		results = append(results, result)
	}
	return Combine(results, a.Threshold), nil
}

func depth(a Assertion) int {
	deepest := 0
	for _, part := range a.Assert {
		deepest = max(deepest, depth(part))
	}
	return deepest + 1
}

// Combine is the result of several, by promptfoo's rules: the score is the mean by weight, 0 if no result has weight; without a threshold
// all must hold, and with one only the score must reach it. The reason is that of the last one that fails. One that weighs nothing is there to be
// seen, and fails nothing; a set does. No results are a pass.
func Combine(results []schemas.AssertionResult, threshold *float64) schemas.AssertionResult {
	if len(results) == 0 {
		return schemas.AssertionResult{Pass: true, Score: 1, Weight: 1, Reason: "No assertions"}
	}
	whole := schemas.AssertionResult{Pass: true, Weight: 1, Reason: "All assertions passed", Parts: results}
	sum, weight := 0.0, 0.0
	for _, r := range results {
		sum, weight = sum+r.Score*r.Weight, weight+r.Weight
		if !r.Pass && (r.Weight > 0 || r.Type == "assert-set") {
			whole.Pass, whole.Reason = false, r.Reason
		}
	}
	whole.Score = ratio(sum, weight)
	whole.Named = named(results)
	if threshold != nil {
		whole.Pass = whole.Score >= *threshold
		sign := "<"
		if whole.Pass {
			sign = "≥"
		}
		whole.Reason = "Aggregate score " + decimal(whole.Score, 2) + " " + sign + " " + plain(*threshold) + " threshold"
	}
	return whole
}

// named gathers scores by metric: means by weight, and the plain mean of those that weigh nothing.
func named(results []schemas.AssertionResult) map[string]float64 {
	scores, weights := map[string][]float64{}, map[string][]float64{}
	add := func(metric string, score, weight float64) {
		scores[metric], weights[metric] = append(scores[metric], score), append(weights[metric], weight)
	}
	for _, r := range results {
		if r.Metric != "" {
			add(r.Metric, r.Score, r.Weight)
		}
		for _, metric := range slices.Sorted(maps.Keys(r.Named)) {
			if metric != r.Metric {
				add(metric, r.Named[metric], r.Weight)
			}
		}
	}
	if len(scores) == 0 {
		return nil
	}
	means := make(map[string]float64, len(scores))
	for metric, list := range scores {
		sum, weight, plain := 0.0, 0.0, 0.0
		for i, score := range list {
			sum, weight, plain = sum+score*weights[metric][i], weight+weights[metric][i], plain+score
		}
		means[metric] = ratio(sum, weight)
		if weight == 0 {
			means[metric] = plain / float64(len(list))
		}
	}
	return means
}
