package schemas_test

import (
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestLine(t *testing.T) {
	t.Parallel()
	of := func(kind schemas.StepKind, change func(*schemas.PlanStep), id string, needs ...string) schemas.PlanStep {
		s := schemas.PlanStep{ID: id, Needs: needs, Kind: kind}
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
		if got := (schemas.Plan{Steps: test.steps}).Line(); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
