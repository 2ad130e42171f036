package model

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Set holds the configured providers by name. The zero value has none.
type Set struct {
	providers map[string]*Provider
}

// NewSet makes a set. Error: invalid, for a name that is not usable or given twice.
func NewSet(providers ...*Provider) (*Set, error) {
	set := &Set{providers: make(map[string]*Provider, len(providers))}
	for _, p := range providers {
		if !namePattern.MatchString(p.Name) {
			return nil, schemas.Errorf(schemas.Invalid, "model provider name %q: use lower-case letters, digits, dots, hyphens and underscores", p.Name)
		}
		if _, ok := set.providers[p.Name]; ok {
			return nil, schemas.Errorf(schemas.Invalid, "two model providers are called %q", p.Name)
		}
		set.providers[p.Name] = p
	}
	return set, nil
}

// Resolve finds the provider of a full model name, PROVIDER/MODEL, and the model's name there. Only the first slash divides:
// openrouter/meta/llama is meta/llama at openrouter. Codes: invalid for a name without provider or model, not_found for a
// provider that is not configured.
func (s *Set) Resolve(name string) (p *Provider, model string, err error) {
	prefix, model, ok := strings.Cut(name, "/")
	if !ok || prefix == "" || model == "" {
		return nil, "", schemas.Errorf(schemas.Invalid, "model %q: write PROVIDER/MODEL; %s", name, s.known())
	}
	p, ok = s.providers[prefix]
	if !ok {
		return nil, "", schemas.Errorf(schemas.NotFound, "model %q: no provider is called %q; %s", name, prefix, s.known())
	}
	return p, model, nil
}

// Names lists the providers in order.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.providers)) }

func (s *Set) known() string {
	if len(s.providers) == 0 {
		return "no provider is configured"
	}
	return "configured: " + strings.Join(s.Names(), ", ")
}
