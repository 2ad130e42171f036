package batchtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

func (h *Handler) serveAnthropic() {
	h.mux.HandleFunc("POST /v1/messages/batches", h.orderMessages)
	h.mux.HandleFunc("GET /v1/messages/batches", h.listMessages)
	h.mux.HandleFunc("GET /v1/messages/batches/{id}", h.messageBatch(polled))
	h.mux.HandleFunc("POST /v1/messages/batches/{id}/cancel", h.messageBatch(cancelled))
	h.mux.HandleFunc("GET /v1/messages/batches/{id}/results", h.results)
}

var customID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func (h *Handler) orderMessages(w http.ResponseWriter, r *http.Request) {
	failure := h.failure()
	if fails(w, failure) {
		return
	}
	var in struct {
		Requests []struct {
			ID     string          `json:"custom_id"`
			Params json.RawMessage `json:"params"`
		} `json:"requests"`
	}
	ids := map[string]bool{}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxUpload)).Decode(&in)
	b := &batch{vendor: anthropic}
	for _, request := range in.Requests {
		if ids[request.ID] || !customID.MatchString(request.ID) {
			err = fmt.Errorf("custom_id %q", request.ID)
		}
		ids[request.ID] = true
		b.rows = append(b.rows, row{id: request.ID, body: request.Params})
	}
	if err != nil || len(b.rows) == 0 || r.Header.Get("Anthropic-Version") == "" {
		decline(w, http.StatusBadRequest, "invalid_request_error", "", "the order cannot be used")
		return
	}
	taken := h.take(b)
	if failure.Drop || failure.Cut {
		panic(http.ErrAbortHandler)
	}
	reply(w, http.StatusOK, messageObject(r, taken))
}

func (h *Handler) listMessages(w http.ResponseWriter, r *http.Request) {
	const page = 2
	all := h.newest(anthropic, r.URL.Query().Get("after_id"))
	data, last := []any{}, ""
	for _, b := range all[:min(page, len(all))] {
		data, last = append(data, messageObject(r, b)), b.id
	}
	reply(w, http.StatusOK, map[string]any{"data": data, "has_more": len(all) > page, "last_id": last})
}

func (h *Handler) messageBatch(change func(*Stats, *batch)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, ok := h.find(anthropic, r.PathValue("id"), change)
		switch {
		case !ok:
			missing(w, "such batch")
		case r.Method == http.MethodPost && b.ended():
			decline(w, http.StatusBadRequest, "invalid_request_error", "", "the batch has ended")
		default:
			reply(w, http.StatusOK, messageObject(r, b))
		}
	}
}

func messageObject(r *http.Request, b batch) any {
	counts := map[string]int{"processing": len(b.rows), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
	object := map[string]any{
		"id": b.id, "type": "message_batch", "processing_status": "in_progress", "created_at": b.created.UTC().Format(time.RFC3339Nano),
		"archived_at": nil, "results_url": nil, "request_counts": counts,
	}
	switch {
	case b.ended():
		object["processing_status"], counts["processing"] = "ended", 0
		object["results_url"] = "http://" + r.Host + "/v1/messages/batches/" + b.id + "/results"
		for _, row := range b.rows {
			counts[countOf(row.fate)]++
		}
	case b.cancelled:
		object["processing_status"] = "canceling"
	}
	return object
}

func countOf(fate Fate) string {
	switch fate {
	case Invalid, Failing:
		return "errored"
	case Expired:
		return "expired"
	case Cancelled:
		return "canceled"
	case Answered, Garbled, Lost, Twice:
	}
	return "succeeded"
}

func (h *Handler) results(w http.ResponseWriter, r *http.Request) {
	b, ok := h.find(anthropic, r.PathValue("id"), collected)
	if !ok || !b.ended() {
		missing(w, "such result")
		return
	}
	writeLines(w, b.results)
}

// anthropicLine is a row's line of results.
func anthropicLine(r row) any {
	result := map[string]any{}
	switch r.fate {
	case Expired:
		result["type"] = "expired"
	case Cancelled:
		result["type"] = "canceled"
	case Invalid:
		result["type"], result["error"] = "errored", problem("invalid_request_error", "", "the request cannot be used")
	case Failing:
		result["type"], result["error"] = "errored", problem("api_error", "", "the server failed")
	case Answered, Garbled, Lost, Twice:
		status, body := call(message, "/v1/messages", r.body)
		result["type"], result["message"] = "succeeded", body
		if status != http.StatusOK {
			result = map[string]any{"type": "errored", "error": body}
		}
	}
	return map[string]any{"custom_id": r.id, "result": result}
}

// message answers a call of Messages without tools, in the words of modeltest.
func message(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Model    string `json:"model"`
		Messages []struct {
			Role    string
			Content []struct{ Text string }
		} `json:"messages"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Messages) == 0 {
		decline(w, http.StatusBadRequest, "invalid_request_error", "", "the body cannot be used")
		return
	}
	if in.Model != ClaudeModel {
		missing(w, "model "+in.Model)
		return
	}
	var request model.Request
	var said strings.Builder
	for _, m := range in.Messages {
		texts := make([]string, len(m.Content))
		for i, part := range m.Content {
			texts[i] = part.Text
		}
		text := strings.Join(texts, "")
		said.WriteString(text)
		request.Messages = append(request.Messages, model.Message{Role: m.Role, Text: text})
	}
	answer := modeltest.Answer(request)
	reply(w, http.StatusOK, map[string]any{
		"id": "msg_" + schemas.Hash([]byte(said.String()))[:20], "type": "message", "role": "assistant", "model": in.Model, "stop_reason": "end_turn",
		"content": []any{map[string]string{"type": "text", "text": answer.Text}},
		"usage":   map[string]int{"input_tokens": answer.Usage.InputTokens, "output_tokens": answer.Usage.OutputTokens},
	})
}
