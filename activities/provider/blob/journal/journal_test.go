package journal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestAppendedIsFound(t *testing.T) {
	t.Parallel()
	store := blob.New(&memblob.Driver{})
	first, second := journal.New(store, "host/1"), journal.New(store, "host/1")
	mustAppend(t, first, entry("r", "a", "one\n", true), entry("r", "b", "", false), entry("r", "a", "two", false))
	mustAppend(t, second, entry("r", "c", "three", false))
	for _, j := range []*journal.Journal{first, second, journal.New(store, "")} {
		wantGet(t, j, "a", "two")
		wantGet(t, j, "b", "")
		wantGet(t, j, "c", "three")
		wantNone(t, j, "d")
	}
	mustAppend(t, first, entry("r", "d", "four", true))
	wantGet(t, second, "d", "four")
	if err := store.Put(t.Context(), key("e"), []byte("plain")); err != nil {
		t.Fatal(err)
	}
	wantGet(t, first, "e", "plain")
}

func TestRefused(t *testing.T) {
	t.Parallel()
	j := journal.New(blob.New(&memblob.Driver{}), "test")
	for name, e := range map[string]journal.Entry{
		"tenant":         {Tenant: "A", Key: key("a")},
		"key":            {Tenant: tenant, Key: "tenants/journal-test/../a"},
		"other tenant":   {Tenant: "other", Key: key("a")},
		"in the journal": {Tenant: tenant, Key: journals + "x"},
		"run":            {Tenant: tenant, Key: key("a"), Run: "\xff"},
		"too large":      {Tenant: tenant, Key: key("a"), Data: make([]byte, 65<<20)},
	} {
		if err := j.Append(e).Wait(t.Context()); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := j.Get(t.Context(), e.Tenant, e.Key); e.Run == "" && e.Data == nil && schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("Get, %s: %v", name, err)
		}
	}
	for _, err := range j.Find(t.Context(), "A", "") {
		wantCode(t, err, schemas.Invalid)
	}
}

// TestGroups has 64 writers wait for a slow store.
func TestGroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &device{Driver: &memblob.Driver{}, delay: 1500 * time.Microsecond}
		j := journal.New(blob.New(slow), "test")
		const writers, each = 64, 20
		var writing sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				for i := range each {
					mustAppend(t, j, entry("r", fmt.Sprintf("%d-%d", w, i), "x", false))
				}
			})
		}
		start := time.Now()
		writing.Wait()
		if puts := slow.count("put"); puts > 2*each+2 {
			t.Errorf("%d writes for %d entries", puts, writers*each)
		}
		if took := time.Since(start); took > (2*each+2)*slow.delay {
			t.Errorf("took %v", took)
		}
	})
}

func TestLazyEntriesWaitForCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &device{Driver: &memblob.Driver{}, delay: time.Millisecond}
		j := journal.New(blob.New(slow), "test")
		lazy := entry("r", "mark", "sent", false)
		lazy.Lazy = true
		took := func(f func()) time.Duration {
			start := time.Now()
			f()
			return time.Since(start)
		}
		if alone := took(func() { mustAppend(t, j, lazy) }); alone != 101*time.Millisecond {
			t.Errorf("alone it took %v", alone)
		}
		together := took(func() {
			first := j.Append(lazy)
			time.Sleep(2 * time.Millisecond)
			mustAppend(t, j, entry("r", "a", "x", true))
			if err := first.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		})
		if puts := slow.count("put"); together != 3*time.Millisecond || puts != 2 {
			t.Errorf("together it took %v and %d writes", together, puts)
		}
		flushed := took(func() {
			j.Append(lazy)
			if err := j.Flush(t.Context(), tenant, "r"); err != nil {
				t.Error(err)
			}
			if err := j.Flush(t.Context(), tenant, "unknown"); err != nil {
				t.Error(err)
			}
		})
		if flushed != time.Millisecond {
			t.Errorf("flushed it took %v", flushed)
		}
	})
}

func TestStoreAway(t *testing.T) {
	t.Parallel()
	for code, waits := range map[schemas.Code]time.Duration{schemas.Unavailable: 10 * time.Second, schemas.OverBudget: 0} {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var away atomic.Bool
				away.Store(true)
				d := &device{Driver: &memblob.Driver{}}
				d.fail = func(call, _ string) error {
					if away.Load() && call == "put" {
						return schemas.Errorf(code, "away")
					}
					return nil
				}
				j := journal.New(blob.New(d), "test")
				var told atomic.Int64
				j.Report = func(error) { told.Add(1) }
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				ticket, start := j.Append(entry("r", "a", "one", true)), time.Now()
				synctest.Wait()
				wantCode(t, ticket.Wait(ctx), code)
				if took := time.Since(start); took != waits {
					t.Errorf("Wait took %v, want %v", took, waits)
				}
				later := j.Append(entry("r", "a", "two", true))
				wantGet(t, j, "a", "two")
				time.Sleep(time.Minute)
				if n := told.Load(); n < 10 || n > 60 {
					t.Errorf("%d attempts in a minute", n)
				}
				away.Store(false)
				time.Sleep(2 * time.Second)
				if err := errors.Join(ticket.Wait(t.Context()), later.Wait(t.Context()), j.Flush(t.Context(), tenant, "r")); err != nil {
					t.Error(err)
				}
				wantGet(t, journal.New(blob.New(d), "other"), "a", "two")
			})
		})
	}
}

func TestCancelledWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &device{Driver: &memblob.Driver{}, delay: time.Second}
		j := journal.New(blob.New(d), "test")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := j.Append(entry("r", "a", "one", true)).Wait(ctx)
		wantCode(t, err, schemas.Deadline)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v does not say that it was cancelled", err)
		}
		_, _, err = journal.New(blob.New(d), "b").Get(ctx, tenant, key("a"))
		wantCode(t, err, schemas.Deadline)
		if err := j.Flush(t.Context(), tenant, "r"); err != nil {
			t.Error(err)
		}
		wantGet(t, journal.New(blob.New(d), "c"), "a", "one")
	})
}

// TestTenantsAreApart has the store refuse one tenant's writes.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &device{Driver: &memblob.Driver{}, delay: time.Millisecond}
		var away atomic.Bool
		away.Store(true)
		d.fail = func(_, key string) error {
			if away.Load() && strings.HasPrefix(key, "tenants/other/") {
				return schemas.Errorf(schemas.Unavailable, "away")
			}
			return nil
		}
		j := journal.New(blob.New(d), "test")
		theirs := j.Append(journal.Entry{Tenant: "other", Key: "tenants/other/a", Data: []byte("x")})
		for i := range 20 {
			mustAppend(t, j, entry("r", fmt.Sprint(i), "x", true))
		}
		if _, _, err := j.Get(t.Context(), tenant, "tenants/other/a"); schemas.CodeOf(err) != schemas.Invalid {
			t.Error(err)
		}
		away.Store(false)
		if err := theirs.Wait(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestTheEndOfARunSparesItsEntries has a run end with what it left behind on its way: only the end is written, and what went before it stays
// readable until then, also while the store is away.
func TestTheEndOfARunSparesItsEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := &device{Driver: &memblob.Driver{}, delay: time.Millisecond}
		store := blob.New(slow)
		j := journal.New(store, "test")
		mustAppend(t, j, entry("r", "early", "written before", false))
		loose := entry("r", "call", "sent", false)
		loose.Lazy = true
		j.Append(loose)
		loose.Data = []byte("answered")
		j.Append(loose)
		other := entry("other", "call2", "of another run", false)
		other.Lazy = true
		j.Append(other)
		end := entry("r", "record", "all of it", true)
		end.Ends = true
		ticket := j.Append(end)
		wantGet(t, j, "call", "answered")
		if err := ticket.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantNone(t, j, "call")
		wantGet(t, j, "early", "written before")
		wantGet(t, j, "call2", "of another run")
		wantGet(t, j, "record", "all of it")
		reader := journal.New(store, "reader")
		wantNone(t, reader, "call")
		wantGet(t, reader, "call2", "of another run")
		wantGet(t, reader, "record", "all of it")
		j.Ended(tenant, "r")
		wantNone(t, j, "early")
		wantGet(t, j, "record", "all of it")
	})
}
