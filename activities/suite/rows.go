package suite

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

// testRows reads a CSV file with a line of column names: a column is a variable, and those that begin with two underscores are
// promptfoo's (https://www.promptfoo.dev/docs/configuration/test-cases).
func (l *loader) testRows(path, text string) {
	rows, problems := tree.CSV(path, text)
	l.fail(problems...)
	if len(rows) == 0 {
		if len(problems) == 0 {
			l.fail(schemas.Problem{File: path, Message: "the file is empty: write a line with the names of the columns, then a line a test"})
		}
		return
	}
	heads := rows[0]
	seen := map[string]bool{}
	for _, head := range heads {
		head.Text = strings.TrimSpace(head.Text)
		if seen[head.Text] {
			l.at(head, "the column `%s` stands twice: rename one", clip(head.Text))
		}
		seen[head.Text] = true
		for _, special := range columns {
			if head.Text == special[1:] || special == "__expected" && singleExpected.MatchString(head.Text) {
				l.warn(head, "the column `%s` is a variable: did you mean `_%[1]s`?", head.Text)
			}
		}
	}
	for _, row := range rows[1:] {
		if len(row) != len(heads) {
			l.at(row[0], "the row has %d fields, and the file has %d columns: put a field with commas in quotes", len(row), len(heads))
			continue
		}
		l.addRow(heads, row)
	}
}

var (
	columns        = []string{"__expected", "__prefix", "__suffix", "__description", "__providerOutput", "__metric", "__threshold"}
	singleExpected = regexp.MustCompile(`^_expected\d+$`)
	configColumn   = regexp.MustCompile(`^__config:__expected(\d*):threshold$`)
)

func (l *loader) addRow(heads, row []*tree.Value) {
	c := Case{File: row[0].File, Line: row[0].Line}
	metric := ""
	places := map[string]int{} // of assertions, by column
	for i, head := range heads {
		cell := row[i]
		switch name := head.Text; {
		case strings.HasPrefix(name, "__expected"):
			if strings.TrimSpace(cell.Text) == "" {
				continue
			}
			if a, ok := l.short(cell, strings.TrimSpace(cell.Text)); ok {
				number := strings.TrimPrefix(name, "__expected")
				if number == "" {
					number = "1"
				}
				places[number] = len(c.Assertions)
				c.Assertions = append(c.Assertions, a)
			}
		case name == "__metric":
			metric = cell.Text
			l.template(cell, metric)
		case strings.HasPrefix(name, "__") && !strings.HasPrefix(name, "__config:"):
			l.special(&c, name, head, cell)
		case !strings.HasPrefix(name, "__"):
			l.template(cell, cell.Text)
			c.Vars = append(c.Vars, nunjucks.Field{Name: name, Value: cell.Text})
		}
	}
	l.thresholds(&c, heads, row, places)
	for i := range c.Assertions {
		c.Assertions[i].Metric = metric
	}
	l.add(c, row[0])
}

// special reads one of the columns with a meaning of their own.
func (l *loader) special(c *Case, name string, head, cell *tree.Value) {
	switch {
	case name == "__prefix":
		c.Prefix = cell.Text
	case name == "__suffix":
		c.Suffix = cell.Text
	case name == "__description":
		c.Description = cell.Text
	case name == "__providerOutput":
		if cell.Text != "" {
			c.Output = cell.Text
		}
	case name == "__threshold":
		l.cellNumber(&c.Threshold, cell)
	case strings.HasPrefix(name, "__metadata:"):
		l.metadata(c, strings.TrimPrefix(name, "__metadata:"), cell.Text)
	default:
		l.at(head, "there is no column `%s`: use a variable without the two underscores, or one of %s, __metadata:KEY", clip(name), strings.Join(columns, ", "))
	}
}

func (l *loader) cellNumber(into **float64, cell *tree.Value) {
	if strings.TrimSpace(cell.Text) == "" {
		return
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(cell.Text), 64)
	if err != nil {
		l.at(cell, "`%s` is no number", clip(cell.Text))
		return
	}
	*into = &f
}

// metadata reads a column __metadata:key, or __metadata:key[] with commas between the values.
func (l *loader) metadata(c *Case, key, text string) {
	if text == "" {
		return
	}
	var value any = text
	if list, ok := strings.CutSuffix(key, "[]"); ok {
		key = list
		var items []any
		for part := range strings.SplitSeq(text, ",") {
			items = append(items, strings.TrimSpace(part))
		}
		value = items
	}
	c.Metadata = append(c.Metadata, nunjucks.Field{Name: key, Value: value})
	switch key {
	case "id":
		c.ID = text
	case "tags":
		items, _ := value.([]any)
		if items == nil {
			items = []any{value}
		}
		for _, item := range items {
			c.Tags = append(c.Tags, nunjucks.Text(item))
		}
	}
}

// thresholds reads columns such as __config:__expected2:threshold.
func (l *loader) thresholds(c *Case, heads, row []*tree.Value, places map[string]int) {
	for i, head := range heads {
		if !strings.HasPrefix(head.Text, "__config:") {
			continue
		}
		m := configColumn.FindStringSubmatch(head.Text)
		if m == nil {
			l.at(head, "there is no column `%s`: write for instance __config:__expected2:threshold", clip(head.Text))
			continue
		}
		number := m[1]
		if number == "" {
			number = "1"
		}
		if place, ok := places[number]; ok {
			l.cellNumber(&c.Assertions[place].Threshold, row[i])
		}
	}
}
