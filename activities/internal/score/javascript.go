package score

import (
	"context"

	"github.com/tenuto-dev/tenuto/schemas"
)

const maxReason = 2000 // bytes of what a script says

// javascript judges by what a script returns: true or false, a number that passes above 0 or from the threshold on, or an object with
// pass, score and reason. A script that fails, or returns something else, is a result that does not pass, whatever "not-" says.
func (s Scorer) javascript(ctx context.Context, c check) (schemas.AssertionResult, error) {
	source, ok := c.assertion.Value.(string)
	if !ok || source == "" {
		return c.fault("needs a value: JavaScript, an expression on one line or the body of a function on several")
	}
	value, reason, err := s.run(ctx, c.assertion, source, c.output)
	if err != nil || reason != "" {
		return schemas.AssertionResult{Reason: reason}, err
	}
	switch v := value.(type) {
	case bool:
		return c.holds(v, clip("Custom function returned "+scalarText(v)+"\n"+source))
	case map[string]any:
		return c.graded(v), nil
	}
	figure, ok := numeric(value)
	if !ok {
		got := Text(value)
		if value == nil {
			got = "nothing. Code on several lines says its result with return"
		}
		return schemas.AssertionResult{Reason: clip("Custom function must return a boolean, number, or GradingResult object. Got: " + got)}, nil
	}
	above := figure > 0
	if c.assertion.Threshold != nil {
		above = figure >= *c.assertion.Threshold
	}
	result, err := c.holds(above, clip("Custom function returned "+scalarText(above)+"\n"+source))
	result.Score = figure
	return result, err
}

func scalarText(value any) string {
	text, _ := scalar(value)
	return text
}

// graded reads the object that a script returned.
func (c check) graded(object map[string]any) schemas.AssertionResult {
	pass, hasPass := object["pass"].(bool)
	figure, hasScore := numeric(object["score"])
	reason, hasReason := object["reason"].(string)
	if !hasPass || !hasScore || !hasReason {
		return schemas.AssertionResult{Reason: "Custom function must return a GradingResult object with pass (boolean), score (number) and reason (text)"}
	}
	result := schemas.AssertionResult{Pass: pass != c.inverse, Score: figure, Reason: clip(reason), Named: scores(object["namedScores"])}
	parts, _ := object["componentResults"].([]any)
	for _, part := range parts[:min(len(parts), maxAssertions)] {
		if inner, ok := part.(map[string]any); ok {
			graded := check{}.graded(inner)
			graded.Type, graded.Weight = "javascript", 1
			graded.Parts = nil
			result.Parts = append(result.Parts, graded)
		}
	}
	return result
}

func scores(value any) map[string]float64 {
	object, _ := value.(map[string]any)
	out := map[string]float64{}
	for metric, score := range object {
		if figure, ok := numeric(score); ok && len(out) < maxAssertions {
			out[metric] = figure
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// run runs a script of an assertion. Reason is set where the script is at fault.
func (s Scorer) run(ctx context.Context, a Assertion, source string, output Output) (value any, reason string, err error) {
	if s.Script == nil {
		return nil, "", fault(a, "is JavaScript, and there is nothing here to run it")
	}
	seen := map[string]any{"vars": object(output.Vars), "prompt": output.Prompt, "metadata": object(output.Metadata), "threshold": a.Threshold}
	if len(output.LogProbs) > 0 {
		seen["logProbs"] = output.LogProbs
	}
	value, wrong, err := s.Script.Run(ctx, source, output.Value, seen)
	if wrong != "" {
		reason = clip("Custom function threw error: " + wrong)
	}
	return value, reason, err
}

// object is one even where nothing is known, so that scripts may look into it.
func object(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func clip(text string) string {
	if len(text) <= maxReason {
		return text
	}
	for i := range text {
		if i > maxReason {
			return text[:i] + "…"
		}
	}
	return text
}
