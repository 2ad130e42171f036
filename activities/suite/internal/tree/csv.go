package tree

import (
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// MaxColumns bounds the columns of a CSV file.
const MaxColumns = 1000

// CSV reads rows of fields, as RFC 4180 has them and spreadsheets write them: separated by commas, in double quotes where they hold
// commas, quotes (then doubled) or line ends. A quote inside an unquoted field is part of it. Empty lines are no rows. Reading stops
// at the first fault.
func CSV(file, text string) (rows [][]*Value, problems []schemas.Problem) {
	r := &csvReader{file: file, text: text, line: 1}
	for r.pos < len(text) {
		row, problem := r.row()
		if problem != nil {
			return rows, []schemas.Problem{*problem}
		}
		if len(row) > 1 || row[0].Text != "" {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

type csvReader struct {
	file, text string
	pos        int
	line       int
	lineStart  int
}

func (r *csvReader) row() ([]*Value, *schemas.Problem) {
	var row []*Value
	for {
		v := &Value{Kind: Text, File: r.file, Line: r.line}
		_, v.Column = place(r.text[r.lineStart:], min(r.pos-r.lineStart, 1<<16))
		if len(row) == MaxColumns {
			p := v.Problem("the row has more than %d columns", MaxColumns)
			return nil, &p
		}
		if problem := r.field(v); problem != nil {
			return nil, problem
		}
		row = append(row, v)
		if r.pos >= len(r.text) || r.text[r.pos] != ',' {
			r.pos++ // the line end
			r.line++
			r.lineStart = r.pos
			return row, nil
		}
		r.pos++
		if r.pos == len(r.text) { // a comma ends the file: one more empty field
			r.pos++
			return append(row, &Value{Kind: Text, File: r.file, Line: r.line, Column: v.Column + 1}), nil
		}
	}
}

// field reads one field up to the comma or line end behind it.
func (r *csvReader) field(v *Value) *schemas.Problem {
	if r.pos >= len(r.text) || r.text[r.pos] != '"' {
		end := strings.IndexAny(r.text[r.pos:], ",\n")
		if end < 0 {
			end = len(r.text) - r.pos
		}
		v.Text = r.text[r.pos : r.pos+end]
		r.pos += end
		return nil
	}
	r.pos++
	var b strings.Builder
	for {
		end := strings.IndexByte(r.text[r.pos:], '"')
		if end < 0 {
			p := v.Problem("the field begins with a quote that is never closed: add \" at its end, and double the quotes inside it")
			return &p
		}
		part := r.text[r.pos : r.pos+end]
		b.WriteString(part)
		if n := strings.Count(part, "\n"); n > 0 {
			r.line += n
			r.lineStart = r.pos + strings.LastIndexByte(part, '\n') + 1
		}
		r.pos += end + 1
		if r.pos < len(r.text) && r.text[r.pos] == '"' {
			b.WriteByte('"')
			r.pos++
			continue
		}
		break
	}
	v.Text = b.String()
	if r.pos < len(r.text) && r.text[r.pos] != ',' && r.text[r.pos] != '\n' {
		p := v.Problem("text follows the closing quote of the field: double the quotes inside it")
		return &p
	}
	return nil
}
