package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"

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

// Run lists what is wrong with a project and its suites.
func (c checkCommand) Run(s *session) error {
	problems, err := wire.CheckWholeProject(c.Dir)
	if err != nil {
		return err
	}
	return s.problems(c.Dir, problems)
}

// problems lists what is wrong with a project, which fails the command, or says that it is in order.
func (s *session) problems(dir string, problems []schemas.Problem) error {
	result := checked{OK: len(problems) == 0, Count: len(problems), Problems: append([]schemas.Problem{}, problems...)}
	err := s.print(result, func(w io.Writer) {
		writeProblems(w, "", problems)
		if result.OK {
			fmt.Fprintf(w, "%s is in order\n", dir)
		}
	})
	return result.err(err, dir)
}

// err is that of a check whose result was printed with printed: refused for one that found problems in where.
func (c checked) err(printed error, where string) error {
	if printed == nil && !c.OK {
		return schemas.Errorf(schemas.Refused, "%s in %s", wire.CountProblems(c.Problems), where)
	}
	return printed
}

// writeProblems writes a problem a line, as FILE:LINE:COLUMN and what it is, with a word before what it is for those that are none.
// Characters that a terminal would obey are replaced.
func writeProblems(w io.Writer, word string, problems []schemas.Problem) {
	for _, p := range problems {
		p.Message = word + p.Message
		fmt.Fprintln(w, visible(wire.DescribeProblem(p)))
	}
}

// visible is a text with another character instead of each that a terminal would obey.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
