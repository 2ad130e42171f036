package evaluate

import (
	"context"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Bulk lists the calls of a column that can be made in batches: those of cells that are not answered and whose chain is one generate step. Once
// their responses are recorded the cells find them, as they find those of a run that was cut off. Like Open it is called by whoever holds the
// column's turn. Codes: those of the store.
func (a *Activities) Bulk(ctx context.Context, in schemas.ColumnRequest) (schemas.EvalBulk, error) {
	plan, err := a.planOf(ctx, in.Run)
	if err != nil {
		return schemas.EvalBulk{}, err
	}
	work, err := a.Open(ctx, in)
	if err != nil || work.Batches == 0 {
		return schemas.EvalBulk{}, err
	}
	l := &listing{a: a, in: in, plan: plan, work: work, seen: map[string]bool{}, served: map[string]bool{}}
	for n := range work.Batches - work.Late {
		if err := l.batch(ctx, n); err != nil {
			return schemas.EvalBulk{}, err
		}
	}
	out := schemas.EvalBulk{Rows: len(l.list.Rows), First: schemas.CellsRequest{
		Run: in.Run, Column: in.Column, Round: in.Round, Prefix: work.Prefix, Earlier: work.Earlier,
	}}
	if out.Rows == 0 {
		return out, nil
	}
	if out.Short, err = l.short(ctx); out.Short != nil || err != nil {
		return out, err
	}
	out.Bulk = schemas.BulkRequest{Tenant: in.Run.Tenant, ID: schemas.EvalBulkID(in.Run, in.Column)}
	out.Bulk.List, err = blob.PutJSON(ctx, a.Store, schemas.EvalBulkKey(in.Run, in.Column), l.list)
	return out, err
}

// listing is one call of Bulk.
type listing struct {
	a      *Activities
	in     schemas.ColumnRequest
	plan   stored
	work   schemas.ColumnWork
	list   schemas.BulkList
	first  string          // digest of the models that the list has
	seen   map[string]bool // calls
	served map[string]bool // by bundle: its models are those of the list
	cost   schemas.Estimate
}

func (l *listing) batch(ctx context.Context, n int) error {
	cells, err := l.a.batch(ctx, l.work.Prefix, l.in.Column, l.in.Round, n)
	if err != nil {
		return err
	}
	for _, cell := range cells {
		if err := l.cell(ctx, cell); err != nil {
			return err
		}
	}
	return nil
}

// cell adds the call of a cell, if it makes one that is known beforehand. What is wrong with it is said when it is carried out.
func (l *listing) cell(ctx context.Context, c planned) error {
	if c.Problem != "" || c.Output != nil || c.Answer != nil || l.seen[c.ID.Call] {
		return nil
	}
	l.seen[c.ID.Call] = true
	t := l.plan.Targets[c.Target]
	if t.Kind == suite.KindEcho {
		return nil
	}
	input, err := inputOf(c, t)
	if err != nil {
		return nil //nolint:nilerr // as above
	}
	q := asking{
		run: l.in.Run, id: schemas.EvalCallID(c.ID.Call), target: t, input: input, logProbs: c.LogProbs, earlier: l.work.Earlier, purpose: "answer",
		start: l.in.Run.StartMS,
	}
	if _, answered, err := l.a.before(ctx, q); answered || err != nil {
		return err
	}
	row, models, ok, err := l.a.Chains.Row(ctx, q.request())
	if err != nil && schemas.CodeOf(err).Retryable() {
		return err
	}
	if ok && err == nil && l.serves(t, models) {
		l.list.Rows = append(l.list.Rows, row)
		return l.add(ctx, q)
	}
	return nil
}

// serves reports whether a target's models are those of the list, which has those of the first. Names may mean something else in others.
func (l *listing) serves(t target, models schemas.Models) bool {
	same, known := l.served[t.Bundle.SHA256]
	if known {
		return same
	}
	digest := digestOf(models)
	if l.first == "" {
		l.first, l.list.Models = digest, models
	}
	l.served[t.Bundle.SHA256] = digest == l.first
	return digest == l.first
}
