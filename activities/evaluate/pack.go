package evaluate

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Results of cells are kept in packs: objects that are written once, each by one batch of a run, below the identity of the provider that was
// asked. Beside them, a run that is at work leaves a mark: one that is left over is of a run that was cut off, whose calls are recorded and in no
// pack.
const (
	packFolder = "packs/"
	openFolder = "open/"
)

// batchKey begins the keys of what the tries of a batch leave below a prefix.
func batchKey(prefix string, in schemas.CellsRequest) string {
	layout := schemas.Hash([]byte(in.Prefix))[:8] // the same number may name other cells in another layout of the run's work
	return fmt.Sprintf("%s%03d-%02d-%05d-%s-", prefix, in.Column, in.Round, in.Batch, layout)
}

func openKey(run schemas.EvalRun, column string) string {
	return fmt.Sprintf("%s%s%d-%s.json", schemas.EvalPackPrefix(run.Tenant, run.Suite, column), openFolder, run.StartMS, run.ID)
}

// errorsPrefix is where a run keeps cells that failed for good.
func errorsPrefix(run schemas.EvalRun) string {
	return schemas.EvalRunPrefix(run.Tenant, run.Suite, run.ID) + "errors/"
}

// known are the results that there are of a provider's cells.
type known struct {
	scored  map[string]*schemas.CellRecord // by score identity
	answers map[string]*schemas.CellAnswer // by call identity
	own     map[string]bool                // score identities of what this run asked
}

func newKnown() *known {
	return &known{scored: map[string]*schemas.CellRecord{}, answers: map[string]*schemas.CellAnswer{}, own: map[string]bool{}}
}

func (k *known) add(cells []schemas.CellRecord, own bool, answered func(schemas.CellRecord) bool) {
	for i := range cells {
		c := &cells[i]
		if !answered(*c) {
			continue
		}
		k.own[c.ID.Score] = k.own[c.ID.Score] || own
		if c.Answer != nil {
			k.answers[c.ID.Call] = c.Answer
		}
		if c.State == schemas.CellScored {
			k.scored[c.ID.Score] = c
		}
	}
}

// readsAtOnce bounds the reads of packs.
const readsAtOnce = 16

// knownOf reads all packs of a provider. Answers that are too old for the run are not among what it returns.
func (a *Activities) knownOf(ctx context.Context, run schemas.EvalRun, column string) (*known, error) {
	var list []blob.Info
	prefix := schemas.EvalPackPrefix(run.Tenant, run.Suite, column) + packFolder
	for info, err := range a.Store.All(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		list = append(list, info)
	}
	all := make([][]schemas.CellRecord, len(list))
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, info := range list {
		group.Go(func() (err error) {
			all[i], err = a.readPack(reading, info)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	k := newKnown()
	for i, cells := range all {
		k.add(cells, strings.HasPrefix(list[i].Key, prefix+run.ID), func(c schemas.CellRecord) bool { return young(run, c, startOf(list[i].Key, prefix)) })
	}
	return k, nil
}

func (a *Activities) readPack(ctx context.Context, info blob.Info) ([]schemas.CellRecord, error) {
	if cells, ok := a.packs.get(info.Key); ok {
		return cells, nil
	}
	cells, err := blob.GetJSON[[]schemas.CellRecord](ctx, a.Store, schemas.Ref{Key: info.Key})
	if err == nil {
		a.packs.put(info.Key, cells, info.Bytes)
	}
	return cells, err
}

// begin leaves the mark of a run that is at work on a provider's cells, and returns the starts of runs that were cut off.
func (a *Activities) begin(ctx context.Context, run schemas.EvalRun, column string) (earlier []int64, err error) {
	prefix := schemas.EvalPackPrefix(run.Tenant, run.Suite, column) + openFolder
	own := openKey(run, column)
	mine := false
	for info, err := range a.Store.All(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if mine = mine || info.Key == own; info.Key == own {
			continue
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "-")
		if start, err := strconv.ParseInt(text, 10, 64); err == nil && start >= run.SinceMS {
			earlier = append(earlier, start)
		}
	}
	if mine {
		earlier = append(earlier, run.StartMS) // this run was here before
	}
	slices.Sort(earlier)
	return slices.Compact(earlier), a.Store.Put(ctx, own, []byte("{}"))
}
