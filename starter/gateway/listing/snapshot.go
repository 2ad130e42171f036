package listing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

func differ(what string, has, wants any, unit string) string {
	return strings.TrimSpace(fmt.Sprintf("it has %s %v, the request asks for %v %s", what, has, wants, unit))
}

// Digest sums the listing up under a recipe. The same documents with the same contents under the same recipe have the same ID,
// wherever their contents lie. A source never has fewer buckets than it had, so minBits is what it had last. The shards, and the
// places of buckets in them, follow when it is stored.
func (l *Listing) Digest(recipe schemas.Recipe, minBits int) schemas.Snapshot {
	snapshot := schemas.Snapshot{
		Source: l.Source, Bits: max(minBits, schemas.BucketBits(l.Len())), Documents: l.Len(), Recipe: recipe,
	}
	whole := sha256.New()
	fmt.Fprintf(whole, "%s\n%s\n%d\n", l.Source, recipe.Hash(), snapshot.Bits)
	rest := l.documents
	for bucket := range 1 << snapshot.Bits {
		documents := take(&rest, bucket, snapshot.Bits)
		digest := digestOf(documents, recipe.Hash())
		fmt.Fprintln(whole, digest)
		snapshot.Buckets = append(snapshot.Buckets, schemas.SnapshotBucket{Digest: digest, Documents: len(documents)})
	}
	snapshot.ID = hex.EncodeToString(whole.Sum(nil)[:16])
	return snapshot
}

// take cuts the documents of bucket off the front of rest.
func take(rest *[]document, bucket, bits int) []document {
	n := 0
	for n < len(*rest) && schemas.BucketOf((*rest)[n].hash, bits) == bucket {
		n++
	}
	taken := (*rest)[:n]
	*rest = (*rest)[n:]
	return taken
}

// digestOf is half of a SHA-256 over all that decides what a bucket becomes: path, content, media type and rejection of every
// document, and the recipe.
func digestOf(documents []document, recipe string) string {
	sum := sha256.New()
	for i := range documents {
		d := &documents[i]
		fmt.Fprintf(sum, "%s\x00%s\x00%s\x00%s\n", d.path, d.sumText(), d.media, d.rejected)
	}
	fmt.Fprintln(sum, recipe)
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Store writes the listing under the snapshot's prefix, shard by shard, the header last, unless the same snapshot is there already.
// Every content must have been located. Errors: the store's.
func (l *Listing) Store(ctx context.Context, store *blob.Store, prefix string, snapshot schemas.Snapshot) (schemas.Ref, error) {
	key := prefix + "snapshot.json"
	stored, err := store.Get(ctx, key)
	if err == nil {
		return refOf(key, stored), nil
	}
	if schemas.CodeOf(err) != schemas.NotFound {
		return schemas.Ref{}, err
	}
	if err := l.storeShards(ctx, store, prefix, &snapshot); err != nil {
		return schemas.Ref{}, err
	}
	header, err := json.Marshal(snapshot)
	if err != nil {
		return schemas.Ref{}, err
	}
	return refOf(key, header), store.Put(ctx, key, header)
}

func (l *Listing) storeShards(ctx context.Context, store *blob.Store, prefix string, snapshot *schemas.Snapshot) error {
	rest := l.documents
	for first := 0; first < len(snapshot.Buckets); first += schemas.BucketsPerShard {
		last := min(first+schemas.BucketsPerShard, len(snapshot.Buckets))
		var shard bytes.Buffer
		for bucket := first; bucket < last; bucket++ {
			offset := int64(shard.Len())
			if err := l.writeLines(&shard, take(&rest, bucket, snapshot.Bits)); err != nil {
				return err
			}
			snapshot.Buckets[bucket].Offset, snapshot.Buckets[bucket].Bytes = offset, int64(shard.Len())-offset
		}
		key := fmt.Sprintf("%sshard-%05d.ndjson", prefix, first/schemas.BucketsPerShard)
		if err := store.Put(ctx, key, shard.Bytes()); err != nil {
			return err
		}
		snapshot.Shards = append(snapshot.Shards, refOf(key, shard.Bytes()))
	}
	return nil
}

func (l *Listing) writeLines(shard *bytes.Buffer, documents []document) error {
	lines := json.NewEncoder(shard)
	for i := range documents {
		d := &documents[i]
		line := schemas.SnapshotDocument{ListedDocument: schemas.ListedDocument{
			Path: d.path, SHA256: d.sumText(), Bytes: d.bytes, MediaType: d.media, Rejected: d.rejected,
		}, Offset: d.offset}
		if d.pack >= 0 {
			line.Pack = l.packs[d.pack]
		}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

func refOf(key string, data []byte) schemas.Ref {
	return schemas.Ref{Key: key, SHA256: schemas.Hash(data), Bytes: int64(len(data))}
}
