package weaviatevector

import (
	"context"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/activities/provider/vector/vectortest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// open connects to the Weaviate that the environment names and removes, at the end, the classes that the test made.
func open(t *testing.T) vector.Driver {
	t.Helper()
	config := Config{URL: os.Getenv("WEAVIATE_URL"), GRPC: os.Getenv("WEAVIATE_GRPC"), APIKey: os.Getenv("WEAVIATE_API_KEY")}
	if config.URL == "" {
		t.Skip("WEAVIATE_URL is empty: no Weaviate to test against")
	}
	driver, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	tidy := &tidyDriver{Driver: driver, made: map[vector.Spec]bool{}}
	t.Cleanup(func() { tidy.clean(t) })
	return tidy
}

// tidyDriver remembers what Ensure was asked for.
type tidyDriver struct {
	*Driver
	mu   sync.Mutex
	made map[vector.Spec]bool
}

func (d *tidyDriver) Ensure(ctx context.Context, spec vector.Spec) error {
	d.mu.Lock()
	d.made[spec] = true
	d.mu.Unlock()
	return d.Driver.Ensure(ctx, spec)
}

func (d *tidyDriver) clean(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for spec := range d.made {
		_ = d.rest.do(ctx, http.MethodDelete, "/aliases/"+spec.Alias, nil, nil)
		_ = d.client.Schema().ClassDeleter().WithClassName(spec.Class).Do(ctx)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	vectortest.Run(t, open)
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	config := Config{URL: os.Getenv("WEAVIATE_URL"), GRPC: os.Getenv("WEAVIATE_GRPC")}
	if config.URL == "" || os.Getenv("WEAVIATE_API_KEY") == "" {
		t.Skip("WEAVIATE_URL or WEAVIATE_API_KEY is empty: no Weaviate that asks for a key")
	}
	id := schemas.ChunkID("c", "s", "d", "r", "h", 0)
	target := vector.Target{Class: "Wrong_key_v1", Tenant: "alice"}
	for _, key := range []string{"", "wrong"} {
		config.APIKey = key
		driver, err := Open(config)
		if err != nil {
			t.Fatal(err)
		}
		index := vector.New(driver)
		_, searched := index.Search(t.Context(), target, vector.Query{Mode: schemas.Keyword, Terms: "x", Limit: 1})
		_, deleted := index.Delete(t.Context(), target, vector.Selection{IDs: []string{id}})
		_, counted := index.Status(t.Context(), target)
		ensured := index.Ensure(t.Context(), vector.Spec{Alias: "Wrong_key", Class: target.Class, Tenant: target.Tenant})
		written := index.Upsert(t.Context(), target, []vector.Object{{ID: id, Vector: []float32{1}}})
		for what, err := range map[string]error{
			"Search": searched, "Delete": deleted, "Status": counted, "Ensure": ensured, "Upsert": written,
		} {
			if err == nil || schemas.CodeOf(err) != schemas.Unauthorized {
				t.Errorf("%s with key %q: %v, want unauthorized", what, key, err)
			}
		}
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	}
}
