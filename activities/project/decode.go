package project

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/project/internal/yamldoc"
	"github.com/tenuto-dev/tenuto/schemas"
)

// decoder fills the vocabulary from YAML. Keys are the JSON names, save that a key in _ms or _seconds is a text such as 30s under
// its name without the ending. Every fault is reported, and what has one stays empty.
type decoder struct {
	*report
	file string
}

// keyOf is the YAML key of a field, and for a duration its unit.
func keyOf(f reflect.StructField) (key string, unit time.Duration) {
	key, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	if short, ok := strings.CutSuffix(key, "_ms"); ok {
		return short, time.Millisecond
	}
	if short, ok := strings.CutSuffix(key, "_seconds"); ok {
		return short, time.Second
	}
	return key, 0
}

func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i], _ = keyOf(t.Field(i))
	}
	return keys
}

// expressions are the keys whose text is CEL, so that true and 3 need no quotes.
var expressions = []string{"when", "query", "source", "document", "over", "history", "passages", "body", "output", "escalate"}

// instead says what to do about keys that people write and that are none.
var instead = map[reflect.Type]map[string]string{
	reflect.TypeFor[schemas.StepDef](): {
		string(schemas.StepGuard):  "guard steps come with a later version: leave the step out for now",
		string(schemas.StepReview): "review steps come with a later version: leave the step out for now",
		"kind":                     "a step's kind is a key of its own: write retrieve:, generate:, map:, branch: or tool:, with its settings below",
	},
	reflect.TypeFor[schemas.ProviderDef](): {
		"key": keyAdvice, "api_key": keyAdvice, "apikey": keyAdvice, "apiKey": keyAdvice, "token": keyAdvice, "secret": keyAdvice,
	},
	reflect.TypeFor[schemas.ChainDef](): {
		"name": "a chain is called like its file: remove name",
		"id":   "a chain is called like its file: remove id",
	},
}

const keyAdvice = "a key does not belong in the project: put it into an environment variable of the worker, and name that in key_env"

// record notes where a value stands: one of a single line at itself, another at its key.
func (d *decoder) record(p path, v *yamldoc.Value, key *yamldoc.Field) {
	at := place{file: d.file, line: v.Line, column: v.Column, value: v}
	if key != nil && (v.Kind == yamldoc.Object || v.Kind == yamldoc.List || v.Kind == yamldoc.Null) {
		at.line, at.column = key.Line, key.Column
	}
	d.places[p] = at
}

// wrong reports a value that cannot be read.
func (d *decoder) wrong(p path, format string, args ...any) {
	d.at(p, format, args...)
	d.faulty[p] = true
}

func (d *decoder) mismatch(p path, v *yamldoc.Value, want string) {
	name := p.parts()[len(p.parts())-1]
	if v.Kind == yamldoc.Null {
		d.wrong(p, "`%s` has no value: write %s, or remove the key", name, want)
		return
	}
	hint := ""
	switch want {
	case "text":
		hint = ": put the value in quotes if it is meant as text"
	case "a list":
		hint = ": write [a, b], or one line with a hyphen for each item"
	}
	d.wrong(p, "`%s` is %s, but here is %s%s", name, want, v.Kind, hint)
}

func (d *decoder) value(p path, v *yamldoc.Value, into reflect.Value) {
	if v.Kind == yamldoc.Broken {
		d.faulty[p] = true
		return
	}
	switch into.Type() {
	case reflect.TypeFor[json.RawMessage]():
		into.SetBytes(d.schema(p, v))
		return
	case reflect.TypeFor[*schemas.PriceDef]():
		if v.Kind == yamldoc.Text && v.Text == "unknown" {
			return
		}
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(p, v, into.Elem())
	case reflect.Struct:
		d.object(p, v, into)
	case reflect.Map:
		d.mapping(p, v, into)
	case reflect.Slice:
		d.list(p, v, into)
	default:
		d.scalar(p, v, into)
	}
}

func (d *decoder) object(p path, v *yamldoc.Value, into reflect.Value) {
	if v.Kind != yamldoc.Object {
		d.mismatch(p, v, "a mapping of "+strings.Join(keysOf(into.Type()), ", "))
		return
	}
	for i := range v.Fields {
		f := &v.Fields[i]
		at := slices.Index(keysOf(into.Type()), f.Key)
		if at < 0 {
			d.unknown(p, f, into.Type())
			continue
		}
		d.record(p.to(f.Key), f.Value, f)
		if _, unit := keyOf(into.Type().Field(at)); unit > 0 {
			d.duration(p.to(f.Key), f.Value, unit, into.Field(at))
			continue
		}
		d.value(p.to(f.Key), f.Value, into.Field(at))
	}
}

func (d *decoder) unknown(p path, f *yamldoc.Field, t reflect.Type) {
	d.faulty[p] = true
	if advice := instead[t][f.Key]; advice != "" {
		d.in(d.file, f.Line, f.Column, "%s", advice)
		return
	}
	d.in(d.file, f.Line, f.Column, "unknown key `%s`%s", clip(f.Key), meant(f.Key, keysOf(t)))
}

func (d *decoder) mapping(p path, v *yamldoc.Value, into reflect.Value) {
	if v.Kind != yamldoc.Object {
		d.mismatch(p, v, "a mapping of names")
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for i := range v.Fields {
		f := &v.Fields[i]
		d.record(p.to(f.Key), f.Value, f)
		item := reflect.New(into.Type().Elem()).Elem()
		if text, ok := scalarText(f.Value); ok && item.Kind() == reflect.String {
			item.SetString(text)
		} else {
			d.value(p.to(f.Key), f.Value, item)
		}
		into.SetMapIndex(reflect.ValueOf(f.Key), item)
	}
}

func (d *decoder) list(p path, v *yamldoc.Value, into reflect.Value) {
	if v.Kind != yamldoc.List {
		d.mismatch(p, v, "a list")
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(v.Items), len(v.Items)))
	for i, item := range v.Items {
		d.record(p.item(i), item, nil)
		d.value(p.item(i), item, into.Index(i))
	}
}

func scalarText(v *yamldoc.Value) (string, bool) {
	return v.Text, v.Kind == yamldoc.Boolean || v.Kind == yamldoc.Integer || v.Kind == yamldoc.Float
}

func (d *decoder) scalar(p path, v *yamldoc.Value, into reflect.Value) {
	switch into.Kind() {
	case reflect.String:
		d.text(p, v, into)
	case reflect.Bool:
		if v.Kind != yamldoc.Boolean {
			d.mismatch(p, v, "true or false")
			return
		}
		into.SetBool(v.Text == "true")
	case reflect.Int:
		n, err := strconv.ParseInt(v.Text, 10, 32)
		if v.Kind != yamldoc.Integer || err != nil {
			d.mismatch(p, v, "a whole number")
			return
		}
		into.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(v.Text, 64)
		if v.Kind != yamldoc.Integer && v.Kind != yamldoc.Float || err != nil {
			d.mismatch(p, v, "a number")
			return
		}
		into.SetFloat(n)
	default:
		panic(fmt.Sprintf("a project file has no values of type %s", into.Type()))
	}
}

func (d *decoder) text(p path, v *yamldoc.Value, into reflect.Value) {
	key := p.parts()[len(p.parts())-1]
	if text, ok := scalarText(v); ok && slices.Contains(expressions, key) {
		into.SetString(text)
		return
	}
	if v.Kind != yamldoc.Text {
		d.mismatch(p, v, "text")
		return
	}
	into.SetString(v.Text)
}

func (d *decoder) duration(p path, v *yamldoc.Value, unit time.Duration, into reflect.Value) {
	const form = "a number with a unit, such as 500ms, 30s, 5m or 1h"
	if v.Kind != yamldoc.Text {
		d.mismatch(p, v, form)
		return
	}
	length, err := time.ParseDuration(v.Text)
	switch {
	case err != nil:
		d.wrong(p, "`%s` is no duration: write %s", clip(v.Text), form)
	case length < unit || length%unit != 0 || length > 30*24*time.Hour:
		d.wrong(p, "`%s` is out of range: write a duration from %s to 720h in steps of %[2]s", clip(v.Text), unit)
	default:
		into.SetInt(int64(length / unit))
	}
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
