package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/tenuto-dev/tenuto/activities/internal/chunk"
	"github.com/tenuto-dev/tenuto/activities/internal/parse"
	"github.com/tenuto-dev/tenuto/activities/internal/token"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// prepared is what one bucket has to become: chunks to embed and write, ids to delete, and the manifest that then holds.
type prepared struct {
	Recipe   schemas.Recipe `json:"recipe"`
	Parts    []part         `json:"parts"` // of the chunks to write
	Write    []string       `json:"write"` // their ids
	Delete   []string       `json:"delete"`
	Key      string         `json:"key"`      // of the manifest
	Previous manifest       `json:"previous"` // what holds until the publication is proven
	Manifest manifest       `json:"manifest"`
}

// part is some of the chunks, few enough to be held in memory.
type part struct {
	Ref    schemas.Ref `json:"ref"` // of a []preparedChunk
	Chunks int         `json:"chunks"`
}

type preparedChunk struct {
	ID       string              `json:"id"`
	Hash     string              `json:"hash"` // of the text that is embedded
	Document string              `json:"document"`
	Title    string              `json:"title"`
	Section  string              `json:"section"`
	Text     string              `json:"text"`
	Ordinal  int                 `json:"ordinal"`
	Start    int                 `json:"start"`
	End      int                 `json:"end"`
	Tokens   int                 `json:"tokens"`
	Metadata map[string][]string `json:"metadata,omitempty"`
}

// embedText is what a chunk is found by: its title and headings count as much as its text.
func (c preparedChunk) embedText() string {
	var b bytes.Buffer
	if c.Title != "" {
		b.WriteString(c.Title + "\n")
	}
	if c.Section != "" && c.Section != c.Title {
		b.WriteString(c.Section + "\n")
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(c.Text)
	return b.String()
}

// partBytes is how much text one part holds at most, save for a single larger document.
const partBytes = 4 << 20

// Prepare compares the listing of a bucket with its manifest, and parses and chunks what is new. A document that cannot be read
// is quarantined with a reason and fails nothing; an older content of it goes on being served. It changes nothing that is
// served, so any retry is harmless. Codes: not_found, unavailable, internal.
func (a *Activities) Prepare(ctx context.Context, in schemas.BucketRequest) (schemas.PreparedBucket, error) {
	snapshot, err := blob.GetJSON[schemas.Snapshot](ctx, a.Store, in.Snapshot)
	if err != nil {
		return schemas.PreparedBucket{}, err
	}
	listed, err := a.listing(ctx, snapshot, in.Bucket)
	if err != nil {
		return schemas.PreparedBucket{}, err
	}
	old, err := a.manifest(ctx, in.Tenant, in.Collection, in.Source, snapshot.Bits, in.Bucket, in.MinBits)
	if err != nil {
		return schemas.PreparedBucket{}, err
	}
	counter, err := a.counters.get(in.Recipe.Chunk.Tokenizer, token.New)
	if err != nil {
		return schemas.PreparedBucket{}, err
	}
	p := &preparation{
		in: in, store: a.Store, counter: counter, recipe: in.Recipe.Hash(), contents: contents{store: a.Store, listed: listed},
		out: prepared{
			Recipe: in.Recipe, Previous: old, Manifest: manifest{Digest: snapshot.Buckets[in.Bucket].Digest},
			Key: schemas.ManifestKey(in.Tenant, in.Collection, in.Source, snapshot.Bits, in.Bucket),
		},
	}
	return p.run(ctx, listed)
}

// listing reads the documents of one bucket.
func (a *Activities) listing(ctx context.Context, snapshot schemas.Snapshot, bucket int) ([]schemas.SnapshotDocument, error) {
	at := snapshot.Buckets[bucket]
	if at.Documents == 0 {
		return nil, nil
	}
	data, err := a.Store.GetRange(ctx, snapshot.Shards[bucket/schemas.BucketsPerShard].Key, at.Offset, at.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the listing: %w", err)
	}
	listed := make([]schemas.SnapshotDocument, 0, at.Documents)
	for line := range bytes.Lines(data) {
		var doc schemas.SnapshotDocument
		if err := json.Unmarshal(line, &doc); err != nil {
			return nil, schemas.Wrap(schemas.Internal, err, "the stored listing of bucket %d is damaged", bucket)
		}
		listed = append(listed, doc)
	}
	if len(listed) != at.Documents {
		return nil, schemas.Errorf(schemas.Internal, "the stored listing of bucket %d has %d documents instead of %d", bucket, len(listed), at.Documents)
	}
	return listed, nil
}

// preparation is one call of Prepare.
type preparation struct {
	in       schemas.BucketRequest
	store    *blob.Store
	counter  *token.Counter
	recipe   string
	contents contents
	out      prepared
	totals   schemas.IngestTotals
	chunks   []preparedChunk // of the part being filled
	size     int
}

func (p *preparation) run(ctx context.Context, listed []schemas.SnapshotDocument) (schemas.PreparedBucket, error) {
	known := make(map[string]entry, len(p.out.Previous.Documents))
	for _, e := range p.out.Previous.Documents {
		known[e.Path] = e
	}
	for i, doc := range listed {
		old, ok := known[doc.Path]
		delete(known, doc.Path)
		e, err := p.document(ctx, i, doc, old, ok)
		if err != nil {
			return schemas.PreparedBucket{}, err
		}
		p.out.Manifest.Documents = append(p.out.Manifest.Documents, e)
		p.totals.Documents.Total++
		p.totals.Chunks.Total += len(e.Chunks)
	}
	p.totals.Documents.Deleted = len(known)
	if err := p.flush(ctx); err != nil {
		return schemas.PreparedBucket{}, err
	}
	return p.finish(ctx)
}

// document decides what becomes of one listed document.
func (p *preparation) document(ctx context.Context, at int, doc schemas.SnapshotDocument, old entry, known bool) (entry, error) {
	if known && old.settled(doc.ListedDocument, p.recipe) {
		p.totals.Chunks.Reused += len(old.Chunks)
		if old.Rejected != nil {
			p.totals.Documents.Quarantined++
		} else {
			p.totals.Documents.Unchanged++
		}
		return old, nil
	}
	chunks, reason, err := p.read(ctx, at, doc)
	if err != nil {
		return entry{}, err
	}
	if reason != "" {
		p.totals.Documents.Quarantined++
		p.totals.Chunks.Reused += len(old.Chunks)
		return entry{
			Path: doc.Path, SHA256: old.SHA256, Recipe: old.Recipe, Chunks: old.Chunks, Rejected: &rejection{SHA256: doc.SHA256, Reason: reason, Parser: parse.Version},
		}, nil
	}
	if known && old.SHA256 != "" {
		p.totals.Documents.Updated++
	} else {
		p.totals.Documents.Added++
	}
	e := entry{Path: doc.Path, SHA256: doc.SHA256, Recipe: p.recipe, Chunks: make([]string, len(chunks))}
	for i, c := range chunks {
		e.Chunks[i] = c.Hash
	}
	return e, p.keep(ctx, chunks)
}

// read turns the content of a document into chunks, or into the reason why it cannot be.
func (p *preparation) read(ctx context.Context, at int, doc schemas.SnapshotDocument) (chunks []preparedChunk, reason string, err error) {
	if doc.Rejected != "" {
		return nil, doc.Rejected, nil
	}
	data, err := p.contents.read(ctx, at)
	if err != nil {
		return nil, "", err
	}
	if got := schemas.Hash(data); got != doc.SHA256 {
		return nil, "", schemas.Errorf(schemas.Internal, "the stored content of %q is not what was listed: upload it again", doc.Path)
	}
	parsed, err := parse.Parse(parse.Input{Path: doc.Path, MediaType: doc.MediaType, Data: data})
	if err != nil {
		if schemas.CodeOf(err) == schemas.Invalid {
			return nil, schemas.SafeMessage(err), nil
		}
		return nil, "", err
	}
	return p.split(doc.Path, parsed), "", nil
}

func (p *preparation) split(path string, doc parse.Document) []preparedChunk {
	blocks := make([]chunk.Block, len(doc.Blocks))
	for i, b := range doc.Blocks {
		blocks[i] = chunk.Block{Kind: chunk.Kind(b.Kind), Level: b.Level, Start: b.Start, End: b.End, Heading: b.Heading}
	}
	pieces := chunk.Split(chunk.Doc{Text: doc.Text, Blocks: blocks}, p.counter, p.in.Recipe.Chunk)
	chunks := make([]preparedChunk, len(pieces))
	for i, piece := range pieces {
		c := preparedChunk{
			Document: path, Title: doc.Title, Section: piece.Section, Text: piece.Text,
			Ordinal: piece.Ordinal, Start: piece.Start, End: piece.End, Tokens: piece.Tokens, Metadata: doc.Metadata,
		}
		c.Hash = schemas.Hash([]byte(c.embedText()))
		c.ID = schemas.ChunkID(p.in.Collection, p.in.Source, path, p.recipe, c.Hash, i)
		chunks[i] = c
	}
	return chunks
}

// keep adds the chunks of one document to the part being filled.
func (p *preparation) keep(ctx context.Context, chunks []preparedChunk) error {
	for _, c := range chunks {
		p.out.Write = append(p.out.Write, c.ID)
		p.size += len(c.Text)
	}
	p.chunks = append(p.chunks, chunks...)
	if p.size < partBytes {
		return nil
	}
	return p.flush(ctx)
}

func (p *preparation) flush(ctx context.Context) error {
	if len(p.chunks) == 0 {
		return nil
	}
	key := fmt.Sprintf("%s%06d-%03d.json", p.work(), p.in.Bucket, len(p.out.Parts))
	ref, err := blob.PutJSON(ctx, p.store, key, p.chunks)
	if err != nil {
		return err
	}
	p.out.Parts = append(p.out.Parts, part{Ref: ref, Chunks: len(p.chunks)})
	p.chunks, p.size = nil, 0
	return nil
}

func (p *preparation) work() string {
	return schemas.WorkPrefix(p.in.Tenant, p.in.Collection, p.in.Ingestion)
}

// finish finds the chunks that nothing refers to any more, and stores the outcome where there is anything to do.
func (p *preparation) finish(ctx context.Context) (schemas.PreparedBucket, error) {
	p.out.Delete = p.stale()
	out := schemas.PreparedBucket{Totals: p.totals, Write: len(p.out.Write), Delete: len(p.out.Delete)}
	out.Totals.Chunks.Deleted = len(p.out.Delete)
	out.Advance = out.Write > 0 || out.Delete > 0 || len(p.out.Previous.Pending) > 0 || !sameManifest(p.out.Previous, p.out.Manifest)
	if !out.Advance {
		return out, nil
	}
	var err error
	out.Prepared, err = blob.PutJSON(ctx, p.store, fmt.Sprintf("%s%06d.json", p.work(), p.in.Bucket), p.out)
	return out, err
}

// stale lists the ids that the index may hold and the new manifest does not.
func (p *preparation) stale() []string {
	keep := map[string]bool{}
	for _, e := range p.out.Manifest.Documents {
		for _, id := range e.ids(p.in.Collection, p.in.Source) {
			keep[id] = true
		}
	}
	var stale []string
	drop := func(ids []string) {
		for _, id := range ids {
			if !keep[id] {
				keep[id] = true
				stale = append(stale, id)
			}
		}
	}
	for _, e := range p.out.Previous.Documents {
		drop(e.ids(p.in.Collection, p.in.Source))
	}
	drop(p.out.Previous.Pending)
	return stale
}

func sameManifest(a, b manifest) bool {
	if a.Digest != b.Digest {
		return false
	}
	x, errX := json.Marshal(a.Documents)
	y, errY := json.Marshal(b.Documents)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
