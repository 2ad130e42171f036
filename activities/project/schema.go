package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/activities/project/internal/yamldoc"
	"github.com/tenuto-dev/tenuto/schemas"
)

// schema reads a schema in Picoschema or JSON Schema. What tells them apart and translates the one into the other is the reader of
// prompts, so the schema is given to it as that of a prompt's input, each key on a line of its own: the line of a fault then tells the
// key that it is of.
func (d *decoder) schema(p path, v *yamldoc.Value) json.RawMessage {
	if v.Kind == yamldoc.Null {
		d.mismatch(p, v, "a schema in Picoschema or JSON Schema")
		return nil
	}
	var w schemaText
	w.newline(v.Line, v.Column)
	w.value(v)
	read, err := prompt.Parse("schema.prompt", "---\n{\"input\": {\"schema\": "+w.String()+"}}\n---\n")
	if err == nil {
		if fault, key := checkSchema(read.InputSchema); fault != "" {
			d.schemaFault(p, v, fault, key)
			return nil
		}
		return read.InputSchema
	}
	at := d.places[p]
	line, column, text := at.line, at.column, schemas.SafeMessage(err)
	if fault, ok := errors.AsType[*prompt.SyntaxError](err); ok {
		text = fault.Message
		if n := fault.Line - 3; n >= 0 && n < len(w.places) {
			line, column = w.places[n].line, w.places[n].column
		}
	}
	d.in(d.file, line, column, "the schema is wrong: %s", text)
	d.faulty[p] = true
	return nil
}

// schemaFault reports a fault of a JSON Schema at the value that it is of, as far as the file has the same keys.
func (d *decoder) schemaFault(p path, v *yamldoc.Value, fault string, key []string) {
	at := d.places[p]
	line, column := at.line, at.column
	if ref := outside(v); fault == errElsewhere.Error() && ref != nil {
		line, column = ref.Line, ref.Column
	}
	for _, part := range key {
		if v = v.Get(part); v == nil {
			break
		}
		line, column = v.Line, v.Column
	}
	d.in(d.file, line, column, "this is no valid JSON Schema: %s", fault)
	d.faulty[p] = true
}

// outside finds a reference that points out of the schema.
func outside(v *yamldoc.Value) *yamldoc.Value {
	for _, f := range v.Fields {
		if strings.HasSuffix(f.Key, "$ref") && !strings.HasPrefix(f.Value.Text, "#") {
			return f.Value
		}
		if found := outside(f.Value); found != nil {
			return found
		}
	}
	for _, item := range v.Items {
		if found := outside(item); found != nil {
			return found
		}
	}
	return nil
}

// schemaText writes a value as JSON and notes where what begins each line stands in the file.
type schemaText struct {
	strings.Builder
	places []place
}

func (w *schemaText) newline(line, column int) {
	w.WriteByte('\n')
	w.places = append(w.places, place{line: line, column: column})
}

func (w *schemaText) value(v *yamldoc.Value) {
	switch v.Kind {
	case yamldoc.Object:
		w.WriteByte('{')
		for i, f := range v.Fields {
			if i > 0 {
				w.WriteByte(',')
			}
			w.newline(f.Line, f.Column)
			w.text(f.Key)
			w.WriteString(": ")
			w.value(f.Value)
		}
		w.WriteByte('}')
	case yamldoc.List:
		w.WriteByte('[')
		for i, item := range v.Items {
			if i > 0 {
				w.WriteByte(',')
			}
			w.newline(item.Line, item.Column)
			w.value(item)
		}
		w.WriteByte(']')
	case yamldoc.Text:
		w.text(v.Text)
	case yamldoc.Null, yamldoc.Broken:
		w.WriteString("null")
	case yamldoc.Boolean, yamldoc.Integer, yamldoc.Float:
		w.WriteString(v.Text)
	}
}

func (w *schemaText) text(s string) {
	quoted, _ := json.Marshal(s) //nolint:errchkjson // a text is always JSON
	w.Write(quoted)
}

// closed refuses to load schemas from elsewhere.
type closed struct{}

var errElsewhere = errors.New("$ref may point into the schema itself only: write what it points at below $defs")

// Load implements jsonschema.URLLoader.
func (closed) Load(string) (any, error) { return nil, errElsewhere }

// checkSchema says why a schema is none, and under which of its keys; the fault is empty for one that is valid.
func checkSchema(schema json.RawMessage) (fault string, key []string) {
	_, err := compileSchema(schema)
	if err == nil {
		return "", nil
	}
	if _, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		return errElsewhere.Error(), nil
	}
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if cause, ok := errors.AsType[*jsonschema.ValidationError](invalid.Err); ok {
			for len(cause.Causes) > 0 {
				cause = cause.Causes[0]
			}
			text := cause.ErrorKind.LocalizedString(message.NewPrinter(language.English))
			return text, cause.InstanceLocation
		}
	}
	return firstLine(strings.ReplaceAll(err.Error(), schemaURL, "")), nil
}

const schemaURL = "schema://own/schema.json"

// compileSchema compiles a JSON Schema, of draft 2020-12 if it names none, that may refer to itself only.
func compileSchema(schema json.RawMessage) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(closed{})
	if err := compiler.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	return compiler.Compile(schemaURL)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
