package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// maxInput bounds the input of a rendering, in bytes.
const maxInput = 8 << 20

type promptCommand struct {
	Render renderCommand `cmd:"" help:"Render a prompt file with an input."`
}

type renderCommand struct {
	File    string `arg:"" help:"Prompt file; with --project also the name of one of its prompts."`
	Input   string `default:"{}" placeholder:"JSON|@FILE" help:"Input of the prompt: a JSON object, or @ and the name of a file that holds one; @- is stdin."`
	Project string `placeholder:"DIR" help:"Folder of the project whose partials are used (default: those beside the file)."`
}

// Help says what --json prints.
func (renderCommand) Help() string {
	return `With --json the result is {"messages": [{"role", "content": [{"text"} or {"media": {"url", "contentType"}}]}], "config": {…}}. ` +
		`Roles are system, user, model and tool; config is that of the front matter.`
}

// Run renders a prompt.
func (c renderCommand) Run(s *session) error {
	input, err := c.input(s)
	if err != nil {
		return err
	}
	rendered, err := wire.RenderPrompt(c.File, c.Project, input)
	if err != nil {
		return err
	}
	return s.print(rendered, func(w io.Writer) {
		for _, message := range rendered.Messages {
			fmt.Fprintf(w, "== %s\n%s\n", message.Role, strings.TrimRight(message.Text(), "\n"))
			for _, part := range message.Content {
				if part.Media != nil {
					fmt.Fprintf(w, "[media %s]\n", brief(part.Media.URL))
				}
			}
		}
	})
}

func (c renderCommand) input(s *session) (map[string]any, error) {
	text := []byte(c.Input)
	if name, ok := strings.CutPrefix(c.Input, "@"); ok {
		from := s.stdin
		if name != "-" {
			file, err := os.Open(name)
			if err != nil {
				return nil, schemas.Wrap(schemas.Invalid, err, "--input: the file %s cannot be read", name)
			}
			defer file.Close()
			from = file
		}
		var err error
		if text, err = io.ReadAll(io.LimitReader(from, maxInput+1)); err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err, "--input: %s cannot be read", name)
		}
	}
	if len(text) > maxInput {
		return nil, schemas.Errorf(schemas.Invalid, "--input is larger than %d MB", maxInput>>20)
	}
	var input map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&input); err != nil || input == nil || decoder.More() {
		return nil, schemas.Wrap(schemas.Invalid, err, `--input is no JSON object; write for example '{"question": "why?"}'`)
	}
	return input, nil
}
