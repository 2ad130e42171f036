package evaluate

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// round is a further round of samples of some cases.
type round struct {
	Columns []schemas.EvalColumn `json:"columns"`
	Cells   int                  `json:"cells"`
}

func roundKey(run schemas.EvalRun, number int) string {
	return fmt.Sprintf("%srounds/%02d.json", schemas.EvalRunPrefix(run.Tenant, run.Suite, run.ID), number)
}

func (a *Activities) roundOf(ctx context.Context, run schemas.EvalRun, number int) (round, error) {
	return blob.GetJSON[round](ctx, a.Store, schemas.Ref{Key: roundKey(run, number)})
}

// further lays out more samples of the cases that deserve them. It reads the suite anew, over the releases that the plan found.
func (a *Activities) further(ctx context.Context, in schemas.JudgeRequest, plan stored, result schemas.EvalResult) (schemas.EvalJudgement, error) {
	number := in.Round + 1
	if kept, err := a.roundOf(ctx, in.Run, number); err == nil {
		return schemas.EvalJudgement{More: kept.Cells, Columns: kept.Columns, Bulk: in.Request.Bulk}, nil
	} else if schemas.CodeOf(err) != schemas.NotFound {
		return schemas.EvalJudgement{}, err
	}
	want := wanted(result, in.Request.MaxRepeat, len(plan.Columns))
	if len(want) == 0 {
		return schemas.EvalJudgement{}, nil
	}
	from, err := a.load(ctx, in.Request.Package)
	if err != nil {
		return schemas.EvalJudgement{}, err
	}
	request := in.Request
	request.Repeat = in.Request.MaxRepeat
	p := newPlanner(a, request, from)
	p.plan.Fixed, p.plan.Contents, p.want = plan.Fixed, plan.Contents, want
	if err := p.prepare(ctx); err != nil {
		return schemas.EvalJudgement{}, err
	}
	return a.layOut(ctx, in, p, number)
}

// span is a run of samples.
type span struct{ from, to int }

func (s span) has(sample int) bool { return s.from <= sample && sample < s.to }

// wanted are the samples of a further round, of columns that the plan has.
func wanted(result schemas.EvalResult, most, columns int) map[place]span {
	samples := map[place]int{}
	for _, c := range result.Cells {
		samples[place{c.Case.ID, c.Column}]++
	}
	out := map[place]span{}
	for _, w := range More(result, most) {
		at := place{w.Case, w.Column}
		if from := samples[at]; w.Column < columns && from < most {
			out[at] = span{from, min(from+w.Samples, most)}
		}
	}
	return out
}

// layOut writes the cells of a round, and then the round.
func (a *Activities) layOut(ctx context.Context, in schemas.JudgeRequest, p *planner, number int) (schemas.EvalJudgement, error) {
	p.sum = sha256.New()
	p.written = a.newBatches(schemas.EvalRunPrefix(in.Run.Tenant, in.Run.Suite, in.Run.ID), number, len(p.want), p.plan.Width)
	if err := p.each(ctx); err != nil {
		return schemas.EvalJudgement{}, err
	}
	counts, err := p.written.close(ctx)
	if err != nil {
		return schemas.EvalJudgement{}, err
	}
	r := round{Columns: p.columns}
	for i := range r.Columns {
		r.Columns[i].Batches, r.Columns[i].Late = counts[i].all, counts[i].late
		r.Cells += r.Columns[i].Cells
	}
	if _, err := blob.PutJSON(ctx, a.Store, roundKey(in.Run, number), r); err != nil {
		return schemas.EvalJudgement{}, err
	}
	return schemas.EvalJudgement{More: r.Cells, Columns: r.Columns, Bulk: in.Request.Bulk}, nil
}
