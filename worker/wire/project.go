package wire

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tenuto-dev/tenuto/activities/project"
	"github.com/tenuto-dev/tenuto/schemas"
)

// maxPrompt is one byte more than a prompt file may have, so that its reader can say that it is too large.
const maxPrompt = 1<<20 + 1

// CheckProject says what is wrong with the project in a folder, its suites aside, sorted by file and line: what keeps its chains from
// running. Error: not_found for a folder that cannot be opened.
func CheckProject(dir string) ([]schemas.Problem, error) {
	_, problems, err := openProject(dir)
	return problems, err
}

// CheckWholeProject says what is wrong with the project in a folder, then with its suites. Error: as of CheckProject.
func CheckWholeProject(dir string) ([]schemas.Problem, error) {
	root, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	p, problems := project.Load(root.FS())
	return append(problems, p.CheckSuites(root.FS())...), nil
}

// ProjectBundle puts together the bundle of a chain of the project in a folder. Errors: not_found for the folder or the chain, invalid
// for a project with problems.
func ProjectBundle(dir, chain string) (schemas.Bundle, error) {
	p, _, err := openProject(dir)
	if err != nil {
		return schemas.Bundle{}, err
	}
	return p.Bundle(chain)
}

// CheckBundle says what is wrong with a bundle.
func CheckBundle(bundle schemas.Bundle) []schemas.Problem { return project.CheckBundle(bundle) }

// DescribeProblem writes a problem as file:line:column: message.
func DescribeProblem(p schemas.Problem) string { return project.Describe(p) }

// CountProblems says how many there are, in words.
func CountProblems(problems []schemas.Problem) string { return project.Count(len(problems)) }

func openProject(dir string) (*project.Project, []schemas.Problem, error) {
	root, err := openFolder(dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	p, problems := project.Load(root.FS())
	return p, problems, nil
}

// openFolder opens a folder so that no link in it leads out.
func openFolder(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, schemas.Wrap(schemas.NotFound, err, "the folder %s cannot be opened; check that it exists and is a folder", dir)
	}
	return root, nil
}

// RenderPrompt renders a prompt file with input. Partials are those beside it, or with a project's folder those of the project; file
// may then also be the name of one of its prompts. Errors: not_found for a file or folder that cannot be read, invalid for a prompt or
// an input that is wrong.
func RenderPrompt(file, dir string, input map[string]any) (project.Rendered, error) {
	folder := filepath.Dir(file)
	if dir != "" {
		folder = filepath.Join(dir, "prompts")
	}
	root, err := openFolder(folder)
	if err != nil {
		return project.Rendered{}, err
	}
	defer root.Close()
	text, err := readPrompt(file)
	if named := filepath.FromSlash(file) + ".prompt"; errors.Is(err, fs.ErrNotExist) && dir != "" && filepath.IsLocal(named) {
		file = filepath.Join(folder, named)
		text, err = readPrompt(file)
	}
	if err != nil {
		return project.Rendered{}, schemas.Wrap(schemas.NotFound, err, "the prompt %s cannot be read; check that the file exists", file)
	}
	return project.Render(filepath.ToSlash(file), text, root.FS(), input)
}

func readPrompt(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxPrompt))
	return string(data), err
}

// ProjectSuites lists the files of the suites of the project in a folder, sorted. Error: not_found for a folder that cannot be opened.
func ProjectSuites(dir string) ([]string, error) {
	p, _, err := openProject(dir)
	if err != nil {
		return nil, err
	}
	files := p.Suites()
	for i, file := range files {
		files[i] = filepath.Join(dir, filepath.FromSlash(file))
	}
	return files, nil
}
