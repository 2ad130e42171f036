package evaluate

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Bulk lists the calls of a column that can be made in batches: first those of cells that are not answered and whose chain is one generate step,
// then, order by order, those of graders about the answers that are there. Once their responses are recorded the cells find them, as they find those
// of a run that was cut off. What an order did not bring is in none after it: the cells ask for it alone. Like Open it is called by whoever holds the
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
	l := &listing{a: a, in: in, plan: plan, work: work, seen: map[string]bool{}, served: map[string]int{}}
	l.w = &batchWork{a: a, plan: plan, in: schemas.CellsRequest{Run: in.Run, Column: in.Column, Round: in.Round, Prefix: work.Prefix, Earlier: work.Earlier}}
	if err := l.before(ctx); err != nil {
		return schemas.EvalBulk{}, err
	}
	for n := range work.Batches {
		if err := l.batch(ctx, n); err != nil {
			return schemas.EvalBulk{}, err
		}
	}
	return l.keep(ctx)
}

// listing is one call of Bulk.
type listing struct {
	a    *Activities
	in   schemas.ColumnRequest
	plan stored
	work schemas.ColumnWork
	w    *batchWork // for those who ask graders

	lists  []schemas.BulkList
	served map[string]int  // the list of a bundle, by its hash, and by the digest of its models
	seen   map[string]bool // calls
	cost   schemas.Estimate
	graded bool // graders are asked about cells
	rows   int  // of all lists
}

// listed is a call and who makes it.
type listed struct {
	call   schemas.BulkCall
	bundle string // hash
	cost   schemas.Estimate
}

// before reads what earlier orders of graders' calls had.
func (l *listing) before(ctx context.Context) error {
	for order := 1; order < l.in.Order; order++ {
		of := l.in
		of.Order = order
		for n := 0; ; n++ {
			list, err := blob.GetJSON[schemas.BulkList](ctx, l.a.Store, schemas.Ref{Key: schemas.EvalBulkKey(of, n)})
			if schemas.CodeOf(err) == schemas.NotFound {
				break
			}
			if err != nil {
				return err
			}
			for _, row := range list.Rows {
				l.seen[row.Attempt] = true
			}
		}
	}
	return nil
}

// batch lists what the cells of a batch ask, in their order. Those of late batches make no calls for answers of their own.
func (l *listing) batch(ctx context.Context, n int) error {
	cells, err := l.a.batch(ctx, l.work.Prefix, l.in.Column, l.in.Round, n)
	if err != nil {
		return err
	}
	l.graded = l.graded || slices.ContainsFunc(cells, func(c planned) bool { return slices.ContainsFunc(c.Assertions, asksGrader) })
	list := l.answer
	if l.in.Order > 0 {
		list = l.grades
	} else if n >= l.work.Batches-l.work.Late {
		return nil
	}
	found := make([][]listed, len(cells))
	group, listing := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, c := range cells {
		group.Go(func() (err error) {
			found[i], err = list(listing, c)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, one := range slices.Concat(found...) {
		l.add(one)
	}
	return nil
}

// asksGrader reports whether an assertion asks a model about the output of its cell.
func asksGrader(a schemas.Assertion) bool {
	return suite.AsksText(a.Type) && !suite.Compares(a.Type) || slices.ContainsFunc(a.Assert, asksGrader)
}

// answer lists the call of a cell, if it makes one that is known beforehand. What is wrong with it is said when it is carried out.
func (l *listing) answer(ctx context.Context, c planned) ([]listed, error) {
	q, ok := l.asking(c)
	if !ok {
		return nil, nil
	}
	if _, answered, err := l.a.found(ctx, q); answered || err != nil {
		return nil, err
	}
	return l.row(ctx, q)
}

// asking is how a cell asks for its answer; not ok where it asks nobody.
func (l *listing) asking(c planned) (q asking, ok bool) {
	if c.Problem != "" || c.Output != nil || c.Answer != nil {
		return q, false
	}
	t := l.plan.Targets[c.Target]
	if t.Kind == suite.KindEcho {
		return q, false
	}
	input, err := inputOf(c, t)
	return asking{
		run: l.in.Run, id: schemas.EvalCallID(c.ID.Call), target: t, input: input, logProbs: c.LogProbs, earlier: l.work.Earlier, purpose: "answer",
		start: l.in.Run.StartMS,
	}, err == nil
}

// row lists the next call of a run. One that no batch can have is asked for alone.
func (l *listing) row(ctx context.Context, q asking) ([]listed, error) {
	call, err := l.a.Chains.Row(ctx, q.request())
	if err != nil && schemas.CodeOf(err).Retryable() {
		return nil, err
	}
	if err != nil || call.Row == nil {
		return nil, nil //nolint:nilerr // as above
	}
	one, err := l.priced(ctx, q, call)
	return []listed{one}, err
}

// add puts a call into the list of its models: names may mean something else in other bundles.
func (l *listing) add(one listed) {
	if l.seen[one.call.Row.Attempt] {
		return
	}
	l.seen[one.call.Row.Attempt] = true
	n, known := l.served[one.bundle]
	if !known {
		digest := digestOf(one.call.Models)
		if n, known = l.served[digest]; !known {
			n = len(l.lists)
			l.lists = append(l.lists, schemas.BulkList{Models: one.call.Models})
		}
		l.served[digest], l.served[one.bundle] = n, n
	}
	l.lists[n].Rows = append(l.lists[n].Rows, *one.call.Row)
	l.rows++
	l.count(one.cost)
}

// keep writes the lists.
func (l *listing) keep(ctx context.Context) (schemas.EvalBulk, error) {
	out := schemas.EvalBulk{First: l.w.in, Rows: l.rows}
	out.More = l.graded && (l.in.Order == 0 || out.Rows > 0)
	if l.rows > 0 {
		var err error
		if out.Short, err = l.short(ctx); out.Short != nil || err != nil {
			return out, err
		}
	}
	for n, list := range l.lists {
		bulk := schemas.BulkRequest{Tenant: l.in.Run.Tenant, ID: schemas.EvalBulkID(l.in, n)}
		var err error
		if bulk.List, err = blob.PutJSON(ctx, l.a.Store, schemas.EvalBulkKey(l.in, n), list); err != nil {
			return schemas.EvalBulk{}, err
		}
		if n == 0 {
			out.Bulk = bulk
		} else {
			out.Others = append(out.Others, bulk)
		}
	}
	return out, nil
}
