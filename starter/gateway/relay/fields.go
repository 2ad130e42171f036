package relay

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
)

// Fields says what becomes of the fields of a request that is translated. Null is as no field.
type Fields struct {
	Honoured []string
	Noted    []string            // they are in the record of the call and say nothing to the model
	Plain    map[string][]string // values, as JSON, that ask for nothing else than there would be without the field
}

// Check refuses what a translation would have to leave out. Error: invalid, with a FieldError.
func (f Fields) Check(body *object.Object, name string) error {
	for _, field := range body.Names() {
		value := string(body.Get(field))
		if value == "null" || slices.Contains(f.Honoured, field) || slices.Contains(f.Noted, field) || slices.Contains(f.Plain[field], value) {
			continue
		}
		return Refuse(field, "unsupported_parameter",
			"%.80q cannot be honoured for the model %s, whose provider has another API; leave it out", field, name)
	}
	return nil
}

// Decode reads a body into a value. Error: invalid, with a FieldError that names the field with the wrong type.
func Decode(body *object.Object, into any) error {
	err := json.Unmarshal(body.Original(), into)
	if err == nil {
		return nil
	}
	field := ""
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field = mismatch.Field
	}
	if field == "" {
		return Refuse("", "invalid_type", "a field of the body has another type than it must have")
	}
	return Refuse(field, "invalid_type", "%.80q has another type than it must have", field)
}
