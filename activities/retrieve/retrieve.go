// Package retrieve finds the chunks of a collection that fit a query.
package retrieve

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/internal/analyze"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	// MaxLimit is the most hits one query returns.
	MaxLimit = 1000
	// recordLife is how long the record of a collection is trusted without reading it again.
	recordLife = time.Second
)

// Activities are the durable calls of retrieve steps. Store, Index and Models are required. It is safe for concurrent use.
type Activities struct {
	Store  *blob.Store
	Index  *vector.Index
	Models *model.Set

	records   sync.Map // key: known
	analyzers sync.Map // language: *analyze.Analyzer
}

type known struct {
	record schemas.Collection
	until  time.Time
}

// Retrieve searches and stores the hits. Read-only but for the record of the query's embedding, so any retry is harmless and a
// repeated one pays nothing. Codes: invalid, not_found (no such collection), those of the provider and of the index.
func (a *Activities) Retrieve(ctx context.Context, in schemas.RetrieveRequest) (schemas.RetrieveOutcome, error) {
	text, err := blob.Text(ctx, a.Store, in.Query)
	if err != nil {
		return schemas.RetrieveOutcome{}, err
	}
	if err := check(text, in.Settings); err != nil {
		return schemas.RetrieveOutcome{}, err
	}
	record, err := a.record(ctx, in.Tenant, in.Settings.Collection)
	if err != nil {
		return schemas.RetrieveOutcome{}, err
	}
	query, usage, err := a.query(ctx, in, text, record)
	if err != nil {
		return schemas.RetrieveOutcome{}, err
	}
	found, err := a.Index.Search(ctx, vector.Target{Class: record.Alias, Tenant: in.Tenant}, query)
	if err != nil {
		return schemas.RetrieveOutcome{}, fmt.Errorf("searching %q: %w", record.Name, err)
	}
	data, err := json.Marshal(hits(found))
	if err != nil {
		return schemas.RetrieveOutcome{}, err
	}
	ref, err := blob.PutContent(ctx, a.Store, in.Tenant, data)
	return schemas.RetrieveOutcome{Hits: ref, Count: len(found), Usage: usage}, err
}

func check(text string, s schemas.RetrieveSettings) error {
	switch {
	case strings.TrimSpace(text) == "":
		return schemas.Errorf(schemas.Invalid, "the query is empty")
	case s.Mode != schemas.Hybrid && s.Mode != schemas.Vector && s.Mode != schemas.Keyword:
		return schemas.Errorf(schemas.Invalid, "search mode %q: use hybrid, vector or keyword", s.Mode)
	case s.Limit < 1 || s.Limit > MaxLimit:
		return schemas.Errorf(schemas.Invalid, "limit %d: choose 1 to %d", s.Limit, MaxLimit)
	case s.Alpha != nil && (*s.Alpha < 0 || *s.Alpha > 1):
		return schemas.Errorf(schemas.Invalid, "alpha %g: choose 0 (keywords only) to 1 (vector only)", *s.Alpha)
	}
	return nil
}

func hits(found []vector.Found) []schemas.Hit {
	out := make([]schemas.Hit, len(found))
	for i, f := range found {
		out[i] = schemas.Hit{
			Rank: i + 1, Score: f.Score, Document: f.Document, Source: f.Source, Title: f.Title, Section: f.Section,
			Chunk: f.ID, Ordinal: f.Ordinal, Start: f.Start, End: f.End, Text: f.Text, Metadata: f.Metadata,
		}
	}
	return out
}

// query turns the text into what the index is asked.
func (a *Activities) query(ctx context.Context, in schemas.RetrieveRequest, text string, record schemas.Collection) (vector.Query, schemas.Usage, error) {
	q := vector.Query{Mode: in.Settings.Mode, Limit: in.Settings.Limit, Filter: in.Settings.Filter}
	if q.Mode != schemas.Vector {
		analyzer, err := a.analyzer(record.Recipe.Language)
		if err != nil {
			return q, schemas.Usage{}, err
		}
		if q.Terms = analyzer.Terms(text); q.Terms == "" && q.Mode == schemas.Hybrid {
			q.Mode = schemas.Vector // nothing but stop words or signs: the vector may still tell something
		}
	}
	if q.Mode == schemas.Keyword {
		return q, schemas.Usage{}, nil
	}
	vector, alpha, usage, err := a.embed(ctx, in.Tenant, text, record.Recipe)
	q.Vector, q.Alpha = vector, alpha
	if in.Settings.Alpha != nil {
		q.Alpha = *in.Settings.Alpha
	}
	return q, usage, err
}

// embed returns the query's vector, from the record where the same query was embedded before, and the weight that suits it.
func (a *Activities) embed(ctx context.Context, tenant, text string, recipe schemas.Recipe) ([]float32, float64, schemas.Usage, error) {
	provider, name, err := a.Models.Resolve(recipe.Embedder)
	if err != nil {
		return nil, 0, schemas.Usage{}, err
	}
	limits, err := provider.Limits(name)
	if err != nil {
		return nil, 0, schemas.Usage{}, err
	}
	resp, recorded, err := provider.EmbedRecorded(ctx, tenant, model.EmbedRequest{Model: name, Inputs: []string{text}, Dimensions: recipe.Dimensions})
	if err != nil {
		return nil, 0, schemas.Usage{}, fmt.Errorf("embedding the query: %w", err)
	}
	var usage schemas.Usage
	if !recorded {
		usage = schemas.Usage{Calls: 1, InputTokens: resp.Tokens}
	}
	return resp.Vectors[0], limits.HybridAlpha, usage, nil
}

func (a *Activities) analyzer(language string) (*analyze.Analyzer, error) {
	if kept, ok := a.analyzers.Load(language); ok {
		return kept.(*analyze.Analyzer), nil //nolint:forcetypeassert // only analyzers are stored
	}
	fresh, err := analyze.New(language)
	if err != nil {
		return nil, err
	}
	a.analyzers.Store(language, fresh)
	return fresh, nil
}

// record reads the collection's record. It is kept for a moment, so that a run of queries does not read it every time.
func (a *Activities) record(ctx context.Context, tenant, collection string) (schemas.Collection, error) {
	key := schemas.CollectionKey(tenant, collection)
	if kept, ok := a.records.Load(key); ok && time.Now().Before(kept.(known).until) { //nolint:forcetypeassert // only known is stored
		return kept.(known).record, nil //nolint:forcetypeassert // only known is stored
	}
	record, err := blob.GetJSON[schemas.Collection](ctx, a.Store, schemas.Ref{Key: key})
	if err != nil {
		a.records.Delete(key)
		if schemas.CodeOf(err) == schemas.NotFound {
			return record, schemas.Wrap(schemas.NotFound, err, "there is no collection %q: ingest something into it first", collection)
		}
		return record, err
	}
	a.records.Store(key, known{record, time.Now().Add(recordLife)})
	return record, nil
}
