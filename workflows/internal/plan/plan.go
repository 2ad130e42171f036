// Package plan decides which steps of a chain may start. It is frozen: it runs again on replay.
package plan

import "github.com/tenuto-dev/tenuto/schemas"

// Ready returns, in the order of the chain, the steps that were not started and whose needs are all done.
func Ready(steps []schemas.Step, started map[string]bool, done func(id string) bool) []schemas.Step {
	var ready []schemas.Step
	for _, s := range steps {
		if !started[s.ID] && all(s.Needs, done) {
			ready = append(ready, s)
		}
	}
	return ready
}

func all(ids []string, done func(string) bool) bool {
	for _, id := range ids {
		if !done(id) {
			return false
		}
	}
	return true
}
