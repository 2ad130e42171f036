// Package expr compiles and evaluates the conditions and values of project files, which are written in CEL
// (https://github.com/google/cel-spec).
//
// An expression sees its variables and nothing else: no clock, no environment, no files, no network. Beside the standard functions
// there are CEL's extensions for strings, lists, sets, mathematics, regular expressions and optional values (input.?lang.orValue("en")),
// cel.bind, base64, and json(value), the JSON text of a value. Numbers of JSON have one type, so unlike in plain CEL whole and broken
// numbers may be added, subtracted, multiplied and divided with one another; a whole number divided by a whole one stays whole.
package expr

import (
	"context"
	"errors"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Bounds of one evaluation. Cost counts steps of work, weighted by the size of what they touch; it decides the same way wherever and
// whenever it runs. The time is for what cost misjudges: operations on a very long text, in a loop.
const (
	costLimit = 1_000_000
	timeLimit = 2 * time.Second
)

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	source  string
	names   []string
	ast     *cel.Ast
	program cel.Program
}

// Compile compiles src, which may use the variables called names. Their types are known only when it runs.
//
// Error: invalid, whose message begins with line and column, and whose cause is a *Error.
func Compile(src string, names []string) (*Program, error) {
	env, err := environment()
	if err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "expressions cannot be compiled")
	}
	variables := make([]cel.EnvOption, len(names))
	for i, name := range names {
		variables[i] = cel.Variable(name, cel.DynType)
	}
	if env, err = env.Extend(variables...); err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the names %q cannot be those of variables", names)
	}
	ast, issues := env.Compile(src)
	if issues.Err() != nil {
		return nil, compileFault(src, names, issues.Errors())
	}
	program, err := env.Program(ast, cel.CostLimit(costLimit), memoryLimit(), cel.InterruptCheckFrequency(1))
	if err != nil {
		return nil, fault(src, 1, 1, err.Error())
	}
	return &Program{source: src, names: slices.Clone(names), ast: ast, program: program}, nil
}

// Condition compiles src as Compile does. Error: also invalid when its result can be seen not to be true or false.
func Condition(src string, names []string) (*Program, error) {
	p, err := Compile(src, names)
	if err != nil {
		return nil, err
	}
	if kind := p.ast.OutputType(); kind.Kind() != types.BoolKind && kind.Kind() != types.DynKind {
		return nil, fault(src, 1, 1, "a condition is true or false, but this is of type "+cel.FormatCELType(kind))
	}
	return p, nil
}

// String returns the source.
func (p *Program) String() string { return p.source }

// Eval returns the value of the expression for vars, which hold what encoding/json decodes into an any (json.Number and integers
// too) and must not change meanwhile. The value is of the same kinds: nil, bool, int64, uint64, float64, string, []any,
// map[string]any; bytes become base64, times RFC 3339, durations seconds such as "90s", an empty optional nil.
//
// Error: invalid, with line and column where they are known, for a variable or field that is missing, for operands that do not fit,
// and for an evaluation that takes too much work.
func (p *Program) Eval(vars map[string]any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	value, _, err := p.program.ContextEval(ctx, vars)
	if err != nil {
		return nil, p.evalFault(err)
	}
	native, err := toJSON(value)
	if err != nil {
		return nil, fault(p.source, 1, 1, err.Error())
	}
	return native, nil
}

// Test evaluates a condition. Error: as Eval; also invalid when the value is neither true nor false.
func (p *Program) Test(vars map[string]any) (bool, error) {
	value, err := p.Eval(vars)
	if err != nil {
		return false, err
	}
	holds, ok := value.(bool)
	if !ok {
		return false, fault(p.source, 1, 1, "a condition is true or false, but this is "+kindOf(value))
	}
	return holds, nil
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "a number"
}

// evalFault gives the failure of an evaluation its place in the source.
func (p *Program) evalFault(err error) error {
	var at *types.Err
	switch {
	case errors.As(err, &at) && at.NodeID() > 0:
		place := p.ast.NativeRep().SourceInfo().GetStartLocation(at.NodeID())
		if place.Line() > 0 {
			return fault(p.source, place.Line(), place.Column()+1, plainEval(err.Error()))
		}
	}
	return fault(p.source, 1, 1, plainEval(err.Error()))
}
