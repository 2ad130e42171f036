package project

import (
	"regexp"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

var (
	chainPattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	stepPattern  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
)

const chainsAt = path("chains")

// maxSteps bounds a chain; a run keeps a record of each step.
const maxSteps = 200

// chainCheck checks one chain.
type chainCheck struct {
	*checker
	name    string
	def     schemas.ChainDef
	root    path
	index   map[string]int             // of a step, by its id
	edges   map[string][]string        // what a step waits for: its needs, and branches that may choose it
	before  map[string]map[string]bool // all that is done before a step
	offered map[string]bool            // tool steps that models may call; they do not run by themselves
}

func (c *checker) chain(name string) {
	k := &chainCheck{checker: c, name: name, def: c.chains[name], root: chainsAt.to(name), index: map[string]int{}, offered: map[string]bool{}}
	if !chainPattern.MatchString(name) {
		k.at(k.root, "the chain's name `%s`: use lower-case letters, digits, hyphens and underscores, a letter first", clip(name))
	}
	k.head()
	if len(k.def.Steps) == 0 || len(k.def.Steps) > maxSteps {
		k.at(k.root.to("steps"), "a chain has 1 to %d steps, this has %d: list them below `steps`", maxSteps, len(k.def.Steps))
		return
	}
	k.ids()
	k.graph()
	for i := range k.def.Steps {
		k.step(i)
	}
	k.output()
	if k.def.Execution == schemas.ExecutionLane {
		k.lane()
	}
}

// head checks what the chain says of itself.
func (k *chainCheck) head() {
	k.oneOf(k.root.to("execution"), "execution", string(k.def.Execution), false,
		string(schemas.ExecutionAuto), string(schemas.ExecutionWorkflow), string(schemas.ExecutionLane))
	k.schema(k.root.to("input"), k.def.Input)
	k.schema(k.root.to("schema"), k.def.Schema)
	if input := shapeOf(k.def.Input); input != nil && !input.mayBeObject() {
		k.at(k.root.to("input"), "the input of a chain is an object: write its fields below `input`")
	}
}

// schema checks a schema of a bundle; those of files were checked when they were read.
func (c *checker) schema(p path, schema []byte) {
	if c.files || len(schema) == 0 {
		return
	}
	if fault, _ := checkSchema(schema); fault != "" {
		c.at(p, "`%s` is no valid JSON Schema: %s", p.parts()[len(p.parts())-1], fault)
	}
}

func (k *chainCheck) stepAt(i int) path { return k.root.to("steps").item(i) }

func (k *chainCheck) ids() {
	for i, s := range k.def.Steps {
		p := k.stepAt(i).to("id")
		first, twice := k.index[s.ID]
		switch {
		case s.ID == "":
			k.at(p, "the step has no `id`: give it one, by which others name it")
		case !stepPattern.MatchString(s.ID) || slices.Contains([]string{"in", "true", "false", "null"}, s.ID):
			k.at(p, "the id `%s`: use lower-case letters, digits and underscores, a letter first, and none of in, true, false, null", clip(s.ID))
		case twice:
			k.at(p, "the id `%s` is that of step %d already: rename one", s.ID, first+1)
			continue
		}
		k.index[s.ID] = i
		if s.Generate != nil {
			for _, tool := range s.Generate.Tools {
				k.offered[tool] = true
			}
		}
	}
}

// scope is what an expression of a step may read; of a chain's own, all steps.
func (k *chainCheck) scope(step *schemas.StepDef) scope {
	input := shapeOf(k.def.Input)
	if len(k.def.Input) == 0 {
		input = fields()
	}
	return scope{
		names:  []string{"input", "steps", "run"},
		shapes: map[string]shape{"input": input, "run": runShape},
		step:   func(id string, rest []string) string { return k.reads(step, id, rest) },
	}
}

// reads says why a step cannot read the output of another.
func (k *chainCheck) reads(step *schemas.StepDef, id string, rest []string) string {
	i, ok := k.index[id]
	switch {
	case !ok:
		return "there is no step `" + clip(id) + "`" + meant(id, k.stepNames())
	case step == nil && k.offered[id]:
		return "the tool `" + id + "` runs only when a model calls it: read the output of the step that offers it"
	case step == nil:
	case id == step.ID:
		return "a step cannot read its own output"
	case !k.before[step.ID][id]:
		return "the step reads the output of `" + id + "` but does not need it: add `" + id + "` to `needs`"
	}
	if at, lacking := k.outputShape(k.def.Steps[i], 0).missing(rest); at >= 0 {
		whole := strings.Join(append([]string{"steps", id}, rest[:at]...), ".")
		return "`" + whole + "` has no `" + clip(rest[at]) + "`" + lacking.meant(rest[at])
	}
	return ""
}

func (k *chainCheck) stepNames() []string {
	names := make([]string, len(k.def.Steps))
	for i, s := range k.def.Steps {
		names[i] = s.ID
	}
	return names
}

func (k *chainCheck) output() {
	k.value(k.root.to("output"), k.def.Output, k.scope(nil))
	last := k.def.Steps[len(k.def.Steps)-1]
	if k.def.Output == "" && k.offered[last.ID] {
		k.at(k.root.to("steps"), "the last step, `%s`, is a tool that only a model calls, so the chain has no output: add `output:`", last.ID)
	}
}

// maxNested bounds how deep outputs of nested chains are looked into.
const maxNested = 8

var (
	hitsShape   = shape{"type": "object", "properties": map[string]any{"hits": map[string]any{"type": "array"}}}
	textShape   = fields("text")
	citedShape  = fields("answer", "citations", "dropped")
	listShape   = shape{"type": "array"}
	branchShape = shape{"type": "string"}
	httpShape   = fields("status", "headers", "body")
)

// outputShape is what is known of a step's output.
func (c *checker) outputShape(s schemas.StepDef, depth int) shape {
	switch s.Kind() {
	case schemas.StepRetrieve:
		return hitsShape
	case schemas.StepGenerate:
		return c.answerShape(*s.Generate)
	case schemas.StepMap:
		return listShape
	case schemas.StepBranch:
		return branchShape
	case schemas.StepTool:
		if s.Tool.HTTP != nil {
			return httpShape
		}
		return c.chainShape(s.Tool.Chain, depth+1)
	case schemas.StepGuard, schemas.StepReview, schemas.StepEmbed:
	}
	return nil
}

func (c *checker) answerShape(g schemas.GenerateDef) shape {
	p := c.prompts[g.Prompt]
	switch {
	case g.Cite:
		return citedShape
	case len(g.Schema) > 0:
		return shapeOf(g.Schema)
	case p == nil:
		return nil
	case len(p.OutputSchema) > 0:
		return shapeOf(p.OutputSchema)
	}
	return textShape
}

func (c *checker) chainShape(name string, depth int) shape {
	def := c.chains[name]
	switch {
	case len(def.Schema) > 0:
		return shapeOf(def.Schema)
	case def.Output != "" || len(def.Steps) == 0 || depth > maxNested:
		return nil
	}
	return c.outputShape(def.Steps[len(def.Steps)-1], depth)
}

// lane checks that nothing in a chain keeps it from running in a lane, where a caller waits and every step is short.
func (k *chainCheck) lane() {
	for i, s := range k.def.Steps {
		k.laneStep(k.stepAt(i), s)
		for _, call := range calls(s) {
			if s.Map != nil {
				break
			}
			if why := k.notInLane(call, map[string]bool{}); why != "" {
				k.at(k.stepAt(i).to(string(s.Kind()), "chain"), "the chain runs in a lane, where `%s` cannot: %s; choose `execution: auto`", call, why)
			}
		}
	}
}

func (k *chainCheck) laneStep(p path, s schemas.StepDef) {
	const advice = "; choose `execution: auto`, which runs the chain as a workflow of its own where it must"
	switch {
	case s.Retry == schemas.RetryPatient:
		k.at(p.to("retry"), "a chain in a lane cannot be patient for days%s", advice)
	case s.Ambiguous == schemas.AmbiguousAsk:
		k.at(p.to("ambiguous"), "a chain in a lane cannot wait for a person%s", advice)
	case s.TimeoutMS > schemas.LaneStepMS:
		k.at(p.to("timeout"), "a step in a lane takes at most %d seconds%s", schemas.LaneStepMS/1000, advice)
	case s.Map != nil:
		k.at(p.to("map"), "a map does not run in a lane%s", advice)
	}
}

// notInLane says why a nested chain cannot run in a lane.
func (c *checker) notInLane(name string, seen map[string]bool) string {
	if seen[name] {
		return ""
	}
	seen[name] = true
	def := c.chains[name]
	if def.Execution == schemas.ExecutionWorkflow {
		return "it is a workflow of its own"
	}
	for _, s := range def.Steps {
		probe := &chainCheck{checker: &checker{report: newReport()}}
		if probe.laneStep("probe", s); len(probe.problems) > 0 {
			return "its step `" + s.ID + "` is a map, takes long or waits"
		}
		for _, call := range calls(s) {
			if why := c.notInLane(call, seen); why != "" {
				return why
			}
		}
	}
	return ""
}

// calls are the chains that a step calls.
func calls(s schemas.StepDef) []string {
	switch {
	case s.Map != nil && s.Map.Chain != "":
		return []string{s.Map.Chain}
	case s.Tool != nil && s.Tool.Chain != "":
		return []string{s.Tool.Chain}
	}
	return nil
}
