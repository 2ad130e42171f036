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

// run starts the journal's settler and returns what stops it.
func run(t *testing.T, j *journal.Journal) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- j.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		d := &device{Driver: &memblob.Driver{}}
		d.fail = func(call, _ string) error {
			if away.Load() && call == "put" {
				return schemas.Errorf(schemas.Unavailable, "away")
			}
			return nil
		}
		j := journal.New(blob.New(d), "test")
		data := strings.Repeat("x", 1<<19)
		var taken []*journal.Ticket
		for i := range 200 {
			ticket := j.Append(entry("r", fmt.Sprint(i), data+fmt.Sprint(i), false))
			ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
			if err := ticket.Wait(ctx); i < 126 && !errors.Is(err, context.DeadlineExceeded) || i >= 128 && schemas.CodeOf(err) != schemas.Unavailable {
				t.Fatalf("entry %d: %v", i, err)
			} else if errors.Is(err, context.DeadlineExceeded) {
				taken = append(taken, ticket)
			}
			cancel()
		}
		away.Store(false)
		if err := taken[len(taken)-1].Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range taken {
			wantGet(t, j, fmt.Sprint(i), data+fmt.Sprint(i)) // the first ones are no longer in memory
		}
		if reads := d.count("get"); reads < 32 || reads > 120 {
			t.Errorf("%d of %d were read back", reads, len(taken))
		}
	})
}

func TestLargeEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := blob.New(&memblob.Driver{})
		j := journal.New(store, "test")
		large, larger := strings.Repeat("l", 3<<20/2), strings.Repeat("L", 5<<20)
		mustAppend(t, j, entry("r", "direct", large, false))
		if data, err := store.Get(t.Context(), key("direct")); err != nil || string(data) != large {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		mustAppend(t, j, entry("r", "a", "small", true), entry("r", "a", larger, false)) // waits behind the small one, which is to be settled
		mustAppend(t, j, entry("r", "b", large, true), entry("r", "b", "small", true))
		if got := keys(t, store, journals); len(got) != 3 {
			t.Errorf("the journal has %q", got)
		}
		other := journal.New(store, "other")
		for _, j := range []*journal.Journal{j, other} {
			wantGet(t, j, "direct", large)
			wantGet(t, j, "a", larger)
			wantGet(t, j, "b", "small")
		}
		stop := run(t, j)
		time.Sleep(5 * time.Second)
		stop()
		if got := keys(t, store, journals); len(got) != 0 {
			t.Errorf("the journal has %q", got)
		}
		wantGet(t, other, "a", larger)
		wantGet(t, other, "b", "small")
	})
}

// TestRefusedKey appends entries whose keys the store can never take: one key is the folder of the other.
func TestRefusedKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := blob.New(&memblob.Driver{})
		if err := store.Put(t.Context(), key("a"), nil); err != nil {
			t.Fatal(err)
		}
		j, large := journal.New(store, "test"), strings.Repeat("l", 3<<20/2)
		var told atomic.Int64
		j.Report = func(error) { told.Add(1) }
		defer run(t, j)()
		first := j.Append(entry("r", "a/large", large, true))
		time.Sleep(time.Second)
		mustAppend(t, j, entry("r", "a/small", "s", true), entry("r", "b", "fine", true))
		if err := first.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if data, err := store.Get(t.Context(), key("b")); err != nil || string(data) != "fine" {
			t.Errorf("the other entry: %q, %v", data, err)
		}
		for _, j := range []*journal.Journal{j, journal.New(store, "other")} {
			wantGet(t, j, "a/large", large)
			wantGet(t, j, "a/small", "s")
		}
		if n := told.Load(); n < 3 || n > 30 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestSettling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := blob.New(&memblob.Driver{})
		j := journal.New(store, "test")
		defer run(t, j)()
		mustAppend(t, j, entry("r", "kept", "1", true), entry("r", "loose", "2", false), entry("s", "loose of s", "3", false))
		j.Append(entry("r", "kept", "4", true))
		time.Sleep(3 * time.Second)
		if data, err := store.Get(t.Context(), key("kept")); err != nil || string(data) != "4" {
			t.Errorf("at its key: %q, %v", data, err)
		}
		if got := keys(t, store, journals); len(got) != 2 {
			t.Errorf("before the runs' end the journal has %q", got)
		}
		wantGet(t, j, "loose", "2")
		j.Ended(tenant, "r")
		j.Ended(tenant, "unknown")
		j.Ended("unknown", "r")
		time.Sleep(3 * time.Second)
		if got := keys(t, store, journals); len(got) != 1 {
			t.Errorf("after one run's end the journal has %q", got)
		}
		wantGet(t, j, "loose of s", "3")
		time.Sleep(25 * time.Hour)
		wantNone(t, j, "loose of s")
		if got := keys(t, store, journals); len(got) != 0 {
			t.Errorf("after a day the journal has %q", got)
		}
		if got := keys(t, store, ""); len(got) != 1 {
			t.Errorf("the store has %q", got)
		}
	})
}

// TestSettlerGivesWay appends fast for a while: the settler keeps still, but not for more than a minute, or 4,096 objects.
func TestSettlerGivesWay(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		together    int // entries an object
		least, most time.Duration
	}{
		"until they are old":  {5, 40 * time.Second, time.Minute},
		"until they are many": {1, 15 * time.Second, 25 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &device{Driver: &memblob.Driver{}, delay: time.Millisecond}
				j := journal.New(blob.New(d), "test")
				defer run(t, j)()
				start, rounds := time.Now(), 0
				for ; d.count("put") <= rounds && time.Since(start) < 2*time.Minute; rounds++ {
					for i := range test.together - 1 {
						lazy := entry("", fmt.Sprint("lazy", rounds%100, i), "x", true)
						lazy.Lazy = true
						j.Append(lazy)
					}
					mustAppend(t, j, entry("", fmt.Sprint(rounds%100), "x", true))
					time.Sleep(time.Duration(test.together)*5*time.Millisecond - time.Millisecond)
				}
				if settled := time.Since(start); settled < test.least || settled > test.most {
					t.Errorf("the first entry was settled after %v and %d objects", settled, rounds)
				}
			})
		})
	}
}
