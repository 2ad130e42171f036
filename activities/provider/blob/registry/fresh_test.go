package registry_test

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestAResolvedLabelIsNeverOld(t *testing.T) {
	t.Parallel()
	r, store, _ := fresh()
	name := label("production")
	releases := []string{add(t, r, "qa", "0"), add(t, r, "qa", "1"), add(t, r, "qa", "2")}
	mine, theirs := registry.New(store, time.Now), registry.New(store, time.Now)
	var latest atomic.Int64 // how many moves are done
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				before := latest.Load()
				loaded, err := theirs.Resolve(t.Context(), name)
				after := latest.Load()
				if before == 0 {
					continue // it may not be set yet
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !between(releases, loaded.Hash, before, after+1) {
					t.Errorf("old release after move %d", before)
					return
				}
			}
		})
	}
	for n := range int64(300) {
		if _, err := mine.Move(t.Context(), registry.Move{Name: name, Release: releases[n%3], By: ann}); err != nil {
			t.Error(err)
		}
		latest.Store(n + 1)
	}
	close(stop)
	asking.Wait()
}

func between(releases []string, hash string, from, to int64) bool {
	for n := from; n <= to; n++ {
		if releases[(n-1)%3] == hash {
			return true
		}
	}
	return false
}

func TestWhatALabelCosts(t *testing.T) {
	t.Parallel()
	r, _, driver := fresh()
	name := label("production")
	if _, err := r.Move(t.Context(), registry.Move{Name: name, Release: add(t, r, "qa", "a"), By: ann}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	driver.gets.Store(0)
	driver.lists.Store(0)
	for range 10 {
		if _, err := r.Resolve(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if driver.gets.Load() != 10 || driver.lists.Load() != 0 { // is there a later entry?
		t.Errorf("%d gets and %d lists for 10 runs", driver.gets.Load(), driver.lists.Load())
	}

	// Of 64 at the same time, most share what they read.
	driver.gate = func(string) { time.Sleep(5 * time.Millisecond) }
	driver.gets.Store(0)
	var asking sync.WaitGroup
	for range 64 {
		asking.Go(func() {
			if _, err := r.Resolve(t.Context(), name); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if driver.gets.Load() > 8 {
		t.Errorf("%d gets for 64 runs at once", driver.gets.Load())
	}
}

type broken struct{ blob.Driver }

func (broken) Get(context.Context, string, int64, int64) ([]byte, error) {
	return nil, schemas.Errorf(schemas.Unavailable, "down")
}

func (broken) List(context.Context, string, string, int) ([]blob.Info, error) {
	return nil, schemas.Errorf(schemas.Unavailable, "down")
}

func (broken) Put(context.Context, string, io.Reader, int64, bool) (bool, error) {
	return false, schemas.Errorf(schemas.Unavailable, "down")
}

func TestAStoreThatIsDownIsNoAnswer(t *testing.T) {
	t.Parallel()
	memory := &memblob.Driver{}
	up := registry.New(blob.New(memory), time.Now)
	name := label("production")
	a, b := add(t, up, "qa", "a"), add(t, up, "qa", "b")
	for _, release := range []string{a, b} {
		if _, err := up.Move(t.Context(), registry.Move{Name: name, Release: release, By: ann}); err != nil {
			t.Fatal(err)
		}
	}
	failing := &switching{Driver: memory}
	r := registry.New(blob.New(failing), time.Now)
	if _, err := r.Resolve(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	failing.down.Store(true)
	code(t, second(r.Resolve(t.Context(), name)), schemas.Unavailable, "down")
	code(t, second(r.Pinned(t.Context(), tenant, "qa", b)), schemas.Unavailable, "down")
	code(t, second(r.Label(t.Context(), name)), schemas.Unavailable, "down")
	code(t, second(r.Move(t.Context(), registry.Move{Name: name, Undo: true, By: ann})), schemas.Unavailable, "down")
	code(t, second(r.Labels(t.Context(), tenant, "qa")), schemas.Unavailable, "down")
	code(t, second(r.Find(t.Context(), tenant, a)), schemas.Unavailable, "down")
	_, _, err := r.Add(t.Context(), tenant, bundle("qa", "c"), schemas.Release{})
	code(t, err, schemas.Unavailable, "down")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failing.down.Store(false)
	if _, err := r.Label(ctx, name); err != nil && schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("for who has left: %v", err)
	}
}

type switching struct {
	blob.Driver

	down atomic.Bool
}

func (s *switching) to() blob.Driver {
	if s.down.Load() {
		return broken{s.Driver}
	}
	return s.Driver
}

func (s *switching) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	return s.to().Get(ctx, key, offset, length)
}

func (s *switching) List(ctx context.Context, prefix, after string, limit int) ([]blob.Info, error) {
	return s.to().List(ctx, prefix, after, limit)
}

func (s *switching) Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	return s.to().Put(ctx, key, r, size, ifAbsent)
}
