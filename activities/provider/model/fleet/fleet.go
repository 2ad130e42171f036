// Package fleet finds who serves a model: a provider of a project's models.yaml, made when it is first used, or one of the
// installation. Projects that name the same server with the same key share its limits.
package fleet

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Open makes the driver of a provider. It reports what responses say of the server's limits to rates.
type Open func(name string, def schemas.ProviderDef, rates func(limit.Rates)) (model.Driver, error)

// Fleet resolves names of models. Set the fields before the first call; it is safe for concurrent use.
type Fleet struct {
	Installed *model.Set     // for names such as PROVIDER/MODEL
	Models    schemas.Models // what the installation says of its own: limits, prices, and which models there are; may be empty
	Records   model.Records
	Open      Open
	Meter     *meter.Meter // of providers of projects; may be nil

	mu      sync.Mutex
	members map[string]*member
}

// member is one server, with one key.
type member struct {
	provider *model.Provider
	limiter  *limit.Limiter
	rates    atomic.Pointer[limit.Rates]
	plain    sync.Map // models that refuse output schemas
}

// Target is a model and who serves it.
type Target struct {
	Name     string // as it was asked for
	Server   string // as the project or the installation calls the provider
	Provider *model.Provider
	Model    string // its name at the provider
	Def      schemas.ModelDef
	Limiter  *limit.Limiter
	Local    bool // it costs nothing

	member *member
}

// Target resolves a name by the models of a project. Codes: invalid, not_found.
func (f *Fleet) Target(models schemas.Models, name string) (Target, error) {
	def, ok := models.Models[name]
	if !ok {
		return f.installed(name)
	}
	provider, ok := models.Providers[def.Provider]
	if !ok {
		return Target{}, schemas.Errorf(schemas.Invalid, "model %q names the provider %q, which models.yaml does not have", name, def.Provider)
	}
	m, err := f.member(def.Provider, provider, apart(models, def.Provider))
	if err != nil {
		return Target{}, err
	}
	served := cmp.Or(def.Model, name)
	return Target{
		Name: name, Server: def.Provider, Provider: m.provider, Model: served, Def: def, Limiter: m.limiter, member: m,
		Local: Free(provider.Driver, def),
	}, nil
}

// Free reports whether calls of a model cost nothing: it runs on a machine of one's own.
func Free(driver string, def schemas.ModelDef) bool {
	return driver == schemas.DriverLocal || driver == schemas.DriverOllama && def.Prices == nil
}

// installed finds a model of the installation's own providers.
func (f *Fleet) installed(name string) (Target, error) {
	if !strings.Contains(name, "/") {
		return Target{}, schemas.Errorf(schemas.NotFound, "there is no model %q: name one of models.yaml, or PROVIDER/MODEL of the installation", name)
	}
	provider, served, err := f.Installed.Resolve(name)
	if err != nil {
		return Target{}, err
	}
	m := f.installedMember(provider)
	def := Defined(f.Models, name)
	return Target{
		Name: name, Server: provider.Name, Provider: provider, Model: served, Def: def, Limiter: m.limiter, member: m,
		Local: provider.Name == schemas.DriverLocal || isLocal(f.Models.Providers[provider.Name], def),
	}, nil
}

func (f *Fleet) installedMember(provider *model.Provider) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := "installed/" + provider.Name
	m := f.members[key]
	if m == nil {
		m = &member{provider: provider, limiter: newLimiter(provider.Name, f.Models.Providers[provider.Name], apart(f.Models, provider.Name))}
		f.put(key, m)
	}
	return m
}

// Defined is what the models of an installation say of PROVIDER/MODEL, under whatever name; nothing but these two of one that they do not name.
func Defined(installed schemas.Models, name string) schemas.ModelDef {
	provider, served, _ := strings.Cut(name, "/")
	for key, def := range installed.Models {
		if def.Provider == provider && cmp.Or(def.Model, key) == served {
			return def
		}
	}
	return schemas.ModelDef{Provider: provider, Model: served}
}

// Named lists the models of the installation that are known by name, as PROVIDER/MODEL, sorted. Others may be served as well.
func (f *Fleet) Named() []string {
	names := map[string]bool{}
	for name, def := range f.Models.Models {
		names[def.Provider+"/"+cmp.Or(def.Model, name)] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Observe is told what a response of an installed provider said of its server's limits.
func (f *Fleet) Observe(provider string, rates limit.Rates) {
	f.mu.Lock()
	m := f.members["installed/"+provider]
	f.mu.Unlock()
	if m != nil { // else nobody has asked its limiter yet
		m.rates.Store(&rates)
	}
}

// isLocal reports whether calls of a model cost nothing.
func isLocal(provider schemas.ProviderDef, def schemas.ModelDef) bool {
	return provider.Driver == schemas.DriverLocal || provider.Driver == schemas.DriverOllama && def.Prices == nil
}

func (f *Fleet) put(key string, m *member) {
	if f.members == nil {
		f.members = map[string]*member{}
	}
	f.members[key] = m
}

// apart are the limits of those models of a provider that have some of their own, by their names there.
func apart(models schemas.Models, provider string) map[string]schemas.RateDef {
	limits := map[string]schemas.RateDef{}
	for name, def := range models.Models {
		if def.Provider == provider && def.Limits != (schemas.RateDef{}) {
			limits[cmp.Or(def.Model, name)] = def.Limits
		}
	}
	return limits
}

func limitsOf(def schemas.RateDef) limit.Limits {
	return limit.Limits{Requests: def.RequestsPerMinute, Tokens: def.TokensPerMinute, Concurrency: def.Concurrency}
}

func newLimiter(provider string, def schemas.ProviderDef, models map[string]schemas.RateDef) *limit.Limiter {
	l := &limit.Limiter{Provider: provider, Limits: limitsOf(def.Limits), Models: map[string]limit.Limits{}}
	for model, limits := range models {
		l.Models[model] = limitsOf(limits)
	}
	return l
}

func (f *Fleet) member(name string, def schemas.ProviderDef, models map[string]schemas.RateDef) (*member, error) {
	identity, err := json.Marshal(struct {
		Def    schemas.ProviderDef        `json:"def"`
		Models map[string]schemas.RateDef `json:"models"`
	}{def, models})
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "provider %q cannot be written as JSON", name)
	}
	key := schemas.Hash(identity)
	f.mu.Lock()
	defer f.mu.Unlock()
	if m, ok := f.members[key]; ok {
		return m, nil
	}
	m := &member{limiter: newLimiter(name, def, models)}
	driver, err := f.Open(name, def, func(r limit.Rates) { m.rates.Store(&r) })
	if err != nil {
		return nil, err
	}
	m.provider = &model.Provider{
		Name: name + "." + key[:8], Driver: driver, Records: f.Records, Meter: f.Meter, Vendor: meter.VendorOf(def.Driver),
	}
	f.put(key, m)
	return m, nil
}

// Measure has the installation's providers, and those of projects, tell meter of their calls. Call it before the first use.
func (f *Fleet) Measure(m *meter.Meter) {
	f.Meter = m
	for _, name := range f.Installed.Names() {
		provider, _, err := f.Installed.Resolve(name + "/any")
		if err != nil { // it has just been named
			continue
		}
		provider.Meter, provider.Vendor = m, meter.VendorOf(cmp.Or(f.Models.Providers[name].Driver, name))
	}
}

// Rates returns what the server last said of its limits, once.
func (t Target) Rates() limit.Rates {
	if r := t.member.rates.Swap(nil); r != nil {
		return *r
	}
	return limit.Rates{}
}

// Plain reports whether the model is known to refuse output schemas.
func (t Target) Plain() bool {
	_, plain := t.member.plain.Load(t.Model)
	return plain
}

// SetPlain notes that the model refuses output schemas.
func (t Target) SetPlain() { t.member.plain.Store(t.Model, true) }

// Limiters returns the limiters in use.
func (f *Fleet) Limiters() []*limit.Limiter {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*limit.Limiter, 0, len(f.members))
	for _, m := range f.members {
		all = append(all, m.limiter)
	}
	return all
}

// Cost is what usage costs at the target in US dollars, nil where the price is unknown.
func (t Target) Cost(u schemas.Usage) *float64 {
	if t.Local {
		return new(float64)
	}
	p := t.Def.Prices
	if p == nil {
		return nil
	}
	cached, written := p.Input, p.Input
	if p.Cached != nil {
		cached = *p.Cached
	}
	if p.Written != nil {
		written = *p.Written
	}
	fresh := u.InputTokens - u.CachedTokens - u.WrittenTokens
	usd := (float64(fresh)*p.Input + float64(u.CachedTokens)*cached + float64(u.WrittenTokens)*written + float64(u.OutputTokens)*p.Output) / 1e6
	return &usd
}

// CostOf is Cost of a response, which may have been had for less than the model's prices.
func (t Target) CostOf(resp model.Response) *float64 {
	usd := t.Cost(resp.Usage)
	if usd != nil && resp.PriceFactor > 0 {
		*usd *= resp.PriceFactor
	}
	return usd
}
