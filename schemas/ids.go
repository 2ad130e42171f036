package schemas

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 defines UUID version 5 over SHA-1; nothing secret depends on it
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DefaultTenant is the tenant of an installation that has only one.
const DefaultTenant = "default"

var (
	collectionPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	versionSuffix     = regexp.MustCompile(`-v[0-9]+$`)
	sourcePattern     = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,62})$`)
	sourceReject      = regexp.MustCompile(`[^a-z0-9._-]+`)
)

// Tenants and run ids are checked several times in every run, where regular expressions were one part in seventy of a run's work.

// only reports whether all bytes of s are of a class or among others.
func only(s string, class func(byte) bool, others string) bool {
	for i := range len(s) {
		if !class(s[i]) && strings.IndexByte(others, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func isAlphanumeric(c byte) bool { return isLower(c) || 'A' <= c && c <= 'Z' }

// CheckTenant reports why name cannot be a tenant.
func CheckTenant(name string) error {
	edge := name != "" && name[0] != '-' && name[len(name)-1] != '-'
	if !edge || len(name) > 63 || !only(name, isLower, "-") {
		return Errorf(Invalid, "tenant %q: use 1 to 63 lower-case letters, digits and hyphens", clip(name))
	}
	return nil
}

// CanonicalCollection returns the one spelling of a collection's name: lower case, with hyphens for underscores, so that
// Go_Docs and go-docs are the same collection. Error: invalid, saying what a name may hold.
func CanonicalCollection(name string) (string, error) {
	if !collectionPattern.MatchString(name) {
		return "", Errorf(Invalid,
			"collection name %q: start with a letter and use at most 63 letters, digits, hyphens and underscores", clip(name))
	}
	canonical := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if versionSuffix.MatchString(canonical) {
		return "", Errorf(Invalid, "collection name %q: an ending like -v2 is reserved for index versions; choose another ending", name)
	}
	return canonical, nil
}

// AliasName is the Weaviate alias of a canonical collection name: go-docs becomes Go_docs.
func AliasName(collection string) string {
	name := strings.ReplaceAll(collection, "-", "_")
	return strings.ToUpper(name[:1]) + name[1:]
}

// ClassName is the Weaviate class of version n of a collection: Go_docs_v1.
func ClassName(collection string, version int) string {
	return AliasName(collection) + "_v" + strconv.Itoa(version)
}

// CanonicalSource turns a file or folder name into a source name; empty if nothing usable remains.
func CanonicalSource(name string) string {
	name = strings.Trim(sourceReject.ReplaceAllString(strings.ToLower(name), "-"), "-._")
	if len(name) > 63 {
		sum := sha256.Sum256([]byte(name))
		name = name[:54] + "-" + hex.EncodeToString(sum[:4])
	}
	return name
}

// CheckSource reports why name cannot be a source.
func CheckSource(name string) error {
	if !sourcePattern.MatchString(name) {
		return Errorf(Invalid, "source name %q: use 1 to 63 lower-case letters, digits, dots, hyphens and underscores", clip(name))
	}
	return nil
}

// CheckRunID reports why id cannot name a run (it also serves as the idempotency key of a request).
func CheckRunID(id string) error {
	if id == "" || len(id) > 128 || !isAlphanumeric(id[0]) || !only(id, isAlphanumeric, "._:-") {
		return Errorf(Invalid, "run id or idempotency key %q: use 1 to 128 letters, digits, dots, colons, hyphens and underscores", clip(id))
	}
	return nil
}

// IngestID is the workflow that ingests into a collection: one at a time.
func IngestID(tenant, collection string) string { return "ingest/" + tenant + "/" + collection }

// ShardID is the child workflow that ingests one shard.
func ShardID(tenant, collection, ingestion string, shard int) string {
	return fmt.Sprintf("%s/%s/shard-%04d", IngestID(tenant, collection), ingestion, shard)
}

// RunWorkflowID is the workflow that executes a run. It is the idempotency key of the run.
func RunWorkflowID(tenant, run string) string { return "run/" + tenant + "/" + run }

// CallbackID is the workflow that carries a run through and tells its end to whoever asked for it: one for each run, so it is told once.
func CallbackID(tenant, run string) string { return "callback/" + tenant + "/" + run }

// CallbackMessageID names the callback of a run to its receiver, the same at every attempt. It holds no full stop, which separates what is signed.
func CallbackMessageID(tenant, run string) string {
	return "msg_" + Hash([]byte(CallbackID(tenant, run)))[:32]
}

// CallbackKey is how the delivery of a run's callback stands. The day is that of the run's start, as in its record.
func CallbackKey(tenant, run string, start time.Time) string {
	return TenantPrefix(tenant) + "callbacks/" + start.UTC().Format("2006/01/02") + "/" + run + ".json"
}

// RunPath is where the gateway shows a run.
func RunPath(run string) string { return "/api/v1/runs/" + run }

// ModelChain is what records of calls of a configured model have for a chain. No chain is called so.
func ModelChain(model string) string { return "model " + model }

// RunOfWorkflow is the run that a workflow with this id executes; false for one that executes none.
func RunOfWorkflow(id string) (tenant, run string, ok bool) {
	rest, ok := strings.CutPrefix(id, "run/")
	if !ok {
		return "", "", false
	}
	tenant, run, ok = strings.Cut(rest, "/")
	return tenant, run, ok && CheckTenant(tenant) == nil && CheckRunID(run) == nil
}

// ReconcileID is a comparison of the records with the histories that somebody asked for.
func ReconcileID(tenant, id string) string { return "reconcile/" + tenant + "/" + id }

// ReconcileScheduleID is the schedule of the comparisons of all tenants, and the beginning of the ids of their workflows.
const ReconcileScheduleID = "reconcile"

// LaneQueue is the task queue of the lanes of one process.
func LaneQueue(instance string) string { return "tenuto.lane." + instance }

// LaneID is a lane of a process.
func LaneID(queue string, lane int) string { return fmt.Sprintf("lane/%s/%d", queue, lane) }

// ClaimKey says that a request owns a run id: who makes it first carries out the run.
func ClaimKey(tenant, run string) string { return TenantPrefix(tenant) + "claims/" + run + ".json" }

// SuccessorKey says who carries on with a claimed run after an owner that died, or after a call of a model that came to nothing.
func SuccessorKey(tenant, run, dead string) string {
	return TenantPrefix(tenant) + "successors/" + run + "/" + dead + ".json"
}

// LifeGone is how long after its last sign of life, by the clock of the store, a process counts as gone.
const LifeGone = 8 * time.Second

// LifePrefix is where processes give signs of life.
const LifePrefix = "instances/"

// LifeKey is the sign of life of a process.
func LifeKey(instance string) string { return LifePrefix + instance + ".json" }

// ReleaseID is the workflow that makes a release of a folder in a repository. Its key is the idempotency key of the request.
func ReleaseID(tenant, key string) string { return "release/" + tenant + "/" + key }

// LedgerID is the workflow that keeps the tenant's budgets.
func LedgerID(tenant string) string { return "ledger/" + tenant }

// LeaseID names a lease of a process: an amount that it may spend.
func LeaseID(instance string, number int64) string {
	return instance + "/" + strconv.FormatInt(number, 10)
}

// PinID is the workflow that pins a run to a release. Another request under the same run id has another one.
func PinID(tenant, run, fingerprint string) string {
	return "pin/" + tenant + "/" + run + "/" + fingerprint
}

// FetchID is the workflow that reads a text for a caller who speaks Temporal only.
func FetchID(tenant, sum string) string { return "fetch/" + tenant + "/" + sum }

// RecallID is the workflow that deals with the runs on a recalled release: one at a time for each action.
func RecallID(tenant, hash string, action RecallAction) string {
	return "recall/" + tenant + "/" + hash + "/" + string(action)
}

// DropID is the workflow that removes a collection.
func DropID(tenant, collection string) string { return "drop/" + tenant + "/" + collection }

// RunKey is the record of a run. The day is taken from the run's start, in UTC.
func RunKey(tenant, run string, start time.Time) string {
	return RunPrefix(tenant, start) + run + ".json"
}

// RunPrefix is where the records of runs live that started on a day, in UTC.
func RunPrefix(tenant string, day time.Time) string {
	return TenantPrefix(tenant) + "runs/" + day.UTC().Format("2006/01/02") + "/"
}

// FeedbackDay is where the feedback is kept on runs that started on a day, in UTC, by run.
func FeedbackDay(tenant string, day time.Time) string {
	return TenantPrefix(tenant) + "feedback/" + day.UTC().Format("2006/01/02") + "/"
}

// FeedbackPrefix is where the feedback on a run is kept. The day is that of the run's start, as in its record.
func FeedbackPrefix(tenant, run string, start time.Time) string {
	return FeedbackDay(tenant, start) + run + "/"
}

// FeedbackKey is one piece of feedback on a run.
func FeedbackKey(tenant, run string, start time.Time, id string) string {
	return FeedbackPrefix(tenant, run, start) + id + ".json"
}

// RunStart is when the id of a run was made, for ids that are UUIDs of version 7 (RFC 9562, section 5.7).
func RunStart(run string) (time.Time, bool) {
	if len(run) != 36 || run[14] != '7' {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(run[:8]+run[9:13], 16, 64)
	return time.UnixMilli(ms), err == nil
}

// RunIDAt is the id of a run that starts at a time in Unix milliseconds: a UUID of version 7 (RFC 9562, section 5.7) with these random bits.
func RunIDAt(atMS int64, random [10]byte) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], uint64(atMS)<<16) //nolint:gosec // a time is not negative
	copy(id[6:], random[:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	s := hex.EncodeToString(id[:])
	return s[0:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:32]
}

// DocumentHash spreads documents evenly over buckets: the first 64 bits of the SHA-256 of source, a zero byte, and path.
func DocumentHash(source, path string) uint64 {
	sum := sha256.Sum256([]byte(source + "\x00" + path))
	return binary.BigEndian.Uint64(sum[:8])
}

// BucketOf is the bucket of a document hash when there are 2^bits buckets.
func BucketOf(hash uint64, bits int) int {
	if bits == 0 {
		return 0
	}
	return int(hash >> (64 - bits)) //nolint:gosec // at most 2^bits, and bits is at most 24
}

// chunkSpace is the UUID namespace of chunk ids; a fixed random value.
var chunkSpace = [16]byte{0x8f, 0x1d, 0x5c, 0x0e, 0x2a, 0x6b, 0x4d, 0x47, 0x9c, 0x33, 0x51, 0xe2, 0x07, 0x9a, 0xd4, 0x68}

// ChunkID is the UUID (version 5, RFC 9562) of a chunk. The same chunk of the same document under the same recipe always has the
// same id, so writing it twice is harmless.
func ChunkID(collection, source, document, recipe, chunkHash string, ordinal int) string {
	h := sha1.New() //nolint:gosec // see the import
	h.Write(chunkSpace[:])
	for _, part := range []string{collection, source, document, recipe, chunkHash, strconv.Itoa(ordinal)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	var id [16]byte
	copy(id[:], h.Sum(nil))
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	s := hex.EncodeToString(id[:])
	return s[0:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:32]
}

// Hash is the lower-case hex SHA-256 of data.
func Hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func clip(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

// BulkID is the workflow of calls in batches.
func BulkID(tenant, id string) string { return "bulk/" + tenant + "/" + id }
