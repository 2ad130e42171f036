package report

import (
	"cmp"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// The bounds of one reason in a summary, in bytes.
const (
	failingReason = 200
	failingName   = 80
)

// Failing are the reasons for which cells under test did not pass, those without a result first, then those of most cases; cases in quarantine
// are left out. There are at most [schemas.MaxEvalFailing].
func Failing(r schemas.EvalResult) []schemas.EvalFailing {
	type key struct {
		state  schemas.CellState
		reason string
	}
	names, resting, places := ColumnNames(r.Columns), restingOn(r), map[key]int{}
	var out []schemas.EvalFailing
	cells := slices.SortedFunc(slices.Values(r.Cells), func(a, b schemas.CellRecord) int { // the same whatever their order
		return cmp.Or(cmp.Compare(a.Case.ID, b.Case.ID), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Sample, b.Sample))
	})
	for _, cell := range cells {
		if cell.State == schemas.CellScored && cell.Pass || r.Columns[cell.Column].Baseline || resting[cell.Case.ID] != "" {
			continue
		}
		at := key{cell.State, short(cell.Reason, failingReason)}
		if place, known := places[at]; known {
			out[place].Cells++
			continue
		}
		places[at] = len(out)
		out = append(out, schemas.EvalFailing{
			State: at.state, Reason: at.reason, Cells: 1, Case: short(cell.Case.ID, failingName), Title: short(titleOf(cell), failingName), Column: short(names[cell.Column], failingName),
		})
	}
	rank := map[schemas.CellState]int{schemas.CellErrored: 0, schemas.CellScored: 1, schemas.CellNotRun: 2}
	slices.SortStableFunc(out, func(a, b schemas.EvalFailing) int {
		return cmp.Or(cmp.Compare(rank[a.State], rank[b.State]), cmp.Compare(b.Cells, a.Cells))
	})
	return out[:min(len(out), schemas.MaxEvalFailing)]
}

// titleOf is what a case is called besides its id: its description, else what its variables say.
func titleOf(cell schemas.CellRecord) string {
	if cell.Case.Description != "" {
		return cell.Case.Description
	}
	return varsText(cell.Vars)
}
