package expr

import (
	"encoding/json"
	"math"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/stdlib"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// Bounds of an expression's source and of the values that it may build.
const (
	sourceLimit = 16 << 10 // code points
	nodeLimit   = 4000     // of the syntax tree, macros expanded
	depthLimit  = 64       // of brackets
	regexLimit  = 2000     // instructions of a compiled regular expression
	rangeLimit  = 10_000   // elements of lists.range
	valueLimit  = 4 << 20  // elements of one value, a text counting one for ten bytes
)

// environment holds what is known to every expression. Making it takes milliseconds, so it is made once.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	arithmetic, err := mixedArithmetic()
	if err != nil {
		return nil, err
	}
	replaced := env.NewLibrarySubset()
	for _, f := range arithmetic {
		replaced.AddExcludedFunctions(env.NewFunction(f.Name()))
	}
	return cel.NewCustomEnv(
		cel.StdLib(cel.StdLibSubset(replaced)),
		cel.FunctionDecls(arithmetic...),
		cel.EagerlyValidateDeclarations(true),
		cel.CustomTypeAdapter(adapter{}),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		ext.Strings(), ext.Lists(ext.ListsMaxRangeSize(rangeLimit)), ext.Sets(), ext.Math(), ext.Regex(), ext.Bindings(),
		ext.Encoders(ext.EncodersVersion(0)),
		jsonFunction(),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
		cel.ParserExpressionSizeLimit(sourceLimit), cel.ParserRecursionLimit(depthLimit),
		cel.ExpressionNodeLimit(nodeLimit), cel.RegexProgramSizeLimit(regexLimit),
	)
})

// memoryLimit bounds values that an expression builds; doubling a text twenty times costs little and takes much.
func memoryLimit() cel.ProgramOption {
	return cel.MemoryTracking(
		types.MemoryTrackerLimit(valueLimit),
		types.MemoryTrackerSampleInterval(64),
		types.MemoryTrackerSizeCalculator(types.NewSizeCalculator(
			types.SizeCalculatorMaxDepth(jsonDepth), types.SizeCalculatorMaxTraversal(valueLimit))),
	)
}

func jsonFunction() cel.EnvOption {
	const overload = "json_dyn"
	return func(e *cel.Env) (*cel.Env, error) {
		e, err := cel.Function("json", cel.Overload(overload, []*cel.Type{cel.DynType}, cel.StringType, cel.UnaryBinding(jsonText)))(e)
		if err != nil {
			return nil, err
		}
		return cel.CostModel(cost.Overload(overload, cost.EvalCost(cost.StringScan(cost.Result()))))(e)
	}
}

// mixedArithmetic declares the standard + - * / with two overloads more, for whole and broken numbers together.
func mixedArithmetic() ([]*decls.FunctionDecl, error) {
	apply := map[string]func(l, r ref.Val) ref.Val{
		operators.Add:      func(l, r ref.Val) ref.Val { return as[traits.Adder](l, r, traits.Adder.Add) },
		operators.Subtract: func(l, r ref.Val) ref.Val { return as[traits.Subtractor](l, r, traits.Subtractor.Subtract) },
		operators.Multiply: func(l, r ref.Val) ref.Val { return as[traits.Multiplier](l, r, traits.Multiplier.Multiply) },
		operators.Divide:   func(l, r ref.Val) ref.Val { return as[traits.Divider](l, r, traits.Divider.Divide) },
	}
	var mixed []*decls.FunctionDecl
	for _, standard := range stdlib.Functions() {
		operate, ok := apply[standard.Name()]
		if !ok {
			continue
		}
		opts := []decls.FunctionOpt{
			decls.SingletonBinaryBinding(operate),
			decls.Overload(standard.Name()+"_int_double", []*types.Type{types.IntType, types.DoubleType}, types.DoubleType),
			decls.Overload(standard.Name()+"_double_int", []*types.Type{types.DoubleType, types.IntType}, types.DoubleType),
		}
		for _, o := range standard.OverloadDecls() {
			opts = append(opts, decls.Overload(o.ID(), o.ArgTypes(), o.ResultType()))
		}
		f, err := decls.NewFunction(standard.Name(), opts...)
		if err != nil {
			return nil, err
		}
		mixed = append(mixed, f)
	}
	return mixed, nil
}

// as applies an operator of T, with both operands broken numbers when one is.
func as[T any](l, r ref.Val, operate func(T, ref.Val) ref.Val) ref.Val {
	if whole, ok := l.(types.Int); ok && r.Type() == types.DoubleType {
		l = types.Double(whole)
	}
	if whole, ok := r.(types.Int); ok && l.Type() == types.DoubleType {
		r = types.Double(whole)
	}
	operand, ok := l.(T)
	if !ok {
		return types.MaybeNoSuchOverloadErr(l)
	}
	return operate(operand, r)
}

// adapter reads the numbers of Go and of JSON as CEL's int where they are whole by their type or notation, else as double.
type adapter struct{}

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return types.Int(whole)
		}
		broken, err := v.Float64()
		if err != nil {
			return types.WrapErr(err)
		}
		return types.Double(broken)
	case uint64:
		if v <= math.MaxInt64 {
			return types.Int(int64(v))
		}
	case uint:
		return a.NativeToValue(uint64(v))
	case uint32:
		return types.Int(int64(v))
	case []any:
		return types.NewDynamicList(a, v)
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	}
	return types.DefaultTypeAdapter.NativeToValue(value)
}
