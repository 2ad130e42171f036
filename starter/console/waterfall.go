package console

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
)

const (
	rowsShown  = 400 // of a waterfall
	itemsShown = 20  // of a map; those that failed are shown in any case
	itemsMore  = 200 // of a map whose items are asked for
)

// waterfallRow is a row: what, and when, as a bar.
type waterfallRow struct {
	Name   string
	Depth  int
	Kind   string
	State  string // done, failed, skipped, or kept from before
	Anchor string // of its details below; empty without
	Took   string
	Cost   string
	Bars   []bar
	Says   string // the bar in words
	More   string // address of what is left out here
}

// bar is a part of a row's time, in thousandths of the whole.
type bar struct{ X, Width string }

// waterfall makes the rows of a run, or of one node of it from an item on.
type waterfall struct {
	begin, length float64 // Unix milliseconds, milliseconds
	kept          bool    // the run went on from another: steps without details were done in that
	link          func(path string, from int) string
	rows          []waterfallRow
	seen          []*records.Node // those whose details are to be shown
	cut           bool            // there are more rows than are shown
}

func (w *waterfall) below(n *records.Node, depth, from, items int) {
	shown, hidden := 0, 0
	for _, c := range n.Below {
		if c.Item {
			number := shown + hidden
			if number < from || number >= from+items && !c.Broken || len(w.rows) >= rowsShown {
				hidden++
				continue
			}
			shown++
		}
		if c.Item && len(c.Below) == 1 && len(c.Below[0].Below) == 0 {
			w.row(c.Below[0], depth, itemName(c)+": ")
			continue
		}
		w.row(c, depth, "")
		w.below(c, depth+1, 0, itemsShown)
	}
	if hidden > 0 {
		next := from + items
		if total := shown + hidden; next >= total {
			next = 0
		}
		w.rows = append(w.rows, waterfallRow{
			Name: fmt.Sprintf("%s more", counted(hidden, "item")), Depth: depth, State: "hidden", More: w.link(n.Path, next),
		})
	}
}

// itemName names an item of a map, or a call of a tool.
func itemName(n *records.Node) string {
	number := strings.Trim(n.Name, "[]")
	if strings.Contains(number, ".") {
		return "call " + number
	}
	return "item " + number
}

func (w *waterfall) row(n *records.Node, depth int, before string) {
	if w.cut = len(w.rows) >= rowsShown; w.cut {
		return
	}
	row := waterfallRow{Name: before + n.Name, Depth: min(depth, 8), State: "done"}
	if n.Item {
		row.Name = itemName(n)
	}
	if n.Broken {
		row.State = "failed"
	}
	if n.Step != nil {
		row.Kind = string(n.Step.Kind)
		row.Anchor = "step-" + strconv.Itoa(n.Index)
		row.Cost = stepCost(n.Step)
		w.seen = append(w.seen, n)
	}
	if n.From > 0 {
		row.Took = took(n.To - n.From)
		row.Says = fmt.Sprintf("from %s to %s after the start", took(max(0, n.From-w.begin)), took(max(0, n.To-w.begin)))
		row.Bars = w.bars(n)
	} else if n.Step != nil {
		row.Took, row.State = "", w.untimed(n.Step)
	}
	w.rows = append(w.rows, row)
}

// untimed is the state of a step that did nothing in this run.
func (w *waterfall) untimed(s *schemas.ExchangeStep) string {
	switch {
	case s.Failure != nil:
		return "failed"
	case s.Skipped:
		return "skipped"
	case w.kept:
		return "done before"
	}
	return "done"
}

// bars are those of a step's turns, or one over all that is below it.
func (w *waterfall) bars(n *records.Node) []bar {
	if n.Step == nil || len(n.Step.Details) == 0 || len(n.Below) > 0 && len(n.Step.Details) == 1 {
		return []bar{w.bar(n.From, n.To)}
	}
	var all []bar
	for _, d := range n.Step.Details[:min(len(n.Step.Details), 64)] {
		all = append(all, w.bar(float64(d.StartMS), float64(d.StartMS)+d.TookMS))
	}
	return all
}

func (w *waterfall) bar(from, to float64) bar {
	scale := 1000 / max(w.length, 1)
	x := min(max((from-w.begin)*scale, 0), 997)
	width := min(max((to-from)*scale, 3), 1000-x)
	return bar{strconv.FormatFloat(x, 'f', 2, 64), strconv.FormatFloat(width, 'f', 2, 64)}
}

// stepCost is what the calls of a step cost; empty where it made none that are paid.
func stepCost(s *schemas.ExchangeStep) string {
	var cost schemas.Cost
	var usage schemas.Usage
	paid := map[string]bool{} // by identity: an attempt reads back what one before it has paid for
	for _, d := range s.Details {
		for _, c := range d.Calls {
			usage.Calls += c.Usage.Calls
			switch {
			case c.Recorded && paid[c.Identity]:
			case c.Cost != nil:
				cost.USD += *c.Cost
			case c.Usage.Calls > 0:
				cost.Unknown++
			}
			paid[c.Identity] = paid[c.Identity] || c.Usage.Calls > 0
		}
	}
	if usage.Calls == 0 {
		return ""
	}
	return costOf(cost, usage)
}
