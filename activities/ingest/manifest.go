package ingest

import (
	"context"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/internal/parse"
	"github.com/tenuto-dev/tenuto/schemas"
)

// manifest says, for one bucket of a source, which chunks each document has in the index.
type manifest struct {
	Digest    string   `json:"digest"` // of the listing it reflects
	Documents []entry  `json:"documents"`
	Pending   []string `json:"pending,omitempty"` // ids that an unfinished publication may have written
}

// entry is one document. Chunk i of it has the id that follows from Chunks[i] and i.
type entry struct {
	Path     string     `json:"path"`
	SHA256   string     `json:"sha256,omitempty"` // of the content that is served; empty while none is
	Recipe   string     `json:"recipe,omitempty"` // hash of the recipe that made the chunks
	Chunks   []string   `json:"chunks,omitempty"` // content hashes, in order
	Rejected *rejection `json:"rejected,omitempty"`
}

// rejection says why the listed content of a document is not served. An older content of it may still be.
type rejection struct {
	SHA256 string `json:"sha256"`
	Reason string `json:"reason"`
	Parser int    `json:"parser"` // version that refused it; a newer one tries again
}

// settled reports whether the entry already says all there is to say about this listed content.
func (e entry) settled(doc schemas.ListedDocument, recipe string) bool {
	if e.Rejected != nil {
		same := doc.SHA256 == e.Rejected.SHA256 && e.Rejected.Parser == parse.Version
		return doc.Rejected == e.Rejected.Reason || doc.Rejected == "" && same
	}
	return doc.Rejected == "" && doc.SHA256 == e.SHA256 && e.Recipe == recipe
}

// ids lists the chunk ids of the document.
func (e entry) ids(collection, source string) []string {
	ids := make([]string, len(e.Chunks))
	for i, hash := range e.Chunks {
		ids[i] = schemas.ChunkID(collection, source, e.Path, e.Recipe, hash, i)
	}
	return ids
}

func (m manifest) chunks() int {
	n := 0
	for _, e := range m.Documents {
		n += len(e.Chunks)
	}
	return n
}

func (m manifest) quarantined() []schemas.Quarantined {
	var out []schemas.Quarantined
	for _, e := range m.Documents {
		if e.Rejected != nil {
			out = append(out, schemas.Quarantined{Document: e.Path, Reason: e.Rejected.Reason})
		}
	}
	return out
}

// manifest reads the manifest that covers a bucket. Where the bucket was split since its manifest was written, the part of it is
// cut out of its parent's. A bucket that never was written has an empty one.
func (a *Activities) manifest(ctx context.Context, tenant, collection, source string, bits, bucket, minBits int) (manifest, error) {
	for b := bits; b >= minBits; b-- {
		m, found, err := getJSON[manifest](ctx, a.Store, schemas.ManifestKey(tenant, collection, source, b, bucket>>(bits-b)))
		if err != nil {
			return manifest{}, err
		}
		if !found {
			continue
		}
		if b < bits {
			m.Digest = ""
			m.Documents = slices.DeleteFunc(m.Documents, func(e entry) bool {
				return schemas.BucketOf(schemas.DocumentHash(source, e.Path), bits) != bucket
			})
		}
		return m, nil
	}
	return manifest{}, nil
}
