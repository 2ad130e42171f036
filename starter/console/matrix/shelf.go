package matrix

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// The bounds of a shelf.
const (
	shelfBytes = 128 << 20 // of all indexes
	atOnce     = 2         // results that are read
	readTime   = 2 * time.Minute
)

// Shelf keeps the indexes of the results that were looked at last. It is safe for concurrent use.
type Shelf struct {
	store   *blob.Store
	reading singleflight.Group
	places  *semaphore.Weighted

	mu    sync.Mutex
	kept  []*Matrix // the last used comes last
	bytes int64
	times map[*Matrix]time.Time // when their objects were written
}

// NewShelf makes an empty shelf.
func NewShelf(store *blob.Store) *Shelf {
	return &Shelf{store: store, places: semaphore.NewWeighted(atOnce), times: map[*Matrix]time.Time{}}
}

// Open returns the index of the result at a key, which is read if it is not known or was written anew. Of many who ask at once one reads. Errors:
// not_found, internal for a result that cannot be read, those of the store.
func (s *Shelf) Open(ctx context.Context, key string) (*Matrix, error) {
	info, err := s.store.Stat(ctx, key)
	if err != nil {
		return nil, err
	}
	if m := s.find(info); m != nil {
		return m, nil
	}
	answer := s.reading.DoChan(key, func() (any, error) { // it goes on for the others when one leaves
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTime)
		defer cancel()
		if err := s.places.Acquire(within, 1); err != nil {
			return nil, schemas.Wrap(schemas.Unavailable, err, "too many results of evaluations are being read; try again")
		}
		defer s.places.Release(1)
		m, err := read(within, s.store, info)
		if err == nil {
			s.keep(m, info.Modified)
		}
		return m, err
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case done := <-answer:
		if done.Err != nil {
			return nil, done.Err
		}
		return done.Val.(*Matrix), nil //nolint:forcetypeassert,errcheck // it is what the function above returns
	}
}

func (s *Shelf) find(info blob.Info) *Matrix {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.kept {
		if m.key == info.Key && m.size == info.Bytes && s.times[m].Equal(info.Modified) {
			s.kept = append(slices.Delete(s.kept, i, i+1), m)
			return m
		}
	}
	return nil
}

// keep puts an index on the shelf. What was not used for longest makes room.
func (s *Shelf) keep(m *Matrix, written time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, old := range s.kept {
		if old.key == m.key {
			s.drop(i)
			break
		}
	}
	for len(s.kept) > 0 && s.bytes+m.weight() > shelfBytes {
		s.drop(0)
	}
	s.kept = append(s.kept, m)
	s.bytes += m.weight()
	s.times[m] = written
}

func (s *Shelf) drop(i int) {
	s.bytes -= s.kept[i].weight()
	delete(s.times, s.kept[i])
	s.kept = slices.Delete(s.kept, i, i+1)
}

// weight is about how many bytes an index takes.
func (m *Matrix) weight() int64 {
	total := int64(64 << 10)
	for _, c := range m.Cells {
		total += 200 + int64(len(c.Output)+len(c.Reason))
	}
	for _, r := range m.Rows {
		total += 250 + int64(len(r.Case.ID)+len(r.Case.Description))
	}
	return total
}

// Cell reads one cell whole. Errors: not_found, refused for one that is too large to be shown, those of the store.
func (s *Shelf) Cell(ctx context.Context, m *Matrix, cell int) (schemas.CellRecord, error) {
	if cell < 0 || cell >= len(m.Cells) {
		return schemas.CellRecord{}, schemas.Errorf(schemas.NotFound, "the evaluation has no such cell")
	}
	at := m.Cells[cell]
	if at.bytes > cellLongest {
		return schemas.CellRecord{}, schemas.Errorf(schemas.Invalid, "the cell is too large to be shown; result.json has it")
	}
	data, err := s.store.GetRange(ctx, m.key, at.offset, at.bytes)
	if err != nil {
		return schemas.CellRecord{}, err
	}
	var record schemas.CellRecord
	if err := json.Unmarshal(bytes.TrimLeft(data, ", \t\r\n"), &record); err != nil {
		return record, schemas.Wrap(schemas.Internal, err, "the cell cannot be read: its result may have been written anew; load the page again")
	}
	return record, nil
}
