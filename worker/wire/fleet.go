package wire

import (
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/anthropicmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/coheremodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/geminimodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/ollamamodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/openaimodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/rerankmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Fleet makes the configured model providers, and resolves the models of projects. Keys come from the environment of the process. Paid
// responses that belong to no run are kept in records. Errors: those of the drivers; unauthorized for a provider of the installation whose
// key is not there.
func Fleet(c Config, records model.Records, getenv func(string) string) (*fleet.Fleet, error) {
	f := &fleet.Fleet{Models: c.Models, Records: records}
	f.Open = func(name string, def schemas.ProviderDef, rates func(limit.Rates)) (model.Driver, error) {
		key, err := providerKey(name, def.KeyEnv, getenv)
		if err != nil {
			return nil, err
		}
		return open(name, def, key, func(r transport.Rates) { rates(limit.Rates{Requests: rate(r.Requests), Tokens: rate(r.Tokens)}) })
	}
	var providers []*model.Provider
	for _, name := range slices.Sorted(maps.Keys(c.Models.Providers)) {
		driver, err := f.Open(name, c.Models.Providers[name], func(r limit.Rates) { f.Observe(name, r) })
		if err != nil {
			return nil, err
		}
		providers = append(providers, &model.Provider{Name: name, Driver: driver, Records: records})
	}
	var err error
	f.Installed, err = model.NewSet(providers...)
	return f, err
}

// open is the one switch over drivers.
func open(name string, def schemas.ProviderDef, key string, rates func(transport.Rates)) (model.Driver, error) {
	switch def.Driver {
	case schemas.DriverOpenAI:
		return openaimodel.New(openaimodel.Options{BaseURL: def.BaseURL, APIKey: key, API: def.API, OnRates: rates})
	case schemas.DriverAnthropic:
		return anthropicmodel.New(anthropicmodel.Options{BaseURL: def.BaseURL, APIKey: key, OnRates: rates})
	case schemas.DriverGemini:
		return geminimodel.New(geminimodel.Options{BaseURL: def.BaseURL, APIKey: key, OnRates: rates})
	case schemas.DriverCohere:
		return coheremodel.New(coheremodel.Options{BaseURL: def.BaseURL, APIKey: key, OnRates: rates})
	case schemas.DriverOllama:
		return ollamamodel.New(ollamamodel.Options{BaseURL: def.BaseURL, APIKey: key, OnRates: rates})
	case schemas.DriverRerank:
		return rerankmodel.New(rerankmodel.Options{BaseURL: def.BaseURL, APIKey: key, OnRates: rates})
	case schemas.DriverLocal:
		return localmodel.Driver{}, nil
	}
	return nil, schemas.Errorf(schemas.Invalid, "provider %q: driver %q is not known to this worker", name, def.Driver)
}

func rate(r transport.Rate) limit.Rate {
	return limit.Rate{Limit: r.Limit, Remaining: r.Remaining, Known: r.Known, Reset: r.Reset}
}

// platformKeys are keys of the platform itself. A project cannot have them sent anywhere.
var platformKeys = []string{"WEAVIATE_API_KEY", "TEMPORAL_API_KEY", "TENUTO_API_KEY"}

// providerKey reads the key of a provider. Only variables that end in _API_KEY hold keys of providers, so a project cannot name any other
// secret of the process.
func providerKey(provider, variable string, getenv func(string) string) (string, error) {
	if variable == "" {
		return "", nil
	}
	if !strings.HasSuffix(variable, "_API_KEY") || slices.Contains(platformKeys, variable) {
		return "", schemas.Errorf(schemas.Invalid, "provider %q: key_env %s is not read; name a variable of the worker that ends in _API_KEY", provider, variable)
	}
	key := getenv(variable)
	if key == "" {
		return "", schemas.Errorf(schemas.Unauthorized, "provider %q: the worker's environment has no %s; set it and start the worker again", provider, variable)
	}
	return key, nil
}
