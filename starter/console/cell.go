package console

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/console/matrix"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

const (
	mostRepeats    = 100 // of a cell that are listed
	mostAssertions = 200
	deepest        = 8       // parts of parts of assertions
	reasonShown    = 2 << 10 // bytes
	mostExchanges  = 6       // whose records a page reads
	mostSteps      = 40      // of an exchange
	contextShown   = 20
)

// cellPage is one cell, whole.
type cellPage struct {
	frame
	Suite, SuiteURL, RunURL, Run string
	Row                          rowView
	Column                       columnView
	State, Class                 string
	Regressed                    string
	Flaky                        bool
	Facts                        []fact
	Reason                       *text
	Repeats                      []repeatView
	Sides                        []sideView
	Sent                         []messageView
	Vars                         *text
	Assertions                   []assertionView
	MoreAssertions               int
	Context                      []hitView
	MoreContext                  int
	Exchanges                    []exchangeView
	MoreExchanges                []pageLink
}

type repeatView struct {
	URL, Name, State, Class, Score string
	Here                           bool
}

// sideView is an output: the cell's, or that of the baseline.
type sideView struct {
	Title, URL, Note string
	Marked           []textPart // in the place of Text, where the two are compared
	Text             *text
}

type assertionView struct {
	Depth                               int
	Type, Metric, Score, Weight, Reason string
	Pass                                bool
}

// exchangeView is what was asked of a provider or a grader, as it was recorded.
type exchangeView struct {
	Title, ID, URL string
	Missing        string // why it is not shown
	Facts          []fact
	Problem        *problem
	Steps          []stepView
	Cut            bool
}

// foundCell is the cell that an address names.
type foundCell struct {
	matrix    *matrix.Matrix
	index     int
	record    schemas.CellRecord
	suite, id string
	base      string // address of the run
}

// cell finds the cell that an address names. Errors: unauthorized, not_found.
func (c *Console) cell(r *http.Request, v visit) (foundCell, error) {
	found := foundCell{id: r.PathValue("id")}
	var err error
	if found.suite, err = suiteOf(r, v); err != nil {
		return found, err
	}
	nothing := schemas.Errorf(schemas.NotFound, "There is no such cell. Cells are there when a run has ended.")
	number, wrong := strconv.Atoi(r.PathValue("cell"))
	if wrong != nil || schemas.CheckRunID(found.id) != nil {
		return found, nothing
	}
	found.base, found.index = evalURL(found.suite, found.id), number
	if found.matrix, err = c.resultOf(r.Context(), v.key.Tenant, found.suite, found.id); err == nil {
		found.record, err = c.results.Cell(r.Context(), found.matrix, number)
	}
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		err = nothing
	}
	return found, err
}

// showCell shows one cell: what was asked, what came back, and how it was judged.
func (c *Console) showCell(w http.ResponseWriter, r *http.Request, v visit) {
	found, err := c.cell(r, v)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	m, at := found.matrix, found.matrix.Cells[found.index]
	view := cellPage{
		frame: evalFrame(line(found.record.Case.ID, 60)+" · "+found.suite, v), Suite: found.suite, SuiteURL: suiteURL(found.suite), RunURL: found.base, Run: short(found.id),
		Row: rowIn(m, at.Row, nil, found.base), Column: headOf(m, at.Column), State: at.State.String(), Class: classOf(at.State), Flaky: m.Flaky(at.Row, at.Column),
		Facts: cellFacts(found.record),
	}
	if g := m.Regressed(at.Row, at.Column); g != nil {
		view.Regressed = "Worse than the baseline: score " + scoreText(g.Baseline) + " → " + scoreText(g.Score) + ", " + percent(g.Passed) + " → " + percent(g.PassRate) + " of its samples passed."
	}
	page := found.texts()
	if found.record.Reason != "" && at.State != matrix.Passed {
		view.Reason = page.text("reason", "Reason", found.record.Reason)
	}
	view.repeats(found)
	view.assertions(found.record.Assertions, 0)
	view.Sides = c.sides(r.Context(), found, page)
	view.Sent = page.input(found.record.Input)
	if len(found.record.Vars) > 0 {
		view.Vars = page.text("vars", "Variables", string(found.record.Vars))
	}
	view.retrieved(found.record.Answer)
	c.exchanges(r.Context(), &view, v.key.Tenant, found.record, page.shown)
	c.render(w, http.StatusOK, "cell.html", view)
}

func (f foundCell) texts() *texts {
	return &texts{link: func(part string) string { return cellURL(f.base, f.index) + "/text/" + part }}
}

func cellFacts(cell schemas.CellRecord) []fact {
	facts := []fact{{Name: "Score", Value: strconv.FormatFloat(cell.Score, 'f', 3, 64)}}
	if cell.Threshold != nil {
		facts = append(facts, fact{Name: "Must reach", Value: strconv.FormatFloat(*cell.Threshold, 'g', 4, 64)})
	}
	if cell.Code != "" {
		facts = append(facts, fact{Name: "Code", Value: string(cell.Code)})
	}
	if a := cell.Answer; a != nil {
		if a.LatencyMS != nil {
			facts = append(facts, fact{Name: "Latency", Value: took(*a.LatencyMS)})
		}
		facts = append(facts, fact{Name: "Tokens", Value: tokens(a.Usage)}, fact{Name: "Cost", Value: costOf(a.Cost, a.Usage), Unknown: a.Cost.Unknown > 0})
		if a.Finish != "" {
			facts = append(facts, fact{Name: "Ended by", Value: line(a.Finish, 40)})
		}
		if a.Refused {
			facts = append(facts, fact{Name: "Refused", Value: "by the provider"})
		}
	}
	if cell.Graders.Calls > 0 {
		facts = append(facts, fact{Name: "Graders", Value: counted(cell.Graders.Calls, "call") + ", " + costOf(cell.GraderCost, cell.Graders), Unknown: cell.GraderCost.Unknown > 0})
	}
	if cell.Reused {
		facts = append(facts, fact{Name: "Known", Value: "from an earlier run"})
	}
	return facts
}

// repeats are the samples of the case under the column, where there are several.
func (view *cellPage) repeats(found foundCell) {
	m, at := found.matrix, found.matrix.Cells[found.index]
	samples := m.Samples(at.Row, at.Column)
	if len(samples) < 2 {
		return
	}
	for _, i := range samples[:min(len(samples), mostRepeats)] {
		c := m.Cells[i]
		view.Repeats = append(view.Repeats, repeatView{
			URL: cellURL(found.base, i), Name: "Sample " + strconv.Itoa(c.Sample+1), State: c.State.String(), Class: classOf(c.State), Score: scoreText(c.Score), Here: i == found.index,
		})
	}
}

func (view *cellPage) assertions(results []schemas.AssertionResult, depth int) {
	for _, a := range results {
		if len(view.Assertions) >= mostAssertions || depth > deepest {
			view.MoreAssertions++
			continue
		}
		reason, whole := clip(a.Reason, reasonShown)
		if !whole {
			reason += "…"
		}
		view.Assertions = append(view.Assertions, assertionView{
			Depth: depth, Type: line(a.Type, 60), Metric: line(a.Metric, 60), Pass: a.Pass, Reason: reason,
			Score: strconv.FormatFloat(a.Score, 'f', 3, 64), Weight: strconv.FormatFloat(a.Weight, 'g', 4, 64),
		})
		view.assertions(a.Parts, depth+1)
	}
}

// sides are the output of the cell and, where it is compared, that of the baseline, with marks at the words that only one of them has.
func (c *Console) sides(ctx context.Context, found foundCell, page *texts) []sideView {
	own := sideView{Title: "Output"}
	if found.record.Answer == nil {
		own.Note = "There was none."
		return []sideView{own}
	}
	output := matrix.Text(found.record.Answer.Output)
	own.Text = page.text("output", "Output", output)
	twin := found.matrix.Twin(found.index)
	if twin < 0 {
		return []sideView{own}
	}
	before := sideView{Title: "Output of the baseline", URL: cellURL(found.base, twin)}
	record, err := c.results.Cell(ctx, found.matrix, twin)
	if err != nil || record.Answer == nil {
		before.Note = "There was none."
		return []sideView{own, before}
	}
	theirs := foundCell{index: twin, base: found.base}.texts()
	theirs.shown = page.shown
	before.Text = theirs.text("output", "Output", matrix.Text(record.Answer.Output))
	page.shown = theirs.shown
	if own.Text.Shown != before.Text.Shown {
		ours, others := wire.CompareTexts(own.Text.Shown, before.Text.Shown)
		for _, part := range ours {
			own.Marked = append(own.Marked, textPart(part))
		}
		for _, part := range others {
			before.Marked = append(before.Marked, textPart(part))
		}
	} else {
		before.Note = "The same, word for word."
	}
	return []sideView{own, before}
}

// chat is an input that is a list of messages.
type chat []struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

// messages reads an input; false for one that is a plain text.
func messages(input string) (chat, bool) {
	var list chat
	if !strings.HasPrefix(strings.TrimSpace(input), "[") || json.Unmarshal([]byte(input), &list) != nil || len(list) == 0 {
		return nil, false
	}
	for _, m := range list {
		if m.Role == "" {
			return nil, false
		}
	}
	return list, true
}

const messagesShown = 50

func (p *texts) input(input string) []messageView {
	list, ok := messages(input)
	if !ok {
		if input == "" {
			return nil
		}
		return []messageView{{"prompt", p.text("input", "", input)}}
	}
	var shown []messageView
	for i, m := range list[:min(len(list), messagesShown)] {
		shown = append(shown, messageView{line(m.Role, 40), p.text("input/"+strconv.Itoa(i), "", matrix.Text(m.Content))})
	}
	if more := len(list) - len(shown); more > 0 {
		shown = append(shown, messageView{counted(more, "more message"), p.elsewhere("input", "", len(input))})
	}
	return shown
}

// retrieved shows what a chain found for its answer.
func (view *cellPage) retrieved(a *schemas.CellAnswer) {
	if a == nil {
		return
	}
	for i, document := range a.Retrieved[:min(len(a.Retrieved), contextShown)] {
		hit := hitView{Rank: i + 1, Document: line(document, 200)}
		if i < len(a.Context) {
			hit.Text = clipped(a.Context[i], 1200)
		}
		view.Context = append(view.Context, hit)
	}
	view.MoreContext = len(a.Retrieved) - len(view.Context)
}

// exchanges shows the records of what the cell and its graders asked.
func (c *Console) exchanges(ctx context.Context, view *cellPage, tenant string, cell schemas.CellRecord, shown int) {
	type asked struct{ title, id string }
	var all []asked
	start := int64(0)
	if a := cell.Answer; a != nil && a.RunID != "" {
		all, start = append(all, asked{"Exchange", a.RunID}), a.StartMS
	}
	for i, id := range cell.GraderRuns {
		all = append(all, asked{"Grader " + strconv.Itoa(i+1), id})
	}
	for i, one := range all {
		if schemas.CheckRunID(one.id) != nil {
			continue
		}
		if i >= mostExchanges {
			view.MoreExchanges = append(view.MoreExchanges, pageLink{one.title, runURL(one.id, start)})
			continue
		}
		next := exchangeView{Title: one.title, ID: one.id, URL: runURL(one.id, start)}
		shown = c.exchange(ctx, &next, tenant, start, shown)
		view.Exchanges = append(view.Exchanges, next)
	}
}

// exchange reads the record of a run, and returns how many bytes of texts the page has then.
func (c *Console) exchange(ctx context.Context, view *exchangeView, tenant string, start int64, shown int) int {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	run, err := c.Runs.Show(ctx, tenant, view.ID, start)
	switch {
	case err != nil:
		view.Missing = "Its record cannot be shown: " + schemas.SafeMessage(err)
		return shown
	case run.Record == nil:
		view.Missing = "It has left no record yet."
		return shown
	}
	e := *run.Record
	view.URL = runURL(run.RunID, e.StartMS)
	view.Facts = []fact{{Name: "Took", Value: took(float64(e.TookMS))}, {Name: "Cost", Value: costOf(e.Cost, e.Usage), Unknown: e.Cost.Unknown > 0}}
	if run.Failure != nil {
		view.Problem = &problem{run.Failure.Code, run.Failure.Message, run.Failure.Advice}
	}
	page := newTexts(run.RunID, e.StartMS)
	page.shown = shown
	view.steps(records.Tree(e.Steps), page)
	return page.shown
}

func (view *exchangeView) steps(n *records.Node, page *texts) {
	for _, below := range n.Below {
		if below.Step != nil {
			if view.Cut = len(view.Steps) >= mostSteps; view.Cut {
				return
			}
			view.Steps = append(view.Steps, page.step(below))
		}
		view.steps(below, page)
	}
}

// showCellText shows one text of a cell whole, as plain text.
func (c *Console) showCellText(w http.ResponseWriter, r *http.Request, v visit) {
	found, err := c.cell(r, v)
	var data string
	if err == nil {
		data, err = cellPart(found.record, strings.Split(r.PathValue("part"), "/"))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	plain(w, r, inLines(data))
}

// cellPart finds a text: input, input/2, output, vars or reason.
func cellPart(cell schemas.CellRecord, path []string) (string, error) {
	switch path[0] {
	case "input":
		if len(path) == 1 {
			return cell.Input, nil
		}
		list, _ := messages(cell.Input)
		if i, ok := index(path[1], len(list)); ok {
			return matrix.Text(list[i].Content), nil
		}
	case "output":
		if cell.Answer != nil {
			return matrix.Text(cell.Answer.Output), nil
		}
	case "vars":
		return string(cell.Vars), nil
	case "reason":
		return cell.Reason, nil
	}
	return "", schemas.Errorf(schemas.NotFound, "The cell has no such text.")
}
