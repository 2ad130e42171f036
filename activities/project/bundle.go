package project

import (
	"github.com/tenuto-dev/tenuto/schemas"
)

// gathering collects into a bundle what a chain needs.
type gathering struct {
	from   *Project
	bundle schemas.Bundle
}

func (g *gathering) chain(name string) {
	if _, known := g.bundle.Chains[name]; known {
		return
	}
	def := g.from.Chains[name]
	g.bundle.Chains[name] = def
	for _, s := range def.Steps {
		if s.Generate != nil {
			g.prompt(s.Generate.Prompt)
			g.model(s.Generate.Model)
		}
		if s.Retrieve != nil && s.Retrieve.Queries != nil {
			g.prompt(s.Retrieve.Queries.Prompt)
			g.model(s.Retrieve.Queries.Model)
		}
		if s.Retrieve != nil && s.Retrieve.Rerank != nil {
			g.model(s.Retrieve.Rerank.Model)
		}
		for _, called := range calls(s) {
			g.chain(called)
		}
	}
}

func (g *gathering) prompt(name string) {
	if _, known := g.bundle.Prompts[name]; known {
		return
	}
	put(&g.bundle.Prompts, name, g.from.Prompts[name])
	p := g.from.parsed[name]
	if !isPartial(name) {
		g.model(p.Model)
	}
	for _, partial := range p.Partials() {
		g.prompt(partialName(partial.Name))
	}
}

// model takes a model or route along, with all that it leads to. A name of the installation leads to nothing here.
func (g *gathering) model(name string) {
	into, from := &g.bundle.Models, g.from.Models
	if route, ok := from.Routes[name]; ok {
		put(&into.Routes, name, route)
		for _, t := range route.Targets {
			g.model(t.Model)
		}
		return
	}
	def, ok := from.Models[name]
	if !ok {
		return
	}
	put(&into.Models, name, def)
	put(&into.Providers, def.Provider, from.Providers[def.Provider])
}

func put[V any](into *map[string]V, name string, value V) {
	if *into == nil {
		*into = map[string]V{}
	}
	(*into)[name] = value
}
