package chain

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tenuto-dev/tenuto/activities/project"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// The variables of expressions.
const (
	varInput = "input"
	varSteps = "steps"
	varRun   = "run"
	varItem  = "item"
	varIndex = "index"
)

// scope is what expressions of a chain see. Outputs are read only when an expression uses them.
type scope struct {
	a       *Activities
	input   schemas.Content
	item    *int // input is a list and the chain's input is this element
	outputs map[string]schemas.Content
	run     map[string]any

	names  []string
	vars   map[string]any
	loaded map[string]any // outputs, by step
}

func (a *Activities) scope(in schemas.StepRequest) *scope {
	return a.newScope(in.Tenant, in.RunID, in.Chain, in.Input, in.Item, in.Outputs)
}

func (a *Activities) newScope(tenant, run, chain string, input schemas.Content, item *int, outputs map[string]schemas.Content) *scope {
	return &scope{
		a: a, input: input, item: item, outputs: outputs,
		run:   map[string]any{"id": run, "tenant": tenant, "chain": chain},
		names: []string{varInput, varSteps, varRun},
		vars:  map[string]any{}, loaded: map[string]any{},
	}
}

// with returns a scope with more variables.
func (s *scope) with(more map[string]any) *scope {
	wider := *s
	wider.vars = map[string]any{}
	maps.Copy(wider.vars, s.vars)
	for name, value := range more {
		if _, ok := wider.vars[name]; !ok {
			wider.names = append(slices.Clip(wider.names), name)
		}
		wider.vars[name] = value
	}
	return &wider
}

// eval returns the value of an expression.
func (s *scope) eval(ctx context.Context, src string) (any, error) {
	program, err := s.a.programs.Compile(src, s.names)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", src, err)
	}
	if err := s.prepare(ctx, program.References()); err != nil {
		return nil, err
	}
	value, err := program.Eval(s.vars) //nolint:contextcheck // it is bounded by itself and reads nothing
	if err != nil {
		return nil, explained(err, src)
	}
	return value, nil
}

func explained(err error, src string) error {
	if len(src) > 80 {
		src = src[:80] + "…"
	}
	return schemas.Wrap(schemas.CodeOf(err), err, "the expression %s: %s", src, schemas.SafeMessage(err))
}

func (s *scope) test(ctx context.Context, src string) (bool, error) {
	value, err := s.eval(ctx, src)
	if err != nil {
		return false, err
	}
	truth, ok := value.(bool)
	if !ok {
		return false, schemas.Errorf(schemas.Invalid, "the condition %s is neither true nor false", src)
	}
	return truth, nil
}

// text returns the value of an expression as text.
func (s *scope) text(ctx context.Context, src string) (string, error) {
	value, err := s.eval(ctx, src)
	if err != nil {
		return "", err
	}
	return textOf(value), nil
}

func textOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

// values evaluates several expressions by name.
func (s *scope) values(ctx context.Context, sources map[string]string) (map[string]any, error) {
	values := make(map[string]any, len(sources))
	for name, src := range sources {
		value, err := s.eval(ctx, src)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values[name] = value
	}
	return values, nil
}

// fill replaces each ${CEL} in a template. Escape is applied to what is filled in.
func (s *scope) fill(ctx context.Context, template string, escape func(string) string) (string, error) {
	pieces, err := project.Interpolation(template)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, piece := range pieces {
		if !piece.Expression {
			out.WriteString(piece.Text)
			continue
		}
		value, err := s.text(ctx, piece.Text)
		if err != nil {
			return "", err
		}
		out.WriteString(escape(value))
	}
	return out.String(), nil
}

// prepare loads what the references need.
func (s *scope) prepare(ctx context.Context, references [][]string) error {
	s.vars[varRun] = s.run
	for _, path := range references {
		switch {
		case path[0] == varInput && s.vars[varInput] == nil:
			input, err := s.readInput(ctx)
			if err != nil {
				return err
			}
			s.vars[varInput] = input
		case path[0] == varSteps && len(path) > 1:
			if err := s.load(ctx, path[1]); err != nil {
				return err
			}
		case path[0] == varSteps:
			for id := range s.outputs {
				if err := s.load(ctx, id); err != nil {
					return err
				}
			}
		}
	}
	s.vars[varSteps] = s.loaded
	return nil
}

func (s *scope) readInput(ctx context.Context) (any, error) {
	if s.item == nil {
		return s.a.value(ctx, s.input)
	}
	list, err := s.a.list(ctx, s.input)
	if err != nil {
		return nil, err
	}
	if *s.item >= len(list) {
		return nil, schemas.Errorf(schemas.Internal, "item %d of a map is not in its list", *s.item)
	}
	return list[*s.item], nil
}

// listsKept is how many long lists of maps a process remembers.
const listsKept = 8

// lists are the inputs of maps used lately, by hash: each item's steps read the whole list. They are not changed.
type lists struct {
	mu   sync.Mutex
	kept map[string][]any
}

func (a *Activities) list(ctx context.Context, content schemas.Content) ([]any, error) {
	sum := content.Ref.SHA256
	a.lists.mu.Lock()
	kept, ok := a.lists.kept[sum]
	a.lists.mu.Unlock()
	if ok {
		return kept, nil
	}
	value, err := a.value(ctx, content)
	if err != nil {
		return nil, err
	}
	list, ok := value.([]any)
	if !ok {
		return nil, schemas.Errorf(schemas.Internal, "the input of a map is no list")
	}
	if sum != "" {
		a.lists.mu.Lock()
		defer a.lists.mu.Unlock()
		if a.lists.kept == nil || len(a.lists.kept) >= listsKept {
			a.lists.kept = map[string][]any{}
		}
		a.lists.kept[sum] = list
	}
	return list, nil
}

func (s *scope) load(ctx context.Context, id string) error {
	content, ok := s.outputs[id]
	if _, loaded := s.loaded[id]; loaded || !ok {
		return nil
	}
	value, err := s.a.value(ctx, content)
	if err != nil {
		return fmt.Errorf("output of step %s: %w", id, err)
	}
	s.loaded[id] = value
	return nil
}

// value decodes a content.
func (a *Activities) value(ctx context.Context, content schemas.Content) (any, error) {
	if content == (schemas.Content{}) {
		return nil, nil
	}
	text, err := blob.Text(ctx, a.Store, content)
	if err != nil {
		return nil, err
	}
	return decode([]byte(text))
}

func decode(data []byte) (any, error) {
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "a stored value is not valid JSON")
	}
	return value, nil
}

// content encodes a value, inline where it is short.
func (a *Activities) content(ctx context.Context, tenant string, value any) (schemas.Content, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return schemas.Content{}, schemas.Wrap(schemas.Invalid, err, "a value cannot be written as JSON")
	}
	if len(data) <= schemas.InlineBytes {
		return schemas.Content{Text: string(data)}, nil
	}
	ref, err := a.keep(ctx, tenant, data)
	return schemas.Content{Ref: ref}, err
}
