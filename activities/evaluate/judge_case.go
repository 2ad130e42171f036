package evaluate

import (
	"cmp"
	"math"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// place is a case under a column.
type place struct {
	id     string
	column int
}

// group is what is known of a case under a column.
type group struct {
	place
	cells      []int // of the result, scored ones
	unresolved int   // samples without a result
	passed     int
	score      float64 // mean of the scored samples
	deviation  float64 // of their scores
	threshold  *float64
}

func (g *group) passRate() float64 { return float64(g.passed) / float64(len(g.cells)) }

// flakyDeviation is the standard deviation of scores from which a case is flaky though its samples agree.
const flakyDeviation = 0.1

func (g *group) disagrees() bool {
	return g.passed > 0 && g.passed < len(g.cells) || g.deviation > flakyDeviation
}

// rounding is what sums of floats may be off.
const rounding = 1e-9

// groupsOf gathers the cells, whose samples stand in order.
func groupsOf(cells []schemas.CellRecord) map[place]*group {
	groups := map[place]*group{}
	for i, cell := range cells {
		at := place{cell.Case.ID, cell.Column}
		g := groups[at]
		if g == nil {
			g = &group{place: at, threshold: cell.Threshold}
			groups[at] = g
		}
		if cell.State != schemas.CellScored {
			g.unresolved++
			continue
		}
		g.cells = append(g.cells, i)
		if cell.Pass {
			g.passed++
		}
		g.score += cell.Score
	}
	for _, g := range groups {
		g.measure(cells)
	}
	return groups
}

// measure turns the sum of scores into their mean, and finds their deviation.
func (g *group) measure(cells []schemas.CellRecord) {
	n, squares := float64(len(g.cells)), 0.0
	if n == 0 {
		return
	}
	g.score /= n
	for _, i := range g.cells {
		squares += (cells[i].Score - g.score) * (cells[i].Score - g.score)
	}
	if n > 1 {
		g.deviation = math.Sqrt(squares / (n - 1))
	}
}

// flaky lists cases whose samples disagree, or whose scores deviate, the worst first.
func (j *judging) flaky(groups map[place]*group) []schemas.FlakyCase {
	var out []schemas.FlakyCase
	for at, g := range groups {
		if g.disagrees() {
			out = append(out, schemas.FlakyCase{
				Case: at.id, Column: at.column, Samples: len(g.cells), Passed: g.passed, Deviation: g.deviation, Quarantined: j.resting[at.id],
			})
		}
	}
	slices.SortFunc(out, func(a, b schemas.FlakyCase) int {
		return cmp.Or(cmp.Compare(b.Deviation, a.Deviation), cmp.Compare(a.Case, b.Case), cmp.Compare(a.Column, b.Column))
	})
	return out
}

// regressions lists the cases that pass less often than under the baseline, or as often with a lower score, the worst first: by what they lost
// of the pass rate, then of the score. Only samples with a result count: a case without one is no regression, and stands among the errors.
func (j *judging) regressions(groups map[place]*group) []schemas.Regressed {
	var out []schemas.Regressed
	for at, g := range groups {
		twin, paired := j.twins[at.column]
		before := groups[place{at.id, twin}]
		if !paired || before == nil || len(g.cells) == 0 || len(before.cells) == 0 {
			continue
		}
		passes := g.passRate() - before.passRate()
		if passes < -rounding || passes < rounding && g.score < before.score-rounding {
			out = append(out, schemas.Regressed{
				Case: at.id, Column: at.column, Score: g.score, Baseline: before.score, PassRate: g.passRate(), Passed: before.passRate(),
				Candidate: extreme(j.cells, g.cells, -1), Before: extreme(j.cells, before.cells, 1),
			})
		}
	}
	slices.SortFunc(out, func(a, b schemas.Regressed) int {
		return cmp.Or(cmp.Compare(a.PassRate-a.Passed, b.PassRate-b.Passed), cmp.Compare(a.Score-a.Baseline, b.Score-b.Baseline),
			cmp.Compare(a.Case, b.Case), cmp.Compare(a.Column, b.Column))
	})
	return out
}

// extreme is the sample that shows a regression best: the worst of the candidate's (sign -1), the best of the baseline's (1).
func extreme(cells []schemas.CellRecord, of []int, sign float64) int {
	rank := func(i int) float64 {
		if cells[i].Pass {
			return sign * (cells[i].Score + 1e6)
		}
		return sign * cells[i].Score
	}
	best := of[0]
	for _, i := range of[1:] {
		if rank(i) > rank(best) {
			best = i
		}
	}
	return best
}
