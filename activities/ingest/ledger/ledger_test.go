package ledger_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/ingest/ledger"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
)

func hashes(texts ...string) []ledger.Hash {
	out := make([]ledger.Hash, len(texts))
	for i, text := range texts {
		out[i] = sha256.Sum256([]byte(text))
	}
	return out
}

func numbered(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(i)
	}
	return out
}

func TestVectorsSurviveTheProcess(t *testing.T) {
	t.Parallel()
	store := blob.New(&memblob.Driver{})
	first := (&ledger.Ledger{Store: store}).Space("default", "openai/x", 3)
	want := map[ledger.Hash][]float32{}
	all := hashes(numbered(1200)...) // more hashes than one read of a pack's head covers
	vectors := make([][]float32, len(all))
	for i, h := range all {
		vectors[i] = []float32{float32(i), -1.5, 1e-20}
		want[h] = vectors[i]
	}
	if err := first.Record(t.Context(), all[:700], vectors[:700]); err != nil {
		t.Fatal(err)
	}
	if err := first.Record(t.Context(), all[700:], vectors[700:]); err != nil {
		t.Fatal(err)
	}
	second := (&ledger.Ledger{Store: store}).Space("default", "openai/x", 3)
	got, err := second.Vectors(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	claim, busy, err := second.Claim(t.Context(), append(hashes("new"), all...))
	if err != nil || busy {
		t.Fatal(busy, err)
	}
	if diff := cmp.Diff(hashes("new"), claim.Hashes); diff != "" {
		t.Error(diff)
	}
}

func TestSpacesAreApart(t *testing.T) {
	t.Parallel()
	l := &ledger.Ledger{Store: blob.New(&memblob.Driver{})}
	if err := l.Space("a", "openai/x", 0).Record(t.Context(), hashes("t"), [][]float32{{1}}); err != nil {
		t.Fatal(err)
	}
	for _, other := range []*ledger.Space{l.Space("b", "openai/x", 0), l.Space("a", "openai/y", 0), l.Space("a", "openai/x", 8), l.Space("a", "openai~x", 0)} {
		if _, err := other.Vectors(t.Context(), hashes("t")); schemas.CodeOf(err) != schemas.NotFound {
			t.Errorf("want not_found, got %v", err)
		}
	}
}

// TestNothingIsEmbeddedTwice has many embedders race for overlapping texts.
func TestNothingIsEmbeddedTwice(t *testing.T) {
	t.Parallel()
	space := (&ledger.Ledger{Store: blob.New(&memblob.Driver{})}).Space("default", "openai/x", 0)
	var paid atomic.Int64
	var running sync.WaitGroup
	for worker := range 16 {
		running.Go(func() {
			mine := hashes(numbered(40 + worker)...)
			if err := embed(t.Context(), space, mine, &paid); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if paid.Load() != 55 {
		t.Errorf("%d texts were paid for, there are 55", paid.Load())
	}
}

// embed does what an activity does.
func embed(ctx context.Context, space *ledger.Space, want []ledger.Hash, paid *atomic.Int64) error {
	for {
		claim, busy, err := space.Claim(ctx, want)
		if err != nil {
			return err
		}
		if n := len(claim.Hashes); n > 0 {
			paid.Add(int64(n))
			vectors := make([][]float32, n)
			for i := range vectors {
				vectors[i] = []float32{1, 2}
			}
			err = space.Record(ctx, claim.Hashes, vectors)
		}
		claim.Release()
		if err != nil || !busy {
			return err
		}
		if err := space.Wait(ctx, want); err != nil {
			return err
		}
	}
}

func TestReleasedWithoutRecordIsClaimedAgain(t *testing.T) {
	t.Parallel()
	space := (&ledger.Ledger{Store: blob.New(&memblob.Driver{})}).Space("default", "openai/x", 0)
	claim, _, err := space.Claim(t.Context(), hashes("t", "t"))
	if err != nil || len(claim.Hashes) != 1 {
		t.Fatal(claim, err)
	}
	other, busy, err := space.Claim(t.Context(), hashes("t"))
	if err != nil || !busy || len(other.Hashes) != 0 {
		t.Fatal(busy, err)
	}
	other.Release()
	claim.Release()
	again, busy, err := space.Claim(t.Context(), hashes("t"))
	if err != nil || busy || len(again.Hashes) != 1 {
		t.Fatal(busy, err)
	}
}

func FuzzPack(f *testing.F) {
	f.Add([]byte("TNV1"))
	f.Add([]byte("TNV1\x01\x00\x00\x00\x02\x00\x00\x00"))
	f.Add([]byte("TNV1\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		store := blob.New(&memblob.Driver{})
		l := &ledger.Ledger{Store: store}
		space := l.Space("default", "openai/x", 0)
		if err := space.Record(t.Context(), hashes("a"), [][]float32{{1}}); err != nil {
			t.Fatal(err)
		}
		page, err := store.List(t.Context(), schemas.TenantPrefix("default"), "", 1)
		if err != nil || len(page) != 1 {
			t.Fatal(page, err)
		}
		if err := store.Put(t.Context(), page[0].Key, data); err != nil {
			t.Fatal(err)
		}
		fresh := (&ledger.Ledger{Store: store}).Space("default", "openai/x", 0)
		_, _ = fresh.Vectors(t.Context(), hashes("a")) // a damaged pack is an error, never a panic
	})
}

// full is a store that takes nothing while it is full.
type full struct {
	memblob.Driver

	full atomic.Bool
}

func (f *full) Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	if f.full.Load() {
		return false, schemas.Errorf(schemas.OverBudget, "the disk is full")
	}
	return f.Driver.Put(ctx, key, r, size, ifAbsent)
}

func TestPaidVectorsOutlastAFullStore(t *testing.T) {
	t.Parallel()
	driver := &full{}
	space := (&ledger.Ledger{Store: blob.New(driver)}).Space("default", "openai/x", 0)
	driver.full.Store(true)
	if err := space.Record(t.Context(), hashes("a"), [][]float32{{1}}); schemas.CodeOf(err) != schemas.OverBudget {
		t.Fatalf("recording in a full store: %v", err)
	}
	if _, _, err := space.Claim(t.Context(), hashes("b")); schemas.CodeOf(err) != schemas.OverBudget {
		t.Errorf("a claim while the store is full: %v, want %s before anything is paid", err, schemas.OverBudget)
	}
	driver.full.Store(false)
	claim, _, err := space.Claim(t.Context(), hashes("a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hashes("b"), claim.Hashes); diff != "" {
		t.Errorf("claimed once there is room (-want +got):\n%s", diff)
	}
	later := (&ledger.Ledger{Store: blob.New(driver)}).Space("default", "openai/x", 0)
	if got, err := later.Vectors(t.Context(), hashes("a")); err != nil || got[hashes("a")[0]][0] != 1 {
		t.Errorf("another process reads %v, %v", got, err)
	}
}
