package journal_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
)

// promises is what a process was told to be durable.
type promises struct {
	mu    sync.Mutex
	kept  map[string]int // by name: the last version that was acknowledged
	loose map[string]int
	over  map[string]bool // runs
}

// work appends versions of some keys, most of which it waits for, and ends runs, until ctx ends.
func (p *promises) work(ctx context.Context, j *journal.Journal, worker int) {
	for i := 0; ctx.Err() == nil; i++ {
		run := fmt.Sprintf("r%d.%d", worker, i)
		p.append(ctx, j, run, fmt.Sprintf("kept/%d.%d", worker, i%7), i, true)
		p.append(ctx, j, run, "loose/"+run, i, false)
		if i%3 == 0 {
			p.mu.Lock()
			p.over[run] = true
			p.mu.Unlock()
			j.Ended(tenant, run)
		}
		select {
		case <-time.After(time.Duration(i%5) * 300 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (p *promises) append(ctx context.Context, j *journal.Journal, run, name string, version int, keep bool) {
	e := entry(run, name, fmt.Sprint(version), keep)
	e.Lazy = version%4 == 0
	if j.Append(e).Wait(ctx) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if keep {
		p.kept[name] = version
	} else {
		p.loose[name] = version
	}
}

// check requires that j finds everything, in the version that was acknowledged or a later one.
func (p *promises) check(t *testing.T, when string, j *journal.Journal) {
	t.Helper()
	find := func(name string, least int) {
		data, ok, err := j.Get(t.Context(), tenant, key(name))
		var version int
		if _, scan := fmt.Sscan(string(data), &version); err != nil || !ok || scan != nil || version < least {
			t.Errorf("%s: %s is %q, %v, %v; version %d was durable", when, name, data, ok, err, least)
		}
	}
	for name, version := range p.kept {
		find(name, version)
	}
	for name, version := range p.loose {
		if !p.over[strings.TrimPrefix(name, "loose/")] {
			find(name, version)
		}
	}
}

// TestCrashAtAnyCall ends the process at each of its calls to the store in turn, before or after it has an effect. Another process finds all that was durable, adopts it,
// and is ended in the same way while it does; a third has everything in place at last.
func TestCrashAtAnyCall(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for calls := int64(1); calls < 120; calls += 1 + calls/12 {
			t.Run(fmt.Sprintf("%d,%v", calls, after), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { crash(t, calls, after) })
			})
		}
	}
}

func crash(t *testing.T, calls int64, after bool) {
	t.Helper()
	disk := &memblob.Driver{}
	p := &promises{kept: map[string]int{}, loose: map[string]int{}, over: map[string]bool{}}
	dying := &device{Driver: disk, delay: 2 * time.Millisecond, left: calls, after: after}
	live(t, dying, 20*time.Second, func(ctx context.Context, j *journal.Journal) {
		var working sync.WaitGroup
		for w := range 3 {
			working.Go(func() { p.work(ctx, j, w) })
		}
		working.Wait()
	})
	p.check(t, "after the crash", journal.New(blob.New(disk), "reader"))

	time.Sleep(2*time.Minute + time.Second)
	heir := &device{Driver: disk, delay: 2 * time.Millisecond, left: calls/2 + 3, after: after}
	live(t, heir, 5*time.Minute, func(ctx context.Context, _ *journal.Journal) { <-ctx.Done() })
	p.check(t, "after the heir's crash", journal.New(blob.New(disk), "reader"))

	last := journal.New(blob.New(disk), "last")
	stop := run(t, last)
	time.Sleep(6 * time.Minute)
	p.check(t, "at last", last)
	stop()
	store := blob.New(disk)
	for name, version := range p.kept {
		var found int
		if data, err := store.Get(t.Context(), key(name)); err != nil {
			t.Errorf("%s is not at its key: %v", name, err)
		} else if _, err := fmt.Sscan(string(data), &found); err != nil || found < version {
			t.Errorf("%s is %q at its key; version %d was durable", name, data, version)
		}
	}
	if left := keys(t, store, journals); len(left) > 4 {
		t.Errorf("%d objects are left, and %d entries", len(left), len(p.loose))
	}
	p.check(t, "at the end", journal.New(store, "reader"))
}

// live lets a process do something for a while, or until it dies.
func live(t *testing.T, d *device, long time.Duration, do func(context.Context, *journal.Journal)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	j := journal.New(blob.New(d), "process")
	go func() {
		for ctx.Err() == nil && !d.dead.Load() {
			time.Sleep(time.Millisecond)
		}
		d.dead.Store(true)
		cancel()
	}()
	var living sync.WaitGroup
	living.Go(func() { _ = j.Run(ctx) })
	living.Go(func() { do(ctx, j) })
	living.Wait()
	synctest.Wait()
}

// TestLiveJournalsAreLeftAlone lets two instances with unfinished runs idle for a while.
func TestLiveJournalsAreLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := blob.New(&memblob.Driver{})
		first, second := journal.New(store, "a"), journal.New(store, "b")
		mustAppend(t, first, entry("r", "of a", "x", false))
		mustAppend(t, second, entry("s", "of b", "x", false))
		before := keys(t, store, journals)
		stopFirst, stopSecond := run(t, first), run(t, second)
		time.Sleep(time.Hour)
		var after []string
		for _, key := range keys(t, store, journals) {
			if !strings.HasSuffix(key, "/alive") {
				after = append(after, key)
			}
		}
		if strings.Join(before, " ") != strings.Join(after, " ") {
			t.Errorf("first %q, an hour later %q", before, after)
		}
		first.Ended(tenant, "r")
		stopFirst() // leaves nothing
		stopSecond()
		third := journal.New(store, "c")
		stopThird := run(t, third)
		time.Sleep(5 * time.Minute)
		if got := keys(t, store, journals); len(got) != 2 { // one object and the third's sign of life
			t.Errorf("at last %q", got)
		}
		wantGet(t, third, "of b", "x")
		wantGet(t, second, "of b", "x") // suspended, say, and woken up: its own object is gone
		third.Ended(tenant, "s")
		time.Sleep(time.Minute)
		if got := keys(t, store, journals); len(got) != 0 {
			t.Errorf("in the end %q", got)
		}
		stopThird()
	})
}

// TestAdoptedEntriesDoNotReplaceNewerOnes has a run continue elsewhere before its first process's journal is adopted.
func TestAdoptedEntriesDoNotReplaceNewerOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := blob.New(&memblob.Driver{})
		crashed := journal.New(store, "crashed")
		for _, name := range []string{"settled", "journaled", "at the adopter"} {
			mustAppend(t, crashed, entry("r", name, "old", true))
		}
		mustAppend(t, crashed, entry("r", "only there", "old", true))
		time.Sleep(time.Minute)
		adopter, other := journal.New(store, "adopter"), journal.New(store, "other")
		if err := store.Put(t.Context(), key("settled"), []byte("new")); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, adopter, entry("r", "at the adopter", "new", true))
		mustAppend(t, other, entry("r", "journaled", "new", true))
		wantGet(t, adopter, "journaled", "new")
		defer run(t, adopter)()
		defer run(t, other)()
		time.Sleep(5 * time.Minute)
		for name, want := range map[string]string{"settled": "new", "journaled": "new", "at the adopter": "new", "only there": "old"} {
			if data, err := store.Get(t.Context(), key(name)); err != nil || string(data) != want {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
		if got := keys(t, store, journals); len(got) != 0 {
			t.Errorf("the journal has %q", got)
		}
	})
}
