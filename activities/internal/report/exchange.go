package report

import (
	"regexp"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// The exchanges that stand in the page itself, for browsers that run no script: those of the lists of what became worse, what failed and what
// has no result, as far as these bounds go.
const (
	mostExchanges = 120
	exchangeBytes = 4 << 10 // of one text
)

// exchange is what a case was asked and what came of it, on both sides of the comparison.
type exchange struct {
	Sides       []exchangeSide
	Input, Vars string
}

type exchangeSide struct {
	Column, State string
	Output        []Segment
	Detail        *pageDetail
	Run           exchangeRun
	Graders       []exchangeRun
}

// exchangeRun is the id of a run; Linked if it can be one of the console's addresses.
type exchangeRun struct {
	ID     string
	Linked bool
}

func runOf(id string) exchangeRun { return exchangeRun{id, schemas.CheckRunID(id) == nil} }

// exchangeOf shows a cell beside the same sample of its twin, or the one that is given.
func (v *view) exchangeOf(cell, before int) *exchange {
	shown := []int{cell}
	if twin := v.partner(cell); before < 0 && twin >= 0 {
		before = twin
	}
	if before >= 0 && before < len(v.Cells) {
		shown = append(shown, before)
	}
	out := &exchange{Input: clip(v.Cells[cell].Input, exchangeBytes), Vars: clip(string(v.Cells[cell].Vars), exchangeBytes)}
	outputs := make([]string, len(shown))
	for k, i := range shown {
		if a := v.Cells[i].Answer; a != nil {
			outputs[k] = clip(outputText(a.Output), exchangeBytes)
		}
	}
	parts := [][]Segment{{{Text: outputs[0]}}}
	if len(shown) == 2 {
		ours, theirs := Difference(outputs[0], outputs[1])
		parts = [][]Segment{ours, theirs}
	}
	for k, i := range shown {
		c := v.Cells[i]
		side := exchangeSide{Column: v.columns[c.Column].Name, State: outcome(c), Output: parts[k], Detail: detailOf(c, func(string) int { return -1 })}
		side.Run = runOf(side.Detail.Run)
		for _, id := range side.Detail.GraderRuns {
			side.Graders = append(side.Graders, runOf(id))
		}
		out.Sides = append(out.Sides, side)
	}
	return out
}

// partner is the cell that one is compared with: the same sample of its twin, or its first; -1 if there is none.
func (v *view) partner(cell int) int {
	c := v.Cells[cell]
	cells := v.groups[place{c.Case.ID, v.columns[c.Column].Twin}]
	for _, i := range cells {
		if v.Cells[i].Sample == c.Sample {
			return i
		}
	}
	if len(cells) > 0 {
		return cells[0]
	}
	return -1
}

// Segment is a part of a text; Only if the text that it is compared with does not have it.
type Segment struct {
	Text string
	Only bool
}

var words = regexp.MustCompile(`\s+|[\pL\pN_]+|[^\s]`)

// mostWords bounds the texts of which differences are looked for, because the time is their product.
const mostWords = 600

// Difference marks the words that only one of two texts has, by their longest common subsequence. Texts too long for it have no marks.
func Difference(a, b string) (ours, theirs []Segment) {
	x, y := words.FindAllString(a, -1), words.FindAllString(b, -1)
	if len(x) > mostWords || len(y) > mostWords {
		return []Segment{{Text: a}}, []Segment{{Text: b}}
	}
	longest := common(x, y)
	i, k := 0, 0
	for i < len(x) || k < len(y) {
		switch {
		case i < len(x) && k < len(y) && x[i] == y[k]:
			ours, theirs = grow(ours, x[i], false), grow(theirs, y[k], false)
			i, k = i+1, k+1
		case k == len(y) || i < len(x) && longest[i+1][k] >= longest[i][k+1]:
			ours = grow(ours, x[i], true)
			i++
		default:
			theirs = grow(theirs, y[k], true)
			k++
		}
	}
	return ours, theirs
}

// common has the lengths of the longest common subsequences of what follows each pair of places.
func common(x, y []string) [][]uint16 {
	lengths := make([][]uint16, len(x)+1)
	for i := range lengths {
		lengths[i] = make([]uint16, len(y)+1)
	}
	for i, ours := range slices.Backward(x) {
		for k, theirs := range slices.Backward(y) {
			if ours == theirs {
				lengths[i][k] = lengths[i+1][k+1] + 1
			} else {
				lengths[i][k] = max(lengths[i+1][k], lengths[i][k+1])
			}
		}
	}
	return lengths
}

func grow(parts []Segment, word string, only bool) []Segment {
	if n := len(parts); n > 0 && parts[n-1].Only == only {
		parts[n-1].Text += word
		return parts
	}
	return append(parts, Segment{word, only})
}
