package suite

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

// test reads one test.
func (l *loader) test(v *tree.Value, what string) (Case, bool) {
	c := Case{File: v.File, Line: v.Line}
	asserts := []*tree.Value{}
	ok := l.object(v, what, keys{
		"description": l.text(&c.Description), "vars": func(v *tree.Value) { c.Vars = l.vars(v) },
		"assert": func(v *tree.Value) { asserts = listOf(v) }, "threshold": l.number(&c.Threshold),
		"options":  func(v *tree.Value) { l.options(v, &c) },
		"metadata": l.data(&c.Metadata), "providers": l.texts(&c.Providers), "prompts": l.texts(&c.Prompts),
		"providerOutput": func(v *tree.Value) { c.Output = v.Data() },
		"provider": func(v *tree.Value) {
			if p, ok := l.provider(v); ok && len(p) == 1 {
				c.Provider = &p[0]
			}
		},
		"assertScoringFunction": l.refuse("scoring functions are code, which is not run: give assertions weights, and the test a threshold"),
	})
	for _, item := range asserts {
		if a, ok := l.assertion(item, 0); ok {
			c.Assertions = append(c.Assertions, a)
		}
	}
	if id, ok := c.Metadata.Get("id"); ok {
		c.ID = nunjucks.Text(id)
	}
	switch tags, _ := c.Metadata.Get("tags"); tags := tags.(type) {
	case string:
		c.Tags = []string{tags}
	case []any:
		for _, tag := range tags {
			c.Tags = append(c.Tags, nunjucks.Text(tag))
		}
	}
	return c, ok
}

// graded are assertions with the grader of their test where they name none.
func graded(list []schemas.Assertion, g Grading) []schemas.Assertion {
	out := slices.Clone(list)
	for i := range out {
		a := &out[i]
		if AsksText(a.Type) {
			a.Provider, a.RubricPrompt = cmp.Or(a.Provider, g.Provider), cmp.Or(a.RubricPrompt, g.RubricPrompt)
		}
		if Embeds(a.Type) {
			a.Embedder = cmp.Or(a.Embedder, g.Embedder)
		}
		if len(a.Config) == 0 && len(g.Factuality) > 0 && strings.HasSuffix(a.Type, "factuality") {
			a.Config = json.RawMessage(jsonText(nunjucks.Object{{Name: "factuality", Value: g.Factuality}}))
		}
		a.Assert = graded(a.Assert, g)
	}
	return out
}

// options reads the options of a test. What promptfoo does not know goes to the provider, as there.
func (l *loader) options(v *tree.Value, c *Case) {
	g := &c.Graders
	known := keys{
		"prefix": l.text(&c.Prefix), "suffix": l.text(&c.Suffix), "transform": l.script(&c.Transform), "postprocess": l.script(&c.Transform),
		"provider": l.grader(&g.Provider, &g.Embedder), "rubricPrompt": l.rubric(&g.RubricPrompt), "disableVarExpansion": l.flag(&c.Whole), "disableDefaultAsserts": l.flag(&c.alone),
		"factuality":             l.data(&g.Factuality),
		"transformVars":          l.refuse("`transformVars` would run code before the prompt is made: write the variables as they are needed"),
		"storeOutputAs":          l.refuse("`storeOutputAs` lets tests see each other, and cells are apart: make it a chain of several steps"),
		"disableConversationVar": nil, "runSerially": l.without("cells do not see each other, so their order means nothing"),
	}
	if v.Kind != tree.Object {
		l.at(v, "options are a mapping of keys to values, and here is %s", v.Kind)
		return
	}
	for _, f := range v.Fields {
		read, ok := known[f.Key]
		switch {
		case !ok:
			if near := Closest(f.Key, slices.Sorted(maps.Keys(known))); near != "" {
				l.warn(f.Value, "`%s` is none of the options, so the provider gets it as a setting: did you mean `%s`?", clip(f.Key), near)
			}
			c.Config = append(c.Config, nunjucks.Field{Name: f.Key, Value: l.filled(f.Value)})
		case read != nil && f.Value.Kind != tree.Null:
			read(f.Value)
		}
	}
}

// grader reads the provider of a grader: a text, a mapping with id, or one of these by what it is for.
func (l *loader) grader(into, embedder *string) func(*tree.Value) {
	return func(v *tree.Value) {
		if v.Kind == tree.Object && v.Get("id") == nil && (v.Get("text") != nil || v.Get("embedding") != nil) {
			l.object(v, "a grader", keys{"text": l.grader(into, nil), "embedding": l.grader(embedder, nil)})
			return
		}
		p, ok := l.provider(v)
		if !ok || len(p) != 1 {
			return
		}
		if p[0].API == "embedding" || p[0].API == "embeddings" {
			into = cmp.Or(embedder, into)
		}
		*into = p[0].ID
		if len(p[0].Config) > 0 {
			l.at(v, "a grader with settings of its own is not supported: put them into models.yaml and name the model")
		}
	}
}

// rubric reads the prompt of a grader: a text, a list of messages, or a file.
func (l *loader) rubric(into *string) func(*tree.Value) {
	return func(v *tree.Value) {
		switch {
		case v.Kind == tree.Text && strings.HasPrefix(v.Text, "file://"):
			*into = nunjucks.Text(l.content(v, l.path(v.Text), false))
		case v.Kind == tree.Text:
			*into = v.Text
		case v.Kind == tree.List || v.Kind == tree.Object:
			*into = jsonText(v.Data())
		default:
			l.at(v, "a grader's prompt is a text or a list of messages, not %s", v.Kind)
			return
		}
		if value, err := nunjucks.ParseJSON(*into); err == nil && composite(value) {
			l.templatesOf(v, value)
			return
		}
		l.template(v, *into)
	}
}

// vars reads the variables of a test: a mapping, or files that hold one.
func (l *loader) vars(v *tree.Value) nunjucks.Object {
	var out nunjucks.Object
	if v.Kind == tree.Object {
		for _, f := range v.Fields {
			if f.Value.Kind == tree.Null {
				l.at(f.Value, "the variable `%s` has no value: write \"\" for an empty text", clip(f.Key))
				continue
			}
			out = append(out, nunjucks.Field{Name: f.Key, Value: l.variable(f.Value)})
		}
		return out
	}
	for _, item := range listOf(v) {
		if item.Kind != tree.Text {
			l.at(item, "vars are a mapping of names to values, or files of such mappings")
			continue
		}
		for _, path := range l.glob(item, item.Text) {
			document := l.document(path, item)
			if document != nil && document.Kind == tree.Object {
				out = over(l.vars(document), out)
			} else if document != nil {
				l.at(document, "a file of variables holds a mapping of names to values")
			}
		}
	}
	return out
}

// variable is the value of a variable. A text may name files, of which each is a value; so may the texts of a list.
func (l *loader) variable(v *tree.Value) any {
	if v.Kind == tree.Text && strings.HasPrefix(v.Text, "file://") {
		values := l.fileValues(v)
		if len(values) == 1 {
			return values[0]
		}
		return values
	}
	l.templatesOf(v, v.Data())
	if v.Kind != tree.List || !slices.ContainsFunc(v.Items, func(item *tree.Value) bool {
		return item.Kind == tree.Text && strings.HasPrefix(item.Text, "file://")
	}) {
		return v.Data()
	}
	var list []any
	for _, item := range v.Items {
		if item.Kind == tree.Text && strings.HasPrefix(item.Text, "file://") {
			list = append(list, l.fileValues(item)...)
			continue
		}
		list = append(list, item.Data())
	}
	return list
}

func (l *loader) fileValues(v *tree.Value) []any {
	if why := code(v.Text); why != "" {
		l.at(v, "%s", why)
		return nil
	}
	var values []any
	for _, path := range l.glob(v, v.Text) {
		values = append(values, l.content(v, path, false))
	}
	return values
}
