package evaluate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/internal/report"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Result puts the result of a run together, from whatever there is: every planned cell is scored, errored or not run. It keeps the result, the
// reports and the summary, and says which cases deserve further samples. Repeated, it writes the same. Codes: invalid for a baseline that cannot
// be compared with, those of the store.
func (a *Activities) Result(ctx context.Context, in schemas.JudgeRequest) (schemas.EvalJudgement, error) {
	plan, err := a.planOf(ctx, in.Run)
	if err != nil {
		return schemas.EvalJudgement{}, err
	}
	before, err := a.knownResult(ctx, in, plan)
	if err != nil {
		return schemas.EvalJudgement{}, err
	}
	columns, cells, err := a.cells(ctx, in, plan, before)
	if err != nil {
		return schemas.EvalJudgement{}, err
	}
	judging := Judging{
		Run: in.Run, Request: in.Request, Columns: columns, Cells: cells, Policy: plan.Policy, Description: plan.Description, Now: time.Now(),
		EndMS: in.EndMS, Usage: in.Usage, Cost: in.Cost, Stopped: in.Stopped,
	}
	judging.Request.Baseline = plan.Baseline
	if plan.Earlier != "" {
		earlier, err := a.resultOf(ctx, in.Run, plan.Earlier)
		if err != nil {
			return schemas.EvalJudgement{}, err
		}
		judging.Earlier = &earlier
	}
	result, err := Judge(judging)
	if err != nil {
		return schemas.EvalJudgement{}, err
	}
	result.Releases = plan.Releases
	if at := oldest(in.Run, cells); at < math.MaxInt64 {
		result.OldestMS = at
	}
	if result.Warnings, err = a.warnings(ctx, in.Run, plan); err != nil {
		return schemas.EvalJudgement{}, err
	}
	result.Warnings = append(result.Warnings, failuresOf(plan, in.Failed)...)
	if in.MayRepeat && in.Request.MaxRepeat > 1 {
		more, err := a.further(ctx, in, plan, result)
		if err != nil || more.More > 0 {
			more.Summary = result.EvalSummary
			return more, err
		}
	}
	if before != nil && before.ID != in.Run.ID && reflect.DeepEqual([]any{before.Verdict, before.Flaky}, []any{result.Verdict, result.Flaky}) {
		result.SameAs = cmp.Or(before.SameAs, before.ID)
		return schemas.EvalJudgement{Summary: result.EvalSummary}, a.keepSummary(ctx, in.Run, result)
	}
	return schemas.EvalJudgement{Summary: result.EvalSummary}, a.keep(ctx, in, result)
}

// resultOf reads the result of a run that ended. Nobody changes what it returns.
func (a *Activities) resultOf(ctx context.Context, run schemas.EvalRun, id string) (schemas.EvalResult, error) {
	key := schemas.EvalFileKey(run.Tenant, run.Suite, id, schemas.EvalFileResult)
	if r, ok := a.results.get(key); ok {
		return r, nil
	}
	data, err := a.Store.Get(ctx, key)
	if schemas.CodeOf(err) == schemas.NotFound {
		return a.sameResult(ctx, run, id, err)
	}
	if err != nil {
		return schemas.EvalResult{}, err
	}
	var r schemas.EvalResult
	if err := json.Unmarshal(data, &r); err != nil {
		return r, schemas.Wrap(schemas.Internal, err, "the result of run %s cannot be read", id)
	}
	a.results.put(key, r, int64(len(data)))
	return r, nil
}

// sameResult is the result of a run whose files are another's. Error: absent where it is not.
func (a *Activities) sameResult(ctx context.Context, run schemas.EvalRun, id string, absent error) (schemas.EvalResult, error) {
	summary, err := blob.GetJSON[schemas.EvalSummary](ctx, a.Store, schemas.Ref{Key: schemas.EvalSummaryKey(run.Tenant, run.Suite, id)})
	if err != nil || summary.SameAs == "" || summary.SameAs == id {
		return schemas.EvalResult{}, absent
	}
	return a.resultOf(ctx, run, summary.SameAs)
}

// knownResult is the result of the run in which all cells of the plan were scored; nil where there is none, or its answers are too old.
func (a *Activities) knownResult(ctx context.Context, in schemas.JudgeRequest, plan stored) (*schemas.EvalResult, error) {
	prefix := schemas.EvalPlanPrefix(in.Run.Tenant, in.Run.Suite, in.Run.Plan)
	known, ok, err := a.knownRun(ctx, prefix, in.Run.SinceMS)
	if err != nil || !ok {
		return nil, err
	}
	before, err := a.resultOf(ctx, in.Run, known.ID)
	if err != nil || len(before.Columns) < len(plan.Columns) {
		return nil, unlessAbsent(err)
	}
	return &before, nil
}

// cells are the records of all cells that were planned, in their order, and their columns.
func (a *Activities) cells(
	ctx context.Context, in schemas.JudgeRequest, plan stored, before *schemas.EvalResult,
) ([]schemas.EvalColumn, []schemas.CellRecord, error) {
	if before != nil {
		return ofPlan(*before, len(plan.Columns))
	}
	gathered, err := a.gather(ctx, in, plan)
	return plan.Columns, gathered, err
}

// ofPlan are the cells of a result that a plan has: without those of an earlier run beside it.
func ofPlan(before schemas.EvalResult, columns int) ([]schemas.EvalColumn, []schemas.CellRecord, error) {
	cells := slices.DeleteFunc(slices.Clone(before.Cells), func(c schemas.CellRecord) bool { return c.Column >= columns })
	for i := range cells {
		cells[i].Reused = true
	}
	return before.Columns[:columns], cells, nil
}

// gathering finds what became of cells.
type gathering struct {
	known    map[string]*known // by provider's identity
	errored  map[string]schemas.CellRecord
	columns  []schemas.EvalColumn
	contests map[string]contest // by the place of a cell
	compared *known
	failed   map[int]schemas.EvalFailure // by column
}

func (a *Activities) gather(ctx context.Context, in schemas.JudgeRequest, plan stored) ([]schemas.CellRecord, error) {
	g, cells, err := a.gathering(ctx, in, plan)
	if err != nil {
		return nil, err
	}
	records := make([]schemas.CellRecord, len(cells))
	for i, c := range cells {
		records[i] = g.record(c)
	}
	return records, nil
}

// record is what became of a cell.
func (g gathering) record(c planned) schemas.CellRecord {
	out := g.partial(c)
	contest, ok := g.contests[placeID(c)]
	if !ok || out.State != schemas.CellScored {
		return out
	}
	id := contest.outcomeID(c)
	if found, ok := g.compared.scored[id]; ok {
		partly := out.Reused
		out = *found
		out.Reused = partly && !g.compared.own[id]
	} else if failed, ok := g.errored[id]; ok {
		out = failed
	} else {
		out.State, out.Pass, out.Score, out.Reason, out.Code = schemas.CellErrored, false, 0, notCompared, schemas.Unavailable
		if why, ok := g.failed[schemas.EvalCompared]; ok && g.whole(contest) {
			out.Reason, out.Code = why.Reason, why.Code
		}
	}
	out.ID, out.Case, out.Column, out.Sample = c.ID, c.Case, c.Column, c.Sample
	return out
}

// partial is what became of a cell by itself. The same content may stand in several cells of a run.
func (g gathering) partial(c planned) schemas.CellRecord {
	out := recordOf(c)
	k := g.known[g.columns[c.Column].ID]
	if found, ok := k.scored[c.ID.Score]; ok {
		out = *found
		out.Reused = !k.own[c.ID.Score]
	} else if failed, ok := g.errored[c.ID.Score]; ok {
		out = failed
	} else if why, ok := g.failed[c.Column]; ok {
		out.State, out.Reason, out.Code = schemas.CellErrored, why.Reason, why.Code
	} else {
		out.State = schemas.CellNotRun
	}
	out.Case, out.Column, out.Sample = c.Case, c.Column, c.Sample
	return out
}

// plannedCells reads the cells of a plan and of the rounds of a run, in the order in which they were made.
func (a *Activities) plannedCells(ctx context.Context, in schemas.JudgeRequest, plan stored, g gathering) ([]planned, error) {
	cells, err := a.firstCells(ctx, in, plan, g)
	for n := 1; n <= in.Round && err == nil; n++ {
		var r round
		if r, err = a.roundOf(ctx, in.Run, n); err != nil {
			break
		}
		var more []planned
		more, _, err = a.allOf(ctx, r.Columns, schemas.EvalRunPrefix(in.Run.Tenant, in.Run.Suite, in.Run.ID), n, gathering{})
		cells = append(cells, more...)
	}
	return cells, err
}

// firstCells are those of the plan.
func (a *Activities) firstCells(ctx context.Context, in schemas.JudgeRequest, plan stored, g gathering) ([]planned, error) {
	cells, lost, err := a.allOf(ctx, plan.Columns, schemas.EvalPlanPrefix(in.Run.Tenant, in.Run.Suite, in.Run.Plan), 0, g)
	if err != nil || len(lost) == 0 {
		return cells, err
	}
	again, err := a.expanded(ctx, in, plan, lost)
	cells = append(cells, again...)
	slices.SortFunc(cells, func(a, b planned) int { return a.At - b.At })
	return cells, err
}

// allOf reads the cells of columns, but for those that are beyond reading.
func (a *Activities) allOf(
	ctx context.Context, columns []schemas.EvalColumn, prefix string, number int, g gathering,
) (all []planned, lost map[int]bool, err error) {
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	read, missing := make([][][]planned, len(columns)), make([]atomic.Bool, len(columns))
	for i, c := range columns {
		read[i] = make([][]planned, c.Batches)
		for n := range c.Batches {
			group.Go(func() (err error) {
				if read[i][n], err = a.batch(reading, prefix, i, number, n); err != nil && g.beyond(reading, i, err) {
					missing[i].Store(true)
					return nil
				}
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	lost = map[int]bool{}
	for i, batches := range read {
		if missing[i].Load() {
			lost[i] = true
			continue
		}
		all = slices.Concat(append(batches, all)...)
	}
	slices.SortFunc(all, func(a, b planned) int { return a.At - b.At })
	return all, lost, nil
}

// keep writes the files of a run, the summary last: whoever finds it finds them all. Then the plan is known where every cell has a result, and the
// marks of the run at work are taken away.
func (a *Activities) keep(ctx context.Context, in schemas.JudgeRequest, result schemas.EvalResult) error {
	run := in.Run
	if err := a.writeReports(ctx, run, result); err != nil {
		return err
	}
	if err := a.keepSummary(ctx, run, result); err != nil {
		return err
	}
	scored := !slices.ContainsFunc(result.Cells, func(c schemas.CellRecord) bool { return c.State != schemas.CellScored })
	if scored {
		key := schemas.EvalPlanPrefix(run.Tenant, run.Suite, run.Plan) + knownFile
		if _, err := blob.PutJSON(ctx, a.Store, key, knownRun{ID: run.ID, OldestMS: oldest(run, result.Cells)}); err != nil {
			return err
		}
	}
	return a.unmark(ctx, run, result.Columns)
}

func (a *Activities) keepSummary(ctx context.Context, run schemas.EvalRun, result schemas.EvalResult) error {
	_, err := blob.PutJSON(ctx, a.Store, schemas.EvalSummaryKey(run.Tenant, run.Suite, run.ID), result.EvalSummary)
	return err
}

// writeReports writes the files of a run, side by side.
func (a *Activities) writeReports(ctx context.Context, run schemas.EvalRun, result schemas.EvalResult) error {
	group, writing := errgroup.WithContext(ctx)
	for file, write := range map[schemas.EvalFile]func(io.Writer, schemas.EvalResult) error{
		schemas.EvalFileResult: report.JSON, schemas.EvalFileHTML: report.HTML, schemas.EvalFileMarkdown: report.Markdown, schemas.EvalFileJUnit: report.JUnit,
	} {
		group.Go(func() error {
			var text bytes.Buffer
			if err := write(&text, result); err != nil {
				return schemas.Wrap(schemas.Internal, err, "the report %s cannot be written", file)
			}
			key := schemas.EvalFileKey(run.Tenant, run.Suite, run.ID, file)
			if file == schemas.EvalFileResult {
				a.results.put(key, result, int64(text.Len()))
			}
			return a.Store.Put(writing, key, text.Bytes())
		})
	}
	return group.Wait()
}

func (a *Activities) unmark(ctx context.Context, run schemas.EvalRun, columns []schemas.EvalColumn) error {
	var keys []string
	for _, start := range ownStarts(run, time.Now()) {
		run.StartMS = start
		for _, c := range append(slices.Clip(columns), schemas.EvalColumn{ID: compareColumn}) {
			if key := openKey(run, c.ID); c.ID != "" && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return a.Store.Delete(ctx, keys...)
}

// AwaitTurn waits until the run that has the turn has given it back. Codes: unavailable.
func (a *Activities) AwaitTurn(ctx context.Context, in schemas.TurnRequest) (schemas.EvalState, error) {
	return schemas.EvalWaiting, a.Workflows.AwaitTurn(ctx, schemas.EvalTurnID(in.Run.Tenant, in.Run.Suite, in.Column))
}
