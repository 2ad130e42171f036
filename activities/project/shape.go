package project

import (
	"encoding/json"
	"maps"
	"slices"
)

// shape is what is known of a value: a JSON Schema, or nil where nothing is known.
type shape map[string]any

func shapeOf(schema json.RawMessage) shape {
	var s shape
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	return s
}

// fields is the shape of an object that has these fields and no others.
func fields(names ...string) shape {
	properties := map[string]any{}
	for _, name := range names {
		properties[name] = map[string]any{}
	}
	return shape{"type": "object", "properties": properties, "additionalProperties": false}
}

// composed are keywords that add to what properties says.
var composed = []string{"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas"}

// below returns the shape of a field. It is not ok if there is no such field; a schema that does not mention additional properties
// has none, as far as expressions go.
func (s shape) below(name string) (field shape, ok bool) {
	if s == nil || slices.ContainsFunc(composed, func(k string) bool { _, has := s[k]; return has }) {
		return nil, true
	}
	properties, listed := s["properties"].(map[string]any)
	if property, has := properties[name]; has {
		field, _ = property.(map[string]any)
		return field, true
	}
	switch rest := s["additionalProperties"].(type) {
	case map[string]any:
		return rest, true
	case bool:
		return nil, rest
	}
	return nil, !listed && s.mayBeObject()
}

// mayBeObject reports whether the schema allows objects.
func (s shape) mayBeObject() bool {
	switch t := s["type"].(type) {
	case string:
		return t == "object"
	case []any:
		return slices.Contains(t, any("object"))
	}
	return true
}

// names are the fields that the schema lists, sorted.
func (s shape) names() []string {
	properties, _ := s["properties"].(map[string]any)
	return slices.Sorted(maps.Keys(properties))
}

// required are the fields that must be there.
func (s shape) required() []string {
	list, _ := s["required"].([]any)
	var names []string
	for _, item := range list {
		if name, ok := item.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// missing follows fields down from s. It returns the index of the first that there is not, and the shape that lacks it; -1 for none.
func (s shape) missing(fields []string) (int, shape) {
	for i, name := range fields {
		field, ok := s.below(name)
		if !ok {
			return i, s
		}
		s = field
	}
	return -1, nil
}
