package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

func TestSchemasAreServed(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	g := &Gateway{api: humago.New(mux, apiConfig("test"))}
	g.schemaRoutes(mux)
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w
	}
	for _, name := range []string{"tenuto.json", "models.json", "chain.json", "prompt.json"} {
		w := get("/schemas/" + name)
		var schema map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &schema); err != nil || w.Code != http.StatusOK || schema["title"] == nil {
			t.Errorf("%s: status %d, %v: %.100s", name, w.Code, err, w.Body)
		}
		if kind := w.Header().Get("Content-Type"); kind != "application/schema+json" {
			t.Errorf("%s has the type %s", name, kind)
		}
	}
	for _, name := range []string{"none.json", "jsonschema.go", "%2e%2e%2fbundle.go"} {
		if w := get("/schemas/" + name); w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: status %d %s", name, w.Code, w.Header())
		}
	}
}
