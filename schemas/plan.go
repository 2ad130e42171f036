package schemas

import (
	"encoding/json"
	"slices"
	"strings"
)

// MaxChainDepth is how deep chains may call one another.
const MaxChainDepth = 8

// PlanOf is what the interpreter needs to know of the bundle's chain. Errors: invalid, for a chain that is missing, calls itself or
// has a step without a kind; activities/project explains such faults better, before a bundle is made.
func PlanOf(b Bundle) (Plan, error) { return b.plan(b.Chain, 0) }

func (b Bundle) plan(name string, depth int) (Plan, error) {
	def, ok := b.Chains[name]
	switch {
	case !ok:
		return Plan{}, Errorf(Invalid, "the bundle has no chain %q", name)
	case depth == MaxChainDepth:
		return Plan{}, Errorf(Invalid, "chain %q: chains call one another more than %d deep", name, MaxChainDepth)
	}
	offered, chosen := def.offered(), def.choices()
	plan := Plan{Chain: name}
	for _, s := range def.Steps {
		if s.Kind() == "" {
			return Plan{}, Errorf(Invalid, "chain %q: step %q has no kind that is known here", name, s.ID)
		}
		if offered[s.ID] {
			continue // models call it, it does not run by itself
		}
		step, err := b.planStep(def, s, depth)
		if err != nil {
			return Plan{}, err
		}
		for _, branch := range chosen[s.ID] {
			step.Chosen = true
			if !slices.Contains(step.Needs, branch) {
				step.Needs = append(slices.Clone(step.Needs), branch)
			}
		}
		plan.Steps = append(plan.Steps, step)
	}
	return plan, nil
}

func (b Bundle) planStep(def ChainDef, s StepDef, depth int) (PlanStep, error) {
	step := PlanStep{ID: s.ID, Kind: s.Kind(), Needs: s.Needs, Retry: s.Retry, TimeoutMS: s.TimeoutMS, Ask: s.Ambiguous == AmbiguousAsk}
	nested := ""
	switch {
	case s.Map != nil:
		step.Width, nested = max(s.Map.Width, 1), s.Map.Chain
		if s.Map.Width == 0 {
			step.Width = DefaultMapWidth
		}
	case s.Tool != nil:
		nested = s.Tool.Chain
	case s.Generate != nil:
		return b.planTools(def, s, step, depth)
	}
	if nested == "" {
		return step, nil
	}
	plan, err := b.plan(nested, depth+1)
	step.Chain = &plan
	return step, err
}

func (b Bundle) planTools(def ChainDef, s StepDef, step PlanStep, depth int) (PlanStep, error) {
	for _, name := range s.Generate.Tools {
		i := slices.IndexFunc(def.Steps, func(t StepDef) bool { return t.ID == name && t.Tool != nil })
		if i < 0 {
			return step, Errorf(Invalid, "step %q offers the tool %q, which is no tool step of its chain", s.ID, name)
		}
		if step.Tools == nil {
			step.Tools = map[string]*Plan{}
		}
		step.Tools[name] = nil
		if chain := def.Steps[i].Tool.Chain; chain != "" {
			plan, err := b.plan(chain, depth+1)
			if err != nil {
				return step, err
			}
			step.Tools[name] = &plan
		}
	}
	return step, nil
}

// DefaultMapWidth is how many items of a map run at once where the chain does not say.
const DefaultMapWidth = 4

// offered names the tool steps that models may call.
func (d ChainDef) offered() map[string]bool {
	offered := map[string]bool{}
	for _, s := range d.Steps {
		if s.Generate != nil {
			for _, tool := range s.Generate.Tools {
				offered[tool] = true
			}
		}
	}
	return offered
}

// choices lists, by step, the branches that may choose it.
func (d ChainDef) choices() map[string][]string {
	choices := map[string][]string{}
	add := func(branch string, steps []string) {
		for _, id := range steps {
			if !slices.Contains(choices[id], branch) {
				choices[id] = append(choices[id], branch)
			}
		}
	}
	for _, s := range d.Steps {
		if s.Branch == nil {
			continue
		}
		for _, c := range s.Branch.Cases {
			add(s.ID, c.Steps)
		}
		add(s.ID, s.Branch.Else)
	}
	return choices
}

// FitsLane reports whether a lane may carry out runs of the plan: short steps, nothing that waits for people or for days, here and in the
// chains that it calls.
func (p Plan) FitsLane() bool {
	return !slices.ContainsFunc(p.Steps, func(s PlanStep) bool {
		if s.Kind == StepMap || s.Retry == RetryPatient || s.Ask || s.TimeoutMS > LaneStepMS || s.Chain != nil && !s.Chain.FitsLane() {
			return true
		}
		for _, tool := range s.Tools {
			if tool != nil && !tool.FitsLane() {
				return true
			}
		}
		return false
	})
}

// LaneStepMS is the longest timeout, in milliseconds, of a step that a lane carries out; longer ones run as activities of their own.
const LaneStepMS = 120_000

// Line reports whether the steps follow one another as they are listed, none needs more than one call of its own, and none may wait for
// days or for people: then nothing is lost if one call carries out all of them. Workflows branch on it, so it is frozen.
func (p Plan) Line() bool {
	for n, s := range p.Steps {
		follows := n == 0 && len(s.Needs) == 0 || n > 0 && slices.Contains(s.Needs, p.Steps[n-1].ID)
		if !follows || !s.simple() {
			return false
		}
	}
	return len(p.Steps) > 0
}

func (s PlanStep) simple() bool {
	switch s.Kind {
	case StepRetrieve, StepGenerate, StepTool:
		return s.Chain == nil && len(s.Tools) == 0 && !s.Chosen && !s.Ask && s.Retry != RetryPatient && s.TimeoutMS <= LaneStepMS
	case StepMap, StepBranch, StepGuard, StepReview, StepEmbed:
	}
	return false
}

// LaneMS is after how many milliseconds a run in a lane goes on as a workflow of its own, at the next step.
const LaneMS = 20_000

// Answers is the step whose text is the chain's answer: the one whose output, or the text of it, is the chain's output; empty if
// the output is made in another way.
func (d ChainDef) Answers() string {
	if d.Output == "" && len(d.Steps) > 0 {
		return d.Steps[len(d.Steps)-1].ID
	}
	step, ok := strings.CutPrefix(strings.TrimSpace(d.Output), "steps.")
	if step = strings.TrimSuffix(step, ".text"); !ok || !only(step, isAlphanumeric, "_") {
		return ""
	}
	return step
}

// Speaks is the generate step whose words the chain's answer is made of: the one that Answers, else the only one; empty where there is none or
// several.
func (d ChainDef) Speaks() string {
	only, answers := "", d.Answers()
	for _, s := range d.Steps {
		switch {
		case s.Generate == nil:
		case s.ID == answers:
			return s.ID
		case only != "":
			only = several
		default:
			only = s.ID
		}
	}
	if only == several {
		return ""
	}
	return only
}

// several is no id of a step.
const several = "/"

// AnswerText is the text in the output of a chain, a JSON value: a string, or the member text or answer of an object; empty for any other.
func AnswerText(output []byte) string {
	var text string
	if json.Unmarshal(output, &text) == nil {
		return text
	}
	var object struct {
		Text   *string `json:"text"`
		Answer string  `json:"answer"`
	}
	if json.Unmarshal(output, &object) != nil {
		return ""
	}
	if object.Text != nil {
		return *object.Text
	}
	return object.Answer
}
