package blob_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/schemas"
)

// counting counts the reads that reach the store.
type counting struct {
	memblob.Driver
	reads int
}

func (c *counting) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	c.reads++
	return c.Driver.Get(ctx, key, offset, length)
}

func TestContentIsReadOnce(t *testing.T) {
	t.Parallel()
	driver := &counting{}
	writer, reader := blob.New(driver), blob.New(driver)
	ref, err := blob.PutContent(t.Context(), writer, "default", []byte("a lamp"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		store *blob.Store
		reads int
	}{{writer, 0}, {reader, 1}, {reader, 1}} {
		data, err := blob.GetContent(t.Context(), step.store, ref)
		if err != nil || string(data) != "a lamp" || driver.reads != step.reads {
			t.Fatalf("%q, %v after %d reads, want %d", data, err, driver.reads, step.reads)
		}
		data[0] = 'X' // the caller's copy
	}
	if err := writer.Delete(t.Context(), ref.Key); err != nil {
		t.Fatal(err)
	}
	var coded *schemas.Error
	if _, err := blob.GetContent(t.Context(), writer, ref); !errors.As(err, &coded) || coded.Code != schemas.NotFound {
		t.Errorf("after its deletion: %v, want not_found", err)
	}
}

func TestMemoryOfContentsIsBounded(t *testing.T) {
	t.Parallel()
	driver := &counting{}
	store := blob.New(driver)
	var refs []schemas.Ref
	for i := range 300 { // of 60 kB, more than twice what is kept
		ref, err := blob.PutContent(t.Context(), store, "default", fmt.Appendf(nil, "%60000d", i))
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	for want, ref := range map[int]schemas.Ref{0: refs[299], 1: refs[0]} {
		driver.reads = 0
		if _, err := blob.GetContent(t.Context(), store, ref); err != nil || driver.reads != want {
			t.Errorf("%d reads, %v, want %d", driver.reads, err, want)
		}
	}
}
