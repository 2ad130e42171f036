package cli

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// treeNode is a step of a run, or an item of a map, with what happened within it. A step that left no record of its own, such as the
// map of a part that failed, has a node for what is below it.
type treeNode struct {
	name  string
	item  bool
	step  *schemas.ExchangeStep
	below []*treeNode
}

// treeOf arranges steps by their paths: each[3]/answer stands below item 3 of the step each. Siblings keep the order in which they
// ended, items are in order.
func treeOf(steps []schemas.ExchangeStep) *treeNode {
	root := &treeNode{}
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
		at.child(steps[i].ID, false).step = &steps[i]
	}
	root.sort()
	return root
}

func (n *treeNode) child(name string, item bool) *treeNode {
	for _, c := range n.below {
		if c.name == name && c.item == item {
			return c
		}
	}
	c := &treeNode{name: name, item: item}
	n.below = append(n.below, c)
	return c
}

func (n *treeNode) sort() {
	slices.SortStableFunc(n.below, func(a, b *treeNode) int {
		if !a.item || !b.item {
			return 0
		}
		return cmp.Or(slices.Compare(numbers(a.name), numbers(b.name)), strings.Compare(a.name, b.name))
	})
	for _, c := range n.below {
		c.sort()
	}
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

// span is when the details of the node and of all below it began and ended, in Unix milliseconds; zero where there are none.
func (n *treeNode) span() (from, to float64) {
	if n.step != nil {
		for _, d := range n.step.Details {
			begin := float64(d.StartMS)
			if from == 0 || begin < from {
				from = begin
			}
			to = max(to, begin+d.TookMS)
		}
	}
	for _, c := range n.below {
		begin, end := c.span()
		if begin > 0 && (from == 0 || begin < from) {
			from = begin
		}
		to = max(to, end)
	}
	return from, to
}

// failed reports whether something failed in the node or below it.
func (n *treeNode) failed() bool {
	return n.step != nil && n.step.Failure != nil || slices.ContainsFunc(n.below, (*treeNode).failed)
}
