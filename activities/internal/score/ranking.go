package score

import (
	"math"
	"strconv"

	"github.com/tenuto-dev/tenuto/schemas"
)

const maxCutoff = 10_000

// ranking measures the documents that were retrieved against judgements: ndcg, recall and precision at a rank, as in ndcg@10, and mrr and
// map over all, or up to one. The value is an object of grades by document id, or a list of the relevant ids.
func (c check) ranking(measure, at string) (schemas.AssertionResult, error) {
	grades, ok := judgements(c.assertion.Value)
	if !ok {
		return c.fault("needs a value: an object of whole grades by document id, or a list of the ids that are relevant")
	}
	cutoff, err := strconv.Atoi(at)
	switch {
	case at == "" && (measure == "mrr" || measure == "map"):
		cutoff = maxCutoff
	case err != nil || cutoff < 1 || cutoff > maxCutoff:
		return c.fault("needs a rank to cut at, from 1 to %d, such as %s@10", maxCutoff, measure)
	}
	ranked := make([]Ranked, len(c.output.Retrieved))
	for i, id := range c.output.Retrieved {
		ranked[i] = Ranked{Document: id, Score: -float64(i)}
	}
	gains := rank(ranked, grades)
	return c.atLeast(measure, measureAt(measure, gains[:min(cutoff, len(gains))], grades, cutoff), 0.5)
}

func measureAt(measure string, top []int, grades map[string]int, cutoff int) float64 {
	total := relevant(grades)
	switch measure {
	case "ndcg":
		ideal := idealGains(grades)
		return ratio(dcg(top), dcg(ideal[:min(cutoff, len(ideal))]))
	case "recall":
		return ratio(float64(hits(top)), float64(total))
	case "precision":
		return float64(hits(top)) / float64(cutoff)
	case "mrr":
		return reciprocalRank(top)
	}
	return averagePrecision(top, total)
}

func judgements(value any) (map[string]int, bool) {
	grades := map[string]int{}
	if ids, ok := list(value); ok {
		for _, id := range ids {
			grades[id] = 1
		}
		return grades, true
	}
	object, ok := value.(map[string]any)
	if !ok || len(object) == 0 || len(object) > maxValues {
		return nil, false
	}
	for id, grade := range object {
		number, ok := numeric(grade)
		if !ok || number != math.Trunc(number) || math.Abs(number) > 1000 {
			return nil, false
		}
		grades[id] = int(number)
	}
	return grades, true
}
