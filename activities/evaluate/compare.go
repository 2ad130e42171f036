package evaluate

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// compareColumn is under which results of comparisons are kept.
const compareColumn = schemas.EvalCompareColumn

// contest is the cells of one case, of one sample, whose outputs are judged side by side.
type contest struct {
	id    string // digest of what is compared
	cells []planned
}

// contests are those of a run: cells of the columns under test, or of their twins, with the same case and sample.
func contests(cells []planned, columns []schemas.EvalColumn) []contest {
	at := map[string]int{}
	var all []contest
	for _, c := range cells {
		if !slices.ContainsFunc(c.Assertions, compares) || c.Problem != "" {
			continue
		}
		key := fmt.Sprintf("%s\n%d\n%v", c.Case.ID, c.Sample, columns[c.Column].Baseline)
		n, ok := at[key]
		if !ok {
			n = len(all)
			at[key] = n
			all = append(all, contest{})
		}
		all[n].cells = append(all[n].cells, c)
	}
	for i := range all {
		var ids []string
		for _, c := range all[i].cells {
			ids = append(ids, c.ID.Score)
		}
		all[i].id = digestOf("contest", ids)
	}
	return all
}

// outcomeID names the result of a cell in a contest.
func (c contest) outcomeID(cell planned) string { return digestOf(c.id, cell.ID.Score) }

// contestsAtOnce bounds how many contests are judged at once; the limits of the grader's provider decide below that.
const contestsAtOnce = 64

// Compare judges the outputs of cases side by side, where a suite asks for it and all of them are there. Whoever calls it holds the turn of
// comparisons. Codes: those of the store.
func (a *Activities) Compare(ctx context.Context, in schemas.CompareRequest) (schemas.CellsOutcome, error) {
	plan, err := a.planOf(ctx, in.Run)
	if err != nil {
		return schemas.CellsOutcome{}, err
	}
	judge := schemas.JudgeRequest{Run: in.Run, Round: in.Round}
	g, cells, err := a.gathering(ctx, judge, plan)
	if err != nil {
		return schemas.CellsOutcome{}, err
	}
	w := &batchWork{
		a: a, plan: plan, column: compareColumn,
		in: schemas.CellsRequest{Run: in.Run, Column: len(plan.Columns), Round: in.Round, Try: in.Try, Last: in.Last},
	}
	var group errgroup.Group
	group.SetLimit(contestsAtOnce)
	working, stop := lasting(ctx)
	defer stop()
	for _, c := range contests(cells, plan.Columns) {
		if ctx.Err() != nil || g.contested(c) {
			continue
		}
		group.Go(func() error {
			w.contest(working, c, g)
			return nil
		})
	}
	_ = group.Wait() // what went wrong is in the cells
	kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return w.keep(kept, ctx.Err() != nil)
}

// contested reports whether nothing is to be done about a contest: its result is known, or an output is missing.
func (g gathering) contested(c contest) bool {
	for _, cell := range c.cells {
		if g.partial(cell).State != schemas.CellScored {
			return true
		}
		if _, ok := g.compared.scored[c.outcomeID(cell)]; !ok {
			return false
		}
	}
	return true
}

// contest judges one contest and settles its cells.
func (w *batchWork) contest(ctx context.Context, c contest, g gathering) {
	results, use, err := w.compare(ctx, c, g)
	for i, cell := range c.cells {
		record := g.partial(cell)
		record.ID.Score = c.outcomeID(cell)
		if err == nil {
			whole := score.Combine(append(slices.Clone(record.Assertions), results[i]...), cell.Threshold)
			record.Pass, record.Score, record.Reason, record.Assertions = whole.Pass, whole.Score, whole.Reason, whole.Parts
		}
		if i == 0 {
			use.enter(&record)
		}
		w.settle(record, err)
	}
}

// compare returns the results of each cell, one for each assertion that compares. Who is asked is entered at the first of them.
func (w *batchWork) compare(ctx context.Context, c contest, g gathering) ([][]schemas.AssertionResult, *asker, error) {
	results := make([][]schemas.AssertionResult, len(c.cells))
	k := &asker{w: w, cell: c.id}
	judge := w.scoring(k)
	for n, a := range c.cells[0].Assertions {
		if !compares(a) {
			continue
		}
		var contenders []grader.Contender
		for _, cell := range c.cells {
			record := g.partial(cell)
			contender, err := judge.Contender(ctx, cell.EvalCell, *record.Answer, record.Assertions)
			if err != nil {
				return nil, k, err
			}
			contenders = append(contenders, contender)
		}
		said, err := judge.Grader.Compare(ctx, a, contenders)
		if err != nil {
			return nil, k, about(err, n, a)
		}
		for i := range results {
			results[i] = append(results[i], said[i])
		}
	}
	return results, k, nil
}

// enter writes what graders were asked into a record.
func (k *asker) enter(record *schemas.CellRecord) {
	k.mu.Lock()
	defer k.mu.Unlock()
	record.Graders, record.GraderCost, record.GraderRuns = record.Graders.Add(k.usage), record.GraderCost.Add(k.cost), append(slices.Clip(record.GraderRuns), k.runs...)
}

// notCompared says why a cell has no result, though its own assertions have.
const notCompared = "its output was not compared: another output of the case is missing"

// gathering reads what there is of a run's cells.
func (a *Activities) gathering(ctx context.Context, in schemas.JudgeRequest, plan stored) (gathering, []planned, error) {
	g := gathering{
		known: map[string]*known{}, errored: map[string]schemas.CellRecord{}, columns: plan.Columns, contests: map[string]contest{}, failed: failedIn(in),
	}
	var err error
	for i, c := range plan.Columns {
		if g.known[c.ID] != nil {
			continue
		}
		if g.known[c.ID], err = a.knownOf(ctx, in.Run, c.ID); err != nil && g.beyond(ctx, i, err) {
			g.known[c.ID], err = newKnown(), nil
		}
		if err != nil {
			return g, nil, err
		}
	}
	if err := a.readErrors(ctx, in.Run, g.errored); err != nil {
		return g, nil, err
	}
	cells, err := a.plannedCells(ctx, in, plan, g)
	if err != nil || plan.Comparisons == 0 {
		return g, cells, err
	}
	for _, c := range contests(cells, plan.Columns) {
		for _, cell := range c.cells {
			g.contests[placeID(cell)] = c
		}
	}
	g.compared, err = a.knownOf(ctx, in.Run, compareColumn)
	return g, cells, err
}

func placeID(c planned) string { return fmt.Sprintf("%d/%s/%d", c.Column, c.Case.ID, c.Sample) }

func (a *Activities) readErrors(ctx context.Context, run schemas.EvalRun, into map[string]schemas.CellRecord) error {
	for info, err := range a.Store.All(ctx, errorsPrefix(run)) {
		if err != nil {
			return err
		}
		cells, err := blob.GetJSON[[]schemas.CellRecord](ctx, a.Store, schemas.Ref{Key: info.Key})
		if err != nil {
			return err
		}
		for _, c := range cells {
			into[c.ID.Score] = c
		}
	}
	return nil
}
