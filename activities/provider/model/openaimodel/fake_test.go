package openaimodel

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
)

// responder speaks the Responses API, answers as modeltest does, and leaves embeddings to its handler. Its answers reason first.
type responder struct{ *modeltest.Handler }

func (s responder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/responses" {
		s.Handler.ServeHTTP(w, r)
		return
	}
	var in struct {
		Model  string
		Input  []json.RawMessage
		Tools  []model.Tool
		Stream bool
		Text   struct {
			Format struct{ Schema json.RawMessage }
		}
		Choice  any `json:"tool_choice"`
		Include []string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Model != modeltest.ChatModel && in.Model != modeltest.EndlessModel {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"code":"model_not_found","param":"model","message":"The requested model does not exist."}}`)
		return
	}
	request := model.Request{Tools: in.Tools, Schema: in.Text.Format.Schema}
	if named, ok := in.Choice.(map[string]any); ok {
		request.ToolChoice, _ = named["name"].(string)
	}
	for _, item := range in.Input {
		request.Messages = append(request.Messages, understood(item))
	}
	resp := modeltest.Answer(request)
	if slices.Contains(in.Include, "message.output_text.logprobs") {
		resp.LogProbs = modeltest.LogProbs(resp.Text)
	}
	s.write(w, r, in.Stream, in.Model, resp)
}

func understood(item json.RawMessage) model.Message {
	var in struct{ Type, Role, Content, Output string }
	_ = json.Unmarshal(item, &in) // what is not understood counts as a silent user
	if in.Type == "function_call_output" {
		return model.Message{Role: model.RoleTool, Text: in.Output}
	}
	return model.Message{Role: in.Role, Text: in.Content}
}

func (s responder) write(w http.ResponseWriter, r *http.Request, stream bool, name string, resp model.Response) {
	items := []any{map[string]any{"type": "reasoning", "id": "rs", "encrypted_content": "secret", "summary": []any{}}}
	if resp.Text != "" {
		chances := []token{}
		for _, p := range resp.LogProbs {
			chances = append(chances, token{p})
		}
		part := map[string]any{"type": "output_text", "text": resp.Text, "logprobs": chances}
		items = append(items, map[string]any{"type": "message", "role": "assistant", "content": []any{part}})
	}
	for _, c := range resp.Calls {
		items = append(items, inputCall{"function_call", c.ID, c.Name, string(c.Arguments)})
	}
	whole := map[string]any{
		"id": "resp", "model": name, "status": "completed", "error": nil, "output": items,
		"usage": map[string]int{"input_tokens": resp.Usage.InputTokens, "output_tokens": resp.Usage.OutputTokens},
	}
	if !stream {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(whole)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(kind string, event map[string]any) {
		event["type"] = kind
		data, _ := json.Marshal(event)
		_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, data)
		_ = http.NewResponseController(w).Flush()
	}
	send("response.created", map[string]any{"response": map[string]any{"status": "in_progress", "error": nil}})
	for _, piece := range modeltest.Pieces(resp.Text) {
		send("response.output_text.delta", map[string]any{"delta": piece})
	}
	for name == modeltest.EndlessModel && r.Context().Err() == nil {
		send("response.output_text.delta", map[string]any{"delta": "again "})
	}
	for i, item := range items {
		send("response.output_item.done", map[string]any{"output_index": i, "item": item})
	}
	send("response.completed", map[string]any{"response": whole})
}

func TestResponsesConformance(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(responder{modeltest.NewHandler(modeltest.Options{})})
	t.Cleanup(server.Close)
	modeltest.Run(t, modeltest.Target{
		Driver:    connect(t, Options{BaseURL: server.URL + "/v1", API: Responses}),
		Generator: modeltest.ChatModel, Embedder: modeltest.EmbedModel, Missing: "missing",
		Caller: modeltest.ChatModel, Endless: modeltest.EndlessModel,
	})
}
