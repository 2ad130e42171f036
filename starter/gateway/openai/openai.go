// Package openai serves OpenAI's API for configured models and chains: chat completions, embeddings, and the list of models.
package openai

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// Mount adds the routes below /v1/ to mux. What else is asked for there is answered in OpenAI's form, too.
func Mount(mux *http.ServeMux, r *relay.Relay, authorize relay.Authorize) {
	h := &handler{r, authorize}
	mux.HandleFunc("POST /v1/chat/completions", h.serve(chat{}))
	mux.HandleFunc("POST /v1/embeddings", h.serve(embeddings{}))
	mux.HandleFunc("GET /v1/models", h.models)
	mux.HandleFunc("GET /v1/models/{id...}", h.model)
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, _ *http.Request) {
		missing := problem{Message: "there is no such route or method; /openapi.json lists all", Type: invalidRequest, Code: "unknown_url"}
		relay.Fail(w, relay.Failure{Status: http.StatusNotFound, Body: missing.encode()})
	})
}

type handler struct {
	relay     *relay.Relay
	authorize relay.Authorize
}

func (h *handler) serve(p relay.Protocol) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key, err := h.authorize(r)
		if err != nil {
			relay.Fail(w, failure(err).WithoutKey())
			return
		}
		h.relay.Serve(w, r, p, key)
	}
}

// listed is a model in a list (platform.openai.com/docs/api-reference/models/object). When it was made is not known here.
type listed struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func list(name string) listed {
	owner, _, ok := strings.Cut(name, "/")
	if !ok {
		owner = "tenuto"
	}
	return listed{ID: name, Object: "model", OwnedBy: owner}
}

func (h *handler) models(w http.ResponseWriter, r *http.Request) {
	key, err := h.authorize(r)
	if err != nil {
		relay.Fail(w, failure(err).WithoutKey())
		return
	}
	names, err := h.relay.Names(r.Context(), key)
	if err != nil {
		relay.Fail(w, failure(err))
		return
	}
	data := []listed{}
	for _, name := range names {
		data = append(data, list(name))
	}
	reply(w, map[string]any{"object": "list", "data": data})
}

func (h *handler) model(w http.ResponseWriter, r *http.Request) {
	key, err := h.authorize(r)
	if err != nil {
		relay.Fail(w, failure(err).WithoutKey())
		return
	}
	name := r.PathValue("id")
	if err := h.relay.Check(r.Context(), key, name); err != nil {
		relay.Fail(w, failure(err))
		return
	}
	reply(w, list(name))
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) //nolint:errchkjson // the caller may be gone; there is nobody else to tell
}

// encode writes a value of ours, all of which marshal.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
