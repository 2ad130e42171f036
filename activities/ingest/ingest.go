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

	counters  sync.Map // tokenizer name: *token.Counter; loading one takes a moment
	analyzers sync.Map // language: *analyze.Analyzer; one learns as it goes
}

func (a *Activities) counter(name string) (*token.Counter, error) {
	if c, ok := a.counters.Load(name); ok {
		return c.(*token.Counter), nil //nolint:forcetypeassert // only counters are stored
	}
	c, err := token.New(name)
	if err != nil {
		return nil, err
	}
	kept, _ := a.counters.LoadOrStore(name, c)
	return kept.(*token.Counter), nil //nolint:forcetypeassert // only counters are stored
}

func (a *Activities) analyzer(language string) (*analyze.Analyzer, error) {
	if kept, ok := a.analyzers.Load(language); ok {
		return kept.(*analyze.Analyzer), nil //nolint:forcetypeassert // only analyzers are stored
	}
	fresh, err := analyze.New(language)
	if err != nil {
		return nil, err
	}
	kept, _ := a.analyzers.LoadOrStore(language, fresh)
	return kept.(*analyze.Analyzer), nil //nolint:forcetypeassert // only analyzers are stored
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
