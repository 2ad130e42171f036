// Package suite reads eval suites in promptfoo's YAML format, checks them, and expands them into cells.
//
// The format is that of https://www.promptfoo.dev/docs/configuration/reference. What promptfoo would run as code is refused: Python,
// JavaScript files, exec:, scripts and HTTP endpoints as providers. Inline JavaScript is kept, for assertions and transforms of outputs.
//
// Unknown keys are refused where promptfoo's published JSON Schema refuses them, and taken where it takes any: vars, metadata, config,
// options. At run time promptfoo passes them over, and a misspelt threshold then makes a suite that cannot fail. Keys that it knows and
// that mean nothing here (outputPath, sharing, commandLineOptions and such) are warnings.
//
// Providers are written as
//
//	chain:docs-qa@production   a chain at a label or release; chain:docs-qa is the chain of the release under test
//	release:HASH               a release, by its hash
//	prompt:NAME                a prompt of the project, with the model that it names
//	model:NAME                 a model or route of the project, and PROVIDER/MODEL one of the installation
//	echo                       the prompt comes back
//	openai:gpt-5-mini          promptfoo's spellings, kept as data: vendor, API and model
//
// The first three have prompts of their own: they are given a test's variables, and run it once whatever the suite's prompts are.
//
// Some things are ours. A test's metadata may hold id, by which policies and baselines know it, and tags; and a suite may hold
//
//	schedule: {cron: "0 3 * * *", timezone: Europe/Berlin, jitter: 10m, catchup: 6h}   # or the cron text alone
//	budget: {tokens: 2000000, usd: 5}                                                   # of one run; one of them is enough
//	policy:
//	  required: [greets]                                  # cases of which every sample passes
//	  thresholds: [{tag: smoke, pass_rate: 0.95}]         # or score; without tag over all cases
//	  no_regression: {measure: score, alpha: 0.05, power: 0.8, minimum_effect: 0.02}
//
// A policy that says nothing of what must hold, and a suite without one, ask that every cell passes.
//
// Where the text of a suite leaves a choice, it is promptfoo's: a list of variables that begins with a text is one value a cell, other
// lists are values; a text file of prompts is split at lines of three hyphens, a Markdown file is one prompt; assertions of the default
// test come first. Unlike there, the environment of the process is not read, dates in YAML are texts, files lie in the suite's folder,
// and a test with a provider of its own runs by that alone, once a prompt.
package suite

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/suite/internal/tree"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Suite is a suite as it was read. Every case has what the suite's default test and scenarios give it.
type Suite struct {
	File        string
	Description string
	Tags        map[string]string
	Metadata    nunjucks.Object
	Env         nunjucks.Object // what templates read as env; the environment of a process is never read
	Prompts     []Prompt
	Providers   []Provider
	Cases       []Case
	Options     Options
	Schedule    *Schedule
	Policy      json.RawMessage // a policy of verdicts, see the keys of policy; nil where there is none
	Budget      *Budget
	Baseline    string // what runs are compared with where nobody says otherwise: a label or the hash of a release
	Notify      *schemas.EvalNotify
	MaxAge      *int64 // milliseconds; answers that were given longer before a run's start are asked for anew. Nil takes every answer
}

// Prompt is one variant of what is asked.
type Prompt struct {
	ID     string
	Label  string
	Text   string // a template; a JSON list of messages is a chat, whose texts are templates
	Config any    // over that of the provider
	json   any    // Text, where it is JSON
}

// Case is a test before its lists of variables are expanded.
type Case struct {
	ID          string // of metadata.id; empty is derived from the content
	Description string
	Tags        []string // of metadata.tags
	Vars        nunjucks.Object
	Assertions  []schemas.Assertion
	Threshold   *float64
	Prefix      string // of the prompt
	Suffix      string
	Transform   string
	Config      nunjucks.Object // of options: over that of the provider
	Graders     Grading         // for assertions that say nothing else; those of the case have it already
	Metadata    nunjucks.Object
	Provider    *Provider // instead of those of the suite
	Providers   []string  // of the suite, by label or id, with * for any text; empty is all
	Prompts     []string  // by label or id; empty is all
	Output      any       // given instead of a call; nil for none
	Whole       bool      // lists of variables are values
	File        string
	Line        int
	alone       bool // without the assertions of the default test
}

// Grading is what options say of model-graded assertions.
type Grading struct {
	Provider     string          // as a provider is spelt
	Embedder     string          // of assertions that compare by embeddings, likewise
	RubricPrompt string          // a template, or a JSON list of messages with templates
	Factuality   nunjucks.Object // scores of factuality's outcomes
}

// Options are evaluateOptions.
type Options struct {
	Repeat         int // samples of each case, at least 1
	MaxConcurrency int // 0 leaves it to the providers' limits
}

// Schedule says when a suite runs by itself.
type Schedule struct {
	Cron     string `json:"cron"`                 // five fields
	TimeZone string `json:"timezone,omitempty"`   // IANA name; empty is UTC
	JitterS  int    `json:"jitter_s,omitempty"`   // seconds by which a start may be late
	CatchUpS int    `json:"catch_up_s,omitempty"` // seconds for which a missed run is made up; 0 is the platform's
}

// Budget bounds one run of a suite. Zero fields are no bound.
type Budget struct {
	Tokens int64   `json:"tokens,omitempty"`
	USD    float64 `json:"usd,omitempty"`
}

// Load reads and checks a suite and the files that it names, below the folder of fsys. Problems and warnings are sorted by file, line and
// column, and each says what to do; a suite with problems is nil. Links are followed as far as fsys follows them, so give it one that
// keeps them inside, such as that of os.Root.
func Load(fsys fs.FS, file string) (suite *Suite, problems, warnings []schemas.Problem) {
	l := &loader{files: &files{fsys: fsys, texts: map[string]string{}}, suite: &Suite{File: file, Options: Options{Repeat: 1}}}
	if root := l.document(file, nil); root != nil {
		l.root(l.references(root))
	} else if len(l.problems) == 0 {
		l.fail(schemas.Problem{File: file, Message: "the file is empty: write `prompts:`, `providers:` and `tests:` into it"})
	}
	problems, warnings = inOrder(l.problems), inOrder(l.warnings)
	if len(problems) > 0 {
		return nil, problems, warnings
	}
	return l.suite, nil, warnings
}

func inOrder(list []schemas.Problem) []schemas.Problem {
	slices.SortFunc(list, func(a, b schemas.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(list)
}

// loader fills a suite from its files.
type loader struct {
	files    *files
	suite    *Suite
	problems []schemas.Problem
	warnings []schemas.Problem
	defaults Case // the default test
}

// maxProblems bounds what one broken file can say.
const maxProblems = 1000

func (l *loader) fail(p ...schemas.Problem) {
	for _, problem := range p {
		if len(l.problems) < maxProblems {
			l.problems = append(l.problems, problem)
		}
	}
}

func (l *loader) at(v *tree.Value, format string, args ...any) { l.fail(v.Problem(format, args...)) }

func (l *loader) warn(v *tree.Value, format string, args ...any) {
	if len(l.warnings) < maxProblems {
		l.warnings = append(l.warnings, v.Problem(format, args...))
	}
}

// keys are what an object may have, each with its reader.
type keys map[string]func(v *tree.Value)

// object reads an object key by key and reports those that it may not have. It is false for what is no object.
func (l *loader) object(v *tree.Value, what string, known keys) bool {
	if v.Kind != tree.Object {
		l.at(v, "%s is a mapping of keys to values, and here is %s", what, v.Kind)
		return false
	}
	for _, f := range v.Fields {
		read, ok := known[f.Key]
		if !ok {
			l.fail(schemas.Problem{File: v.File, Line: f.Line, Column: f.Column, Message: fmt.Sprintf("%s has no key `%s`%s", what, clip(f.Key), meant(f.Key, known))})
			continue
		}
		if read != nil && f.Value.Kind != tree.Null {
			read(f.Value)
		}
	}
	return true
}

func (l *loader) text(into *string) func(*tree.Value) {
	return func(v *tree.Value) {
		if v.Kind != tree.Text {
			l.at(v, "text is expected here, not %s", v.Kind)
			return
		}
		*into = v.Text
	}
}

// templated is text that may be a template.
func (l *loader) templated(into *string) func(*tree.Value) {
	return func(v *tree.Value) {
		l.text(into)(v)
		l.template(v, *into)
	}
}

func (l *loader) number(into **float64) func(*tree.Value) {
	return func(v *tree.Value) {
		f, ok := v.Number()
		if !ok {
			l.at(v, "a number is expected here, not %s", v.Kind)
			return
		}
		*into = &f
	}
}

func (l *loader) count(into *int, least, most int) func(*tree.Value) {
	return func(v *tree.Value) {
		f, ok := v.Number()
		if !ok || f < float64(least) || f > float64(most) || f != float64(int(f)) {
			l.at(v, "a whole number from %d to %d is expected here", least, most)
			return
		}
		*into = int(f)
	}
}

func (l *loader) flag(into *bool) func(*tree.Value) {
	return func(v *tree.Value) {
		if v.Kind != tree.Boolean {
			l.at(v, "true or false is expected here, not %s", v.Kind)
			return
		}
		*into = v.Text == "true"
	}
}

func (l *loader) texts(into *[]string) func(*tree.Value) {
	return func(v *tree.Value) {
		for _, item := range listOf(v) {
			if item.Kind != tree.Text {
				l.at(item, "text is expected here, not %s", item.Kind)
				continue
			}
			*into = append(*into, item.Text)
		}
	}
}

func (l *loader) data(into *nunjucks.Object) func(*tree.Value) {
	return func(v *tree.Value) {
		object, ok := v.Data().(nunjucks.Object)
		if !ok {
			l.at(v, "a mapping of keys to values is expected here, not %s", v.Kind)
			return
		}
		*into = object
	}
}

// listOf is a list, or the one value that stands for it.
func listOf(v *tree.Value) []*tree.Value {
	if v.Kind == tree.List {
		return v.Items
	}
	return []*tree.Value{v}
}
