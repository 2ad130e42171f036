package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
	"github.com/tenuto-dev/tenuto/workflows"
)

// world is a test environment with typed fakes of all activities, which note what they were asked.
type world struct {
	*testsuite.TestWorkflowEnvironment

	mu     sync.Mutex
	calls  map[string]int
	plan   schemas.IngestPlan
	lost   []int                                                       // what Finish reports as lost, call by call
	bucket func(schemas.BucketRequest) (schemas.PreparedBucket, error) // nil: one chunk to write
	embed  func(schemas.EmbedRequest) (schemas.EmbedOutcome, error)
	finish schemas.FinishRequest
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(telemetry.Temporal(zap.NewNop()))
	w := &world{TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), calls: map[string]int{}}
	workflows.Register(w)
	bind.Activity(w, schemas.PlanIngest, func(context.Context, schemas.IngestRequest) (schemas.IngestPlan, error) {
		w.count("plan")
		return w.plan, nil
	})
	bind.Activity(w, schemas.ListShard, func(_ context.Context, in schemas.ShardRequest) (schemas.BucketList, error) {
		w.count("shard")
		return schemas.BucketList{Buckets: []int{in.Shard * 2, in.Shard*2 + 1}}, nil
	})
	bind.Activity(w, schemas.PrepareBucket, w.prepareBucket)
	bind.Activity(w, schemas.EmbedBucket, w.embedBucket)
	bind.Activity(w, schemas.PublishBucket, func(context.Context, schemas.PublishRequest) (schemas.PublishOutcome, error) {
		w.count("publish")
		return schemas.PublishOutcome{Written: 1}, nil
	})
	bind.Activity(w, schemas.FinishIngest, w.finishIngest)
	return w
}

func (w *world) count(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[name]++
	return w.calls[name]
}

func (w *world) prepareBucket(_ context.Context, in schemas.BucketRequest) (schemas.PreparedBucket, error) {
	w.count("prepare")
	if w.bucket != nil {
		return w.bucket(in)
	}
	return schemas.PreparedBucket{
		Totals: schemas.IngestTotals{Documents: schemas.DocumentCounts{Total: 1, Added: 1}, Chunks: schemas.ChunkCounts{Total: 1}},
		Write:  1, Advance: true,
	}, nil
}

func (w *world) embedBucket(_ context.Context, in schemas.EmbedRequest) (schemas.EmbedOutcome, error) {
	w.count("embed")
	if w.embed != nil {
		return w.embed(in)
	}
	return schemas.EmbedOutcome{Embedded: 1, Usage: schemas.Embedding{Calls: 1, Inputs: 1, Tokens: 7}}, nil
}

func (w *world) finishIngest(_ context.Context, in schemas.FinishRequest) (schemas.FinishOutcome, error) {
	n := w.count("finish")
	w.finish = in
	if n <= len(w.lost) {
		return schemas.FinishOutcome{Lost: w.lost[n-1]}, nil
	}
	return schemas.FinishOutcome{Report: schemas.IngestReport{Ingestion: in.Ingest.Ingestion, IngestTotals: in.Totals}}, nil
}

var request = schemas.IngestRequest{Tenant: "default", Collection: "docs", Source: "docs", Ingestion: "one"}

func (w *world) ingest(t *testing.T) (schemas.IngestReport, error) {
	t.Helper()
	w.ExecuteWorkflow(schemas.Ingest.Name(), request)
	if !w.IsWorkflowCompleted() {
		t.Fatal("the workflow did not end")
	}
	var report schemas.IngestReport
	if err := w.GetWorkflowError(); err != nil {
		return report, err
	}
	return report, w.GetWorkflowResult(&report)
}

func TestIngestInline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{
		Changed: 3, Inline: []int{0, 2, 5}, Window: 2,
		Skipped: schemas.IngestTotals{Documents: schemas.DocumentCounts{Total: 4, Unchanged: 4}},
	}
	report, err := w.ingest(t)
	if err != nil {
		t.Fatal(err)
	}
	want := schemas.IngestTotals{
		Documents: schemas.DocumentCounts{Total: 7, Added: 3, Unchanged: 4},
		Chunks:    schemas.ChunkCounts{Total: 3, Embedded: 3},
		Embedding: schemas.Embedding{Calls: 3, Inputs: 3, Tokens: 21},
	}
	if diff := cmp.Diff(want, report.IngestTotals); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"plan": 1, "prepare": 3, "embed": 3, "publish": 3, "finish": 1}, w.calls); diff != "" {
		t.Error(diff)
	}
}

func TestIngestOfNothingChangedCallsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Window: 2, Skipped: schemas.IngestTotals{Documents: schemas.DocumentCounts{Total: 9, Unchanged: 9}}}
	report, err := w.ingest(t)
	if err != nil {
		t.Fatal(err)
	}
	if report.Documents.Unchanged != 9 {
		t.Errorf("unchanged: %d", report.Documents.Unchanged)
	}
	if diff := cmp.Diff(map[string]int{"plan": 1, "finish": 1}, w.calls); diff != "" {
		t.Error(diff)
	}
}

func TestIngestSettledBucketIsNeitherEmbeddedNorPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Changed: 1, Inline: []int{0}, Window: 2}
	w.bucket = func(schemas.BucketRequest) (schemas.PreparedBucket, error) {
		return schemas.PreparedBucket{Totals: schemas.IngestTotals{Documents: schemas.DocumentCounts{Total: 2, Unchanged: 2}}}, nil
	}
	if _, err := w.ingest(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"plan": 1, "prepare": 1, "finish": 1}, w.calls); diff != "" {
		t.Error(diff)
	}
}

func TestIngestFansOutToShards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Changed: 10, Shards: 5, Window: 2}
	report, err := w.ingest(t)
	if err != nil {
		t.Fatal(err)
	}
	if report.Documents.Added != 10 || w.calls["shard"] != 5 || w.calls["publish"] != 10 {
		t.Errorf("report %+v, calls %v", report, w.calls)
	}
}

func TestIngestContinuesAsNewWithWhatItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Changed: 402, Shards: 201, Window: 8}
	_, err := w.ingest(t)
	if _, ok := errors.AsType[*workflow.ContinueAsNewError](err); !ok {
		t.Fatalf("want continue-as-new, got %v", err)
	}
	if w.calls["shard"] != 200 || w.calls["finish"] != 0 {
		t.Errorf("calls %v", w.calls)
	}
}

func TestIngestRepairsWhatTheIndexLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Changed: 1, Inline: []int{0}, Window: 1}
	w.lost = []int{1}
	report, err := w.ingest(t)
	if err != nil {
		t.Fatal(err)
	}
	if w.calls["plan"] != 2 || w.calls["finish"] != 2 {
		t.Errorf("calls %v", w.calls)
	}
	if report.Documents.Total != 1 || report.Embedding.Calls != 2 {
		t.Errorf("documents are counted once and calls all: %+v", report.IngestTotals)
	}
}

func TestIngestGivesUpOnAnIndexThatKeepsLosing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Changed: 1, Inline: []int{0}, Window: 1}
	w.lost = []int{1, 1, 1, 1}
	_, err := w.ingest(t)
	if code := failureCode(err); code != schemas.Unavailable {
		t.Errorf("code %q of %v", code, err)
	}
}

func TestIngestStopsAfterAFinalErrorAndKeepsWhatRan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Changed: 50, Inline: sequence(50), Window: 2}
	w.embed = func(schemas.EmbedRequest) (schemas.EmbedOutcome, error) {
		return schemas.EmbedOutcome{}, fmt.Errorf("embedding: %w", schemas.Errorf(schemas.Unauthorized, "the key is wrong"))
	}
	_, err := w.ingest(t)
	if code := failureCode(err); code != schemas.Unauthorized {
		t.Errorf("code %q of %v", code, err)
	}
	if w.calls["embed"] > 4 {
		t.Errorf("a final error went on to %d calls", w.calls["embed"])
	}
}

func TestIngestRetriesWhatIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Changed: 1, Inline: []int{0}, Window: 1}
	w.embed = func(schemas.EmbedRequest) (schemas.EmbedOutcome, error) {
		if w.calls["embed"] < 10 {
			return schemas.EmbedOutcome{}, schemas.Errorf(schemas.Unavailable, "down")
		}
		return schemas.EmbedOutcome{Embedded: 1}, nil
	}
	if _, err := w.ingest(t); err != nil {
		t.Fatal(err)
	}
	if w.calls["embed"] != 10 {
		t.Errorf("%d attempts", w.calls["embed"])
	}
}

func TestIngestCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Changed: 3, Inline: sequence(3), Window: 1}
	w.embed = func(schemas.EmbedRequest) (schemas.EmbedOutcome, error) {
		w.CancelWorkflow()
		return schemas.EmbedOutcome{Embedded: 1}, nil
	}
	_, err := w.ingest(t)
	if !temporal.IsCanceledError(err) {
		t.Fatalf("want a cancelled workflow, got %v", err)
	}
	if w.calls["finish"] != 0 || w.calls["prepare"] > 1 {
		t.Errorf("calls after the cancel: %v", w.calls)
	}
}

func TestIngestAnswersProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.plan = schemas.IngestPlan{Changed: 2, Inline: sequence(2), Window: 1, Documents: 2}
	if _, err := w.ingest(t); err != nil {
		t.Fatal(err)
	}
	value, err := w.QueryWorkflow(schemas.IngestProgress.Name())
	if err != nil {
		t.Fatal(err)
	}
	var progress schemas.Progress
	if err := value.Get(&progress); err != nil {
		t.Fatal(err)
	}
	if progress.Phase != "done" || progress.Done != 2 || progress.Totals.Documents.Added != 2 {
		t.Errorf("%+v", progress)
	}
}

func sequence(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// failureCode is the code that Temporal recorded of a failed workflow.
func failureCode(err error) schemas.Code {
	if application, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return schemas.Code(application.Type())
	}
	return ""
}
