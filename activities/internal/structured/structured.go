// Package structured reads what a model wrote where JSON was asked for: it mends what is mended without guessing, and checks the value
// against a JSON Schema.
package structured

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of an output.
const (
	MaxBytes  = 4 << 20
	MaxDepth  = 512     // of lists and objects in one another
	MaxValues = 1 << 18 // of any kind
)

// maxCandidates is among how many values in a text the one that fits is looked for.
const maxCandidates = 1000

// Result is an output that satisfies its schema.
type Result struct {
	Value   json.RawMessage // the text as it was where nothing was mended, otherwise without white space; order, numbers and escapes as written
	Repairs []string        // what was mended, in words
}

// Mismatch is the cause of an error about an output that cannot be used.
type Mismatch struct { //nolint:errname // it is first of all what a model is told, and only then an error
	Problems []string // each a JSON pointer, or line and column of the text, and what is wrong there; for the model that is asked again
}

// Error joins the problems.
func (m *Mismatch) Error() string { return strings.Join(m.Problems, "; ") }

// Read finds in text the value that schema asks for; an empty schema allows any. A text that satisfies it as it stands is returned
// unchanged. Otherwise the value is looked for in code fences and prose, its syntax is mended, and numbers and booleans in strings are
// set free, or put into strings, where the schema wants it; what several values in the text could mean is not guessed. Codes:
// malformed_output, with a *[Mismatch] as its cause, and invalid, for the schema.
func Read(text string, schema json.RawMessage) (Result, error) {
	compiled, err := compiled(schema)
	if err != nil {
		return Result{}, err
	}
	if len(text) > MaxBytes {
		return Result{}, mismatch(fmt.Sprintf("the output has %d bytes, and at most %d are read", len(text), MaxBytes))
	}
	found := find(text)
	if found.whole {
		value := found.values[0]
		value.json = []byte(text)
		return settle(compiled, []candidate{value})
	}
	switch n := len(found.values); {
	case n == 0:
		return Result{}, mismatch(found.fault.Error())
	case n > maxCandidates:
		return Result{}, mismatch(fmt.Sprintf("the output holds more than %d JSON values among other text: write only one", maxCandidates))
	}
	return settle(compiled, found.values)
}

// settle chooses the one candidate that satisfies the schema. If none does, the problems are those of the longest.
func settle(schema *compiledSchema, candidates []candidate) (Result, error) {
	var fit []Result
	var longest candidate
	var unfit *jsonschema.ValidationError
	for _, c := range candidates {
		result, problems, err := fitted(schema, c)
		switch {
		case err != nil:
			return Result{}, err
		case problems == nil && (len(fit) == 0 || string(fit[0].Value) != string(result.Value)):
			fit = append(fit, result)
		case problems != nil && len(c.json) > len(longest.json):
			longest, unfit = c, problems
		}
	}
	switch len(fit) {
	case 0:
		return Result{}, mismatch(describe(unfit)...)
	case 1:
		return fit[0], nil
	}
	return Result{}, mismatch(fmt.Sprintf("the output holds %d different JSON values that fit: write only one", len(fit)))
}

// fitted is c, converted where the schema wants it, or what is wrong with it.
func fitted(schema *compiledSchema, c candidate) (Result, *jsonschema.ValidationError, error) {
	problems, err := schema.validate(c.json)
	if problems == nil || err != nil {
		return Result{c.json, c.repairs}, nil, err
	}
	value, remaining := c.json, problems
	var converted []string
	for range maxRounds {
		next, done := convert(value, remaining)
		if len(done) == 0 {
			break
		}
		value, converted = next, append(converted, done...)
		if remaining, err = schema.validate(value); err != nil || remaining == nil {
			return Result{value, append(c.repairs, abridge(converted)...)}, nil, err
		}
	}
	return Result{}, problems, nil
}

// maxRounds is how often a value is converted: what a conversion mends can bring to light what alternatives of a schema hid.
const maxRounds = 3

// maxListed is how many problems or conversions are told.
const maxListed = 20

func abridge(lines []string) []string {
	if more := len(lines) - maxListed; more > 0 {
		return append(lines[:maxListed:maxListed], fmt.Sprintf("and %d more", more))
	}
	return lines
}

func mismatch(problems ...string) error {
	problems = abridge(problems)
	return schemas.Wrap(schemas.MalformedOutput, &Mismatch{problems}, "the model's output cannot be used: %s", problems[0])
}

// Check reports why schema cannot be used: it is no JSON Schema, or it refers to what is not in it. Error: invalid.
func Check(schema json.RawMessage) error {
	_, err := compile(schema)
	return err
}
