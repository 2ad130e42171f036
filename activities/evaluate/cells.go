package evaluate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/activities/suite"
	"github.com/tenuto-dev/tenuto/schemas"
)

// grace is how long calls in flight may take to end when the run is cancelled: they are paid for, so their answers are kept.
const grace = 20 * time.Second

// Cells carries out one batch of cells: it asks for what is not known, judges the answers and keeps both as one pack. A cell that failed in a way
// that may pass is for another try, and in the last one it is errored, with the reason. When the run is cancelled no further cell is begun, and
// what is in flight is kept. Codes: those of the store.
func (a *Activities) Cells(ctx context.Context, in schemas.CellsRequest) (schemas.CellsOutcome, error) {
	plan, err := a.planOf(ctx, in.Run)
	if err != nil {
		return schemas.CellsOutcome{}, err
	}
	cells, err := a.batch(ctx, in.Prefix, in.Column, in.Round, in.Batch)
	if err != nil {
		return schemas.CellsOutcome{}, err
	}
	column := a.providerOf(plan, cells)
	w := &batchWork{a: a, in: in, plan: plan, column: column, fresh: in.Fresh && in.Try == 0 && a.Attempt(ctx) <= 1}
	done, err := w.before(ctx)
	if err != nil {
		return schemas.CellsOutcome{}, err
	}
	w.carryOut(ctx, cells, done)
	kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return w.keep(kept, ctx.Err() != nil)
}

// providerOf is the identity under which the results of a batch are kept: that of the provider of its cells.
func (a *Activities) providerOf(plan stored, cells []planned) string {
	if len(cells) == 0 {
		return ""
	}
	return plan.Columns[cells[0].Column].ID
}

// batchWork is a batch under way.
type batchWork struct {
	a      *Activities
	in     schemas.CellsRequest
	plan   stored
	column string
	fresh  bool
	quit   context.Context //nolint:containedctx // whether the run was cancelled, which decides what a failure means

	mu      sync.Mutex
	scored  []schemas.CellRecord
	errored []schemas.CellRecord
	loose   []schemas.CellRecord // with an answer, and without a result: whoever judges them again asks nobody
	out     schemas.CellsOutcome
	marked  string    // the day after that of the run's start for which a mark was left, as in schemas.DayOf
	short   *shortage // guarded by mu
}

// ends reports whether what fails now is not tried again.
func (w *batchWork) ends() bool { return w.in.Last || w.quit != nil && w.quit.Err() != nil }

// before are the cells that earlier tries of the batch have settled, or an attempt whose end was lost.
func (w *batchWork) before(ctx context.Context) (map[string]bool, error) {
	done := map[string]bool{}
	if w.fresh {
		return done, nil
	}
	for _, prefix := range []string{batchKey(w.packs(), w.in), batchKey(w.errors(), w.in)} {
		for info, err := range w.a.Store.All(ctx, prefix) {
			if err != nil {
				return nil, err
			}
			cells, err := w.a.readPack(ctx, info)
			if err != nil {
				return nil, err
			}
			own := strings.HasPrefix(info.Key, fmt.Sprintf("%s%d-", prefix, w.in.Try))
			for _, c := range cells {
				if c.State != schemas.CellScored && prefix == batchKey(w.packs(), w.in) {
					continue // its answer is there
				}
				if done[c.ID.Score] = true; own {
					w.count(c) // nobody heard of it
				}
			}
		}
	}
	return done, nil
}

// carryOut asks and judges side by side; the limits of providers decide how many calls are made at once. Cells that ask the same are asked for
// once.
func (w *batchWork) carryOut(ctx context.Context, cells []planned, done map[string]bool) {
	calls := map[string][]planned{}
	var order []string
	for _, c := range cells {
		if done[c.ID.Score] {
			continue
		}
		if len(calls[c.ID.Call]) == 0 {
			order = append(order, c.ID.Call)
		}
		calls[c.ID.Call] = append(calls[c.ID.Call], c)
	}
	var group errgroup.Group
	group.SetLimit(max(len(order), 1))
	if w.plan.Width > 0 {
		group.SetLimit(w.plan.Width)
	}
	working, stop := lasting(ctx)
	defer stop()
	w.quit = ctx
	for _, call := range order {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			w.call(working, calls[call])
			return nil
		})
	}
	_ = group.Wait() // what went wrong is in the cells
}

// lasting is a context that ends a while after ctx, so that what is in flight can end. What only waits for its turn leaves at once.
func lasting(ctx context.Context) (context.Context, func()) {
	long, cancel := context.WithCancel(limit.WithQuit(context.WithoutCancel(ctx), ctx))
	unhook := context.AfterFunc(ctx, func() { time.AfterFunc(grace/2, cancel) })
	return long, func() { unhook(); cancel() }
}

// call gets the answer for cells that ask the same, and judges it for each.
func (w *batchWork) call(ctx context.Context, cells []planned) {
	answer, err := w.answer(ctx, cells[0])
	for _, c := range cells {
		record := recordOf(c)
		if err == nil {
			record.Answer = answer
			err := w.judge(ctx, c, &record)
			w.settle(record, err)
			continue
		}
		w.settle(record, err)
	}
}

func recordOf(c planned) schemas.CellRecord {
	return schemas.CellRecord{ID: c.ID, Case: c.Case, Column: c.Column, Sample: c.Sample, Input: c.Input, Vars: c.Vars, Threshold: c.Threshold}
}

// answer is what the cell's provider says: what the suite gives, what is known, or what is asked for now.
func (w *batchWork) answer(ctx context.Context, c planned) (*schemas.CellAnswer, error) {
	t := target{}
	if c.Problem != "" {
		return nil, schemas.Errorf(schemas.Invalid, "%s", c.Problem)
	}
	if c.Output == nil {
		t = w.plan.Targets[c.Target]
	}
	switch {
	case c.Output != nil:
		return &schemas.CellAnswer{Output: c.Output}, nil
	case c.Answer != nil:
		return t.priced(c.Answer), nil
	case t.Kind == suite.KindEcho:
		data, err := json.Marshal(c.Input)
		return &schemas.CellAnswer{Output: data}, err
	}
	input, err := inputOf(c, t)
	if err != nil {
		return nil, err
	}
	r, err := w.a.ask(ctx, asking{
		run: w.in.Run, id: schemas.EvalCallID(c.ID.Call), target: t, input: input, logProbs: c.LogProbs, fresh: w.fresh, earlier: w.in.Earlier, purpose: "answer",
		work: w,
	})
	if err != nil {
		return nil, err
	}
	if r.paid {
		w.paid(r.answer.Usage, r.answer.Cost)
	}
	return &r.answer, nil
}

// inputOf is the input of the chain that answers: the variables of the case, or the messages of the rendered prompt.
func inputOf(c planned, t target) (json.RawMessage, error) {
	if t.Kind == suite.KindChain || t.Kind == suite.KindRelease || t.Kind == suite.KindPrompt {
		return c.Vars, nil
	}
	messages, err := messagesOf(c.Input, t.System)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"messages": messages})
}

func (w *batchWork) paid(u schemas.Usage, c schemas.Cost) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Usage, w.out.Cost = w.out.Usage.Add(u), w.out.Cost.Add(c)
}

// settle enters what became of a cell.
func (w *batchWork) settle(record schemas.CellRecord, err error) {
	if err != nil {
		record.State, record.Pass, record.Score = schemas.CellErrored, false, 0
		record.Code, record.Reason = schemas.CodeOf(err), schemas.SafeMessage(err)
		w.keepAnswer(record)
		if short, ok := errors.AsType[*shortage](err); ok {
			w.hold(short)
			return
		}
		if record.Code.Retryable() && (!w.in.Last || w.quit != nil && w.quit.Err() != nil) || errors.Is(err, context.Canceled) {
			w.again(record, err)
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.errored, w.out.Reason = append(w.errored, record), record.Reason
	} else {
		w.scored = append(w.scored, record)
	}
	w.count(record)
}

// keepAnswer keeps what was paid for of a cell that came to no result.
func (w *batchWork) keepAnswer(record schemas.CellRecord) {
	if record.Answer == nil || record.Answer.RunID == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loose = append(w.loose, record)
}

func (w *batchWork) count(record schemas.CellRecord) {
	switch {
	case record.State == schemas.CellErrored:
		w.out.Errored++
	case record.Pass:
		w.out.Passed++
		w.out.Done++
	default:
		w.out.Done++
	}
}

// again notes a cell for another try. Its answer, if it has one, is in the record of its run.
func (w *batchWork) again(record schemas.CellRecord, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Again++
	w.out.Reason = record.Reason
	if coded, ok := asError(err); ok {
		w.out.RetryAfterMS = max(w.out.RetryAfterMS, coded.RetryAfter.Milliseconds())
	}
}

// keep writes what was settled now.
func (w *batchWork) keep(ctx context.Context, stopped bool) (schemas.CellsOutcome, error) {
	w.out.Stopped = stopped
	for prefix, cells := range map[string][]schemas.CellRecord{w.packs(): slices.Concat(w.scored, w.loose), w.errors(): w.errored} {
		if len(cells) == 0 {
			continue
		}
		key := fmt.Sprintf("%s%d-%d.json", batchKey(prefix, w.in), w.in.Try, w.a.Attempt(ctx))
		ref, err := blob.PutJSON(ctx, w.a.Store, key, cells)
		if err != nil {
			return w.out, err
		}
		w.a.packs.put(key, cells, ref.Bytes)
	}
	return w.out, nil
}

func (w *batchWork) packs() string {
	return schemas.EvalPackPrefix(w.in.Run.Tenant, w.in.Run.Suite, w.column) + packFolder + w.in.Run.ID + "-"
}

func (w *batchWork) errors() string { return errorsPrefix(w.in.Run) }
