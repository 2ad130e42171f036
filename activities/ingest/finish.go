package ingest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	indexPoll    = 100 * time.Millisecond // between two looks at how far the index is
	snapshotLife = time.Hour              // a listing younger than this may be about to be ingested
)

// Finish proves the index against the manifests and closes the ingestion: it waits until every vector can be found, compares the
// number of chunks, and where the index lost some finds which and marks their documents to be ingested again. Any retry is
// harmless. Codes: internal (the index holds more than anybody wrote), unavailable, deadline.
func (a *Activities) Finish(ctx context.Context, in schemas.FinishRequest) (schemas.FinishOutcome, error) {
	f, err := a.finishing(ctx, in)
	if err != nil {
		return schemas.FinishOutcome{}, err
	}
	if err := f.survey(ctx); err != nil {
		return schemas.FinishOutcome{}, err
	}
	if err := f.settle(ctx); err != nil {
		return schemas.FinishOutcome{}, err
	}
	lost, err := f.prove(ctx)
	if err != nil {
		return schemas.FinishOutcome{}, err
	}
	return f.close(ctx, lost)
}

// finishing is one call of Finish.
type finishing struct {
	a           *Activities
	in          schemas.FinishRequest
	snapshot    schemas.Snapshot
	state       schemas.SourceState
	target      vector.Target
	quarantined []schemas.Quarantined
}

func (a *Activities) finishing(ctx context.Context, in schemas.FinishRequest) (*finishing, error) {
	snapshot, err := blob.GetJSON[schemas.Snapshot](ctx, a.Store, in.Ingest.Snapshot)
	if err != nil {
		return nil, err
	}
	state, _, err := getJSON[schemas.SourceState](ctx, a.Store, schemas.SourceKey(in.Ingest.Tenant, in.Ingest.Collection, in.Ingest.Source))
	if err != nil {
		return nil, err
	}
	if len(state.Buckets) != len(snapshot.Buckets) {
		state.Buckets = make([]schemas.BucketState, len(snapshot.Buckets))
	}
	return &finishing{
		a: a, in: in, snapshot: snapshot, state: state, target: vector.Target{Class: in.Plan.Class, Tenant: in.Ingest.Tenant},
	}, nil
}

func (f *finishing) manifest(ctx context.Context, bucket int) (manifest, error) {
	in := f.in.Ingest
	return f.a.manifest(ctx, in.Tenant, in.Collection, in.Source, f.snapshot.Bits, bucket, f.in.Plan.MinBits)
}

// survey sums up the manifests of the buckets that changed, and collects what is in quarantine.
func (f *finishing) survey(ctx context.Context) error {
	changed := f.in.Plan.Inline
	if f.in.Plan.Shards > 0 {
		var err error
		if changed, err = blob.GetJSON[[]int](ctx, f.a.Store, f.in.Plan.Plan); err != nil {
			return err
		}
	}
	for i := range f.state.Buckets {
		_, renew := slices.BinarySearch(changed, i)
		if !renew && f.state.Buckets[i].Quarantined == 0 {
			continue
		}
		m, err := f.manifest(ctx, i)
		if err != nil {
			return err
		}
		bad := m.quarantined()
		f.quarantined = append(f.quarantined, bad...)
		f.state.Buckets[i] = schemas.BucketState{
			Digest: m.Digest, Documents: len(m.Documents), Chunks: m.chunks(), Quarantined: len(bad),
		}
	}
	return nil
}

// settle waits until the index has taken in every vector that was written, so that a search after "done" misses nothing.
func (f *finishing) settle(ctx context.Context) error {
	tick := time.NewTicker(indexPoll)
	defer tick.Stop()
	for {
		status, err := f.a.Index.Status(ctx, f.target)
		if err != nil || status.Indexing == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// prove compares the index with the manifests and returns how many buckets have lost chunks.
func (f *finishing) prove(ctx context.Context) (lost int, err error) {
	want, complete, err := f.expected(ctx)
	if err != nil || !complete {
		return 0, err
	}
	status, err := f.a.Index.Status(ctx, f.target)
	if err != nil {
		return 0, err
	}
	switch {
	case status.Objects == want:
		return 0, nil
	case status.Objects > want:
		return 0, schemas.Errorf(schemas.Internal,
			"the index holds %d chunks of %q and the manifests name %d: something else writes to class %s; delete the collection and ingest again (recorded vectors are kept, so it costs nothing)",
			status.Objects, f.in.Ingest.Collection, want, f.target.Class)
	}
	return f.findLost(ctx)
}

// expected is how many chunks the collection has by the manifests of all its sources; complete is false while that of another
// source cannot be known.
func (f *finishing) expected(ctx context.Context) (chunks int, complete bool, err error) {
	for _, b := range f.state.Buckets {
		chunks += b.Chunks
	}
	prefix := schemas.CollectionPrefix(f.in.Ingest.Tenant, f.in.Ingest.Collection) + "sources/"
	for after := ""; ; {
		page, err := f.a.Store.List(ctx, prefix, after, 1)
		if err != nil || len(page) == 0 {
			return chunks, err == nil, err
		}
		source, _, _ := strings.Cut(strings.TrimPrefix(page[0].Key, prefix), "/")
		after = prefix + source + "/~" // after every key of the source: they continue with a letter
		if source == f.in.Ingest.Source {
			continue
		}
		other, _, err := getJSON[schemas.SourceState](ctx, f.a.Store, schemas.SourceKey(f.in.Ingest.Tenant, f.in.Ingest.Collection, source))
		if err != nil || !other.Complete {
			return 0, false, err
		}
		for _, b := range other.Buckets {
			chunks += b.Chunks
		}
	}
}

// findLost reads every chunk of the source back and unsettles the documents that lack any.
func (f *finishing) findLost(ctx context.Context) (lost int, err error) {
	for i := range f.state.Buckets {
		m, err := f.manifest(ctx, i)
		if err != nil {
			return lost, err
		}
		missing, err := f.unsettle(ctx, &m)
		if err != nil {
			return lost, err
		}
		if !missing {
			continue
		}
		lost++
		m.Digest = ""
		f.state.Buckets[i].Digest = ""
		key := schemas.ManifestKey(f.in.Ingest.Tenant, f.in.Ingest.Collection, f.in.Ingest.Source, f.snapshot.Bits, i)
		if err := putJSON(ctx, f.a.Store, key, m); err != nil {
			return lost, err
		}
	}
	if lost == 0 {
		return 0, schemas.Errorf(schemas.Unavailable, "the index reports fewer chunks than it returns: it is not settled yet")
	}
	return lost, nil
}

// unsettle forgets the content of each document of which the index lacks a chunk, so that it is prepared and written again.
func (f *finishing) unsettle(ctx context.Context, m *manifest) (missing bool, err error) {
	var ids []string
	for _, e := range m.Documents {
		ids = append(ids, e.ids(f.in.Ingest.Collection, f.in.Ingest.Source)...)
	}
	stored, err := f.a.Index.Fetch(ctx, f.target, ids)
	if err != nil {
		return false, err
	}
	have := make(map[string]bool, len(stored))
	for _, s := range stored {
		have[s.ID] = true
	}
	for i, e := range m.Documents {
		if slices.ContainsFunc(e.ids(f.in.Ingest.Collection, f.in.Ingest.Source), func(id string) bool { return !have[id] }) {
			m.Documents[i].SHA256 = ""
			missing = true
		}
	}
	return missing, nil
}

// close writes the state of the source and the report, and removes what only this ingestion needed.
func (f *finishing) close(ctx context.Context, lost int) (schemas.FinishOutcome, error) {
	in := f.in.Ingest
	if lost > 0 {
		return schemas.FinishOutcome{Lost: lost}, putJSON(ctx, f.a.Store, f.sourceKey(), f.state)
	}
	f.state.Complete = true
	if f.in.Plan.Changed > 0 {
		f.state.MinBits = f.lowestBits()
		if err := putJSON(ctx, f.a.Store, f.sourceKey(), f.state); err != nil {
			return schemas.FinishOutcome{}, err
		}
	}
	report := schemas.IngestReport{
		WorkflowID: schemas.IngestID(in.Tenant, in.Collection), Ingestion: in.Ingestion, IngestTotals: f.in.Totals,
		Seconds: float64(time.Now().UnixMilli()-f.in.Start) / 1000, // waiting for the index belongs to it
	}
	if len(f.quarantined) > 0 {
		slices.SortFunc(f.quarantined, func(a, b schemas.Quarantined) int { return strings.Compare(a.Document, b.Document) })
		var err error
		if report.Quarantine, err = blob.PutJSON(ctx, f.a.Store, schemas.SourcePrefix(in.Tenant, in.Collection, in.Source)+"quarantine.json", f.quarantined); err != nil {
			return schemas.FinishOutcome{}, err
		}
	}
	if err := f.sweep(ctx); err != nil {
		return schemas.FinishOutcome{}, fmt.Errorf("removing what the ingestion left: %w", err)
	}
	return schemas.FinishOutcome{Report: report}, nil
}

// lowestBits is where manifests of the source may be found: after a pass over every bucket all are at the newest bits.
func (f *finishing) lowestBits() int {
	if f.in.Plan.Changed == len(f.state.Buckets) {
		return f.state.Bits
	}
	return f.state.MinBits
}

// sweep removes the objects that passed between activities, and listings that nothing will ingest any more.
func (f *finishing) sweep(ctx context.Context) error {
	in := f.in.Ingest
	prefix := schemas.CollectionPrefix(in.Tenant, in.Collection)
	if _, err := blob.DeletePrefix(ctx, f.a.Store, prefix+"work/"); err != nil {
		return err
	}
	var old []string
	for info, err := range f.a.Store.All(ctx, prefix+"snapshots/") {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(info.Key, schemas.SnapshotPrefix(in.Tenant, in.Collection, in.SnapshotID)) && time.Since(info.Modified) > snapshotLife {
			old = append(old, info.Key)
		}
	}
	for keys := range slices.Chunk(old, blob.PageKeys) {
		if err := f.a.Store.Delete(ctx, keys...); err != nil {
			return err
		}
	}
	return nil
}

func (f *finishing) sourceKey() string {
	return schemas.SourceKey(f.in.Ingest.Tenant, f.in.Ingest.Collection, f.in.Ingest.Source)
}
