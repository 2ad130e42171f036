package prompt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Values in a rendering are nil, bool, int64, float64, json.Number (what fits neither), string, []any and map[string]any.

const maxValueDepth = 100

// normal turns a value of Go into one of these kinds; what is none of them goes through its JSON form.
func normal(v any, depth int) (any, error) {
	if depth > maxValueDepth {
		return nil, schemas.Errorf(schemas.Invalid, "the input is nested more than %d deep", maxValueDepth)
	}
	switch v := v.(type) {
	case nil, bool, string, int64:
		return v, nil
	case int:
		return int64(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, schemas.Errorf(schemas.Invalid, "the input holds %v, which is no number", v)
		}
		return v, nil
	case json.Number:
		return number(v), nil
	case []any:
		return normalList(v, depth)
	case map[string]any:
		return normalMap(v, depth)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the input holds a value that cannot be written as JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the input holds a value whose JSON form is broken")
	}
	return normal(plain, depth+1)
}

func normalList(list []any, depth int) (any, error) {
	out := make([]any, len(list))
	for i, item := range list {
		value, err := normal(item, depth+1)
		if err != nil {
			return nil, err
		}
		out[i] = value
	}
	return out, nil
}

func normalMap(m map[string]any, depth int) (any, error) {
	out := make(map[string]any, len(m))
	for key, item := range m {
		value, err := normal(item, depth+1)
		if err != nil {
			return nil, err
		}
		out[key] = value
	}
	return out, nil
}

func number(n json.Number) any {
	if i, err := n.Int64(); err == nil {
		return i
	}
	if f, err := n.Float64(); err == nil && strings.ContainsAny(n.String(), ".eE") {
		return f
	}
	return n
}

// truthy is the test of if: false, null, "", 0 and empty lists are not.
func truthy(v any, zero bool) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case int64:
		return v != 0 || zero
	case float64:
		return v != 0 || zero
	case []any:
		return len(v) > 0
	}
	return true
}

// equal compares as === of JavaScript does: types differ, values differ; a list or a map equals only itself.
func equal(a, b any) bool {
	if x, ok := asFloat(a); ok {
		y, ok := asFloat(b)
		return ok && x == y
	}
	switch x := a.(type) {
	case []any:
		y, ok := b.([]any)
		return ok && len(x) == len(y) && reflect.ValueOf(x).Pointer() == reflect.ValueOf(y).Pointer()
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && reflect.ValueOf(x).Pointer() == reflect.ValueOf(y).Pointer()
	}
	switch b.(type) {
	case []any, map[string]any:
		return false
	}
	return a == b
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// member returns a field of a map, or an element of a list by its position or its length.
func member(v any, name string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[name]
	case []any:
		if name == "length" {
			return int64(len(v))
		}
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	return nil
}

// keys returns the keys of a map in their order. Maps have none of their own, so it is that of the alphabet.
func keys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// inText is how a tag writes a value: nothing for null, elements of lists with commas, maps as JSON.
func inText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case []any:
		var b strings.Builder
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(inText(item))
		}
		return b.String()
	case map[string]any, float64:
		return inJSON(v, 0)
	}
	return fmt.Sprint(v)
}

// inJSON writes a value as JSON, maps with sorted keys, and nothing escaped that JSON lets stand.
func inJSON(v any, indent int) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", strings.Repeat(" ", indent))
	if err := encoder.Encode(v); err != nil { // these kinds always marshal
		return ""
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// size estimates the work that a value takes to write.
func size(v any) int {
	n := 1
	switch v := v.(type) {
	case string:
		n += len(v) / 16
	case []any:
		for _, item := range v {
			n += size(item)
		}
	case map[string]any:
		for _, item := range v {
			n += 1 + size(item)
		}
	}
	return n
}
