package coheremodel

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
)

const (
	chatModel    = "command-test"
	endlessModel = "command-endless"
	embedModel   = "embed-test"
)

// fake answers as the real server does, in the words of modeltest.
func fake() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v2/chat", chat)
	mux.HandleFunc("POST /v2/embed", embed)
	return mux
}

func decline(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"id": "i", "message": message})
}

func embed(w http.ResponseWriter, r *http.Request) {
	var in embedCall
	switch err := json.NewDecoder(r.Body).Decode(&in); {
	case err != nil || len(in.Texts) > 96:
		decline(w, 400, "invalid request: total number of texts must be at most 96")
	case in.Model != embedModel:
		decline(w, 404, "model '"+in.Model+"' not found")
	default:
		vectors := [][]float32{}
		for _, text := range in.Texts {
			vectors = append(vectors, modeltest.Vector(text, cmp.Or(in.Dimensions, 256)))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "i", "embeddings": map[string]any{"float": vectors}})
	}
}

func chat(w http.ResponseWriter, r *http.Request) {
	var in body
	switch err := json.NewDecoder(r.Body).Decode(&in); {
	case err != nil || len(in.Messages) == 0:
		decline(w, 400, "invalid request: messages must not be empty")
	case r.Header.Get("Authorization") != "Bearer "+key:
		decline(w, 401, "invalid api token")
	case in.Model != chatModel && in.Model != endlessModel:
		decline(w, 404, "model '"+in.Model+"' not found")
	default:
		answer := modeltest.Answer(understood(in))
		if in.LogProbs {
			answer.LogProbs = modeltest.LogProbs(answer.Text)
		}
		if in.Stream {
			stream(w, r, in.Model, answer)
			return
		}
		var calls []toolCall
		for _, c := range answer.Calls {
			calls = append(calls, toolCall{c.ID, "function", function{c.Name, string(c.Arguments)}})
		}
		w.Header().Set("Content-Type", "application/json")
		whole := map[string]any{
			"id": "i", "finish_reason": reason(answer), "usage": used(answer),
			"message": map[string]any{"role": "assistant", "content": []part{{Type: "text", Text: &answer.Text}}, "tool_calls": calls},
		}
		if in.LogProbs {
			whole["logprobs"] = []any{map[string]any{"text": answer.Text, "token_ids": []int{}, "logprobs": answer.LogProbs}}
		}
		_ = json.NewEncoder(w).Encode(whole)
	}
}

func reason(answer model.Response) string {
	if len(answer.Calls) > 0 {
		return "TOOL_CALL"
	}
	return "COMPLETE"
}

func used(answer model.Response) any {
	return map[string]any{"billed_units": map[string]any{"input_tokens": answer.Usage.InputTokens, "output_tokens": answer.Usage.OutputTokens}}
}

// understood reads a request back into the portable one.
func understood(in body) model.Request {
	var request model.Request
	for _, m := range in.Messages {
		out := model.Message{Role: m.Role, CallID: m.CallID}
		for _, p := range m.Content {
			out.Text += *p.Text
		}
		request.Messages = append(request.Messages, out)
	}
	for _, t := range in.Tools {
		request.Tools = append(request.Tools, model.Tool{Name: t.Function.Name, Parameters: t.Function.Parameters})
	}
	if in.Format != nil {
		request.Schema = in.Format.Schema
	}
	return request
}

// stream sends an answer as events; an endless one of its text.
func stream(w http.ResponseWriter, r *http.Request, name string, answer model.Response) {
	w.Header().Set("Content-Type", "text/event-stream")
	var chances any
	send := func(kind string, index int, delta any) {
		event := map[string]any{"id": "i", "type": kind, "index": index, "delta": delta}
		if chances != nil {
			event["logprobs"] = chances
		}
		data, _ := json.Marshal(event)
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, data)
		w.(http.Flusher).Flush()
	}
	said := func(field string, v any) any { return map[string]any{"message": map[string]any{field: v}} }
	send("message-start", 0, said("content", []any{}))
	send("content-start", 0, said("content", map[string]any{"type": "text", "text": ""}))
	for {
		for i, text := range modeltest.Pieces(answer.Text) {
			if answer.LogProbs != nil {
				chances = map[string]any{"text": text, "token_ids": []int{1}, "logprobs": answer.LogProbs[i : i+1]}
			}
			send("content-delta", 0, said("content", map[string]any{"text": text}))
		}
		if name != endlessModel || r.Context().Err() != nil {
			break
		}
	}
	chances = nil
	send("content-end", 0, nil)
	for i, c := range answer.Calls {
		send("tool-call-start", i, said("tool_calls", toolCall{c.ID, "function", function{Name: c.Name}}))
		for _, piece := range modeltest.Pieces(string(c.Arguments)) {
			send("tool-call-delta", i, said("tool_calls", toolCall{Function: function{Arguments: piece}}))
		}
		send("tool-call-end", i, nil)
	}
	send("message-end", 0, map[string]any{"finish_reason": reason(answer), "usage": used(answer)})
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(fake())
	t.Cleanup(server.Close)
	modeltest.Run(t, modeltest.Target{
		Driver:    connect(t, Options{BaseURL: server.URL + "/v2"}),
		Generator: chatModel, Embedder: embedModel, Missing: "command-none", Caller: chatModel, Endless: endlessModel,
	})
}
