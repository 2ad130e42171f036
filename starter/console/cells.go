package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/console/matrix"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

const (
	pageCases   = 25
	pageColumns = 6   // beside each other
	cellText    = 240 // characters of an output, or of a reason
	mostMissing = 100 // columns that a form offers
)

// matrixView is the part of the cells of a run that was asked for.
type matrixView struct {
	Query      cellQuery
	States     []choice
	Among      []choice // columns
	Columns    []columnView
	Rows       []rowView
	Says       string // which cases these are, of how many
	Pages      []pageLink
	Across     []pageLink // further columns
	LeftOut    string
	Unreadable string // why there is no matrix
}

// choice is an entry of a list to choose from.
type choice struct {
	Value, Name string
	Chosen      bool
}

type pageLink struct{ Name, URL string }

// columnView is the head of a column.
type columnView struct {
	Name, Pin, Rate, Says string
	Baseline              bool
}

// rowView is a case with its cells.
type rowView struct {
	ID, Description, Resting string
	Tags                     []string
	Cells                    []cellView
}

// cellView is what came of a case under a column.
type cellView struct {
	Column, URL         string // URL is empty where there is no cell
	State, Class, Says  string
	Score, Delta, Trend string // Trend is up or down
	Regressed, Flaky    bool
	Output              []textPart
	Reason              string
	Baseline            bool
}

// textPart is a part of an output; Only if the baseline's does not have it.
type textPart struct {
	Text string
	Only bool
}

// cellQuery is what is asked of the matrix, as typed.
type cellQuery struct {
	State, Column, Words, Order string
	Page, From                  int
}

func cellQueryOf(q url.Values) cellQuery {
	number := func(name string) int {
		n, _ := strconv.Atoi(q.Get(name))
		return max(n, 0)
	}
	return cellQuery{
		State: q.Get("state"), Column: q.Get("column"), Words: strings.TrimSpace(clipped(q.Get("words"), 200)), Order: q.Get("order"),
		Page: max(number("page"), 1), From: number("from"),
	}
}

func clipped(text string, n int) string {
	text, _ = clip(text, n)
	return text
}

// at is the address of another page of the same question.
func (q cellQuery) at(base string, page, from int) string {
	values := url.Values{}
	for name, value := range map[string]string{"state": q.State, "column": q.Column, "words": q.Words, "order": q.Order} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if page > 1 {
		values.Set("page", strconv.Itoa(page))
	}
	if from > 0 {
		values.Set("from", strconv.Itoa(from))
	}
	if len(values) == 0 {
		return base + "#cells"
	}
	return base + "?" + values.Encode() + "#cells"
}

// query is the question to a matrix, and what is left of the one that was typed: what the matrix does not know is left out.
func (q cellQuery) query(m *matrix.Matrix) (cellQuery, matrix.Query) {
	if !slices.Contains(matrix.Conditions, q.State) {
		q.State = matrix.AnyState
	}
	column, err := strconv.Atoi(q.Column)
	if err != nil || column < 0 || column >= len(m.Columns) {
		column, q.Column = -1, ""
	}
	if q.Order != "suite" {
		q.Order = ""
	}
	return q, matrix.Query{State: q.State, Column: column, Words: q.Words, Suite: q.Order == "suite"}
}

// resultOf opens the cells of a run that ended.
func (c *Console) resultOf(ctx context.Context, tenant, suite, id string) (*matrix.Matrix, error) {
	key, _, err := c.evalFile(ctx, tenant, suite, id, schemas.EvalFileResult)
	if err != nil {
		return nil, err
	}
	return c.results.Open(ctx, key)
}

// evalFile finds a file of a run, which may be that of an earlier one that found the same. Error: not_found.
func (c *Console) evalFile(ctx context.Context, tenant, suite, id string, file schemas.EvalFile) (key string, bytes int64, err error) {
	key = schemas.EvalFileKey(tenant, suite, id, file)
	info, err := c.Store.Stat(ctx, key)
	if err == nil || schemas.CodeOf(err) != schemas.NotFound {
		return key, info.Bytes, err
	}
	summary, fault := blob.GetJSON[schemas.EvalSummary](ctx, c.Store, schemas.Ref{Key: schemas.EvalSummaryKey(tenant, suite, id)})
	if fault != nil || summary.SameAs == "" {
		return key, 0, err
	}
	key = schemas.EvalFileKey(tenant, suite, summary.SameAs, file)
	info, err = c.Store.Stat(ctx, key)
	return key, info.Bytes, err
}

// cellsOf shows the cells that an address asks for.
func (c *Console) cellsOf(r *http.Request, v visit, suite, id string) (*matrixView, error) {
	m, err := c.resultOf(r.Context(), v.key.Tenant, suite, id)
	if err != nil {
		if code := schemas.CodeOf(err); code == schemas.NotFound {
			return &matrixView{Unreadable: "The run has left no cells to look at."}, nil
		} else if code == schemas.Internal {
			return &matrixView{Unreadable: schemas.SafeMessage(err)}, nil
		}
		return nil, err
	}
	view := new(matrixView)
	var query matrix.Query
	view.Query, query = cellQueryOf(r.URL.Query()).query(m)
	rows := m.Select(query)
	base := evalURL(suite, id)
	view.choices(m)
	across := view.across(m, query.Column, base)
	view.page(len(rows), len(m.Rows), base)
	for _, i := range across {
		view.Columns = append(view.Columns, headOf(m, i))
	}
	first := (view.Query.Page - 1) * pageCases
	for _, row := range rows[min(first, len(rows)):min(first+pageCases, len(rows))] {
		view.Rows = append(view.Rows, rowIn(m, row, across, base))
	}
	if m.LeftOut > 0 {
		view.LeftOut = counted(m.LeftOut, "further cell") + " of this run are not listed here; result.json has them."
	}
	return view, nil
}

// choices are what the form offers.
func (view *matrixView) choices(m *matrix.Matrix) {
	names := map[string]string{matrix.Regressed: "worse than the baseline", matrix.Quarantine: "in quarantine"}
	view.States = []choice{{Value: "", Name: "all (" + grouped(len(m.Rows)) + ")", Chosen: view.Query.State == ""}}
	for _, state := range matrix.Conditions {
		name := state
		if names[state] != "" {
			name = names[state]
		}
		view.States = append(view.States, choice{state, name + " (" + grouped(m.Count(state)) + ")", view.Query.State == state})
	}
	view.Among = []choice{{Value: "", Name: "all", Chosen: view.Query.Column == ""}}
	for _, i := range m.Across() {
		value := strconv.Itoa(i)
		if chosen := view.Query.Column == value; chosen || len(view.Among) <= mostMissing {
			view.Among = append(view.Among, choice{value, m.Columns[i].Name, chosen})
		}
	}
}

// across are the columns of the page: the chosen one with its baseline, or a few of all.
func (view *matrixView) across(m *matrix.Matrix, column int, base string) []int {
	q := view.Query
	if column >= 0 {
		if twin := m.Columns[column].Twin; twin >= 0 {
			return []int{column, twin}
		}
		return []int{column}
	}
	all := m.Across()
	from := q.From / pageColumns * pageColumns
	if from >= len(all) {
		from = 0
	}
	view.Query.From = from
	if from > 0 {
		view.Across = append(view.Across, pageLink{"Columns before", q.at(base, q.Page, from-pageColumns)})
	}
	to := min(from+pageColumns, len(all))
	if to < len(all) {
		view.Across = append(view.Across, pageLink{"Further columns (" + grouped(len(all)-to) + ")", q.at(base, q.Page, to)})
	}
	return all[from:to]
}

// page says which cases are shown, and leads to others.
func (view *matrixView) page(found, all int, base string) {
	last := max((found+pageCases-1)/pageCases, 1)
	view.Query.Page = min(view.Query.Page, last)
	q := view.Query
	from, to := (q.Page-1)*pageCases, min(q.Page*pageCases, found)
	switch found {
	case 0:
		view.Says = "No case of " + grouped(all) + " fits."
	case all:
		view.Says = "Cases " + grouped(from+1) + " to " + grouped(to) + " of " + grouped(all) + "."
	default:
		view.Says = "Cases " + grouped(from+1) + " to " + grouped(to) + " of the " + grouped(found) + " that fit, of " + grouped(all) + "."
	}
	if q.Page > 1 {
		view.Pages = append(view.Pages, pageLink{"First", q.at(base, 1, q.From)}, pageLink{"Previous", q.at(base, q.Page-1, q.From)})
	}
	if q.Page < last {
		view.Pages = append(view.Pages, pageLink{"Next", q.at(base, q.Page+1, q.From)}, pageLink{"Last", q.at(base, last, q.From)})
	}
}

func headOf(m *matrix.Matrix, i int) columnView {
	c := m.Columns[i]
	return columnView{
		Name: line(c.Name, 90), Pin: short(c.Pin), Rate: percent(c.PassRate), Baseline: c.Baseline,
		Says: grouped(c.Counts.Passed) + " of " + counted(c.Counts.Total(), "cell"),
	}
}

func rowIn(m *matrix.Matrix, row int, across []int, base string) rowView {
	r := m.Rows[row]
	view := rowView{ID: line(r.Case.ID, 100), Description: line(r.Case.Description, 160), Resting: r.Resting}
	for _, tag := range r.Case.Tags[:min(len(r.Case.Tags), 8)] {
		view.Tags = append(view.Tags, line(tag, 40))
	}
	for _, column := range across {
		view.Cells = append(view.Cells, cellIn(m, row, column, base))
	}
	return view
}

// cellIn shows the samples of a case under a column by the one of most interest: the first that did not pass.
func cellIn(m *matrix.Matrix, row, column int, base string) cellView {
	head := m.Columns[column]
	view := cellView{Column: line(head.Name, 90), Baseline: head.Baseline}
	score, passed, ok := m.Score(row, column)
	if !ok {
		return view
	}
	samples := m.Samples(row, column)
	at := samples[0]
	for _, i := range samples {
		if m.Cells[i].State != matrix.Passed {
			at = i
			break
		}
	}
	c := m.Cells[at]
	view.URL, view.State, view.Class = cellURL(base, at), c.State.String(), classOf(c.State)
	if len(samples) > 1 {
		view.State = grouped(passed) + " of " + grouped(len(samples)) + " passed"
	}
	view.Score, view.Flaky = scoreText(score), m.Flaky(row, column)
	view.Regressed = m.Regressed(row, column) != nil
	view.Output = parts(line(c.Output, cellText))
	if len(samples) == 1 && (c.State == matrix.Errored || c.State == matrix.NotRun) {
		view.Score = "" // it counts as 0, and nobody gave it
	}
	if before, _, ok := m.Score(row, head.Twin); ok && view.Score != "" {
		view.Delta, view.Trend = deltaText(score - before)
	}
	if twin := m.Twin(at); twin >= 0 && c.Output != "" {
		view.Output = compared(line(c.Output, cellText), line(m.Cells[twin].Output, cellText))
	}
	if c.State != matrix.Passed {
		view.Reason = line(c.Reason, cellText)
	}
	return view
}

func cellURL(base string, cell int) string { return base + "/cells/" + strconv.Itoa(cell) }

func classOf(s matrix.State) string { return strings.ReplaceAll(s.String(), " ", "_") }

func scoreText(score float64) string { return strconv.FormatFloat(score, 'f', 2, 64) }

// deltaText is a difference with its sign, empty for none that shows, and whether it goes up or down.
func deltaText(difference float64) (text, trend string) {
	text = strconv.FormatFloat(difference, 'f', 2, 64)
	switch {
	case text == "0.00" || text == "-0.00":
		return "", ""
	case difference > 0:
		return "+" + text, "up"
	}
	return "−" + text[1:], "down"
}

func parts(text string) []textPart {
	if text == "" {
		return nil
	}
	return []textPart{{Text: text}}
}

// compared is a text with marks at what another does not have.
func compared(text, other string) []textPart {
	marked, _ := wire.CompareTexts(text, other)
	var out []textPart
	for _, part := range marked {
		out = append(out, textPart(part))
	}
	return out
}
