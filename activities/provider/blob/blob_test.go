package blob_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestPutContent(t *testing.T) {
	t.Parallel()
	store := blob.New(&memblob.Driver{})
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // sha256sum of hello
	want := schemas.Ref{Key: "tenants/acme/blobs/" + sum, SHA256: sum, Bytes: 5}
	for range 2 {
		ref, err := blob.PutContent(t.Context(), store, "acme", []byte("hello"))
		if diff := cmp.Diff(want, ref); err != nil || diff != "" {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	}
	if data, err := blob.GetContent(t.Context(), store, want); err != nil || string(data) != "hello" {
		t.Errorf("GetContent = %q, %v", data, err)
	}
	if err := store.Put(t.Context(), want.Key, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	if _, err := blob.GetContent(t.Context(), store, want); schemas.CodeOf(err) != schemas.Internal {
		t.Errorf("GetContent of a damaged object: %v", err)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	store := blob.New(&memblob.Driver{})
	if _, err := blob.PutJSON(t.Context(), store, "a.json", func() {}); schemas.CodeOf(err) != schemas.Internal {
		t.Errorf("PutJSON of a function: %v", err)
	}
	ref, err := blob.PutJSON(t.Context(), store, "a.json", []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blob.GetJSON[map[string]int](t.Context(), store, ref); schemas.CodeOf(err) != schemas.Internal {
		t.Errorf("GetJSON into the wrong type: %v", err)
	}
	if _, err := blob.GetJSON[[]string](t.Context(), store, schemas.Ref{Key: "b.json"}); schemas.CodeOf(err) != schemas.NotFound {
		t.Errorf("GetJSON of an absent object: %v", err)
	}
}

// failing fails every deletion and every listing but the first.
type failing struct {
	memblob.Driver
	lists int
}

var errBroken = errors.New("broken")

func (f *failing) Delete(context.Context, []string) error { return errBroken }

func (f *failing) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	if f.lists++; f.lists > 1 {
		return nil, errBroken
	}
	return f.Driver.List(ctx, prefix, after, limit)
}

func TestFailuresSurface(t *testing.T) {
	t.Parallel()
	store := blob.New(&failing{})
	if err := store.Put(t.Context(), "p/a", nil); err != nil {
		t.Fatal(err)
	}
	if n, err := blob.DeletePrefix(t.Context(), store, "p/"); n != 0 || !errors.Is(err, errBroken) {
		t.Errorf("DeletePrefix = %d, %v", n, err)
	}
	var failures int
	for _, err := range store.All(t.Context(), "p/") {
		if !errors.Is(err, errBroken) {
			t.Errorf("All yielded %v", err)
		}
		failures++
	}
	if failures != 1 {
		t.Errorf("All yielded %d failures", failures)
	}
}

func FuzzCheckKey(f *testing.F) {
	for _, seed := range []string{"a", "a/b.txt", "", "/", "a//b", "../a", "a/..", "a\x00", "\xff", "é/漢", `a\b`, strings.Repeat("a", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if blob.CheckKey(key) != nil {
			return
		}
		// What is allowed names one place below a folder, on any file system.
		if path.Clean(key) != key || path.IsAbs(key) || strings.HasPrefix(key, "..") && (len(key) == 2 || key[2] == '/') {
			t.Errorf("%q is allowed but its clean path is %q", key, path.Clean(key))
		}
		if !utf8.ValidString(key) || len(key) > 1024 || strings.ContainsAny(key, "\x00\n\r\\") {
			t.Errorf("%q is allowed", key)
		}
	})
}

func Example() {
	ctx := context.Background()
	store := blob.New(&memblob.Driver{})
	ref, err := blob.PutJSON(ctx, store, "releases/ask/1.json", map[string]string{"model": "local/extractive"})
	if err != nil {
		panic(err)
	}
	release, err := blob.GetJSON[map[string]string](ctx, store, ref)
	if err != nil {
		panic(err)
	}
	fmt.Println(release["model"])
	// Output: local/extractive
}
