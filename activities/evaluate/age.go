package evaluate

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// A run may ask that no answer is older than so long. What is older is then as if nobody had asked: not in packs, not in records, not in a result that
// is known. What it asks goes by names of its own, so that a record of the same day is not taken for its answer.

// sinceOf is when the answers that a run takes were given at the earliest, Unix milliseconds: by what was asked for, else by the suite. 0 is any time.
func sinceOf(request schemas.EvalRequest, ofSuite *int64) int64 {
	age := request.MaxAgeMS
	if age == nil {
		age = ofSuite
	}
	if age == nil {
		return 0
	}
	return max(1, request.StartMS-*age)
}

// young reports whether a run takes a cell of a pack, of a run that started then.
func young(run schemas.EvalRun, c schemas.CellRecord, start int64) bool {
	if run.SinceMS == 0 {
		return true
	}
	if c.Answer != nil && c.Answer.StartMS > 0 {
		start = c.Answer.StartMS
	}
	return start >= run.SinceMS
}

// startOf is when the run started that wrote a pack, 0 where its name does not say.
func startOf(key, prefix string) int64 {
	name := strings.TrimPrefix(key, prefix)
	const id = 36 // a UUID
	if len(name) < id {
		return 0
	}
	start, ok := schemas.RunStart(name[:id])
	if !ok {
		return 0
	}
	return start.UnixMilli()
}

// knownRun points from a plan to the run in which all of its cells came to a result.
type knownRun struct {
	ID       string `json:"id"`
	OldestMS int64  `json:"oldest_ms,omitempty"` // when its oldest answer was given, Unix milliseconds; 0 is not known
}

// oldest is when the oldest answer of a run was given. Cells that are given, and ask nobody, are of any time.
func oldest(run schemas.EvalRun, cells []schemas.CellRecord) int64 {
	at := int64(math.MaxInt64)
	for _, c := range cells {
		switch {
		case c.Answer != nil && c.Answer.StartMS > 0:
			at = min(at, c.Answer.StartMS)
		case len(c.GraderRuns) > 0 && c.Reused:
			return 0
		case len(c.GraderRuns) > 0:
			at = min(at, run.StartMS)
		}
	}
	return at
}

// known reports whether a run with this plan ended with a result for each cell that this run takes.
func (p *planner) known(ctx context.Context, prefix string) (bool, error) {
	_, ok, err := p.a.knownRun(ctx, prefix, p.plan.SinceMS)
	return ok, err
}

func (a *Activities) knownRun(ctx context.Context, prefix string, since int64) (knownRun, bool, error) {
	known, err := blob.GetJSON[knownRun](ctx, a.Store, schemas.Ref{Key: prefix + knownFile})
	if err != nil {
		return known, false, unlessAbsent(err)
	}
	return known, known.OldestMS >= since, nil
}

// asked is a run of a chain that asked, or asks.
type asked struct {
	id    string
	start int64 // of the evaluation, Unix milliseconds
}

// own is the run by which this evaluation asks.
func (q asking) own() asked {
	if q.run.SinceMS == 0 {
		return asked{q.id, q.run.StartMS}
	}
	return q.apart(q.run.StartMS)
}

// apart is the run by which an evaluation asks that does not take every answer.
func (q asking) apart(start int64) asked {
	kind, _, _ := strings.Cut(q.id, "-")
	return asked{kind + "-" + digestOf(q.id, start)[:40], start}
}

// before finds the answer that this evaluation got, or one that was cut off.
func (a *Activities) before(ctx context.Context, q asking) (e schemas.Exchange, ok bool, err error) {
	var places []asked
	for _, start := range q.earlier {
		places = append(places, asked{q.id, start}, q.apart(start))
	}
	for _, start := range ownStarts(q.run, time.Now()) {
		places = append(places, asked{q.own().id, start})
	}
	for _, place := range places {
		e, ok, err = a.exchange(ctx, q.run.Tenant, place)
		if err != nil {
			return e, false, err
		}
		if ok && e.Status == schemas.RunDone && e.StartMS >= q.run.SinceMS {
			return e, true, nil
		}
	}
	return schemas.Exchange{}, false, nil
}
