package evaluate

import (
	"context"
	"fmt"

	"github.com/tenuto-dev/tenuto/schemas"
)

// mostEarlier is how many runs that were cut off are looked at.
const mostEarlier = 8

// Open says what is left to do of a column: which of its cells have no result yet. Where there are some that have one, the others are laid out in
// batches of their own. Whoever calls it holds the column's turn, so nobody else is at work on the same. Codes: those of the store.
func (a *Activities) Open(ctx context.Context, in schemas.ColumnRequest) (schemas.ColumnWork, error) {
	plan, err := a.planOf(ctx, in.Run)
	if err != nil {
		return schemas.ColumnWork{}, err
	}
	column, prefix, err := a.columnOf(ctx, in, plan)
	if err != nil {
		return schemas.ColumnWork{}, err
	}
	work := schemas.ColumnWork{Batches: column.Batches, Late: column.Late, Prefix: prefix}
	if work.Earlier, err = a.begin(ctx, in.Run, column.ID); err != nil {
		return work, err
	}
	work.Earlier = work.Earlier[max(0, len(work.Earlier)-mostEarlier):]
	work.Fresh = len(work.Earlier) == 0
	k, err := a.knownOf(ctx, in.Run, column.ID)
	if err != nil || len(k.answers) == 0 && len(k.scored) == 0 {
		return work, err
	}
	return a.rest(ctx, in, plan, work, k)
}

// columnOf is a column with where its cells are: those of the plan, or of a later round of the run.
func (a *Activities) columnOf(ctx context.Context, in schemas.ColumnRequest, plan stored) (schemas.EvalColumn, string, error) {
	columns, prefix := plan.Columns, schemas.EvalPlanPrefix(in.Run.Tenant, in.Run.Suite, in.Run.Plan)
	if in.Round > 0 {
		r, err := a.roundOf(ctx, in.Run, in.Round)
		if err != nil {
			return schemas.EvalColumn{}, "", err
		}
		columns, prefix = r.Columns, schemas.EvalRunPrefix(in.Run.Tenant, in.Run.Suite, in.Run.ID)
	}
	if in.Column < 0 || in.Column >= len(columns) {
		return schemas.EvalColumn{}, "", schemas.Errorf(schemas.Internal, "the plan has no column %d", in.Column)
	}
	return columns[in.Column], prefix, nil
}

// rest lays out the cells without a result. Where they lie is named by what they are: laid out again when others have results, they lie elsewhere, so
// neither they nor what is kept of them is mistaken for the former.
func (a *Activities) rest(ctx context.Context, in schemas.ColumnRequest, plan stored, work schemas.ColumnWork, k *known) (schemas.ColumnWork, error) {
	var todo []planned
	var ids []string
	for n := range work.Batches {
		cells, err := a.batch(ctx, work.Prefix, in.Column, in.Round, n)
		if err != nil {
			return work, err
		}
		for _, cell := range cells {
			if _, done := k.scored[cell.ID.Score]; done {
				work.Known++
				continue
			}
			cell.Answer = k.answers[cell.ID.Call]
			todo, ids = append(todo, cell), append(ids, fmt.Sprint(cell.ID.Score, cell.Answer != nil))
		}
	}
	prefix := fmt.Sprintf("%swork/%s/", schemas.EvalRunPrefix(in.Run.Tenant, in.Run.Suite, in.Run.ID), digestOf(ids)[:16])
	left := a.newBatches(prefix, in.Round, len(todo), plan.Width)
	for _, cell := range todo {
		left.add(ctx, cell, "")
	}
	counts, err := left.close(ctx)
	work.Batches, work.Late, work.Prefix = counts[in.Column].all, counts[in.Column].late, left.prefix
	return work, err
}
