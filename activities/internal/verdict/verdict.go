// Package verdict judges evaluations: it compares cases with a baseline by paired statistics and holds the result to a policy.
package verdict

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Judge holds the candidate's cells, and the baseline's where the policy compares, to policy. The same cells give the same verdict, in any
// order. What is broken whatever becomes of unresolved cells fails; else a verdict with an unresolved cell is unresolved, and with too few
// cases to see the minimum effect not enough data. Errors: invalid (a policy that cannot be kept; a cell twice; a score that is no number).
func Judge(policy schemas.EvalPolicy, candidate, baseline []schemas.CaseResult) (schemas.Verdict, error) {
	if err := check(policy, candidate, baseline); err != nil {
		return schemas.Verdict{}, err
	}
	v := schemas.Verdict{Counts: count(candidate)}
	v.PassRate, v.Score = rates(candidate, false)
	broken := append(required(policy, candidate), thresholds(policy, candidate)...)
	var open []string
	if v.Counts.Unresolved() > 0 {
		open = append(open, fmt.Sprintf("%d of %d cells have no result: %d errored, %d not run", v.Counts.Unresolved(), v.Counts.Total(), v.Counts.Errored, v.Counts.NotRun))
	}
	if unsettled := count(baseline).Unresolved(); policy.NoRegression != nil && unsettled > 0 {
		open = append(open, fmt.Sprintf("%d cells of the baseline have no result; finish or repeat its run", unsettled))
	}
	var short []string
	if len(candidate) == 0 {
		short = append(short, "there is no cell to judge")
	}
	if policy.NoRegression != nil {
		comparison, worse, scarce := compare(*policy.NoRegression, candidate, baseline)
		v.Comparison = &comparison
		if len(open) == 0 {
			broken, short = append(broken, worse...), append(short, scarce...)
		}
	}
	v.Ruling, v.Reasons = rule(broken, open, short)
	return v, nil
}

func rule(broken, open, short []string) (schemas.Ruling, []string) {
	ruling := schemas.RulingPassed
	switch {
	case len(broken) > 0:
		ruling = schemas.RulingFailed
	case len(open) > 0:
		ruling = schemas.RulingUnresolved
	case len(short) > 0:
		ruling = schemas.RulingNotEnoughData
	}
	reasons := slices.Concat(broken, open, short)
	return ruling, reasons[:min(len(reasons), schemas.MaxVerdictReasons)]
}

func count(cells []schemas.CaseResult) schemas.CellCounts {
	var c schemas.CellCounts
	for _, cell := range cells {
		switch {
		case cell.State == schemas.CellErrored:
			c.Errored++
		case cell.State == schemas.CellNotRun:
			c.NotRun++
		case cell.Pass:
			c.Passed++
		default:
			c.Failed++
		}
	}
	return c
}

// rates are the share of cells that pass and the mean score. Every case counts the same, so that one which was asked more often than others,
// because its samples disagree, has no more weight. An unresolved cell counts as failed with 0, or, at best, as passed with 1.
func rates(cells []schemas.CaseResult, atBest bool) (passRate, score float64) {
	samples := map[string]float64{}
	for _, cell := range cells {
		samples[cell.Case]++
	}
	for _, cell := range inOrder(cells) {
		share := 1 / (samples[cell.Case] * float64(len(samples)))
		switch {
		case cell.State == schemas.CellScored:
			passRate += share * truth(cell.Pass)
			score += share * cell.Score
		case atBest:
			passRate, score = passRate+share, score+share*max(1, cell.Score)
		}
	}
	return rounded(passRate), rounded(score)
}

// rounded takes off what summing has added: 0.95 is 0.95, and not a little more.
func rounded(v float64) float64 { return math.Round(v*1e12) / 1e12 }

// inOrder makes sums the same to the last bit, in whichever order cells come.
func inOrder(cells []schemas.CaseResult) []schemas.CaseResult {
	return slices.SortedFunc(slices.Values(cells), func(a, b schemas.CaseResult) int {
		return cmp.Or(cmp.Compare(a.Case, b.Case), cmp.Compare(a.Sample, b.Sample))
	})
}

// required lists the required cases that failed, or that the suite does not have.
func required(policy schemas.EvalPolicy, cells []schemas.CaseResult) []string {
	failed, known := map[string]string{}, map[string]bool{}
	for _, cell := range cells {
		known[cell.Case] = true
		if cell.State == schemas.CellScored && !cell.Pass {
			failed[cell.Case] = cell.Reason
		}
	}
	var broken []string
	for _, id := range policy.Required {
		reason, fails := failed[id]
		switch {
		case !known[id]:
			broken = append(broken, fmt.Sprintf("the required case %q was not among the cells", id))
		case fails:
			broken = append(broken, fmt.Sprintf("the required case %q failed: %s", id, cmp.Or(reason, "no reason was given")))
		}
	}
	return broken
}

// thresholds lists the absolute bounds that are not held, whatever becomes of unresolved cells. A tag without a cell holds nothing.
func thresholds(policy schemas.EvalPolicy, cells []schemas.CaseResult) []string {
	var broken []string
	for _, bound := range policy.Thresholds {
		tagged := slices.DeleteFunc(slices.Clone(cells), func(c schemas.CaseResult) bool {
			return bound.Tag != "" && !slices.Contains(c.Tags, bound.Tag)
		})
		of, tag := "of all cells", ""
		if bound.Tag != "" {
			tag = fmt.Sprintf(" of those tagged %q", bound.Tag)
			of = fmt.Sprintf("of the cells tagged %q", bound.Tag)
		}
		passRate, score := rates(tagged, true)
		const rounding = 1e-9
		if len(tagged) == 0 {
			broken = append(broken, "there is no cell for the threshold "+of)
			continue
		}
		if passRate < bound.PassRate-rounding && bound.PassRate == 1 {
			counts := count(tagged)
			broken = append(broken, fmt.Sprintf("%d of %d cells failed%s, and all must pass", counts.Failed, counts.Total(), tag))
		} else if passRate < bound.PassRate-rounding {
			broken = append(broken, fmt.Sprintf("the pass rate %s is %.4f, and must be at least %g", of, passRate, bound.PassRate))
		}
		if score < bound.Score-rounding {
			broken = append(broken, fmt.Sprintf("the mean score %s is %.4f, and must be at least %g", of, score, bound.Score))
		}
	}
	return broken
}

// compare pairs the cases of both sides, each with the mean of its samples, and judges their differences.
func compare(r schemas.Regression, candidate, baseline []schemas.CaseResult) (c schemas.Comparison, worse, scarce []string) {
	r = withDefaults(r)
	ours, theirs := means(r.Measure, candidate), means(r.Measure, baseline)
	var s sample
	for _, id := range slices.Sorted(maps.Keys(ours)) {
		if before, both := theirs[id]; both {
			s = append(s, ours[id]-before)
		}
	}
	c = schemas.Comparison{Measure: r.Measure, Cases: len(s), Unpaired: len(ours) + len(theirs) - 2*len(s), P: 1, Detectable: 1}
	if len(s) == 0 {
		c.More = needed(noise{}, r.MinimumEffect, r.Alpha, r.Power)
		return c, nil, []string{"no case has a result on both sides; compare with a run of the same suite"}
	}
	c.Difference, c.P = s.mean(), s.p()
	c.Low, c.High = s.interval(r.Alpha)
	c.Better, c.Worse = s.signs()
	noise := s.noise(r.Power)
	c.Detectable = detectable(len(s), noise.of(len(s)), r.Alpha, r.Power)
	if c.Detectable > r.MinimumEffect {
		c.More = max(needed(noise, r.MinimumEffect, r.Alpha, r.Power)-len(s), 1)
		scarce = append(scarce, fmt.Sprintf("%d cases show a loss of %.3f at the least, and %.3g must not be missed; about %d more cases would do", len(s), c.Detectable, r.MinimumEffect, c.More))
	}
	if s.regressed(c, r) {
		worse = append(worse, fmt.Sprintf("the %s fell by %.4f over %d cases (%d worse, %d better, p = %.2g)", label(r.Measure), -c.Difference, len(s), c.Worse, c.Better, c.P))
	}
	return c, worse, scarce
}

// regressed asks of scores both the exact test and the interval, which is the more careful where differences are skewed.
func (s sample) regressed(c schemas.Comparison, r schemas.Regression) bool {
	return c.P <= r.Alpha && c.Difference < 0 && (s.binary() || c.High < 0)
}

func label(m schemas.Measure) string {
	if m == schemas.MeasureScore {
		return "mean score"
	}
	return "pass rate"
}

// means is the measure of each case with a result, over its samples.
func means(measure schemas.Measure, cells []schemas.CaseResult) map[string]float64 {
	sums, counts := map[string]float64{}, map[string]float64{}
	for _, cell := range inOrder(cells) {
		if cell.State != schemas.CellScored {
			continue
		}
		value := truth(cell.Pass)
		if measure == schemas.MeasureScore {
			value = cell.Score
		}
		sums[cell.Case] += value
		counts[cell.Case]++
	}
	for id := range sums {
		sums[id] /= counts[id]
	}
	return sums
}

func withDefaults(r schemas.Regression) schemas.Regression {
	r.Measure = cmp.Or(r.Measure, schemas.MeasurePassRate)
	r.Alpha = cmp.Or(r.Alpha, 0.05)
	r.Power = cmp.Or(r.Power, 0.8)
	r.MinimumEffect = cmp.Or(r.MinimumEffect, 0.05)
	return r
}

func check(policy schemas.EvalPolicy, sides ...[]schemas.CaseResult) error {
	for _, bound := range policy.Thresholds {
		if !within(bound.PassRate, 0, 1) || !within(bound.Score, -math.MaxFloat64, math.MaxFloat64) || bound.PassRate == 0 && bound.Score == 0 {
			return schemas.Errorf(schemas.Invalid, "a threshold of the policy needs a pass_rate in (0, 1], a score, or both")
		}
	}
	if policy.NoRegression != nil {
		r := withDefaults(*policy.NoRegression)
		switch {
		case r.Measure != schemas.MeasurePassRate && r.Measure != schemas.MeasureScore:
			return schemas.Errorf(schemas.Invalid, "no_regression has the measure %q; take %s or %s", r.Measure, schemas.MeasurePassRate, schemas.MeasureScore)
		case !within(r.Alpha, 1e-6, 0.5), !within(r.Power, 0.5, 0.999), !within(r.MinimumEffect, 1e-3, 1):
			return schemas.Errorf(schemas.Invalid, "no_regression needs an alpha up to 0.5, a power from 0.5 to 0.999, and a minimum_effect from 0.001 to 1")
		}
	}
	for _, cells := range sides {
		if err := checkCells(cells); err != nil {
			return err
		}
	}
	return nil
}

func within(v, low, high float64) bool { return v >= low && v <= high }

func checkCells(cells []schemas.CaseResult) error {
	type key struct {
		id     string
		sample int
	}
	seen := map[key]bool{}
	for _, cell := range cells {
		k := key{cell.Case, cell.Sample}
		switch {
		case seen[k]:
			return schemas.Errorf(schemas.Invalid, "case %q has sample %d twice", cell.Case, cell.Sample)
		case cell.State != schemas.CellScored && cell.State != schemas.CellErrored && cell.State != schemas.CellNotRun:
			return schemas.Errorf(schemas.Invalid, "case %q has the state %q, which is not known", cell.Case, cell.State)
		case !within(cell.Score, -math.MaxFloat64, math.MaxFloat64):
			return schemas.Errorf(schemas.Invalid, "case %q has the score %v, which is no number", cell.Case, cell.Score)
		}
		seen[k] = true
	}
	return nil
}
