// Package project reads a project's folder, checks it, and puts together the bundle that a chain runs by.
//
// A project is a folder in Git: tenuto.yaml, models.yaml, prompts/*.prompt, chains/*.yaml, guards/ and suites/. Keys are those of
// schemas.Bundle in JSON, with durations as text (timeout: 30s, ttl: 1h) and schemas in Picoschema or JSON Schema. A prompt is called
// as its file is below prompts/, without .prompt; a partial, whose file begins with _, without that too. A chain is called as its file.
// Suites lie directly in suites/; package suite reads them.
package project

import (
	"fmt"
	"io/fs"
	pathpkg "path"
	"reflect"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/project/internal/yamldoc"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Project is a project's folder as it was read.
type Project struct {
	Settings
	Models   schemas.Models
	Chains   map[string]schemas.ChainDef // by name, with the defaults of the project put in
	Prompts  map[string]string           // sources by name; those of partials begin with _, as their files do
	problems []schemas.Problem
	parsed   map[string]*prompt.Prompt
	suites   []string // files
}

// Settings is what tenuto.yaml holds.
type Settings struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Defaults    Defaults `json:"defaults,omitzero"`
}

// Defaults are used by steps that say nothing else.
type Defaults struct {
	Collection string `json:"collection,omitempty"` // of retrieve steps; a name, or CEL in ${}
	Model      string `json:"model,omitempty"`      // of generate steps whose prompt names none; a model or route
}

// Load reads and checks a project, save its suites, see CheckSuites. Problems are sorted by file, line and column, and each says what to do. The project is never nil;
// with problems it holds what could be read, and makes no bundles. Links are followed as far as fsys follows them, so give it one
// that keeps them inside, such as that of os.Root.
func Load(fsys fs.FS) (*Project, []schemas.Problem) {
	r := newReport()
	f := newFolder(r, fsys)
	f.read()
	l := &loader{report: r, folder: f, project: &Project{Chains: map[string]schemas.ChainDef{}, Prompts: map[string]string{}}}
	c := l.load()
	c.check()
	l.project.problems = r.sorted()
	return l.project, l.project.problems
}

// loader fills a project from the texts of its files.
type loader struct {
	*report
	folder  *folder
	project *Project
	tokens  int
}

func (l *loader) load() *checker {
	c := &checker{report: l.report, files: true, prompts: map[string]*prompt.Prompt{}, brokenChains: map[string]bool{}}
	for _, file := range sortedKeys(l.folder.texts) {
		dir, base := pathpkg.Split(file)
		switch {
		case file == fileProject:
			l.yaml(file, "tenuto", &l.project.Settings)
		case file == fileModels:
			c.modelsBroken = !l.yaml(file, modelsAt, &l.project.Models)
		case strings.HasPrefix(file, folderPrompts+"/"):
			name := strings.TrimSuffix(strings.TrimPrefix(file, folderPrompts+"/"), ".prompt")
			l.project.Prompts[name] = l.folder.texts[file]
			c.parsePrompt(file, name, l.folder.texts[file])
		case dir == folderChains+"/":
			name := strings.TrimSuffix(base, ".yaml")
			var def schemas.ChainDef
			if l.yaml(file, chainsAt.to(name), &def) {
				l.project.Chains[name] = def
			} else {
				c.brokenChains[name] = true
			}
		case strings.HasPrefix(file, folderChains+"/"):
			l.in(file, 0, 0, "chains are not read from folders below chains/: move the file up")
		case dir == folderSuites+"/" && suite.Is(l.folder.texts[file]):
			l.project.suites = append(l.project.suites, file)
		default:
			l.parse(file)
		}
	}
	l.lost(c)
	l.defaults(c)
	c.models, c.chains, c.sources = l.project.Models, l.project.Chains, l.project.Prompts
	l.project.parsed = c.prompts
	l.settings(c)
	return c
}

// lost keeps what names a file that is there and cannot be used from being reported too.
func (l *loader) lost(c *checker) {
	for file := range l.folder.broken {
		name, inPrompts := strings.CutPrefix(file, folderPrompts+"/")
		chain, inChains := strings.CutPrefix(file, folderChains+"/")
		switch {
		case file == fileModels:
			c.modelsBroken = true
		case inPrompts:
			c.prompts[strings.TrimSuffix(name, ".prompt")] = nil
		case inChains:
			c.brokenChains[strings.TrimSuffix(chain, ".yaml")] = true
		}
	}
}

// yaml reads a file into a struct. It reports whether the file could be read at all.
func (l *loader) yaml(file string, at path, into any) bool {
	value, ok := l.parse(file)
	if value == nil {
		if ok {
			l.in(file, 0, 0, "the file is empty: write %s into it, or remove it", contents(file))
		}
		return false
	}
	d := decoder{report: l.report, file: file}
	d.record(at, value, nil)
	d.value(at, value, reflect.ValueOf(into).Elem())
	return value.Kind == yamldoc.Object
}

func contents(file string) string {
	switch file {
	case fileProject:
		return "`name:`"
	case fileModels:
		return "`providers:` and `models:`"
	}
	return "`steps:`"
}

// parse reads a YAML file. It is ok if nothing was wrong with it.
func (l *loader) parse(file string) (value *yamldoc.Value, ok bool) {
	if l.tokens > maxAllTokens {
		l.in(file, 0, 0, "the project's YAML files have more than %d words and signs together: split the project", maxAllTokens)
		return nil, false
	}
	value, faults, tokens := yamldoc.Parse(l.folder.texts[file])
	l.tokens += tokens
	for _, fault := range faults {
		l.in(file, fault.Line, fault.Column, "%s", fault.Message)
	}
	return value, len(faults) == 0
}

// settings checks tenuto.yaml.
func (l *loader) settings(c *checker) {
	const at = path("tenuto")
	if l.stated(at) && l.project.Name == "" {
		l.at(at.to("name"), "`name` is missing: give the project a name")
	}
	if model := l.project.Defaults.Model; model != "" {
		c.model(at.to("defaults", "model"), model)
	}
}

// defaults puts the project's defaults into steps that say nothing else.
func (l *loader) defaults(c *checker) {
	for _, def := range l.project.Chains {
		for _, s := range def.Steps {
			if s.Retrieve != nil && s.Retrieve.Collection == "" {
				s.Retrieve.Collection = l.project.Defaults.Collection
			}
			if s.Generate != nil && s.Generate.Model == "" && lacksModel(c, s.Generate.Prompt) {
				s.Generate.Model = l.project.Defaults.Model
			}
			if s.Retrieve != nil && s.Retrieve.Queries != nil && s.Retrieve.Queries.Model == "" && lacksModel(c, s.Retrieve.Queries.Prompt) {
				s.Retrieve.Queries.Model = l.project.Defaults.Model
			}
		}
	}
}

func lacksModel(c *checker, name string) bool {
	p := c.prompts[name]
	return p != nil && p.Model == ""
}

// Bundle puts together what a chain needs: it and the chains that it calls, their prompts with partials, and the models, routes and
// providers that they may use. The same folder gives the same bundle, byte for byte in JSON. Errors: not_found without such a chain,
// invalid for a project with problems.
func (p *Project) Bundle(chain string) (schemas.Bundle, error) {
	if len(p.problems) > 0 {
		first := p.problems[0]
		return schemas.Bundle{}, schemas.Errorf(schemas.Invalid, "the project has %s, the first is %s; `tenuto check` lists all",
			Count(len(p.problems)), Describe(first))
	}
	if _, ok := p.Chains[chain]; !ok {
		return schemas.Bundle{}, schemas.Errorf(schemas.NotFound, "there is no chain `%s`%s", clip(chain), meant(chain, sortedKeys(p.Chains)))
	}
	g := gathering{from: p, bundle: schemas.Bundle{Chain: chain, Chains: map[string]schemas.ChainDef{}}}
	g.chain(chain)
	return g.bundle, nil
}

// Bundles puts together the bundles of all chains, by chain. Errors: those of Bundle, and not_found for a project without chains.
func (p *Project) Bundles() (map[string]schemas.Bundle, error) {
	bundles := map[string]schemas.Bundle{}
	for chain := range p.Chains {
		bundle, err := p.Bundle(chain)
		if err != nil {
			return nil, err
		}
		bundles[chain] = bundle
	}
	if len(bundles) == 0 {
		return nil, schemas.Errorf(schemas.NotFound, "the project has no chains: write one into %s/", folderChains)
	}
	return bundles, nil
}

// Count says how many problems there are.
func Count(n int) string {
	if n == 1 {
		return "1 problem"
	}
	return fmt.Sprintf("%d problems", n)
}

// Describe writes a problem as file:line:column: message, without the numbers that it does not have.
func Describe(p schemas.Problem) string {
	place := p.File
	if p.Line > 0 {
		place += fmt.Sprintf(":%d", p.Line)
		if p.Column > 0 {
			place += fmt.Sprintf(":%d", p.Column)
		}
	}
	return place + ": " + p.Message
}
