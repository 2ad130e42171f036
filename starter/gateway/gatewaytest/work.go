package gatewaytest

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Work does in memory what the workflows promise, as simply as can be: it reads every content that a snapshot names and checks its
// hash, finds documents by the words of a query, and answers with the first sentence of the best. Documents whose text begins with
// "broken" go to quarantine.
type Work struct {
	Store    *blob.Store
	Temporal *Temporal     // where a lane starts the rest of a run
	Gate     chan struct{} // when not nil, ingestions and runs wait until it is closed

	mu      sync.Mutex
	release Releases
	judge   Judge
	broken  map[string]schemas.Code    // by step
	told    []string                   // URLs of callbacks
	made    map[string]int             // how often a step was carried out
	ledgers map[string]*ledger         // by workflow id
	evals   map[string]*evaluation     // by workflow id
	indexed map[string]map[string]text // by tenant/collection, by document
}

// Releases makes releases of a repository's folder, as the workflow does.
type Releases func(context.Context, schemas.ReleaseRequest) (schemas.ReleaseOutcome, error)

// Host has releases made; without it there are no repositories.
func (w *Work) Host(releases Releases) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.release = releases
}

func (w *Work) hosted() Releases {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.release
}

type text struct{ sum, content string }

// Handlers returns the workflows.
func (w *Work) Handlers() map[string]Handler {
	return map[string]Handler{
		schemas.Ingest.Name(): typed(w.ingest),
		schemas.Drop.Name():   typed(w.drop),

		schemas.MakeRelease.Name(): typed(func(ctx context.Context, in schemas.ReleaseRequest) (schemas.ReleaseOutcome, error) {
			release := w.hosted()
			if release == nil {
				return schemas.ReleaseOutcome{}, temporal.NewNonRetryableApplicationError("there are no repositories", string(schemas.NotFound), nil)
			}
			return release(ctx, in)
		}),
		schemas.Reconcile.Name(): typed(w.reconcile),

		schemas.RecallRuns.Name(): typed(w.recall),

		schemas.Callback.Name(): typed(w.callback),

		schemas.Evaluate.Name():   typed(w.evaluate),
		schemas.EvalDecide.Name(): typed(w.decide),

		schemas.Chain.Name():    typed(w.chain),
		schemas.Lane.Name():     typed(w.lane),
		schemas.LaneRuns.Name(): typed(w.laneRuns),

		schemas.Ledger.Name():     typed(w.ledger),
		schemas.SetBudget.Name():  typed(w.setBudget),
		schemas.SyncLedger.Name(): typed(w.syncLedger),
	}
}

// typed makes a handler of a function with a typed request.
func typed[In, Out any](fn func(context.Context, In) (Out, error)) Handler {
	return func(ctx context.Context, in any) (any, error) {
		request, ok := in.(In)
		if !ok {
			return nil, schemas.Errorf(schemas.Internal, "started with a %T", in)
		}
		return fn(ctx, request)
	}
}

// reconcile reports one run of each kind, in the window that it was asked for.
func (w *Work) reconcile(_ context.Context, in schemas.ReconcileRequest) (schemas.ReconcileReport, error) {
	return schemas.ReconcileReport{
		FromMS: in.FromMS, ToMS: in.ToMS, Checked: 1003, Agree: 1000, Filled: 1, Differ: 1, Missing: 1,
		Findings: []schemas.ReconcileFinding{
			{Tenant: in.Tenant, RunID: "lost", Kind: schemas.FindingFilled, Detail: "the record was filled in"},
			{Tenant: in.Tenant, RunID: "odd", Kind: schemas.FindingDiffers, Detail: "the workflow says done, the record failed"},
		},
	}, nil
}

func (w *Work) ingest(ctx context.Context, in schemas.IngestRequest) (schemas.IngestReport, error) {
	report := schemas.IngestReport{WorkflowID: schemas.IngestID(in.Tenant, in.Collection), Ingestion: in.Ingestion}
	if err := w.wait(ctx); err != nil {
		return report, err
	}
	documents, err := w.Documents(ctx, in.Snapshot)
	if err != nil {
		return report, err
	}
	var quarantine []schemas.Quarantined
	now := make(map[string]text)
	for _, d := range documents {
		content, reason := w.read(ctx, d)
		if reason != "" {
			quarantine = append(quarantine, schemas.Quarantined{Document: d.Path, Reason: reason})
			continue
		}
		now[d.Path] = text{d.SHA256, content}
	}
	report.Documents = w.replace(in.Tenant+"/"+in.Collection, now)
	report.Documents.Total, report.Documents.Quarantined = len(documents), len(quarantine)
	report.Chunks.Total = len(now)
	report.Chunks.Embedded = report.Documents.Added + report.Documents.Updated
	report.Quarantine, err = w.put(ctx, schemas.CollectionPrefix(in.Tenant, in.Collection)+"quarantine.json", quarantine)
	if err != nil {
		return report, err
	}
	_, err = w.put(ctx, schemas.CollectionKey(in.Tenant, in.Collection), schemas.Collection{
		Tenant: in.Tenant, Name: in.Collection, Alias: schemas.AliasName(in.Collection),
		Class: schemas.ClassName(in.Collection, 1), Version: 1, Recipe: in.Recipe, Created: "2026-01-02T03:04:05Z",
	})
	return report, err
}

func (w *Work) wait(ctx context.Context) error {
	if w.Gate == nil {
		return nil
	}
	select {
	case <-w.Gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Documents reads a snapshot and checks that its header says the truth about its shards.
func (w *Work) Documents(ctx context.Context, header schemas.Ref) ([]schemas.SnapshotDocument, error) {
	var snapshot schemas.Snapshot
	if err := w.get(ctx, header, &snapshot); err != nil {
		return nil, err
	}
	var all []schemas.SnapshotDocument
	for i, bucket := range snapshot.Buckets {
		shard := snapshot.Shards[i/schemas.BucketsPerShard]
		data, err := w.Store.GetRange(ctx, shard.Key, bucket.Offset, bucket.Bytes)
		if err != nil {
			return nil, err
		}
		lines := json.NewDecoder(bytes.NewReader(data))
		for range bucket.Documents {
			var d schemas.SnapshotDocument
			if err := lines.Decode(&d); err != nil {
				return nil, err
			}
			if schemas.BucketOf(schemas.DocumentHash(snapshot.Source, d.Path), snapshot.Bits) != i {
				return nil, schemas.Errorf(schemas.Internal, "document %s is in the wrong bucket", d.Path)
			}
			all = append(all, d)
		}
	}
	return all, nil
}

func (w *Work) read(ctx context.Context, d schemas.SnapshotDocument) (content, reason string) {
	if d.Rejected != "" {
		return "", d.Rejected
	}
	data, err := w.Store.GetRange(ctx, d.Pack, d.Offset, d.Bytes)
	switch {
	case err != nil:
		return "", err.Error()
	case schemas.Hash(data) != d.SHA256:
		return "", "the pack holds another content"
	case strings.HasPrefix(string(data), "broken"):
		return "", "the document is broken"
	}
	return string(data), ""
}

func (w *Work) replace(key string, now map[string]text) (counts schemas.DocumentCounts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.indexed[key]
	for path, t := range now {
		switch old, ok := before[path]; {
		case !ok:
			counts.Added++
		case old.sum != t.sum:
			counts.Updated++
		default:
			counts.Unchanged++
		}
	}
	for path := range before {
		if _, ok := now[path]; !ok {
			counts.Deleted++
		}
	}
	if w.indexed == nil {
		w.indexed = make(map[string]map[string]text)
	}
	w.indexed[key] = now
	return counts
}

// find fails as a workflow does, with a recorded failure.
func (w *Work) find(tenant, question string, settings schemas.RetrieveDef) ([]schemas.Hit, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	documents, ok := w.indexed[tenant+"/"+settings.Collection]
	if !ok {
		return nil, temporal.NewNonRetryableApplicationError("there is no collection "+settings.Collection, string(schemas.NotFound), nil)
	}
	hits := []schemas.Hit{}
	for path, t := range documents {
		score := 0.0
		for word := range strings.FieldsSeq(strings.ToLower(question)) {
			score += float64(strings.Count(strings.ToLower(t.content), word))
		}
		if score > 0 {
			hits = append(hits, schemas.Hit{Score: score, Document: path, Title: path, Chunk: schemas.Hash([]byte(path))[:8], Text: t.content})
		}
	}
	slices.SortFunc(hits, func(a, b schemas.Hit) int {
		if a.Score != b.Score {
			return int(b.Score - a.Score)
		}
		return strings.Compare(a.Document, b.Document)
	})
	hits = hits[:min(len(hits), settings.Limit)]
	for i := range hits {
		hits[i].Rank = i + 1
	}
	return hits, nil
}

func (w *Work) drop(ctx context.Context, in schemas.DropRequest) (schemas.DropReport, error) {
	var report schemas.DropReport
	for info, err := range w.Store.All(ctx, schemas.CollectionPrefix(in.Tenant, in.Collection)) {
		if err != nil {
			return report, err
		}
		if err := w.Store.Delete(ctx, info.Key); err != nil {
			return report, err
		}
		report.Objects++
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	report.Chunks = len(w.indexed[in.Tenant+"/"+in.Collection])
	delete(w.indexed, in.Tenant+"/"+in.Collection)
	return report, nil
}

func (w *Work) put(ctx context.Context, key string, value any) (schemas.Ref, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return schemas.Ref{}, err
	}
	return schemas.Ref{Key: key, SHA256: schemas.Hash(data), Bytes: int64(len(data))}, w.Store.Put(ctx, key, data)
}

func (w *Work) get(ctx context.Context, ref schemas.Ref, into any) error {
	data, err := w.Store.Get(ctx, ref.Key)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
