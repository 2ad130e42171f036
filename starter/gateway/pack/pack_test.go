package pack_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/pack"
)

func archive(format tar.Format, contents ...string) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, content := range contents {
		header := &tar.Header{Name: schemas.Hash([]byte(content)), Size: int64(len(content)), Mode: 0o644, Format: format}
		if format == tar.FormatPAX {
			header.PAXRecords = map[string]string{"TENUTO.note": "an extended header stands before the data"}
		}
		_ = w.WriteHeader(header)
		_, _ = w.Write([]byte(content))
	}
	_ = w.Close()
	return buf.Bytes()
}

func TestStoredContentsLieWhereTheIndexSays(t *testing.T) {
	t.Parallel()
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		store := blob.New(&memblob.Driver{})
		shelf := pack.NewShelf(store)
		contents := []string{"one", "", "three is longer than one block " + string(make([]byte, 600))}
		upload, err := pack.Read(bytes.NewReader(archive(format, contents...)), -1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := shelf.Put(t.Context(), "p/", upload); err != nil {
			t.Fatal(err)
		}
		var got []string
		for place, err := range shelf.All(t.Context(), "p/") {
			if err != nil {
				t.Fatal(err)
			}
			data, err := store.GetRange(t.Context(), place.Pack, place.Offset, place.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(data))
		}
		if diff := cmp.Diff(contents, got); diff != "" {
			t.Errorf("%v: contents (-want +got):\n%s", format, diff)
		}
	}
}

func TestSingleIsATarFile(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 511, 512, 513} {
		content := bytes.Repeat([]byte("a"), size)
		upload, err := pack.Single(bytes.NewReader(content), -1, schemas.Hash(content))
		if err != nil {
			t.Fatal(err)
		}
		store := blob.New(&memblob.Driver{})
		if _, err := pack.NewShelf(store).Put(t.Context(), "p/", upload); err != nil {
			t.Fatal(err)
		}
		data, err := store.Get(t.Context(), "p/"+upload.Index.ID()+".tar")
		if err != nil {
			t.Fatal(err)
		}
		again, err := pack.Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(upload.Index, again.Index); diff != "" {
			t.Errorf("size %d: index (-want +got):\n%s", size, diff)
		}
	}
}

// TestShelfSeesEveryPack has more packs than one page of the store's list and more than are read at once.
func TestShelfSeesEveryPack(t *testing.T) {
	t.Parallel()
	store := blob.New(&memblob.Driver{})
	shelf := pack.NewShelf(store)
	const packs = 150
	for i := range packs {
		upload, err := pack.Read(bytes.NewReader(archive(tar.FormatUSTAR, fmt.Sprint("a", i), fmt.Sprint("b", i))), -1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := shelf.Put(t.Context(), "p/", upload); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 2 {
		seen := make(map[[32]byte]bool)
		for place, err := range shelf.All(t.Context(), "p/") {
			if err != nil {
				t.Fatal(err)
			}
			seen[place.SHA256] = true
		}
		if len(seen) != 2*packs {
			t.Errorf("round %d: %d contents, want %d", round, len(seen), 2*packs)
		}
	}
}

// FuzzRead checks that whatever is accepted is what its names say, byte for byte, at the offsets of the index.
func FuzzRead(f *testing.F) {
	f.Add(archive(tar.FormatUSTAR, "one", "two"))
	f.Add(archive(tar.FormatPAX, "one"))
	f.Add(archive(tar.FormatGNU, "one")[:600])
	f.Add([]byte("no tar at all"))
	f.Fuzz(func(t *testing.T, data []byte) {
		upload, err := pack.Read(bytes.NewReader(data), -1)
		if err != nil {
			if code := schemas.CodeOf(err); code != schemas.Invalid {
				t.Errorf("code %s for bad input: %v", code, err)
			}
			return
		}
		for _, c := range upload.Index.Contents {
			if got := schemas.Hash(data[c.Offset : c.Offset+c.Bytes]); got != c.SHA256 {
				t.Errorf("content %s lies where %s is", c.SHA256, got)
			}
		}
	})
}
