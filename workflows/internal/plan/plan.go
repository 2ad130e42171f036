// Package plan decides which steps of a chain may start and which are skipped. It is frozen: it runs again on replay.
package plan

import (
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Progress is how far a chain is. Done holds the records of steps that ended, by id.
type Progress struct {
	Steps   []schemas.PlanStep
	Started map[string]bool
	Done    map[string]schemas.StepRecord
}

// Ready returns, in the order of the chain, the steps that were not started and whose needs are all done. Skip tells of each whether
// it is to be skipped: no branch chose it, or all that it needs was skipped.
func (p Progress) Ready() (ready []schemas.PlanStep, skip []bool) {
	for _, s := range p.Steps {
		if !p.Started[s.ID] && p.all(s.Needs) {
			ready = append(ready, s)
			skip = append(skip, p.skipped(s))
		}
	}
	return ready, skip
}

func (p Progress) all(ids []string) bool {
	return !slices.ContainsFunc(ids, func(id string) bool { _, ok := p.Done[id]; return !ok })
}

func (p Progress) skipped(s schemas.PlanStep) bool {
	if s.Chosen && !slices.ContainsFunc(s.Needs, func(id string) bool { return slices.Contains(p.Done[id].Chosen, s.ID) }) {
		return true
	}
	return len(s.Needs) > 0 && !slices.ContainsFunc(s.Needs, func(id string) bool { return !p.Done[id].Skipped })
}

// Ended reports whether every step is done.
func (p Progress) Ended() bool { return len(p.Done) == len(p.Steps) }
