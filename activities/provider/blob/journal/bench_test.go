package journal_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
)

// BenchmarkAppend has writers wait for entries of 2 kB beside plain writes to the same store. An operation is 50 entries a writer. It
// reports entries and writes a second, and how many times as many entries as plain writes. The store in memory takes 1.5 ms for
// a write, of any number at once or, as if that were work for two processors, of two.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 192} {
		for name, driver := range stores(b) {
			slow := &device{Driver: driver}
			if name == "memory" {
				slow.delay = 1500 * time.Microsecond
				b.Run(fmt.Sprintf("two/%d", writers), func(b *testing.B) {
					benchAppend(b, &device{Driver: &memblob.Driver{}, delay: slow.delay, width: make(chan struct{}, 2)}, writers)
				})
			}
			b.Run(fmt.Sprintf("%s/%d", name, writers), func(b *testing.B) { benchAppend(b, slow, writers) })
		}
	}
}

func benchAppend(b *testing.B, slow *device, writers int) {
	b.Helper()
	const times = 50
	data := bytes.Repeat([]byte("0123456789abcdef"), 128)
	store := blob.New(slow)
	b.Cleanup(func() {
		if _, err := blob.DeletePrefix(context.WithoutCancel(b.Context()), store, "tenants/journal-test/"); err != nil {
			b.Error(err)
		}
	})
	plain := each(b, writers, times, func(key string) error { return store.Put(b.Context(), key, data) })
	before := slow.count("put")
	j := journal.New(store, "bench")
	ctx, cancel := context.WithCancel(b.Context())
	var settling sync.WaitGroup
	settling.Go(func() { _ = j.Run(ctx) })
	var took time.Duration
	var rounds float64
	for b.Loop() {
		took += each(b, writers, times, func(key string) error {
			err := j.Append(journal.Entry{Tenant: tenant, Run: key, Key: key, Data: data}).Wait(b.Context())
			j.Ended(tenant, key)
			return err
		})
		rounds++
	}
	puts := slow.count("put") - before
	cancel()
	settling.Wait()
	entries := float64(writers * times)
	b.ReportMetric(entries*rounds/took.Seconds(), "entries/s")
	b.ReportMetric(float64(puts)/took.Seconds(), "writes/s")
	b.ReportMetric(rounds*plain.Seconds()/took.Seconds(), "x-plain")
	b.ReportMetric(0, "ns/op")
}

// each has writers call do so many times each, and returns how long it took.
func each(tb testing.TB, writers, times int, do func(key string) error) time.Duration {
	tb.Helper()
	var working sync.WaitGroup
	start := time.Now()
	for w := range writers {
		working.Go(func() {
			for i := range times {
				if err := do(key(fmt.Sprintf("%d/%d", w, i))); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	working.Wait()
	return time.Since(start)
}
