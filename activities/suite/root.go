package suite

import (
	"cmp"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
)

// root reads the suite's own file. Prompts, providers and the default test are needed by what follows, whatever the order of the file.
func (l *loader) root(v *tree.Value) {
	s := l.suite
	extensions := func(v *tree.Value) {
		if v.Kind != tree.List || len(v.Items) > 0 {
			l.at(v, "extensions are code, which is not run: remove the key")
		}
	}
	ok := l.object(v, "a suite", keys{
		"$schema": nil, "assertionTemplates": nil, "description": l.text(&s.Description), "tags": l.tags, "metadata": l.data(&s.Metadata), "env": l.env,
		"prompts": l.prompts, "providers": l.providers, "targets": l.providers, "defaultTest": l.defaultTest, "tests": nil, "scenarios": nil,
		"evaluateOptions": l.evaluateOptions, "schedule": l.schedule, "policy": l.policy, "budget": l.budget, "baseline": l.text(&s.Baseline), "notify": l.notify, "max_age": l.maxAge,
		"outputPath":         l.without("tenuto writes reports where its own flags say"),
		"sharing":            l.without("reports are kept in the object store"),
		"writeLatestResults": l.without("every run is kept"),
		"commandLineOptions": l.without("give the flags to the command"),
		"tracing":            l.without("traces are configured with the platform"),
		"nunjucksFilters":    l.refuse("filters of your own are JavaScript files, which are not run: use the filters that there are"),
		"redteam":            l.refuse("attacks are not generated here: write them as tests"),
		"derivedMetrics":     l.refuse("derived metrics are not computed: give assertions a `metric`, and weights"),
		"extensions":         extensions,
	})
	if !ok {
		return
	}
	if v.Get("targets") != nil && v.Get("providers") != nil {
		l.at(v.Get("targets"), "`targets` is another name of `providers`: keep one of them")
	}
	if len(s.Providers) == 0 && v.Get("providers") == nil && v.Get("targets") == nil {
		l.at(v, "`providers` is missing: write for instance `providers: [chain:docs-qa@staging]`")
	}
	if len(s.Prompts) == 0 && len(l.problems) == 0 {
		l.noPrompts(v)
	}
	for _, key := range []string{"tests", "scenarios"} {
		if part := v.Get(key); part != nil && part.Kind != tree.Null {
			map[string]func(*tree.Value){"tests": l.tests, "scenarios": l.scenarios}[key](part)
		}
	}
	switch given := cmp.Or(v.Get("tests"), v.Get("scenarios")); {
	case given == nil:
		l.add(Case{File: v.File, Line: v.Line}, v)
	case len(s.Cases) == 0 && len(l.problems) == 0:
		l.at(given, "there is no test here, so nothing could fail: write one, or remove the key, and each prompt is asked once as it is")
	}
	l.names(v)
}

// noPrompts allows for a suite whose providers have prompts of their own.
func (l *loader) noPrompts(v *tree.Value) {
	for _, p := range l.suite.Providers {
		if !p.Own() {
			l.at(v, "`prompts` is missing, and the provider `%s` has none of its own: add prompts", clip(p.ID))
			return
		}
	}
	l.suite.Prompts = []Prompt{{Label: ""}}
}

func (l *loader) without(why string) func(*tree.Value) {
	return func(v *tree.Value) { l.warn(v, "this key has no effect: %s", why) }
}

func (l *loader) refuse(why string) func(*tree.Value) {
	return func(v *tree.Value) { l.at(v, "%s", why) }
}

func (l *loader) tags(v *tree.Value) {
	l.suite.Tags = map[string]string{}
	object, _ := v.Data().(nunjucks.Object)
	if v.Kind != tree.Object {
		l.at(v, "tags are a mapping of names to texts")
	}
	for _, f := range object {
		l.suite.Tags[f.Name] = nunjucks.Text(f.Value)
	}
}

func (l *loader) env(v *tree.Value) {
	l.data(&l.suite.Env)(v)
	for i, f := range l.suite.Env {
		l.suite.Env[i].Value = nunjucks.Text(f.Value)
		if strings.HasSuffix(f.Name, "_KEY") || strings.HasSuffix(f.Name, "_TOKEN") || strings.HasSuffix(f.Name, "_SECRET") {
			l.warn(v, "`%s` in `env` is seen by templates only: the worker reads the keys of providers from its own environment", clip(f.Name))
		}
	}
}

func (l *loader) evaluateOptions(v *tree.Value) {
	o := &l.suite.Options
	l.object(v, "evaluateOptions", keys{
		"repeat": l.count(&o.Repeat, 1, 1000), "maxConcurrency": l.count(&o.MaxConcurrency, 1, 10_000),
		"timeoutMs":            l.without("a call has two minutes, or what the step of its chain says"),
		"delay":                l.without("calls wait for the limits of their provider, which models.yaml says"),
		"cache":                l.cache,
		"showProgressBar":      l.without("progress is shown where there is a terminal"),
		"maxEvalTimeMs":        l.without("a run is bounded by its budget"),
		"eventSource":          l.without("it is for promptfoo's telemetry"),
		"generateSuggestions":  l.without("no suggestions are made"),
		"interactiveProviders": l.without("there are none"),
		"silent":               l.without("progress goes to stderr"),
		"isRedteam":            l.refuse("attacks are not generated here: write them as tests"),
	})
}

// names checks that tests and providers name prompts and providers that there are.
func (l *loader) names(v *tree.Value) {
	if len(l.problems) > 0 {
		return
	}
	for _, p := range l.suite.Providers {
		for _, name := range p.Prompts {
			if !l.anyPrompt(name) {
				l.at(v, "the provider `%s` asks for the prompt `%s`, which there is not: use its label or id", clip(p.ID), clip(name))
			}
		}
	}
	for i := range l.suite.Cases {
		c := &l.suite.Cases[i]
		at := &tree.Value{File: c.File, Line: c.Line, Column: 1}
		if len(l.suite.pairs(c)) == 0 && len(c.Prompts)+len(c.Providers) == 0 {
			l.at(at, "no provider runs the test, because none is given a prompt: look at the `prompts` of the providers")
		} else if len(l.suite.pairs(c)) == 0 {
			l.at(at, "nothing runs the test: no provider that it names is given a prompt that it names")
		}
		for _, name := range c.Prompts {
			if !l.anyPrompt(name) {
				l.at(at, "the test asks for the prompt `%s`, which there is not: use its label or id", clip(name))
			}
		}
		for _, name := range c.Providers {
			if !anyProvider(l.suite.Providers, name) {
				l.at(at, "the test asks for the provider `%s`, which there is not: use its label or id", clip(name))
			}
		}
	}
}

func (l *loader) anyPrompt(name string) bool {
	for _, p := range l.suite.Prompts {
		if p.named(name) {
			return true
		}
	}
	return false
}

func anyProvider(providers []Provider, name string) bool {
	for _, p := range providers {
		if p.named(name) {
			return true
		}
	}
	return false
}
