package suite

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxTemplates = 10_000 // kept parsed
	maxRounds    = 5      // in which variables are put into variables, as promptfoo does
)

// template parses a template once.
func (x *expander) template(text string) (*nunjucks.Template, error) {
	if t, ok := x.templates[text]; ok {
		return t, nil
	}
	t, err := nunjucks.Parse(text)
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the template is wrong in its %s", err.Error())
	}
	if len(x.templates) >= maxTemplates {
		clear(x.templates)
	}
	x.templates[text] = t
	return t, nil
}

func (x *expander) text(text string, names nunjucks.Object) (string, error) {
	if nunjucks.Plain(text) {
		return text, nil
	}
	t, err := x.template(text)
	if err != nil {
		return "", err
	}
	return t.Render(names)
}

// names are what templates read: the variables, and env of the suite.
func (x *expander) names(vars nunjucks.Object) nunjucks.Object {
	env := x.suite.Env
	if env == nil {
		env = nunjucks.Object{}
	}
	return over(vars, nunjucks.Object{{Name: "env", Value: env}})
}

// variables puts variables into the texts of others. One line feed at the end of a text is taken away, as promptfoo does. A text that
// looks like a template and is none stays as it is: it came from a file, and those in the suite were checked.
func (x *expander) variables(raw nunjucks.Object) (nunjucks.Object, error) {
	vars := make(nunjucks.Object, len(raw))
	copy(vars, raw)
	for i, f := range vars {
		if text, ok := f.Value.(string); ok {
			vars[i].Value = strings.TrimSuffix(text, "\n")
		}
	}
	for range maxRounds {
		changed := false
		next := make(nunjucks.Object, len(vars))
		copy(next, vars)
		for i, f := range vars {
			text, ok := f.Value.(string)
			if !ok || nunjucks.Plain(text) {
				continue
			}
			t, err := x.template(text)
			if err != nil {
				continue
			}
			out, err := t.Render(x.names(vars))
			if err != nil {
				return nil, err
			}
			next[i].Value = out
			changed = changed || out != text
		}
		vars = next
		if !changed {
			break
		}
	}
	return vars, nil
}

// prompt renders a prompt. In a JSON prompt the texts are rendered one by one, so that no variable can break the JSON.
func (x *expander) prompt(p Prompt, prefix, suffix string, names nunjucks.Object) (string, error) {
	if p.json == nil || prefix != "" || suffix != "" {
		return x.text(prefix+p.Text+suffix, names)
	}
	value, err := x.within(p.json, names)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(jsonText(value)), "", "  "); err != nil {
		return "", schemas.Wrap(schemas.Internal, err, "the prompt cannot be written as JSON")
	}
	return b.String(), nil
}

// within renders the texts in a value.
func (x *expander) within(v any, names nunjucks.Object) (any, error) {
	switch v := v.(type) {
	case string:
		return x.text(v, names)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = x.within(item, names); err != nil {
				return nil, err
			}
		}
		return out, nil
	case nunjucks.Object:
		out := make(nunjucks.Object, len(v))
		for i, f := range v {
			value, err := x.within(f.Value, names)
			if err != nil {
				return nil, err
			}
			out[i] = nunjucks.Field{Name: f.Name, Value: value}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			value, err := x.within(item, names)
			if err != nil {
				return nil, err
			}
			out[key] = value
		}
		return out, nil
	}
	return v, nil
}

// assertions renders the values of assertions, and the names of their metrics. JavaScript that is no template stays as it is.
func (x *expander) assertions(list []schemas.Assertion, names nunjucks.Object) ([]schemas.Assertion, error) {
	var out []schemas.Assertion
	for _, a := range list {
		var err error
		if a.Metric, err = x.text(a.Metric, names); err != nil {
			return nil, err
		}
		script, isText := a.Value.(string)
		if strings.HasSuffix(a.Type, "javascript") && isText {
			if rendered, err := x.text(script, names); err == nil {
				a.Value = rendered
			}
		} else {
			value, err := x.within(a.Value, names)
			if err != nil {
				return nil, err
			}
			a.Value = value
		}
		if a.Assert, err = x.assertions(a.Assert, names); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}
