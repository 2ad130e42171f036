package chain

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/internal/structured"
	"github.com/tenuto-dev/tenuto/schemas"
)

// branch chooses the first case whose condition is true.
func (s *stepping) branch(ctx context.Context) (schemas.StepOutcome, error) {
	label, chosen := "else", s.def.Branch.Else
	for i, c := range s.def.Branch.Cases {
		yes, err := s.scope.test(ctx, c.When)
		if err != nil {
			return schemas.StepOutcome{}, err
		}
		if yes {
			label, chosen = c.Label, c.Steps
			if label == "" {
				label = strconv.Itoa(i)
			}
			break
		}
	}
	out, err := s.outcome(ctx, label)
	out.Chosen = chosen
	return out, err
}

// defaultMapMax is how long a list a map takes where the chain does not say.
const defaultMapMax = 1000

// items makes the list of inputs of a map's chain.
func (s *stepping) items(ctx context.Context) (schemas.StepOutcome, error) {
	value, err := s.scope.eval(ctx, s.def.Map.Over)
	if err != nil {
		return schemas.StepOutcome{}, err
	}
	list, ok := value.([]any)
	if !ok {
		return schemas.StepOutcome{}, schemas.Errorf(schemas.Invalid, "step %s maps over %s, which is no list", s.in.Step, s.def.Map.Over)
	}
	bound := s.def.Map.Max
	if bound == 0 {
		bound = defaultMapMax
	}
	if len(list) > bound {
		return schemas.StepOutcome{}, schemas.Errorf(schemas.Invalid,
			"step %s maps over %d items and takes at most %d; raise max in the chain if that many are wanted", s.in.Step, len(list), bound)
	}
	inputs := make([]map[string]any, len(list))
	for i, item := range list {
		scope := s.scope.with(map[string]any{varItem: item, varIndex: int64(i)})
		if inputs[i], err = scope.values(ctx, s.def.Map.With); err != nil {
			return schemas.StepOutcome{}, err
		}
	}
	out, err := s.outcome(ctx, inputs)
	out.Items = len(inputs)
	return out, err
}

// Output evaluates the output of a chain, or puts together the outputs of a map. Codes: invalid, malformed_output, those of the store.
func (a *Activities) Output(ctx context.Context, in schemas.OutputRequest) (schemas.OutputOutcome, error) {
	if in.Chain == "" {
		return a.together(ctx, in)
	}
	output, err := a.output(ctx, in)
	return schemas.OutputOutcome{Output: output}, err
}

// output is the value of the chain's output expression.
func (a *Activities) output(ctx context.Context, in schemas.OutputRequest) (schemas.Content, error) {
	b, err := a.bundle(ctx, in.Bundle)
	if err != nil {
		return schemas.Content{}, err
	}
	def := b.Chains[in.Chain]
	if def.Output == "" {
		return lastOutput(def, in.Outputs), nil
	}
	value, err := a.newScope(in.Tenant, in.RunID, in.Chain, in.Input, in.Item, in.Outputs).eval(ctx, def.Output)
	if err != nil {
		return schemas.Content{}, err
	}
	if err := fits(def.Schema, value); err != nil {
		return schemas.Content{}, err
	}
	return a.content(ctx, in.Tenant, value)
}

// lastOutput is that of the last step that was not skipped.
func lastOutput(def schemas.ChainDef, outputs map[string]schemas.Content) schemas.Content {
	for _, s := range slices.Backward(def.Steps) {
		if out, ok := outputs[s.ID]; ok {
			return out
		}
	}
	return schemas.Content{Text: "null"}
}

// together makes one list. Each element of a list of parts is itself a list.
func (a *Activities) together(ctx context.Context, in schemas.OutputRequest) (schemas.OutputOutcome, error) {
	list := make([]any, 0, len(in.List))
	for _, c := range in.List {
		value, err := a.value(ctx, c)
		if err != nil {
			return schemas.OutputOutcome{}, err
		}
		if part, ok := value.(map[string]any); ok && !in.Part {
			if elements, ok := part[partKey].([]any); ok {
				list = append(list, elements...)
				continue
			}
		}
		list = append(list, value)
	}
	if !in.Part {
		content, err := a.content(ctx, in.Tenant, list)
		return schemas.OutputOutcome{Output: content}, err
	}
	content, err := a.content(ctx, in.Tenant, map[string]any{partKey: list})
	if err != nil {
		return schemas.OutputOutcome{}, err
	}
	data, err := json.Marshal(in.Steps)
	if err != nil {
		return schemas.OutputOutcome{}, err
	}
	ref, err := a.keep(ctx, in.Tenant, data)
	record := schemas.StepRecord{Path: in.Path, ID: "items", Kind: schemas.StepMap, Parts: schemas.Content{Ref: ref}}
	return schemas.OutputOutcome{Output: content, Steps: []schemas.StepRecord{record}}, err
}

// partKey marks a list that is only a part of a map's.
const partKey = "\x00items"

// CheckInput checks the input of a run against the chain's schema. Error: invalid, saying what does not fit.
func CheckInput(b schemas.Bundle, input json.RawMessage) error {
	schema := b.Chains[b.Chain].Input
	if schema == nil {
		schema = json.RawMessage(`{"type":"object"}`)
	}
	result, err := structured.Read(string(input), schema)
	if mismatch, ok := errors.AsType[*structured.Mismatch](err); ok {
		return schemas.Wrap(schemas.Invalid, err, "the input of chain %s does not fit its schema: %s", b.Chain, strings.Join(mismatch.Problems, "; "))
	}
	if err != nil {
		return err
	}
	if len(result.Repairs) > 0 { // what a person sends is not mended behind their back
		return schemas.Errorf(schemas.Invalid, "the input of chain %s does not fit its schema as it stands: %s", b.Chain, strings.Join(result.Repairs, "; "))
	}
	return nil
}
