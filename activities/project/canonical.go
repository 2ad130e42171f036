package project

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Canonical returns the bundle in the one form that all bundles of the same meaning share, so that its JSON names it: prompts as
// prompt.Canonical writes them, schemas with sorted keys. The properties of schemas that models are given keep their order, since models
// write them in that order; those of a chain's own input and output, which are only checked, do not. Error: invalid for a prompt or a
// schema that cannot be read.
func Canonical(b schemas.Bundle) (schemas.Bundle, error) {
	var err error
	prompts := map[string]string{}
	for name, text := range b.Prompts {
		if prompts[name], err = prompt.Canonical(promptFile(name), text); err != nil {
			return schemas.Bundle{}, err
		}
	}
	chains := map[string]schemas.ChainDef{}
	for name, def := range b.Chains {
		if chains[name], err = canonicalChain(def); err != nil {
			return schemas.Bundle{}, schemas.Wrap(schemas.Invalid, err, "a schema of the chain %s cannot be read", clip(name))
		}
	}
	b.Prompts, b.Chains = prompts, chains
	return b, nil
}

func canonicalChain(def schemas.ChainDef) (_ schemas.ChainDef, err error) {
	if def.Input, err = canonicalSchema(def.Input, false); err != nil {
		return def, err
	}
	if def.Schema, err = canonicalSchema(def.Schema, false); err != nil {
		return def, err
	}
	def.Steps = slices.Clone(def.Steps)
	for i := range def.Steps {
		s := &def.Steps[i]
		if s.Generate != nil {
			generate := *s.Generate
			if generate.Schema, err = canonicalSchema(generate.Schema, true); err != nil {
				return def, err
			}
			s.Generate = &generate
		}
		if s.Tool != nil {
			tool := *s.Tool
			if tool.Input, err = canonicalSchema(tool.Input, true); err != nil {
				return def, err
			}
			s.Tool = &tool
		}
	}
	return def, nil
}

// canonicalSchema writes a JSON Schema with sorted keys; with ordered, all but those of properties.
func canonicalSchema(schema json.RawMessage, ordered bool) (json.RawMessage, error) {
	if len(schema) == 0 {
		return nil, nil
	}
	c := canon{decoder: json.NewDecoder(bytes.NewReader(schema)), ordered: ordered}
	c.decoder.UseNumber()
	if err := c.value(asSchema, ""); err != nil {
		return nil, err
	}
	return c.out.Bytes(), nil
}

// canon rewrites a JSON text token by token.
type canon struct {
	decoder *json.Decoder
	out     bytes.Buffer
	ordered bool
}

// sense is what a JSON value is to a schema.
type sense int

const (
	asSchema sense = iota // or a list of schemas, or what a keyword is set to
	asNamed               // an object of schemas, by name
	asData                // a value that instances may have
)

// within is the sense of the value of a key.
func within(at sense, key string) sense {
	switch at {
	case asNamed:
		return asSchema
	case asData:
		return asData
	case asSchema:
	}
	switch key {
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
		return asNamed
	case "default", "const", "enum", "examples":
		return asData
	}
	return asSchema
}

// value copies the next value, which is of the key; empty for the schema itself and for items.
func (c *canon) value(at sense, key string) error {
	token, err := c.decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		return c.object(at, c.ordered && at == asNamed && key == "properties")
	case json.Delim('['):
		return c.list(at, at == asSchema && (key == "required" || key == "type"))
	}
	data, err := json.Marshal(token)
	c.out.Write(data)
	return err
}

func (c *canon) object(at sense, ordered bool) error {
	type field struct{ key, text string }
	var fields []field
	for c.decoder.More() {
		token, err := c.decoder.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // keys are nothing else
		sub := canon{decoder: c.decoder, ordered: c.ordered}
		if err := sub.value(within(at, key), key); err != nil {
			return err
		}
		fields = append(fields, field{key, sub.out.String()})
	}
	if _, err := c.decoder.Token(); err != nil {
		return err
	}
	if !ordered {
		slices.SortStableFunc(fields, func(a, b field) int { return strings.Compare(a.key, b.key) })
	}
	c.out.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			c.out.WriteByte(',')
		}
		key, err := json.Marshal(f.key)
		if err != nil {
			return err
		}
		c.out.Write(append(key, ':'))
		c.out.WriteString(f.text)
	}
	c.out.WriteByte('}')
	return nil
}

// list copies a list; one that is a set is sorted.
func (c *canon) list(at sense, set bool) error {
	var items []string
	for c.decoder.More() {
		sub := canon{decoder: c.decoder, ordered: c.ordered}
		if err := sub.value(at, ""); err != nil {
			return err
		}
		items = append(items, sub.out.String())
	}
	if _, err := c.decoder.Token(); err != nil {
		return err
	}
	if set {
		slices.Sort(items)
	}
	c.out.WriteString("[" + strings.Join(items, ",") + "]")
	return nil
}
