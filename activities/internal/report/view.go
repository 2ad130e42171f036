package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// view is a result with what is counted over it.
type view struct {
	schemas.EvalResult
	columns   []column
	cases     []string          // ids, in the order of the result
	rank      map[string]int    // place among the cases
	groups    map[place][]int   // cells of a case under a column
	regressed map[place]bool    //
	flaky     map[place]bool    //
	resting   map[string]string // days until which cases are in quarantine, at the end of the run
}

// place is a case under a column.
type place struct {
	id     string
	column int
}

// column is a column with its figures. Rates count every case the same, and what has no result with 0.
type column struct {
	Index           int
	Name            string
	Pin             string
	Baseline        bool
	Twin            int // -1 is none
	Counts          schemas.CellCounts
	PassRate, Score float64
	Scores          [bins]int
	Latencies       []float64 // of answers, ascending
	Answers         schemas.Cost
	Graders         schemas.Cost
	Tokens          int
	Reused          int
}

// bins divide the scores from 0 to 1; those beyond are counted in the first and the last.
const bins = 20

func newView(r schemas.EvalResult) (*view, error) {
	v := &view{EvalResult: r, rank: map[string]int{}, groups: map[place][]int{}, regressed: map[place]bool{}, flaky: map[place]bool{}}
	v.resting = restingOn(r)
	for i, name := range ColumnNames(r.Columns) {
		c := column{Index: i, Name: name, Pin: r.Columns[i].Pin, Baseline: r.Columns[i].Baseline, Twin: -1}
		if i < len(r.Twins) && r.Twins[i] < len(r.Columns) {
			c.Twin = max(r.Twins[i], -1)
		}
		v.columns = append(v.columns, c)
	}
	for i, cell := range v.Cells {
		if cell.Column < 0 || cell.Column >= len(v.columns) {
			return nil, schemas.Errorf(schemas.Invalid, "case %q stands in column %d of %d", cell.Case.ID, cell.Column, len(v.columns))
		}
		if _, known := v.rank[cell.Case.ID]; !known {
			v.rank[cell.Case.ID] = len(v.cases)
			v.cases = append(v.cases, cell.Case.ID)
		}
		at := place{cell.Case.ID, cell.Column}
		v.groups[at] = append(v.groups[at], i)
		v.columns[cell.Column].count(cell)
	}
	v.measure()
	return v, nil
}

// measure fills what is known only when all cells are counted.
func (v *view) measure() {
	cases := make([]float64, len(v.columns))
	for at := range v.groups {
		cases[at.column]++
	}
	for _, id := range v.cases {
		for i := range v.columns {
			for _, k := range v.groups[place{id, i}] {
				if cell := v.Cells[k]; cell.State == schemas.CellScored {
					share := 1 / (cases[i] * float64(len(v.groups[place{id, i}])))
					v.columns[i].Score += share * cell.Score
					if cell.Pass {
						v.columns[i].PassRate += share
					}
				}
			}
		}
	}
	for i := range v.columns {
		slices.Sort(v.columns[i].Latencies)
	}
	for _, r := range v.Regressions {
		v.regressed[place{r.Case, r.Column}] = true
	}
	for _, f := range v.Flaky {
		v.flaky[place{f.Case, f.Column}] = true
	}
}

func (c *column) count(cell schemas.CellRecord) {
	switch {
	case cell.State == schemas.CellErrored:
		c.Counts.Errored++
	case cell.State != schemas.CellScored:
		c.Counts.NotRun++
	case cell.Pass:
		c.Counts.Passed++
	default:
		c.Counts.Failed++
	}
	if cell.State == schemas.CellScored {
		c.Scores[min(max(int(cell.Score*bins), 0), bins-1)]++
	}
	if cell.Reused {
		c.Reused++
	}
	c.Graders = c.Graders.Add(cell.GraderCost)
	c.Tokens += cell.Graders.InputTokens + cell.Graders.OutputTokens
	if a := cell.Answer; a != nil {
		c.Answers = c.Answers.Add(a.Cost)
		c.Tokens += a.Usage.InputTokens + a.Usage.OutputTokens
		if a.LatencyMS != nil {
			c.Latencies = append(c.Latencies, *a.LatencyMS)
		}
	}
}

// quantile of the latencies; false if there are none.
func (c *column) quantile(q float64) (float64, bool) {
	if len(c.Latencies) == 0 {
		return 0, false
	}
	return c.Latencies[min(int(q*float64(len(c.Latencies))), len(c.Latencies)-1)], true
}

// ColumnNames are what columns are called, each differently.
func ColumnNames(columns []schemas.EvalColumn) []string {
	const most = 80
	names, seen := make([]string, len(columns)), map[string]int{}
	for i, c := range columns {
		name := cmp.Or(c.Provider.Label, c.Provider.ID)
		if c.Prompt != "" {
			name += " · " + c.Prompt
		}
		name = short(name, most)
		if c.Baseline {
			name += " (baseline)"
		}
		if seen[name]++; seen[name] > 1 {
			name += fmt.Sprintf(" #%d", seen[name])
		}
		names[i] = name
	}
	return names
}

// restingOn has the cases that were in quarantine when the run ended.
func restingOn(r schemas.EvalResult) map[string]string {
	today, resting := time.UnixMilli(r.EndMS).UTC().Format(time.DateOnly), map[string]string{}
	for _, q := range r.Policy.Quarantine {
		if today < q.Until {
			resting[q.Case] = q.Until
		}
	}
	return resting
}

// total are the counts of the columns under test.
func (v *view) total() schemas.CellCounts {
	var t schemas.CellCounts
	for _, c := range v.columns {
		if !c.Baseline {
			t.Passed += c.Counts.Passed
			t.Failed += c.Counts.Failed
			t.Errored += c.Counts.Errored
			t.NotRun += c.Counts.NotRun
		}
	}
	return t
}

// unresolved are the cells without a result, errored ones first.
func (v *view) unresolved() []int {
	var out []int
	for i, cell := range v.Cells {
		if cell.State != schemas.CellScored {
			out = append(out, i)
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(v.Cells[a].State, v.Cells[b].State) })
	return out
}

// failed are the cells under test that failed and did not become worse: they failed before, or there is nothing to compare them with.
func (v *view) failed() []int {
	var out []int
	for i, cell := range v.Cells {
		if cell.State == schemas.CellScored && !cell.Pass && !v.columns[cell.Column].Baseline && !v.regressed[place{cell.Case.ID, cell.Column}] {
			out = append(out, i)
		}
	}
	return out
}

func unquote(raw []byte) (string, bool) {
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err == nil
}

// P50 is the median of the latencies.
func (c *column) P50() string { return c.latency(0.5) }

// P95 is the time that 95 in 100 answers take at most.
func (c *column) P95() string { return c.latency(0.95) }

// Paid is what the answers and their graders cost.
func (c *column) Paid() schemas.Cost { return c.Answers.Add(c.Graders) }
