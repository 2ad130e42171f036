package client

import (
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// From returns the steps of a recorded run that a continuation from the given step keeps: those that are done and neither that step nor
// behind it. An empty from is the first step that failed. Error: invalid for a step that the chain does not have, or where nothing failed.
func From(old schemas.Exchange, from string) ([]schemas.ExchangeStep, error) {
	if from == "" {
		i := slices.IndexFunc(old.Steps, func(s schemas.ExchangeStep) bool { return s.Path == "" && s.Failure != nil })
		if i < 0 {
			return nil, schemas.Errorf(schemas.Invalid, "run %s has no failed step; name the step to begin with", old.RunID)
		}
		from = old.Steps[i].ID
	}
	if !slices.ContainsFunc(old.Plan.Steps, func(s schemas.PlanStep) bool { return s.ID == from }) {
		return nil, schemas.Errorf(schemas.Invalid, "chain %s has no step %q", old.Chain, from)
	}
	anew := behind(old.Plan, from)
	var kept []schemas.ExchangeStep
	for _, s := range old.Steps {
		if s.Path == "" && s.Failure == nil && !anew[s.ID] {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// behind are a step and all that needs it, directly or by others.
func behind(plan schemas.Plan, from string) map[string]bool {
	anew := map[string]bool{from: true}
	for grown := true; grown; {
		grown = false
		for _, s := range plan.Steps {
			if !anew[s.ID] && slices.ContainsFunc(s.Needs, func(id string) bool { return anew[id] }) {
				anew[s.ID], grown = true, true
			}
		}
	}
	return anew
}
