// Package listing reads a source's listing of up to a million documents and stores it as a snapshot, holding each document in memory
// once.
package listing

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/pack"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// Limits of a listing.
const (
	MaxDocuments = 1_000_000
	MaxPath      = 1024 // bytes
	maxReason    = 500  // bytes of a caller's reason for a rejection
)

// Listing is a checked listing; its documents are in the order of a snapshot.
type Listing struct {
	Source string
	Recipe *rest.RecipeChoice

	documents []document
	packs     []string // object keys that documents name by position
}

// document is one listed document, small because there may be a million.
type document struct {
	path     string
	media    string
	rejected string
	hash     uint64
	bytes    int64
	offset   int64
	sum      [32]byte // zero where the caller could not read the document
	pack     int32    // position in packs, -1 while unknown
}

// Len is the number of documents.
func (l *Listing) Len() int { return len(l.documents) }

// CheckPath says why a path cannot be listed; empty if it can. An id from a JSONL file (media type schemas.MediaDocument) is no
// path of a file system, so only its length and characters matter.
func CheckPath(path, media string) string {
	switch {
	case path == "":
		return "the path is empty"
	case len(path) > MaxPath:
		return fmt.Sprintf("the path is longer than %d bytes", MaxPath)
	case !utf8.ValidString(path):
		return "the path is not UTF-8"
	case strings.ContainsFunc(path, unicode.IsControl):
		return "the path holds control characters"
	case media == schemas.MediaDocument:
		return ""
	case strings.HasPrefix(path, "/"):
		return "the path is absolute; list documents relative to their source"
	case slices.ContainsFunc(strings.Split(path, "/"), dots):
		return "the path has an empty segment, . or .. in it"
	}
	return ""
}

func dots(segment string) bool { return segment == "" || segment == "." || segment == ".." }

// add checks one document and appends it.
func (l *Listing) add(in schemas.ListedDocument) error {
	if reason := CheckPath(in.Path, in.MediaType); reason != "" {
		return schemas.Errorf(schemas.Invalid, "document %d (%.80q): %s", len(l.documents)+1, in.Path, reason)
	}
	if len(l.documents) == MaxDocuments {
		return schemas.Errorf(schemas.Invalid, "a listing may hold %d documents; divide the source", MaxDocuments)
	}
	doc := document{path: in.Path, media: in.MediaType, bytes: in.Bytes, pack: -1}
	doc.rejected = strings.ToValidUTF8(in.Rejected[:min(len(in.Rejected), maxReason)], "")
	if in.Bytes < 0 || len(in.MediaType) > 255 {
		return schemas.Errorf(schemas.Invalid, "document %.80q: its size or its media type is none", in.Path)
	}
	if in.Bytes > schemas.MaxDocumentBytes && doc.rejected == "" {
		doc.rejected = fmt.Sprintf("larger than %d MiB, the largest document that is read", schemas.MaxDocumentBytes>>20)
	}
	if err := doc.setSum(in.SHA256); err != nil {
		return err
	}
	l.documents = append(l.documents, doc)
	return nil
}

// setSum accepts no hash for a rejected document only.
func (d *document) setSum(text string) error {
	if text == "" && d.rejected != "" {
		return nil
	}
	if len(text) != 64 || strings.ToLower(text) != text {
		return schemas.Errorf(schemas.Invalid, "document %.80q: sha256 must be 64 lower-case hex digits", d.path)
	}
	if _, err := hex.Decode(d.sum[:], []byte(text)); err != nil {
		return schemas.Errorf(schemas.Invalid, "document %.80q: sha256 must be 64 lower-case hex digits", d.path)
	}
	return nil
}

// sumText is the hash as messages have it.
func (d *document) sumText() string {
	if d.sum == [32]byte{} {
		return ""
	}
	return hex.EncodeToString(d.sum[:])
}

// arrange sorts the documents by their hash, which spreads them over buckets, and finds paths that are listed twice.
func (l *Listing) arrange() error {
	for i := range l.documents {
		l.documents[i].hash = schemas.DocumentHash(l.Source, l.documents[i].path)
	}
	slices.SortFunc(l.documents, func(a, b document) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), strings.Compare(a.path, b.path))
	})
	for i := 1; i < len(l.documents); i++ {
		if l.documents[i].path == l.documents[i-1].path {
			return schemas.Errorf(schemas.Invalid, "document %.80q is listed twice; a path names one document of its source", l.documents[i].path)
		}
	}
	return nil
}

// Locate notes where the contents of the documents lie, and returns the SHA-256 of those that lie nowhere, each once, in the order
// of the documents. Error: the first of places.
func (l *Listing) Locate(places iter.Seq2[pack.Place, error]) (missing []string, err error) {
	order := l.bySum()
	packs := make(map[string]int32)
	for place, err := range places {
		if err != nil {
			return nil, err
		}
		l.settle(order, place, packs)
	}
	return l.missing(), nil
}

// bySum lists the positions of documents with a content, sorted by its hash.
func (l *Listing) bySum() []int32 {
	order := make([]int32, 0, len(l.documents))
	for i := range l.documents {
		if l.documents[i].rejected == "" {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		return bytes.Compare(l.documents[a].sum[:], l.documents[b].sum[:])
	})
	return order
}

// settle gives every document with the content of place its location, unless it has one. The store's size is the true one.
func (l *Listing) settle(order []int32, place pack.Place, packs map[string]int32) {
	first, _ := slices.BinarySearchFunc(order, place.SHA256, func(i int32, sum [32]byte) int {
		return bytes.Compare(l.documents[i].sum[:], sum[:])
	})
	for _, i := range order[first:] {
		doc := &l.documents[i]
		if doc.sum != place.SHA256 {
			return
		}
		if doc.pack < 0 {
			doc.pack, doc.offset, doc.bytes = l.packNumber(place.Pack, packs), place.Offset, place.Bytes
		}
	}
}

func (l *Listing) packNumber(key string, packs map[string]int32) int32 {
	number, ok := packs[key]
	if !ok {
		number = int32(len(l.packs)) //nolint:gosec // at most one pack a document
		packs[key] = number
		l.packs = append(l.packs, key)
	}
	return number
}

func (l *Listing) missing() []string {
	var missing []string
	seen := make(map[[32]byte]bool)
	for i := range l.documents {
		doc := &l.documents[i]
		if doc.rejected == "" && doc.pack < 0 && !seen[doc.sum] {
			seen[doc.sum] = true
			missing = append(missing, doc.sumText())
		}
	}
	return missing
}
