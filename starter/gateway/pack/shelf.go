package pack

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"iter"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	tarSuffix   = ".tar"
	indexSuffix = ".json"

	maxCached  = 250_000 // contents in cached indexes, at about 60 bytes each
	readAhead  = 64      // indexes that are read before the first of them is used
	readAtOnce = 8
)

// Place is where a content lies.
type Place struct {
	SHA256 [32]byte
	Pack   string // object key of the tar file
	Offset int64
	Bytes  int64
}

// Shelf stores packs and finds contents in them. It is safe for concurrent use.
type Shelf struct {
	store *blob.Store

	mu     sync.Mutex
	cached map[string][]Place // by key of the index; a pack never changes
	order  []string           // of insertion
	count  int                // places in cached
}

// NewShelf returns a shelf over the store.
func NewShelf(store *blob.Store) *Shelf {
	return &Shelf{store: store, cached: make(map[string][]Place)}
}

// Put stores an upload under prefix and reports whether the same pack was there before. Errors: the store's.
func (s *Shelf) Put(ctx context.Context, prefix string, u *Upload) (existed bool, err error) {
	base := prefix + u.Index.ID()
	if _, err := s.store.Stat(ctx, base+indexSuffix); err == nil {
		return true, nil
	} else if schemas.CodeOf(err) != schemas.NotFound {
		return false, err
	}
	if err := s.store.PutReader(ctx, base+tarSuffix, u.open(), u.Bytes); err != nil {
		return false, err
	}
	return false, s.store.Put(ctx, base+indexSuffix, u.Index.encode())
}

// All yields every content under prefix, pack by pack in the order of their keys. A content that is in several packs comes several
// times. It ends at the first error.
func (s *Shelf) All(ctx context.Context, prefix string) iter.Seq2[Place, error] {
	return func(yield func(Place, error) bool) {
		for keys, err := range s.keys(ctx, prefix) {
			if err != nil {
				yield(Place{}, err)
				return
			}
			indexes, err := s.indexes(ctx, keys)
			if err != nil {
				yield(Place{}, err)
				return
			}
			if !yieldAll(indexes, yield) {
				return
			}
		}
	}
}

func yieldAll(indexes [][]Place, yield func(Place, error) bool) bool {
	for _, places := range indexes {
		for _, place := range places {
			if !yield(place, nil) {
				return false
			}
		}
	}
	return true
}

// keys yields the keys of indexes in groups.
func (s *Shelf) keys(ctx context.Context, prefix string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		var group []string
		for info, err := range s.store.All(ctx, prefix) {
			if err != nil {
				yield(nil, err)
				return
			}
			if strings.HasSuffix(info.Key, indexSuffix) {
				group = append(group, info.Key)
			}
			if len(group) == readAhead {
				if !yield(group, nil) {
					return
				}
				group = nil
			}
		}
		if len(group) > 0 {
			yield(group, nil)
		}
	}
}

// indexes reads several indexes at once, in the order of keys.
func (s *Shelf) indexes(ctx context.Context, keys []string) ([][]Place, error) {
	found := make([][]Place, len(keys))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readAtOnce)
	for i, key := range keys {
		if places, ok := s.recall(key); ok {
			found[i] = places
			continue
		}
		group.Go(func() (err error) {
			found[i], err = s.read(ctx, key)
			return err
		})
	}
	return found, group.Wait()
}

func (s *Shelf) read(ctx context.Context, key string) ([]Place, error) {
	data, err := s.store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	places, err := decode(key, data)
	if err != nil {
		return nil, err
	}
	s.remember(key, places)
	return places, nil
}

func decode(key string, data []byte) ([]Place, error) {
	var index Index
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "pack index %s cannot be read", key)
	}
	tarKey := strings.TrimSuffix(key, indexSuffix) + tarSuffix
	places := make([]Place, len(index.Contents))
	for i, c := range index.Contents {
		places[i] = Place{Pack: tarKey, Offset: c.Offset, Bytes: c.Bytes}
		if !namePattern.MatchString(c.SHA256) {
			return nil, schemas.Errorf(schemas.Internal, "pack index %s has a bad hash", key)
		}
		_, _ = hex.Decode(places[i].SHA256[:], []byte(c.SHA256)) // the pattern leaves nothing to fail
	}
	return places, nil
}

func (s *Shelf) recall(key string) ([]Place, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	places, ok := s.cached[key]
	return places, ok
}

// remember keeps an index and drops the oldest while there are too many.
func (s *Shelf) remember(key string, places []Place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.cached[key]; ok {
		return
	}
	s.cached[key] = places
	s.order = append(s.order, key)
	for s.count += len(places); s.count > maxCached && len(s.order) > 1; s.order = s.order[1:] {
		s.count -= len(s.cached[s.order[0]])
		delete(s.cached, s.order[0])
	}
}
