package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": percent, "number": number, "money": money, "plural": plural, "signed": signed, "line": line,
	"minus": func(a, b float64) float64 { return a - b },
}).Parse(pageSource))

// HTML writes the report as one page that needs nothing else. Its Content-Security-Policy, which it brings along, allows its own style sheet and
// script by their hashes, and nothing else: a text that found its way into the markup could still not act. All cells stand in blocks of JSON; the
// script shows the matrix and the exchanges when they are asked for, links runs when the page is served below /console/, and makes no
// markup of texts. A page is at most some 25 MB whatever the result is: what is left out passes, and the page says so.
func HTML(w io.Writer, r schemas.EvalResult) error {
	v, err := newView(r)
	if err != nil {
		return err
	}
	data := newPageData(v)
	var top bytes.Buffer
	if err := pageTemplate.Execute(&top, newPage(v, data)); err != nil {
		return schemas.Wrap(schemas.Internal, err, "the report cannot be written")
	}
	if _, err := io.WriteString(w, tame(top.String())); err != nil {
		return err
	}
	if err := data.write(w); err != nil {
		return err
	}
	_, err = io.WriteString(w, "<script>"+pageScript+"</script>\n</body>\n</html>\n")
	return err
}

// page is what the template shows.
type page struct {
	*view
	Policy, Style       template.HTML // the security policy, and the style sheet with its tags
	Title, Sentence     string
	Badge               string
	Total               schemas.CellCounts
	ColumnRows          []column
	Facts               [][2]string
	Explained           []string
	Unresolved          []pageRow
	Worse, FlakyRows    []pageRow
	Failed              []pageRow // without those that became worse
	MoreFailed          int
	MoreUnresolved      int
	MoreWorse           int
	MoreFlaky           int
	Quarantined         []schemas.Quarantine
	Scores              []plot
	Latency, Cost       template.HTML
	PolicyJSON, LeftOut string
	MetricNames         []string
	Metrics             []metricRow
	MoreMetrics         int
}

// pageRow is a line of one of the lists of cases.
type pageRow struct {
	Case, Description, Column, State, Reason, Until string
	Cell                                            int // of the page; -1 has nothing to open
	PassRate, Passed, Score, Before                 float64
	Samples, Successes                              int
	Deviation                                       float64
	Exchange                                        *exchange // nil is not shown here
}

// mostRows bounds each list.
const mostRows = 200

func newPage(v *view, data *pageData) *page {
	p := &page{
		view: v, Policy: contentPolicy(), Style: template.HTML("<style>" + pageStyle + "</style>"), //nolint:gosec // a file of ours
		Title: v.Suite, Sentence: ruling(v.Ruling), Badge: rulingName(v.Ruling), Total: v.total(), ColumnRows: v.columns,
		Facts: runFacts(v), Explained: comparison(v.EvalResult), Scores: v.scorePlots(), Latency: v.latencyPlot(), Cost: v.costPlot(), LeftOut: data.leftOut(),
	}
	for _, q := range v.Policy.Quarantine {
		if v.resting[q.Case] != "" {
			p.Quarantined = append(p.Quarantined, q)
		}
	}
	if policy, err := json.MarshalIndent(v.Policy, "", "  "); err == nil { // a policy with a number that JSON cannot say gates nothing
		p.PolicyJSON = string(policy)
	}
	p.MetricNames, p.Metrics, p.MoreMetrics = v.metrics()
	p.lists(v, data)
	return p
}

// lists fills the lists. Exchanges are shown in the order of the reader's interest, until there are enough.
func (p *page) lists(v *view, data *pageData) {
	left := mostExchanges
	exchangeOf := func(cell, before int) *exchange {
		if left--; left < 0 || cell < 0 || cell >= len(v.Cells) {
			return nil
		}
		return v.exchangeOf(cell, before)
	}
	for _, g := range v.Regressions[:min(len(v.Regressions), mostRows)] {
		row := pageRow{Case: g.Case, Column: v.nameOf(g.Column), PassRate: g.PassRate, Passed: g.Passed, Score: g.Score, Before: g.Baseline, Cell: data.placeOf(g.Candidate), Until: v.resting[g.Case]}
		if row.Cell >= 0 {
			cell := v.Cells[g.Candidate]
			row.Description, row.Reason, row.Exchange = titleOf(cell), cell.Reason, exchangeOf(g.Candidate, g.Before)
		}
		p.Worse = append(p.Worse, row)
	}
	failed, unresolved := v.failed(), v.unresolved()
	p.Failed = p.cellRows(v, data, failed, exchangeOf)
	p.Unresolved = p.cellRows(v, data, unresolved, exchangeOf)
	for _, f := range v.Flaky[:min(len(v.Flaky), mostRows)] {
		row := pageRow{Case: f.Case, Column: v.nameOf(f.Column), Samples: f.Samples, Successes: f.Passed, Deviation: f.Deviation, Until: f.Quarantined, Cell: -1}
		if cells := v.groups[place{f.Case, f.Column}]; len(cells) > 0 {
			row.Cell, row.Description = data.placeOf(cells[0]), titleOf(v.Cells[cells[0]])
		}
		p.FlakyRows = append(p.FlakyRows, row)
	}
	p.MoreUnresolved, p.MoreFailed = len(unresolved)-len(p.Unresolved), len(failed)-len(p.Failed)
	p.MoreWorse, p.MoreFlaky = len(v.Regressions)-len(p.Worse), len(v.Flaky)-len(p.FlakyRows)
}

func (p *page) cellRows(v *view, data *pageData, cells []int, exchangeOf func(cell, before int) *exchange) []pageRow {
	var rows []pageRow
	for _, i := range cells[:min(len(cells), mostRows)] {
		cell := v.Cells[i]
		rows = append(rows, pageRow{
			Case: cell.Case.ID, Description: titleOf(cell), Column: v.columns[cell.Column].Name, State: outcome(cell), Score: cell.Score, Reason: cell.Reason,
			Until: v.resting[cell.Case.ID], Cell: data.placeOf(i), Exchange: exchangeOf(i, -1),
		})
	}
	return rows
}

// placeOf is where a cell of the result stands in the page; -1 if it does not.
func (d *pageData) placeOf(cell int) int {
	if i, shown := d.places[cell]; shown {
		return i
	}
	return -1
}

// runFacts say which run this was.
func runFacts(v *view) [][2]string {
	at := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05 UTC") }
	facts := [][2]string{{"Run", v.ID}, {"Started", at(v.StartMS)}, {"Took", duration(float64(v.EndMS - v.StartMS))}, {"Trigger", string(v.Trigger)}}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, [2]string{name, value})
		}
	}
	add("By", v.By.Name)
	add("Under test", strings.Join(v.Releases, ", "))
	add("Compared with", v.Baseline)
	add("Package", v.Package)
	add("Plan", v.Plan)
	facts = append(facts, [2]string{"Paid now", fmt.Sprintf("%s, %s, %d tokens", money(v.Cost), plural(v.Usage.Calls, "call"), v.Usage.InputTokens+v.Usage.OutputTokens)},
		[2]string{"Known before", knownBefore(v)})
	return facts
}

// knownBefore counts the cells that nobody was asked for, and says how old the answers are.
func knownBefore(v *view) string {
	text := plural(v.Reused, "cell")
	if v.Reused > 0 && v.OldestMS > 0 {
		text += ", the oldest answered on " + time.UnixMilli(v.OldestMS).UTC().Format(time.DateOnly)
	}
	return text
}

// contentPolicy is the page's Content-Security-Policy (https://www.w3.org/TR/CSP3/#grammardef-hash-source).
func contentPolicy() template.HTML {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return template.HTML(fmt.Sprintf(`<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'">`, //nolint:gosec // hashes
		hash(pageStyle), hash(pageScript)))
}
