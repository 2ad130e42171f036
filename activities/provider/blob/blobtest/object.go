package blobtest

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

func testRoundTrip(t *testing.T, f folder) {
	content := string([]byte{0, 1, 0xff, '\n', '\r', 0x1a}) + "text"
	f.put(t, "a/b/c.bin", content)
	f.want(t, "a/b/c.bin", content)

	info, err := f.Stat(t.Context(), f.key("a/b/c.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(info.Modified).Abs(); age > time.Hour {
		t.Errorf("Stat: modified %v ago", age)
	}
	want := blob.Info{Key: f.key("a/b/c.bin"), Bytes: int64(len(content)), Modified: info.Modified}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("Stat (-want +got):\n%s", diff)
	}
}

func testReplace(t *testing.T, f folder) {
	f.put(t, "a", "a longer first version")
	f.put(t, "a", "second")
	f.want(t, "a", "second")
	f.wantNames(t, "", "", 0, "a")
}

func testAbsent(t *testing.T, f folder) {
	f.put(t, "folder/a", "x")
	for _, name := range []string{"b", "folder", "folder/b"} {
		_, err := f.Get(t.Context(), f.key(name))
		wantCode(t, "Get "+name, err, schemas.NotFound)
		_, err = f.GetRange(t.Context(), f.key(name), 0, 0)
		wantCode(t, "GetRange "+name, err, schemas.NotFound)
		_, err = f.Stat(t.Context(), f.key(name))
		wantCode(t, "Stat "+name, err, schemas.NotFound)
	}
}

func testRanges(t *testing.T, f folder) {
	f.put(t, "a", "0123456789")
	tests := []struct {
		offset, length int64
		want           string
	}{
		{0, -1, "0123456789"},
		{0, 10, "0123456789"},
		{0, 1, "0"},
		{0, 0, ""},
		{3, 4, "3456"},
		{9, 1, "9"},
		{4, -1, "456789"},
		{8, 100, "89"},
		{1, math.MaxInt64, "123456789"},
		{10, -1, ""},
		{10, 5, ""},
		{100, 5, ""},
		{100, 0, ""},
	}
	for _, test := range tests {
		got, err := f.GetRange(t.Context(), f.key("a"), test.offset, test.length)
		if err != nil || string(got) != test.want {
			t.Errorf("GetRange(%d, %d) = %q, %v; want %q", test.offset, test.length, got, err, test.want)
		}
	}
	_, err := f.GetRange(t.Context(), f.key("a"), -1, 5)
	wantCode(t, "negative offset", err, schemas.Invalid)
}

func testEmpty(t *testing.T, f folder) {
	f.put(t, "a", "")
	f.want(t, "a", "")
	if got, err := f.GetRange(t.Context(), f.key("a"), 0, 10); err != nil || len(got) != 0 {
		t.Errorf("GetRange = %q, %v", got, err)
	}
	if info, err := f.Stat(t.Context(), f.key("a")); err != nil || info.Bytes != 0 {
		t.Errorf("Stat = %+v, %v", info, err)
	}
	f.wantNames(t, "", "", 0, "a")
	created, err := f.PutIfAbsent(t.Context(), f.key("b"), nil)
	if err != nil || !created {
		t.Errorf("PutIfAbsent = %v, %v", created, err)
	}
	created, err = f.PutIfAbsent(t.Context(), f.key("b"), []byte("x"))
	if err != nil || created {
		t.Errorf("PutIfAbsent over an empty object = %v, %v", created, err)
	}
	f.want(t, "b", "")
}

func testBig(t *testing.T, f folder) {
	data := make([]byte, 20<<20)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	// A plain reader, and more than is promised: what follows must stay unread.
	r := io.MultiReader(bytes.NewReader(data), strings.NewReader("the next one"))
	if err := f.PutReader(t.Context(), f.key("big"), r, int64(len(data))); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(r); err != nil || string(rest) != "the next one" {
		t.Errorf("left in the reader: %q, %v", rest, err)
	}
	got, err := f.Get(t.Context(), f.key("big"))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("Get: %d bytes, equal %v, %v", len(got), bytes.Equal(got, data), err)
	}
	const offset, length = 17<<20 - 3, 4097
	got, err = f.GetRange(t.Context(), f.key("big"), offset, length)
	if err != nil || !bytes.Equal(got, data[offset:offset+length]) {
		t.Errorf("GetRange: %d bytes, %v", len(got), err)
	}
}

// testAnswered calls on one after the other in ways that tempt a server to answer before it has read the request, and so to take
// the rest of it for the next one.
func testAnswered(t *testing.T, f folder) {
	content := strings.Repeat("content ", 100<<10)
	f.put(t, "taken", "first")
	for range 20 {
		f.put(t, "empty", "")
		f.want(t, "empty", "")
		created, err := f.PutIfAbsent(t.Context(), f.key("taken"), []byte(content))
		if err != nil || created {
			t.Fatalf("PutIfAbsent = %v, %v", created, err)
		}
		f.want(t, "taken", "first")
	}
}

func testShort(t *testing.T, f folder) {
	f.put(t, "a", "before")
	err := f.PutReader(t.Context(), f.key("a"), strings.NewReader("after"), 100)
	wantCode(t, "5 of 100 bytes", err, schemas.Invalid)
	err = f.PutReader(t.Context(), f.key("b"), strings.NewReader(""), 1)
	wantCode(t, "none of 1 byte", err, schemas.Invalid)
	err = f.PutReader(t.Context(), f.key("c"), strings.NewReader(""), -1)
	wantCode(t, "unknown size", err, schemas.Invalid)
	f.want(t, "a", "before")
	f.wantNames(t, "", "", 0, "a")
}

func testFailing(t *testing.T, f folder) {
	broken := errors.New("the source broke")
	r := io.MultiReader(strings.NewReader(strings.Repeat("x", 200<<10)), iotest.ErrReader(broken))
	err := f.PutReader(t.Context(), f.key("a"), r, 300<<10)
	if !errors.Is(err, broken) {
		t.Errorf("got error %v, want one that wraps the reader's", err)
	}
	f.wantNames(t, "", "", 0)
}

func testPutIfAbsent(t *testing.T, f folder) {
	for i, want := range []bool{true, false, false} {
		created, err := f.PutIfAbsent(t.Context(), f.key("a"), fmt.Append(nil, "version ", i))
		if err != nil || created != want {
			t.Errorf("call %d: created %v, %v; want %v", i, created, err, want)
		}
	}
	f.want(t, "a", "version 0")
	if err := f.Delete(t.Context(), f.key("a")); err != nil {
		t.Fatal(err)
	}
	created, err := f.PutIfAbsent(t.Context(), f.key("a"), []byte("again"))
	if err != nil || !created {
		t.Errorf("after delete: created %v, %v", created, err)
	}
	f.want(t, "a", "again")
}

func testRace(t *testing.T, f folder) {
	for round := range 5 {
		name := fmt.Sprintf("claim-%d", round)
		var winners atomic.Int64
		var winner string
		var callers sync.WaitGroup
		for caller := range 32 {
			callers.Go(func() {
				claim := fmt.Sprintf("caller %d", caller)
				created, err := f.PutIfAbsent(t.Context(), f.key(name), []byte(claim))
				if err != nil {
					t.Errorf("caller %d: %v", caller, err)
				}
				if created && winners.Add(1) == 1 {
					winner = claim
				}
			})
		}
		callers.Wait()
		if n := winners.Load(); n != 1 {
			t.Fatalf("%d of 32 callers were told that they wrote", n)
		}
		f.want(t, name, winner)
	}
}

func testAtomic(t *testing.T, f folder) {
	versions := []string{strings.Repeat("a", 64<<10), strings.Repeat("b", 96<<10)}
	f.put(t, "a", versions[0])
	var callers sync.WaitGroup
	for caller := range 4 {
		callers.Go(func() {
			for range 10 {
				if err := f.Put(t.Context(), f.key("a"), []byte(versions[caller%2])); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
		callers.Go(func() {
			for range 10 {
				got, err := f.Get(t.Context(), f.key("a"))
				if err != nil || (string(got) != versions[0] && string(got) != versions[1]) {
					t.Errorf("Get: %d bytes that are neither version, %v", len(got), err)
				}
			}
		})
	}
	callers.Wait()
}

func testReferences(t *testing.T, f folder) {
	type record struct{ Name string }
	ref, err := blob.PutJSON(t.Context(), f.Store, f.key("r.json"), record{"Tenuto"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := blob.GetJSON[record](t.Context(), f.Store, ref)
	if diff := cmp.Diff(record{"Tenuto"}, got); err != nil || diff != "" {
		t.Errorf("GetJSON: %v (-want +got):\n%s", err, diff)
	}
	f.put(t, "r.json", `{"Name":"changed"}`)
	_, err = blob.GetJSON[record](t.Context(), f.Store, ref)
	wantCode(t, "replaced object", err, schemas.Internal)
	got, err = blob.GetJSON[record](t.Context(), f.Store, schemas.Ref{Key: ref.Key})
	if err != nil || got.Name != "changed" {
		t.Errorf("GetJSON without a hash = %v, %v", got, err)
	}
}
