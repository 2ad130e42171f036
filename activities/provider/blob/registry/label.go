package registry

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/schemas"
)

// LabelName names a label of a chain.
type LabelName struct{ Tenant, Chain, Label string }

// String is the name as people write it.
func (n LabelName) String() string { return n.Chain + "@" + n.Label }

// check reports why there can be no such label.
func (n LabelName) check() error {
	if err := schemas.CheckTenant(n.Tenant); err != nil {
		return err
	}
	if err := schemas.CheckChain(n.Chain); err != nil {
		return err
	}
	return schemas.CheckLabel(n.Label)
}

func (n LabelName) prefix() string { return schemas.LabelPrefix(n.Tenant, n.Chain, n.Label) }

func (n LabelName) key(number int) string {
	return schemas.LabelEventKey(n.Tenant, n.Chain, n.Label, number)
}

func (n LabelName) openKey() string { return schemas.LabelOpenKey(n.Tenant, n.Chain, n.Label) }

// Label says how a label stands, by a read that begins after the call: the last entry of its history. The entry is zero for a label that
// was never set. Errors: invalid, those of the store.
func (r *Registry) Label(ctx context.Context, name LabelName) (schemas.LabelEvent, error) {
	if err := name.check(); err != nil {
		return schemas.LabelEvent{}, err
	}
	return r.labels.do(ctx, name.prefix(), func(ctx context.Context) (schemas.LabelEvent, error) { return r.readTip(ctx, name) })
}

// stepsAhead is how many entries are looked for one after another before the history is listed.
const stepsAhead = 3

// readTip finds the last entry. Entries have no gaps and never change, so where one is known it is still the last if there is none of the
// next number: a question about one key, which a store answers fastest.
func (r *Registry) readTip(ctx context.Context, name LabelName) (schemas.LabelEvent, error) {
	r.mu.Lock()
	tip, known := r.tips[name.prefix()]
	r.mu.Unlock()
	if !known {
		return r.listTip(ctx, name)
	}
	for range stepsAhead {
		next, found, err := r.event(ctx, name, tip.Number+1)
		if err != nil || !found {
			return tip, err
		}
		tip = next
		r.keepTip(name, tip)
	}
	return r.listTip(ctx, name)
}

// listTip lists the history, which begins with the last entry.
func (r *Registry) listTip(ctx context.Context, name LabelName) (schemas.LabelEvent, error) {
	page, err := r.store.List(ctx, name.prefix(), "", 1)
	if err != nil || len(page) == 0 || page[0].Key == name.openKey() {
		return schemas.LabelEvent{}, err
	}
	tip, err := r.entry(ctx, name, schemas.LabelEventNumber(page[0].Key))
	if err == nil {
		r.keepTip(name, tip)
	}
	return tip, err
}

func (r *Registry) keepTip(name LabelName, tip schemas.LabelEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.tips) >= labelsKept {
		clear(r.tips)
	}
	if tip.Number > r.tips[name.prefix()].Number {
		r.tips[name.prefix()] = tip
	}
}

// event reads an entry of a label's history.
func (r *Registry) event(ctx context.Context, name LabelName, number int) (event schemas.LabelEvent, found bool, err error) {
	data, err := r.store.Get(ctx, name.key(number))
	if absent(err) {
		return event, false, nil
	}
	if err != nil {
		return event, false, err
	}
	if err := json.Unmarshal(data, &event); err != nil || event.Number != number {
		return event, false, schemas.Wrap(schemas.Internal, err, "entry %d of the history of label %s cannot be read", number, name)
	}
	return event, true, nil
}

// entry is event for an entry that there must be.
func (r *Registry) entry(ctx context.Context, name LabelName, number int) (schemas.LabelEvent, error) {
	event, found, err := r.event(ctx, name, number)
	if err == nil && !found {
		err = schemas.Errorf(schemas.Internal, "entry %d of the history of label %s is missing", number, name)
	}
	return event, err
}

// History lists the entries of a label's history with numbers below before, the latest first; from the last one if before is 0. Errors:
// invalid, not_found for a label that was never set, those of the store.
func (r *Registry) History(ctx context.Context, name LabelName, before, limit int) ([]schemas.LabelEvent, error) {
	tip, err := r.Label(ctx, name)
	if err != nil {
		return nil, err
	}
	if tip.Number == 0 {
		return nil, neverSet(name)
	}
	from := tip.Number
	if before > 0 {
		from = min(from, before-1)
	}
	var events []schemas.LabelEvent
	for number := from; number > 0 && len(events) < limit; number-- {
		event, err := r.entry(ctx, name, number)
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

// Target is the release that a label points to now. Errors: invalid, not_found for a label that was never set or points nowhere, those of
// the store.
func (r *Registry) Target(ctx context.Context, name LabelName) (string, error) {
	tip, err := r.Label(ctx, name)
	if err != nil {
		return "", err
	}
	return target(name, tip)
}

func target(name LabelName, tip schemas.LabelEvent) (string, error) {
	switch {
	case tip.Number == 0:
		return "", neverSet(name)
	case tip.Release == "":
		return "", schemas.Errorf(schemas.NotFound, "label %s points to no release yet; \"tenuto label set %s RELEASE\" sets it", name, name)
	}
	return tip.Release, nil
}

func neverSet(name LabelName) error {
	return schemas.Errorf(schemas.NotFound, "chain %s has no label %s; \"tenuto label list %s\" shows those there are", name.Chain, name.Label, name.Chain)
}
