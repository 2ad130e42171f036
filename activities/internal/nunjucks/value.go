package nunjucks

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Field is one entry of an object.
type Field struct {
	Name  string
	Value any
}

// Object is a mapping that keeps the order of its fields.
type Object []Field

// Get returns the value of a field.
func (o Object) Get(name string) (any, bool) {
	for _, f := range o {
		if f.Name == name {
			return f.Value, true
		}
	}
	return nil, false
}

// MarshalJSON writes the fields in their order.
func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := marshal(f.Name)
		if err != nil {
			return nil, err
		}
		value, err := marshal(f.Value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		v = nil // as JSON.stringify does
	}
	if v == undefined {
		v = nil
	}
	err := encoder.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// ParseJSON reads a JSON text into the values that templates know, with the order of fields. Nesting is bounded.
func ParseJSON(text string) (any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	value, err := readJSON(decoder, 0)
	if err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, errTrailing
	}
	return value, nil
}

type jsonError string

func (e jsonError) Error() string { return string(e) }

const (
	errTrailing = jsonError("there is something after the JSON value")
	errDeep     = jsonError("the JSON value is nested too deep")
)

func readJSON(decoder *json.Decoder, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxNesting {
		return nil, errDeep
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for decoder.More() {
			item, err := readJSON(decoder, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		_, err := decoder.Token()
		return list, err
	case json.Delim('{'):
		return readObject(decoder, depth)
	}
	return token, nil
}

func readObject(decoder *json.Decoder, depth int) (any, error) {
	object, place := Object{}, map[string]int{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string) // names of fields are nothing else
		value, err := readJSON(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		if i, twice := place[name]; twice {
			object[i].Value = value
			continue
		}
		place[name] = len(object)
		object = append(object, Field{name, value})
	}
	_, err := decoder.Token()
	return object, err
}

// missing is the value of what does not exist.
type missing struct{}

var undefined any = missing{}

func truthy(v any) bool {
	switch v := v.(type) {
	case nil, missing:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	}
	return true
}

// Text writes a value as a tag does: nothing for what does not exist, numbers as JavaScript does, lists
// and objects as the package says.
func Text(v any) string {
	switch v := v.(type) {
	case nil, missing:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return numeral(v)
	case *macro:
		return ""
	case []any:
		if !slices.ContainsFunc(v, compound) {
			parts := make([]string, len(v))
			for i, item := range v {
				parts[i] = Text(item)
			}
			return strings.Join(parts, ",")
		}
	}
	data, err := marshal(v)
	if err != nil { // these kinds always marshal
		return ""
	}
	return string(data)
}

func numeral(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return "0"
	}
	if size := math.Abs(f); size >= 1e-6 && size < 1e21 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	text := strconv.FormatFloat(f, 'e', -1, 64)
	return strings.Replace(strings.Replace(text, "e-0", "e-", 1), "e+0", "e+", 1)
}

// number is what arithmetic makes of a value.
func number(v any) float64 {
	switch v := v.(type) {
	case nil:
		return 0
	case float64:
		return v
	case bool:
		if v {
			return 1
		}
		return 0
	case string:
		text := strings.TrimSpace(v)
		if text == "" {
			return 0
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil && !strings.ContainsAny(text, "_xXpPnN") {
			return f
		}
	}
	return math.NaN()
}

// same compares as == of JavaScript does; strict as ===. Lists and objects are equal if they are written the same.
func same(a, b any, strict bool) bool {
	nothing := func(v any) bool { return v == nil || v == undefined }
	switch {
	case nothing(a) || nothing(b):
		return nothing(a) && nothing(b) && (!strict || a == b)
	case compound(a) && compound(b):
		return Text(a) == Text(b)
	case compound(a) || compound(b):
		return !strict && Text(a) == Text(b)
	}
	if _, text := a.(string); text {
		if _, text := b.(string); text {
			return a == b
		}
	}
	if strict {
		return a == b
	}
	return number(a) == number(b)
}

func compound(v any) bool {
	switch v.(type) {
	case []any, Object, *macro:
		return true
	}
	return false
}

// less orders two values: texts by their characters, all else by number.
func less(a, b any) bool {
	x, text := a.(string)
	y, both := b.(string)
	if text && both {
		return x < y
	}
	return number(a) < number(b)
}

// weight estimates the work that a value takes to write or to copy. Lists may hold a list many times, so it stops counting where the
// work is more than a rendering may do, or the value is nested too deep.
func weight(v any) int {
	left := maxSteps + 1
	weigh(v, &left, 0)
	return maxSteps + 1 - left
}

func weigh(v any, left *int, depth int) {
	if *left--; *left < 0 || depth > 2*maxNesting {
		*left = -1
		return
	}
	switch v := v.(type) {
	case string:
		*left -= len(v) / 64
	case []any:
		for i := 0; i < len(v) && *left > 0; i++ {
			weigh(v[i], left, depth+1)
		}
	case Object:
		for i := 0; i < len(v) && *left > 0; i++ {
			*left--
			weigh(v[i].Value, left, depth+1)
		}
	}
}
