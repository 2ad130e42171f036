package project

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/tenuto-dev/tenuto/activities/internal/prompt"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Rendered is a rendered prompt: messages with role and content, and the config of its front matter.
type Rendered = prompt.Rendered

// Render renders the text of a prompt file with input, which is checked against the prompt's input schema. Partials are taken from
// folder, where style is _style.prompt; nil has none. Errors are invalid, with file, line and column where there is one.
func Render(file, text string, folder fs.FS, input map[string]any) (Rendered, error) {
	p, err := prompt.Parse(file, text)
	if err != nil {
		return Rendered{}, err
	}
	if err := checkInput(p, input); err != nil {
		return Rendered{}, err
	}
	var broken error
	rendered, err := p.Render(prompt.Data{Input: input}, func(name string) (*prompt.Prompt, bool) {
		partial, err := readPartial(folder, name)
		if err != nil {
			broken = err
		}
		return partial, partial != nil
	})
	if broken != nil {
		err = broken
	}
	if rendered.Config == nil {
		rendered.Config = map[string]any{}
	}
	return rendered, err
}

// readPartial returns nil for a partial that there is not.
func readPartial(folder fs.FS, name string) (*prompt.Prompt, error) {
	file := partialName(name) + ".prompt"
	if folder == nil || !fs.ValidPath(file) {
		return nil, nil //nolint:nilnil // the renderer reports a missing partial where it is inserted
	}
	r := newReport()
	f := newFolder(r, folder)
	entry, err := fs.Stat(folder, file)
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // as above
	}
	f.file(file, fs.FileInfoToDirEntry(entry))
	if len(r.problems) > 0 {
		return nil, schemas.Errorf(schemas.Invalid, "%s", Describe(r.problems[0]))
	}
	return prompt.Parse(file, f.texts[file])
}

// checkInput holds the input, with the defaults of the prompt, against the prompt's schema.
func checkInput(p *prompt.Prompt, input map[string]any) error {
	if len(p.InputSchema) == 0 {
		return nil
	}
	schema, err := compileSchema(p.InputSchema)
	if err != nil {
		fault, _ := checkSchema(p.InputSchema)
		return schemas.Wrap(schemas.Invalid, err, "the input schema of the prompt is no valid JSON Schema: %s", fault)
	}
	whole := maps.Clone(p.Default)
	if whole == nil {
		whole = map[string]any{}
	}
	maps.Copy(whole, input)
	data, err := json.Marshal(whole)
	if err != nil {
		return schemas.Wrap(schemas.Invalid, err, "the input has values that JSON cannot hold")
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return schemas.Wrap(schemas.Invalid, err, "the input has values that JSON cannot hold")
	}
	cause, ok := errors.AsType[*jsonschema.ValidationError](schema.Validate(value))
	if !ok {
		return nil
	}
	for len(cause.Causes) > 0 {
		cause = cause.Causes[0]
	}
	where := ""
	if len(cause.InstanceLocation) > 0 {
		where = " at " + strings.Join(cause.InstanceLocation, ".")
	}
	return schemas.Errorf(schemas.Invalid, "the input does not satisfy the prompt's schema%s: %s", where,
		cause.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
}
