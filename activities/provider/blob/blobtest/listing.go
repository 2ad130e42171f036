package blobtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

func testKeys(t *testing.T, f folder) {
	names := []string{
		"plain.txt",
		"with space and  two",
		"percent%20+plus&amp;?query=1#fragment",
		"quote'\"<tag>",
		"ümlaut/ñ/ж/漢字/日本語 ファイル",
		"emoji-🎼-👩‍🚀",
		"combining-e\u0301", // and not the same as é
		"combining-\u00e9",
		"dots.../..a/a..b",
		"-dash/--/~tilde/$dollar/@at/:colon/;semi,comma=equals",
		strings.Repeat("n", 255),
		strings.Repeat("deep/", 100) + "end",
	}
	for _, name := range names {
		f.put(t, name, "content of "+name)
	}
	for _, name := range names {
		f.want(t, name, "content of "+name)
		f.wantNames(t, name, "", 0, name)
	}
	slices.Sort(names)
	f.wantNames(t, "", "", 0, names...)
	if err := f.Delete(t.Context(), f.keys(names)...); err != nil {
		t.Fatal(err)
	}
	f.wantNames(t, "", "", 0)
}

func (f folder) keys(names []string) []string {
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = f.key(name)
	}
	return keys
}

func testBadKeys(t *testing.T, f folder) {
	bad := []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "./a", "a/.", "a\x00b", "a\nb", "a\\b", "\xff", "a\x7f",
		strings.Repeat("n", 256), strings.Repeat("long/", 250) + "end",
	}
	for _, key := range bad {
		wantCode(t, fmt.Sprintf("Put %.20q", key), f.Put(t.Context(), key, nil), schemas.Invalid)
		_, err := f.Get(t.Context(), key)
		wantCode(t, fmt.Sprintf("Get %.20q", key), err, schemas.Invalid)
		_, err = f.Stat(t.Context(), key)
		wantCode(t, fmt.Sprintf("Stat %.20q", key), err, schemas.Invalid)
		wantCode(t, fmt.Sprintf("Delete %.20q", key), f.Delete(t.Context(), f.key("fine"), key), schemas.Invalid)
	}
	for _, prefix := range []string{"/", "a//", "../", "a/../b", "\xff", "a\x00"} {
		_, err := f.List(t.Context(), prefix, "", 1)
		wantCode(t, fmt.Sprintf("List %q", prefix), err, schemas.Invalid)
	}
}

// testNested allows both ways that stores have: S3 keeps both objects, stores of files refuse the second.
func testNested(t *testing.T, f folder) {
	f.put(t, "a", "outer")
	if err := f.Put(t.Context(), f.key("a/b"), []byte("inner")); err != nil {
		wantCode(t, "Put below an object", err, schemas.Conflict)
	} else {
		f.want(t, "a/b", "inner")
	}
	f.want(t, "a", "outer")
}

func testList(t *testing.T, f folder) {
	f.wantNames(t, "", "", 0)
	f.wantNames(t, "nothing/here/", "", 0)
	for _, name := range []string{"b/2", "a", "b/1", "c", "b/3"} {
		f.put(t, name, "x")
	}
	f.wantNames(t, "", "", 0, "a", "b/1", "b/2", "b/3", "c")
	f.wantNames(t, "", "", 2, "a", "b/1")
	f.wantNames(t, "", "b/1", 2, "b/2", "b/3")
	f.wantNames(t, "", "b/", 0, "b/1", "b/2", "b/3", "c")
	f.wantNames(t, "", "b/25", 0, "b/3", "c") // after a key that does not exist
	f.wantNames(t, "", "c", 0)
	f.wantNames(t, "b/", "", 0, "b/1", "b/2", "b/3")
	f.wantNames(t, "b/", "a", 0, "b/1", "b/2", "b/3") // after a key before the prefix
	f.wantNames(t, "b/", "c", 0)
	page, err := f.List(t.Context(), f.path, "", 1)
	if err != nil || len(page) != 1 || page[0].Bytes != 1 || page[0].Modified.IsZero() {
		t.Errorf("List = %+v, %v", page, err)
	}
}

// testOrder has names around the slash, where stores that walk folders tend to depart from byte order.
func testOrder(t *testing.T, f folder) {
	names := []string{"a-b", "a.b", "a/b", "a/c/d", "a0", "aB", "a_", "ab", "é", "漢", "🎼"}
	for _, name := range slices.Backward(names) {
		f.put(t, name, "x")
	}
	f.wantNames(t, "", "", 0, names...)
	for i, name := range names {
		f.wantNames(t, "", name, 0, names[i+1:]...)
	}
}

func testPrefix(t *testing.T, f folder) {
	for _, name := range []string{"run", "run1", "run10", "run2/a", "ruN", "other"} {
		f.put(t, name, "x")
	}
	f.wantNames(t, "run", "", 0, "run", "run1", "run10", "run2/a") // a prefix that is also a key
	f.wantNames(t, "run1", "", 0, "run1", "run10")
	f.wantNames(t, "run1", "run1", 0, "run10")
	f.wantNames(t, "run/", "", 0)
	f.wantNames(t, "run2", "", 0, "run2/a")
	f.wantNames(t, "run2/", "", 0, "run2/a")
	f.wantNames(t, "run2/a/", "", 0)
}

func testPages(t *testing.T, f folder) {
	const objects = 2*blob.PageKeys + 17
	f.fill(t, objects)
	sizes, after := []int{}, ""
	for {
		page, err := f.List(t.Context(), f.path, after, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		sizes = append(sizes, len(page))
		after = page[len(page)-1].Key
	}
	if diff := cmp.Diff([]int{blob.PageKeys, blob.PageKeys, 17}, sizes); diff != "" {
		t.Errorf("page sizes (-want +got):\n%s", diff)
	}
	seen, last := 0, ""
	for info, err := range f.All(t.Context(), f.path) {
		if err != nil || info.Key <= last {
			t.Fatalf("after %s came %s, %v", last, info.Key, err)
		}
		last = info.Key
		seen++
	}
	if seen != objects {
		t.Errorf("All yielded %d objects, want %d", seen, objects)
	}
	if n, err := blob.DeletePrefix(t.Context(), f.Store, f.path); n != objects || err != nil {
		t.Errorf("DeletePrefix = %d, %v; want %d", n, err, objects)
	}
	f.wantNames(t, "", "", 0)
}

// fill puts n objects in folders of a hundred, several at a time.
func (f folder) fill(t *testing.T, n int) {
	t.Helper()
	var writers sync.WaitGroup
	const concurrency = 8
	for first := range concurrency {
		writers.Go(func() {
			for i := first; i < n; i += concurrency {
				key := f.key(fmt.Sprintf("%03d/%06d", i/100, i))
				if err := f.Put(t.Context(), key, []byte("x")); err != nil {
					t.Errorf("Put(%s): %v", key, err)
					return
				}
			}
		})
	}
	writers.Wait()
}

func testDelete(t *testing.T, f folder) {
	for _, name := range []string{"a", "b/c", "b/d", "e"} {
		f.put(t, name, "x")
	}
	steps := []struct {
		delete []string
		left   []string
	}{
		{nil, []string{"a", "b/c", "b/d", "e"}},
		{[]string{"absent"}, []string{"a", "b/c", "b/d", "e"}},
		{[]string{"b"}, []string{"a", "b/c", "b/d", "e"}},
		{[]string{"b/c", "absent", "a/b", "a"}, []string{"b/d", "e"}},
		{[]string{"b/d"}, []string{"e"}},
		{[]string{"e", "e"}, nil},
		{[]string{"e"}, nil},
	}
	for _, step := range steps {
		if err := f.Delete(t.Context(), f.keys(step.delete)...); err != nil {
			t.Errorf("Delete(%v): %v", step.delete, err)
		}
		f.wantNames(t, "", "", 0, step.left...)
	}
	_, err := f.Get(t.Context(), f.key("a"))
	wantCode(t, "Get after Delete", err, schemas.NotFound)
}

func testDeletePrefix(t *testing.T, f folder) {
	for _, name := range []string{"x/1", "x/y/2", "x0", "w"} {
		f.put(t, name, "x")
	}
	for _, want := range []int{2, 0} {
		if n, err := blob.DeletePrefix(t.Context(), f.Store, f.key("x/")); n != want || err != nil {
			t.Errorf("DeletePrefix = %d, %v; want %d", n, err, want)
		}
	}
	f.wantNames(t, "", "", 0, "w", "x0")
	_, err := blob.DeletePrefix(t.Context(), f.Store, "")
	wantCode(t, "DeletePrefix of everything", err, schemas.Invalid)
}
