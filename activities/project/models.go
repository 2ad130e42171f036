package project

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/route"
	"github.com/tenuto-dev/tenuto/schemas"
)

var (
	modelPattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`)
	providerPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	variablePattern = regexp.MustCompile(`^[A-Z_][A-Z0-9_]{0,127}$`)
	secretPattern   = regexp.MustCompile(`^(sk-|sk_|pk-|gsk_|xai-|hf_|r8_|AIza|AKIA|Bearer |ey[A-Z])|[^A-Z_].{31,}`)
)

// drivers and their peculiarities.
var drivers = []string{
	schemas.DriverOpenAI, schemas.DriverAnthropic, schemas.DriverGemini, schemas.DriverCohere, schemas.DriverOllama, schemas.DriverLocal,
}

// free are drivers whose models run on the user's own machines, so that a model without a price costs nothing.
var free = []string{schemas.DriverLocal, schemas.DriverOllama}

const modelsAt = path("models")

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (c *checker) checkModels() {
	for _, name := range sortedKeys(c.models.Providers) {
		c.provider(modelsAt.to("providers", name), name, c.models.Providers[name])
	}
	for _, name := range sortedKeys(c.models.Models) {
		c.modelDef(modelsAt.to("models", name), name, c.models.Models[name])
	}
	for _, name := range sortedKeys(c.models.Routes) {
		c.route(modelsAt.to("routes", name), name, c.models.Routes[name])
	}
}

func (c *checker) provider(p path, name string, def schemas.ProviderDef) {
	if !providerPattern.MatchString(name) {
		c.at(p, "the provider's name `%s`: use lower-case letters, digits, hyphens and underscores", clip(name))
	}
	c.oneOf(p.to("driver"), "driver", def.Driver, true, drivers...)
	c.oneOf(p.to("api"), "api", def.API, false, "chat", "responses")
	if def.API != "" && def.Driver != schemas.DriverOpenAI {
		c.at(p.to("api"), "`api` is of the driver openai only: remove it")
	}
	if u, err := url.Parse(def.BaseURL); def.BaseURL != "" {
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			c.at(p.to("base_url"), "`base_url` is no address: write http://HOST or https://HOST, and the path")
		case u.User != nil || u.RawQuery != "":
			c.at(p.to("base_url"), "`base_url` holds a name, password or parameter: %s", keyAdvice)
		}
	}
	c.keyOf(p, def)
	c.limits(p.to("limits"), def.Limits)
}

// keyOf checks where the key of a provider comes from. The value is never repeated: it may be the key.
func (c *checker) keyOf(p path, def schemas.ProviderDef) {
	needed := def.BaseURL == "" && !slices.Contains(free, def.Driver) && slices.Contains(drivers, def.Driver)
	switch {
	case def.KeyEnv == "" && needed:
		c.at(p.to("key_env"), "`key_env` is missing: name the environment variable of the worker that holds the key, such as %s_API_KEY",
			strings.ToUpper(def.Driver))
	case def.KeyEnv == "":
	case secretPattern.MatchString(def.KeyEnv):
		c.at(p.to("key_env"), "`key_env` looks like a key itself: %s; and make a new key, for this one has been written down", keyAdvice)
	case !variablePattern.MatchString(def.KeyEnv):
		c.at(p.to("key_env"), "`key_env` is the name of an environment variable, such as OPENAI_API_KEY: use capitals, digits and underscores")
	}
}

func (c *checker) limits(p path, def schemas.RateDef) {
	c.atLeast(p.to("requests_per_minute"), float64(def.RequestsPerMinute), 0)
	c.atLeast(p.to("tokens_per_minute"), float64(def.TokensPerMinute), 0)
	c.atLeast(p.to("concurrency"), float64(def.Concurrency), 0)
}

func (c *checker) modelDef(p path, name string, def schemas.ModelDef) {
	if !modelPattern.MatchString(name) {
		c.at(p, "the model's name `%s`: use letters, digits, dots, colons, slashes, hyphens and underscores", clip(name))
	}
	provider, ok := c.models.Providers[def.Provider]
	switch {
	case def.Provider == "":
		c.at(p.to("provider"), "`provider` is missing: name one of the providers above")
	case !ok:
		c.at(p.to("provider"), "there is no provider `%s`%s", clip(def.Provider), meant(def.Provider, sortedKeys(c.models.Providers)))
	}
	c.oneOf(p.to("tokenizer"), "tokenizer", def.Tokenizer, false, "cl100k_base", "o200k_base")
	c.atLeast(p.to("context"), float64(def.Context), 0)
	c.atLeast(p.to("max_output"), float64(def.MaxOutput), 0)
	if def.Context > 0 && def.MaxOutput > def.Context {
		c.at(p.to("max_output"), "`max_output` is %d, more than the %d of `context`, which input and output have together", def.MaxOutput, def.Context)
	}
	c.limits(p.to("limits"), def.Limits)
	if def.Prices != nil {
		c.prices(p.to("prices"), *def.Prices)
	} else if c.files && !c.stated(p.to("prices")) && !slices.Contains(free, provider.Driver) {
		c.at(p, "the model `%s` has no price: add `prices: {input: …, output: …}` in US dollars for a million tokens, or `prices: unknown`", clip(name))
	}
}

func (c *checker) prices(p path, def schemas.PriceDef) {
	for key, price := range map[string]*float64{"input": &def.Input, "cached": def.Cached, "written": def.Written, "output": &def.Output} {
		if price != nil {
			c.atLeast(p.to(key), *price, 0)
		}
	}
	for _, key := range []string{"input", "output"} {
		if c.files && !c.stated(p.to(key)) {
			c.at(p, "the price of `%s` is missing: write it, 0 if there is nothing to pay, or `prices: unknown`", key)
		}
	}
}

func (c *checker) route(p path, name string, def schemas.RouteDef) {
	if !modelPattern.MatchString(name) {
		c.at(p, "the route's name `%s`: use letters, digits, dots, colons, slashes, hyphens and underscores", clip(name))
	}
	if _, both := c.models.Models[name]; both {
		c.at(p, "`%s` is a model and a route: rename one", clip(name))
	}
	if len(def.Targets) == 0 {
		c.at(p.to("targets"), "the route `%s` leads to nothing: add `targets:`, a list of models", clip(name))
		return
	}
	in := scope{names: route.WhenNames(), shapes: map[string]shape{"run": fields("tenant", "chain")}}
	for i := range def.Targets {
		c.target(p.to("targets").item(i), def.Targets, i, in)
	}
	if def.Escalate == "" {
		return
	}
	in.names = route.EscalateNames()
	c.condition(p.to("escalate"), def.Escalate, in)
	if len(def.Targets) == 1 {
		c.at(p.to("escalate"), "there is one target, so there is none to escalate to: add another, or remove `escalate`")
	}
}

func (c *checker) target(p path, all []schemas.TargetDef, i int, in scope) {
	t := all[i]
	switch _, isRoute := c.models.Routes[t.Model]; {
	case t.Model == "":
		c.at(p.to("model"), "`model` is missing: name a model")
	case isRoute:
		c.at(p.to("model"), "`%s` is a route: the targets of a route are models", clip(t.Model))
	default:
		c.model(p.to("model"), t.Model)
	}
	c.atLeast(p.to("weight"), t.Weight, 0)
	c.condition(p.to("when"), t.When, in)
	if holds, constant := c.constant(t.When); constant && !holds {
		c.at(p.to("when"), "this is never true, so the target is never reached: remove the target, or change `when`")
	}
	for _, earlier := range all[:i] {
		if earlier.Model == t.Model && t.Model != "" && (earlier.When == "" || earlier.When == t.When) {
			c.at(p.to("model"), "`%s` is a target above already, so this one is never reached: remove it", clip(t.Model))
			break
		}
	}
	if t.Weight > 0 && (i == 0 || all[i-1].Weight == 0) && (i == len(all)-1 || all[i+1].Weight == 0) {
		c.at(p.to("weight"), "a weight shares calls with its neighbours in the list, and they have none: give them one, or remove it")
	}
}

// model checks that a name is that of a model or route.
func (c *checker) model(p path, name string) {
	if c.resolve(name) != nil || c.modelsBroken {
		return
	}
	provider, _, installed := strings.Cut(name, "/")
	_, ours := c.models.Providers[provider]
	if installed && !ours && modelPattern.MatchString(name) {
		return
	}
	c.at(p, "there is no model or route `%s` in %s%s", clip(name), fileModels, meant(name, append(sortedKeys(c.models.Routes), sortedKeys(c.models.Models)...)))
}

// resolve returns the models of the project that a name stands for; nil if it is no name of the project.
func (c *checker) resolve(name string) []string {
	if _, ok := c.models.Models[name]; ok {
		return []string{name}
	}
	route, ok := c.models.Routes[name]
	if !ok {
		return nil
	}
	names := []string{}
	for _, t := range route.Targets {
		names = append(names, t.Model)
	}
	return names
}

// unpriced returns a model without a known price that a name may stand for.
func (c *checker) unpriced(name string) (string, bool) {
	names := c.resolve(name)
	if names == nil {
		names = []string{name}
	}
	for _, n := range names {
		def, ours := c.models.Models[n]
		switch {
		case ours && def.Prices == nil && !slices.Contains(free, c.models.Providers[def.Provider].Driver):
			return n, true
		case !ours && !strings.HasPrefix(n, schemas.DriverLocal+"/"):
			return n, true
		}
	}
	return "", false
}
