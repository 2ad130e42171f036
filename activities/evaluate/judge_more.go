package evaluate

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Wanted asks for further samples of a case under a column.
type Wanted struct {
	Case    string
	Column  int
	Samples int // on top of those that it has
}

// A round has at most as many cells as this share of those that there are, and may always have a few.
const (
	moreShare = 0.5
	moreFew   = 20
)

// More says which cases deserve further samples, up to maxRepeat each: those whose samples disagree; those whose score lies within one
// standard error of their threshold, or with one sample within 0.1 of it; and where there was not enough data, those that differ from the
// baseline, because flips are what hides an effect. A round doubles their samples. A case and its twin always get the same number: else
// their difference would no longer be as likely one way as the other when nothing has changed. The least certain come first, and a round is
// at most half as large as what there is. Columns that ask nobody, cases in quarantine and cases without a result get none.
func More(r schemas.EvalResult, maxRepeat int) []Wanted {
	if r.Stopped {
		return nil
	}
	groups := groupsOf(r.Cells)
	left := max(int(moreShare*float64(len(r.Cells))), moreFew)
	var out []Wanted
	for _, d := range doubts(r, groups) {
		wanted := d.wanted(maxRepeat)
		size := 0
		for _, w := range wanted {
			size += w.Samples
		}
		if size > left {
			break
		}
		left -= size
		out = append(out, wanted...)
	}
	return out
}

// doubt is a case, with its twin, that further samples may settle.
type doubt struct {
	groups  []*group
	urgency float64 // 0 is most
}

// doubts are in the order of their urgency.
func doubts(r schemas.EvalResult, groups map[place]*group) []doubt {
	twins := twinsOf(r.Columns)
	resting := restingOn(r.Policy, time.UnixMilli(r.EndMS))
	var out []doubt
	for at, g := range groups {
		if resting[at.id] != "" || r.Columns[at.column].Baseline || !asks(r.Columns[at.column]) {
			continue
		}
		before := groups[place{at.id, twinOr(twins, at.column)}]
		d := doubt{groups: []*group{g}, urgency: urgencyOf(g, before, r.Verdict.Ruling)}
		if before != nil && asks(r.Columns[before.column]) {
			d.groups = append(d.groups, before)
		}
		if d.urgency >= 0 && !slices.ContainsFunc(d.groups, func(g *group) bool { return g.unresolved > 0 || len(g.cells) == 0 }) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b doubt) int {
		return cmp.Or(cmp.Compare(a.urgency, b.urgency), cmp.Compare(a.groups[0].id, b.groups[0].id), cmp.Compare(a.groups[0].column, b.groups[0].column))
	})
	return out
}

// asks reports whether further samples of a column would be asked of somebody; those of an earlier run have no batches here.
func asks(c schemas.EvalColumn) bool { return c.Calls && c.Batches > 0 }

func twinOr(twins map[int]int, column int) int {
	if twin, ok := twins[column]; ok {
		return twin
	}
	return -1
}

// urgencyOf ranks a case: 0 where samples disagree on either side, then the distance from a threshold, then 1 for a difference that stands
// in the way of a verdict; -1 is none.
func urgencyOf(g, before *group, ruling schemas.Ruling) float64 {
	urgency := math.Inf(1)
	for _, side := range []*group{g, before} {
		if side == nil {
			continue
		}
		if side.disagrees() {
			return 0
		}
		if distance, near := side.nearThreshold(); near {
			urgency = min(urgency, distance)
		}
	}
	if before != nil && ruling == schemas.RulingNotEnoughData && math.Abs(g.score-before.score)+math.Abs(g.passRate()-before.passRate()) > rounding {
		urgency = min(urgency, 1)
	}
	if math.IsInf(urgency, 1) {
		return -1
	}
	return urgency
}

// nearWithOne is how near the threshold the score of a single sample counts as near.
const nearWithOne = 0.1

func (g *group) nearThreshold() (distance float64, near bool) {
	if g.threshold == nil || len(g.cells) == 0 {
		return 0, false
	}
	distance = math.Abs(g.score - *g.threshold)
	if len(g.cells) == 1 {
		return distance, distance <= nearWithOne+rounding
	}
	return distance, g.deviation > 0 && distance <= g.deviation/math.Sqrt(float64(len(g.cells)))
}

// wanted brings all of a doubt to twice the samples that the one with the most has.
func (d doubt) wanted(maxRepeat int) []Wanted {
	most := 0
	for _, g := range d.groups {
		most = max(most, len(g.cells))
	}
	var out []Wanted
	for _, g := range d.groups {
		if more := min(2*most, maxRepeat) - len(g.cells); more > 0 {
			out = append(out, Wanted{Case: g.id, Column: g.column, Samples: more})
		}
	}
	return out
}
