package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/ingest"
	"github.com/tenuto-dev/tenuto/activities/ingest/ledger"
	"github.com/tenuto-dev/tenuto/activities/internal/analyze"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/activities/provider/vector/memvector"
	"github.com/tenuto-dev/tenuto/schemas"
)

var recipe = schemas.Recipe{
	Chunk:    schemas.ChunkSettings{MaxTokens: 40, OverlapTokens: 0, Tokenizer: "cl100k_base"},
	Embedder: "count/words", Language: "auto",
}

// bench is the activities over memory, with an embedder and an index that count and that fail on request.
type bench struct {
	*ingest.Activities
	embedder *embedder
	index    *index
	runs     int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{embedder: &embedder{seen: map[string]int{}}, index: &index{Driver: &memvector.Driver{}}}
	models, err := model.NewSet(&model.Provider{Name: "count", Driver: b.embedder})
	if err != nil {
		t.Fatal(err)
	}
	b.Activities = b.process(models)
	b.Store = blob.New(&memblob.Driver{})
	b.Ledger = &ledger.Ledger{Store: b.Store}
	return b
}

func (b *bench) process(models *model.Set) *ingest.Activities {
	return &ingest.Activities{Index: vector.New(b.index), Models: models}
}

// restart forgets all that a process knows and the store does not.
func (b *bench) restart() {
	b.Activities = &ingest.Activities{Store: b.Store, Index: b.Index, Models: b.Models, Ledger: &ledger.Ledger{Store: b.Store}}
}

// embedder counts what it sees. Fail makes the next calls fail, after they have been counted as paid or before.
type embedder struct {
	mu     sync.Mutex
	seen   map[string]int
	calls  int
	inputs int
	fail   error
	during func() // runs inside every call
}

func (e *embedder) Generate(context.Context, model.Request, model.Emit) (model.Response, error) {
	return model.Response{}, schemas.Errorf(schemas.NotFound, "it only embeds")
}

func (e *embedder) Limits(string) (model.Limits, error) {
	return model.Limits{MaxInputs: 8, MaxInputTokens: 10000, Dimensions: 8}, nil
}

func (e *embedder) Embed(_ context.Context, in model.EmbedRequest) (model.EmbedResponse, error) {
	if e.during != nil {
		e.during()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return model.EmbedResponse{}, e.fail
	}
	e.calls++
	out := model.EmbedResponse{Model: in.Model, Tokens: len(in.Inputs)}
	for _, text := range in.Inputs {
		e.seen[text]++
		e.inputs++
		out.Vectors = append(out.Vectors, vectorOf(text))
	}
	return out, nil
}

func vectorOf(text string) []float32 {
	v := make([]float32, 8)
	for word := range strings.FieldsSeq(text) {
		h := fnv.New32a()
		h.Write([]byte(word))
		v[h.Sum32()%8]++
	}
	v[0] += 0.5
	return v
}

// index counts writes. Refuse makes writes fail; drop makes it confirm and forget the next writes.
type index struct {
	*memvector.Driver

	writes, deletes int
	refuse          error
	afterUpsert     func()
}

func (x *index) Upsert(ctx context.Context, target vector.Target, objects []vector.Object) error {
	if x.refuse != nil {
		return x.refuse
	}
	x.writes += len(objects)
	err := x.Driver.Upsert(ctx, target, objects)
	if x.afterUpsert != nil {
		x.afterUpsert()
	}
	return err
}

func (x *index) Delete(ctx context.Context, target vector.Target, s vector.Selection) (int, error) {
	x.deletes += len(s.IDs)
	return x.Driver.Delete(ctx, target, s)
}

// listing stores contents and a snapshot the way the gateway does, and asks to ingest it.
func (b *bench) listing(t *testing.T, contents map[string]string, bits int) schemas.IngestRequest {
	t.Helper()
	b.runs++
	in := schemas.IngestRequest{
		Tenant: "default", Collection: "docs", Source: "src", Ingestion: fmt.Sprintf("run-%d", b.runs), Recipe: recipe,
	}
	bits = max(bits, schemas.BucketBits(len(contents)))
	docs := make([]schemas.SnapshotDocument, 0, len(contents))
	for path, text := range contents {
		key := schemas.PackPrefix(in.Tenant, in.Collection) + schemas.Hash([]byte(text)) + ".tar"
		if err := b.Store.Put(t.Context(), key, []byte("head"+text)); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, schemas.SnapshotDocument{
			ListedDocument: schemas.ListedDocument{Path: path, SHA256: schemas.Hash([]byte(text)), Bytes: int64(len(text))}, Pack: key, Offset: 4,
		})
	}
	in.Snapshot, in.SnapshotID = b.snapshot(t, in, docs, bits)
	return in
}

func (b *bench) snapshot(t *testing.T, in schemas.IngestRequest, docs []schemas.SnapshotDocument, bits int) (schemas.Ref, string) {
	t.Helper()
	slices.SortFunc(docs, func(x, y schemas.SnapshotDocument) int {
		a, b := schemas.DocumentHash(in.Source, x.Path), schemas.DocumentHash(in.Source, y.Path)
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return strings.Compare(x.Path, y.Path)
	})
	snap := schemas.Snapshot{Source: in.Source, Bits: bits, Documents: len(docs), Recipe: in.Recipe}
	var shard bytes.Buffer
	for bucket := range 1 << bits {
		at := schemas.SnapshotBucket{Offset: int64(shard.Len())}
		digest := ""
		for _, d := range docs {
			if schemas.BucketOf(schemas.DocumentHash(in.Source, d.Path), bits) != bucket {
				continue
			}
			line, _ := json.Marshal(d)
			shard.Write(append(line, '\n'))
			digest += d.Path + d.SHA256 + d.Rejected + "\n"
			at.Documents++
		}
		at.Bytes = int64(shard.Len()) - at.Offset
		at.Digest = schemas.Hash([]byte(digest))[:32]
		snap.Buckets = append(snap.Buckets, at)
		if bucket%schemas.BucketsPerShard == schemas.BucketsPerShard-1 || bucket == 1<<bits-1 {
			key := fmt.Sprintf("%s%d", schemas.SnapshotPrefix(in.Tenant, in.Collection, in.Ingestion), len(snap.Shards))
			if err := b.Store.Put(t.Context(), key, shard.Bytes()); err != nil {
				t.Fatal(err)
			}
			snap.Shards = append(snap.Shards, schemas.Ref{Key: key})
			shard.Reset()
		}
	}
	snap.ID = in.Ingestion
	ref, err := blob.PutJSON(t.Context(), b.Store, schemas.SnapshotPrefix(in.Tenant, in.Collection, in.Ingestion)+"header.json", snap)
	if err != nil {
		t.Fatal(err)
	}
	return ref, snap.ID
}

// run does what the workflow does, once.
func (b *bench) run(ctx context.Context, in schemas.IngestRequest) (schemas.FinishOutcome, error) {
	plan, err := b.Plan(ctx, in)
	if err != nil {
		return schemas.FinishOutcome{}, err
	}
	buckets := plan.Inline
	for shard := range plan.Shards {
		list, err := b.Shard(ctx, schemas.ShardRequest{Ingest: in, Plan: plan, Shard: shard})
		if err != nil {
			return schemas.FinishOutcome{}, err
		}
		buckets = append(buckets, list.Buckets...)
	}
	totals := plan.Skipped
	for _, bucket := range buckets {
		done, err := b.bucket(ctx, in, plan, bucket)
		if err != nil {
			return schemas.FinishOutcome{}, err
		}
		totals = totals.Add(done)
	}
	return b.Finish(ctx, schemas.FinishRequest{Ingest: in, Plan: plan, Totals: totals, Start: time.Now().UnixMilli()})
}

func (b *bench) bucket(ctx context.Context, in schemas.IngestRequest, plan schemas.IngestPlan, bucket int) (schemas.IngestTotals, error) {
	prepared, err := b.Prepare(ctx, schemas.BucketRequest{
		Tenant: in.Tenant, Collection: in.Collection, Source: in.Source, Ingestion: in.Ingestion, Snapshot: in.Snapshot,
		Bucket: bucket, Recipe: plan.Recipe, MinBits: plan.MinBits,
	})
	if err != nil || !prepared.Advance {
		return prepared.Totals, err
	}
	totals := prepared.Totals
	if prepared.Write > 0 {
		e, err := b.Embed(ctx, schemas.EmbedRequest{Tenant: in.Tenant, Collection: in.Collection, Prepared: prepared.Prepared})
		if err != nil {
			return totals, err
		}
		totals.Chunks.Embedded, totals.Embedding = e.Embedded, e.Usage
		totals.Chunks.Reused += e.Reused
	}
	_, err = b.Publish(ctx, schemas.PublishRequest{
		Tenant: in.Tenant, Collection: in.Collection, Source: in.Source, Class: plan.Class, Prepared: prepared.Prepared,
	})
	return totals, err
}

// ingest ingests contents and expects that to work.
func (b *bench) ingest(t *testing.T, contents map[string]string) schemas.IngestReport {
	t.Helper()
	return b.finishRun(t, b.listing(t, contents, 0))
}

func (b *bench) finishRun(t *testing.T, in schemas.IngestRequest) schemas.IngestReport {
	t.Helper()
	out, err := b.run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if out.Lost > 0 {
		t.Fatalf("%d buckets lost", out.Lost)
	}
	return out.Report
}

// find searches the collection by keyword and returns the texts.
func (b *bench) find(t *testing.T, query string) []string {
	t.Helper()
	analyzer, err := analyze.New(recipe.Language)
	if err != nil {
		t.Fatal(err)
	}
	terms := analyzer.Terms(query)
	found, err := b.Index.Search(t.Context(), vector.Target{Class: "Docs", Tenant: "default"}, vector.Query{Mode: schemas.Keyword, Terms: terms, Limit: 50})
	if err != nil {
		t.Fatal(err)
	}
	texts := make([]string, len(found))
	for i, f := range found {
		texts[i] = f.Document + ": " + f.Text
	}
	slices.Sort(texts)
	return texts
}

func (b *bench) objects(t *testing.T) int {
	t.Helper()
	status, err := b.Index.Status(t.Context(), vector.Target{Class: "Docs", Tenant: "default"})
	if err != nil {
		t.Fatal(err)
	}
	return status.Objects
}
