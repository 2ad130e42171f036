package score

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/tenuto-dev/tenuto/schemas"
)

// json holds what is or contains JSON against a JSON Schema, if the assertion has one: an object, true or false, or YAML that says it.
// Formats are checked, as promptfoo does, and of contained values one must fit.
func (c check) json() (schemas.AssertionResult, error) {
	schema, err := c.schema()
	if err != nil {
		return schemas.AssertionResult{}, err
	}
	values, missing := c.values()
	if len(values) == 0 {
		return c.holds(false, missing)
	}
	if schema == nil {
		return c.holds(true, missing)
	}
	reason := ""
	for _, value := range values {
		if reason = misfit(schema, value); reason == "" {
			break
		}
	}
	switch {
	case reason != "":
		reason = "JSON does not conform to the provided schema. Errors: " + reason
	case c.base == "is-json":
		return c.holds(true, "Output is JSON that conforms to the provided schema")
	default:
		return c.holds(true, "Output contains JSON conforming to the provided schema")
	}
	return c.holds(false, reason)
}

// values are the JSON values of the output, and what to say if there is none, or of "not-" if there is one.
func (c check) values() (values []json.RawMessage, missing string) {
	if c.base == "contains-json" {
		return findJSON(c.text), "Expected output to " + c.not() + "contain valid JSON"
	}
	if json.Valid([]byte(c.text)) {
		values = []json.RawMessage{json.RawMessage(c.text)}
	}
	return values, "Expected output to " + c.not() + "be valid JSON"
}

// effort bounds how much of a text is read to find values in it, in lengths of the text: every bracket may begin a value, and be none.
const effort = 16

// findJSON returns the objects and lists that stand in a text, none of them within another.
func findJSON(text string) []json.RawMessage {
	var found []json.RawMessage
	left := effort*len(text) + 1<<16
	for at := 0; at < len(text) && left > 0; at++ {
		if text[at] != '{' && text[at] != '[' {
			continue
		}
		decoder := json.NewDecoder(strings.NewReader(text[at:]))
		var value json.RawMessage
		err := decoder.Decode(&value)
		if err != nil {
			left -= reached(err, len(text)-at)
			continue
		}
		left -= len(value)
		found = append(found, value)
		at += len(value) - 1
	}
	return found
}

// reached is how far a decoder read before it failed.
func reached(err error, all int) int {
	if fault, ok := errors.AsType[*json.SyntaxError](err); ok {
		return int(fault.Offset)
	}
	return all
}

const maxSchema = 1 << 20 // bytes

func (c check) schema() (*jsonschema.Schema, error) {
	value := c.assertion.Value
	if text, isText := value.(string); isText {
		value = nil
		if len(text) > maxSchema {
			return nil, fault(c.assertion, "has a schema of more than %d bytes", maxSchema)
		}
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return nil, fault(c.assertion, "has a schema that is neither JSON nor YAML; give a JSON Schema")
		}
	}
	switch value.(type) {
	case nil:
		return nil, nil //nolint:nilnil // any JSON fits
	case bool, map[string]any:
	default:
		return nil, fault(c.assertion, "needs no value, or a JSON Schema: an object, true or false")
	}
	schema, err := compile(value)
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the assertion %q has a JSON Schema that cannot be used; it must be valid, of draft 7 or 2020-12, and refer only to itself", c.assertion.Type)
	}
	return schema, nil
}

const location = "https://schema.invalid/assertion" // RFC 2606 reserves the name; nothing is read from there

func compile(value any) (*jsonschema.Schema, error) {
	text := Text(value)
	if text == "" || len(text) > maxSchema {
		return nil, fmt.Errorf("a schema of %d bytes", len(text))
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiler.UseLoader(refuse{})
	if err := compiler.AddResource(location, document); err != nil {
		return nil, err
	}
	return compiler.Compile(location)
}

var errRemote = errors.New("a schema refers only to what is in it")

// refuse stands where references to other documents would be loaded.
type refuse struct{}

func (refuse) Load(string) (any, error) { return nil, errRemote }

// misfit says what is first wrong with value, as Ajv words it for promptfoo; empty if nothing is.
func misfit(schema *jsonschema.Schema, value json.RawMessage) string {
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return "data is not JSON"
	}
	faults, ok := errors.AsType[*jsonschema.ValidationError](schema.Validate(decoded))
	if !ok {
		return ""
	}
	var all []string
	var walk func(*jsonschema.ValidationError)
	walk = func(v *jsonschema.ValidationError) {
		if len(v.Causes) == 0 {
			place := strings.Join(append([]string{"data"}, v.InstanceLocation...), "/")
			all = append(all, place+" "+wording(v.ErrorKind))
		}
		for _, cause := range v.Causes {
			walk(cause)
		}
	}
	walk(faults)
	slices.Sort(all)
	return all[0]
}

// wording is Ajv's for the commonest faults, and the library's for others.
func wording(fault jsonschema.ErrorKind) string {
	switch f := fault.(type) {
	case *kind.Type:
		return "must be " + strings.Join(f.Want, ",")
	case *kind.Format:
		return "must match format " + quote(f.Want)
	case *kind.Required:
		return "must have required property '" + f.Missing[0] + "'"
	case *kind.Enum:
		return "must be equal to one of the allowed values"
	case *kind.AdditionalProperties:
		return "must NOT have additional properties"
	case *kind.Pattern:
		return "must match pattern " + quote(f.Want)
	}
	return fault.LocalizedString(message.NewPrinter(language.English))
}
