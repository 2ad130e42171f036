// Package nunjucks renders templates of the Nunjucks language, within bounds of time and space and without access to files.
//
// The language is that of https://mozilla.github.io/nunjucks/templating.html with autoescape off, as eval suites use it: output,
// filters, tests, inline conditions, if, for, set, filter, macro, raw and comments. There is no include, import, extends or block,
// no regular expression, no call of what the data holds, and no filter that draws by chance. A list of texts and numbers is written with commas,
// as there; objects, and lists that hold lists or objects, as JSON, where Nunjucks writes [object Object].
package nunjucks

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of a template and of a rendering.
const (
	MaxTemplate = 1 << 20 // bytes
	MaxOutput   = 4 << 20 // bytes, of the output and of every text on the way to it
	maxSteps    = 400_000 // nodes that are evaluated; long texts count more
	maxNesting  = 64      // of tags, parentheses, macros
)

// Template is a parsed template. It is immutable.
type Template struct {
	src  string
	body []node
}

// Error says what is wrong with a template, or with what it does to its data.
type Error struct {
	Line, Column int // in the template, from 1; the column in characters
	Message      string
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Plain reports whether a text has no tags and so renders to itself.
func Plain(src string) bool {
	return !strings.Contains(src, "{{") && !strings.Contains(src, "{%") && !strings.Contains(src, "{#")
}

// Parse reads a template. The error is an *Error with the place; unknown filters, tests and tags are found here.
func Parse(src string) (*Template, error) {
	t := &Template{src: src}
	if len(src) > MaxTemplate {
		return nil, t.fault(0, "the template is larger than %d MB: split it", MaxTemplate>>20)
	}
	p := &parser{t: t, src: src}
	body, err := p.nodes()
	if err != nil {
		return nil, err
	}
	if p.closing != "" {
		return nil, t.fault(p.closingAt, "there is nothing for {%% %s %%} to end: remove it", p.closing)
	}
	t.body = body
	return t, nil
}

func (t *Template) fault(at int, format string, args ...any) *Error {
	before := t.src[:min(at, len(t.src))]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return &Error{
		Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(line), Message: fmt.Sprintf(format, args...),
	}
}

// Render renders the template. Values are nil, bool, float64, string, []any and Object; a name that vars does not have writes
// nothing. Errors, all of code invalid and an *Error too: a bound is passed, or a call, a lookup or a filter has no meaning.
func (t *Template) Render(vars Object) (string, error) {
	r := &rendering{t: t, out: &strings.Builder{}, steps: maxSteps, globals: map[string]any{}}
	for _, f := range vars {
		r.globals[f.Name] = f.Value
	}
	r.scopes = []map[string]any{{}}
	if err := r.nodes(t.body); err != nil {
		return "", schemas.Wrap(schemas.Invalid, err, "the template cannot be rendered: %s", err.Error())
	}
	return r.out.String(), nil
}

// Variables returns the names that the template reads and does not set itself, sorted.
func (t *Template) Variables() []string {
	seen := &names{read: map[string]bool{}, made: map[string]bool{}}
	seen.nodes(t.body)
	var out []string
	for name := range seen.read {
		if !seen.made[name] && name != "range" && name != "loop" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
