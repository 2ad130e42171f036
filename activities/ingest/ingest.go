// Package ingest brings a collection to the state of a listing: it prepares documents as chunks, has their vectors made and
// recorded, and publishes them to the index, a bucket of documents at a time.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tenuto-dev/tenuto/activities/ingest/ledger"
	"github.com/tenuto-dev/tenuto/activities/internal/analyze"
	"github.com/tenuto-dev/tenuto/activities/internal/token"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Activities are the durable calls of ingestion. All fields are required. It is safe for concurrent use.
type Activities struct {
	Store  *blob.Store
	Index  *vector.Index
	Models *model.Set
	Ledger *ledger.Ledger

	counters  memo[*token.Counter]    // by tokenizer; loading one takes a moment
	analyzers memo[*analyze.Analyzer] // by language; one learns as it goes
}

// memo keeps what is costly to make. The zero value is empty.
type memo[V any] struct {
	mu   sync.Mutex
	kept map[string]V
}

// get returns the value for key, made by fresh when it is first asked for.
func (m *memo[V]) get(key string, fresh func(string) (V, error)) (V, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.kept[key]; ok {
		return v, nil
	}
	v, err := fresh(key)
	if err != nil {
		return v, err
	}
	if m.kept == nil {
		m.kept = map[string]V{}
	}
	m.kept[key] = v
	return v, nil
}

// getJSON reads a mutable object; found is false where there is none.
func getJSON[T any](ctx context.Context, store *blob.Store, key string) (value T, found bool, err error) {
	value, err = blob.GetJSON[T](ctx, store, schemas.Ref{Key: key})
	var coded *schemas.Error
	if errors.As(err, &coded) && coded.Code == schemas.NotFound {
		return value, false, nil
	}
	if err != nil {
		return value, false, fmt.Errorf("reading %s: %w", key, err)
	}
	return value, true, nil
}

func putJSON(ctx context.Context, store *blob.Store, key string, value any) error {
	if _, err := blob.PutJSON(ctx, store, key, value); err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	return nil
}
