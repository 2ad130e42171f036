package suite

import (
	pathpkg "path"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

func (l *loader) defaultTest(v *tree.Value) {
	if v.Kind == tree.Text {
		if !strings.HasPrefix(v.Text, "file://") {
			l.at(v, "`defaultTest` is a mapping, or file:// and where it is")
			return
		}
		if v = l.document(l.path(v.Text), v); v == nil {
			return
		}
	}
	l.defaults, _ = l.test(v, "the default test")
}

func (l *loader) tests(v *tree.Value) {
	for _, item := range listOf(v) {
		switch {
		case item.Kind == tree.Text:
			l.testFiles(item, item.Text)
		case item.Kind == tree.Object && item.Get("path") != nil:
			l.at(item, "tests that code generates are not supported: write them as YAML, JSONL or CSV")
		default:
			l.addTest(item)
		}
	}
}

func (l *loader) addTest(v *tree.Value) {
	if c, ok := l.test(v, "a test"); ok {
		l.add(c, v)
	}
}

// testFiles reads the tests of the files that a text names.
func (l *loader) testFiles(v *tree.Value, name string) {
	switch why := code(name); {
	case why != "":
		l.at(v, "%s", why)
		return
	case strings.Contains(strings.TrimPrefix(name, "file://"), "://"):
		l.at(v, "tests are not fetched from elsewhere: save them beside the suite as CSV, JSONL or YAML")
		return
	}
	for _, path := range l.glob(v, name) {
		l.testFile(v, path)
	}
}

func (l *loader) testFile(v *tree.Value, path string) {
	switch pathpkg.Ext(path) {
	case ".csv":
		if text, ok := l.read(path, v); ok {
			l.testRows(path, text)
		}
	case ".jsonl":
		if text, ok := l.read(path, v); ok {
			l.testLines(path, text)
		}
	case ".json", ".yaml", ".yml":
		document := l.document(path, v)
		if document == nil {
			return
		}
		for _, item := range listOf(l.references(document)) {
			if item.Kind == tree.Text {
				l.at(item, "a file of tests names no further files: name them in the suite")
				continue
			}
			l.addTest(item)
		}
	default:
		l.at(v, "tests are read from .yaml, .json, .jsonl and .csv files, and %s is none", clip(path))
	}
}

func (l *loader) testLines(path, text string) {
	line := 0
	for part := range strings.Lines(text) {
		line++
		switch part = strings.TrimRight(part, "\n"); {
		case strings.TrimSpace(part) == "":
			continue
		case len(part) > maxLine:
			l.fail(schemas.Problem{File: path, Line: line, Message: "the line is longer than 4 MB: put long texts into files of their own"})
			continue
		}
		document, problems := tree.JSON(path, part, line)
		l.fail(problems...)
		if document != nil {
			l.addTest(document)
		}
	}
}

func (l *loader) scenarios(v *tree.Value) {
	for _, item := range listOf(v) {
		if item.Kind == tree.Text {
			for _, path := range l.glob(item, item.Text) {
				if document := l.document(path, item); document != nil {
					for _, one := range listOf(l.references(document)) {
						l.scenario(one)
					}
				}
			}
			continue
		}
		l.scenario(item)
	}
}

// scenario makes of each set of data and each test one test.
func (l *loader) scenario(v *tree.Value) {
	var data, tests []Case
	description := ""
	read := func(into *[]Case, what string) func(*tree.Value) {
		return func(v *tree.Value) {
			for _, item := range listOf(v) {
				if item.Kind == tree.Text {
					l.fileCases(item, into)
				} else if c, ok := l.test(item, what); ok {
					*into = append(*into, c)
				}
			}
		}
	}
	l.object(v, "a scenario", keys{"description": l.text(&description), "config": read(&data, "a scenario's config"), "tests": read(&tests, "a test")})
	if tests == nil {
		tests = []Case{{File: v.File, Line: v.Line}}
	}
	if data == nil && len(l.problems) == 0 {
		l.at(v, "`config` is missing: write a list of sets of variables")
	}
	for _, d := range data {
		for _, t := range tests {
			if len(l.suite.Cases) >= maxCases {
				break
			}
			t = under(t, d)
			if t.Description == "" {
				t.Description = description
			}
			l.add(t, v)
		}
	}
}

// fileCases reads cases of a scenario from a file as tests are read.
func (l *loader) fileCases(v *tree.Value, into *[]Case) {
	before, defaults := l.suite.Cases, l.defaults
	l.suite.Cases, l.defaults = nil, Case{}
	l.testFiles(v, v.Text)
	*into = append(*into, l.suite.Cases...)
	l.suite.Cases, l.defaults = before, defaults
}

// add takes a test, with what the default test gives it.
func (l *loader) add(c Case, v *tree.Value) {
	if len(l.suite.Cases) >= maxCases {
		if len(l.suite.Cases) == maxCases {
			l.at(v, "the suite has more than %d tests: split it", maxCases)
		}
		return
	}
	defaults := l.defaults
	if c.alone {
		defaults.Assertions = nil
	}
	c = under(c, defaults)
	c.Assertions = graded(c.Assertions, c.Graders)
	l.suite.Cases = append(l.suite.Cases, c)
}

// under is a test over what it inherits: its own keys win, assertions come after those that it inherits.
func under(c, from Case) Case {
	c.Vars, c.Config, c.Metadata = over(c.Vars, from.Vars), over(c.Config, from.Config), over(c.Metadata, from.Metadata)
	c.Assertions = append(slices.Clone(from.Assertions), c.Assertions...)
	if c.Threshold == nil {
		c.Threshold = from.Threshold
	}
	for _, pair := range []struct{ own, given *string }{
		{&c.Graders.Provider, &from.Graders.Provider},
		{&c.Graders.Embedder, &from.Graders.Embedder},
		{&c.Graders.RubricPrompt, &from.Graders.RubricPrompt},
		{&c.Description, &from.Description},
		{&c.Prefix, &from.Prefix},
		{&c.Suffix, &from.Suffix},
		{&c.Transform, &from.Transform},
	} {
		if *pair.own == "" {
			*pair.own = *pair.given
		}
	}
	if c.Graders.Factuality == nil {
		c.Graders.Factuality = from.Graders.Factuality
	}
	if c.Provider == nil {
		c.Provider = from.Provider
	}
	if c.Providers == nil {
		c.Providers = from.Providers
	}
	if c.Prompts == nil {
		c.Prompts = from.Prompts
	}
	if c.Tags == nil {
		c.Tags = from.Tags
	}
	if c.Output == nil {
		c.Output = from.Output
	}
	c.Whole, c.alone = c.Whole || from.Whole, c.alone || from.alone
	return c
}

// over is an object with the fields of another that it does not have. Inherited fields come first, as promptfoo spreads them.
func over(own, from nunjucks.Object) nunjucks.Object {
	if len(from) == 0 {
		return own
	}
	out := slices.Clone(from)
	place := map[string]int{}
	for i, f := range out {
		place[f.Name] = i
	}
	for _, f := range own {
		if i, ok := place[f.Name]; ok {
			out[i].Value = f.Value
			continue
		}
		out = append(out, f)
	}
	return out
}
