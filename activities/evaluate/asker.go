package evaluate

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"sync"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// graderTarget is a model that assertions ask, or one of embeddings, and who serves it.
type graderTarget struct {
	Pin    string         `json:"pin"`
	Model  string         `json:"model"`
	Models schemas.Models `json:"models,omitzero"`
}

// prepareGraders finds the models that assertions ask. Error: invalid for one that nobody named.
func (p *planner) prepareGraders() error {
	p.plan.Grader, p.plan.Embedder = p.request.Grader, ""
	for i := range p.from.suite.Cases {
		for _, a := range p.from.suite.Cases[i].Assertions {
			if err := p.prepareGrader(a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *planner) prepareGrader(a schemas.Assertion) error {
	for _, part := range a.Assert {
		if err := p.prepareGrader(part); err != nil {
			return err
		}
	}
	if suite.AsksText(a.Type) {
		if err := p.grade(a.Provider, a.Type, p.installedGrader); err != nil {
			return err
		}
	}
	if suite.Embeds(a.Type) {
		return p.grade(a.Embedder, a.Type, p.installedEmbedder)
	}
	return nil
}

// grade enters a model that is asked, the installation's where nobody is named.
func (p *planner) grade(spelt, kind string, installed func(kind string) (string, error)) error {
	if spelt == "" {
		var err error
		if spelt, err = installed(kind); err != nil {
			return err
		}
	}
	if _, ok := p.graders[spelt]; ok {
		return nil
	}
	provider, err := suite.ParseProvider(spelt)
	if err != nil {
		return err
	}
	if provider.Kind != suite.KindModel && provider.Kind != suite.KindVendor {
		return schemas.Errorf(schemas.Invalid, "the grader %s is no model: name one, such as openai:gpt-5-mini, or a model of the project", spelt)
	}
	pin, err := p.pinModel(schemas.EvalProvider{ID: spelt, Kind: string(provider.Kind), Name: provider.Name, API: provider.API, Version: provider.Version})
	if err != nil {
		return err
	}
	p.graders[spelt] = graderTarget{Pin: pin.pin, Model: pin.config.model, Models: pin.models}
	return nil
}

// graderOf are the models that are asked where a suite names none, by the provider that the installation has. They are the ones that promptfoo's
// documentation gives for these vendors, or their small siblings.
var graderOf = [][2]string{{"openai", "gpt-5-mini"}, {"anthropic", "claude-haiku-4-5"}, {"gemini", "gemini-2.5-flash"}}

const embedderOf = "text-embedding-3-large"

// installedGrader is who is asked about assertions that name nobody.
func (p *planner) installedGrader(kind string) (string, error) {
	for _, known := range graderOf {
		if _, _, ok := p.a.Models.Defined(known[0] + "/" + known[1]); ok && p.plan.Grader == "" {
			p.plan.Grader = known[0] + "/" + known[1]
		}
	}
	if p.plan.Grader == "" {
		return "", schemas.Errorf(schemas.Invalid, "the assertion %s asks a model, and nobody says which: give --grader MODEL, or write defaultTest: {options: {provider: MODEL}} into the suite", kind)
	}
	return p.plan.Grader, nil
}

// installedEmbedder is what makes vectors where nobody is named.
func (p *planner) installedEmbedder(kind string) (string, error) {
	if _, _, ok := p.a.Models.Defined("openai/" + embedderOf); !ok {
		return "", schemas.Errorf(schemas.Invalid, "the assertion %s compares by embeddings, and nobody says by which: write defaultTest: {options: {provider: {embedding: MODEL}}} into the suite, such as openai:embedding:%s, or local/lexical, which compares words", kind, embedderOf)
	}
	p.plan.Embedder = "openai/" + embedderOf
	return p.plan.Embedder, nil
}

// asker answers the questions of graders about one cell: each is a recorded run of its own, named by what is asked and about what. It is a
// grader.Asker.
type asker struct {
	w    *batchWork
	cell string              // score identity
	knew *schemas.CellAnswer // the answer that is judged, where it was given to an earlier run: its graders may have answered too

	mu    sync.Mutex
	usage schemas.Usage
	cost  schemas.Cost
	runs  []string
}

func (k *asker) grader(spelt string, embeds bool) (graderTarget, error) {
	name := cmp.Or(spelt, k.w.plan.Grader)
	if embeds {
		name = cmp.Or(spelt, k.w.plan.Embedder)
	}
	g, ok := k.w.plan.Graders[name]
	if !ok {
		return g, schemas.Errorf(schemas.Internal, "the plan has no grader %s", name)
	}
	return g, nil
}

// Embed implements grader.Asker. Vectors are kept under the hash of model and text, so none is paid for twice.
func (k *asker) Embed(ctx context.Context, spelt string, texts []string) ([][]float64, error) {
	g, err := k.grader(spelt, true)
	if err != nil {
		return nil, err
	}
	vectors, err := k.w.a.embed(ctx, k.w.in.Run, g, texts)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	k.usage, k.cost = k.usage.Add(vectors.Usage), k.cost.Add(vectors.Cost)
	k.mu.Unlock()
	k.w.paid(vectors.Usage, vectors.Cost)
	out := make([][]float64, len(vectors.Values))
	for i, v := range vectors.Values {
		out[i] = make([]float64, len(v))
		for j, x := range v {
			out[i][j] = float64(x)
		}
	}
	return out, nil
}

// graderTarget is the chain that asks a grader, stored once.
func (a *Activities) graderTarget(ctx context.Context, tenant string, g graderTarget) (target, error) {
	key := tenant + "/" + digestOf(g)
	if t, ok := a.graders.Load(key); ok {
		return t.(target), nil //nolint:errcheck,forcetypeassert // nothing else is put in
	}
	s := settings{config: map[string]any{"temperature": 0}}
	if !takesTemperature(g) {
		s.config = nil
	}
	bundle := modelBundle(&pinned{models: g.Models, config: settingsOfProvider{model: g.Model}}, s)
	t := target{Kind: suite.KindModel}
	data, err := json.Marshal(bundle)
	if err != nil {
		return t, schemas.Wrap(schemas.Internal, err, "the grader's bundle cannot be kept")
	}
	if t.Plan, err = schemas.PlanOf(bundle); err != nil {
		return t, err
	}
	if t.Bundle, err = blob.PutContent(ctx, a.Store, tenant, data); err == nil {
		a.graders.Store(key, t)
	}
	return t, err
}

// takesTemperature is false of models that refuse the setting: OpenAI's that reason by themselves.
func takesTemperature(g graderTarget) bool {
	name := g.Model
	if def, ok := g.Models.Models[g.Model]; ok {
		name = cmp.Or(def.Model, g.Model)
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	return !strings.HasPrefix(name, "gpt-5") && !strings.HasPrefix(name, "o1") && !strings.HasPrefix(name, "o3") && !strings.HasPrefix(name, "o4")
}
