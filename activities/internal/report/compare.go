package report

import (
	"math"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Comparison is how the cases of two runs of a suite differ, under the columns that both have. Differences are told and not judged: chance is not
// considered.
type Comparison struct {
	Before     schemas.EvalSummary `json:"before"`
	After      schemas.EvalSummary `json:"after"`
	Broken     []Change            `json:"broken,omitempty"`      // pass less often
	Fixed      []Change            `json:"fixed,omitempty"`       // pass more often
	Rescored   []Change            `json:"rescored,omitempty"`    // pass as often, with another score
	Unresolved []Change            `json:"unresolved,omitempty"`  // have a sample without a result on either side
	OnlyBefore []Where             `json:"only_before,omitempty"` // are not in the later run
	OnlyAfter  []Where             `json:"only_after,omitempty"`  // are not in the earlier run
	Same       int                 `json:"same"`
}

// Where is a case under a column, which has its name.
type Where struct {
	Case   string `json:"case"`
	Column string `json:"column"`
}

// Change is what became of a case: means over its samples, of which those without a result count 0.
type Change struct {
	Where
	PassRateBefore float64 `json:"pass_rate_before"`
	PassRate       float64 `json:"pass_rate"`
	ScoreBefore    float64 `json:"score_before"`
	Score          float64 `json:"score"`
}

// Compare tells how cases came out under the columns under test, in the order of the later run. Error: invalid for results that are none, or of
// different suites.
func Compare(before, after schemas.EvalResult) (Comparison, error) {
	if before.Suite != after.Suite {
		return Comparison{}, schemas.Errorf(schemas.Invalid, "%s is a run of the suite %s, and %s of %s: compare runs of one suite", before.ID, before.Suite, after.ID, after.Suite)
	}
	a, err := newView(before)
	if err != nil {
		return Comparison{}, err
	}
	b, err := newView(after)
	if err != nil {
		return Comparison{}, err
	}
	theirs, ours := a.outcomes(), b.outcomes()
	out := Comparison{Before: before.EvalSummary, After: after.EvalSummary}
	for _, at := range b.places() {
		was, known := theirs[at]
		if !known {
			out.OnlyAfter = append(out.OnlyAfter, at)
			continue
		}
		is := ours[at]
		out.sort(Change{Where: at, PassRateBefore: was.passRate, PassRate: is.passRate, ScoreBefore: was.score, Score: is.score}, was.open || is.open)
	}
	for _, at := range a.places() {
		if _, known := ours[at]; !known {
			out.OnlyBefore = append(out.OnlyBefore, at)
		}
	}
	return out, nil
}

func (c *Comparison) sort(change Change, open bool) {
	const rounding = 1e-9
	passes, score := change.PassRate-change.PassRateBefore, change.Score-change.ScoreBefore
	switch {
	case open:
		c.Unresolved = append(c.Unresolved, change)
	case passes < -rounding:
		c.Broken = append(c.Broken, change)
	case passes > rounding:
		c.Fixed = append(c.Fixed, change)
	case math.Abs(score) > rounding:
		c.Rescored = append(c.Rescored, change)
	default:
		c.Same++
	}
}

// places are the cases under test, in the order of the result.
func (v *view) places() []Where {
	var out []Where
	for _, id := range v.cases {
		for _, c := range v.columns {
			if !c.Baseline && len(v.groups[place{id, c.Index}]) > 0 {
				out = append(out, Where{id, c.Name})
			}
		}
	}
	return out
}

type caseOutcome struct {
	passRate, score float64
	open            bool
}

func (v *view) outcomes() map[Where]caseOutcome {
	out := map[Where]caseOutcome{}
	for at, cells := range v.groups {
		if v.columns[at.column].Baseline {
			continue
		}
		var o caseOutcome
		for _, i := range cells {
			cell := v.Cells[i]
			if cell.State != schemas.CellScored {
				o.open = true
				continue
			}
			o.score += cell.Score / float64(len(cells))
			if cell.Pass {
				o.passRate += 1 / float64(len(cells))
			}
		}
		out[Where{at.id, v.columns[at.column].Name}] = o
	}
	return out
}
