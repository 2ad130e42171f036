package workflows

import (
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/workflows/step"
)

const (
	shardsPerExecution = 200 // child workflows before the root continues as new; about 12 events each
	repairs            = 2   // how often an ingestion makes good what the index lost
)

// Ingest brings a collection to the state of a snapshot: for each changed bucket of documents it prepares, embeds and publishes.
// Few buckets are worked on here, many by child workflows. It answers the query ingest.progress, and continues as new after
// every 200 shards. Cancelling it lets nothing half-published be served: a manifest advances only after its chunks are proven.
func Ingest(ctx workflow.Context, in schemas.IngestRequest) (schemas.IngestReport, error) {
	g := &ingestion{in: in, progress: schemas.Progress{Phase: "planning", Totals: in.Totals}}
	if err := step.Answer(ctx, schemas.IngestProgress, func() schemas.Progress { return g.progress }); err != nil {
		return schemas.IngestReport{}, err
	}
	for {
		outcome, err := g.run(ctx)
		if err != nil || outcome.Lost == 0 {
			g.enter(ctx, "done")
			return outcome.Report, err
		}
		if g.repaired == repairs {
			return schemas.IngestReport{}, temporal.NewNonRetryableApplicationError(fmt.Sprintf(
				"the index keeps losing chunks that it had confirmed (%d batches after %d repairs): check Weaviate's disk and logs, then ingest again",
				outcome.Lost, repairs), string(schemas.Unavailable), nil)
		}
		g.again()
	}
}

// again prepares another pass over what the index lost. Documents are counted anew; what embedding cost stays counted.
func (g *ingestion) again() {
	g.repaired++
	g.in.Plan, g.in.Next = nil, 0
	spent := g.progress.Totals
	g.progress.Totals = schemas.IngestTotals{Embedding: spent.Embedding, Chunks: schemas.ChunkCounts{Embedded: spent.Chunks.Embedded}}
}

// ingestion is one execution of Ingest. Its fields are replayed state: only workflow code changes them.
type ingestion struct {
	in       schemas.IngestRequest
	progress schemas.Progress
	repaired int
}

func (g *ingestion) run(ctx workflow.Context) (schemas.FinishOutcome, error) {
	plan, err := g.plan(ctx)
	if err != nil {
		return schemas.FinishOutcome{}, err
	}
	g.progress.Buckets, g.progress.Documents = plan.Changed, plan.Documents
	g.enter(ctx, "ingesting")
	if plan.Shards > 0 {
		err = g.fanOut(ctx, plan)
	} else {
		err = g.buckets(ctx, plan, plan.Inline)
	}
	if err != nil {
		return schemas.FinishOutcome{}, err
	}
	g.enter(ctx, "verifying")
	return step.Do(ctx, step.Bulk, schemas.FinishIngest, schemas.FinishRequest{
		Ingest: g.in, Plan: plan, Totals: g.progress.Totals.Add(plan.Skipped),
		Start: g.started(ctx),
	}, "prove the index against the manifest")
}

// started is when the first execution of this ingestion began, in Unix milliseconds.
func (g *ingestion) started(ctx workflow.Context) int64 {
	if g.in.Started == 0 {
		g.in.Started = workflow.GetInfo(ctx).WorkflowStartTime.UnixMilli()
	}
	return g.in.Started
}

func (g *ingestion) plan(ctx workflow.Context) (schemas.IngestPlan, error) {
	if g.in.Plan != nil {
		return *g.in.Plan, nil
	}
	return step.Do(ctx, step.Bulk, schemas.PlanIngest, g.in, "compare with the last ingestion")
}

// buckets works on the given buckets itself.
func (g *ingestion) buckets(ctx workflow.Context, plan schemas.IngestPlan, buckets []int) error {
	return step.Each(ctx, buckets, plan.Window, func(ctx workflow.Context, bucket int) error {
		totals, err := ingestBucket(ctx, g.in, plan, bucket)
		g.add(ctx, totals, 1)
		return err
	})
}

// fanOut gives shards to child workflows, a window of them at once.
func (g *ingestion) fanOut(ctx workflow.Context, plan schemas.IngestPlan) error {
	until := min(g.in.Next+shardsPerExecution, plan.Shards)
	var shards []int
	for shard := g.in.Next; shard < until; shard++ {
		shards = append(shards, shard)
	}
	err := step.Each(ctx, shards, plan.Window, func(ctx workflow.Context, shard int) error {
		id := schemas.ShardID(g.in.Tenant, g.in.Collection, g.in.Ingestion, g.repaired*plan.Shards+shard)
		out, err := step.Child(ctx, id, schemas.IngestShard, schemas.ShardRequest{Ingest: g.in, Plan: plan, Shard: shard},
			fmt.Sprintf("shard %d of %d", shard+1, plan.Shards))
		g.add(ctx, out.Totals, out.Buckets)
		return err
	})
	if err != nil || until == plan.Shards {
		return err
	}
	next := g.in
	next.Plan, next.Next, next.Totals, next.Started = &plan, until, g.progress.Totals, g.started(ctx)
	return step.Again(ctx, schemas.Ingest, next)
}

func (g *ingestion) add(ctx workflow.Context, totals schemas.IngestTotals, buckets int) {
	g.progress.Totals = g.progress.Totals.Add(totals)
	g.progress.Done += buckets
	g.describe(ctx)
}

func (g *ingestion) enter(ctx workflow.Context, phase string) {
	g.progress.Phase = phase
	g.describe(ctx)
}

// describe sets what the Temporal UI shows of this workflow.
func (g *ingestion) describe(ctx workflow.Context) {
	p := g.progress
	workflow.SetCurrentDetails(ctx, fmt.Sprintf(
		"**%s** source %q into %q: %d of %d changed batches done, %d documents added, %d updated, %d deleted, %d quarantined; %d chunks embedded",
		p.Phase, g.in.Source, g.in.Collection, p.Done, p.Buckets, p.Totals.Documents.Added, p.Totals.Documents.Updated,
		p.Totals.Documents.Deleted, p.Totals.Documents.Quarantined, p.Totals.Chunks.Embedded))
}

// IngestShard works on one group of changed buckets of a large ingestion.
func IngestShard(ctx workflow.Context, in schemas.ShardRequest) (schemas.ShardOutcome, error) {
	list, err := step.Do(ctx, step.Bulk, schemas.ListShard, in, "which batches are in this shard")
	if err != nil {
		return schemas.ShardOutcome{}, err
	}
	out := schemas.ShardOutcome{Buckets: len(list.Buckets)}
	err = step.Each(ctx, list.Buckets, in.Plan.Window, func(ctx workflow.Context, bucket int) error {
		totals, err := ingestBucket(ctx, in.Ingest, in.Plan, bucket)
		out.Totals = out.Totals.Add(totals)
		return err
	})
	return out, err
}

// ingestBucket takes one batch of documents through prepare, embed and publish.
func ingestBucket(ctx workflow.Context, in schemas.IngestRequest, plan schemas.IngestPlan, bucket int) (schemas.IngestTotals, error) {
	label := fmt.Sprintf("batch %d", bucket)
	prepared, err := step.Do(ctx, step.Bulk, schemas.PrepareBucket, schemas.BucketRequest{
		Tenant: in.Tenant, Collection: in.Collection, Source: in.Source, Ingestion: in.Ingestion,
		Snapshot: in.Snapshot, Bucket: bucket, Recipe: plan.Recipe, MinBits: plan.MinBits,
	}, label)
	if err != nil || !prepared.Advance {
		return prepared.Totals, err
	}
	totals := prepared.Totals
	if prepared.Write > 0 {
		done, err := step.Do(ctx, step.Embedding, schemas.EmbedBucket, schemas.EmbedRequest{
			Tenant: in.Tenant, Collection: in.Collection, Prepared: prepared.Prepared,
		}, fmt.Sprintf("%s: %d chunks", label, prepared.Write))
		if err != nil {
			return schemas.IngestTotals{}, err
		}
		totals.Chunks.Embedded, totals.Embedding = done.Embedded, done.Usage
		totals.Chunks.Reused += done.Reused
	}
	_, err = step.Do(ctx, step.Bulk, schemas.PublishBucket, schemas.PublishRequest{
		Tenant: in.Tenant, Collection: in.Collection, Source: in.Source, Class: plan.Class, Prepared: prepared.Prepared,
	}, fmt.Sprintf("%s: write %d, delete %d", label, prepared.Write, prepared.Delete))
	if err != nil {
		return schemas.IngestTotals{}, err
	}
	return totals, nil
}
