package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// mostPlotted bounds the columns of a plot.
const mostPlotted = 40

// svg is a drawing. Texts are escaped; all else is numbers and names of classes.
type svg struct {
	strings.Builder
}

func (s *svg) open(width, height float64, label string) {
	fmt.Fprintf(s, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, width, height, html.EscapeString(tame(label)))
}

func (s *svg) rect(class string, x, y, width, height float64, title string) {
	fmt.Fprintf(s, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`, class, x, y, max(width, 0), max(height, 0), html.EscapeString(tame(title)))
}

func (s *svg) text(class string, x, y float64, text string) {
	fmt.Fprintf(s, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, x, y, html.EscapeString(tame(text)))
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(s, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func (s *svg) done() template.HTML {
	s.WriteString("</svg>")
	return template.HTML(s.String()) //nolint:gosec // built above: texts are escaped
}

// plot is a drawing with its name.
type plot struct {
	Title string
	SVG   template.HTML
}

// scorePlots has the distribution of scores of each column under test, beside its baseline's. What has no result has bars of its own, so that
// the bars add up to all cells.
func (v *view) scorePlots() []plot {
	var out []plot
	for _, c := range v.columns {
		if !c.Baseline && len(out) < mostPlotted {
			out = append(out, plot{c.Name, v.histogram(c)})
		}
	}
	return out
}

func (v *view) histogram(c column) template.HTML {
	const width, height, bar = 420.0, 150.0, 15.0
	sides := []column{c}
	if c.Twin >= 0 {
		sides = append(sides, v.columns[c.Twin])
	}
	most := 1
	for _, side := range sides {
		for _, n := range side.bars() {
			most = max(most, n)
		}
	}
	s := &svg{}
	s.open(width, height+30, "Scores of "+c.Name)
	for k, side := range sides {
		for i, n := range side.bars() {
			x := 20 + float64(i)*bar
			if i >= bins {
				x += 12
			}
			tall := float64(n) / float64(most) * (height - 20)
			class := []string{"ours", "theirs"}[k]
			if i >= bins && k == 0 {
				class = "open"
			}
			share := (bar - 3) / float64(len(sides))
			s.rect(class, x+float64(k)*share, height-tall, share, tall, fmt.Sprintf("%s: %s, %s", side.Name, plural(n, "cell"), barName(i)))
		}
	}
	s.line("axis", 16, height, 20+bins*bar, height)
	s.text("tick", 20, height+14, "0")
	s.text("tick end", 20+bins*bar, height+14, "1")
	s.text("tick", 30+bins*bar, height+14, "errored, not run")
	s.text("tick", 20, 12, fmt.Sprintf("most in a bar: %d", most))
	return s.done()
}

// bars are the bins of the scores, then errored cells, then those that were not run.
func (c *column) bars() []int {
	return append(append([]int{}, c.Scores[:]...), c.Counts.Errored, c.Counts.NotRun)
}

func barName(i int) string {
	switch i {
	case bins:
		return "errored"
	case bins + 1:
		return "not run"
	}
	return fmt.Sprintf("score from %.2f to %.2f", float64(i)/bins, float64(i+1)/bins)
}

// latencyPlot has a row a column: a line from the 5th to the 95th percentile, a box from the 25th to the 75th, a mark at the median.
func (v *view) latencyPlot() template.HTML {
	var rows []column
	low, high := math.Inf(1), 0.0
	for _, c := range v.columns {
		if len(c.Latencies) > 0 && len(rows) < mostPlotted {
			rows = append(rows, c)
			low, high = min(low, max(c.Latencies[0], 0.1)), max(high, c.Latencies[len(c.Latencies)-1], 1)
		}
	}
	if len(rows) == 0 {
		return ""
	}
	const left, right, tall = 300.0, 860.0, 26.0
	at := func(ms float64) float64 {
		return left + (right-left)*math.Log(max(ms, low)/low)/math.Log(max(high/low, 1.01))
	}
	s := &svg{}
	s.open(right+60, float64(len(rows))*tall+34, "Latency by column, on a logarithmic scale")
	for i, c := range rows {
		y := float64(i)*tall + 16
		quantile := func(q float64) float64 { ms, _ := c.quantile(q); return ms }
		s.text("name", left-8, y+4, shorten(c.Name))
		s.line("whisker", at(quantile(0.05)), y, at(quantile(0.95)), y)
		s.rect(side(c), at(quantile(0.25)), y-7, max(at(quantile(0.75))-at(quantile(0.25)), 2), 14, fmt.Sprintf("%s: median %s, 5 %% below %s, 95 %% below %s, %s",
			c.Name, c.latency(0.5), c.latency(0.05), c.latency(0.95), plural(len(c.Latencies), "answer")))
		s.line("median", at(quantile(0.5)), y-9, at(quantile(0.5)), y+9)
	}
	bottom := float64(len(rows))*tall + 8
	s.line("axis", left, bottom, right, bottom)
	for _, tick := range ticks(low, high) {
		s.line("axis", at(tick), bottom, at(tick), bottom+4)
		s.text("tick middle", at(tick), bottom+18, duration(tick))
	}
	return s.done()
}

// ticks are the powers of ten between two bounds, or the bounds where there is none.
func ticks(low, high float64) []float64 {
	var out []float64
	for tick := math.Pow(10, math.Ceil(math.Log10(low))); tick <= high; tick *= 10 {
		out = append(out, tick)
	}
	if len(out) == 0 {
		return []float64{low, high}
	}
	return out
}

// costPlot has a bar a column: answers, then graders.
func (v *view) costPlot() template.HTML {
	most := 0.0
	rows := v.columns[:min(len(v.columns), mostPlotted)]
	for _, c := range rows {
		most = max(most, c.Answers.USD+c.Graders.USD)
	}
	if most <= 0 {
		return ""
	}
	const left, right, tall = 300.0, 760.0, 26.0
	s := &svg{}
	s.open(right+300, float64(len(rows))*tall+8, "Cost by column")
	for i, c := range rows {
		y, unit := float64(i)*tall+16, (right-left)/most
		s.text("name", left-8, y+4, shorten(c.Name))
		s.rect(side(c), left, y-7, c.Answers.USD*unit, 14, c.Name+": answers "+money(c.Answers))
		s.rect("graders", left+c.Answers.USD*unit, y-7, c.Graders.USD*unit, 14, c.Name+": graders "+money(c.Graders))
		s.text("tick", left+(c.Answers.USD+c.Graders.USD)*unit+6, y+4, money(c.Answers.Add(c.Graders)))
	}
	return s.done()
}

func side(c column) string {
	if c.Baseline {
		return "theirs"
	}
	return "ours"
}

// shorten is a name that fits beside a plot.
func shorten(name string) string {
	const most = 42
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}
