package registry

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Move asks for another release behind a label.
type Move struct {
	Name    LabelName
	Release string // full hash; empty with Undo
	Undo    bool   // back to what was before the release that the label points to
	Expect  string // hash that the label must point to; Nothing for none, empty for any
	By      schemas.Actor
	Why     string
	Gate    *schemas.LabelGate // of a label that requires suites; an undo needs none
}

// Nothing is what a label is expected to point to that was never set.
const Nothing = "none"

// Move moves a label, or proposes to, where it is protected. Of moves at the same time one wins. A move to where the label points already
// changes nothing. The returned entry says how the label stands; it has a proposal where a second person must approve. Errors: conflict where
// the label has moved meanwhile or does not point to what is expected, or where there is no way back; not_found, refused for a recalled
// release and where the gate does not meet what the label requires, those of the store.
func (r *Registry) Move(ctx context.Context, m Move) (schemas.LabelEvent, error) {
	tip, err := r.Label(ctx, m.Name)
	if err != nil {
		return tip, err
	}
	if repeated(tip, m) {
		return tip, nil
	}
	if err := expected(tip, m); err != nil {
		return tip, err
	}
	if tip.Number == 0 { // a recall that does not see the label yet is seen by what follows
		if err := r.store.Put(ctx, m.Name.openKey(), nil); err != nil {
			return tip, err
		}
	}
	next, err := r.moved(ctx, m.Name, tip, m.Release, m.Undo)
	if err != nil {
		return tip, err
	}
	if next.Release == tip.Release {
		return tip, nil
	}
	if next.Gate, err = opened(tip, next, m); err != nil {
		return tip, err
	}
	next.By, next.Why = m.By, m.Why
	if tip.Protected {
		next = proposed(tip, next, m)
	}
	return r.enter(ctx, m.Name, tip, next)
}

// repeated reports whether the last entry is what the same caller asks for once more: the answer may have been lost on the way.
func repeated(tip schemas.LabelEvent, m Move) bool {
	if m.Expect == "" || tip.By.Key != m.By.Key || tip.Number == 0 {
		return false
	}
	before := expectation(tip.Before)
	switch tip.Kind {
	case schemas.LabelSet:
		return !m.Undo && tip.Release == m.Release && before == m.Expect
	case schemas.LabelUndo:
		return m.Undo && before == m.Expect
	case schemas.LabelPropose:
		return tip.Proposal.Undo == m.Undo && (m.Undo || tip.Proposal.Release == m.Release) && expectation(tip.Release) == m.Expect
	case schemas.LabelApprove, schemas.LabelReject, schemas.LabelProtect, schemas.LabelUnprotect, schemas.LabelRecall, schemas.LabelRequire:
	}
	return false
}

func expectation(release string) string {
	if release == "" {
		return Nothing
	}
	return release
}

func expected(tip schemas.LabelEvent, m Move) error {
	if m.Expect == "" || m.Expect == expectation(tip.Release) {
		return nil
	}
	return schemas.Errorf(schemas.Conflict, "label %s points to %s since entry %d of its history, and not to %s; look at it and decide again",
		m.Name, shown(tip.Release), tip.Number, shown(m.Expect))
}

func shown(release string) string {
	if release == "" || release == Nothing {
		return "no release"
	}
	return schemas.ShortRelease(release)
}

// moved is the entry of a move that nothing stands against.
func (r *Registry) moved(ctx context.Context, name LabelName, tip schemas.LabelEvent, release string, undo bool) (schemas.LabelEvent, error) {
	next := schemas.LabelEvent{Kind: schemas.LabelSet, Release: release, Before: tip.Release, Protected: tip.Protected, Requires: tip.Requires}
	if tip.Release != "" {
		next.Back = tip.Number
	}
	if undo {
		if tip.Back == 0 {
			return next, schemas.Errorf(schemas.Conflict, "label %s has no release before %s to go back to", name, shown(tip.Release))
		}
		back, err := r.entry(ctx, name, tip.Back)
		if err != nil {
			return next, err
		}
		next.Kind, next.Release, next.Back = schemas.LabelUndo, back.Release, back.Back
	}
	return next, r.servable(ctx, name, next.Release)
}

// servable reports why no label may point to a release.
func (r *Registry) servable(ctx context.Context, name LabelName, release string) error {
	if _, err := r.Load(ctx, name.Tenant, name.Chain, release); err != nil {
		return err
	}
	return r.CheckRecalled(ctx, name.Tenant, name.Chain, release)
}

// proposed makes a proposal of a move. It takes the place of one that waits.
func proposed(tip, next schemas.LabelEvent, m Move) schemas.LabelEvent {
	proposal := stays(tip, schemas.LabelPropose)
	proposal.By, proposal.Why = m.By, m.Why
	proposal.Proposal = &schemas.LabelProposal{Number: tip.Number + 1, Release: next.Release, Undo: m.Undo, By: m.By, Why: m.Why, Gate: next.Gate}
	return proposal
}

// enter writes the entry that follows tip. Error: conflict where somebody else has written one.
func (r *Registry) enter(ctx context.Context, name LabelName, tip, next schemas.LabelEvent) (schemas.LabelEvent, error) {
	next.Number, next.AtMS = tip.Number+1, r.now().UnixMilli()
	if next.Proposal != nil && next.Proposal.AtMS == 0 {
		next.Proposal.AtMS = next.AtMS
	}
	data, err := json.Marshal(next)
	if err != nil {
		return tip, err
	}
	created, err := r.store.PutIfAbsent(ctx, name.key(next.Number), data)
	if err != nil {
		return tip, err
	}
	if !created {
		return tip, schemas.Errorf(schemas.Conflict, "label %s was changed by somebody else at the same time; look at it and decide again", name)
	}
	r.keepTip(name, next)
	r.Meter.LabelChanged(next.Kind)
	return next, nil
}

// Decision approves or rejects a proposal.
type Decision struct {
	Name     LabelName
	Proposal int // number of the proposal
	Approve  bool
	By       schemas.Actor
	Why      string
}

// Decide moves a protected label as proposed, or drops the proposal. Errors: conflict for a proposal that no longer waits, refused where
// who proposes approves, and those of Move.
func (r *Registry) Decide(ctx context.Context, d Decision) (schemas.LabelEvent, error) {
	tip, err := r.Label(ctx, d.Name)
	if err != nil {
		return tip, err
	}
	proposal := tip.Proposal
	switch {
	case tip.Decided != nil && tip.Decided.Number == d.Proposal && tip.By.Key == d.By.Key && (tip.Kind == schemas.LabelApprove) == d.Approve:
		return tip, nil // once more: the answer may have been lost on the way
	case proposal == nil:
		return tip, schemas.Errorf(schemas.Conflict, "no proposal waits at label %s; \"tenuto label history %s\" shows what became of those there were", d.Name, d.Name)
	case proposal.Number != d.Proposal:
		return tip, schemas.Errorf(schemas.Conflict, "proposal %d of label %s is stale: number %d waits, to move it to %s", d.Proposal, d.Name, proposal.Number, shown(proposal.Release))
	case !d.Approve:
		next := stays(tip, schemas.LabelReject)
		next.By, next.Why, next.Decided = d.By, d.Why, proposal
		return r.enter(ctx, d.Name, tip, next)
	case proposal.By.Same(d.By):
		return tip, schemas.Errorf(schemas.Refused, "label %s is protected: a second person approves, with another key than %s", d.Name, proposal.By.Key)
	}
	next, err := r.moved(ctx, d.Name, tip, proposal.Release, proposal.Undo)
	if err != nil {
		return tip, err
	}
	if !proposal.Undo {
		if err := missing(d.Name, tip, proposal.Gate, next.Release); err != nil {
			return tip, err
		}
	}
	next.Kind, next.By, next.Why, next.Decided, next.Gate = schemas.LabelApprove, d.By, d.Why, proposal, proposal.Gate
	return r.enter(ctx, d.Name, tip, next)
}

// stays is an entry that leaves the label where it points.
func stays(tip schemas.LabelEvent, kind schemas.LabelEventKind) schemas.LabelEvent {
	return schemas.LabelEvent{
		Kind: kind, Release: tip.Release, Before: tip.Release, Back: tip.Back, Protected: tip.Protected, Recalled: tip.Recalled, Requires: tip.Requires,
	}
}

// Protect says whether moves of a label need a second person. A proposal that waits is dropped when they no longer do. Errors: conflict,
// those of the store.
func (r *Registry) Protect(ctx context.Context, name LabelName, protected bool, by schemas.Actor, why string) (schemas.LabelEvent, error) {
	tip, err := r.Label(ctx, name)
	if err != nil || tip.Protected == protected {
		return tip, err
	}
	next := stays(tip, schemas.LabelUnprotect)
	if protected {
		next.Kind = schemas.LabelProtect
	}
	next.Protected, next.By, next.Why = protected, by, why
	return r.enter(ctx, name, tip, next)
}
