package report

import (
	"cmp"
	"fmt"
	"math"

	"github.com/tenuto-dev/tenuto/schemas"
)

// ruling is a verdict in one sentence.
func ruling(r schemas.Ruling) string {
	switch r {
	case schemas.RulingPassed:
		return "Every rule of the policy holds."
	case schemas.RulingFailed:
		return "A rule of the policy does not hold."
	case schemas.RulingNotEnoughData:
		return "Nothing worse was found, but too little was looked at to say so."
	case schemas.RulingUnresolved:
		return "Cells have no result, so nothing can be said yet: run the suite again, and only those are asked."
	}
	return "The verdict is not known."
}

// rulingName is a ruling in words.
func rulingName(r schemas.Ruling) string {
	switch r {
	case schemas.RulingPassed, schemas.RulingFailed, schemas.RulingUnresolved:
		return string(r)
	case schemas.RulingNotEnoughData:
		return "not enough data"
	}
	return "without a verdict"
}

// comparison says in plain words what a comparison found.
func comparison(r schemas.EvalResult) []string {
	c := r.Verdict.Comparison
	if c == nil || c.Cases == 0 {
		return nil
	}
	var policy schemas.Regression
	if r.Policy.NoRegression != nil {
		policy = *r.Policy.NoRegression
	}
	alpha, power, least := cmp.Or(policy.Alpha, 0.05), cmp.Or(policy.Power, 0.8), cmp.Or(policy.MinimumEffect, 0.05)
	measure := "pass rate"
	if c.Measure == schemas.MeasureScore {
		measure = "mean score"
	}
	out := []string{
		fmt.Sprintf("Over %s that both sides have, the %s %s: %d worse, %d better, %d alike.",
			plural(c.Cases, "case"), measure, moved(c.Difference), c.Worse, c.Better, c.Cases-c.Worse-c.Better),
		fmt.Sprintf("With %.3g %% confidence the true difference is between %s and %s.", 100*(1-2*alpha), signed(c.Low), signed(c.High)),
		fmt.Sprintf("If nothing had changed, a difference as bad as this would come up in %s of such comparisons (p = %.2g).", chance(c.P), c.P),
		fmt.Sprintf("The smallest loss that so many cases reveal with a chance of %.3g %% is %s; one of %s must not be missed.", 100*power, number(c.Detectable), number(least)),
	}
	if c.More > 0 {
		out = append(out, fmt.Sprintf("It would take about %s.", plural(c.More, "more case")))
	}
	if c.Unpaired > 0 {
		out = append(out, fmt.Sprintf("%s only one side has, and %s no part in it.", plural(c.Unpaired, "case"), map[bool]string{true: "takes", false: "take"}[c.Unpaired == 1]))
	}
	if r.Policy.NoRegression == nil {
		out = append(out, "The policy has no no_regression rule, so this decides nothing.")
	}
	return out
}

func moved(difference float64) string {
	switch {
	case difference < 0:
		return "fell by " + number(-difference)
	case difference > 0:
		return "rose by " + number(difference)
	}
	return "is the same"
}

func chance(p float64) string {
	if p < 0.001 {
		return "fewer than 1 in 1,000"
	}
	return fmt.Sprintf("%.3g %%", math.Round(p*1000)/10)
}
