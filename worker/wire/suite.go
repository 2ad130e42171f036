package wire

import (
	"os"
	"path/filepath"

	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// DefaultCells is how many cells a suite may have unless more are allowed.
const DefaultCells = suite.DefaultCells

// SuiteOutline is what people want to see of a suite that was checked.
type SuiteOutline = suite.Outline

// CheckedSuite is what a check of a suite found. Outline is nil for a suite that cannot be read; one with too many cells has one. Files of
// problems and warnings are named from where the suite's file is named from.
type CheckedSuite struct {
	Outline  *SuiteOutline
	Problems []schemas.Problem
	Warnings []schemas.Problem
}

// CheckSuite reads and checks a suite with the files that it names, which lie in its folder or below. Its cells are counted and not made;
// more of them than allowed are a problem.
func CheckSuite(file string, allowed int64) CheckedSuite {
	found, _ := checkSuite(file, allowed, nil)
	return found
}

// checkSuite is CheckSuite with the suite, which is nil where there are problems in its files. What is read is kept in read, unless that is nil.
func checkSuite(file string, allowed int64, read *recorder) (CheckedSuite, *suite.Suite) {
	file = filepath.Clean(file)
	dir, name := filepath.Split(file)
	refuse := func(message string) (CheckedSuite, *suite.Suite) {
		return CheckedSuite{Problems: []schemas.Problem{{File: file, Message: message}}}, nil
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return refuse("this is a folder: name the file of a suite, or check a whole project with `tenuto check`")
	}
	root, err := os.OpenRoot(filepath.Clean(dir))
	if err != nil {
		return refuse("its folder cannot be opened: check that it exists and is a folder")
	}
	defer root.Close()
	folder := root.FS()
	if read != nil {
		read.FS = folder
		folder = read
	}
	s, problems, warnings := suite.Load(folder, name)
	out := CheckedSuite{Problems: below(dir, problems), Warnings: below(dir, warnings)}
	if s == nil {
		return out, nil
	}
	outline := s.Outline()
	outline.File = file
	out.Outline = &outline
	if _, err := s.Cells(suite.Expansion{MaxCells: allowed}); err != nil {
		out.Problems = append(out.Problems, schemas.Problem{File: file, Message: schemas.SafeMessage(err)})
	}
	return out, s
}

// below names the files of problems from where their folder is named from.
func below(dir string, problems []schemas.Problem) []schemas.Problem {
	for i := range problems {
		problems[i].File = filepath.Join(dir, problems[i].File)
	}
	return problems
}
