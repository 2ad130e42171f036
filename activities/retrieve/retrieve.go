// Package retrieve finds the chunks of a collection that fit a query.
package retrieve

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/activities/internal/analyze"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	// MaxLimit is the most hits one query returns.
	MaxLimit = 1000
	// MaxTexts is the most texts that are searched for at once.
	MaxTexts = 16
	// atOnce is how many searches of a query are under way at the same time.
	atOnce = 8
	// recordLife is how long the record of a collection is trusted without reading it again.
	recordLife = time.Second
)

// Activities finds chunks, for the activities of chains. Store, Index and Models are required. It is safe for concurrent use.
type Activities struct {
	Store  *blob.Store
	Index  *vector.Index
	Models *model.Set

	mu        sync.Mutex
	records   map[string]known // by key
	analyzers map[string]*analyze.Analyzer
}

type known struct {
	record schemas.Collection
	until  time.Time
}

// Query asks for the chunks of a collection that fit any of several texts.
type Query struct {
	Tenant   string
	Settings schemas.RetrieveSettings
	Texts    []string // 1 to MaxTexts; the same text twice counts once
	Parents  bool     // each hit grows to the section that it is in
}

// Found is what was found.
type Found struct {
	Hits     []schemas.Hit // at most the limit of the settings
	Usage    schemas.Usage // of embedding, as far as it was not recorded before
	Searches int           // of the index, one for each text
	Embedder string        // of the collection
}

// Find searches for every text, several at once. The score of hits is that of the index for one text; for several it is that of their
// fusion, see fuse. Read-only but for the records of embeddings, so any retry is harmless and a repeated one pays nothing. Codes:
// invalid, not_found (no such collection), those of the provider and of the index.
func (a *Activities) Find(ctx context.Context, q Query) (Found, error) {
	texts := distinct(q.Texts)
	if err := check(texts, q.Settings); err != nil {
		return Found{}, err
	}
	record, err := a.record(ctx, q.Tenant, q.Settings.Collection)
	if err != nil {
		return Found{}, err
	}
	target := vector.Target{Class: record.Alias, Tenant: q.Tenant}
	lists := make([][]vector.Found, len(texts))
	usages := make([]schemas.Usage, len(texts))
	group, searching := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, text := range texts {
		group.Go(func() (err error) {
			lists[i], usages[i], err = a.search(searching, q, text, target, record)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Found{}, err
	}
	found := Found{Hits: hits(fuse(lists, q.Settings.Limit)), Searches: len(texts), Embedder: record.Recipe.Embedder}
	for _, usage := range usages {
		found.Usage = found.Usage.Add(usage)
	}
	if q.Parents {
		found.Hits, err = a.grow(ctx, target, found.Hits)
	}
	return found, err
}

func (a *Activities) search(ctx context.Context, q Query, text string, target vector.Target, record schemas.Collection) ([]vector.Found, schemas.Usage, error) {
	query, usage, err := a.query(ctx, q, text, record)
	if err != nil {
		return nil, usage, err
	}
	found, err := a.Index.Search(ctx, target, query)
	if err != nil {
		return nil, usage, fmt.Errorf("searching %q: %w", record.Name, err)
	}
	return found, usage, nil
}

func distinct(texts []string) []string {
	var out []string
	for _, text := range texts {
		if text = strings.TrimSpace(text); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

func check(texts []string, s schemas.RetrieveSettings) error {
	switch {
	case len(texts) == 0, slices.Contains(texts, ""):
		return schemas.Errorf(schemas.Invalid, "the query is empty")
	case len(texts) > MaxTexts:
		return schemas.Errorf(schemas.Invalid, "%d queries: search for at most %d at once", len(texts), MaxTexts)
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
	for i, o := range found {
		out[i] = schemas.Hit{
			Rank: i + 1, Score: o.Score, Document: o.Document, Source: o.Source, Title: o.Title, Section: o.Section,
			Chunk: o.ID, Ordinal: o.Ordinal, Start: o.Start, End: o.End, Text: o.Text, Metadata: o.Metadata,
		}
	}
	return out
}

// query turns the text into what the index is asked.
func (a *Activities) query(ctx context.Context, in Query, text string, record schemas.Collection) (vector.Query, schemas.Usage, error) {
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
	resp, recorded, err := provider.EmbedRecorded(ctx, tenant, model.EmbedRequest{Model: name, Inputs: []string{text}, Dimensions: recipe.Dimensions}, nil)
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
	a.mu.Lock()
	defer a.mu.Unlock()
	if kept, ok := a.analyzers[language]; ok {
		return kept, nil
	}
	fresh, err := analyze.New(language)
	if err != nil {
		return nil, err
	}
	if a.analyzers == nil {
		a.analyzers = map[string]*analyze.Analyzer{}
	}
	a.analyzers[language] = fresh
	return fresh, nil
}

// record reads the collection's record. It is kept for a moment, so that a run of queries does not read it every time.
func (a *Activities) record(ctx context.Context, tenant, collection string) (schemas.Collection, error) {
	key := schemas.CollectionKey(tenant, collection)
	a.mu.Lock()
	kept, ok := a.records[key]
	a.mu.Unlock()
	if ok && time.Now().Before(kept.until) {
		return kept.record, nil
	}
	record, err := blob.GetJSON[schemas.Collection](ctx, a.Store, schemas.Ref{Key: key})
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			return record, schemas.Wrap(schemas.NotFound, err, "there is no collection %q: ingest something into it first", collection)
		}
		return record, err
	}
	a.keep(key, known{record, time.Now().Add(recordLife)})
	return record, nil
}

// keep remembers a record, and forgets those whose time is over.
func (a *Activities) keep(key string, k known) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.records == nil {
		a.records = map[string]known{}
	}
	now := time.Now()
	maps.DeleteFunc(a.records, func(_ string, old known) bool { return now.After(old.until) })
	a.records[key] = k
}
