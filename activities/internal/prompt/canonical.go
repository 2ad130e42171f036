package prompt

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Canonical returns the text of a prompt file in the one spelling that all files of the same meaning share: lines end in a line feed,
// the front matter has a line of JSON for each key, in the order of keys, and no comments. Only in the schema of the output the order of
// properties stays as it is, since models write them in that order. What a template says is not changed. Error: *SyntaxError.
func Canonical(file, text string) (string, error) {
	text = lineEnds.ReplaceAllString(text, "\n")
	s := source{file: file, text: text}
	if err := s.check(); err != nil {
		return "", err
	}
	h, from, to, err := s.split()
	if err != nil {
		return "", err
	}
	if h.text == "" && from == len(text)-len(strings.TrimPrefix(text, "\uFEFF")) {
		return text[from:], nil // without front matter all is body, white space too
	}
	fields, err := h.parse()
	if err != nil {
		return "", err
	}
	written := "---\n" + fields.canonicalHead() + "---\n" + text[from:to] + "\n"
	if !sameHead(file, written, fields) {
		return "---\n" + h.text + "---\n" + text[from:to] + "\n", nil // a head that JSON cannot say within the bounds of the format stays as it is
	}
	return written, nil
}

var lineEnds = regexp.MustCompile(`\r+\n`)

// sameHead reports whether a written file reads back with the fields that it was written from.
func sameHead(file, written string, fields object) bool {
	s := source{file: file, text: written}
	if s.check() != nil {
		return false
	}
	h, _, _, err := s.split()
	if err != nil {
		return false
	}
	again, err := h.parse()
	return err == nil && again.canonicalHead() == fields.canonicalHead()
}

var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// canonicalHead writes the fields of a front matter, a line each.
func (o object) canonicalHead() string {
	var w strings.Builder
	for _, f := range o.sorted() {
		key := f.key
		if !plainKey.MatchString(key) {
			key = compact(key)
		}
		value := f.value
		if output, ok := value.(object); ok && f.key == "output" {
			value = output.canonicalOutput()
		} else {
			value = canonicalValue(value)
		}
		w.WriteString(key + ": " + compact(value) + "\n")
	}
	return w.String()
}

// canonicalOutput keeps the order of the properties of the output.
func (o object) canonicalOutput() object {
	o = o.sorted()
	for i, f := range o {
		if f.key == "schema" {
			o[i].value = canonicalSchema(f.value)
			continue
		}
		o[i].value = canonicalValue(f.value)
	}
	return o
}

// canonicalSchema sorts what is no property: in Picoschema every key is one.
func canonicalSchema(v any) any {
	o, ok := v.(object)
	kind, _ := o.get("type")
	name, _ := kind.(string)
	properties, _ := o.get("properties")
	if _, has := properties.(object); !ok || !slices.Contains(schemaTypes, name) && (!has || kind != nil) {
		return v
	}
	return canonicalKeywords(o)
}

func canonicalKeywords(v any) any {
	switch v := v.(type) {
	case object:
		v = v.sorted()
		for i, f := range v {
			properties, ok := f.value.(object)
			if !ok || f.key != "properties" {
				v[i].value = canonicalKeywords(f.value)
				continue
			}
			properties = slices.Clone(properties)
			for n, property := range properties {
				properties[n].value = canonicalKeywords(property.value)
			}
			v[i].value = properties
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = canonicalKeywords(item)
		}
		return list
	}
	return v
}

func canonicalValue(v any) any {
	switch v := v.(type) {
	case object:
		v = v.sorted()
		for i, f := range v {
			v[i].value = canonicalValue(f.value)
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = canonicalValue(item)
		}
		return list
	}
	return v
}

// sorted returns the fields by key.
func (o object) sorted() object {
	o = slices.Clone(o)
	slices.SortFunc(o, func(a, b field) int { return cmp.Compare(a.key, b.key) })
	return o
}

// compact is JSON without spaces and needless escapes, which is YAML too.
func compact(v any) string {
	var w strings.Builder
	switch v := v.(type) {
	case object:
		for i, f := range v {
			w.WriteString(separator('{', i) + compact(f.key) + ":" + compact(f.value))
		}
		return cmp.Or(w.String(), "{") + "}"
	case []any:
		for i, item := range v {
			w.WriteString(separator('[', i) + compact(item))
		}
		return cmp.Or(w.String(), "[") + "]"
	}
	encoder := json.NewEncoder(&w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil { // front matter holds nothing that is not JSON
		return "null"
	}
	return strings.TrimSpace(w.String())
}

func separator(first byte, i int) string {
	if i > 0 {
		return ","
	}
	return string(first)
}
