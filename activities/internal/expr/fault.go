package expr

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Error says where an expression is wrong and why. Line and Column count from 1; a column is a code point.
type Error struct {
	Line, Column int
	Reason       string
	Source       string
}

// Error quotes the beginning of the expression; where and why stand in the message of the *schemas.Error around it.
func (f *Error) Error() string { return "in the expression " + fmt.Sprintf("%.80q", f.Source) }

func fault(src string, line, column int, reason string) error {
	cause := &Error{Line: line, Column: column, Reason: reason, Source: src}
	return schemas.Wrap(schemas.Invalid, cause, "line %d, column %d: %s", line, column, reason)
}

// compileFault reports the first of the problems: the others are often its consequences.
func compileFault(src string, names []string, problems []*cel.Error) error {
	first := problems[0]
	return fault(src, max(first.Location.Line(), 1), max(first.Location.Column(), 0)+1, plainCompile(first.Message, names))
}

// plainCompile says in fewer words what the compiler says.
func plainCompile(message string, names []string) string {
	message, _, _ = strings.Cut(message, "\n")
	message, _, _ = strings.Cut(message, " expecting {") // tens of tokens that might stand there
	message = strings.TrimSuffix(message, " (in container '')")
	if strings.Contains(message, "input '<EOF>'") {
		return "the expression ends too early"
	}
	name, unknown := strings.CutPrefix(message, "undeclared reference to ")
	switch {
	case unknown && len(names) == 0:
		return name + " is not known here; there are no variables"
	case unknown:
		return name + " is not known here; known are " + strings.Join(names, ", ")
	}
	return message
}

// plainEval says in the words of the user what the interpreter says.
func plainEval(message string) string {
	switch {
	case strings.Contains(message, "cost limit exceeded"), strings.Contains(message, "memory limit exceeded"),
		strings.Contains(message, "operation interrupted"), strings.Contains(message, "deadline exceeded"):
		return "the expression takes too much work"
	}
	if key, ok := strings.CutPrefix(message, "no such key: "); ok {
		return fmt.Sprintf("there is no %q; ask with has(…), or give a default with .?%s.orValue(…)", key, key)
	}
	if name, ok := strings.CutPrefix(message, "no such attribute(s): "); ok {
		return "the variable " + name + " has no value here"
	}
	if kinds, ok := strings.CutPrefix(message, "no such overload"); ok {
		return "the operands do not fit" + kinds
	}
	return message
}
