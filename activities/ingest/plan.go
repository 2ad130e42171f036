package ingest

import (
	"context"
	"time"

	"github.com/tenuto-dev/tenuto/activities/internal/analyze"
	"github.com/tenuto-dev/tenuto/activities/internal/parse"
	"github.com/tenuto-dev/tenuto/activities/internal/token"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// window is how many batches of one ingestion, and how many shards of a large one, are under way at once. Their calls queue up
// on the workers, which bound what really runs.
const window = 4

// Plan makes sure that the collection and its class exist and finds the buckets whose listing changed since the last finished
// ingestion. Any retry is harmless. Codes: invalid, conflict (another recipe, or a listing that a newer one has overtaken),
// not_found (the snapshot), unavailable.
func (a *Activities) Plan(ctx context.Context, in schemas.IngestRequest) (schemas.IngestPlan, error) {
	snapshot, err := blob.GetJSON[schemas.Snapshot](ctx, a.Store, in.Snapshot)
	if err != nil {
		return schemas.IngestPlan{}, err
	}
	collection, err := a.collection(ctx, in)
	if err != nil {
		return schemas.IngestPlan{}, err
	}
	state, err := a.openSource(ctx, in, snapshot, collection.Recipe.Hash())
	if err != nil {
		return schemas.IngestPlan{}, err
	}
	plan := schemas.IngestPlan{
		MinBits: state.MinBits, Recipe: collection.Recipe, Documents: snapshot.Documents, Class: collection.Class, Window: window,
	}
	var changed []int
	for i, bucket := range snapshot.Buckets {
		if state.Complete && state.Buckets[i].Digest == bucket.Digest {
			plan.Skipped = plan.Skipped.Add(unchanged(state.Buckets[i]))
			continue
		}
		changed = append(changed, i)
	}
	plan.Changed = len(changed)
	if err := a.savePlan(ctx, in, changed, &plan); err != nil {
		return schemas.IngestPlan{}, err
	}
	return plan, a.reopen(ctx, in, state, len(changed))
}

// unchanged is what a bucket counts for that needs no work.
func unchanged(b schemas.BucketState) schemas.IngestTotals {
	return schemas.IngestTotals{
		Documents: schemas.DocumentCounts{Total: b.Documents, Unchanged: b.Documents - b.Quarantined, Quarantined: b.Quarantined},
		Chunks:    schemas.ChunkCounts{Total: b.Chunks, Reused: b.Chunks},
	}
}

// savePlan puts the changed buckets inline where they are few, and into the store where they are many.
func (a *Activities) savePlan(ctx context.Context, in schemas.IngestRequest, changed []int, plan *schemas.IngestPlan) error {
	if len(changed) <= schemas.MaxInlineBuckets {
		plan.Inline = changed
		return nil
	}
	plan.Shards = (len(changed) + schemas.BucketsPerShard - 1) / schemas.BucketsPerShard
	var err error
	plan.Plan, err = blob.PutJSON(ctx, a.Store, schemas.WorkPrefix(in.Tenant, in.Collection, in.Ingestion)+"plan.json", changed)
	return err
}

// Shard lists the buckets of one shard of a large ingestion. Read-only.
func (a *Activities) Shard(ctx context.Context, in schemas.ShardRequest) (schemas.BucketList, error) {
	changed, err := blob.GetJSON[[]int](ctx, a.Store, in.Plan.Plan)
	if err != nil {
		return schemas.BucketList{}, err
	}
	first := min(in.Shard*schemas.BucketsPerShard, len(changed))
	return schemas.BucketList{Buckets: changed[first:min(first+schemas.BucketsPerShard, len(changed))]}, nil
}

// openSource reads the state of the source. A state at other bits, of another recipe or by another parser tells nothing of single
// buckets.
func (a *Activities) openSource(ctx context.Context, in schemas.IngestRequest, snapshot schemas.Snapshot, recipe string) (schemas.SourceState, error) {
	state, found, err := getJSON[schemas.SourceState](ctx, a.Store, schemas.SourceKey(in.Tenant, in.Collection, in.Source))
	switch {
	case err != nil:
		return state, err
	case !found:
		state = schemas.SourceState{MinBits: snapshot.Bits}
	case snapshot.Bits < state.Bits:
		return state, schemas.Errorf(schemas.Conflict, "source %q grew while this listing was made: ingest again", in.Source)
	}
	if state.Bits != snapshot.Bits || state.Recipe != recipe || state.Parser != parse.Version || len(state.Buckets) != len(snapshot.Buckets) {
		state.Complete, state.Buckets = false, nil
	}
	state.Bits, state.Recipe, state.Parser, state.Snapshot = snapshot.Bits, recipe, parse.Version, snapshot.ID
	return state, nil
}

// reopen marks the source as being worked on, before the first of its manifests changes.
func (a *Activities) reopen(ctx context.Context, in schemas.IngestRequest, state schemas.SourceState, changed int) error {
	if changed == 0 {
		return nil
	}
	state.Complete = false
	return putJSON(ctx, a.Store, schemas.SourceKey(in.Tenant, in.Collection, in.Source), state)
}

// collection reads the collection's record, or makes it from the request, and makes sure that its class exists.
func (a *Activities) collection(ctx context.Context, in schemas.IngestRequest) (schemas.Collection, error) {
	key := schemas.CollectionKey(in.Tenant, in.Collection)
	record, found, err := getJSON[schemas.Collection](ctx, a.Store, key)
	if err != nil {
		return record, err
	}
	if !found {
		if record, err = a.newCollection(in); err != nil {
			return record, err
		}
	}
	wanted := in.Recipe
	wanted.Parser = record.Recipe.Parser
	if wanted.Hash() != record.Recipe.Hash() {
		return record, schemas.Errorf(schemas.Conflict,
			"collection %q was made with other settings (%+v): leave the settings out, or delete the collection first", in.Collection, record.Recipe)
	}
	if err := a.Index.Ensure(ctx, vector.Spec{Alias: record.Alias, Class: record.Class, Tenant: in.Tenant}); err != nil {
		return record, err
	}
	if !found {
		return record, putJSON(ctx, a.Store, key, record)
	}
	return record, nil
}

// newCollection checks the recipe against what this installation can do.
func (a *Activities) newCollection(in schemas.IngestRequest) (schemas.Collection, error) {
	recipe := in.Recipe
	recipe.Parser = parse.Version
	if err := recipe.Check(); err != nil {
		return schemas.Collection{}, err
	}
	provider, name, err := a.Models.Resolve(recipe.Embedder)
	if err != nil {
		return schemas.Collection{}, err
	}
	if _, err := provider.Limits(name); err != nil {
		return schemas.Collection{}, err
	}
	if _, err := analyze.New(recipe.Language); err != nil {
		return schemas.Collection{}, err
	}
	if _, err := token.New(recipe.Chunk.Tokenizer); err != nil {
		return schemas.Collection{}, err
	}
	return schemas.Collection{
		Tenant: in.Tenant, Name: in.Collection, Alias: schemas.AliasName(in.Collection), Class: schemas.ClassName(in.Collection, 1),
		Version: 1, Recipe: recipe, Created: time.Now().UTC().Format(time.RFC3339),
	}, nil
}
