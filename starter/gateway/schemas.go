package gateway

import (
	"bytes"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/schemas/jsonschema"
)

// schemaRoutes serves the JSON Schemas of a project's files to editors, which send no key. It is described by hand: its answers are
// files.
func (g *Gateway) schemaRoutes(mux *http.ServeMux) {
	g.api.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "schema", Method: http.MethodGet, Path: "/schemas/{name}",
		Summary: "Show the JSON Schema of a kind of file: tenuto.json, models.json, chain.json or prompt.json", Tags: []string{"operation"},
		Parameters: []*huma.Param{{Name: "name", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}},
		Responses: map[string]*huma.Response{"200": {
			Description: "OK", Content: map[string]*huma.MediaType{"application/schema+json": {Schema: &huma.Schema{Type: "object"}}},
		}},
	})
	mux.HandleFunc("GET /schemas/{name}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		text, err := jsonschema.Files.ReadFile(name)
		if err != nil {
			newProblem(http.StatusNotFound, schemas.NotFound, "there is no such schema; there are tenuto.json, models.json, chain.json and prompt.json").
				write(w, requestID(r.Context()))
			return
		}
		w.Header().Set("Content-Type", "application/schema+json")
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Access-Control-Allow-Origin", "*") // editors in a browser
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(text))
	})
}
