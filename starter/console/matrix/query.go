package matrix

import (
	"slices"
	"strings"
)

// The conditions of which a query has one. Apart from these there are the states of cells.
const (
	AnyState   = ""
	Regressed  = "regressed" // worse than the baseline
	Flaky      = "flaky"     // samples disagree
	Quarantine = "quarantine"
)

// Conditions are all of them, in the order in which they are offered.
var Conditions = []string{Regressed, "failed", "errored", "not run", Flaky, "scored", "passed", Quarantine}

// Query says which cases are wanted.
type Query struct {
	State  string // one of Conditions, or AnyState: some cell of the case, under a column that is no baseline
	Column int    // the only one that is looked at, which may be a baseline; -1 is all
	Words  string // all of them stand in the case's id, description and tags, or in the beginnings of its outputs and reasons
	Suite  bool   // in the order of the suite, not the worst first
}

// Select finds the rows of the cases that are wanted.
func (m *Matrix) Select(q Query) []int {
	words := strings.Fields(strings.ToLower(q.Words))
	rows := []int{}
	for at := range m.Rows {
		row := at
		if !q.Suite {
			row = m.rank[at]
		}
		if m.is(row, q.State, q.Column) && m.has(row, words) {
			rows = append(rows, row)
		}
	}
	return rows
}

// Count is how many cases some column of the candidate has in a condition.
func (m *Matrix) Count(condition string) int { return m.tally[condition] }

func (m *Matrix) is(row int, condition string, column int) bool {
	switch {
	case condition == Quarantine:
		return m.Rows[row].Resting != ""
	case column >= 0:
		return m.isUnder(row, column, condition)
	case condition == AnyState:
		return true
	}
	for i, c := range m.Columns {
		if !c.Baseline && m.isUnder(row, i, condition) {
			return true
		}
	}
	return false
}

func (m *Matrix) isUnder(row, column int, condition string) bool {
	cells := m.Samples(row, column)
	switch condition {
	case AnyState:
		return len(cells) > 0
	case Regressed:
		return m.Regressed(row, column) != nil
	case Flaky:
		return m.Flaky(row, column)
	}
	return slices.ContainsFunc(cells, func(i int) bool {
		state := m.Cells[i].State
		return state.String() == condition || condition == "scored" && (state == Passed || state == Failed)
	})
}

func (m *Matrix) has(row int, words []string) bool {
	if len(words) == 0 {
		return true
	}
	r := m.Rows[row]
	var text strings.Builder
	for _, part := range append([]string{r.Case.ID, r.Case.Description}, r.Case.Tags...) {
		text.WriteString(strings.ToLower(part) + "\n")
	}
	for _, i := range r.cells {
		text.WriteString(strings.ToLower(m.Cells[i].Output + "\n" + m.Cells[i].Reason + "\n"))
	}
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text.String(), word) })
}

// order ranks the rows: cases without a result come first, then regressions, the worst first, then what failed, the lowest scores first, then flaky
// cases, and the rest as in the suite.
func (m *Matrix) order() {
	type worth struct {
		class int
		score float64
	}
	worths := make([]worth, len(m.Rows))
	for row := range m.Rows {
		worths[row] = worth{class: 4}
		for column, c := range m.Columns {
			if c.Baseline {
				continue
			}
			w := worth{class: 4}
			score, _, _ := m.Score(row, column)
			switch {
			case m.isUnder(row, column, "errored") || m.isUnder(row, column, "not run"):
				w.class = 0
			case m.Regressed(row, column) != nil:
				w.class, w.score = 1, float64(m.regressed[place{row, column}])
			case m.isUnder(row, column, "failed"):
				w.class, w.score = 2, score
			case m.Flaky(row, column):
				w.class = 3
			}
			if best := worths[row]; w.class < best.class || w.class == best.class && w.score < best.score {
				worths[row] = w
			}
		}
	}
	m.rank = make([]int, len(m.Rows))
	for i := range m.rank {
		m.rank[i] = i
	}
	slices.SortStableFunc(m.rank, func(a, b int) int {
		switch x, y := worths[a], worths[b]; {
		case x.class != y.class:
			return x.class - y.class
		case x.score < y.score:
			return -1
		case x.score > y.score:
			return 1
		}
		return 0
	})
}
