package console

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	rowsShown  = 400 // of a waterfall
	itemsShown = 20  // of a map; those that failed are shown in any case
	itemsMore  = 200 // of a map whose items are asked for
)

// node is a step of a run, or an item of a map, with what happened within it. A step that left no record of its own has a node for what is
// below it.
type node struct {
	name   string
	path   string // from the run's own chain on
	item   bool
	index  int // of the step in the record; -1 for none
	step   *schemas.ExchangeStep
	below  []*node
	by     map[string]*node
	broken bool // something failed in it or below it
	from   float64
	to     float64 // Unix milliseconds; zero where there are none
}

// treeOf arranges steps by their paths: each[3]/answer stands below item 3 of the step each. Siblings keep the order in which they
// ended, items are in order.
func treeOf(steps []schemas.ExchangeStep) *node {
	root := &node{index: -1}
	for i := range steps {
		at := root
		for part := range strings.SplitSeq(strings.TrimSuffix(steps[i].Path, "/"), "/") {
			name, item, isItem := strings.Cut(part, "[")
			if name != "" {
				at = at.child(name, false)
			}
			if isItem {
				at = at.child("["+item, true)
			}
		}
		at = at.child(steps[i].ID, false)
		at.step, at.index = &steps[i], i
	}
	root.finish()
	return root
}

func (n *node) child(name string, item bool) *node {
	if c, ok := n.by[name]; ok {
		return c
	}
	c := &node{name: name, item: item, index: -1, path: n.path + "/" + name}
	if item || n.path == "" {
		c.path = n.path + name
	}
	if n.by == nil {
		n.by = map[string]*node{}
	}
	n.by[name] = c
	n.below = append(n.below, c)
	return c
}

// finish sorts items, and sums up when each node began and ended and whether something failed.
func (n *node) finish() {
	if n.step != nil {
		n.broken = n.step.Failure != nil
		for _, d := range n.step.Details {
			n.span(float64(d.StartMS), float64(d.StartMS)+d.TookMS)
		}
	}
	for _, c := range n.below {
		c.finish()
		n.span(c.from, c.to)
		n.broken = n.broken || c.broken
	}
	slices.SortStableFunc(n.below, func(a, b *node) int {
		if !a.item || !b.item {
			return 0
		}
		return cmp.Or(slices.Compare(numbers(a.name), numbers(b.name)), strings.Compare(a.name, b.name))
	})
}

func (n *node) span(from, to float64) {
	if from > 0 && (n.from == 0 || from < n.from) {
		n.from = from
	}
	n.to = max(n.to, to)
}

// numbers are those of an item's name: [12], or of a tool call [turn.call].
func numbers(name string) []int {
	var all []int
	for part := range strings.SplitSeq(strings.Trim(name, "[]"), ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		all = append(all, n)
	}
	return all
}

// at finds the node with a path; nil if there is none.
func (n *node) at(path string) *node {
	if n.path == path {
		return n
	}
	for _, c := range n.below {
		if path == c.path || strings.HasPrefix(path, c.path+"/") || strings.HasPrefix(path, c.path+"[") {
			if found := c.at(path); found != nil {
				return found
			}
		}
	}
	return nil
}

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
	seen          []*node // those whose details are to be shown
	cut           bool    // there are more rows than are shown
}

func (w *waterfall) below(n *node, depth, from, items int) {
	shown, hidden := 0, 0
	for _, c := range n.below {
		if c.item {
			number := shown + hidden
			if number < from || number >= from+items && !c.broken || len(w.rows) >= rowsShown {
				hidden++
				continue
			}
			shown++
		}
		if c.item && len(c.below) == 1 && len(c.below[0].below) == 0 {
			w.row(c.below[0], depth, itemName(c)+": ")
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
			Name: fmt.Sprintf("%s more", counted(hidden, "item")), Depth: depth, State: "hidden", More: w.link(n.path, next),
		})
	}
}

// itemName names an item of a map, or a call of a tool.
func itemName(n *node) string {
	number := strings.Trim(n.name, "[]")
	if strings.Contains(number, ".") {
		return "call " + number
	}
	return "item " + number
}

func (w *waterfall) row(n *node, depth int, before string) {
	if w.cut = len(w.rows) >= rowsShown; w.cut {
		return
	}
	row := waterfallRow{Name: before + n.name, Depth: min(depth, 8), State: "done"}
	if n.item {
		row.Name = itemName(n)
	}
	if n.broken {
		row.State = "failed"
	}
	if n.step != nil {
		row.Kind = string(n.step.Kind)
		row.Anchor = "step-" + strconv.Itoa(n.index)
		row.Cost = stepCost(n.step)
		w.seen = append(w.seen, n)
	}
	if n.from > 0 {
		row.Took = took(n.to - n.from)
		row.Says = fmt.Sprintf("from %s to %s after the start", took(max(0, n.from-w.begin)), took(max(0, n.to-w.begin)))
		row.Bars = w.bars(n)
	} else if n.step != nil {
		row.Took, row.State = "", w.untimed(n.step)
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
func (w *waterfall) bars(n *node) []bar {
	if n.step == nil || len(n.step.Details) == 0 || len(n.below) > 0 && len(n.step.Details) == 1 {
		return []bar{w.bar(n.from, n.to)}
	}
	var all []bar
	for _, d := range n.step.Details[:min(len(n.step.Details), 64)] {
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
