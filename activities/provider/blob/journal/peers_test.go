package journal_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestFind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := blob.New(&memblob.Driver{})
		first, second := journal.New(store, "a"), journal.New(store, "b")
		mustAppend(t, first, entry("r", "x/2", "old", true), entry("r", "x/2", "two", true), entry("r", "y/1", "no", true))
		mustAppend(t, second, entry("r", "x/1", "one", true), entry("r", "x/3", "three", false))
		want := map[string]string{key("x/1"): "one", key("x/2"): "two", key("x/3"): "three"}
		find := func(j *journal.Journal) map[string]string {
			got := map[string]string{}
			var order []string
			for found, err := range j.Find(t.Context(), tenant, key("x/")) {
				if err != nil {
					t.Fatal(err)
				}
				got[found.Key] = string(found.Data)
				order = append(order, found.Key)
			}
			if !slices.IsSorted(order) {
				t.Errorf("in the order %q", order)
			}
			return got
		}
		for _, j := range []*journal.Journal{first, second, journal.New(store, "c")} {
			if diff := cmp.Diff(want, find(j)); diff != "" {
				t.Error(diff)
			}
		}
		stop := run(t, first)
		time.Sleep(time.Second)
		stop()
		delete(want, key("x/2"))
		if diff := cmp.Diff(want, find(second)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestQuestionsAreShared asks for many keys at the same time.
func TestQuestionsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &device{Driver: &memblob.Driver{}, delay: time.Millisecond}
		store := blob.New(d)
		own := journal.New(store, "own")
		for i := range 300 {
			mustAppend(t, own, entry("r", fmt.Sprint("own", i), "x", true))
		}
		mustAppend(t, journal.New(store, "other"), entry("r", "there", "x", false))
		var asking sync.WaitGroup
		for i := range 100 {
			asking.Go(func() {
				wantNone(t, own, fmt.Sprint("absent", i))
				wantGet(t, own, "there", "x")
				wantGet(t, own, fmt.Sprint("own", i), "x")
			})
		}
		asking.Wait()
		if lists := d.count("list"); lists > 12 {
			t.Errorf("%d listings", lists)
		}
	})
}

// TestDamagedObjects puts things into a journal's place that are none.
func TestDamagedObjects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := blob.New(&memblob.Driver{})
		mustAppend(t, journal.New(store, "m"), entry("r", "a", "one", true))
		whole, err := store.Get(t.Context(), keys(t, store, journals)[0])
		if err != nil {
			t.Fatal(err)
		}
		place := func(folder string, n int) string {
			return fmt.Sprintf("%s%s/%018d/%02d", journals, folder, n/100, n%100)
		}
		bad := map[string]string{
			place("a", 1): string(whole[:len(whole)-3]), place("a", 2): "", place("z", 7): `{"journal":2,"entries":0}` + "\n",
			place("z", 8): "<html>", place("z", 9): string(whole) + "more",
		}
		for key, data := range bad {
			if err := store.Put(t.Context(), key, []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		for _, odd := range []string{"z/alive", "z/readme", "zzz", "0"} {
			if err := store.Put(t.Context(), journals+odd, []byte("odd")); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		var reports []string
		j := journal.New(store, "n")
		j.Report = func(err error) {
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, err.Error())
		}
		wantGet(t, j, "a", "one")
		stop := run(t, j)
		time.Sleep(5 * time.Minute)
		stop()
		if data, err := store.Get(t.Context(), key("a")); err != nil || string(data) != "one" {
			t.Errorf("the good entry: %q, %v", data, err)
		}
		for key := range bad {
			if n := strings.Count(strings.Join(reports, "\n"), key); n != 1 {
				t.Errorf("%s was reported %d times: %q", key, n, reports)
			}
		}
		if got := keys(t, store, journals); len(got) != len(bad)+4 {
			t.Errorf("the journal has %q", got)
		}
	})
}

// TestManyForeignEntries writes more than fit into the index.
func TestManyForeignEntries(t *testing.T) {
	t.Parallel()
	store := blob.New(&memblob.Driver{})
	writer := journal.New(store, "a")
	const groups, each = 66, 4096
	for g := range groups {
		for i := range each {
			e := entry("r", fmt.Sprintf("%d/%d", g, i), fmt.Sprint(i), true)
			e.Lazy = i < each-1
			writer.Append(e)
		}
		if err := writer.Flush(t.Context(), tenant, "r"); err != nil {
			t.Fatal(err)
		}
	}
	reader := journal.New(store, "b")
	wantGet(t, reader, "65/17", "17")
	wantGet(t, reader, "0/18", "18")
	wantNone(t, reader, "0/x")
	found := 0
	for _, err := range reader.Find(t.Context(), tenant, key("1/")) {
		if err != nil {
			t.Fatal(err)
		}
		found++
		if found == 10 {
			break
		}
	}
	if found != 10 {
		t.Errorf("found %d", found)
	}
}

// TestNothingIsMissed reads from one journal what another has just made durable, while that one settles and forgets it.
func TestNothingIsMissed(t *testing.T) {
	t.Parallel()
	for name, driver := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine := "journal-" + strings.ToLower(rand.Text())
			store := blob.New(driver)
			t.Cleanup(func() {
				if _, err := blob.DeletePrefix(context.WithoutCancel(t.Context()), store, schemas.TenantPrefix(mine)); err != nil {
					t.Error(err)
				}
			})
			writer, reader := journal.New(store, "writer"), journal.New(store, "reader")
			defer run(t, writer)()
			defer run(t, reader)()
			var working sync.WaitGroup
			for w := range 8 {
				working.Go(func() { writeAndRead(t, mine, w, writer, reader) })
			}
			working.Wait()
		})
	}
}

func writeAndRead(t *testing.T, tenant string, worker int, writer, reader *journal.Journal) {
	t.Helper()
	var written []string
	for i := range 60 {
		key := fmt.Sprintf("%sruns/%d/%d", schemas.TenantPrefix(tenant), worker, i)
		run := fmt.Sprintf("%d.%d", worker, i)
		ticket := writer.Append(journal.Entry{Tenant: tenant, Run: run, Key: key, Data: []byte(key), Keep: true})
		if err := ticket.Wait(t.Context()); err != nil {
			t.Error(err)
			return
		}
		writer.Ended(tenant, run)
		written = append(written, key)
		for _, key := range []string{written[0], written[i/2], key} {
			if data, ok, err := reader.Get(t.Context(), tenant, key); err != nil || !ok || string(data) != key {
				t.Errorf("%s: %q, %v, %v", key, data, ok, err)
			}
		}
	}
}
