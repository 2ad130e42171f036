package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// MarkdownLimit is the most characters of a summary: what fits a comment or an issue on GitHub (65,536), with room for what stands around it.
const MarkdownLimit = 60_000

// Markdown writes a summary for a pull request or an issue: the verdict, a table by column, and the beginnings of the lists of what has no
// result, what became worse and what is flaky. Texts of a suite or a model stand in code spans, where nothing is a link, a mention or markup.
func Markdown(w io.Writer, r schemas.EvalResult) error {
	v, err := newView(r)
	if err != nil {
		return err
	}
	m := &markdown{}
	m.verdict(v)
	m.table(v)
	m.metrics(v)
	m.unresolved(v)
	m.worse(v)
	m.failed(v)
	m.flakyCases(v)
	m.footer(v)
	_, err = io.WriteString(w, m.out.String())
	return err
}

// markdown is a summary that grows. A list gets its share of what is left.
type markdown struct {
	out   strings.Builder
	count int // characters
}

const (
	mostListed   = 50
	footerSpace  = 2000 // characters kept for what comes last
	textInLine   = 300  // bytes of one text
	columnsShown = 100
)

func (m *markdown) write(text string) {
	m.out.WriteString(text)
	m.count += utf8.RuneCountInString(text)
}

// list writes items while they are at most so many and fit; what is left out is said.
func (m *markdown) list(n, most int, item func(int) string) {
	for i := range n {
		text := item(i)
		if i == most || m.count+utf8.RuneCountInString(text) > MarkdownLimit-footerSpace {
			m.write(fmt.Sprintf("\n… and %d more; the report has all.\n", n-i))
			return
		}
		m.write(text)
	}
}

func (m *markdown) verdict(v *view) {
	m.write(fmt.Sprintf("## Evaluation of %s: %s\n\n%s\n", code(v.Suite, 80), rulingName(v.Ruling), ruling(v.Ruling)))
	t := v.total()
	m.write(fmt.Sprintf("\n**%d of %s passed** (%s, every case counting the same), %d failed, %d errored, %d not run. Mean score %s. Paid now: %s, %d tokens.\n",
		t.Passed, plural(t.Total(), "cell"), percent(v.PassRate), t.Failed, t.Errored, t.NotRun, number(v.Score), money(v.Cost), v.Usage.InputTokens+v.Usage.OutputTokens))
	if v.Stopped {
		m.write("\nThe run was stopped before its end.\n")
	}
	if len(v.Verdict.Reasons) > 0 {
		m.write("\n")
		m.list(len(v.Verdict.Reasons), mostListed, func(i int) string { return "- " + code(v.Verdict.Reasons[i], textInLine) + "\n" })
	}
	for i, sentence := range comparison(v.EvalResult) {
		if i == 0 {
			m.write("\n")
		}
		m.write(sentence + "\n")
	}
}

func (m *markdown) table(v *view) {
	m.write("\n| Column | Passed | Failed | Errored | Not run | Pass rate | Mean score | p50 | p95 | Cost |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	m.list(len(v.columns), columnsShown, func(i int) string {
		c := &v.columns[i]
		return fmt.Sprintf("| %s | %d | %d | %d | %d | %s | %s | %s | %s | %s |\n", code(c.Name, 120), c.Counts.Passed, c.Counts.Failed, c.Counts.Errored, c.Counts.NotRun,
			percent(c.PassRate), number(c.Score), c.latency(0.5), c.latency(0.95), money(c.Answers.Add(c.Graders)))
	})
}

func (c *column) latency(q float64) string {
	if ms, known := c.quantile(q); known {
		return duration(ms)
	}
	return "–"
}

func (m *markdown) metrics(v *view) {
	names, rows, more := v.metrics()
	if len(names) == 0 {
		return
	}
	m.write("\n| Metric by column |")
	for _, name := range names {
		m.write(" " + code(name, 60) + " |")
	}
	m.write("\n|---|" + strings.Repeat("--:|", len(names)) + "\n")
	m.list(len(rows), columnsShown, func(i int) string {
		return "| " + code(rows[i].Column, 120) + " | " + strings.Join(rows[i].Scores, " | ") + " |\n"
	})
	if more > 0 {
		m.write(fmt.Sprintf("\n%s in the result.\n", plural(more, "more metric")))
	}
}

func (m *markdown) unresolved(v *view) {
	cells := v.unresolved()
	if len(cells) == 0 {
		return
	}
	m.write(fmt.Sprintf("\n### No result (%d)\n\nThey count as failed, with a score of 0.\n\n", len(cells)))
	m.list(len(cells), mostListed, func(i int) string {
		cell := v.Cells[cells[i]]
		text := fmt.Sprintf("- %s under %s: %s", caseCode(cell), code(v.columns[cell.Column].Name, 120), stateName(cell))
		if cell.Reason != "" {
			text += ": " + code(cell.Reason, textInLine)
		}
		return text + "\n"
	})
}

func (m *markdown) worse(v *view) {
	if len(v.Regressions) == 0 {
		return
	}
	m.write(fmt.Sprintf("\n### Worse than the baseline (%d, the worst first)\n\n", len(v.Regressions)))
	m.list(len(v.Regressions), mostListed, func(i int) string {
		g := v.Regressions[i]
		text := fmt.Sprintf("- %s under %s: pass rate %s → %s, score %s → %s", code(g.Case, 120), code(v.nameOf(g.Column), 120),
			percent(g.Passed), percent(g.PassRate), number(g.Baseline), number(g.Score))
		if g.Candidate >= 0 && g.Candidate < len(v.Cells) && v.Cells[g.Candidate].Reason != "" {
			text += ": " + code(v.Cells[g.Candidate].Reason, textInLine)
		}
		return text + v.restingNote(g.Case) + "\n"
	})
}

func (m *markdown) failed(v *view) {
	cells := v.failed()
	if len(cells) == 0 {
		return
	}
	also := map[bool]string{true: ", and no worse than the baseline"}[len(v.Regressions) > 0]
	m.write(fmt.Sprintf("\n### Failed%s (%d)\n\n", also, len(cells)))
	m.list(len(cells), mostListed, func(i int) string {
		cell := v.Cells[cells[i]]
		text := fmt.Sprintf("- %s under %s, score %s", caseCode(cell), code(v.columns[cell.Column].Name, 120), number(cell.Score))
		if cell.Reason != "" {
			text += ": " + code(cell.Reason, textInLine)
		}
		return text + v.restingNote(cell.Case.ID) + "\n"
	})
}

func (m *markdown) flakyCases(v *view) {
	if len(v.Flaky) == 0 {
		return
	}
	m.write(fmt.Sprintf("\n### Flaky (%d)\n\n", len(v.Flaky)))
	m.list(len(v.Flaky), mostListed, func(i int) string {
		f := v.Flaky[i]
		return fmt.Sprintf("- %s under %s: %d of %d samples passed, scores deviate by %s%s\n", code(f.Case, 120), code(v.nameOf(f.Column), 120), f.Passed, f.Samples, number(f.Deviation), v.restingNote(f.Case))
	})
}

func (m *markdown) footer(v *view) {
	m.write("\nRun " + code(v.ID, 80))
	if v.Baseline != "" {
		m.write(", compared with " + code(v.Baseline, 120))
	}
	for i, release := range v.Releases[:min(len(v.Releases), 5)] {
		m.write(map[bool]string{true: ". Under test: ", false: ", "}[i == 0] + code(release, 120))
	}
	m.write(".\n")
}

func (v *view) nameOf(column int) string {
	if column < 0 || column >= len(v.columns) {
		return fmt.Sprintf("column %d", column)
	}
	return v.columns[column].Name
}

func (v *view) restingNote(id string) string {
	if until := v.resting[id]; until != "" {
		return " (in quarantine until " + code(until, 20) + ")"
	}
	return ""
}

func caseCode(cell schemas.CellRecord) string {
	if title := titleOf(cell); title != "" {
		return code(cell.Case.ID+": "+title, 160)
	}
	return code(cell.Case.ID, 120)
}

// stateName says what became of a cell without a result.
func stateName(cell schemas.CellRecord) string {
	switch {
	case cell.State == schemas.CellErrored && slices.Contains(schemas.Codes(), cell.Code):
		return "errored (" + string(cell.Code) + ")"
	case cell.State == schemas.CellErrored:
		return "errored"
	}
	return "not run"
}

// code is a text in one line as a code span, whose fence is longer than any in the text (CommonMark 0.31, 6.1). A bar would end a cell of a table
// also there, so it is written as one that does not.
func code(text string, most int) string {
	text = strings.ReplaceAll(line(text, most), "|", "¦")
	if text == "" {
		return "`(empty)`"
	}
	longest, run := 0, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	fence := strings.Repeat("`", longest+1)
	if longest > 0 {
		text = " " + text + " "
	}
	return fence + text + fence
}
