package parse

import (
	"encoding/json"
	"strings"
)

// notebook is what is read of Jupyter's format (nbformat 3 and 4).
type notebook struct {
	Cells      []cell `json:"cells"`
	Worksheets []struct {
		Cells []cell `json:"cells"`
	} `json:"worksheets"`
}

type cell struct {
	Kind   string `json:"cell_type"`
	Level  int    `json:"level"` // of a heading cell of nbformat 3
	Source prose  `json:"source"`
	Input  prose  `json:"input"` // the source of code in nbformat 3
}

// prose is a text that is written as one string or as a list of its lines.
type prose string

// UnmarshalJSON takes either form.
func (p *prose) UnmarshalJSON(data []byte) error {
	var lines []string
	if json.Unmarshal(data, &lines) == nil {
		*p = prose(strings.Join(lines, ""))
		return nil
	}
	return json.Unmarshal(data, (*string)(p))
}

// parseNotebook reads the cells of a Jupyter notebook: Markdown as such, code as code. Outputs are left out.
func parseNotebook(in Input) (Document, error) {
	text, err := decode(in.Data, "")
	if err != nil {
		return Document{}, err
	}
	if depth, at := jsonDepth([]byte(text)); depth > maxJSONDepth {
		return Document{}, invalid("the notebook is nested deeper than %d levels (line %d)", maxJSONDepth, lineAt([]byte(text), at))
	}
	var book notebook
	if err := json.Unmarshal([]byte(text), &book); err != nil {
		return Document{}, jsonFault([]byte(text), err)
	}
	for _, sheet := range book.Worksheets {
		book.Cells = append(book.Cells, sheet.Cells...)
	}
	var b builder
	for _, c := range book.Cells {
		writeCell(&b, c)
	}
	return b.document("", metadata{}), nil
}

func writeCell(b *builder, c cell) {
	source := lineEnds(string(c.Source + c.Input))
	switch c.Kind {
	case "markdown":
		writeMarkdown(b, source)
	case "heading":
		b.heading(c.Level, source)
	case "code":
		b.add(Code, source)
	default:
		b.paragraphs(source)
	}
}
