package ingest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestASecondIngestionDoesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	contents := map[string]string{"a.md": "# Apples\n\nApples are red.", "b.txt": "Bananas are yellow.", "empty.txt": ""}
	first := b.ingest(t, contents)
	if diff := cmp.Diff(schemas.DocumentCounts{Total: 3, Added: 3}, first.Documents); diff != "" {
		t.Error(diff)
	}
	calls, writes := b.embedder.calls, b.index.writes
	b.restart()
	second := b.ingest(t, contents)
	want := schemas.IngestTotals{
		Documents: schemas.DocumentCounts{Total: 3, Unchanged: 3},
		Chunks:    schemas.ChunkCounts{Total: first.Chunks.Total, Reused: first.Chunks.Total},
	}
	if diff := cmp.Diff(want, second.IngestTotals); diff != "" {
		t.Error(diff)
	}
	if b.embedder.calls != calls || b.index.writes != writes || b.index.deletes != 0 {
		t.Errorf("%d calls and %d writes became %d and %d, with %d deletes", calls, writes, b.embedder.calls, b.index.writes, b.index.deletes)
	}
}

func TestOnlyChangedChunksAreEmbedded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	sections := make([]string, 12)
	for i := range sections {
		sections[i] = fmt.Sprintf("## Part %d\n\nThis part is about the number %d and about nothing else; it has words enough to fill a chunk of its own.", i, i)
	}
	doc := func() map[string]string {
		return map[string]string{"book.md": strings.Join(sections, "\n\n"), "other.md": "Something else."}
	}
	first := b.ingest(t, doc())
	before := b.embedder.inputs
	sections[5] = strings.Replace(sections[5], "nothing else", "apricots", 1)
	second := b.ingest(t, doc())
	if got := b.embedder.inputs - before; got != 1 {
		t.Errorf("%d texts were embedded for one changed line", got)
	}
	if second.Chunks.Embedded != 1 || second.Documents.Updated != 1 || second.Documents.Unchanged != 1 {
		t.Errorf("%+v", second.IngestTotals)
	}
	if second.Chunks.Total != first.Chunks.Total || b.objects(t) != second.Chunks.Total {
		t.Errorf("chunks: %d, then %d, in the index %d", first.Chunks.Total, second.Chunks.Total, b.objects(t))
	}
	if found := b.find(t, "apricot"); len(found) != 1 {
		t.Errorf("found %q", found)
	}
}

func TestRemovedAndMovedDocuments(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ingest(t, map[string]string{"a.txt": "Apples are red.", "b.txt": "Bananas are yellow."})
	inputs := b.embedder.inputs
	report := b.ingest(t, map[string]string{"moved.txt": "Apples are red."})
	if diff := cmp.Diff(schemas.DocumentCounts{Total: 1, Added: 1, Deleted: 2}, report.Documents); diff != "" {
		t.Error(diff)
	}
	if b.embedder.inputs != inputs {
		t.Error("a moved document was embedded again")
	}
	if diff := cmp.Diff([]string{"moved.txt: Apples are red."}, b.find(t, "apple red banana yellow")); diff != "" {
		t.Error(diff)
	}
}

func TestBadDocumentsAreQuarantinedAndFailNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ingest(t, map[string]string{"a.json": `{"apple":"red"}`, "b.txt": "Bananas are yellow."})
	report := b.ingest(t, map[string]string{"a.json": `{"apple":`, "b.txt": "Bananas are yellow.", "c.pdf": "%PDF-1.7\n\x00\x01"})
	if diff := cmp.Diff(schemas.DocumentCounts{Total: 3, Unchanged: 1, Quarantined: 2}, report.Documents); diff != "" {
		t.Error(diff)
	}
	bad, err := blob.GetJSON[[]schemas.Quarantined](t.Context(), b.Store, report.Quarantine)
	if err != nil || len(bad) != 2 || bad[0].Document != "a.json" || bad[0].Reason == "" || bad[1].Document != "c.pdf" {
		t.Errorf("%+v, %v", bad, err)
	}
	if found := b.find(t, "red"); len(found) != 1 {
		t.Errorf("the last good content of a.json is no longer served: %q", found)
	}
	again := b.ingest(t, map[string]string{"a.json": `{"apple":`, "b.txt": "Bananas are yellow.", "c.pdf": "%PDF-1.7\n\x00\x01"})
	if again.Documents.Quarantined != 2 || again.Quarantine.IsZero() {
		t.Errorf("quarantine is forgotten when nothing changed: %+v", again)
	}
	mended := b.ingest(t, map[string]string{"a.json": `{"apple":"green"}`, "b.txt": "Bananas are yellow."})
	if diff := cmp.Diff(schemas.DocumentCounts{Total: 2, Updated: 1, Unchanged: 1, Deleted: 1}, mended.Documents); diff != "" {
		t.Error(diff)
	}
	if found := b.find(t, "red"); len(found) != 0 {
		t.Errorf("the old content is still served: %q", found)
	}
}

// TestInterruptedPublicationLeavesNothingBehind is cut between write and manifest, and the document changes before the next try.
func TestInterruptedPublicationLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ingest(t, map[string]string{"a.txt": "Apples are red."})
	ctx, cancel := context.WithCancel(t.Context())
	b.index.afterUpsert = cancel
	if _, err := b.run(ctx, b.listing(t, map[string]string{"a.txt": "Apples are blue."}, 0)); err == nil {
		t.Fatal("the interrupted run went through")
	}
	b.index.afterUpsert = nil
	b.restart()
	report := b.ingest(t, map[string]string{"a.txt": "Apples are green."})
	if report.Documents.Updated != 1 || b.objects(t) != 1 {
		t.Errorf("%+v, %d objects", report.Documents, b.objects(t))
	}
	if diff := cmp.Diff([]string{"a.txt: Apples are green."}, b.find(t, "apple")); diff != "" {
		t.Error(diff)
	}
}

func TestWhatWasPaidForIsNotPaidAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	contents := map[string]string{}
	for i := range 60 {
		contents[fmt.Sprintf("%02d.txt", i)] = fmt.Sprintf("Document number %d is about topic %d.", i, i%50)
	}
	calls := 0
	b.embedder.during = func() {
		if calls++; calls == 4 {
			b.embedder.fail = schemas.Errorf(schemas.Unavailable, "down")
		}
	}
	in := b.listing(t, contents, 0)
	if _, err := b.run(t.Context(), in); schemas.CodeOf(err) != schemas.Unavailable {
		t.Fatalf("want unavailable, got %v", err)
	}
	b.embedder.fail, b.embedder.during = nil, nil
	b.restart()
	b.finishRun(t, in)
	for text, times := range b.embedder.seen {
		if times > 1 {
			t.Errorf("%q was embedded %d times", text, times)
		}
	}
}

func TestARefusingIndexChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ingest(t, map[string]string{"a.txt": "Apples are red."})
	b.index.refuse = schemas.Errorf(schemas.OverBudget, "the disk is full")
	if _, err := b.run(t.Context(), b.listing(t, map[string]string{"a.txt": "Apples are blue."}, 0)); schemas.CodeOf(err) != schemas.OverBudget {
		t.Fatalf("want over_budget, got %v", err)
	}
	if diff := cmp.Diff([]string{"a.txt: Apples are red."}, b.find(t, "apple")); diff != "" {
		t.Error(diff)
	}
	b.index.refuse = nil
	inputs := b.embedder.inputs
	b.ingest(t, map[string]string{"a.txt": "Apples are blue."})
	if b.embedder.inputs != inputs {
		t.Error("the second try embedded again")
	}
}

func TestAnIndexThatLostChunksIsRepaired(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	contents := map[string]string{"a.txt": "Apples are red.", "b.txt": "Bananas are yellow.", "c.txt": "Cherries are dark."}
	first := b.ingest(t, contents)
	target := vector.Target{Class: "Docs_v1", Tenant: "default"}
	if _, err := b.Index.Delete(t.Context(), target, vector.Selection{All: true}); err != nil {
		t.Fatal(err)
	}
	inputs := b.embedder.inputs
	in := b.listing(t, contents, 0)
	out, err := b.run(t.Context(), in)
	if err != nil || out.Lost == 0 {
		t.Fatalf("the loss went unseen: %+v, %v", out, err)
	}
	b.finishRun(t, in)
	if b.objects(t) != first.Chunks.Total || b.embedder.inputs != inputs {
		t.Errorf("%d of %d chunks are back, %d texts embedded again", b.objects(t), first.Chunks.Total, b.embedder.inputs-inputs)
	}
}

// TestBucketsSplitAsTheSourceGrows checks that manifests written for few buckets still count when there are many.
func TestBucketsSplitAsTheSourceGrows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	contents := map[string]string{}
	for i := range 30 {
		contents[fmt.Sprintf("%02d.txt", i)] = fmt.Sprintf("Document number %d.", i)
	}
	b.ingest(t, contents)
	inputs, writes := b.embedder.inputs, b.index.writes
	grown := b.finishRun(t, b.listing(t, contents, 7)) // 128 buckets: also more than one workflow takes inline
	if grown.Documents.Unchanged != 30 || b.embedder.inputs != inputs || b.index.writes != writes {
		t.Errorf("%+v, %d texts embedded, %d chunks written", grown.Documents, b.embedder.inputs-inputs, b.index.writes-writes)
	}
	delete(contents, "07.txt")
	contents["08.txt"] = "Another text."
	after := b.finishRun(t, b.listing(t, contents, 7))
	if diff := cmp.Diff(schemas.DocumentCounts{Total: 29, Updated: 1, Unchanged: 28, Deleted: 1}, after.Documents); diff != "" {
		t.Error(diff)
	}
	if b.objects(t) != 29 {
		t.Errorf("%d objects", b.objects(t))
	}
	if _, err := b.run(t.Context(), b.listing(t, contents, 0)); schemas.CodeOf(err) != schemas.Conflict {
		t.Errorf("a listing with fewer buckets was taken: %v", err)
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*schemas.IngestRequest){
		"unknown embedder": func(in *schemas.IngestRequest) { in.Recipe.Embedder = "nobody/model" },
		"language":         func(in *schemas.IngestRequest) { in.Recipe.Language = "xx" },
		"tokenizer":        func(in *schemas.IngestRequest) { in.Recipe.Chunk.Tokenizer = "none" },
		"chunk size":       func(in *schemas.IngestRequest) { in.Recipe.Chunk.MaxTokens = 5 },
		"no snapshot":      func(in *schemas.IngestRequest) { in.Snapshot = schemas.Ref{Key: "tenants/default/none"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			in := b.listing(t, map[string]string{"a.txt": "Apples."}, 0)
			change(&in)
			_, err := b.Plan(t.Context(), in)
			if code := schemas.CodeOf(err); err == nil || code.Retryable() {
				t.Errorf("want a final error, got %v", err)
			}
		})
	}
}

func TestACollectionKeepsItsRecipe(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ingest(t, map[string]string{"a.txt": "Apples."})
	in := b.listing(t, map[string]string{"a.txt": "Apples."}, 0)
	in.Recipe.Chunk.MaxTokens = 400
	if _, err := b.Plan(t.Context(), in); schemas.CodeOf(err) != schemas.Conflict {
		t.Errorf("want conflict, got %v", err)
	}
}

func TestTwoSourcesShareACollection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.ingest(t, map[string]string{"a.txt": "Apples are red."})
	other := b.listing(t, map[string]string{"a.txt": "Apricots are orange."}, 0)
	docs := []schemas.SnapshotDocument{{ListedDocument: schemas.ListedDocument{
		Path: "a.txt", SHA256: schemas.Hash([]byte("Apricots are orange.")), Bytes: 20,
	}, Pack: schemas.PackPrefix("default", "docs") + schemas.Hash([]byte("Apricots are orange.")) + ".tar", Offset: 4}}
	other.Source = "second"
	other.Snapshot, other.SnapshotID = b.snapshot(t, other, docs, 0)
	if report := b.finishRun(t, other); report.Documents.Added != 1 || report.Documents.Deleted != 0 {
		t.Errorf("%+v", report.Documents)
	}
	if b.objects(t) != 2 {
		t.Errorf("%d objects", b.objects(t))
	}
}
