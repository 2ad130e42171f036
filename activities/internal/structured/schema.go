package structured

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	maxSchemaBytes = 1 << 20
	keptSchemas    = 500 // compiled; when one more comes the memory begins anew
	// location is where the schema is taken to be. Nothing is ever read from there: RFC 2606 reserves the name.
	location = "https://schema.invalid/output"
)

// compiledSchema is a schema that is ready for use, by several at once.
type compiledSchema struct{ schema *jsonschema.Schema }

// memory keeps compiled schemas by the SHA-256 of their text.
type memory struct {
	mu   sync.Mutex
	kept map[[sha256.Size]byte]*compiledSchema
}

var known memory

// compiled returns the schema, compiled now or before. Error: invalid.
func compiled(schema json.RawMessage) (*compiledSchema, error) {
	key := sha256.Sum256(schema)
	known.mu.Lock()
	ready, ok := known.kept[key]
	known.mu.Unlock()
	if ok {
		return ready, nil
	}
	ready, err := compile(schema)
	if err != nil {
		return nil, err
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.kept == nil || len(known.kept) >= keptSchemas {
		known.kept = map[[sha256.Size]byte]*compiledSchema{}
	}
	known.kept[key] = ready
	return ready, nil
}

// compile takes schemas of draft 2020-12, or of an older one that names itself with $schema.
func compile(schema json.RawMessage) (*compiledSchema, error) {
	if len(bytes.TrimSpace(schema)) == 0 {
		schema = json.RawMessage("true")
	}
	if len(schema) > maxSchemaBytes {
		return nil, schemas.Errorf(schemas.Invalid, "the JSON Schema has %d bytes, and at most %d are read", len(schema), maxSchemaBytes)
	}
	if found := find(string(schema)); !found.whole { // also bounds depth and numbers
		return nil, schemas.Errorf(schemas.Invalid, "the JSON Schema is not JSON: %v", found.fault)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the JSON Schema is not JSON")
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(refuse{})
	if err := compiler.AddResource(location, document); err != nil {
		return nil, unusable(err)
	}
	made, err := compiler.Compile(location)
	if err != nil {
		return nil, unusable(err)
	}
	ready := &compiledSchema{made}
	_, err = ready.validate([]byte("null")) // finds references that go in a circle
	return ready, err
}

var errRemote = errors.New("a schema refers only to what is in it")

// refuse stands where references to other documents would be loaded.
type refuse struct{}

func (refuse) Load(url string) (any, error) { return nil, fmt.Errorf("%s: %w", clip(url), errRemote) }

// unusable explains why a schema did not compile.
func unusable(err error) error {
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if faults, ok := errors.AsType[*jsonschema.ValidationError](invalid.Err); ok {
			return schemas.Wrap(schemas.Invalid, err, "the JSON Schema is not valid: %s", describe(faults)[0])
		}
	}
	return schemas.Wrap(schemas.Invalid, err, "the JSON Schema cannot be used: %s", clip(err.Error()))
}

// validate returns what is wrong with value; nil if nothing is.
func (s *compiledSchema) validate(value []byte) (*jsonschema.ValidationError, error) {
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "a value that was read as JSON is none")
	}
	err = s.schema.Validate(decoded)
	if err == nil {
		return nil, nil //nolint:nilnil // nothing is wrong
	}
	faults, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return nil, schemas.Wrap(schemas.Invalid, err, "the JSON Schema cannot be applied")
	}
	if circular(faults) {
		return nil, schemas.Wrap(schemas.Invalid, err, "the JSON Schema refers to itself in a circle")
	}
	return faults, nil
}

// circular reports whether the fault is the schema's and not the value's.
func circular(faults *jsonschema.ValidationError) bool {
	found := false
	leaves(faults, func(p *jsonschema.ValidationError) {
		_, cycle := p.ErrorKind.(*kind.RefCycle)
		found = found || cycle
	})
	return found
}

// leaves calls yield with every problem that has no closer cause.
func leaves(problem *jsonschema.ValidationError, yield func(*jsonschema.ValidationError)) {
	if len(problem.Causes) == 0 {
		yield(problem)
	}
	for _, cause := range problem.Causes {
		leaves(cause, yield)
	}
}

// describe lists the problems, each with its place. Those of alternatives are told apart from the rest by a line before them.
func describe(problem *jsonschema.ValidationError) []string {
	var lines []string
	printer := message.NewPrinter(language.English)
	var walk func(*jsonschema.ValidationError)
	walk = func(p *jsonschema.ValidationError) {
		switch alternatives := p.ErrorKind.(type) {
		case *kind.AnyOf:
			lines = append(lines, pointer(p.InstanceLocation)+": fits none of the alternatives, where:")
		case *kind.OneOf:
			if alternatives.Subschemas == nil {
				lines = append(lines, pointer(p.InstanceLocation)+": fits none of the alternatives, where:")
			}
		}
		if len(p.Causes) == 0 {
			lines = append(lines, pointer(p.InstanceLocation)+": "+clip(p.ErrorKind.LocalizedString(printer)))
		}
		for _, cause := range p.Causes {
			walk(cause)
		}
	}
	walk(problem)
	return lines
}
