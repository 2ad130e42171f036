package chain

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// What an estimate supposes where nothing is known. It is on the safe side: what is reserved too much is given back when the run ends.
const (
	bytesAToken   = 2     // English has four, code three
	passageTokens = 512   // of a hit with what is written around it
	parentTokens  = 2048  // of a hit that grew to its section
	toolTokens    = 4096  // of the answer of a tool
	mostTokens    = 1e12  // of one estimate
	mostItems     = 1e6   // of a map
	reaskTokens   = 256   // of what is said to a model whose output does not fit
	embedTokens   = 8_192 // of one query
)

// Estimator estimates what runs of a bundle cost. It is safe for concurrent use.
type Estimator struct {
	bundle    *bundle
	installed schemas.Models
}

// NewEstimator reads the prompts of a bundle. Prices of models that are named as PROVIDER/MODEL are those of the installation. Error: invalid
// for a prompt that cannot be read.
func NewEstimator(b schemas.Bundle, installed schemas.Models) (*Estimator, error) {
	e := &Estimator{bundle: &bundle{Bundle: b, prompts: map[string]*prompt.Prompt{}}, installed: installed}
	for name, source := range b.Prompts {
		parsed, err := prompt.Parse("prompts/"+name+".prompt", source)
		if err != nil {
			return nil, err
		}
		e.bundle.prompts[name] = parsed
	}
	return e, nil
}

// Run estimates a run from the length of its input in bytes. The input itself is asked for only where its lists say how often a chain is
// run; without it they count as long as the chain allows.
func (e *Estimator) Run(bytes int64, input func() json.RawMessage) schemas.Estimate {
	w := &reckoning{bundle: e.bundle, installed: e.installed, input: input, unknown: map[string]bool{}, collections: map[string]bool{}}
	w.chain(e.bundle.Chain, bytes/bytesAToken+1, 1, 0)
	return schemas.Estimate{
		Amount:  schemas.Amount{Micros: schemas.MicrosOf(w.micros / 1e6), Tokens: int64(min(w.tokens, mostTokens))},
		Unknown: slices.Sorted(maps.Keys(w.unknown)), Collections: slices.Sorted(maps.Keys(w.collections)),
	}
}

// reckoning is an estimate on its way.
type reckoning struct {
	bundle      *bundle
	installed   schemas.Models
	input       func() json.RawMessage
	micros      float64
	tokens      float64
	unknown     map[string]bool
	collections map[string]bool
}

// frame is one chain in it.
type frame struct {
	def     schemas.ChainDef
	in      int64            // tokens of its input
	outputs map[string]int64 // tokens of its steps' outputs
	times   int64            // that it is run
	depth   int
}

// chain adds what a chain costs that is run some times, and returns the tokens of its output.
func (w *reckoning) chain(name string, in, times int64, depth int) int64 {
	def, ok := w.bundle.Chains[name]
	if !ok || depth > schemas.MaxChainDepth || times == 0 {
		return 0
	}
	f := &frame{def: def, in: in, outputs: map[string]int64{}, times: min(times, mostItems), depth: depth}
	largest := int64(0)
	for _, s := range inOrder(def) {
		f.outputs[s.ID] = w.step(f, s)
		largest = max(largest, f.outputs[s.ID])
	}
	return largest
}

// inOrder are the steps of a chain, each after what it needs, without those that only models call.
func inOrder(def schemas.ChainDef) []schemas.StepDef {
	settled, order := map[string]bool{}, make([]schemas.StepDef, 0, len(def.Steps))
	for _, s := range def.Steps {
		if s.Generate != nil {
			for _, tool := range s.Generate.Tools {
				settled[tool] = true
			}
		}
	}
	for grown := true; grown; {
		grown = false
		for _, s := range def.Steps {
			if settled[s.ID] || slices.ContainsFunc(s.Needs, func(id string) bool { return !settled[id] }) {
				continue
			}
			settled[s.ID], grown = true, true
			order = append(order, s)
		}
	}
	return order
}

func (w *reckoning) step(f *frame, s schemas.StepDef) int64 {
	switch s.Kind() {
	case schemas.StepRetrieve:
		return w.retrieve(f, *s.Retrieve)
	case schemas.StepGenerate:
		return w.generate(f, *s.Generate)
	case schemas.StepMap:
		items := w.items(f, *s.Map)
		return items * w.chain(s.Map.Chain, f.in, f.times*items, f.depth+1)
	case schemas.StepTool:
		return w.tool(f, *s.Tool, 1)
	case schemas.StepBranch, schemas.StepGuard, schemas.StepReview, schemas.StepEmbed:
	}
	return 1
}

func (w *reckoning) tool(f *frame, def schemas.ToolDef, times int64) int64 {
	if def.Chain == "" {
		return toolTokens
	}
	return w.chain(def.Chain, f.in+toolTokens, f.times*times, f.depth+1)
}

// listInput is a map over a list of the run's input.
var listInput = regexp.MustCompile(`^\s*input\.([A-Za-z_]\w*)\s*$`)

// items is how long the list of a map is, or may be at most.
func (w *reckoning) items(f *frame, def schemas.MapDef) int64 {
	most := int64(cmp.Or(def.Max, defaultMapMax))
	match := listInput.FindStringSubmatch(def.Over)
	if match == nil || f.depth > 0 || w.input == nil {
		return most
	}
	var input map[string]json.RawMessage
	var list []json.RawMessage
	if json.Unmarshal(w.input(), &input) != nil || json.Unmarshal(input[match[1]], &list) != nil {
		return most
	}
	return min(most, int64(len(list)))
}

func (w *reckoning) retrieve(f *frame, def schemas.RetrieveDef) int64 {
	queries := int64(1)
	if q := def.Queries; q != nil {
		queries += int64(cmp.Or(q.Count, defaultQueries))
		if p, err := w.bundle.prompt(q.Prompt); err == nil {
			w.calls(f, cmp.Or(q.Model, p.Model), call{in: w.template(q.Prompt) + f.in, out: int64(cmp.Or(p.Settings.MaxTokens, defaultMaxTokens))})
		}
	}
	if def.Mode != schemas.Keyword {
		collection := def.Collection
		if strings.Contains(collection, "${") {
			collection = ""
		}
		w.collections[collection] = true
		w.tokens += float64(f.times * queries * min(f.in, embedTokens))
	}
	each := int64(passageTokens)
	if def.Parents {
		each = parentTokens
	}
	hits := int64(cmp.Or(def.Limit, defaultLimit))
	if def.Rerank != nil {
		w.calls(f, def.Rerank.Model, call{in: hits*each + f.in})
	}
	return hits * each
}

// call is a model call, in tokens.
type call struct{ in, out int64 }

func (w *reckoning) generate(f *frame, def schemas.GenerateDef) int64 {
	p, err := w.bundle.prompt(def.Prompt)
	if err != nil {
		return 0
	}
	name := cmp.Or(def.Model, p.Model)
	out := int64(cmp.Or(def.Budget.Answer, p.Settings.MaxTokens, defaultMaxTokens))
	room := w.room(def, name)
	in := w.template(def.Prompt) + w.mentioned(f, def) + w.forms(f, def, p)
	turns, reasks := 1, 0
	if len(def.Tools) > 0 {
		turns = cmp.Or(def.MaxTurns, defaultMaxTurns)
	}
	if !def.Cite && (def.Schema != nil || p.OutputSchema != nil) {
		reasks = defaultReasks
		if def.Reasks != nil {
			reasks = *def.Reasks
		}
	}
	for turn := range int64(turns) {
		w.calls(f, name, call{in: min(room, in+turn*(out+toolTokens)), out: out})
	}
	for reask := range int64(reasks) {
		w.calls(f, name, call{in: min(room, in+(reask+1)*(out+reaskTokens)), out: out})
	}
	for _, s := range f.def.Steps {
		if s.Tool != nil && slices.Contains(def.Tools, s.ID) {
			w.tool(f, *s.Tool, int64(turns))
		}
	}
	return out
}

// template is how many tokens the text of a prompt may have, with that of all partials.
func (w *reckoning) template(name string) int64 {
	bytes := len(w.bundle.Prompts[name])
	for other, source := range w.bundle.Prompts {
		if strings.HasPrefix(other, "_") {
			bytes += len(source)
		}
	}
	return int64(bytes)/bytesAToken + 4*messageOverhead
}

// forms is how many tokens a schema and the descriptions of tools may have.
func (w *reckoning) forms(f *frame, def schemas.GenerateDef, p *prompt.Prompt) int64 {
	bytes := max(len(def.Schema), len(p.OutputSchema))
	for _, s := range f.def.Steps {
		if s.Tool != nil && slices.Contains(def.Tools, s.ID) {
			bytes += len(s.Tool.Description) + len(s.Tool.Input)
		}
	}
	return int64(bytes) / bytesAToken
}

// mentioned is how many tokens the values have that a step gives to its prompt.
func (w *reckoning) mentioned(f *frame, def schemas.GenerateDef) int64 {
	texts := append(slices.Collect(maps.Values(def.With)), def.History, def.Passages)
	tokens := int64(0)
	for _, text := range texts {
		if strings.Contains(text, "input") || strings.Contains(text, varItem) {
			tokens += f.in
		}
		for id, out := range f.outputs {
			if strings.Contains(text, "steps."+id) {
				tokens += out
			}
		}
	}
	return tokens
}

// room is how many tokens of context a step may give to a model.
func (w *reckoning) room(def schemas.GenerateDef, name string) int64 {
	context := def.Budget.Context
	for _, target := range w.targets(name) {
		if m := w.bundle.Models.Models[target]; m.Context > 0 && (context == 0 || m.Context < context) {
			context = m.Context
		}
	}
	return int64(cmp.Or(context, defaultContext))
}

func (w *reckoning) targets(name string) []string {
	r, ok := w.bundle.Models.Routes[name]
	if !ok {
		return []string{name}
	}
	names := make([]string, len(r.Targets))
	for i, t := range r.Targets {
		names[i] = t.Model
	}
	return names
}

// calls adds what a call costs. Of a route one target answers, the dearest as far as we know, and where it escalates all may.
func (w *reckoning) calls(f *frame, name string, c call) {
	times := float64(f.times)
	all := w.bundle.Models.Routes[name].Escalate != ""
	micros, tokens := 0.0, 0.0
	for _, target := range w.targets(name) {
		cost := w.price(target, c) * times
		used := float64(c.in+c.out) * times
		if all {
			micros, tokens = micros+cost, tokens+used
			continue
		}
		micros, tokens = math.Max(micros, cost), math.Max(tokens, used)
	}
	w.micros += micros
	w.tokens += tokens
}

// price is what one call of a model may cost, in micros: prices are US dollars for a million tokens.
func (w *reckoning) price(name string, c call) float64 {
	models := w.bundle.Models
	def, ours := models.Models[name]
	if !ours {
		models = w.installed
		def = fleet.Defined(models, name)
	}
	if fleet.Free(models.Providers[def.Provider].Driver, def) || !ours && def.Provider == schemas.DriverLocal {
		return 0
	}
	p := def.Prices
	if p == nil {
		w.unknown[name] = true
		return 0
	}
	in := p.Input
	if p.Written != nil {
		in = math.Max(in, *p.Written)
	}
	out := c.out
	if def.MaxOutput > 0 {
		out = min(out, int64(def.MaxOutput))
	}
	return float64(c.in)*in + float64(out)*p.Output
}
