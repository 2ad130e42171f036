// Package matrix reads results of evaluations for people to look at: an index of all cells, in bounded memory, and single cells, whole, from where they
// stand in the store.
package matrix

import (
	"github.com/tenuto-dev/tenuto/schemas"
)

// State is what became of a cell, in one word.
type State uint8

// The states of a cell, as reports have them.
const (
	Failed State = iota
	Passed
	Errored
	NotRun
)

// String is the state in words.
func (s State) String() string { return [...]string{"failed", "passed", "errored", "not run"}[s] }

// Cell is what the index has of a cell.
type Cell struct {
	Row, Column, Sample int
	State               State
	Reused              bool
	Score               float64
	Output, Reason      string // their beginnings; empty where the index has no room for more
	offset, bytes       int64  // of its JSON in the result
}

// Row is a case.
type Row struct {
	Case    schemas.EvalCase // texts are cut
	Resting string           // day until which it is in quarantine; empty if it is not
	cells   []int            // by column, then by sample
}

// Column is a column with what its cells came to.
type Column struct {
	schemas.EvalColumn

	Name     string
	Twin     int // index of the baseline's column that it is compared with; -1 is none
	Counts   schemas.CellCounts
	PassRate float64 // every case counts the same, and what has no result as failed
}

// place is a case under a column.
type place struct{ row, column int }

// Matrix is the index of a result: cases down, columns across. Nobody changes it.
type Matrix struct {
	schemas.EvalResult // without its cells

	Columns   []Column
	Rows      []Row
	Cells     []Cell // at the places that they have in the result
	LeftOut   int    // cells of the result that the index has no room for
	key       string
	size      int64
	groups    map[place][]int
	regressed map[place]int // place among the regressions
	flaky     map[place]bool
	rank      []int // rows, the worst first
	tally     map[string]int
}

// Samples are the cells of a case under a column, by sample.
func (m *Matrix) Samples(row, column int) []int { return m.groups[place{row, column}] }

// Regressed says how a case became worse under a column; nil if it did not.
func (m *Matrix) Regressed(row, column int) *schemas.Regressed {
	if i, ok := m.regressed[place{row, column}]; ok {
		return &m.Regressions[i]
	}
	return nil
}

// Flaky reports whether the samples of a case disagree under a column.
func (m *Matrix) Flaky(row, column int) bool { return m.flaky[place{row, column}] }

// Score is the mean score of a case under a column, cells without a result counting 0, and how many of its samples pass; false without cells.
func (m *Matrix) Score(row, column int) (score float64, passed int, ok bool) {
	cells := m.Samples(row, column)
	for _, i := range cells {
		if c := m.Cells[i]; c.State == Passed || c.State == Failed {
			score += c.Score / float64(len(cells))
		}
		if m.Cells[i].State == Passed {
			passed++
		}
	}
	return score, passed, len(cells) > 0
}

// Twin is the cell of the baseline that one is compared with: the same sample, or the first; -1 if there is none.
func (m *Matrix) Twin(cell int) int {
	c := m.Cells[cell]
	cells := m.Samples(c.Row, m.Columns[c.Column].Twin)
	for _, i := range cells {
		if m.Cells[i].Sample == c.Sample {
			return i
		}
	}
	if len(cells) > 0 {
		return cells[0]
	}
	return -1
}

// Across are the columns in the order of a page: each before the one that it is compared with.
func (m *Matrix) Across() []int {
	var order []int
	shown := map[int]bool{}
	show := func(i int) {
		if i >= 0 && !shown[i] {
			shown[i] = true
			order = append(order, i)
		}
	}
	for i, c := range m.Columns {
		if !c.Baseline {
			show(i)
			show(c.Twin)
		}
	}
	for i := range m.Columns {
		show(i)
	}
	return order
}
