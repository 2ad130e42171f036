package evaluate

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// How many cells one call carries out: few, so that little is repeated after a crash, and so many that the history of a large run stays small.
const (
	batchLeast  = 25
	batchesMost = 300 // of a run, about
	putsAtOnce  = 8
)

// batchSize is how many cells a batch has in a run of so many.
func batchSize(cells, width int) int {
	size := max(batchLeast, (cells+batchesMost-1)/batchesMost)
	if width > 0 {
		size = min(size, width)
	}
	return size
}

// batches writes cells in batches, those of a column in the order in which they come. A cell whose call an earlier cell makes is late: it goes
// into batches behind all others, which are carried out when the answer is known.
type batches struct {
	store  *blob.Store
	kept   *kept[[]planned]
	prefix string
	round  int
	size   int
	open   map[int][]planned
	late   map[int][]planned
	called map[string]bool // by the provider's identity and call
	counts map[int]int
	puts   *errgroup.Group
}

func (a *Activities) newBatches(prefix string, round, cells, width int) *batches {
	b := &batches{
		store: a.Store, kept: &a.batches, prefix: prefix, round: round, size: batchSize(cells, width), open: map[int][]planned{}, late: map[int][]planned{},
		called: map[string]bool{}, counts: map[int]int{}, puts: &errgroup.Group{},
	}
	b.puts.SetLimit(putsAtOnce)
	return b
}

// add puts a cell into the open batch of its column. Provider is the identity of the column's.
func (b *batches) add(ctx context.Context, cell planned, provider string) {
	call := provider + cell.ID.Call
	if b.called[call] {
		b.late[cell.Column] = append(b.late[cell.Column], cell)
		return
	}
	b.called[call] = true
	if b.open[cell.Column] = append(b.open[cell.Column], cell); len(b.open[cell.Column]) >= b.size {
		b.put(ctx, cell.Column)
	}
}

func (b *batches) put(ctx context.Context, column int) {
	cells := b.open[column]
	delete(b.open, column)
	if len(cells) == 0 {
		return
	}
	key := schemas.EvalBatchKey(b.prefix, column, b.round, b.counts[column])
	b.counts[column]++
	b.puts.Go(func() error {
		ref, err := blob.PutJSON(ctx, b.store, key, cells)
		if err == nil {
			b.kept.put(key, cells, ref.Bytes)
		}
		return err
	})
}

// laid says how many batches a column has, and how many of them, the last, are late.
type laid struct{ all, late int }

// close writes what is left.
func (b *batches) close(ctx context.Context) (map[int]laid, error) {
	for _, column := range slices.Sorted(maps.Keys(b.open)) {
		b.put(ctx, column)
	}
	out := map[int]laid{}
	for column, early := range maps.All(b.counts) {
		out[column] = laid{all: early}
	}
	for column, cells := range b.late {
		early := b.counts[column]
		for part := range slices.Chunk(cells, b.size) {
			b.open[column] = part
			b.put(ctx, column)
		}
		out[column] = laid{all: b.counts[column], late: b.counts[column] - early}
	}
	return out, b.puts.Wait()
}

// batch reads a batch.
func (a *Activities) batch(ctx context.Context, prefix string, column, round, number int) ([]planned, error) {
	key := schemas.EvalBatchKey(prefix, column, round, number)
	if cells, ok := a.batches.get(key); ok {
		return cells, nil
	}
	data, err := a.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	var cells []planned
	if err := json.Unmarshal(data, &cells); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the batch %s cannot be read", key)
	}
	a.batches.put(key, cells, int64(len(data)))
	return cells, nil
}
