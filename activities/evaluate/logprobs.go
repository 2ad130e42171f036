package evaluate

import (
	"cmp"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// logProbs finds out which providers of a side can be asked for log probabilities, and why others cannot.
func (p *planner) logProbs(pins map[string]*pinned) (can map[string]bool, reasons map[string]string) {
	can, reasons = map[string]bool{}, map[string]string{}
	for id, pin := range pins {
		reasons[id] = p.noLogProbs(pin)
		can[id] = reasons[id] == ""
	}
	return can, reasons
}

// noLogProbs is why a provider cannot be asked for log probabilities; empty for one that can, and one of which only a call can tell.
func (p *planner) noLogProbs(pin *pinned) string {
	switch {
	case pin.loaded != nil:
		return p.chainLogProbs(pin.loaded.Content)
	case pin.bundle != nil:
		return p.chainLogProbs(*pin.bundle)
	case pin.parsed != nil:
		return p.modelLogProbs(pin.models, pin.parsed.Model)
	case pin.config.model != "":
		return p.modelLogProbs(pin.models, pin.config.model)
	}
	return "it asks no model"
}

// chainLogProbs looks at the step of a chain whose words its answer is made of.
func (p *planner) chainLogProbs(bundle schemas.Bundle) string {
	def := bundle.Chains[bundle.Chain]
	speaks := def.Speaks()
	for _, s := range def.Steps {
		if s.ID != speaks || s.Generate == nil {
			continue
		}
		name := s.Generate.Model
		if parsed, err := prompt.Parse("prompts/"+s.Generate.Prompt+".prompt", bundle.Prompts[s.Generate.Prompt]); err == nil {
			name = cmp.Or(name, parsed.Model)
		}
		return p.modelLogProbs(bundle.Models, name)
	}
	return "the output of the chain " + bundle.Chain + " is not made of the answer of one generate step"
}

// modelLogProbs looks at a model, or at all targets of a route: any of them may answer.
func (p *planner) modelLogProbs(models schemas.Models, name string) string {
	if route, ok := models.Routes[name]; ok {
		for _, target := range route.Targets {
			if why := p.modelLogProbs(schemas.Models{Providers: models.Providers, Models: models.Models}, target.Model); why != "" {
				return why
			}
		}
		return ""
	}
	can, server, err := p.a.Models.LogProbs(models, name)
	if err != nil || can {
		return "" // whoever asks is told what is wrong
	}
	return "the driver of the model " + server + " knows none"
}

// checkLogProbs refuses a cell whose assertions need log probabilities that its provider does not give, and warns of a setting that asks in vain.
func (p *planner) checkLogProbs(cell schemas.EvalCell, why string) error {
	if cell.LogProbs || cell.Output != nil || why == "" {
		return nil
	}
	if kind := suite.NeedsLogProbs(cell.Assertions); kind != "" {
		return schemas.Errorf(schemas.Invalid,
			"the assertion %s of the case %s needs log probabilities, which %s does not give: %s; ask a model that gives them (OpenAI's and compatible servers such as vLLM, Gemini, Cohere, Ollama), or remove the assertion",
			kind, cell.Case.ID, cell.Provider.ID, why)
	}
	if suite.SetsLogProbs(cell.Provider.Config) {
		p.plan.Warnings = withWarning(p.plan.Warnings, "the setting logprobs of "+cell.Provider.ID+" has no effect here: "+why)
	}
	return nil
}
