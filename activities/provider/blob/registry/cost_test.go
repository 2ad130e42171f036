package registry_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/s3blob"
)

// BenchmarkResolve measures what a label costs a run: by what the registry does, and by the calls that it does not make. It needs an
// S3 server.
func BenchmarkResolve(b *testing.B) {
	if os.Getenv("S3_ENDPOINT") == "" {
		b.Skip("S3_ENDPOINT is not set")
	}
	driver, err := s3blob.Open(b.Context(), s3blob.Config{
		Endpoint: os.Getenv("S3_ENDPOINT"), Bucket: "label-cost", AccessKey: os.Getenv("S3_ACCESS_KEY"), SecretKey: os.Getenv("S3_SECRET_KEY"),
	})
	if err != nil {
		b.Fatal(err)
	}
	store := blob.New(driver)
	r := registry.New(store, time.Now)
	name := registry.LabelName{Tenant: tenant, Chain: "qa", Label: fmt.Sprintf("l%d", time.Now().UnixNano())}
	hash := ""
	for i := range 100 {
		release, _, err := r.Add(b.Context(), tenant, bundle("qa", fmt.Sprint(i%2)), about())
		if err != nil {
			b.Fatal(err)
		}
		hash = release.Hash
		if _, err := r.Move(b.Context(), registry.Move{Name: name, Release: hash, By: ann}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("one at a time", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.Resolve(b.Context(), name); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64 at a time", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := r.Resolve(b.Context(), name); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("by release", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.Pinned(b.Context(), tenant, "qa", hash); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("a list of one", func(b *testing.B) {
		for b.Loop() {
			if _, err := store.List(b.Context(), "tenants/default/labels/qa/"+name.Label+"/", "", 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("a stat of nothing", func(b *testing.B) {
		for b.Loop() {
			_, _ = store.Stat(b.Context(), "tenants/default/labels/qa/"+name.Label+"/nothing.json")
		}
	})
	b.Run("a get of something", func(b *testing.B) {
		for b.Loop() {
			if _, err := store.Get(b.Context(), "tenants/default/releases/qa/"+hash+".json"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
