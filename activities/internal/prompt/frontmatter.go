package prompt

import (
	"encoding/json"
	"math"
	"strings"
)

// Settings are the keys of config that models of all vendors know. Nil and zero leave the choice to the model.
type Settings struct {
	Version     string   // of the model
	Temperature *float64 // 0 or more
	TopP        *float64 // 0 to 1
	TopK        int
	MaxTokens   int // maxOutputTokens, of the answer
	Stop        []string
	Extra       map[string]any // what else config holds
}

// reader fills a prompt from the fields of its front matter and keeps the first fault.
type reader struct {
	src     *source
	schemas func(name string) (json.RawMessage, bool)
	err     error
}

func (r Parser) frontMatter(p *Prompt, h head) error {
	fields, err := h.parse()
	if err != nil {
		return err
	}
	d := &reader{src: &p.source, schemas: r.Schemas}
	p.Raw = fields.plain()
	for _, f := range fields {
		d.key(p, f)
	}
	return d.err
}

func (d *reader) fail(at int, format string, args ...any) {
	if d.err == nil {
		d.err = d.src.fault(at, format, args...)
	}
}

func (d *reader) key(p *Prompt, f field) {
	switch f.key {
	case "name":
		d.text(f, &p.Name)
	case "variant":
		d.text(f, &p.Variant)
	case "version":
		d.text(f, &p.Version)
	case "description":
		d.text(f, &p.Description)
	case "model":
		d.text(f, &p.Model)
	case "tools":
		p.Tools = d.texts(f)
	case "config":
		o := d.mapping(f)
		p.Config, p.Settings = o.plain(), d.settings(o)
	case "metadata":
		p.Metadata = d.mapping(f).plain()
	case "input":
		d.input(p, d.mapping(f))
	case "output":
		d.output(p, d.mapping(f))
	case "toolDefs", "ext", "raw", "maxTurns": // of the format, without use here; Raw has them
	default:
		d.extension(p, f)
	}
}

// extension collects a key with a dot under what stands before its last dot; one without a dot is unknown.
func (d *reader) extension(p *Prompt, f field) {
	i := strings.LastIndexByte(f.key, '.')
	if i < 0 {
		line, column := d.src.place(f.at)
		p.Unknown = append(p.Unknown, Place{Name: f.key, File: d.src.file, Line: line, Column: column})
		return
	}
	if p.Ext == nil {
		p.Ext = map[string]map[string]any{}
	}
	space := f.key[:i]
	if p.Ext[space] == nil {
		p.Ext[space] = map[string]any{}
	}
	p.Ext[space][f.key[i+1:]] = plainValue(f.value)
}

func (d *reader) input(p *Prompt, o object) {
	for _, f := range o {
		switch f.key {
		case "default":
			p.Default = d.mapping(f).plain()
		case "schema":
			p.InputSchema = d.schema(f)
		default:
			d.fail(f.at, "input has no key %s: it has default and schema", f.key)
		}
	}
}

func (d *reader) output(p *Prompt, o object) {
	for _, f := range o {
		switch f.key {
		case "format":
			d.text(f, &p.OutputFormat)
		case "schema":
			p.OutputSchema = d.schema(f)
		default:
			d.fail(f.at, "output has no key %s: it has format and schema", f.key)
		}
	}
}

func (d *reader) settings(o object) (s Settings) {
	for _, f := range o {
		switch f.key {
		case "version":
			d.text(f, &s.Version)
		case "temperature":
			s.Temperature = d.number(f, math.MaxFloat64)
		case "topP":
			s.TopP = d.number(f, 1)
		case "topK":
			s.TopK = d.whole(f)
		case "maxOutputTokens":
			s.MaxTokens = d.whole(f)
		case "stopSequences":
			s.Stop = d.texts(f)
		default:
			if s.Extra == nil {
				s.Extra = map[string]any{}
			}
			s.Extra[f.key] = plainValue(f.value)
		}
	}
	return s
}

func (d *reader) text(f field, into *string) {
	s, ok := f.value.(string)
	if !ok && f.value != nil {
		d.fail(f.at, "%s is text: put the value in quotes", f.key)
	}
	if s != "" {
		*into = s
	}
}

func (d *reader) texts(f field) []string {
	list, ok := f.value.([]any)
	if !ok && f.value != nil {
		d.fail(f.at, "%s is a list: write [a, b], or one line with a hyphen for each", f.key)
	}
	texts := make([]string, 0, len(list))
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			d.fail(f.at, "%s is a list of texts: put each in quotes", f.key)
		}
		texts = append(texts, s)
	}
	return texts
}

func (d *reader) mapping(f field) object {
	o, ok := f.value.(object)
	if !ok && f.value != nil {
		d.fail(f.at, "%s is a mapping: write its keys below it, indented", f.key)
	}
	return o
}

func (d *reader) number(f field, most float64) *float64 {
	var n float64
	switch v := f.value.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		n = -1
	}
	if n < 0 || n > most {
		limit := ""
		if most < math.MaxFloat64 {
			limit = ", at most 1"
		}
		d.fail(f.at, "%s is a number, 0 or more%s", f.key, limit)
	}
	return &n
}

func (d *reader) whole(f field) int {
	n, ok := f.value.(int64)
	if !ok || n < 1 || n > math.MaxInt32 {
		d.fail(f.at, "%s is a whole number, 1 or more", f.key)
	}
	return int(n)
}
