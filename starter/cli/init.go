package cli

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/tenuto-dev/tenuto/schemas"
)

// template is the project that init writes. Partials begin with an underscore, which needs the prefix all.
//
//go:embed all:template
var template embed.FS

type initCommand struct {
	Dir string `arg:"" help:"Folder of the new project."`
}

// initialised is the result of an initialisation.
type initialised struct {
	Project string   `json:"project"`
	Files   []string `json:"files"`
}

// Run writes a project that works as it is.
func (c initCommand) Run(s *session) error {
	files, err := templateFiles()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil { //nolint:gosec // a project is meant to be read by others
		return schemas.Wrap(schemas.Conflict, err, "the folder %s cannot be made; choose another place", c.Dir)
	}
	root, err := os.OpenRoot(c.Dir)
	if err != nil {
		return schemas.Wrap(schemas.Conflict, err, "the folder %s cannot be opened; choose another place", c.Dir)
	}
	defer root.Close()
	for _, name := range files {
		if _, err := root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return schemas.Errorf(schemas.Conflict, "%s is in the way in %s; nothing was written: choose an empty folder", name, c.Dir)
		}
	}
	for _, name := range files {
		if err := writeFile(root, name); err != nil {
			return schemas.Wrap(schemas.OverBudget, err, "%s cannot be written in %s; check permissions and disk", name, c.Dir)
		}
	}
	return s.print(initialised{c.Dir, files}, func(w io.Writer) { c.next(w, files) })
}

func (c initCommand) next(w io.Writer, files []string) {
	for _, name := range files {
		fmt.Fprintln(w, "wrote", path.Join(c.Dir, name))
	}
	fmt.Fprintf(w, `
next:
  tenuto check %[1]s
  tenuto ingest FOLDER --collection docs
  tenuto run docs-qa --project %[1]s --input question='…'
It answers with the embedded model until models.yaml names another.
`, c.Dir)
}

func templateFiles() ([]string, error) {
	inside, err := fs.Sub(template, "template")
	if err != nil {
		return nil, err
	}
	var files []string
	err = fs.WalkDir(inside, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, name)
		}
		return err
	})
	return files, err
}

func writeFile(root *os.Root, name string) error {
	text, err := template.ReadFile(path.Join("template", name))
	if err != nil {
		return err
	}
	if dir := path.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
