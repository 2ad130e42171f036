package schemas

// Media types that the platform gives to documents itself.
const (
	MediaDocument = "application/vnd.tenuto.document+json" // one line of a JSONL file: _id or id, title, text, other keys metadata
	MediaPack     = "application/x-tar"                    // an upload of contents, each entry named by its SHA-256
)

// MaxDocumentBytes is the largest content that is read as one document; larger ones are quarantined.
const MaxDocumentBytes = 32 << 20

// ListedDocument is one document of a listing.
type ListedDocument struct {
	Path      string `json:"path" doc:"Identity of the document within its source: a slash-separated relative path, or a JSONL id." minLength:"1" maxLength:"1024"`
	SHA256    string `json:"sha256" doc:"Lower-case hex SHA-256 of the content." pattern:"^[0-9a-f]{64}$"`
	Bytes     int64  `json:"bytes" doc:"Size of the content." minimum:"0"`
	MediaType string `json:"media_type,omitempty" doc:"Media type where the caller knows it; otherwise it is found from path and content."`
	Rejected  string `json:"rejected,omitempty" doc:"Why the caller could not read the document; it is listed in quarantine with this reason."`
}

// SnapshotDocument is a listed document with the place of its content.
type SnapshotDocument struct {
	ListedDocument
	Pack   string `json:"pack,omitempty"` // object key of the pack
	Offset int64  `json:"offset,omitempty"`
}

// Snapshot is the header of one stored listing. Its documents are in shard objects, ordered by document hash; shard i holds
// buckets [i*BucketsPerShard, (i+1)*BucketsPerShard).
type Snapshot struct {
	ID        string           `json:"id"` // hash over documents and recipe: the same listing has the same id
	Source    string           `json:"source"`
	Bits      int              `json:"bits"` // there are 2^Bits buckets
	Shards    []Ref            `json:"shards"`
	Buckets   []SnapshotBucket `json:"buckets"`
	Documents int              `json:"documents"`
	Recipe    Recipe           `json:"recipe"`
}

// SnapshotBucket sums up one bucket: Digest changes when any listed content of the bucket does.
type SnapshotBucket struct {
	Digest    string `json:"digest"`
	Documents int    `json:"documents"`
	Offset    int64  `json:"offset"` // of the bucket's lines in its shard object
	Bytes     int64  `json:"bytes"`
}

// BucketsPerShard is how many buckets one child workflow ingests.
const BucketsPerShard = 16

// MaxInlineBuckets is how many changed buckets the root workflow ingests itself before it fans out to children.
const MaxInlineBuckets = 16

// BucketDocuments is the most documents a bucket holds on average, so batches hold between half of it and all of it. Larger batches
// share what each costs in activities and round trips (SciFact: 22 s of processor time instead of 35 s at 96); smaller ones lose less
// to a kill.
const BucketDocuments = 256

// BucketBits is the number of bits that gives n documents buckets of at most BucketDocuments on average.
func BucketBits(n int) int {
	bits := 0
	for n > BucketDocuments<<bits && bits < 20 {
		bits++
	}
	return bits
}

// IngestRequest starts an ingestion of a stored snapshot.
type IngestRequest struct {
	Tenant     string `json:"tenant"`
	Collection string `json:"collection"` // canonical
	Source     string `json:"source"`
	Ingestion  string `json:"ingestion"` // id of this ingestion, unique
	Snapshot   Ref    `json:"snapshot"`  // of a Snapshot
	SnapshotID string `json:"snapshot_id"`
	Recipe     Recipe `json:"recipe"`

	// Carried over when the root workflow continues as new.
	Plan    *IngestPlan  `json:"plan,omitempty"`
	Next    int          `json:"next,omitempty"` // first shard not yet started
	Totals  IngestTotals `json:"totals,omitzero"`
	Started int64        `json:"started,omitempty"` // of the first execution, Unix milliseconds
}

// IngestPlan says what an ingestion has to do.
type IngestPlan struct {
	Plan      Ref          `json:"plan"`      // of a []int: every changed bucket, ascending
	Changed   int          `json:"changed"`   // how many buckets changed
	Inline    []int        `json:"inline"`    // the changed buckets, when they are few
	Shards    int          `json:"shards"`    // how many groups of BucketsPerShard changed buckets, when they are many
	MinBits   int          `json:"min_bits"`  // of the oldest manifests of the source
	Recipe    Recipe       `json:"recipe"`    // of the collection
	Documents int          `json:"documents"` // in the snapshot
	Skipped   IngestTotals `json:"skipped"`   // what the unchanged buckets count for
	Class     string       `json:"class"`     // concrete Weaviate class that is written
	Window    int          `json:"window"`    // how many buckets, and how many shards, are worked on at once
}

// SourceState is the stored state of a source: what its last ingestion left, bucket by bucket. The number of buckets never
// shrinks, so that every manifest written at fewer bits still covers the buckets it was split into.
type SourceState struct {
	Bits     int           `json:"bits"`     // of the newest manifests
	MinBits  int           `json:"min_bits"` // of the oldest manifests
	Snapshot string        `json:"snapshot"` // id of the last snapshot ingested, or being ingested
	Complete bool          `json:"complete"` // false while an ingestion runs, or when one ended early
	Recipe   string        `json:"recipe"`   // hash
	Parser   int           `json:"parser"`   // version that read the documents, or refused them
	Buckets  []BucketState `json:"buckets,omitempty"`
}

// BucketState sums up the manifest of one bucket.
type BucketState struct {
	Digest      string `json:"digest"` // of the listing that the manifest reflects
	Documents   int    `json:"documents"`
	Chunks      int    `json:"chunks"`
	Quarantined int    `json:"quarantined"`
}

// ShardRequest asks for one group of changed buckets.
type ShardRequest struct {
	Ingest IngestRequest `json:"ingest"`
	Plan   IngestPlan    `json:"plan"`
	Shard  int           `json:"shard"`
}

// BucketList is the buckets of a shard.
type BucketList struct {
	Buckets []int `json:"buckets"`
}

// ShardOutcome is what a shard did.
type ShardOutcome struct {
	Buckets int          `json:"buckets"`
	Totals  IngestTotals `json:"totals"`
}

// BucketRequest asks to prepare one bucket.
type BucketRequest struct {
	Tenant     string `json:"tenant"`
	Collection string `json:"collection"`
	Source     string `json:"source"`
	Ingestion  string `json:"ingestion"`
	Snapshot   Ref    `json:"snapshot"`
	Bucket     int    `json:"bucket"`
	Recipe     Recipe `json:"recipe"`
	MinBits    int    `json:"min_bits"`
}

// PreparedBucket is the outcome of preparing: what to embed and publish is in Prepared.
type PreparedBucket struct {
	Prepared Ref          `json:"prepared"`
	Totals   IngestTotals `json:"totals"`  // documents and unchanged chunks; embedding and writes follow
	Write    int          `json:"write"`   // chunks to write
	Delete   int          `json:"delete"`  // chunks to delete
	Advance  bool         `json:"advance"` // the manifest changes
}

// EmbedRequest asks for the vectors of a prepared bucket.
type EmbedRequest struct {
	Tenant     string `json:"tenant"`
	Collection string `json:"collection"`
	Prepared   Ref    `json:"prepared"`
}

// EmbedOutcome is what embedding took.
type EmbedOutcome struct {
	Embedded int       `json:"embedded"` // chunks that the model saw
	Reused   int       `json:"reused"`   // chunks whose vector was recorded before
	Usage    Embedding `json:"usage"`
}

// PublishRequest asks to bring the index to the prepared state.
type PublishRequest struct {
	Tenant     string `json:"tenant"`
	Collection string `json:"collection"`
	Source     string `json:"source"`
	Class      string `json:"class"`
	Prepared   Ref    `json:"prepared"`
}

// PublishOutcome is what was written.
type PublishOutcome struct {
	Written int `json:"written"`
	Deleted int `json:"deleted"`
}

// FinishRequest closes an ingestion.
type FinishRequest struct {
	Ingest IngestRequest `json:"ingest"`
	Plan   IngestPlan    `json:"plan"`
	Totals IngestTotals  `json:"totals"`
	Start  int64         `json:"start"` // of the ingestion, Unix milliseconds
}

// DocumentCounts counts documents of one ingestion.
type DocumentCounts struct {
	Total       int `json:"total"`
	Added       int `json:"added"`
	Updated     int `json:"updated"`
	Unchanged   int `json:"unchanged"`
	Deleted     int `json:"deleted"`
	Quarantined int `json:"quarantined"`
}

// ChunkCounts counts chunks of one ingestion.
type ChunkCounts struct {
	Total    int `json:"total"`    // in the index for this source, afterwards
	Embedded int `json:"embedded"` // seen by the model in this ingestion
	Reused   int `json:"reused"`   // vector or whole chunk recorded before
	Deleted  int `json:"deleted"`
}

// Embedding counts what embedding cost.
type Embedding struct {
	Calls  int `json:"calls"`
	Inputs int `json:"inputs"`
	Tokens int `json:"tokens"`
}

// IngestTotals adds up over buckets.
type IngestTotals struct {
	Documents DocumentCounts `json:"documents"`
	Chunks    ChunkCounts    `json:"chunks"`
	Embedding Embedding      `json:"embedding"`
}

// Add returns the sum of both.
func (t IngestTotals) Add(o IngestTotals) IngestTotals {
	t.Documents.Total += o.Documents.Total
	t.Documents.Added += o.Documents.Added
	t.Documents.Updated += o.Documents.Updated
	t.Documents.Unchanged += o.Documents.Unchanged
	t.Documents.Deleted += o.Documents.Deleted
	t.Documents.Quarantined += o.Documents.Quarantined
	t.Chunks.Total += o.Chunks.Total
	t.Chunks.Embedded += o.Chunks.Embedded
	t.Chunks.Reused += o.Chunks.Reused
	t.Chunks.Deleted += o.Chunks.Deleted
	t.Embedding.Calls += o.Embedding.Calls
	t.Embedding.Inputs += o.Embedding.Inputs
	t.Embedding.Tokens += o.Embedding.Tokens
	return t
}

// FinishOutcome is the report, or how many buckets the index turned out to have lost and that must be ingested again.
type FinishOutcome struct {
	Lost   int          `json:"lost"`
	Report IngestReport `json:"report"`
}

// IngestReport is the result of an ingestion. Quarantined documents are listed in the object at Quarantine.
type IngestReport struct {
	WorkflowID string  `json:"workflow_id"`
	Ingestion  string  `json:"ingestion"`
	Quarantine Ref     `json:"quarantine,omitzero"` // of a []Quarantined
	Seconds    float64 `json:"seconds"`
	IngestTotals
}

// Quarantined is a document that could not be indexed, with a reason for people.
type Quarantined struct {
	Document string `json:"document"`
	Reason   string `json:"reason"`
}

// Progress is how far an ingestion is.
type Progress struct {
	Phase     string       `json:"phase"` // planning, ingesting, verifying, done
	Buckets   int          `json:"buckets"`
	Done      int          `json:"done"`
	Documents int          `json:"documents"`
	Totals    IngestTotals `json:"totals"`
}

// DropRequest removes a tenant's collection.
type DropRequest struct {
	Tenant     string `json:"tenant"`
	Collection string `json:"collection"`
}

// DropReport says what was removed.
type DropReport struct {
	Chunks  int `json:"chunks"`
	Objects int `json:"objects"`
}
