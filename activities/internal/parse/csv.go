package parse

import (
	"encoding/csv"
	"errors"
	"io"
	"path"
	"strconv"
	"strings"
)

// parseCSV makes a block of each row. Where the first row names the columns, a row reads "Column: value", a line for each, so
// that a row makes sense alone; else its cells stand side by side.
func parseCSV(in Input) (Document, error) {
	text, err := decode(in.Data, charsetOf(in.MediaType))
	if err != nil {
		return Document{}, err
	}
	rows := csv.NewReader(strings.NewReader(text))
	rows.Comma = delimiter(text, strings.ToLower(path.Ext(in.Path)))
	rows.LazyQuotes = true
	rows.FieldsPerRecord = -1
	rows.ReuseRecord = true
	w := csvWriter{budget: 4*len(text) + 1<<20}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			w.flush()
			return w.b.document("", metadata{}), nil
		}
		if fault, ok := errors.AsType[*csv.ParseError](err); ok {
			return Document{}, invalid("not valid CSV: line %d: %v", fault.Line, fault.Err)
		}
		if err != nil {
			return Document{}, invalid("not valid CSV")
		}
		w.row(row)
	}
}

// delimiters in the order in which they win between equals.
const delimiters = ",;\t|"

const sniffed = 30 // lines that are looked at to find the delimiter

// delimiter is the sign that divides the first lines most evenly: into more than one cell, the same number in each.
func delimiter(text, ext string) rune {
	if ext == ".tsv" || ext == ".tab" {
		return '\t'
	}
	best, score := ',', 0.0
	for _, d := range delimiters {
		if s := evenness(text, d); s > score+1e-9 {
			best, score = d, s
		}
	}
	return best
}

// evenness is the share of lines with the most frequent number of cells above one, weighed a little by that number.
func evenness(text string, d rune) float64 {
	counts := map[int]int{}
	n := 0
	rows := csv.NewReader(strings.NewReader(text[:min(len(text), 64<<10)]))
	rows.Comma, rows.LazyQuotes, rows.FieldsPerRecord = d, true, -1
	for ; n < sniffed; n++ {
		row, err := rows.Read()
		if err != nil {
			break
		}
		counts[len(row)]++
	}
	best := 0.0
	for cells, lines := range counts {
		if cells > 1 {
			best = max(best, float64(lines)/float64(n)+float64(min(cells, 100))/10_000)
		}
	}
	return best
}

// maxColumn bounds a column's name, which stands in every row, in bytes.
const maxColumn = 80

type csvWriter struct {
	b       builder
	columns []string
	first   []string // rows are held back until the second tells whether the first is a header
	budget  int      // bytes of text; beyond it, names of columns are left out
}

func (w *csvWriter) row(row []string) {
	switch {
	case blank(row):
	case w.columns != nil:
		w.write(row)
	case w.first == nil:
		w.first = append([]string{}, row...)
	case filled(w.first) < filled(row) && filled(w.first) <= 1: // a caption above the header
		w.b.add(Paragraph, strings.Join(w.first, " "))
		w.first = append([]string{}, row...)
	case header(w.first):
		w.name(w.first)
		w.write(row)
	default:
		w.columns = []string{}
		w.write(w.first)
		w.write(row)
	}
}

// flush writes a first row that stayed alone.
func (w *csvWriter) flush() {
	if w.columns == nil {
		w.columns = []string{}
		w.write(w.first)
	}
}

func (w *csvWriter) name(row []string) {
	w.columns = make([]string, len(row))
	for i, name := range row {
		w.columns[i] = clip(strings.Join(strings.Fields(name), " "), maxColumn)
	}
}

func (w *csvWriter) write(row []string) {
	if len(w.columns) == 0 || w.b.text.Len() > w.budget {
		w.b.add(Table, strings.Join(row, " | "))
		return
	}
	var out strings.Builder
	for i, cell := range row {
		if cell = strings.TrimSpace(cell); cell == "" {
			continue
		}
		if i < len(w.columns) && w.columns[i] != "" {
			out.WriteString(w.columns[i] + ": ")
		}
		out.WriteString(cell + "\n")
	}
	w.b.add(Table, out.String())
}

// header reports whether a row names columns: distinct cells, none of them a number, nearly all filled.
func header(row []string) bool {
	seen := map[string]bool{}
	for _, cell := range row {
		cell = strings.TrimSpace(cell)
		if _, err := strconv.ParseFloat(cell, 64); err == nil || cell != "" && seen[cell] || len(cell) > 2*maxColumn {
			return false
		}
		seen[cell] = true
	}
	return len(row) > 1 && filled(row)*2 > len(row)
}

func filled(row []string) int {
	n := 0
	for _, cell := range row {
		if strings.TrimSpace(cell) != "" {
			n++
		}
	}
	return n
}

func blank(row []string) bool { return filled(row) == 0 }
