package grader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// rubric is llm-rubric: the grader says whether it passes, and how well. With a threshold the score must reach it too. A prompt of the suite may
// have a scale of its own.
func rubric(ctx context.Context, j judgement) (schemas.AssertionResult, error) {
	measure, err := j.value("what the output has to be like")
	if err != nil && j.a.RubricPrompt == "" {
		return schemas.AssertionResult{}, err
	}
	low, high := 0.0, 1.0
	if j.a.RubricPrompt != "" && !j.inverse {
		low, high = -math.MaxFloat64, math.MaxFloat64
	}
	var result schemas.AssertionResult
	facts := []fact{{name: "rubric", value: measure, ours: true}, {name: "output", value: j.text}}
	err = j.askIn(ctx, rubricPrompt, pointed, facts, func(f fields) error {
		pass, passErr := field[bool](f, "pass")
		score, scoreErr := scored(f, low, high)
		result = schemas.AssertionResult{Pass: pass, Score: score, Reason: said(f)}
		return errors.Join(passErr, scoreErr)
	})
	if limit := j.threshold(result.Score); result.Pass && result.Score < limit-epsilon {
		result.Pass = false
		result.Reason = strings.TrimSuffix("Score "+plain(result.Score)+" is below threshold "+plain(limit)+": "+result.Reason, ": ")
	}
	return result, err
}

// closedQA is model-graded-closedqa: one criterion, fulfilled or not.
func closedQA(ctx context.Context, j judgement) (schemas.AssertionResult, error) {
	criterion, err := j.value("the criterion that the output has to fulfil")
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	facts := []fact{
		{name: "criterion", value: criterion, names: []string{"criteria", "rubric"}, ours: true},
		{name: "input", value: j.output.Prompt},
		{name: "output", value: j.text, names: []string{"completion"}},
	}
	var result schemas.AssertionResult
	err = j.askIn(ctx, closedPrompt, decided, facts, func(f fields) error {
		pass, err := field[bool](f, "pass")
		result = binary(pass, said(f))
		return err
	})
	return result, err
}

func binary(pass bool, reason string) schemas.AssertionResult {
	if pass {
		return schemas.AssertionResult{Pass: true, Score: 1, Reason: reason}
	}
	return schemas.AssertionResult{Reason: reason}
}

// category is one of the ways in which an output and a reference can stand to one another.
type category struct {
	option string // of promptfoo's `factuality` options
	score  float64
	words  string
}

var categories = map[string]category{
	"A": {"subset", 1, "the output is a subset of the reference, and consistent with it"},
	"B": {"superset", 1, "the output is a superset of the reference, and consistent with it"},
	"C": {"agree", 1, "the output states the same facts as the reference"},
	"D": {"disagree", 0, "the output disagrees with the reference"},
	"E": {"differButFactual", 1, "the output differs from the reference in nothing that matters to the facts"},
}

// factuality compares with a reference. What the categories score is the suite's to say; what scores above 0 passes, or with a threshold what
// reaches it.
func factuality(ctx context.Context, j judgement) (schemas.AssertionResult, error) {
	reference, err := j.value("the reference that the output is compared with")
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	scores, err := j.scores()
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	facts := []fact{
		{name: "input", value: j.output.Prompt},
		{name: "reference", value: reference, names: []string{"ideal", "rubric"}, ours: true},
		{name: "output", value: j.text, names: []string{"completion"}},
	}
	var result schemas.AssertionResult
	err = j.askIn(ctx, factPrompt, categorised, facts, func(f fields) error {
		letter, err := field[string](f, "category")
		if err != nil {
			return err
		}
		c, known := categories[strings.ToUpper(strings.TrimSpace(letter))]
		if !known {
			return fmt.Errorf("\"category\" is %s and must be one of A, B, C, D and E", jsonText(clip(letter, 40)))
		}
		score := scores[c.option]
		pass := score > 0 && score >= j.threshold(score)-epsilon
		result = schemas.AssertionResult{Pass: pass, Score: score, Reason: strings.TrimSuffix(c.words+": "+said(f), ": ")}
		return nil
	})
	return result, err
}

// scores are what the categories score: as the assertion's options say, else 1, and 0 for disagree.
func (j judgement) scores() (map[string]float64, error) {
	out := map[string]float64{}
	for _, c := range categories {
		out[c.option] = c.score
	}
	var config struct {
		Factuality map[string]*float64 `json:"factuality"`
	}
	if len(j.a.Config) > 0 && json.Unmarshal(j.a.Config, &config) != nil {
		return nil, j.fault("has options of factuality that are not numbers")
	}
	for option, score := range config.Factuality {
		_, known := out[option]
		if !known || score == nil || *score < 0 || *score > 1 {
			return nil, j.fault("has the option factuality.%s: what there is are numbers from 0 to 1 for %s", clip(option, 40), strings.Join(slices.Sorted(maps.Keys(out)), ", "))
		}
		out[option] = *score
	}
	return out, nil
}

const (
	maxCriteria = 20
	maxSteps    = 20
	gEvalScale  = 10
)

// gEval judges in two questions, as G-Eval does (Liu et al., EMNLP 2023): steps are drawn from the criterion alone, so the question for them is
// the same for every output; then the output is scored by them, from 0 to 10. Several criteria are judged apart, and their mean counts.
func gEval(ctx context.Context, j judgement) (schemas.AssertionResult, error) {
	criteria := []any{j.a.Value}
	if list, several := j.a.Value.([]any); several {
		criteria = list
	}
	if len(criteria) == 0 || len(criteria) > maxCriteria {
		return schemas.AssertionResult{}, j.fault("needs a value: a criterion, or a list of at most %d", maxCriteria)
	}
	sum, reasons := 0.0, []string{}
	for _, criterion := range criteria {
		one := j
		one.a.Value = criterion
		score, reason, err := one.byCriterion(ctx)
		if err != nil {
			return schemas.AssertionResult{}, err
		}
		sum, reasons = sum+score, append(reasons, reason)
	}
	return j.reaches("Score", sum/float64(len(criteria)), 0.7, strings.Join(reasons, "\n\n")), nil
}

func (j judgement) byCriterion(ctx context.Context) (score float64, reason string, err error) {
	criterion, err := j.value("a criterion")
	if err != nil {
		return 0, "", err
	}
	var steps []string
	err = j.ask(ctx, stepsPrompt, []fact{{name: "criterion", value: criterion}}, func(f fields) error {
		list, err := texts(f, "steps", maxSteps)
		if err == nil && len(list) == 0 {
			return errors.New("\"steps\" is empty")
		}
		steps = list
		return err
	})
	if err != nil {
		return 0, "", err
	}
	facts := []fact{
		{name: "criterion", value: criterion, names: []string{"criteria", "rubric"}, ours: true},
		{name: "steps", value: strings.Join(steps, "\n"), ours: true},
		{name: "input", value: j.output.Prompt},
		{name: "output", value: j.text},
		{name: "maxScore", value: plain(gEvalScale), ours: true},
	}
	err = j.askIn(ctx, gEvalPrompt, scaled, facts, func(f fields) error {
		v, err := scored(f, 0, gEvalScale)
		score, reason = v/gEvalScale, said(f)
		return err
	})
	return score, reason, err
}
