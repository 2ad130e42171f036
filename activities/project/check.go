package project

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/expr"
	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/schemas"
)

// checker finds what is wrong with chains, prompts and models that could be read.
type checker struct {
	*report
	files        bool // they come from files, else from a bundle
	models       schemas.Models
	chains       map[string]schemas.ChainDef
	prompts      map[string]*prompt.Prompt // nil for one that cannot be read; partials under names that begin with _
	sources      map[string]string         // of the prompts
	brokenChains map[string]bool           // of which only the name is known
	modelsBroken bool                      // models.yaml cannot be read, so any model may exist
	uses         map[string][]promptUse
	constants    map[string]verdict // of conditions that were evaluated
}

// CheckBundle finds what is wrong with a bundle that came from elsewhere: as Load, save that a problem's File names the chain and step,
// or the model, without a line. Problems of prompts have the file and line that the prompt would have in a project.
func CheckBundle(bundle schemas.Bundle) []schemas.Problem {
	r := newReport()
	c := &checker{report: r, models: bundle.Models, chains: bundle.Chains, sources: bundle.Prompts, prompts: map[string]*prompt.Prompt{}}
	r.name = c.describe
	total := 0
	for _, name := range sortedKeys(bundle.Prompts) {
		total += len(bundle.Prompts[name])
		c.parsePrompt(promptFile(name), name, bundle.Prompts[name])
	}
	if _, ok := bundle.Chains[bundle.Chain]; !ok {
		r.in("bundle", 0, 0, "the chain `%s` that the bundle is for is not in it", clip(bundle.Chain))
	}
	if total > maxProject || len(bundle.Prompts)+len(bundle.Chains) > maxFiles {
		r.in("bundle", 0, 0, "the bundle has more than %d chains and prompts or %d MB: split it", maxFiles, maxProject>>20)
		return r.sorted()
	}
	c.check()
	return r.sorted()
}

// describe says what a path is of.
func (c *checker) describe(p path) string {
	parts := p.parts()
	switch {
	case len(parts) > 3 && parts[0] == string(chainsAt) && parts[2] == "steps":
		var i int
		if _, err := fmt.Sscan(parts[3], &i); err == nil && i < len(c.chains[parts[1]].Steps) {
			return "chain " + parts[1] + ", step " + c.chains[parts[1]].Steps[i].ID
		}
		return "chain " + parts[1]
	case len(parts) > 1 && parts[0] == string(chainsAt):
		return "chain " + parts[1]
	case len(parts) > 2:
		return strings.TrimSuffix(parts[1], "s") + " " + parts[2]
	}
	return parts[0]
}

func (c *checker) check() {
	c.uses = map[string][]promptUse{}
	c.checkModels()
	for _, name := range sortedKeys(c.chains) {
		c.chain(name)
	}
	c.circles()
	for _, name := range sortedKeys(c.prompts) {
		c.prompt(name)
	}
}

func (c *checker) oneOf(p path, key, value string, required bool, known ...string) {
	switch {
	case value == "" && required:
		c.at(p, "`%s` is missing: choose one of %s", key, strings.Join(known, ", "))
	case value != "" && !slices.Contains(known, value):
		c.at(p, "unknown %s `%s`%s", key, clip(value), meant(value, known))
	}
}

func (c *checker) atLeast(p path, value, least float64) {
	if value < least || math.IsNaN(value) {
		c.at(p, "`%s` is %g, but at least %g is meant", p.parts()[len(p.parts())-1], value, least)
	}
}

func (c *checker) atMost(p path, value, most float64) {
	if value < 0 || value > most || math.IsNaN(value) {
		c.at(p, "`%s` is %g: choose from 0 to %g", p.parts()[len(p.parts())-1], value, most)
	}
}

// scope is what an expression may read.
type scope struct {
	names  []string         // its variables
	shapes map[string]shape // of the variables, as far as they are known
	step   func(id string, rest []string) (problem string)
}

// with returns a scope with variables more.
func (s scope) with(names ...string) scope {
	s.names = append(slices.Clone(s.names), names...)
	return s
}

func (s scope) shape(name string, of shape) scope {
	s.shapes = maps.Clone(s.shapes)
	s.shapes[name] = of
	return s
}

var runShape = fields("id", "tenant", "chain")

// value checks an expression; an empty one is none.
func (c *checker) value(p path, src string, in scope) { c.compiled(p, src, 0, in, expr.Compile) }

// condition checks an expression that is true or false; an empty one is none.
func (c *checker) condition(p path, src string, in scope) { c.compiled(p, src, 0, in, expr.Condition) }

// text checks the expressions in a text.
func (c *checker) text(p path, text string, in scope) []Piece {
	pieces, err := Interpolation(text)
	if err != nil {
		c.at(p, "%s", schemas.SafeMessage(err))
		return nil
	}
	for _, piece := range pieces {
		if piece.Expression {
			c.compiled(p, piece.Text, piece.Offset, in, expr.Compile)
		}
	}
	return pieces
}

// compiled checks an expression that begins at an offset of the text that p holds.
func (c *checker) compiled(p path, src string, offset int, in scope, compile func(string, []string) (*expr.Program, error)) {
	if src == "" {
		return
	}
	program, err := compile(src, in.names)
	if err != nil {
		fault, ok := errors.AsType[*expr.Error](err)
		if !ok {
			c.at(p, "%s", schemas.SafeMessage(err))
			return
		}
		column := fault.Column
		if fault.Line == 1 {
			column += offset
		}
		c.within(p, fault.Line, column, "%s", fault.Reason)
		return
	}
	for _, reference := range program.References() {
		c.reference(p, src, offset, reference, in)
	}
}

// reference checks one thing that an expression reads.
func (c *checker) reference(p path, src string, offset int, names []string, in scope) {
	problem, at := "", 0
	if names[0] == "steps" {
		if len(names) == 1 || in.step == nil {
			return
		}
		problem, at = in.step(names[1], names[2:]), 1
	} else if i, lacking := in.shapes[names[0]].missing(names[1:]); i >= 0 {
		at = i + 1
		problem = fmt.Sprintf("`%s` has no `%s`%s", strings.Join(names[:at], "."), clip(names[at]), lacking.meant(names[at]))
	}
	if problem == "" {
		return
	}
	line, column := locate(src, names[at])
	if line == 1 {
		column += offset
	}
	c.within(p, line, column, "%s", problem)
}

// meant ends a sentence about a field that there is not.
func (s shape) meant(name string) string {
	if known := s.names(); len(known) > 0 || s.mayBeObject() {
		return meant(name, known)
	}
	return fmt.Sprintf(": it is of type %v and has no fields", s["type"])
}

// locate finds where a name stands in an expression, the first time as a field of something.
func locate(src, name string) (line, column int) {
	at := max(strings.Index(src, "."+name), strings.Index(src, "?"+name), strings.Index(src, `"`+name), strings.Index(src, "'"+name))
	before := src[:at+1]
	line = 1 + strings.Count(before, "\n")
	return line, 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
}

// verdict is the value of a condition that reads nothing.
type verdict struct{ holds, constant bool }

// constant evaluates a condition that reads nothing.
func (c *checker) constant(src string) (holds, ok bool) {
	v, known := c.constants[src]
	if !known && src != "" {
		program, err := expr.Condition(src, []string{"input", "steps", "run", "item", "index", "args", "output", "finish"})
		if err == nil && len(program.References()) == 0 {
			v.holds, err = program.Test(nil)
			v.constant = err == nil
		}
		put(&c.constants, src, v)
	}
	return v.holds, v.constant
}
