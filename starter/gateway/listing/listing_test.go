package listing_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/listing"
	"github.com/tenuto-dev/tenuto/starter/gateway/pack"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

func nowhere() iter.Seq2[pack.Place, error] { return func(func(pack.Place, error) bool) {} }

func body(t testing.TB, n int, change func(i int, d *schemas.ListedDocument)) string {
	t.Helper()
	in := rest.NewIngestion{Source: "src"}
	for i := range n {
		d := schemas.ListedDocument{Path: fmt.Sprintf("d/%06d.md", i), SHA256: schemas.Hash(fmt.Append(nil, i)), Bytes: int64(i)}
		if change != nil {
			change(i, &d)
		}
		in.Documents = append(in.Documents, d)
	}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func digest(t *testing.T, text string, recipe schemas.Recipe) schemas.Snapshot {
	t.Helper()
	l, err := listing.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return l.Digest(recipe, 0)
}

func TestOneChangedDocumentChangesOneBucket(t *testing.T) {
	t.Parallel()
	recipe, err := listing.Choose(nil, "local/lexical")
	if err != nil {
		t.Fatal(err)
	}
	before := digest(t, body(t, 1000, nil), recipe)
	if again := digest(t, body(t, 1000, nil), recipe); again.ID != before.ID {
		t.Error("the same listing has another id")
	}
	for name, change := range map[string]func(*schemas.ListedDocument){
		"content":    func(d *schemas.ListedDocument) { d.SHA256 = schemas.Hash([]byte("new")) },
		"media type": func(d *schemas.ListedDocument) { d.MediaType = "text/html" },
		"rejected":   func(d *schemas.ListedDocument) { d.Rejected = "unreadable" },
	} {
		after := digest(t, body(t, 1000, func(i int, d *schemas.ListedDocument) {
			if i == 500 {
				change(d)
			}
		}), recipe)
		changed := 0
		for i := range after.Buckets {
			if after.Buckets[i].Digest != before.Buckets[i].Digest {
				changed++
			}
		}
		if changed != 1 || after.ID == before.ID {
			t.Errorf("%s: %d buckets changed", name, changed)
		}
	}
	recipe.Chunk.MaxTokens = 64
	if other := digest(t, body(t, 1000, nil), recipe); other.ID == before.ID || other.Buckets[0].Digest == before.Buckets[0].Digest {
		t.Error("another recipe has the same id")
	}
}

func TestStoredSnapshotHoldsEveryDocument(t *testing.T) {
	t.Parallel()
	const n = 5000
	text := body(t, n, func(i int, d *schemas.ListedDocument) {
		if i%100 == 7 {
			*d = schemas.ListedDocument{Path: d.Path, Rejected: "unreadable"}
		}
	})
	l, err := listing.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	missing, err := l.Locate(nowhere())
	if err != nil || len(missing) != n-n/100 {
		t.Fatalf("%d missing (%v), want all but the rejected", len(missing), err)
	}
	if missing, err = l.Locate(everywhere(n)); err != nil || len(missing) != 0 {
		t.Fatalf("%d missing (%v) after all were found", len(missing), err)
	}
	store := blob.New(&memblob.Driver{})
	ref, err := l.Store(t.Context(), store, "p/", l.Digest(schemas.Recipe{}, 0))
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, store, ref)
	if len(got) != n || !slices.IsSortedFunc(got, func(a, b schemas.SnapshotDocument) int {
		return compare(schemas.DocumentHash("src", a.Path), schemas.DocumentHash("src", b.Path))
	}) {
		t.Errorf("%d documents, or not sorted by hash", len(got))
	}
	for _, d := range got {
		if (d.Rejected == "") != (d.Pack == "p") || d.Rejected != "" && d.SHA256 != "" {
			t.Fatalf("document %+v", d)
		}
	}
	again, err := l.Store(t.Context(), store, "p/", l.Digest(schemas.Recipe{}, 0))
	if diff := cmp.Diff(ref, again); diff != "" || err != nil {
		t.Errorf("storing it again (%v) gave\n%s", err, diff)
	}
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func everywhere(n int) iter.Seq2[pack.Place, error] {
	return func(yield func(pack.Place, error) bool) {
		for i := range n {
			var place pack.Place
			_, _ = fmt.Sscanf(schemas.Hash(fmt.Append(nil, i)), "%x", &sumOf{&place.SHA256})
			place.Pack, place.Offset, place.Bytes = "p", int64(i), 1
			if !yield(place, nil) {
				return
			}
		}
	}
}

// sumOf scans hex digits into an array.
type sumOf struct{ sum *[32]byte }

// Scan implements fmt.Scanner.
func (s *sumOf) Scan(state fmt.ScanState, _ rune) error {
	var data []byte
	_, err := fmt.Fscanf(state, "%x", &data)
	copy(s.sum[:], data)
	return err
}

func read(t *testing.T, store *blob.Store, ref schemas.Ref) []schemas.SnapshotDocument {
	t.Helper()
	data, err := store.Get(t.Context(), ref.Key)
	if err != nil || schemas.Hash(data) != ref.SHA256 {
		t.Fatalf("the header is not what its reference says: %v", err)
	}
	var header schemas.Snapshot
	if err := json.Unmarshal(data, &header); err != nil {
		t.Fatal(err)
	}
	var all []schemas.SnapshotDocument
	for i, bucket := range header.Buckets {
		shard := header.Shards[i/schemas.BucketsPerShard]
		lines, err := store.GetRange(t.Context(), shard.Key, bucket.Offset, bucket.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(lines)) {
			var d schemas.SnapshotDocument
			if err := json.Unmarshal([]byte(line), &d); err != nil {
				t.Fatal(err)
			}
			if schemas.BucketOf(schemas.DocumentHash("src", d.Path), header.Bits) != i {
				t.Fatalf("%s is in bucket %d", d.Path, i)
			}
			all = append(all, d)
		}
	}
	return all
}

// TestMemoryOfALargeListing bounds what a decoded document keeps: fifty thousand of them may not need more than 20 MB.
func TestMemoryOfALargeListing(t *testing.T) { //nolint:paralleltest // it measures the heap, which others would change
	text := body(t, 50_000, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l, err := listing.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 20<<20 {
		t.Errorf("%d documents keep %d bytes", l.Len(), kept)
	}
	runtime.KeepAlive(text)
}

func TestCheckPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		path, media string
		ok          bool
	}{
		{"a/b.md", "", true},
		{"ünï/コード.md", "", true},
		{`back\slash`, "", true},
		{"a/..b", "", true},
		{"", "", false},
		{"/a", "", false},
		{"a//b", "", false},
		{"a/./b", "", false},
		{"..", "", false},
		{"a/..", "", false},
		{"a\x00", "", false},
		{"a\nb", "", false},
		{"\xff", "", false},
		{strings.Repeat("a", 1025), "", false},
		{"https://x/../y", schemas.MediaDocument, true},
		{"/1", schemas.MediaDocument, true},
		{"a\tb", schemas.MediaDocument, false},
	} {
		if reason := listing.CheckPath(test.path, test.media); (reason == "") != test.ok {
			t.Errorf("CheckPath(%q, %q) = %q", test.path, test.media, reason)
		}
	}
}

func TestDifference(t *testing.T) {
	t.Parallel()
	overlap := 10
	has := schemas.Recipe{Chunk: schemas.ChunkSettings{MaxTokens: 320, OverlapTokens: 32}, Embedder: "local/lexical", Dimensions: 512, Language: "auto"}
	for want, choice := range map[string]*rest.RecipeChoice{
		"": {MaxTokens: 320, Language: "auto"},
		"it has chunks of 320, the request asks for 64 tokens":                             {MaxTokens: 64},
		"it has an overlap of 32, the request asks for 10 tokens":                          {OverlapTokens: &overlap},
		"it has embedder local/lexical, the request asks for openai/text-embedding-3-tiny": {Embedder: "openai/text-embedding-3-tiny"},
		"it has vectors of 512, the request asks for 64 dimensions":                        {Dimensions: 64},
		"it has language auto, the request asks for de":                                    {Language: "de"},
	} {
		if got := listing.Difference(choice, has); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// FuzzDecode checks that no input breaks the decoder, and that what it accepts can be summed up.
func FuzzDecode(f *testing.F) {
	f.Add(body(f, 3, nil))
	f.Add(`{"documents":[{"path":"a","rejected":"x"}],"source":"s","recipe":{"language":"en"}}`)
	f.Add(`{"source":"s","documents":[{"path":"a","sha256":"","bytes":-1}]}`)
	f.Add(`{"documents":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		l, err := listing.Decode(strings.NewReader(text))
		if err != nil {
			if code := schemas.CodeOf(err); code != schemas.Invalid {
				t.Errorf("code %s for %q", code, text)
			}
			return
		}
		if got := l.Digest(schemas.Recipe{}, 0); got.Documents != l.Len() || len(got.ID) != 32 {
			t.Errorf("digest %+v of %d documents", got, l.Len())
		}
	})
}
