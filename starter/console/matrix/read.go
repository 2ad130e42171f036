package matrix

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// The bounds of an index.
const (
	mostCells   = 200_000
	beginning   = 240      // bytes of an output, or of a reason
	beginnings  = 32 << 20 // bytes of all of them
	piece       = 4 << 20  // of a result, read at once
	describing  = 300      // bytes of a description
	mostTags    = 20
	cellLongest = 64 << 20 // bytes of a cell that is shown
)

// indexing builds an index while the result comes in. Memory holds the index and one cell.
type indexing struct {
	*Matrix

	rows map[string]int
	left int // bytes of beginnings
}

// head is what the index keeps of a cell.
type head struct {
	Case   schemas.EvalCase  `json:"case"`
	Column int               `json:"column"`
	Sample int               `json:"sample"`
	State  schemas.CellState `json:"state"`
	Pass   bool              `json:"pass"`
	Score  float64           `json:"score"`
	Reason string            `json:"reason"`
	Reused bool              `json:"reused"`
	Answer *struct {
		Output json.RawMessage `json:"output"`
	} `json:"answer"`
}

// read reads a result. Error: internal for one that cannot be read, those of the store.
func read(ctx context.Context, store *blob.Store, info blob.Info) (*Matrix, error) {
	m := &Matrix{
		key: info.Key, size: info.Bytes, groups: map[place][]int{}, regressed: map[place]int{}, flaky: map[place]bool{}, tally: map[string]int{},
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	building := indexing{Matrix: m, rows: map[string]int{}, left: beginnings}
	if err := building.read(json.NewDecoder(&pieces{from: ahead(reading, store, info)})); err != nil {
		if coded := schemas.CodeOf(err); coded != schemas.Internal {
			return nil, err
		}
		return nil, schemas.Wrap(schemas.Internal, err, "the result of the evaluation cannot be read")
	}
	return m, building.finish()
}

// read takes the result apart: everything but the cells is small.
func (b *indexing) read(from *json.Decoder) error {
	if _, err := from.Token(); err != nil {
		return err
	}
	small := map[string]json.RawMessage{}
	for from.More() {
		name, err := from.Token()
		if err != nil {
			return err
		}
		if name == "cells" {
			err = b.readCells(from)
		} else {
			var value json.RawMessage
			err = from.Decode(&value)
			if text, ok := name.(string); ok {
				small[text] = value
			}
		}
		if err != nil {
			return err
		}
	}
	all, err := json.Marshal(small)
	if err != nil {
		return err
	}
	return json.Unmarshal(all, &b.EvalResult)
}

func (b *indexing) readCells(from *json.Decoder) error {
	if open, err := from.Token(); err != nil || open == nil { // null is none
		return err
	}
	for from.More() {
		begin := from.InputOffset()
		var h head
		if err := from.Decode(&h); err != nil {
			return err
		}
		if len(b.Cells) >= mostCells {
			b.LeftOut++
			continue
		}
		b.add(h, begin, from.InputOffset()-begin)
	}
	_, err := from.Token()
	return err
}

func (b *indexing) add(h head, offset, bytes int64) {
	row, known := b.rows[h.Case.ID]
	if !known {
		row = len(b.Rows)
		b.rows[h.Case.ID] = row
		b.Rows = append(b.Rows, Row{Case: caseOf(h.Case)})
	}
	c := Cell{
		Row: row, Column: h.Column, Sample: h.Sample, State: stateOf(h), Reused: h.Reused, Score: h.Score,
		Reason: b.keep(h.Reason), offset: offset, bytes: bytes,
	}
	if h.Answer != nil {
		c.Output = b.keep(Text(h.Answer.Output))
	}
	b.Rows[row].cells = append(b.Rows[row].cells, len(b.Cells))
	b.Cells = append(b.Cells, c)
}

// keep is the beginning of a text, without the text behind it.
func (b *indexing) keep(text string) string {
	text = clip(text, min(beginning, b.left))
	b.left -= len(text)
	return strings.Clone(text)
}

func caseOf(c schemas.EvalCase) schemas.EvalCase {
	c.Description = strings.Clone(clip(c.Description, describing))
	c.Tags = slices.Clone(c.Tags[:min(len(c.Tags), mostTags)])
	for i, tag := range c.Tags {
		c.Tags[i] = strings.Clone(clip(tag, describing))
	}
	return c
}

func stateOf(h head) State {
	switch {
	case h.State == schemas.CellErrored:
		return Errored
	case h.State != schemas.CellScored:
		return NotRun
	case h.Pass:
		return Passed
	}
	return Failed
}

// Text is an output as people read it: a string as it is, all else as JSON.
func Text(output json.RawMessage) string {
	var text string
	if len(output) > 0 && output[0] == '"' && json.Unmarshal(output, &text) == nil {
		return text
	}
	return string(output)
}

// clip cuts a text to at most n bytes, between characters.
func clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	if n <= 0 {
		return ""
	}
	return text[:n] + "…"
}

// finish counts, once all is read.
func (b *indexing) finish() error {
	for i, name := range wire.ColumnNames(b.EvalResult.Columns) {
		c := Column{EvalColumn: b.EvalResult.Columns[i], Name: name, Twin: -1}
		if i < len(b.Twins) && b.Twins[i] < len(b.EvalResult.Columns) {
			c.Twin = max(b.Twins[i], -1)
		}
		b.Columns = append(b.Columns, c)
	}
	for i, c := range b.Cells {
		if c.Column < 0 || c.Column >= len(b.Columns) {
			return schemas.Errorf(schemas.Internal, "the result of the evaluation cannot be read: a cell stands in column %d of %d", c.Column, len(b.Columns))
		}
		at := place{c.Row, c.Column}
		b.groups[at] = append(b.groups[at], i)
	}
	b.count()
	for i, r := range slices.Backward(b.Regressions) { // of several, the worst stays
		if row, ok := b.rows[r.Case]; ok {
			b.regressed[place{row, r.Column}] = i
		}
	}
	for _, f := range b.EvalResult.Flaky {
		if row, ok := b.rows[f.Case]; ok {
			b.flaky[place{row, f.Column}] = true
		}
	}
	b.rest()
	b.order()
	for _, condition := range Conditions {
		b.tally[condition] = len(b.Select(Query{State: condition, Column: -1}))
	}
	return nil
}

// count sorts the cells of each row and adds up the columns.
func (b *indexing) count() {
	cases := make([]int, len(b.Columns))
	for at, cells := range b.groups {
		slices.SortStableFunc(cells, func(x, y int) int { return cmp.Compare(b.Cells[x].Sample, b.Cells[y].Sample) })
		cases[at.column]++
	}
	for at, cells := range b.groups {
		column := &b.Columns[at.column]
		for _, i := range cells {
			switch b.Cells[i].State {
			case Passed:
				column.Counts.Passed++
				column.PassRate += 1 / float64(cases[at.column]*len(cells))
			case Failed:
				column.Counts.Failed++
			case Errored:
				column.Counts.Errored++
			case NotRun:
				column.Counts.NotRun++
			}
		}
	}
}

// rest finds the cases that were in quarantine when the run ended.
func (b *indexing) rest() {
	today := time.UnixMilli(b.EndMS).UTC().Format(time.DateOnly)
	for _, q := range b.Policy.Quarantine {
		if row, ok := b.rows[q.Case]; ok && today < q.Until {
			b.Rows[row].Resting = q.Until
		}
	}
}

// chunk is a piece of a result, or why there is none.
type chunk struct {
	data []byte
	err  error
}

// ahead reads a result a piece before it is needed.
func ahead(ctx context.Context, store *blob.Store, info blob.Info) <-chan chunk {
	out := make(chan chunk, 1)
	go func() {
		defer close(out)
		for offset := int64(0); offset < info.Bytes; offset += piece {
			data, err := store.GetRange(ctx, info.Key, offset, piece)
			select {
			case out <- chunk{data, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

// pieces is the reader of what comes in.
type pieces struct {
	from <-chan chunk
	data []byte
}

// Read implements io.Reader.
func (p *pieces) Read(into []byte) (int, error) {
	for len(p.data) == 0 {
		next, ok := <-p.from
		if !ok {
			return 0, io.EOF
		}
		if next.err != nil {
			return 0, next.err
		}
		p.data = next.data
	}
	n := copy(into, p.data)
	p.data = p.data[n:]
	return n, nil
}
