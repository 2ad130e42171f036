package ingest

import (
	"context"
	"fmt"

	"github.com/tenuto-dev/tenuto/activities/internal/analyze"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Publish brings the index to the prepared state: it notes what it is about to write, writes, reads back, deletes what is stale
// only then, and advances the manifest last. Any retry repeats the same writes, on a clean ground: what an earlier attempt may have
// written in part is removed first. Codes: those of the index and the store.
func (a *Activities) Publish(ctx context.Context, in schemas.PublishRequest) (schemas.PublishOutcome, error) {
	bucket, err := blob.GetJSON[prepared](ctx, a.Store, in.Prepared)
	if err != nil {
		return schemas.PublishOutcome{}, err
	}
	resumed, err := a.announce(ctx, bucket)
	if err != nil {
		return schemas.PublishOutcome{}, err
	}
	p, err := a.publication(in, bucket.Recipe)
	if err != nil {
		return schemas.PublishOutcome{}, err
	}
	if resumed {
		if _, err := a.Index.Delete(ctx, p.target, vector.Selection{IDs: bucket.Write}); err != nil {
			return schemas.PublishOutcome{}, fmt.Errorf("deleting what an interrupted publication wrote: %w", err)
		}
	}
	for _, part := range bucket.Parts {
		if err := p.part(ctx, part); err != nil {
			return schemas.PublishOutcome{}, err
		}
	}
	if len(bucket.Delete) > 0 {
		if _, err := a.Index.Delete(ctx, p.target, vector.Selection{IDs: bucket.Delete}); err != nil {
			return schemas.PublishOutcome{}, fmt.Errorf("deleting stale chunks: %w", err)
		}
	}
	if err := putJSON(ctx, a.Store, bucket.Key, bucket.Manifest); err != nil {
		return schemas.PublishOutcome{}, err
	}
	return schemas.PublishOutcome{Written: len(bucket.Write), Deleted: len(bucket.Delete)}, nil
}

// announce notes in the manifest which ids are about to be written, so that a publication that is cut short and never resumed
// leaves nothing in the index that nobody knows of. It reports whether one was cut short before: an index that died in the middle of
// a write may hold objects by halves, which are found by no search and which writing them again does not mend.
func (a *Activities) announce(ctx context.Context, bucket prepared) (resumed bool, err error) {
	if len(bucket.Write) == 0 {
		return false, nil
	}
	current, _, err := getJSON[manifest](ctx, a.Store, bucket.Key)
	if err != nil {
		return false, err
	}
	intent := bucket.Previous
	intent.Digest = ""
	intent.Pending = append(append([]string{}, bucket.Previous.Pending...), bucket.Write...)
	return len(current.Pending)+len(bucket.Previous.Pending) > 0, putJSON(ctx, a.Store, bucket.Key, intent)
}

// publication is one call of Publish.
type publication struct {
	a         *Activities
	target    vector.Target
	source    string
	embedding *embedding
	analyzer  *analyze.Analyzer
}

func (a *Activities) publication(in schemas.PublishRequest, recipe schemas.Recipe) (*publication, error) {
	e, err := a.embedding(in.Tenant, recipe)
	if err != nil {
		return nil, err
	}
	analyzer, err := a.analyzers.get(recipe.Language, analyze.New)
	if err != nil {
		return nil, err
	}
	return &publication{
		a: a, target: vector.Target{Class: in.Class, Tenant: in.Tenant}, source: in.Source, embedding: e, analyzer: analyzer,
	}, nil
}

// part writes the chunks of one part and proves that they are there.
func (p *publication) part(ctx context.Context, part part) error {
	chunks, err := blob.GetJSON[[]preparedChunk](ctx, p.a.Store, part.Ref)
	if err != nil {
		return err
	}
	objects, err := p.objects(ctx, chunks)
	if err != nil {
		return err
	}
	if err := p.a.Index.Upsert(ctx, p.target, objects); err != nil {
		return fmt.Errorf("writing chunks: %w", err)
	}
	want := make([]vector.Stored, len(chunks))
	for i, c := range chunks {
		want[i] = vector.Stored{ID: c.ID, ChunkHash: c.Hash}
	}
	if err := p.a.Index.Verify(ctx, p.target, want); err != nil {
		return fmt.Errorf("reading written chunks back: %w", err)
	}
	return nil
}

func (p *publication) objects(ctx context.Context, chunks []preparedChunk) ([]vector.Object, error) {
	hashes, _, err := index(chunks)
	if err != nil {
		return nil, err
	}
	vectors, err := p.embedding.space.Vectors(ctx, hashes)
	if err != nil {
		return nil, err
	}
	byText := make(map[string][]float32, len(vectors))
	for h, v := range vectors {
		byText[fmt.Sprintf("%x", h[:])] = v
	}
	objects := make([]vector.Object, len(chunks))
	for i, c := range chunks {
		objects[i] = vector.Object{
			ID: c.ID, Document: c.Document, Source: p.source, Title: c.Title, Section: c.Section, Text: c.Text,
			Terms: p.analyzer.Terms(c.embedText()), ChunkHash: c.Hash, Ordinal: c.Ordinal, Start: c.Start, End: c.End,
			Metadata: c.Metadata, Vector: byText[c.Hash],
		}
	}
	return objects, nil
}
