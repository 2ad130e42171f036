package journal_test

import (
	"context"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/s3blob"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	tenant   = "journal-test"
	journals = "tenants/journal-test/journal/"
)

// device is a store that takes its time, fails and dies as told.
type device struct {
	blob.Driver
	delay time.Duration
	width chan struct{}                // calls at once; nil for any number
	fail  func(call, key string) error // nil for none; asked before every call that is counted

	mu    sync.Mutex
	calls map[string]int
	left  int64 // calls until the process that uses it dies; 0 for never
	after bool  // it dies after that call has changed the store
	dead  atomic.Bool
}

// call counts, and ends the calling goroutine, as a crash would, once it is time.
func (d *device) call(name, key string) (last bool, err error) {
	d.mu.Lock()
	if d.calls == nil {
		d.calls = map[string]int{}
	}
	d.calls[name]++
	if d.left > 0 {
		d.left--
		last = d.left == 0
	}
	d.mu.Unlock()
	if last && !d.after {
		d.dead.Store(true)
	}
	d.mourn()
	if d.width != nil {
		d.width <- struct{}{}
		defer func() { <-d.width }()
	}
	if d.delay > 0 {
		time.Sleep(d.delay)
	}
	d.mourn()
	if d.fail != nil {
		err = d.fail(name, key)
	}
	return last, err
}

func (d *device) mourn() {
	if d.dead.Load() {
		runtime.Goexit()
	}
}

func (d *device) done(last bool) {
	if last {
		d.dead.Store(true)
	}
	d.mourn()
}

func (d *device) count(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls[name]
}

func (d *device) Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	last, err := d.call("put", key)
	if err != nil {
		return false, err
	}
	defer d.done(last)
	return d.Driver.Put(ctx, key, r, size, ifAbsent)
}

func (d *device) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	last, err := d.call("get", key)
	if err != nil {
		return nil, err
	}
	defer d.done(last)
	return d.Driver.Get(ctx, key, offset, length)
}

func (d *device) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	last, err := d.call("list", prefix)
	if err != nil {
		return nil, err
	}
	defer d.done(last)
	return d.Driver.List(ctx, prefix, after, limit)
}

func (d *device) Delete(ctx context.Context, keys []string) error {
	last, err := d.call("delete", keys[0])
	if err != nil {
		return err
	}
	defer d.done(last)
	return d.Driver.Delete(ctx, keys)
}

func key(name string) string { return "tenants/journal-test/calls/" + name }

func entry(run, name, text string, keep bool) journal.Entry {
	return journal.Entry{Tenant: tenant, Run: run, Key: key(name), Data: []byte(text), Keep: keep}
}

func mustAppend(t *testing.T, j *journal.Journal, entries ...journal.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := j.Append(e).Wait(t.Context()); err != nil {
			t.Fatalf("appending %s: %v", e.Key, err)
		}
	}
}

func wantGet(t *testing.T, j *journal.Journal, name, want string) {
	t.Helper()
	data, ok, err := j.Get(t.Context(), tenant, key(name))
	if err != nil || !ok || string(data) != want {
		t.Errorf("Get(%s) = %.80q, %v, %v, want %.80q", name, data, ok, err, want)
	}
}

func wantNone(t *testing.T, j *journal.Journal, name string) {
	t.Helper()
	if data, ok, err := j.Get(t.Context(), tenant, key(name)); err != nil || ok {
		t.Errorf("Get(%s) = %.80q, %v, %v, want nothing", name, data, ok, err)
	}
}

func wantCode(t *testing.T, err error, code schemas.Code) {
	t.Helper()
	if err == nil || schemas.CodeOf(err) != code {
		t.Errorf("got error %v (code %s), want code %s", err, schemas.CodeOf(err), code)
	}
}

// keys lists what the store has below prefix.
func keys(t *testing.T, store *blob.Store, prefix string) []string {
	t.Helper()
	var all []string
	for info, err := range store.All(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, info.Key)
	}
	return all
}

// stores are what the tests of the whole run against.
func stores(t testing.TB) map[string]blob.Driver {
	t.Helper()
	all := map[string]blob.Driver{"memory": &memblob.Driver{}}
	if endpoint := os.Getenv("S3_ENDPOINT"); endpoint != "" {
		driver, err := s3blob.Open(t.Context(), s3blob.Config{
			Endpoint: endpoint, Bucket: os.Getenv("S3_BUCKET"), Region: os.Getenv("S3_REGION"),
			AccessKey: os.Getenv("S3_ACCESS_KEY"), SecretKey: os.Getenv("S3_SECRET_KEY"),
		})
		if err != nil {
			t.Fatal(err)
		}
		all["s3"] = driver
	} else {
		t.Log("S3_ENDPOINT is not set; make test starts an S3 store and sets it")
	}
	return all
}
