package project

import (
	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of settings; the interpreter's defaults lie well within.
const (
	maxHits   = 1000
	maxMap    = 100_000
	maxWidth  = 100
	maxReasks = 10
	maxTurns  = 100
)

func (k *chainCheck) step(i int) {
	s, p := &k.def.Steps[i], k.stepAt(i)
	kinds := kindsOf(s)
	if len(kinds) != 1 {
		said := "none"
		if len(kinds) > 1 {
			said = kinds[0] + " and " + kinds[1]
		}
		k.at(p, "a step has exactly one kind, this has %s: choose one of retrieve, generate, map, branch, tool", said)
	}
	in := k.scope(s)
	k.condition(p.to("when"), s.When, in)
	k.oneOf(p.to("retry"), "retry", s.Retry, false, schemas.RetryNone, schemas.RetryInteractive, schemas.RetryPatient)
	k.oneOf(p.to("ambiguous"), "ambiguous", s.Ambiguous, false, schemas.AmbiguousRetry, schemas.AmbiguousFail, schemas.AmbiguousAsk)
	k.atLeast(p.to("timeout"), float64(s.TimeoutMS), 0)
	if s.Cache != nil {
		k.atLeast(p.to("cache", "ttl"), float64(s.Cache.TTLSeconds), 1)
	}
	if len(kinds) != 1 {
		return
	}
	p = p.to(kinds[0])
	switch s.Kind() {
	case schemas.StepRetrieve:
		k.retrieve(p, *s.Retrieve, in)
	case schemas.StepGenerate:
		k.generate(p, s, in)
	case schemas.StepMap:
		k.mapStep(p, *s.Map, in)
	case schemas.StepBranch:
		k.branch(p, *s.Branch, in)
	case schemas.StepTool:
		k.tool(p, s, in)
	case schemas.StepGuard, schemas.StepReview, schemas.StepEmbed:
	}
}

func kindsOf(s *schemas.StepDef) []string {
	var kinds []string
	for _, kind := range []struct {
		name schemas.StepKind
		set  bool
	}{
		{schemas.StepRetrieve, s.Retrieve != nil},
		{schemas.StepGenerate, s.Generate != nil},
		{schemas.StepMap, s.Map != nil},
		{schemas.StepBranch, s.Branch != nil},
		{schemas.StepTool, s.Tool != nil},
	} {
		if kind.set {
			kinds = append(kinds, string(kind.name))
		}
	}
	return kinds
}

// required reports what is missing.
func (k *chainCheck) required(p path, value, advice string) {
	if value == "" {
		k.at(p, "`%s` is missing: %s", p.parts()[len(p.parts())-1], advice)
	}
}

func (k *chainCheck) retrieve(p path, def schemas.RetrieveDef, in scope) {
	k.collection(p.to("collection"), def.Collection, in)
	k.required(p.to("query"), def.Query, "write what to look for, such as `query: input.question`")
	k.value(p.to("query"), def.Query, in)
	k.oneOf(p.to("mode"), "mode", string(def.Mode), false, string(schemas.Hybrid), string(schemas.Vector), string(schemas.Keyword))
	k.atMost(p.to("limit"), float64(def.Limit), maxHits)
	if def.Alpha != nil {
		k.atMost(p.to("alpha"), *def.Alpha, 1)
	}
	k.value(p.to("source"), def.Source, in)
	k.value(p.to("document"), def.Document, in)
	for _, key := range sortedKeys(def.Metadata) {
		k.value(p.to("metadata", key), def.Metadata[key], in)
	}
	if q := def.Queries; q != nil {
		p := p.to("queries")
		k.required(p.to("prompt"), q.Prompt, "name the prompt that writes further queries")
		k.use(promptUse{path: p, chain: k.name, prompt: q.Prompt, given: []string{"query", "count"}, fixed: true})
		k.modelOf(p.to("model"), q.Model, q.Prompt)
		k.atMost(p.to("count"), float64(q.Count), 20)
	}
	if r := def.Rerank; r != nil {
		k.required(p.to("rerank", "model"), r.Model, "name the model that orders the hits")
		k.modelOf(p.to("rerank", "model"), r.Model, "")
		k.atMost(p.to("rerank", "top"), float64(r.Top), maxHits)
	}
}

func (k *chainCheck) collection(p path, name string, in scope) {
	if name == "" {
		k.at(p, "`collection` is missing: name one here, or for all chains below `defaults` in %s", fileProject)
		return
	}
	pieces := k.text(p, name, in)
	if len(pieces) == 1 && !pieces[0].Expression {
		if _, err := schemas.CanonicalCollection(name); err != nil {
			k.at(p, "%s", schemas.SafeMessage(err))
		}
	}
}

// modelOf checks the model that a step names.
func (k *chainCheck) modelOf(p path, name, promptName string) {
	switch own := k.prompts[promptName]; {
	case name != "":
		k.model(p, name)
	case promptName != "" && own != nil && own.Model == "":
		k.at(p, "the step has no model: name one here, in the prompt, or for all chains below `defaults` in %s", fileProject)
	}
}

func (k *chainCheck) generate(p path, s *schemas.StepDef, in scope) {
	g := *s.Generate
	k.required(p.to("prompt"), g.Prompt, "name a prompt, the one of prompts/NAME.prompt being NAME")
	for _, key := range sortedKeys(g.With) {
		k.value(p.to("with", key), g.With[key], in)
	}
	k.value(p.to("history"), g.History, in)
	k.value(p.to("passages"), g.Passages, in)
	k.modelOf(p.to("model"), g.Model, g.Prompt)
	k.schema(p.to("schema"), g.Schema)
	k.use(promptUse{
		path: p, chain: k.name, step: s.ID, prompt: g.Prompt, given: sortedKeys(g.With), passages: g.Passages != "", tools: g.Tools,
	})
	if g.Cite && g.Passages == "" {
		k.at(p.to("cite"), "citations are verified against passages, and the step has none: add `passages:`, such as steps.find.hits")
	}
	if g.Cite && len(g.Schema) > 0 {
		k.at(p.to("schema"), "an answer that cites has a form of its own: remove `schema` or `cite`")
	}
	k.generateBounds(p, g)
	for i, tool := range g.Tools {
		k.offer(p.to("tools").item(i), tool, s.ID)
	}
}

func (k *chainCheck) generateBounds(p path, g schemas.GenerateDef) {
	if g.Reasks != nil {
		k.atMost(p.to("reasks"), float64(*g.Reasks), maxReasks)
	}
	k.atMost(p.to("max_turns"), float64(g.MaxTurns), maxTurns)
	k.atLeast(p.to("max_cost"), g.MaxCost, 0)
	b := p.to("budget")
	for key, tokens := range map[string]int{
		"context": g.Budget.Context, "history": g.Budget.History, "retrieved": g.Budget.Retrieved, "answer": g.Budget.Answer,
	} {
		k.atLeast(b.to(key), float64(tokens), 0)
		if key != "context" && g.Budget.Context > 0 && tokens > g.Budget.Context {
			k.at(b.to(key), "`%s` is %d, more than the %d of `context`, of which it is a part", key, tokens, g.Budget.Context)
		}
	}
	name := g.Model
	if own := k.prompts[g.Prompt]; name == "" && own != nil {
		name = own.Model
	}
	if unknown, ok := k.unpriced(name); ok && g.MaxCost > 0 && name != "" && !k.modelsBroken {
		k.at(p.to("max_cost"), "the cost cannot be bounded, for the price of `%s` is unknown: add it to %s, or remove `max_cost`", clip(unknown), fileModels)
	}
}

// offer checks a tool that a step offers to its model.
func (k *chainCheck) offer(p path, tool, by string) {
	i, ok := k.index[tool]
	switch {
	case !ok:
		k.at(p, "there is no step `%s`%s", clip(tool), meant(tool, k.stepNames()))
		return
	case k.def.Steps[i].Tool == nil:
		k.at(p, "the step `%s` is no tool: only tool steps can be offered to a model", tool)
		return
	}
	for _, need := range k.def.Steps[i].Needs {
		if _, known := k.index[need]; known && !k.before[by][need] {
			k.at(p, "the tool `%s` needs the step `%s`, which may not be done when the model calls it: add `%[2]s` to the `needs` of `%[3]s`", tool, need, by)
		}
	}
}

func (k *chainCheck) mapStep(p path, def schemas.MapDef, in scope) {
	k.required(p.to("over"), def.Over, "write the list, such as `over: input.questions`")
	k.value(p.to("over"), def.Over, in)
	k.atMost(p.to("width"), float64(def.Width), maxWidth)
	k.atMost(p.to("max"), float64(def.Max), maxMap)
	k.required(p.to("chain"), def.Chain, "name the chain that runs for each item")
	k.call(p, def.Chain, def.With, in.with("item", "index"))
}

func (k *chainCheck) branch(p path, def schemas.BranchDef, in scope) {
	if len(def.Cases) == 0 {
		k.at(p.to("cases"), "a branch has cases: list them below `cases`, each with `when` and `steps`")
	}
	labels := map[string]bool{}
	for i, c := range def.Cases {
		p := p.to("cases").item(i)
		k.required(p.to("when"), c.When, "write a condition, or put the steps below `else`")
		k.condition(p.to("when"), c.When, in)
		if c.Label != "" && labels[c.Label] {
			k.at(p.to("label"), "the label `%s` stands twice: rename one, for it is the output of the step", clip(c.Label))
		}
		labels[c.Label] = true
		k.chosen(p.to("steps"), c.Steps)
	}
	k.chosen(p.to("else"), def.Else)
}

func (k *chainCheck) chosen(p path, steps []string) {
	for i, id := range steps {
		switch _, ok := k.index[id]; {
		case !ok:
			k.at(p.item(i), "the branch leads to `%s`, and there is no such step%s", clip(id), meant(id, k.stepNames()))
		case k.offered[id]:
			k.at(p.item(i), "the branch leads to the tool `%s`, which only a model calls: remove it here or from `tools`", id)
		}
	}
}

func (k *chainCheck) tool(p path, s *schemas.StepDef, in scope) {
	def := *s.Tool
	if k.offered[s.ID] {
		in = in.with("args").shape("args", shapeOf(def.Input))
	}
	k.schema(p.to("input"), def.Input)
	if input := shapeOf(def.Input); input != nil && !input.mayBeObject() {
		k.at(p.to("input"), "the arguments of a tool are an object: write its fields below `input`")
	}
	switch {
	case (def.HTTP != nil) == (def.Chain != ""):
		k.at(p, "a tool is either `http` or `chain`: give exactly one")
	case def.HTTP != nil && len(def.With) > 0:
		k.at(p.to("with"), "`with` is the input of a chain; a call over HTTP has `url`, `headers` and `body`")
	case def.HTTP != nil:
		k.http(p.to("http"), *def.HTTP, in)
	default:
		k.call(p, def.Chain, def.With, in)
	}
}

// call checks the chain that a step calls, and what it gives it.
func (k *chainCheck) call(p path, name string, with map[string]string, in scope) {
	for _, key := range sortedKeys(with) {
		k.value(p.to("with", key), with[key], in)
	}
	def, ok := k.chains[name]
	if !ok {
		if name != "" && !k.brokenChains[name] {
			k.at(p.to("chain"), "there is no chain `%s`%s", clip(name), meant(name, sortedKeys(k.chains)))
		}
		return
	}
	input := shapeOf(def.Input)
	if len(def.Input) == 0 {
		input = fields()
	}
	for _, key := range sortedKeys(with) {
		if at, _ := input.missing([]string{key}); at >= 0 {
			k.at(p.to("with", key), "the chain `%s` takes no `%s`%s", name, clip(key), meant(key, input.names()))
		}
	}
	for _, key := range input.required() {
		if _, given := with[key]; !given {
			k.at(p.to("with"), "the chain `%s` needs `%s`: add it to `with`", name, key)
		}
	}
}
