package evaluate

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// target is what answers cells: a chain with everything it uses, whichever way the suite spells it. An echo has none.
type target struct {
	Kind    suite.Kind   `json:"kind"`
	Bundle  schemas.Ref  `json:"bundle,omitzero"`
	Plan    schemas.Plan `json:"plan,omitzero"`
	Release string       `json:"release,omitempty"`
	Label   string       `json:"label,omitempty"`
	System  string       `json:"system,omitempty"` // said before the prompt
	Problem string       `json:"problem,omitempty"`

	Prices *schemas.PriceDef `json:"prices,omitempty"` // of a model that is asked by itself, where they are known
}

// The names in bundles that are made here.
const (
	askChain = "eval"
	askModel = "under-test"
)

// pinned is a provider and what it stands for in a run.
type pinned struct {
	pin    string             // of its identity
	within string             // digest of what it looks in, which is the other part of its identity; empty where it looks nowhere
	loaded *registry.Loaded   // of a chain or a release
	label  string             // by which it was found
	bundle *schemas.Bundle    // of a chain that was sent along
	models schemas.Models     // of a model: what serves it
	source map[string]string  // of a prompt: it, with all of the project
	parsed *prompt.Prompt     // of a prompt
	config settingsOfProvider // of a vendor's model, where the suite says more than its name
}

// identity is what decides the provider's answers, as far as it is known beforehand.
func (p *pinned) identity() string {
	if p.within == "" {
		return p.pin
	}
	return p.pin + "/" + p.within
}

type settingsOfProvider struct{ model string }

// pin finds out what a provider stands for now. Errors: invalid and not_found, saying what to do; those of the store.
func (p *planner) pin(ctx context.Context, provider schemas.EvalProvider) (*pinned, error) {
	switch suite.Kind(provider.Kind) {
	case suite.KindEcho:
		return &pinned{pin: "echo"}, nil
	case suite.KindChain:
		return p.pinChain(ctx, provider)
	case suite.KindRelease:
		release, err := p.a.Registry.Find(ctx, p.request.Tenant, provider.Name)
		if err != nil {
			return nil, err
		}
		return p.pinRelease(ctx, release.Chain, release.Hash, "")
	case suite.KindPrompt:
		return p.pinPrompt(provider)
	case suite.KindModel, suite.KindVendor:
		return p.pinModel(provider)
	}
	return nil, schemas.Errorf(schemas.Invalid, "the provider %s is of no kind that is known here", provider.ID)
}

func (p *planner) pinChain(ctx context.Context, provider schemas.EvalProvider) (*pinned, error) {
	chain, version := provider.Name, provider.Version
	if hash := p.request.Releases[chain]; version == "" && hash != "" {
		return p.pinRelease(ctx, chain, hash, "")
	}
	if version == "" {
		bundle, ok := p.from.Bundles[chain]
		if !ok {
			return nil, schemas.Errorf(schemas.Invalid, "the suite asks the chain %s, and neither a release of it was named nor does the project have it: name one with --release %s@LABEL", chain, chain)
		}
		data, err := json.Marshal(bundle)
		if err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err, "the chain %s cannot be kept", chain)
		}
		return &pinned{pin: schemas.Hash(data), bundle: &bundle}, nil
	}
	if schemas.CheckRelease(version) == nil {
		return p.pinRelease(ctx, chain, version, "")
	}
	return p.pinLabel(ctx, chain, version)
}

// pinLabel finds the release that a label has, once in a run: further rounds of samples ask the same.
func (p *planner) pinLabel(ctx context.Context, chain, label string) (*pinned, error) {
	name := chain + "@" + label
	if hash, ok := p.plan.Fixed[name]; ok {
		return p.pinRelease(ctx, chain, hash, label)
	}
	hash, err := p.a.Registry.Target(ctx, registry.LabelName{Tenant: p.request.Tenant, Chain: chain, Label: label})
	if err != nil {
		return nil, err
	}
	if p.plan.Fixed == nil {
		p.plan.Fixed = map[string]string{}
	}
	p.plan.Fixed[name] = hash
	return p.pinRelease(ctx, chain, hash, label)
}

func (p *planner) pinRelease(ctx context.Context, chain, hash, label string) (*pinned, error) {
	release, err := p.a.Registry.Pinned(ctx, p.request.Tenant, chain, hash)
	if err != nil {
		return nil, err
	}
	return &pinned{pin: hash, loaded: release, label: label}, nil
}

// pinPrompt takes the prompt of the project with its partials; models are part of what it stands for.
func (p *planner) pinPrompt(provider schemas.EvalProvider) (*pinned, error) {
	source, ok := p.from.Prompts[provider.Name]
	if !ok {
		return nil, schemas.Errorf(schemas.Invalid, "the suite asks the prompt %s, which the project does not have: run it with --project", provider.Name)
	}
	parsed, err := prompt.Parse("prompts/"+provider.Name+".prompt", source)
	if err != nil {
		return nil, err
	}
	used := map[string]string{provider.Name: source}
	for name, text := range p.from.Prompts {
		if strings.HasPrefix(name[strings.LastIndexByte(name, '/')+1:], "_") {
			used[name] = text
		}
	}
	models, err := p.serving(parsed.Model)
	if err != nil {
		return nil, err
	}
	return &pinned{pin: digestOf(used, deciding(models)), source: used, parsed: parsed, models: models}, nil
}

func (p *planner) pinModel(provider schemas.EvalProvider) (*pinned, error) {
	name, models, err := p.modelOf(provider)
	if err != nil {
		return nil, err
	}
	return &pinned{pin: digestOf(name, deciding(models)), models: models, config: settingsOfProvider{model: name}}, nil
}

// deciding is what of models decides an answer: who serves them and under which name, not what they cost or how often they may be asked.
func deciding(models schemas.Models) schemas.Models {
	out := schemas.Models{Providers: map[string]schemas.ProviderDef{}, Models: map[string]schemas.ModelDef{}, Routes: models.Routes}
	for name, def := range models.Providers {
		out.Providers[name] = schemas.ProviderDef{Driver: def.Driver, BaseURL: def.BaseURL, API: def.API}
	}
	for name, def := range models.Models {
		out.Models[name] = schemas.ModelDef{Provider: def.Provider, Model: def.Model}
	}
	return out
}

func digestOf(values ...any) string {
	data, err := json.Marshal(values)
	if err != nil { // texts and numbers always marshal
		return ""
	}
	return schemas.Hash(data)
}

// targetOf makes the target of one cell: of its provider, with the settings that the suite has for this cell. Equal targets are one.
func (p *planner) targetOf(ctx context.Context, cell schemas.EvalCell, pin *pinned) (int, error) {
	var names []string
	if suite.Kind(cell.Provider.Kind) == suite.KindPrompt {
		names = varNames(cell.Vars)
	}
	key := strings.Join(append([]string{cell.Provider.ID, pin.pin, string(cell.Provider.Config)}, names...), "\n")
	if at, ok := p.targetAt[key]; ok {
		return at, nil
	}
	t, err := p.newTarget(ctx, cell, pin, names)
	if err != nil {
		if code := schemas.CodeOf(err); code != schemas.Invalid && code != schemas.NotFound {
			return 0, err
		}
		t.Problem = schemas.SafeMessage(err)
	}
	p.targetAt[key] = len(p.targets)
	p.targets = append(p.targets, t)
	return p.targetAt[key], nil
}

func varNames(vars json.RawMessage) []string {
	var object map[string]json.RawMessage
	_ = json.Unmarshal(vars, &object) // the expansion wrote an object
	return slices.Sorted(maps.Keys(object))
}

func (p *planner) newTarget(ctx context.Context, cell schemas.EvalCell, pin *pinned, names []string) (target, error) {
	t := target{Kind: suite.Kind(cell.Provider.Kind), Label: pin.label}
	var bundle schemas.Bundle
	switch {
	case t.Kind == suite.KindEcho:
		return t, nil
	case pin.loaded != nil:
		t.Bundle, t.Plan, t.Release = pin.loaded.Bundle, pin.loaded.Plan, pin.loaded.Hash
		return t, nil
	case pin.bundle != nil:
		bundle = *pin.bundle
	case pin.parsed != nil:
		bundle = promptBundle(cell.Provider.Name, pin, names)
	default:
		s, err := readSettings(cell.Provider.Config)
		if err != nil {
			return t, err
		}
		for _, name := range s.unknown {
			p.plan.Warnings = withWarning(p.plan.Warnings, "the setting "+name+" of "+cell.Provider.ID+" has no effect here")
		}
		t.System, t.Prices = s.instructions, p.pricesOf(pin)
		bundle = modelBundle(pin, s)
	}
	return t, p.keep(ctx, &t, bundle)
}

// keep stores the bundle of a target.
func (p *planner) keep(ctx context.Context, t *target, bundle schemas.Bundle) error {
	data, err := json.Marshal(bundle)
	if err != nil {
		return schemas.Wrap(schemas.Invalid, err, "the bundle cannot be kept")
	}
	if t.Plan, err = schemas.PlanOf(bundle); err != nil {
		return err
	}
	t.Bundle, err = blob.PutContent(ctx, p.a.Store, p.request.Tenant, data)
	return err
}

// once has an answer judged as it is: what a model says badly is not asked for again.
var once = 0

// modelBundle is a chain of one step that has a model answer what it is given.
func modelBundle(pin *pinned, s settings) schemas.Bundle {
	step := schemas.GenerateDef{Prompt: askChain, With: map[string]string{"messages": "input.messages"}, Schema: s.schema, Reasks: &once}
	models := pin.models
	if s.baseURL != "" {
		models = elsewhere(models, s.baseURL)
	}
	output := "steps.answer.text"
	if s.schema != nil {
		output = "steps.answer"
	}
	return askBundle(step, map[string]string{askChain: s.promptSource(pin.config.model)}, models, output)
}

// elsewhere has the suite's own address served in place of the vendor's.
func elsewhere(models schemas.Models, url string) schemas.Models {
	models.Providers = maps.Clone(models.Providers)
	for name, def := range models.Providers {
		def.BaseURL = strings.TrimRight(url, "/")
		models.Providers[name] = def
	}
	return models
}

// promptBundle is a chain of one step that renders a prompt of the project with the case's variables.
func promptBundle(name string, pin *pinned, names []string) schemas.Bundle {
	step := schemas.GenerateDef{Prompt: name, With: map[string]string{}, Reasks: &once}
	for _, v := range names {
		step.With[v] = "input[" + quoted(v) + "]"
	}
	output := "steps.answer.text"
	if pin.parsed.OutputSchema != nil {
		output = "steps.answer"
	}
	return askBundle(step, pin.source, pin.models, output)
}

func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return `""`
	}
	return string(data)
}

func askBundle(step schemas.GenerateDef, prompts map[string]string, models schemas.Models, output string) schemas.Bundle {
	return schemas.Bundle{
		Chain: askChain, Prompts: prompts, Models: models,
		Chains: map[string]schemas.ChainDef{askChain: {Output: output, Steps: []schemas.StepDef{{ID: "answer", Generate: &step}}}},
	}
}

// serving is what the project or the installation says of a model or route, by which a bundle finds it.
func (p *planner) serving(name string) (schemas.Models, error) {
	own := p.from.Models
	if _, ok := own.Models[name]; ok {
		return own, nil
	}
	if _, ok := own.Routes[name]; ok {
		return own, nil
	}
	if _, _, ok := p.a.Models.Defined(name); ok {
		return schemas.Models{}, nil
	}
	if name == "" {
		return own, schemas.Errorf(schemas.Invalid, "the prompt names no model: write `model:` into its front matter")
	}
	hint := "name one of models.yaml, or PROVIDER/MODEL of the installation"
	if near := suite.Closest(name, slices.Concat(slices.Sorted(maps.Keys(own.Models)), slices.Sorted(maps.Keys(own.Routes)))); near != "" {
		hint = "did you mean " + near + "?"
	}
	return own, schemas.Errorf(schemas.Invalid, "there is no model %s in the project, and the installation has none of that name: %s", name, hint)
}

// vendorDriver says how a vendor that promptfoo names is reached: by which driver, and where its key is, if not in a variable of its own name.
type vendorDriver struct{ driver, url, key string }

// vendorDrivers are the vendors that are asked by themselves. Others are named in models.yaml, under the name that the suite uses.
var vendorDrivers = map[string]vendorDriver{
	"openai":     {driver: schemas.DriverOpenAI, key: "OPENAI_API_KEY"},
	"anthropic":  {driver: schemas.DriverAnthropic, key: "ANTHROPIC_API_KEY"},
	"google":     {driver: schemas.DriverGemini, key: "GEMINI_API_KEY"},
	"gemini":     {driver: schemas.DriverGemini, key: "GEMINI_API_KEY"},
	"cohere":     {driver: schemas.DriverCohere, key: "COHERE_API_KEY"},
	"ollama":     {driver: schemas.DriverOllama},
	"mistral":    {schemas.DriverOpenAI, "https://api.mistral.ai/v1", "MISTRAL_API_KEY"},
	"groq":       {schemas.DriverOpenAI, "https://api.groq.com/openai/v1", "GROQ_API_KEY"},
	"deepseek":   {schemas.DriverOpenAI, "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"},
	"openrouter": {schemas.DriverOpenAI, "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"},
	"together":   {schemas.DriverOpenAI, "https://api.together.xyz/v1", "TOGETHER_API_KEY"},
	"togetherai": {schemas.DriverOpenAI, "https://api.together.xyz/v1", "TOGETHER_API_KEY"},
	"fireworks":  {schemas.DriverOpenAI, "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"},
	"xai":        {schemas.DriverOpenAI, "https://api.x.ai/v1", "XAI_API_KEY"},
	"cerebras":   {schemas.DriverOpenAI, "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"},
	"perplexity": {schemas.DriverOpenAI, "https://api.perplexity.ai", "PERPLEXITY_API_KEY"},
}

// installedAs are names under which an installation has a vendor.
var installedAs = map[string]string{"google": "gemini", "palm": "gemini", "vertex": "gemini"}

// modelOf finds the model that a provider of the suite means, and how it is served. A vendor is looked for in the project under its name,
// then in the installation, then asked by itself.
func (p *planner) modelOf(provider schemas.EvalProvider) (string, schemas.Models, error) {
	if suite.Kind(provider.Kind) == suite.KindModel {
		models, err := p.serving(provider.Name)
		return provider.Name, models, err
	}
	api := provider.API
	if api != "responses" && api != "chat" {
		api = ""
	}
	if def, ok := p.from.Models.Providers[provider.Name]; ok {
		return askModel, p.vendorModels(provider, def, api), nil
	}
	installed := cmp.Or(installedAs[provider.Name], provider.Name)
	if def, model, ok := p.a.Models.Defined(installed + "/" + provider.Version); ok && api == "" {
		return installed + "/" + provider.Version, schemas.Models{}, nil
	} else if ok {
		models := p.vendorModels(provider, def, api)
		models.Models[askModel] = schemas.ModelDef{Provider: provider.Name, Model: provider.Version, Context: model.Context, Prices: model.Prices, Limits: model.Limits}
		return askModel, models, nil
	}
	known, ok := vendorDrivers[provider.Name]
	if !ok {
		return "", schemas.Models{}, schemas.Errorf(schemas.Invalid,
			"%s: the vendor %s is not asked by itself: write a provider called %s into models.yaml, with driver, base_url and key_env", provider.ID, provider.Name, provider.Name)
	}
	return askModel, p.vendorModels(provider, schemas.ProviderDef{Driver: known.driver, BaseURL: known.url, KeyEnv: known.key}, api), nil
}

// vendorModels are the models of a bundle in which a vendor serves the one under test.
func (p *planner) vendorModels(provider schemas.EvalProvider, def schemas.ProviderDef, api string) schemas.Models {
	if def.Driver == schemas.DriverOpenAI && api != "" {
		def.API = api
	}
	model := schemas.ModelDef{Provider: provider.Name, Model: provider.Version}
	for name, known := range p.from.Models.Models {
		if known.Provider == provider.Name && cmp.Or(known.Model, name) == provider.Version {
			model = known
			model.Model = provider.Version
		}
	}
	return schemas.Models{
		Providers: map[string]schemas.ProviderDef{provider.Name: def}, Models: map[string]schemas.ModelDef{askModel: model},
	}
}
