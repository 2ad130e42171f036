// Package blobtest states what every driver of package blob must do, as a test suite that each driver runs.
package blobtest

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Run runs the suite against driver. It keeps to keys below a random folder and removes them at the end, so it may run
// against a store that is in use.
func Run(t *testing.T, driver blob.Driver) {
	t.Helper()
	tests := []struct {
		name string
		run  func(*testing.T, folder)
	}{
		{"ping", testPing},
		{"round trip", testRoundTrip},
		{"replace", testReplace},
		{"absent", testAbsent},
		{"ranges", testRanges},
		{"empty object", testEmpty},
		{"big object", testBig},
		{"keys of all scripts", testKeys},
		{"bad keys", testBadKeys},
		{"one object's key is the folder of another's", testNested},
		{"put if absent", testPutIfAbsent},
		{"put if absent, all at once", testRace},
		{"readers see whole objects", testAtomic},
		{"answered early", testAnswered},
		{"short content", testShort},
		{"failing content", testFailing},
		{"list", testList},
		{"list in byte order", testOrder},
		{"list by prefix", testPrefix},
		{"list pages", testPages},
		{"delete", testDelete},
		{"delete prefix", testDeletePrefix},
		{"references", testReferences},
		{"cancelled call", testCancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, newFolder(t, driver))
		})
	}
}

// folder is a store and a part of it that belongs to one test.
type folder struct {
	*blob.Store
	path string
}

func newFolder(t *testing.T, driver blob.Driver) folder {
	t.Helper()
	f := folder{Store: blob.New(driver), path: "blobtest/" + rand.Text() + "/"}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if _, err := blob.DeletePrefix(ctx, f.Store, f.path); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	return f
}

// key is the full key of name.
func (f folder) key(name string) string { return f.path + name }

// put writes text, or fails the test.
func (f folder) put(t *testing.T, name, text string) {
	t.Helper()
	if err := f.Put(t.Context(), f.key(name), []byte(text)); err != nil {
		t.Fatalf("Put(%s): %v", name, err)
	}
}

// want requires that the object holds text.
func (f folder) want(t *testing.T, name, text string) {
	t.Helper()
	data, err := f.Get(t.Context(), f.key(name))
	if err != nil {
		t.Fatalf("Get(%s): %v", name, err)
	}
	if diff := cmp.Diff(text, string(data)); diff != "" {
		t.Errorf("Get(%s) (-want +got):\n%s", name, diff)
	}
}

// wantNames requires that the listing of prefix, after a name, has exactly these names.
func (f folder) wantNames(t *testing.T, prefix, after string, limit int, want ...string) {
	t.Helper()
	if after != "" {
		after = f.key(after)
	}
	page, err := f.List(t.Context(), f.key(prefix), after, limit)
	if err != nil {
		t.Fatalf("List(%s): %v", prefix, err)
	}
	var got []string
	for _, info := range page {
		got = append(got, strings.TrimPrefix(info.Key, f.path))
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("List(%q, after %q, %d) (-want +got):\n%s", prefix, after, limit, diff)
	}
}

// wantCode requires an error with code.
func wantCode(t *testing.T, what string, err error, code schemas.Code) {
	t.Helper()
	if err == nil || schemas.CodeOf(err) != code {
		t.Errorf("%s: got error %v (code %s), want code %s", what, err, schemas.CodeOf(err), code)
	}
}

func testPing(t *testing.T, f folder) {
	if err := f.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func testCancelled(t *testing.T, f folder) {
	f.put(t, "a", "kept")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	key := f.key("a")
	_, getErr := f.Get(ctx, key)
	_, listErr := f.List(ctx, f.path, "", 10)
	_, statErr := f.Stat(ctx, key)
	calls := map[string]error{
		"Get": getErr, "List": listErr, "Stat": statErr,
		"Put":         f.Put(ctx, key, []byte("lost")),
		"Delete":      f.Delete(ctx, key),
		"Delete many": f.Delete(ctx, key, f.key("b")),
		"Ping":        f.Ping(ctx),
	}
	for name, err := range calls {
		wantCode(t, name, err, schemas.Deadline)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v does not say that it was cancelled", name, err)
		}
	}
	f.want(t, "a", "kept")
}
