package schemas

import "fmt"

// Ref points at an object in the artifact store. It stands in messages for what must not travel through history.
type Ref struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"` // lower-case hex of the object's bytes
	Bytes  int64  `json:"bytes"`
}

// IsZero reports whether r points at nothing.
func (r Ref) IsZero() bool { return r.Key == "" }

// TenantPrefix is the part of the store that belongs to tenant; every key of the tenant begins with it.
func TenantPrefix(tenant string) string { return "tenants/" + tenant + "/" }

// BlobKey is where content with this SHA-256 lives.
func BlobKey(tenant, sha256 string) string { return TenantPrefix(tenant) + "blobs/" + sha256 }

// CollectionPrefix is where a collection's own objects live.
func CollectionPrefix(tenant, collection string) string {
	return TenantPrefix(tenant) + "collections/" + collection + "/"
}

// CollectionKey is the collection's record.
func CollectionKey(tenant, collection string) string {
	return CollectionPrefix(tenant, collection) + "collection.json"
}

// PackPrefix is where uploaded contents of a collection live, many in one object.
func PackPrefix(tenant, collection string) string {
	return CollectionPrefix(tenant, collection) + "packs/"
}

// SnapshotPrefix is where listings live, by their hash.
func SnapshotPrefix(tenant, collection, id string) string {
	return CollectionPrefix(tenant, collection) + "snapshots/" + id + "/"
}

// WorkPrefix is where one ingestion keeps what passes between its activities; it is removed when the ingestion finishes.
func WorkPrefix(tenant, collection, ingestion string) string {
	return CollectionPrefix(tenant, collection) + "work/" + ingestion + "/"
}

// ManifestKey is the manifest of one bucket of a source: which chunks each of its documents has in the index.
func ManifestKey(tenant, collection, source string, bits, bucket int) string {
	return fmt.Sprintf("%smanifest/%02d/%06d.json", SourcePrefix(tenant, collection, source), bits, bucket)
}

// SourcePrefix is where what is known of a source lives.
func SourcePrefix(tenant, collection, source string) string {
	return CollectionPrefix(tenant, collection) + "sources/" + source + "/"
}

// SourceKey is the state of a source after its last finished ingestion.
func SourceKey(tenant, collection, source string) string {
	return SourcePrefix(tenant, collection, source) + "source.json"
}

// VectorPrefix is where embeddings live that were made by one embedder, by content hash, for all collections of the tenant.
func VectorPrefix(tenant, embedder string) string {
	return TenantPrefix(tenant) + "vectors/" + embedder + "/"
}

// CallKey is the record of one paid model call.
func CallKey(tenant, identity string) string {
	return TenantPrefix(tenant) + "calls/" + identity[:2] + "/" + identity + ".json"
}

// AttemptsKey is what the attempts of a step have done so far; it is needed until the run ends.
func AttemptsKey(tenant, run, path, step string, turn int) string {
	return TenantPrefix(tenant) + "attempts/" + Hash([]byte(fmt.Sprintf("%s\n%s\n%s\n%d", run, path, step, turn))) + ".json"
}

// CacheKey is a response that equal calls of the tenant may share for a while.
func CacheKey(tenant, identity string) string {
	return TenantPrefix(tenant) + "cache/" + identity[:2] + "/" + identity + ".json"
}

// BulkPrefix is where calls in batches keep what passes between their activities: rows, marks and failures.
func BulkPrefix(tenant, id string) string { return TenantPrefix(tenant) + "bulk/" + id + "/" }

// BulkRowsKey is the rows of one batch.
func BulkRowsKey(tenant, id string, round, part int) string {
	return fmt.Sprintf("%srows/%02d-%04d.json", BulkPrefix(tenant, id), round, part)
}

// BulkMarkKey says that a batch is about to be ordered, and then by which name its provider knows it.
func BulkMarkKey(tenant, id string, round, part int) string {
	return fmt.Sprintf("%smarks/%02d-%04d.json", BulkPrefix(tenant, id), round, part)
}

// BulkFailedPrefix is where the rows are noted that failed for good, by batch.
func BulkFailedPrefix(tenant, id string) string { return BulkPrefix(tenant, id) + "failed/" }

// BulkFailedKey is the rows of one batch that failed for good.
func BulkFailedKey(tenant, id string, round, part int) string {
	return fmt.Sprintf("%s%02d-%04d.json", BulkFailedPrefix(tenant, id), round, part)
}

// BudgetsKey is the list of the tenant's budgets, as its ledger last wrote it.
func BudgetsKey(tenant string) string { return TenantPrefix(tenant) + "budgets.json" }

// LedgerMark says that the tenant has had a ledger.
func LedgerMark(tenant string) string { return TenantPrefix(tenant) + "ledger.json" }

// KeyPrefix is where API key records live.
const KeyPrefix = "auth/keys/"

// KeyRecord is the record of the API key with this id.
func KeyRecord(id string) string { return KeyPrefix + id + ".json" }

// ConsoleSecretKey is what the sessions of the console are signed with, on every gateway.
const ConsoleSecretKey = "auth/console.json" //nolint:gosec // where it is, not what

// EndedSessionPrefix is where sessions of the console are noted that were signed out before their time.
const EndedSessionPrefix = "auth/ended/"

// EndedSessionKey notes that the session with this id was signed out.
func EndedSessionKey(id string) string { return EndedSessionPrefix + id + ".json" }

// KeySuccessionKey says by which key the API key with this id is replaced.
func KeySuccessionKey(id string) string { return "auth/successions/" + id + ".json" }
