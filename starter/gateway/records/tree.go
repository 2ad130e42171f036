package records

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Node is a step of a run, or an item of a map, with what happened within it. A step that left no record of its own, such as the map of a
// part that failed, has a node for what is below it.
type Node struct {
	Name   string // a step's id; of an item [3], of a call of a tool [turn.call]
	Path   string // from the run's own chain on: each[3]/answer
	Item   bool
	Index  int // of the step in the record; -1 for none
	Step   *schemas.ExchangeStep
	Below  []*Node
	Broken bool    // something failed in it or below it
	From   float64 // when the details of the node and of all below it began, in Unix milliseconds; zero where there are none
	To     float64 // when they ended

	by map[string]*Node
}

// Tree arranges steps by their paths: each[3]/answer stands below item 3 of the step each. Siblings keep the order in which they
// ended, items are in order.
func Tree(steps []schemas.ExchangeStep) *Node {
	root := &Node{Index: -1}
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
		at.Step, at.Index = &steps[i], i
	}
	root.finish()
	return root
}

func (n *Node) child(name string, item bool) *Node {
	if c, ok := n.by[name]; ok {
		return c
	}
	c := &Node{Name: name, Item: item, Index: -1, Path: n.Path + "/" + name}
	if item || n.Path == "" {
		c.Path = n.Path + name
	}
	if n.by == nil {
		n.by = map[string]*Node{}
	}
	n.by[name] = c
	n.Below = append(n.Below, c)
	return c
}

// finish sorts items, and sums up when each node began and ended and whether something failed.
func (n *Node) finish() {
	if n.Step != nil {
		n.Broken = n.Step.Failure != nil
		for _, d := range n.Step.Details {
			n.span(float64(d.StartMS), float64(d.StartMS)+d.TookMS)
		}
	}
	for _, c := range n.Below {
		c.finish()
		n.span(c.From, c.To)
		n.Broken = n.Broken || c.Broken
	}
	slices.SortStableFunc(n.Below, func(a, b *Node) int {
		if !a.Item || !b.Item {
			return 0
		}
		return cmp.Or(slices.Compare(numbers(a.Name), numbers(b.Name)), strings.Compare(a.Name, b.Name))
	})
}

func (n *Node) span(from, to float64) {
	if from > 0 && (n.From == 0 || from < n.From) {
		n.From = from
	}
	n.To = max(n.To, to)
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

// At finds the node with a path; nil if there is none.
func (n *Node) At(path string) *Node {
	if n.Path == path {
		return n
	}
	for _, c := range n.Below {
		if path == c.Path || strings.HasPrefix(path, c.Path+"/") || strings.HasPrefix(path, c.Path+"[") {
			if found := c.At(path); found != nil {
				return found
			}
		}
	}
	return nil
}
