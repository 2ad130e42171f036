package evaluate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/tenuto-dev/tenuto/schemas"
)

// failedIn are the columns of a run that could not be carried out to their end, and why.
func failedIn(in schemas.JudgeRequest) map[int]schemas.EvalFailure {
	out := map[int]schemas.EvalFailure{}
	for _, f := range in.Failed {
		for _, column := range f.Columns {
			out[column] = f
		}
	}
	return out
}

// failuresOf are warnings of what columns failed at.
func failuresOf(plan stored, failed []schemas.EvalFailure) (warnings []string) {
	for _, f := range failed {
		titles := make([]string, len(f.Columns))
		for i, n := range f.Columns {
			titles[i] = "the comparisons"
			if n >= 0 && n < len(plan.Columns) {
				titles[i] = cmp.Or(plan.Columns[n].Provider.Label, plan.Columns[n].Provider.ID)
			}
		}
		warnings = append(warnings, "not carried out to the end: "+strings.Join(titles, ", ")+": "+f.Reason)
	}
	return warnings
}

// beyond reports whether err says that what was kept of a column cannot be read, and the column has failed, over that or something else: it is
// judged without.
func (g gathering) beyond(ctx context.Context, column int, err error) bool {
	_, failed := g.failed[column]
	switch schemas.CodeOf(err) {
	case schemas.Unavailable, schemas.RateLimited, schemas.Deadline:
		return false
	case schemas.Invalid, schemas.NotFound, schemas.Conflict, schemas.Unauthorized, schemas.Refused, schemas.OverBudget, schemas.MalformedOutput, schemas.Internal:
	}
	return failed && ctx.Err() == nil
}

// whole reports whether every output of a contest is there.
func (g gathering) whole(c contest) bool {
	return !slices.ContainsFunc(c.cells, func(cell planned) bool { return g.partial(cell).State != schemas.CellScored })
}

// expanded are the cells of columns by the suite itself, for a plan whose cells cannot be read any more.
func (a *Activities) expanded(ctx context.Context, in schemas.JudgeRequest, plan stored, columns map[int]bool) ([]planned, error) {
	from, err := a.load(ctx, in.Request.Package)
	if err != nil {
		return nil, err
	}
	p := newPlanner(a, in.Request, from)
	p.plan.Fixed, p.sum = plan.Fixed, sha256.New()
	var cells []planned
	p.tell = func(c planned) {
		if columns[c.Column] {
			cells = append(cells, c)
		}
	}
	if err := p.prepare(ctx); err != nil {
		return nil, err
	}
	return cells, p.each(ctx)
}
