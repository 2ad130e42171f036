package registry

import (
	"context"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Require says which suites have to pass before a label moves; none lifts that. A proposal that waits is dropped: it was not made under these
// requirements. Errors: invalid, conflict, those of the store.
func (r *Registry) Require(ctx context.Context, name LabelName, requires []schemas.SuiteRequirement, by schemas.Actor, why string) (schemas.LabelEvent, error) {
	if err := schemas.CheckRequirements(requires); err != nil {
		return schemas.LabelEvent{}, err
	}
	tip, err := r.Label(ctx, name)
	if err != nil || slices.Equal(tip.Requires, requires) {
		return tip, err
	}
	next := stays(tip, schemas.LabelRequire)
	next.Requires, next.By, next.Why = requires, by, why
	return r.enter(ctx, name, tip, next)
}

// Gated reports whether a move that nothing else stands against needs a gate, and how the label stands: what Move would be asked in vain without
// one. Errors: those of Move.
func (r *Registry) Gated(ctx context.Context, m Move) (tip schemas.LabelEvent, gated bool, err error) {
	tip, err = r.Label(ctx, m.Name)
	if err != nil || m.Undo || len(tip.Requires) == 0 || m.Release == tip.Release || repeated(tip, m) {
		return tip, false, err
	}
	if err := expected(tip, m); err != nil {
		return tip, false, err
	}
	return tip, true, r.servable(ctx, m.Name, m.Release)
}

// opened is the gate of a move, nil where none is needed: the way back is open. Errors: refused where it does not meet what the label requires,
// conflict where its suites were started before the label changed.
func opened(tip, next schemas.LabelEvent, m Move) (*schemas.LabelGate, error) {
	if next.Kind == schemas.LabelUndo || len(tip.Requires) == 0 {
		return nil, nil //nolint:nilnil // that none is needed is an answer
	}
	if m.Gate != nil && !m.Gate.Override && m.Gate.Number != tip.Number {
		return nil, schemas.Errorf(schemas.Conflict, "label %s was changed by entry %d of its history while its suites ran, and points to %s; look at it and decide again",
			m.Name, tip.Number, shown(tip.Release))
	}
	return m.Gate, missing(m.Name, tip, m.Gate, next.Release)
}

func missing(name LabelName, tip schemas.LabelEvent, gate *schemas.LabelGate, release string) error {
	lacks := gate.Missing(tip.Requires, release)
	if lacks == nil {
		return nil
	}
	return schemas.Errorf(schemas.Refused, "label %s is gated: suite %s has not passed for release %s; set the label anew, which runs it", name, lacks.Suite, schemas.ShortRelease(release))
}
