package project

import (
	"io/fs"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// CheckSuites finds what is wrong with the project's suites and the files that they name, which lie in suites/ or below; fsys is the folder
// that the project was loaded from. It stands apart from Load because a suite is no part of what a chain runs by: a broken one keeps no
// chain from running, and a large one holds none up. What Load says of a file is not said again. Problems are sorted.
func (p *Project) CheckSuites(fsys fs.FS) []schemas.Problem {
	if len(p.suites) == 0 {
		return nil
	}
	r := newReport()
	within, err := fs.Sub(fsys, folderSuites)
	if err != nil {
		return []schemas.Problem{{File: folderSuites, Message: "the folder cannot be read: check its permissions"}}
	}
	for _, file := range p.suites {
		_, problems, _ := suite.Load(within, file[len(folderSuites)+1:])
		for _, problem := range problems {
			problem.File = folderSuites + "/" + problem.File
			if !slices.ContainsFunc(p.problems, func(known schemas.Problem) bool { return known.File == problem.File }) {
				r.in(problem.File, problem.Line, problem.Column, "%s", problem.Message)
			}
		}
	}
	return r.sorted()
}

// Suites are the files of the project's suites, sorted, named from the project's folder.
func (p *Project) Suites() []string { return slices.Clone(p.suites) }
