package grader

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxContenders = 50
	maxBattle     = 8 // of whom each pair is judged twice
)

// Contender is one output of a case, and what its other assertions came to.
type Contender struct {
	Output  Output
	Results []schemas.AssertionResult
}

// Compares reports whether assertions of the type judge the outputs of a case side by side.
func Compares(kind string) bool {
	switch strings.TrimPrefix(kind, "not-") {
	case "select-best", "max-score", "battle":
		return true
	}
	return false
}

var comparisons = map[string]func(context.Context, comparison) ([]schemas.AssertionResult, error){
	"select-best": selectBest, "max-score": maxScore, "battle": battle,
}

// comparison is one assertion over several outputs. Its judgement has the first one's, for what they have in common.
type comparison struct {
	judgement
	contenders []Contender
	texts      []string
}

// Compare judges the outputs of one case side by side and returns a result for each, in their order:
//
//   - select-best: the grader chooses one, which passes with 1; the others fail with 0.
//   - max-score: the one whose other assertions have the highest score passes, the first of equals; nobody is asked. A value may say method
//     (average or sum), weights by type, and the threshold that the best must reach.
//   - battle: each pair is judged in both orders. Who wins both has a point, and half a point each has a pair on whom the orders do not agree,
//     so that no place decides. The score is the share of points; it passes from the threshold on, by default 0.5: not beaten.
//
// Errors are those of [Grader.Judge]; with fewer than two outputs there is nothing to compare, which is invalid.
func (g Grader) Compare(ctx context.Context, a schemas.Assertion, contenders []Contender) ([]schemas.AssertionResult, error) {
	base, inverse := strings.CutPrefix(a.Type, "not-")
	c := comparison{judgement: judgement{Grader: g, a: a, base: base, inverse: inverse}, contenders: contenders}
	compare, known := comparisons[base]
	if !known {
		return nil, c.fault("compares no outputs: select-best, max-score and battle do")
	}
	if len(contenders) < 2 || len(contenders) > maxContenders {
		return nil, c.fault("compares from 2 to %d outputs of a case, and there are %d: give the suite a second prompt or provider, or fewer", maxContenders, len(contenders))
	}
	for _, contender := range contenders {
		c.texts = append(c.texts, contender.Output.Text())
		if len(c.texts[len(c.texts)-1]) > maxText {
			return nil, c.fault("is for outputs of at most %d bytes", maxText)
		}
	}
	c.output = contenders[0].Output
	results, err := compare(ctx, c)
	if err != nil {
		return nil, err
	}
	for i := range results {
		if results[i], err = c.settled(results[i]); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func selectBest(ctx context.Context, c comparison) ([]schemas.AssertionResult, error) {
	criterion, err := c.value("by what the best output is chosen")
	if err != nil {
		return nil, err
	}
	best, why := 0, ""
	facts := []fact{{name: "criterion", value: criterion, names: []string{"criteria"}, ours: true}, {name: "outputs", value: c.texts}}
	err = c.askIn(ctx, bestPrompt, chosen, facts, func(f fields) error {
		index, err := field[int](f, "index")
		if err == nil && (index < 0 || index >= len(c.texts)) {
			return fmt.Errorf("\"index\" is %d, and the outputs have the indices 0 to %d", index, len(c.texts)-1)
		}
		best, why = index, said(f)
		return err
	})
	if err != nil {
		return nil, err
	}
	results := make([]schemas.AssertionResult, len(c.texts))
	for i := range results {
		results[i] = binary(i == best, strings.TrimSuffix("Output not selected: "+criterion+": "+why, ": "))
	}
	results[best].Reason = strings.TrimSuffix("Output selected as the best: "+criterion+": "+why, ": ")
	return results, nil
}

// battle plays every pair in both orders.
func battle(ctx context.Context, c comparison) ([]schemas.AssertionResult, error) {
	criterion, err := c.value("by what the better output is told")
	if err != nil {
		return nil, err
	}
	n := len(c.texts)
	if n > maxBattle {
		return nil, c.fault("judges every pair of outputs, of which there are %d, and %d are the most: use select-best", n, maxBattle)
	}
	points, tally, words := make([]float64, n), make([][3]int, n), make([][]string, n)
	for i := range n {
		for k := i + 1; k < n; k++ {
			point, why, err := c.pair(ctx, criterion, i, k)
			if err != nil {
				return nil, err
			}
			points[i], points[k] = points[i]+point, points[k]+1-point
			tally[i][int(2*point)]++
			tally[k][int(2-2*point)]++
			words[i], words[k] = append(words[i], why), append(words[k], why)
		}
	}
	results := make([]schemas.AssertionResult, n)
	for i := range results {
		detail := fmt.Sprintf("won %d, tied %d, lost %d: %s", tally[i][2], tally[i][1], tally[i][0], strings.Join(words[i], " | "))
		results[i] = c.reaches("Battle score", points[i]/float64(n-1), 0.5, detail)
	}
	return results, nil
}

// pair is 1 if the i-th output is better than the k-th in both orders, 0 if it is worse in both, else 0.5.
func (c comparison) pair(ctx context.Context, criterion string, i, k int) (points float64, why string, err error) {
	if c.texts[i] == c.texts[k] {
		return 0.5, "the outputs are the same", nil
	}
	forth, why, err := c.bout(ctx, criterion, c.texts[i], c.texts[k])
	if err != nil {
		return 0, "", err
	}
	back, _, err := c.bout(ctx, criterion, c.texts[k], c.texts[i])
	if err != nil {
		return 0, "", err
	}
	if forth == 1-back {
		return forth, why, nil
	}
	return 0.5, "the grader did not say the same in both orders", nil
}

// bout asks about two outputs in one order: 1 for the first, 0 for the second, 0.5 for a tie.
func (c comparison) bout(ctx context.Context, criterion, first, second string) (points float64, why string, err error) {
	facts := []fact{
		{name: "criterion", value: criterion, names: []string{"criteria"}, ours: true},
		{name: "first", value: first},
		{name: "second", value: second},
	}
	if c.a.RubricPrompt != "" {
		facts = append(facts, fact{name: "outputs", value: []string{first, second}})
	}
	err = c.askIn(ctx, battlePrompt, winning, facts, func(f fields) error {
		winner, err := field[string](f, "winner")
		if err != nil {
			return err
		}
		value, known := map[string]float64{"first": 1, "second": 0, "tie": 0.5}[strings.ToLower(strings.TrimSpace(winner))]
		if !known {
			return fmt.Errorf("\"winner\" is %s and must be first, second or tie", jsonText(clip(winner, 40)))
		}
		points, why = value, said(f)
		return nil
	})
	return points, why, err
}

// aggregate says how max-score puts the scores of a contender together.
type aggregate struct {
	Method    string             `json:"method"`
	Weights   map[string]float64 `json:"weights"`
	Threshold *float64           `json:"threshold"`
}

func maxScore(_ context.Context, c comparison) ([]schemas.AssertionResult, error) {
	var how aggregate
	if c.a.Value != nil {
		if err := json.Unmarshal([]byte(jsonText(c.a.Value)), &how); err != nil {
			return nil, c.fault("needs as its value an object with method, weights by type and threshold, or none")
		}
	}
	if how.Threshold == nil {
		how.Threshold = c.a.Threshold
	}
	if how.Method = cmp.Or(how.Method, "average"); how.Method != "average" && how.Method != "sum" {
		return nil, c.fault("has the method %s: average and sum are there", jsonText(clip(how.Method, 40)))
	}
	scores, best := make([]float64, len(c.contenders)), 0
	for i, contender := range c.contenders {
		score, err := how.of(contender.Results)
		if err != nil {
			return nil, c.fault("%s", err.Error())
		}
		if scores[i] = score; score > scores[best] {
			best = i
		}
	}
	results := make([]schemas.AssertionResult, len(scores))
	for i, score := range scores {
		switch {
		case i != best:
			results[i] = binary(false, fmt.Sprintf("Not selected (score: %.3f, max: %.3f)", score, scores[best]))
		case how.Threshold != nil && score < *how.Threshold-epsilon:
			results[i] = binary(false, fmt.Sprintf("Not selected - score %.3f below threshold %s", score, plain(*how.Threshold)))
		default:
			results[i] = binary(true, fmt.Sprintf("Selected as highest scoring output (score: %.3f)", score))
		}
	}
	return results, nil
}

// of is the score of a contender: of all its results by the weights of their types, those of other comparisons apart.
func (how aggregate) of(results []schemas.AssertionResult) (float64, error) {
	sum, weights := 0.0, 0.0
	for _, r := range results {
		if Compares(r.Type) {
			continue
		}
		weight, own := how.Weights[r.Type]
		switch {
		case !own:
			weight = 1
		case weight < 0 || !finite(weight):
			return 0, errors.New("has a weight that is negative")
		}
		sum, weights = sum+r.Score*weight, weights+weight
	}
	if weights == 0 {
		return 0, errors.New("needs another assertion in the case whose score it can take, with a weight above 0")
	}
	if how.Method == "sum" {
		return sum, nil
	}
	return sum / weights, nil
}
