package vector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Index is what the rest of the program uses: a driver behind checks, batches of bounded size, coded errors and a definite order of
// results. It keeps no state and is safe for concurrent use.
type Index struct{ driver Driver }

// New returns the index that driver keeps.
func New(driver Driver) *Index { return &Index{driver: driver} }

// Ensure makes what is missing of class, tenant and alias. Any repetition is harmless. An alias that points at another class stays
// there. Codes: invalid, conflict, unauthorized, unavailable, deadline.
func (x *Index) Ensure(ctx context.Context, spec Spec) error {
	if err := checkSpec(spec); err != nil {
		return err
	}
	return coded(x.driver.Ensure(ctx, withDefaults(spec)), "making class %s", spec.Class)
}

// Upsert writes objects, replacing those with the same id; of several with one id the last is written. It either writes all or says
// which were refused: see RejectedError. Any repetition is harmless. Codes: invalid, not_found (no such class or tenant), over_budget
// (the disk is full), unauthorized, unavailable, deadline.
func (x *Index) Upsert(ctx context.Context, target Target, objects []Object) error {
	if err := checkTarget(target); err != nil {
		return err
	}
	if err := checkObjects(objects); err != nil {
		return err
	}
	var refused []error
	for batch := range batches(lastOfEach(objects)) {
		err := x.driver.Upsert(ctx, target, batch)
		var rejected *RejectedError
		switch {
		case errors.As(err, &rejected):
			refused = append(refused, err)
		case err != nil:
			return coded(err, "writing to %s", target.Class)
		}
	}
	return joinRejected(refused, len(objects))
}

// Fetch reads back those of ids that exist, sorted by id. Codes: invalid, not_found (no such class or tenant), unauthorized,
// unavailable, deadline.
func (x *Index) Fetch(ctx context.Context, target Target, ids []string) ([]Stored, error) {
	if err := checkIDs(target, ids); err != nil {
		return nil, err
	}
	var found []Stored
	for part := range slices.Chunk(distinct(ids), maxIDs) {
		some, err := x.driver.Fetch(ctx, target, part)
		if err != nil {
			return nil, coded(err, "reading back from %s", target.Class)
		}
		found = append(found, some...)
	}
	slices.SortFunc(found, func(a, b Stored) int { return cmp.Compare(a.ID, b.ID) })
	return found, nil
}

// Delete removes objects of the tenant and returns how many it removed. Any repetition is harmless: what is gone counts for 0. With
// All the tenant leaves the class; Ensure brings it back, empty. Codes: invalid, not_found (no such class or tenant, for ids),
// unauthorized, unavailable, deadline.
func (x *Index) Delete(ctx context.Context, target Target, selection Selection) (int, error) {
	if selection.All {
		if err := checkTarget(target); err != nil {
			return 0, err
		}
		n, err := x.driver.Delete(ctx, target, Selection{All: true})
		return n, coded(err, "emptying %s", target.Class)
	}
	if err := checkIDs(target, selection.IDs); err != nil {
		return 0, err
	}
	removed := 0
	for part := range slices.Chunk(distinct(selection.IDs), maxIDs) {
		n, err := x.driver.Delete(ctx, target, Selection{IDs: part})
		removed += n
		if err != nil {
			return removed, coded(err, "deleting from %s", target.Class)
		}
	}
	return removed, nil
}

// Search returns the objects that answer query best, best first, those of equal score by id. A query without terms finds nothing by
// keyword. Codes: invalid (also: the vectors of this class have another number of dimensions), not_found (no such class or
// tenant), unauthorized, unavailable, deadline.
func (x *Index) Search(ctx context.Context, target Target, query Query) ([]Found, error) {
	if err := checkQuery(target, query); err != nil {
		return nil, err
	}
	if query.Mode == schemas.Keyword && query.Terms == "" {
		return nil, nil
	}
	found, err := x.driver.Search(ctx, target, query)
	if err != nil {
		return nil, coded(err, "searching %s", target.Class)
	}
	found = slices.DeleteFunc(found, func(f Found) bool { return !Matches(query.Filter, f.Object) })
	slices.SortFunc(found, better)
	return found, nil
}

// Status counts the objects of the tenant and the vectors that wait to be indexed. Codes: not_found (no such class or tenant),
// unauthorized, unavailable, deadline.
func (x *Index) Status(ctx context.Context, target Target) (Status, error) {
	if err := checkTarget(target); err != nil {
		return Status{}, err
	}
	status, err := x.driver.Status(ctx, target)
	return status, coded(err, "reading the state of %s", target.Class)
}

// better orders results: higher scores first, then by id.
func better(a, b Found) int {
	return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
}

// coded gives err a code if it has none. Cancellation passes as it is: it is the caller's own wish and no failure of the index.
func coded(err error, doing string, args ...any) error {
	var known *schemas.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return fmt.Errorf(doing+": %w", append(args, err)...)
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return schemas.Wrap(schemas.Deadline, err, "the search index took longer than allowed")
	}
	return schemas.Wrap(schemas.Internal, fmt.Errorf(doing+": %w", append(args, err)...), "the search index failed in an unexpected way")
}
