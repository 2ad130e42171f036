package wire_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

func TestProjectFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"tenuto.yaml":           "name: x\ndefaults: {collection: docs, model: local/extractive}\n",
		"chains/qa.yaml":        "input: {q: string}\nsteps:\n  - {id: a, generate: {prompt: ask, with: {q: input.q}}}\n",
		"prompts/ask.prompt":    "{{> style}} {{q}}",
		"prompts/_style.prompt": "Be brief.",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if problems, err := wire.CheckProject(dir); err != nil || len(problems) > 0 {
		t.Errorf("problems %v, error %v", problems, err)
	}
	bundle, err := wire.ProjectBundle(dir, "qa")
	if err != nil || bundle.Chains["qa"].Steps[0].Generate.Model != "local/extractive" || len(bundle.Prompts) != 2 {
		t.Errorf("bundle %+v, error %v", bundle, err)
	}
	if problems := wire.CheckBundle(bundle); len(problems) > 0 {
		t.Errorf("problems of the bundle: %v", problems)
	}
	rendered, err := wire.RenderPrompt("ask", dir, map[string]any{"q": "why?"})
	if err != nil || len(rendered.Messages) != 1 || rendered.Messages[0].Text() != "Be brief. why?" {
		t.Errorf("rendered %+v, error %v", rendered, err)
	}
	if _, err := wire.RenderPrompt("../../ask", dir, nil); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("a name that leads out: %v", err)
	}
	if _, err := wire.CheckProject(filepath.Join(dir, "none")); schemas.CodeOf(err) != schemas.NotFound || !strings.Contains(err.Error(), "cannot be opened") {
		t.Errorf("no folder: %v", err)
	}
}
