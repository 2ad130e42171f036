package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// The bounds of a page. What is of interest comes first, so that what is left out passes.
const (
	detailBytes  = 16 << 20 // of the exchanges of all cells, as JSON
	textBytes    = 12 << 10 // of one text
	mostCells    = 50_000   // in the matrix
	chunkCells   = 50       // cells whose exchanges are read together
	descriptions = 200      // bytes of a description
)

// pageIndex is what the page's script knows of all cells. Lists stand for objects, because there are many.
type pageIndex struct {
	Columns []pageColumn `json:"columns"`
	Cases   [][4]string  `json:"cases"` // id, description, tags, end of the quarantine
	Cells   [][6]float64 `json:"cells"` // case, column, sample, state (0 failed, 1 passed, 2 errored, 3 not run), score, flags
	Chunk   int          `json:"chunk"`
	Worst   []int        `json:"worst"` // cases, the worst regressions first
}

type pageColumn struct {
	Name     string `json:"name"`
	Baseline bool   `json:"baseline,omitempty"`
	Twin     int    `json:"twin"`
}

// The flags of a cell.
const (
	flagRegressed = 1 << iota
	flagFlaky
	flagReused
	flagDetail
)

// pageChunk has the exchanges of some cells, and their texts once each.
type pageChunk struct {
	Texts []string      `json:"texts"`
	Cells []*pageDetail `json:"cells"` // null is left out
}

type pageDetail struct {
	Input      int             `json:"input"` // of Texts; -1 is none
	Vars       int             `json:"vars"`
	Output     int             `json:"output"`
	Reason     string          `json:"reason,omitempty"`
	Code       string          `json:"code,omitempty"`
	Threshold  *float64        `json:"threshold,omitempty"`
	Assertions []pageAssertion `json:"assertions,omitempty"`
	Facts      string          `json:"facts,omitempty"` // latency, tokens, cost
	Run        string          `json:"run,omitempty"`
	GraderRuns []string        `json:"grader_runs,omitempty"`
	Retrieved  []string        `json:"retrieved,omitempty"`
}

type pageAssertion struct {
	Depth  int     `json:"depth,omitempty"`
	Type   string  `json:"type"`
	Metric string  `json:"metric,omitempty"`
	Pass   bool    `json:"pass"`
	Score  float64 `json:"score"`
	Weight float64 `json:"weight"`
	Reason string  `json:"reason"`
}

// Indent is how far an assertion stands to the right, in characters.
func (a pageAssertion) Indent() int { return 2 * a.Depth }

// pageData is what a page holds of the cells.
type pageData struct {
	view    *view
	cells   []int        // of the result: those that are shown
	details map[int]bool // those whose exchange is shown
	places  map[int]int  // of a cell of the result among the cells
}

func newPageData(v *view) *pageData {
	d := &pageData{view: v, details: map[int]bool{}, places: map[int]int{}}
	d.choose()
	left := detailBytes
	for _, i := range d.byInterest() {
		size := sizeOf(v.Cells[i])
		if left -= size; left < 0 {
			break
		}
		d.details[i] = true
	}
	return d
}

// choose takes all cells, or of very many the cases of most interest, whole.
func (d *pageData) choose() {
	v := d.view
	takes := map[string]bool{}
	left := mostCells
	sizes := map[string]int{}
	for _, cell := range v.Cells {
		sizes[cell.Case.ID]++
	}
	for _, i := range d.byInterest() {
		id := v.Cells[i].Case.ID
		if !takes[id] && left >= sizes[id] {
			takes[id] = true
			left -= sizes[id]
		}
	}
	for i, cell := range v.Cells {
		if takes[cell.Case.ID] {
			d.places[i] = len(d.cells)
			d.cells = append(d.cells, i)
		}
	}
}

// byInterest has all cells: those without a result, regressions with what they are compared with, failures, flaky ones, and the rest.
func (d *pageData) byInterest() []int {
	v := d.view
	order := make([]int, len(v.Cells))
	interest := make([]int, len(v.Cells))
	compared := map[place]bool{}
	for at := range v.regressed {
		compared[place{at.id, v.twinOf(at.column)}] = true
	}
	for i, cell := range v.Cells {
		at := place{cell.Case.ID, cell.Column}
		order[i], interest[i] = i, 4
		switch {
		case cell.State != schemas.CellScored:
			interest[i] = 0
		case v.regressed[at] || compared[at]:
			interest[i] = 1
		case !cell.Pass:
			interest[i] = 2
		case v.flaky[at]:
			interest[i] = 3
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return interest[a] - interest[b] })
	return order
}

func (v *view) twinOf(column int) int {
	if column < 0 || column >= len(v.columns) {
		return -1
	}
	return v.columns[column].Twin
}

// sizeOf is about how large the exchange of a cell is in the page.
func sizeOf(cell schemas.CellRecord) int {
	size := 300 + min(len(cell.Input), textBytes) + min(len(cell.Vars), textBytes) + min(len(cell.Reason), textBytes)
	if cell.Answer != nil {
		size += min(len(cell.Answer.Output), textBytes)
	}
	for _, a := range flatten(nil, cell.Assertions, 0) {
		size += 100 + len(a.Reason)
	}
	return size
}

// leftOut says what the page does not have; empty if it has all.
func (d *pageData) leftOut() string {
	shown, without := len(d.cells), 0
	for _, i := range d.cells {
		if !d.details[i] {
			without++
		}
	}
	text := ""
	if missing := len(d.view.Cells) - shown; missing > 0 {
		text = fmt.Sprintf("The page has room for %d cells; %s, those of the least interest, stand in result.json only. ", mostCells, plural(missing, "more cell"))
	}
	if without > 0 {
		text += fmt.Sprintf("The exchanges of %s, those of the least interest, are left out to keep the page small; result.json has them.", plural(without, "cell"))
	}
	return text
}

// write writes the index and the exchanges as blocks of JSON that the browser does not run. JSON has no "<" here, so no text ends a block.
func (d *pageData) write(w io.Writer) error {
	if err := block(w, "index", d.index()); err != nil {
		return err
	}
	for start := 0; start < len(d.cells); start += chunkCells {
		if err := block(w, fmt.Sprintf("cells-%d", start/chunkCells), d.chunk(start)); err != nil {
			return err
		}
	}
	return nil
}

func block(w io.Writer, id string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return schemas.Wrap(schemas.Internal, err, "the report cannot be written")
	}
	_, err = fmt.Fprintf(w, "<script type=\"application/json\" id=%q>%s</script>\n", id, data)
	return err
}

func (d *pageData) index() pageIndex {
	v := d.view
	out := pageIndex{Chunk: chunkCells, Cases: [][4]string{}, Cells: [][6]float64{}, Worst: []int{}}
	for _, c := range v.columns {
		out.Columns = append(out.Columns, pageColumn{c.Name, c.Baseline, c.Twin})
	}
	ranks := map[string]int{}
	for _, i := range d.cells {
		cell := v.Cells[i]
		if _, known := ranks[cell.Case.ID]; !known {
			ranks[cell.Case.ID] = len(out.Cases)
			out.Cases = append(out.Cases, [4]string{line(cell.Case.ID, descriptions), line(titleOf(cell), descriptions), tagsText(cell.Case.Tags), tame(v.resting[cell.Case.ID])})
		}
		out.Cells = append(out.Cells, [6]float64{float64(ranks[cell.Case.ID]), float64(cell.Column), float64(cell.Sample), stateNumber(cell), math.Round(cell.Score*1e4) / 1e4, d.flags(i)})
	}
	for _, r := range v.Regressions {
		if rank, shown := ranks[r.Case]; shown {
			out.Worst = append(out.Worst, rank)
		}
	}
	return out
}

func (d *pageData) flags(i int) float64 {
	cell := d.view.Cells[i]
	at := place{cell.Case.ID, cell.Column}
	flags := 0
	for bit, set := range map[int]bool{flagRegressed: d.view.regressed[at], flagFlaky: d.view.flaky[at], flagReused: cell.Reused, flagDetail: d.details[i]} {
		if set {
			flags |= bit
		}
	}
	return float64(flags)
}

func stateNumber(cell schemas.CellRecord) float64 {
	switch {
	case cell.State == schemas.CellErrored:
		return 2
	case cell.State != schemas.CellScored:
		return 3
	case cell.Pass:
		return 1
	}
	return 0
}

func tagsText(tags []string) string {
	lines := make([]string, len(tags))
	for i, tag := range tags {
		lines[i] = line(tag, descriptions)
	}
	return clip(strings.Join(lines, ", "), descriptions)
}

func (d *pageData) chunk(start int) pageChunk {
	chunk := pageChunk{Texts: []string{}}
	known := map[string]int{}
	text := func(s string) int {
		if s == "" {
			return -1
		}
		s = tame(clip(s, textBytes))
		if _, have := known[s]; !have {
			known[s] = len(chunk.Texts)
			chunk.Texts = append(chunk.Texts, s)
		}
		return known[s]
	}
	for _, i := range d.cells[start:min(start+chunkCells, len(d.cells))] {
		if !d.details[i] {
			chunk.Cells = append(chunk.Cells, nil)
			continue
		}
		chunk.Cells = append(chunk.Cells, detailOf(d.view.Cells[i], text))
	}
	return chunk
}

func detailOf(cell schemas.CellRecord, text func(string) int) *pageDetail {
	out := &pageDetail{
		Input: text(cell.Input), Vars: text(string(cell.Vars)), Output: -1, Reason: tame(clip(cell.Reason, textBytes)), Code: tame(string(cell.Code)),
		Threshold: cell.Threshold, Assertions: flatten(nil, cell.Assertions, 0), GraderRuns: runs(cell.GraderRuns),
	}
	if a := cell.Answer; a != nil {
		out.Output, out.Run, out.Facts, out.Retrieved = text(outputText(a.Output)), tame(a.RunID), facts(cell), runs(a.Retrieved)
	}
	return out
}

// runs bounds a list of names.
func runs(ids []string) []string {
	const most = 50
	var out []string
	for _, id := range ids[:min(len(ids), most)] {
		out = append(out, line(id, 200))
	}
	return out
}

// facts are what an answer took.
func facts(cell schemas.CellRecord) string {
	a := cell.Answer
	text := fmt.Sprintf("%d tokens in, %d out, %s", a.Usage.InputTokens, a.Usage.OutputTokens, money(a.Cost))
	if a.LatencyMS != nil {
		text = duration(*a.LatencyMS) + ", " + text
	}
	if cell.Graders.Calls > 0 {
		text += fmt.Sprintf("; graders: %s, %s", plural(cell.Graders.Calls, "call"), money(cell.GraderCost))
	}
	if a.Refused {
		text += "; refused by the provider"
	}
	if cell.Reused {
		text += "; known from an earlier run"
	}
	return text
}

// flatten makes a list of assertions and their parts, each with its depth.
func flatten(out []pageAssertion, assertions []schemas.AssertionResult, depth int) []pageAssertion {
	const most, deepest, reasonBytes = 100, 8, 2000
	for _, a := range assertions {
		if len(out) >= most || depth > deepest {
			return out
		}
		out = append(out, pageAssertion{depth, line(a.Type, 60), line(a.Metric, 60), a.Pass, a.Score, a.Weight, tame(clip(a.Reason, reasonBytes))})
		out = flatten(out, a.Parts, depth+1)
	}
	return out
}
