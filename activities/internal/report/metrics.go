package report

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// mostMetrics bounds the metrics that are shown.
const mostMetrics = 20

// metricRow is what the metrics of a suite are under one column, in the order of their names.
type metricRow struct {
	Column string
	Scores []string
}

// mean grows.
type mean struct {
	sum    float64
	weight float64
	plain  float64 // sum without weights
	n      int
}

func (m mean) add(score, weight float64) mean {
	return mean{m.sum + score*weight, m.weight + weight, m.plain + score, m.n + 1}
}

// value is the mean by weight, and the plain one of what has no weight: a metric that only shows something.
func (m mean) value() float64 {
	if m.weight > 0 {
		return m.sum / m.weight
	}
	return m.plain / float64(max(m.n, 1))
}

// metrics are the named scores of a suite, each by column: means over the cells that have them. More is how many are left out.
func (v *view) metrics() (names []string, rows []metricRow, more int) {
	sums, all := make([]map[string]mean, len(v.columns)), map[string]bool{}
	for i := range sums {
		sums[i] = map[string]mean{}
	}
	for _, cell := range v.Cells {
		for name, score := range named(cell.Assertions) {
			sums[cell.Column][name] = sums[cell.Column][name].add(score, 1)
			all[name] = true
		}
	}
	names = slices.Sorted(maps.Keys(all))
	more = max(len(names)-mostMetrics, 0)
	names = names[:len(names)-more]
	if len(names) == 0 {
		return nil, nil, 0
	}
	for i := range v.columns {
		row := metricRow{Column: v.columns[i].Name}
		for _, name := range names {
			row.Scores = append(row.Scores, metricText(sums[i][name], v.columns[i].Counts.Total()))
		}
		rows = append(rows, row)
	}
	for i := range names {
		names[i] = line(names[i], 60)
	}
	return names, rows, more
}

// metricText says a mean, and over how many cells if that is not all of them.
func metricText(m mean, cells int) string {
	switch {
	case m.n == 0:
		return "–"
	case m.n < cells:
		return fmt.Sprintf("%s (%s)", number(m.value()), plural(m.n, "cell"))
	}
	return number(m.value())
}

// named are the scores of one cell by metric: those that its assertions have as their name, and those that they say besides.
func named(results []schemas.AssertionResult) map[string]float64 {
	sums := map[string]mean{}
	for _, r := range results {
		if r.Metric != "" {
			sums[r.Metric] = sums[r.Metric].add(r.Score, r.Weight)
		}
		for metric, score := range r.Named {
			if metric != r.Metric {
				sums[metric] = sums[metric].add(score, r.Weight)
			}
		}
	}
	scores := make(map[string]float64, len(sums))
	for metric, m := range sums {
		scores[metric] = m.value()
	}
	return scores
}
