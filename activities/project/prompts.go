package project

import (
	"errors"
	pathpkg "path"
	"regexp"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/schemas"
)

var promptPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$`)

// parsePrompt keeps a prompt that can be read and reports why another cannot.
func (c *checker) parsePrompt(file, name, text string) {
	c.prompts[name] = nil
	if strings.TrimSpace(text) == "" {
		c.in(file, 0, 0, "the file is empty: write a prompt into it, or remove it")
		return
	}
	parsed, err := prompt.Parse(file, text)
	if err == nil {
		c.prompts[name] = parsed
		return
	}
	if fault, ok := errors.AsType[*prompt.SyntaxError](err); ok {
		c.in(file, fault.Line, fault.Column, "%s", fault.Message)
		return
	}
	c.in(file, 0, 0, "%s", schemas.SafeMessage(err))
}

// partialName is the name under which a partial is kept: style is in _style.prompt.
func partialName(name string) string { return "_" + name }

func isPartial(name string) bool { return strings.HasPrefix(pathpkg.Base(name), "_") }

func (c *checker) partial(name string) (*prompt.Prompt, bool) {
	p := c.prompts[partialName(name)]
	return p, p != nil
}

// promptFile is the file of a prompt; of one in a bundle, where it would be.
func promptFile(name string) string { return folderPrompts + "/" + name + ".prompt" }

// promptUse is a prompt in a step.
type promptUse struct {
	path        path // of what names the prompt
	chain, step string
	prompt      string
	given       []string // its input
	fixed       bool     // the platform gives the input, and need not all be used
	passages    bool
	tools       []string
}

// use notes the use of a prompt, and that there is such a prompt.
func (c *checker) use(u promptUse) {
	if u.prompt == "" {
		return
	}
	if _, ok := c.prompts[u.prompt]; !ok || isPartial(u.prompt) {
		names := slices.DeleteFunc(sortedKeys(c.prompts), isPartial)
		c.at(u.path.to("prompt"), "there is no prompt `%s`%s", clip(u.prompt), meant(u.prompt, names))
		return
	}
	c.uses[u.prompt] = append(c.uses[u.prompt], u)
}

// prompt checks one prompt, and what each step gives it.
func (c *checker) prompt(name string) {
	p, file := c.prompts[name], promptFile(name)
	if !promptPattern.MatchString(name) {
		c.in(file, 0, 0, "the prompt's name: use letters, digits, dots, hyphens and underscores")
	}
	if isPartial(name) && strings.Contains(name, "/") {
		c.in(file, 0, 0, "partials are for all prompts: move the file up to %s/", folderPrompts)
	}
	if p == nil {
		return
	}
	c.frontMatter(p, name, file)
	for _, place := range p.Partials() {
		if _, ok := c.prompts[partialName(place.Name)]; !ok {
			c.in(file, place.Line, place.Column, "there is no partial `%s`: put it into %s%s", clip(place.Name),
				promptFile(partialName(clip(place.Name))), meant(place.Name, c.partialNames()))
		}
	}
	if way := c.promptCircle(partialBase(name), name, map[string]bool{}); isPartial(name) && way != nil {
		place := p.Partials()[0]
		c.in(file, place.Line, place.Column, "the partials insert each other in a circle, %s: a rendering would never end", strings.Join(way, " -> "))
		return
	}
	if isPartial(name) {
		return
	}
	c.variables(p, name)
}

func (c *checker) partialNames() []string {
	var names []string
	for _, name := range sortedKeys(c.prompts) {
		if isPartial(name) {
			names = append(names, partialBase(name))
		}
	}
	return names
}

// partialBase is the name by which a template inserts a partial.
func partialBase(name string) string { return strings.TrimPrefix(name, "_") }

// promptCircle returns the partials from one back to itself.
func (c *checker) promptCircle(target, at string, seen map[string]bool) []string {
	p := c.prompts[at]
	if p == nil {
		return nil
	}
	for _, place := range p.Partials() {
		if place.Name == target {
			return []string{partialBase(at), target}
		}
		if seen[place.Name] {
			continue
		}
		seen[place.Name] = true
		if way := c.promptCircle(target, partialName(place.Name), seen); way != nil {
			return append([]string{partialBase(at)}, way...)
		}
	}
	return nil
}

var promptKeys = []string{"name", "variant", "version", "description", "model", "tools", "config", "input", "output", "metadata"}

func (c *checker) frontMatter(p *prompt.Prompt, name, file string) {
	for _, place := range p.Unknown {
		c.in(file, place.Line, place.Column, "unknown key `%s`%s", clip(place.Name), meant(place.Name, promptKeys))
	}
	full := pathpkg.Base(name)
	if p.Variant != "" {
		full = strings.TrimSuffix(full, "."+p.Variant)
	}
	if p.Name != full {
		line, column := c.keyPlace(name, "name")
		c.in(file, line, column, "the prompt calls itself `%s`, but the file makes it `%s`: remove `name`, or rename the file", clip(p.Name), full)
	}
	if p.Model != "" {
		line, column := c.keyPlace(name, "model")
		probe := &checker{report: newReport(), models: c.models, modelsBroken: c.modelsBroken}
		if probe.model("model", p.Model); len(probe.problems) > 0 {
			c.in(file, line, column, "%s", probe.problems[0].Message)
		}
	}
	for key, schema := range map[string][]byte{"input": p.InputSchema, "output": p.OutputSchema} {
		if len(schema) == 0 {
			continue
		}
		if fault, _ := checkSchema(schema); fault != "" {
			line, column := c.keyPlace(name, key)
			c.in(file, line, column, "the schema of `%s` is no valid JSON Schema: %s", key, fault)
		}
	}
}

// keyPlace is where a key of the front matter stands; the beginning of the file if that cannot be seen.
func (c *checker) keyPlace(name, key string) (line, column int) {
	line = 1
	for text := range strings.Lines(c.sources[name]) {
		if rest, ok := strings.CutPrefix(text, key+":"); ok {
			return line, len(key) + 2 + len(rest) - len(strings.TrimLeft(rest, " "))
		}
		line++
	}
	return 1, 1
}

// wholeInput are ways to read the whole input, or a part that only the data names.
var wholeInput = regexp.MustCompile(`\{\{[^}]*(\bthis\b|@root|\blookup\b|[ (#]\.[ )}])`)

// variables compares what the prompt reads with what it is given.
func (c *checker) variables(p *prompt.Prompt, name string) {
	uses := c.uses[name]
	text := c.wholeText(name, map[string]bool{})
	declared := shapeOf(p.InputSchema)
	var roots []string
	for _, place := range p.Variables(c.partial) {
		root, _, _ := strings.Cut(place.Name, ".")
		root = strings.TrimSuffix(root, "[]")
		if slices.Contains(roots, root) {
			continue
		}
		roots = append(roots, root)
		if at, _ := declared.missing([]string{root}); at >= 0 {
			c.in(place.File, place.Line, place.Column, "the prompt uses `%s`, which its input schema does not have%s", clip(root), meant(root, declared.names()))
			continue
		}
		c.given(p, declared, uses, place, root)
	}
	for _, u := range uses {
		c.unusedInput(p, u, roots, wholeInput.MatchString(text), declared)
		if u.passages && !strings.Contains(text, "passages") && !strings.Contains(text, "docs") {
			c.at(u.path.to("passages"), "the prompt `%s` never shows the passages: write {{passages}} into it where they belong", u.prompt)
		}
		for _, tool := range p.Tools {
			if !slices.Contains(u.tools, tool) && !u.fixed {
				line, column := c.keyPlace(name, "tools")
				c.in(promptFile(name), line, column, "the prompt names the tool `%s`, which the step `%s` of the chain `%s` does not offer: add it to `tools` there",
					clip(tool), u.step, u.chain)
			}
		}
	}
}

// given reports a variable that steps do not give: at the prompt if none does, else at each step that does not.
func (c *checker) given(p *prompt.Prompt, declared shape, uses []promptUse, place prompt.Place, root string) {
	if _, has := p.Default[root]; has || declared != nil && !slices.Contains(declared.required(), root) {
		return
	}
	lacking := slices.DeleteFunc(slices.Clone(uses), func(u promptUse) bool { return slices.Contains(u.given, root) })
	switch {
	case len(lacking) == 0:
	case len(lacking) == len(uses):
		u := lacking[0]
		c.in(place.File, place.Line, place.Column, "the prompt uses `%s`, which no step gives: add it to `with` of the step `%s` in the chain `%s`%s",
			clip(root), u.step, u.chain, meant(root, u.given))
	default:
		for _, u := range lacking {
			c.at(u.path.to("with"), "the prompt `%s` uses `%s`, which the step does not give: add it to `with`", u.prompt, clip(root))
		}
	}
}

// unusedInput reports what a step gives and the prompt never uses, and what the prompt's schema demands and the step does not give.
func (c *checker) unusedInput(p *prompt.Prompt, u promptUse, roots []string, whole bool, declared shape) {
	if u.fixed {
		return
	}
	for _, key := range u.given {
		switch at, _ := declared.missing([]string{key}); {
		case at >= 0:
			c.at(u.path.to("with", key), "the input schema of the prompt `%s` has no `%s`%s", u.prompt, clip(key), meant(key, declared.names()))
		case !whole && !slices.Contains(roots, key):
			c.at(u.path.to("with", key), "the prompt `%s` never uses `%s`%s", u.prompt, clip(key), meant(key, roots))
		}
	}
	for _, key := range declared.required() {
		_, has := p.Default[key]
		if !has && !slices.Contains(u.given, key) && !slices.Contains(roots, key) {
			c.at(u.path.to("with"), "the input schema of the prompt `%s` demands `%s`: add it to `with`", u.prompt, clip(key))
		}
	}
}

// wholeText is the text of a prompt with that of its partials.
func (c *checker) wholeText(name string, seen map[string]bool) string {
	p := c.prompts[name]
	if p == nil || seen[name] {
		return ""
	}
	seen[name] = true
	var text strings.Builder
	text.WriteString(c.sources[name])
	for _, place := range p.Partials() {
		text.WriteString(c.wholeText(partialName(place.Name), seen))
	}
	return text.String()
}
