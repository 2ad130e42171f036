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

func TestLine(t *testing.T) {
	t.Parallel()
	of := func(kind schemas.StepKind, change func(*schemas.PlanStep), id string, needs ...string) schemas.PlanStep {
		s := step(id, needs...)
		s.Kind = kind
		if change != nil {
			change(&s)
		}
		return s
	}
	generate := func(id string, needs ...string) schemas.PlanStep { return of(schemas.StepGenerate, nil, id, needs...) }
	for name, test := range map[string]struct {
		steps []schemas.PlanStep
		want  bool
	}{
		"one step":                {[]schemas.PlanStep{generate("a")}, true},
		"one after another":       {[]schemas.PlanStep{of(schemas.StepRetrieve, nil, "a"), generate("b", "a"), of(schemas.StepTool, nil, "c", "a", "b")}, true},
		"nothing":                 {nil, false},
		"side by side":            {[]schemas.PlanStep{generate("a"), generate("b")}, false},
		"two that need the first": {[]schemas.PlanStep{generate("a"), generate("b", "a"), generate("c", "a")}, false},
		"listed the other way":    {[]schemas.PlanStep{generate("b", "a"), generate("a")}, false},
		"a step nobody has":       {[]schemas.PlanStep{generate("a", "x")}, false},
		"a branch":                {[]schemas.PlanStep{of(schemas.StepBranch, nil, "a")}, false},
		"a map":                   {[]schemas.PlanStep{of(schemas.StepMap, nil, "a")}, false},
		"a chain as a tool":       {[]schemas.PlanStep{of(schemas.StepTool, func(s *schemas.PlanStep) { s.Chain = &schemas.Plan{} }, "a")}, false},
		"tools":                   {[]schemas.PlanStep{of(schemas.StepGenerate, func(s *schemas.PlanStep) { s.Tools = map[string]*schemas.Plan{"t": nil} }, "a")}, false},
		"chosen by a branch":      {[]schemas.PlanStep{generate("a"), of(schemas.StepGenerate, func(s *schemas.PlanStep) { s.Chosen = true }, "b", "a")}, false},
		"people":                  {[]schemas.PlanStep{of(schemas.StepGenerate, func(s *schemas.PlanStep) { s.Ask = true }, "a")}, false},
		"patience":                {[]schemas.PlanStep{of(schemas.StepGenerate, func(s *schemas.PlanStep) { s.Retry = schemas.RetryPatient }, "a")}, false},
		"a long step":             {[]schemas.PlanStep{of(schemas.StepGenerate, func(s *schemas.PlanStep) { s.TimeoutMS = schemas.LaneStepMS + 1 }, "a")}, false},
	} {
		if got := plan.Line(schemas.Plan{Steps: test.steps}); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
