package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/vector"
	"github.com/tenuto-dev/tenuto/schemas"
)

// manifest is what the test reads of a stored manifest.
type manifest struct {
	Documents []struct {
		Path   string   `json:"path"`
		Recipe string   `json:"recipe"`
		Chunks []string `json:"chunks"`
	} `json:"documents"`
	Pending []string `json:"pending"`
}

// sameAsManifests requires that Weaviate holds, for the tenant, exactly the chunks that the manifests of the collection name; and
// that they are as many as want, unless it is negative.
func sameAsManifests(t *testing.T, h *house, tenant, collection string, want int) {
	t.Helper()
	named := manifestChunks(t, h, tenant, collection)
	target := vector.Target{Class: schemas.ClassName(collection, 1), Tenant: tenant}
	if found, err := h.index(t).Fetch(t.Context(), target, slices.Collect(maps.Keys(named))); err != nil || len(found) != len(named) {
		t.Errorf("%s: a filter finds %d of %d chunks: %v", collection, len(found), len(named), err)
	}
	held := indexedChunks(t, h, target)
	if want >= 0 && len(named) != want {
		t.Errorf("the manifests of %s name %d chunks, want %d", collection, len(named), want)
	}
	lost, strange := 0, 0
	for id := range named {
		if !held[id] {
			lost++
		}
	}
	for id := range held {
		if !named[id] {
			strange++
		}
	}
	if lost+strange > 0 {
		t.Errorf("%s: of %d chunks in the manifests the index lacks %d, and it holds %d others", collection, len(named), lost, strange)
	}
}

// manifestChunks reads the ids that the manifests of all sources name. It knows the sources whose number of buckets never grew.
func manifestChunks(t *testing.T, h *house, tenant, collection string) map[string]bool {
	t.Helper()
	store, ids := h.store(t), map[string]bool{}
	prefix := schemas.CollectionPrefix(tenant, collection) + "sources/"
	for info, err := range store.All(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		source, rest, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
		if !strings.HasPrefix(rest, "manifest/") {
			continue
		}
		m, err := blob.GetJSON[manifest](t.Context(), store, schemas.Ref{Key: info.Key})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Pending) > 0 {
			t.Errorf("%s still announces %d writes", info.Key, len(m.Pending))
		}
		for _, d := range m.Documents {
			for i, hash := range d.Chunks {
				ids[schemas.ChunkID(collection, source, d.Path, d.Recipe, hash, i)] = true
			}
		}
	}
	return ids
}

// indexedChunks lists a tenant's objects of a class page by page, as they are stored: no filter is asked.
func indexedChunks(t *testing.T, h *house, target vector.Target) map[string]bool {
	t.Helper()
	const page = 1000
	ids, after := map[string]bool{}, ""
	for {
		address := fmt.Sprintf("http://%s/v1/objects?class=%s&tenant=%s&limit=%d&after=%s", loopback(h.ports.weaviate), target.Class, target.Tenant, page, after)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+h.keys.WeaviateAPIKey)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var found struct{ Objects []struct{ ID string } }
		err = json.NewDecoder(response.Body).Decode(&found)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("listing %s: %s, %v", target.Class, response.Status, err)
		}
		for _, object := range found.Objects {
			ids[object.ID] = true
			after = object.ID
		}
		if len(found.Objects) < page {
			return ids
		}
	}
}
