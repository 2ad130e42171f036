package suite

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/schemas"
)

// DefaultCells is how many cells a suite may have unless more are allowed.
const DefaultCells = 100_000

// Expansion says how a suite is expanded.
type Expansion struct {
	MaxCells int64                          // 0 is DefaultCells
	Repeat   int                            // samples of each case; 0 is the suite's
	Pins     map[string]string              // what a provider or grader, by its spelling, stands for now: a release's hash, that of a model's settings
	Grader   string                         // of assertions that name none, as a provider is spelt
	Embedder string                         // of those that compare by embeddings and name none, likewise
	Asked    func(schemas.Assertion) string // hash of what graders are asked about an assertion; nil leaves it out
	LogProbs map[string]bool                // the providers, by their spelling, that can be asked for log probabilities
}

// pair is a provider with one of the prompts that it is asked; -1 for one that has its own.
type pair struct {
	provider *Provider
	prompt   int
}

// pairs are the providers and prompts of a case, in the order of the suite. A provider with prompts of its own is no matter of prompts.
func (s *Suite) pairs(c *Case) []pair {
	providers := s.Providers
	if c.Provider != nil {
		providers = []Provider{*c.Provider}
	}
	var out []pair
	for i := range providers {
		p := &providers[i]
		if c.Provider == nil && !allowed(c.Providers, p.named) {
			continue
		}
		if p.Own() {
			out = append(out, pair{p, -1})
			continue
		}
		for n := range s.Prompts {
			if prompt := s.Prompts[n]; allowed(p.Prompts, prompt.named) && allowed(c.Prompts, prompt.named) {
				out = append(out, pair{p, n})
			}
		}
	}
	return out
}

func allowed(names []string, named func(string) bool) bool {
	return len(names) == 0 || slices.ContainsFunc(names, named)
}

// lists are the variables of a case that stand for several values each: lists that begin with a text, as promptfoo has it.
func (c *Case) lists() map[int][]any {
	out := map[int][]any{}
	for i, f := range c.Vars {
		list, ok := f.Value.([]any)
		if !ok || len(list) == 0 || c.Whole {
			continue
		}
		if _, text := list[0].(string); text {
			out[i] = list
		}
	}
	return out
}

// combinations is how many values the variables of a case have together.
func (c *Case) combinations() int64 {
	n := int64(1)
	for _, list := range c.lists() {
		n = times(n, int64(len(list)))
	}
	return n
}

// times multiplies, and stays at the largest number where that is passed.
func times(a, b int64) int64 {
	if a > 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}

// plus adds, and stays at the largest number likewise.
func plus(a, b int64) int64 {
	if b > math.MaxInt64-a {
		return math.MaxInt64
	}
	return a + b
}

// Count is how many cells the suite has with so many samples of each case, 0 for the suite's own. It is counted, not made, and stays at
// the largest number where that is passed.
func (s *Suite) Count(repeat int) int64 {
	if repeat == 0 {
		repeat = s.Options.Repeat
	}
	total := int64(0)
	for i := range s.Cases {
		total = plus(total, times(times(s.Cases[i].combinations(), int64(len(s.pairs(&s.Cases[i])))), int64(repeat)))
	}
	return total
}

// Summary says what the suite holds, with so many samples of each case, 0 for the suite's own.
func (s *Suite) Summary(repeat int) schemas.SuiteSummary {
	if repeat == 0 {
		repeat = s.Options.Repeat
	}
	out := schemas.SuiteSummary{
		File: s.File, Description: s.Description, Tags: s.Tags, Prompts: s.written(), Tests: len(s.Cases), Repeat: repeat, Cells: s.Count(repeat),
	}
	for _, p := range s.Providers {
		out.Providers = append(out.Providers, p.Title())
	}
	return out
}

// Cells makes the cells one by one: case by case, of each its combinations of variables, providers, prompts and samples. A cell that
// cannot be made, because a template fails with its variables, comes with an error of code invalid, and the next follows. Error:
// invalid for a suite with more cells than allowed, with their count.
func (s *Suite) Cells(e Expansion) (iter.Seq2[schemas.EvalCell, error], error) {
	if e.Repeat == 0 {
		e.Repeat = s.Options.Repeat
	}
	if e.MaxCells == 0 {
		e.MaxCells = DefaultCells
	}
	if n := s.Count(e.Repeat); n > e.MaxCells {
		return nil, schemas.Errorf(schemas.Invalid, "the suite has %s cells, and %d are allowed: take values out of lists of variables, or allow more with --allow-cells", many(n), e.MaxCells)
	}
	return func(yield func(schemas.EvalCell, error) bool) {
		x := &expander{suite: s, Expansion: e, templates: map[string]*nunjucks.Template{}, seen: map[string]int{}}
		for i := range s.Cases {
			if !x.expand(&s.Cases[i], yield) {
				return
			}
		}
	}, nil
}

func many(n int64) string {
	if n == math.MaxInt64 {
		return "more than 9 quintillion"
	}
	return fmt.Sprint(n)
}

// expander makes cells.
type expander struct {
	Expansion
	suite     *Suite
	templates map[string]*nunjucks.Template
	seen      map[string]int // ids of cases, and how often
}

func (x *expander) expand(c *Case, yield func(schemas.EvalCell, error) bool) bool {
	pairs, lists, count := x.suite.pairs(c), c.lists(), c.combinations()
	for n := range count {
		vars, rest := make(nunjucks.Object, len(c.Vars)), n
		copy(vars, c.Vars)
		for i := len(vars) - 1; i >= 0; i-- { // the last variable turns fastest
			if list, ok := lists[i]; ok {
				vars[i].Value = list[rest%int64(len(list))]
				rest /= int64(len(list))
			}
		}
		if !x.combination(c, vars, count > 1, pairs, yield) {
			return false
		}
	}
	return true
}

// combination makes the cells of a case with one combination of variables.
func (x *expander) combination(c *Case, raw nunjucks.Object, several bool, pairs []pair, yield func(schemas.EvalCell, error) bool) bool {
	cell := schemas.EvalCell{Case: x.caseOf(c, raw, several), Threshold: c.Threshold}
	vars, err := x.variables(raw)
	if err == nil {
		cell.Vars = json.RawMessage(jsonText(vars))
		cell.Assertions, err = x.assertions(c.Assertions, x.names(vars))
	}
	if c.Output != nil {
		cell.Output = json.RawMessage(jsonText(c.Output))
	}
	for _, p := range pairs {
		one, fault := cell, err
		if fault == nil {
			fault = x.fill(&one, c, p, vars)
		}
		if fault != nil {
			fault = schemas.Wrap(schemas.Invalid, fault, "the test in %s:%d: %s", c.File, c.Line, schemas.SafeMessage(fault))
		}
		for sample := range x.Repeat {
			one.Sample = sample
			if fault == nil {
				x.identify(&one, vars)
			}
			if !yield(one, fault) {
				return false
			}
		}
	}
	return true
}

// caseOf names a case by what it says itself, else by its content. Its assertions are no part of that, so that it can be compared with an
// earlier run after they were changed.
func (x *expander) caseOf(c *Case, vars nunjucks.Object, several bool) schemas.EvalCase {
	id := c.ID
	if id == "" || several {
		id = strings.TrimPrefix(id+"-", "-") + digest([]any{c.Description, vars, c.Output})[:16]
	}
	if x.seen[id]++; x.seen[id] > 1 {
		id = fmt.Sprintf("%s.%d", id, x.seen[id])
	}
	return schemas.EvalCase{ID: id, Description: c.Description, Tags: c.Tags}
}

// fill puts into a cell what depends on provider and prompt.
func (x *expander) fill(cell *schemas.EvalCell, c *Case, p pair, vars nunjucks.Object) error {
	config := p.provider.Config
	if p.prompt >= 0 {
		prompt := x.suite.Prompts[p.prompt]
		cell.Prompt = prompt.Label
		if own, ok := prompt.Config.(nunjucks.Object); ok {
			config = over(own, config)
		}
		var err error
		if cell.Input, err = x.prompt(prompt, c.Prefix, c.Suffix, x.names(vars)); err != nil {
			return err
		}
	}
	config = over(c.Config, config)
	cell.Provider = schemas.EvalProvider{
		ID: p.provider.ID, Label: p.provider.Label, Kind: string(p.provider.Kind), Name: p.provider.Name, API: p.provider.API, Version: p.provider.Version,
	}
	if len(config) > 0 {
		cell.Provider.Config = json.RawMessage(jsonText(config))
	}
	for _, script := range []string{p.provider.Transform, c.Transform} {
		if script != "" {
			cell.Transform = append(cell.Transform, script)
		}
	}
	return nil
}

// identify names a cell by content. Labels, descriptions and tags are no part of it.
func (x *expander) identify(cell *schemas.EvalCell, vars nunjucks.Object) {
	call := map[string]any{"format": 1.0, "sample": float64(cell.Sample), "input": cell.Input, "output": cell.Output}
	if cell.Output == nil {
		target := cell.Provider
		target.Label = ""
		call["provider"], call["pin"] = target, x.Pins[target.ID]
		if cell.LogProbs = x.LogProbs[target.ID] && asksLogProbs(*cell); cell.LogProbs {
			call["logprobs"] = true
		}
	}
	if p := Kind(cell.Provider.Kind); p == KindChain || p == KindRelease || p == KindPrompt {
		call["vars"] = vars
	}
	cell.ID.Call = digest(call)
	cell.ID.Score = digest(map[string]any{
		"format": 2.0, "call": cell.ID.Call, "vars": vars, "assertions": cell.Assertions, "threshold": cell.Threshold, "transform": cell.Transform,
		"graders": x.graders(cell.Assertions, map[string]any{}),
	})
}

// Graders are the models that are asked about an assertion, as providers are spelt: in words, and for vectors. Empty is none.
func (e Expansion) Graders(a schemas.Assertion) (text, vectors string) {
	if AsksText(a.Type) {
		text = cmp.Or(a.Provider, e.Grader)
	}
	if Embeds(a.Type) {
		vectors = cmp.Or(a.Embedder, e.Embedder)
	}
	return text, vectors
}

// graders are the models that assertions ask, with what they stand for and what they are asked.
func (x *expander) graders(list []schemas.Assertion, into map[string]any) map[string]any {
	for _, a := range list {
		text, vectors := x.Graders(a)
		for _, grader := range []string{text, vectors} {
			if grader != "" {
				into[grader] = x.Pins[grader]
			}
		}
		if asksModel(a.Type) && x.Asked != nil {
			into["asked for "+strings.TrimPrefix(a.Type, "not-")] = x.Asked(a)
		}
		x.graders(a.Assert, into)
	}
	return into
}
