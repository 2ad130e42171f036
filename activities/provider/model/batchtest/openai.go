package batchtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const maxUpload = 256 << 20

func (h *Handler) serveOpenAI() {
	h.mux.HandleFunc("POST /v1/files", h.upload)
	h.mux.HandleFunc("GET /v1/files/{id}/content", h.download)
	h.mux.HandleFunc("POST /v1/batches", h.order)
	h.mux.HandleFunc("GET /v1/batches", h.list)
	h.mux.HandleFunc("GET /v1/batches/{id}", h.openAIBatch(polled))
	h.mux.HandleFunc("POST /v1/batches/{id}/cancel", h.openAIBatch(cancelled))
}

func (h *Handler) upload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	file, _, err := r.FormFile("file")
	if err != nil || r.FormValue("purpose") != "batch" {
		decline(w, http.StatusBadRequest, "invalid_request_error", "", "a form with a file and the purpose batch is wanted")
		return
	}
	data, err := io.ReadAll(file)
	if err != nil {
		decline(w, http.StatusBadRequest, "invalid_request_error", "", "the file cannot be read")
		return
	}
	h.mu.Lock()
	h.stats.Files++
	id := fmt.Sprintf("file-%03d", h.stats.Files)
	h.files[id] = data
	h.mu.Unlock()
	reply(w, http.StatusOK, map[string]any{"id": id, "object": "file", "bytes": len(data), "purpose": "batch"})
}

func (h *Handler) order(w http.ResponseWriter, r *http.Request) {
	failure := h.failure()
	if fails(w, failure) {
		return
	}
	var in struct {
		Input    string            `json:"input_file_id"`
		Endpoint string            `json:"endpoint"`
		Window   string            `json:"completion_window"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Window != "24h" {
		decline(w, http.StatusBadRequest, "invalid_request_error", "", "the order cannot be used")
		return
	}
	h.mu.Lock()
	data, ok := h.files[in.Input]
	h.mu.Unlock()
	b := &batch{vendor: openAI, endpoint: in.Endpoint, input: in.Input, metadata: in.Metadata}
	if !ok || !b.read(data) {
		decline(w, http.StatusBadRequest, "invalid_request_error", "invalid_file_format", "the file is none of requests to one endpoint")
		return
	}
	taken := h.take(b)
	if failure.Drop || failure.Cut {
		panic(http.ErrAbortHandler)
	}
	reply(w, http.StatusOK, h.openAIObject(taken))
}

// read reads the file of requests, as strictly as the real server: ids differ, the endpoint is the batch's and the model one.
func (b *batch) read(data []byte) bool {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxUpload)
	ids, name := map[string]bool{}, ""
	for lines.Scan() {
		var in struct {
			ID     string          `json:"custom_id"`
			Method string          `json:"method"`
			URL    string          `json:"url"`
			Body   json.RawMessage `json:"body"`
		}
		var body struct{ Model string }
		if json.Unmarshal(lines.Bytes(), &in) != nil || json.Unmarshal(in.Body, &body) != nil {
			return false
		}
		if ids[in.ID] || in.ID == "" || in.Method != http.MethodPost || in.URL != b.endpoint || name != "" && body.Model != name {
			return false
		}
		ids[in.ID], name = true, body.Model
		b.rows = append(b.rows, row{id: in.ID, body: bytes.Clone(in.Body)})
	}
	return lines.Err() == nil && len(b.rows) > 0
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) {
	const page = 2 // so that whoever looks for one turns pages
	all := h.newest(openAI, r.URL.Query().Get("after"))
	data := []any{}
	for _, b := range all[:min(page, len(all))] {
		data = append(data, h.openAIObject(b))
	}
	reply(w, http.StatusOK, map[string]any{"object": "list", "data": data, "has_more": len(all) > page})
}

func (h *Handler) openAIBatch(change func(*Stats, *batch)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, ok := h.find(openAI, r.PathValue("id"), change)
		switch {
		case !ok:
			missing(w, "such batch")
		case r.Method == http.MethodPost && b.ended():
			decline(w, http.StatusConflict, "invalid_request_error", "", "Cannot cancel a batch with status 'completed'.")
		default:
			reply(w, http.StatusOK, h.openAIObject(b))
		}
	}
}

func (h *Handler) openAIObject(b batch) any {
	object := map[string]any{
		"id": b.id, "object": "batch", "endpoint": b.endpoint, "input_file_id": b.input, "completion_window": "24h", "created_at": b.created.Unix(),
		"metadata": b.metadata, "errors": nil, "output_file_id": nil, "error_file_id": nil, "status": "in_progress",
		"request_counts": map[string]int{"total": len(b.rows), "completed": len(b.results), "failed": len(b.errors)},
	}
	switch {
	case h.options.Refuse != "" && b.ended():
		object["status"] = "failed"
		object["errors"] = map[string]any{"object": "list", "data": []any{map[string]any{"code": h.options.Refuse, "message": "The batch was refused.", "line": nil}}}
		return object
	case b.ended() && b.cancelled:
		object["status"] = "cancelled"
	case b.ended() && b.expired():
		object["status"] = "expired"
	case b.ended():
		object["status"] = "completed"
	case b.cancelled:
		object["status"] = "cancelling"
	}
	if len(b.results) > 0 {
		object["output_file_id"] = "file-output-" + b.id
	}
	if len(b.errors) > 0 {
		object["error_file_id"] = "file-errors-" + b.id
	}
	return object
}

func (b *batch) expired() bool {
	for _, r := range b.rows {
		if r.fate == Expired {
			return true
		}
	}
	return false
}

func (h *Handler) download(w http.ResponseWriter, r *http.Request) {
	kind, id, _ := strings.Cut(strings.TrimPrefix(r.PathValue("id"), "file-"), "-")
	b, ok := h.find(openAI, id, collected)
	if !ok || !b.ended() {
		missing(w, "such file")
		return
	}
	if kind == "errors" {
		writeLines(w, b.errors)
		return
	}
	writeLines(w, b.results)
}

// openAILine is a row's line of results.
func (h *Handler) openAILine(r row) any {
	line := map[string]any{"id": "batch_req_" + r.id[:min(8, len(r.id))], "custom_id": r.id, "response": nil, "error": nil}
	status, body := http.StatusOK, json.RawMessage(nil)
	switch r.fate {
	case Expired:
		line["error"] = map[string]string{"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}
		return line
	case Cancelled:
		line["error"] = map[string]string{"code": "batch_cancelled", "message": "This request was not executed because the batch was cancelled."}
		return line
	case Invalid:
		status, body = http.StatusBadRequest, encode(problem("invalid_request_error", "", "the request cannot be used"))
	case Failing:
		status, body = http.StatusInternalServerError, encode(problem("server_error", "", "the server failed"))
	case Answered, Garbled, Lost, Twice:
		status, body = call(h.chat.ServeHTTP, "/v1/chat/completions", r.body)
	}
	line["response"] = map[string]any{"status_code": status, "request_id": "req_test", "body": body}
	return line
}

func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts
	}
	return data
}
