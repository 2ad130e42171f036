package prompt

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// Picoschema is the compact notation for JSON Schema of https://google.github.io/dotprompt/reference/picoschema/.

var (
	scalarTypes = []string{"any", "boolean", "integer", "null", "number", "string"}
	schemaTypes = append([]string{"array", "object"}, scalarTypes...)
)

// schema returns the JSON Schema of a field: what is JSON Schema already stays as it is, Picoschema is translated.
func (d *reader) schema(f field) json.RawMessage {
	var value any
	o, isObject := f.value.(object)
	kind, _ := o.get("type")
	kindName, _ := kind.(string)
	properties, _ := o.get("properties")
	_, hasProperties := properties.(object)
	switch {
	case f.value == nil || d.err != nil:
		return nil
	case isObject && slices.Contains(schemaTypes, kindName):
		value = o
	case isObject && hasProperties && kind == nil:
		value = append(object{{key: "type", value: "object"}}, o...)
	default:
		value = d.pico(f)
	}
	if d.err != nil {
		return nil
	}
	data, err := json.Marshal(value)
	if err != nil { // front matter holds nothing that is not JSON
		d.fail(f.at, "the schema cannot be written as JSON")
	}
	return data
}

func (d *reader) pico(f field) object {
	switch v := f.value.(type) {
	case string:
		return d.named(v, f.at)
	case object:
		return d.picoObject(v)
	}
	d.fail(f.at, "%s has a schema that is neither a type nor a mapping of fields: write a type such as string", f.key)
	return nil
}

// named is a scalar type or the name of a schema, with a description behind a comma.
func (d *reader) named(text string, at int) object {
	name, description := described(text)
	var s object
	switch {
	case name == "any":
	case slices.Contains(scalarTypes, name):
		s = object{{key: "type", value: name}}
	default:
		s = d.resolve(name, at)
	}
	if description != "" {
		s = s.with("description", description)
	}
	if s == nil {
		s = object{}
	}
	return s
}

// resolve looks a schema up by name.
func (d *reader) resolve(name string, at int) object {
	if d.schemas != nil {
		if data, ok := d.schemas(name); ok {
			s, err := decodeObject(data)
			if err != nil {
				d.fail(at, "the schema %s is not a JSON object", name)
			}
			return s
		}
	}
	d.fail(at, "there is no type or schema %q: types are %s", name, strings.Join(scalarTypes, ", "))
	return nil
}

func (d *reader) picoObject(o object) object {
	properties, required := object{}, []any{}
	var rest any = false
	for _, f := range o {
		if f.key == "(*)" {
			rest = d.pico(f)
			continue
		}
		name, optional, property := d.property(f)
		if !optional {
			required = append(required, name)
		}
		if _, twice := properties.get(name); twice {
			d.fail(f.at, "the field %s stands twice: remove one", name)
		}
		properties = append(properties, field{key: name, value: property})
	}
	s := object{{key: "type", value: "object"}, {key: "properties", value: properties}}
	if len(required) > 0 {
		s = append(s, field{key: "required", value: required})
	}
	return append(s, field{key: "additionalProperties", value: rest})
}

// property reads one field: name, name?, name(array, description), name?(enum).
func (d *reader) property(f field) (name string, optional bool, s object) {
	name, inside, typed := strings.Cut(f.key, "(")
	name, optional = strings.CutSuffix(strings.TrimSpace(name), "?")
	if !typed {
		s = d.pico(f)
		return name, optional, s.nullable(optional)
	}
	kind, description := described(strings.TrimSuffix(strings.TrimSpace(inside), ")"))
	switch {
	case !strings.HasSuffix(strings.TrimSpace(inside), ")"):
		d.fail(f.at, "the parenthesis of %s is never closed: add )", f.key)
	case kind == "array":
		s = object{{key: "type", value: "array"}, {key: "items", value: d.pico(f)}}
	case kind == "object":
		s = d.pico(f)
	case kind == "enum":
		s = d.enum(f, optional)
	default:
		d.fail(f.at, "a field in parentheses is array, object or enum, not %q", kind)
	}
	s = s.nullable(optional)
	if description != "" {
		s = s.with("description", description)
	}
	return name, optional, s
}

func (d *reader) enum(f field, optional bool) object {
	values, ok := f.value.([]any)
	if !ok || len(values) == 0 {
		d.fail(f.at, "an enum is a list of values: write [A, B]")
	}
	if optional && !slices.Contains(values, nil) {
		values = append(slices.Clip(values), nil)
	}
	return object{{key: "enum", value: values}}
}

// described splits a type from its description.
func described(text string) (name, description string) {
	name, description, _ = strings.Cut(text, ",")
	return strings.TrimSpace(name), strings.TrimSpace(description)
}

// nullable lets an optional field be null too.
func (o object) nullable(optional bool) object {
	kind, _ := o.get("type")
	if name, ok := kind.(string); ok && optional {
		return o.with("type", []any{name, "null"})
	}
	return o
}

// with returns o with another value of a key.
func (o object) with(key string, value any) object {
	for i, f := range o {
		if f.key == key {
			o = slices.Clone(o)
			o[i].value = value
			return o
		}
	}
	return append(slices.Clip(o), field{key: key, value: value})
}

var errNoObject = errors.New("not a JSON object")

// decodeObject reads a JSON object; the values of its keys stay as they are.
func decodeObject(data []byte) (object, error) {
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errNoObject
	}
	var o object
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		var value any
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return nil, err
		}
		value = raw
		if text := ""; json.Unmarshal(raw, &text) == nil && len(raw) > 0 && raw[0] == '"' {
			value = text
		}
		o = append(o, field{key: key, value: value})
	}
	return o, nil
}
