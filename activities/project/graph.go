package project

import (
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// graph checks what the steps wait for, and that each can run.
func (k *chainCheck) graph() {
	k.edges, k.before = map[string][]string{}, map[string]map[string]bool{}
	for i, s := range k.def.Steps {
		for j, need := range s.Needs {
			p := k.stepAt(i).to("needs").item(j)
			switch _, ok := k.index[need]; {
			case !ok:
				k.at(p, "the step needs `%s`, and there is no such step%s", clip(need), meant(need, k.stepNames()))
			case slices.Contains(s.Needs[:j], need):
				k.at(p, "`%s` stands twice: remove one", need)
			default:
				k.edges[s.ID] = append(k.edges[s.ID], need)
			}
		}
		if s.Branch != nil {
			for _, id := range branchSteps(*s.Branch) {
				k.edges[id] = append(k.edges[id], s.ID)
			}
		}
	}
	for _, s := range k.def.Steps {
		k.before[s.ID] = map[string]bool{}
		k.reach(s.ID, k.before[s.ID])
	}
	k.cycles()
	k.dead()
}

func branchSteps(b schemas.BranchDef) []string {
	var ids []string
	for _, c := range b.Cases {
		ids = append(ids, c.Steps...)
	}
	return append(ids, b.Else...)
}

// reach collects all that is done before a step.
func (k *chainCheck) reach(id string, into map[string]bool) {
	for _, next := range k.edges[id] {
		if !into[next] {
			into[next] = true
			k.reach(next, into)
		}
	}
}

// cycles reports each circle of steps once, at its first step in the file.
func (k *chainCheck) cycles() {
	told := map[string]bool{}
	for i, s := range k.def.Steps {
		if told[s.ID] || !k.before[s.ID][s.ID] {
			continue
		}
		circle := k.circle(s.ID)
		for _, id := range circle {
			told[id] = true
		}
		p := k.stepAt(i).to("id")
		if j := slices.Index(s.Needs, circle[1]); j >= 0 {
			p = k.stepAt(i).to("needs").item(j)
		}
		k.at(p, "the steps wait for each other in a circle, %s: remove one of these needs", strings.Join(circle, " -> "))
	}
}

// circle is the shortest way from a step over what it waits for back to itself.
func (k *chainCheck) circle(id string) []string {
	from := map[string]string{}
	for queue := []string{id}; len(queue) > 0; queue = queue[1:] {
		for _, next := range k.edges[queue[0]] {
			if next == id {
				way := []string{id}
				for at := queue[0]; at != id; at = from[at] {
					way = append(way, at)
				}
				slices.Reverse(way[1:])
				return append(way, id)
			}
			if _, seen := from[next]; !seen {
				from[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	return []string{id, id}
}

// dead reports the steps that can never run. What needs nothing but such steps cannot either.
func (k *chainCheck) dead() {
	why := map[string]string{}
	for changed := true; changed; {
		changed = false
		for _, s := range k.def.Steps {
			if reason := k.never(s, why); reason != "" && why[s.ID] == "" {
				why[s.ID], changed = reason, true
			}
		}
	}
	for i, s := range k.def.Steps {
		p := k.stepAt(i).to("id")
		if holds, constant := k.constant(s.When); constant && !holds {
			p = k.stepAt(i).to("when")
		}
		if reason := why[s.ID]; reason != "" && !k.offered[s.ID] && k.index[s.ID] == i {
			k.at(p, "the step `%s` can never run: %s", s.ID, reason)
		}
	}
}

// never says why a step cannot run, given which others cannot.
func (k *chainCheck) never(s schemas.StepDef, why map[string]string) string {
	if k.offered[s.ID] {
		return "only a model calls it"
	}
	if holds, constant := k.constant(s.When); constant && !holds {
		return "its `when` is never true"
	}
	if reason := k.unchosen(s.ID, why); reason != "" {
		return reason
	}
	dead := ""
	for _, need := range s.Needs {
		if _, ok := k.index[need]; !ok || why[need] == "" {
			return ""
		}
		dead = need
	}
	if dead == "" {
		return ""
	}
	if k.offered[dead] {
		return "it needs the tool `" + dead + "`, which runs only when a model calls it; need the step that offers the tool"
	}
	return "it needs only steps that never run, such as `" + dead + "`"
}

// unchosen says why no branch chooses a step that branches name.
func (k *chainCheck) unchosen(id string, why map[string]string) string {
	reason := ""
	for _, s := range k.def.Steps {
		if s.Branch == nil || !slices.Contains(branchSteps(*s.Branch), id) {
			continue
		}
		switch {
		case why[s.ID] != "":
			reason = "the branch `" + s.ID + "` that chooses it never runs"
		case !slices.Contains(k.liveSteps(*s.Branch), id):
			reason = "the branch `" + s.ID + "` never chooses it: its case is never true, or one before it always is"
		default:
			return ""
		}
	}
	return reason
}

// liveSteps are the steps of the cases that can be chosen.
func (k *chainCheck) liveSteps(b schemas.BranchDef) []string {
	var ids []string
	for _, c := range b.Cases {
		holds, constant := k.constant(c.When)
		if !constant || holds {
			ids = append(ids, c.Steps...)
		}
		if constant && holds {
			return ids
		}
	}
	return append(ids, b.Else...)
}

// circles reports chains that call each other without end, at the first of them by name, or too deep.
func (c *checker) circles() {
	told, depths := map[string]bool{}, map[string]int{}
	for _, name := range sortedKeys(c.chains) {
		way := c.wayBack(name, name, map[string]bool{})
		if depth := c.depth(name, depths); depth > schemas.MaxChainDepth && way == nil {
			c.at(chainsAt.to(name), "the chain `%s` calls others %d deep, and %d is the most: flatten them", name, depth, schemas.MaxChainDepth)
		}
		if way == nil || told[name] {
			continue
		}
		for _, called := range way {
			told[called] = true
		}
		for i, s := range c.chains[name].Steps {
			if slices.Contains(calls(s), way[0]) {
				c.at(chainsAt.to(name, "steps").item(i).to(string(s.Kind()), "chain"),
					"the chains call each other in a circle, %s -> %s: a run would never end", name, strings.Join(way, " -> "))
				break
			}
		}
	}
}

// depth counts the chains on the longest way down from one. Known remembers; a circle counts once.
func (c *checker) depth(name string, known map[string]int) int {
	if depth, ok := known[name]; ok {
		return depth
	}
	known[name] = 0
	deepest := 0
	for _, s := range c.chains[name].Steps {
		for _, called := range calls(s) {
			deepest = max(deepest, c.depth(called, known))
		}
	}
	known[name] = deepest + 1
	return deepest + 1
}

// wayBack returns the chains that are called on the way from one to another.
func (c *checker) wayBack(from, to string, seen map[string]bool) []string {
	for _, s := range c.chains[from].Steps {
		for _, called := range calls(s) {
			if called == to {
				return []string{to}
			}
			if seen[called] {
				continue
			}
			seen[called] = true
			if way := c.wayBack(called, to, seen); way != nil {
				return append([]string{called}, way...)
			}
		}
	}
	return nil
}
