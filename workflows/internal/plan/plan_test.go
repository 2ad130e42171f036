package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/internal/plan"
)

func step(id string, needs ...string) schemas.PlanStep { return schemas.PlanStep{ID: id, Needs: needs} }

func chosen(needs ...string) schemas.PlanStep {
	s := step("x", needs...)
	s.Chosen = true
	return s
}

func TestReady(t *testing.T) {
	t.Parallel()
	done, skipped := schemas.StepRecord{}, schemas.StepRecord{Skipped: true}
	picks := func(ids ...string) schemas.StepRecord { return schemas.StepRecord{Chosen: ids} }
	for name, test := range map[string]struct {
		steps   []schemas.PlanStep
		started []string
		done    map[string]schemas.StepRecord
		want    map[string]bool // ready: to be skipped
	}{
		"nothing needed":         {steps: []schemas.PlanStep{step("a"), step("b")}, want: map[string]bool{"a": false, "b": false}},
		"nothing at all":         {want: map[string]bool{}},
		"already started":        {steps: []schemas.PlanStep{step("a"), step("b")}, started: []string{"a"}, want: map[string]bool{"b": false}},
		"one need is missing":    {steps: []schemas.PlanStep{step("c", "a", "b")}, done: map[string]schemas.StepRecord{"a": done}, want: map[string]bool{}},
		"all needs are done":     {steps: []schemas.PlanStep{step("c", "a", "b")}, done: map[string]schemas.StepRecord{"a": done, "b": done}, want: map[string]bool{"c": false}},
		"one need was skipped":   {steps: []schemas.PlanStep{step("c", "a", "b")}, done: map[string]schemas.StepRecord{"a": done, "b": skipped}, want: map[string]bool{"c": false}},
		"all needs were skipped": {steps: []schemas.PlanStep{step("c", "a", "b")}, done: map[string]schemas.StepRecord{"a": skipped, "b": skipped}, want: map[string]bool{"c": true}},
		"a branch chose it":      {steps: []schemas.PlanStep{chosen("b")}, done: map[string]schemas.StepRecord{"b": picks("x")}, want: map[string]bool{"x": false}},
		"a branch chose another": {steps: []schemas.PlanStep{chosen("b")}, done: map[string]schemas.StepRecord{"b": picks("y")}, want: map[string]bool{"x": true}},
		"its branch was skipped": {steps: []schemas.PlanStep{chosen("b")}, done: map[string]schemas.StepRecord{"b": skipped}, want: map[string]bool{"x": true}},
		"one of two branches": {
			steps: []schemas.PlanStep{chosen("b", "c")}, done: map[string]schemas.StepRecord{"b": picks("y"), "c": picks("x")}, want: map[string]bool{"x": false},
		},
		"chosen, and another need was skipped": {
			steps: []schemas.PlanStep{chosen("b", "a")}, done: map[string]schemas.StepRecord{"b": picks("x"), "a": skipped}, want: map[string]bool{"x": false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			progress := plan.Progress{Steps: test.steps, Started: map[string]bool{}, Done: test.done}
			for _, id := range test.started {
				progress.Started[id] = true
			}
			ready, skip := progress.Ready()
			got := map[string]bool{}
			for i, s := range ready {
				got[s.ID] = skip[i]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	progress := plan.Progress{Steps: []schemas.PlanStep{step("a"), step("b")}, Done: map[string]schemas.StepRecord{"a": {}}}
	if progress.Ended() {
		t.Error("it has not ended")
	}
	progress.Done["b"] = schemas.StepRecord{Skipped: true}
	if !progress.Ended() {
		t.Error("it has ended")
	}
}
