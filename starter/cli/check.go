package cli

import (
	"fmt"
	"io"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

type checkCommand struct {
	Dir string `arg:"" default:"." help:"Folder of the project (default: this one)."`
}

// checked is the result of a check.
type checked struct {
	OK       bool              `json:"ok"`
	Count    int               `json:"count"`
	Problems []schemas.Problem `json:"problems"`
}

// Run lists what is wrong with a project.
func (c checkCommand) Run(s *session) error {
	problems, err := wire.CheckProject(c.Dir)
	if err != nil {
		return err
	}
	return s.problems(c.Dir, problems)
}

// problems lists what is wrong with a project, which fails the command, or says that it is in order.
func (s *session) problems(dir string, problems []schemas.Problem) error {
	result := checked{OK: len(problems) == 0, Count: len(problems), Problems: append([]schemas.Problem{}, problems...)}
	err := s.print(result, func(w io.Writer) {
		for _, p := range problems {
			fmt.Fprintln(w, wire.DescribeProblem(p))
		}
		if result.OK {
			fmt.Fprintf(w, "%s is in order\n", dir)
		}
	})
	if err == nil && !result.OK {
		err = schemas.Errorf(schemas.Refused, "%s in %s", wire.CountProblems(problems), dir)
	}
	return err
}
