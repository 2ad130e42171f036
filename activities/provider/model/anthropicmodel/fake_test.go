package anthropicmodel

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/internal/cite"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	chatModel    = "claude-test-4-5"
	endlessModel = "claude-endless-4-5"
	embedModel   = "test-embed"
)

// serve answers Messages as the real server does, in the words of modeltest.
func serve(w http.ResponseWriter, r *http.Request) {
	var in call
	switch err := json.NewDecoder(r.Body).Decode(&in); {
	case err != nil || in.MaxTokens == 0 || len(in.Messages) == 0:
		decline(w, http.StatusBadRequest, "invalid_request_error", "the body cannot be used")
		return
	case r.Header.Get("X-Api-Key") != key:
		decline(w, http.StatusUnauthorized, "authentication_error", "invalid x-api-key")
		return
	case in.Model != chatModel && in.Model != endlessModel:
		decline(w, http.StatusNotFound, "not_found_error", "model: "+in.Model)
		return
	}
	request := understood(in)
	answer := modeltest.Answer(request)
	out := reply{ID: "msg_" + schemas.Hash(fmt.Append(nil, request))[:20], Model: in.Model, StopReason: "end_turn"}
	if len(request.Schema) > 0 {
		out.StopReason = "tool_use"
		out.Content = append(out.Content, block{Type: toolBlock, ID: "toolu_1", Name: cite.AnswerSchemaName, Input: json.RawMessage(answer.Text)})
	} else if answer.Text != "" {
		out.Content = append(out.Content, block{Type: textBlock, Text: answer.Text})
	}
	for _, c := range answer.Calls {
		out.StopReason = "tool_use"
		out.Content = append(out.Content, block{Type: toolBlock, ID: c.ID, Name: c.Name, Input: c.Arguments})
	}
	out.Usage = usage{Input: &answer.Usage.InputTokens, Output: &answer.Usage.OutputTokens}
	if in.Stream {
		stream(w, r, out)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

func decline(w http.ResponseWriter, status int, kind, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "error", "error": map[string]string{"type": kind, "message": message}})
}

// understood reads a request back into the portable one.
func understood(in call) model.Request {
	var request model.Request
	for _, b := range in.System {
		request.Messages = append(request.Messages, model.Message{Role: model.RoleSystem, Text: b.Text})
	}
	for _, turn := range in.Messages {
		for _, b := range turn.Content {
			m := model.Message{Role: turn.Role, Text: b.Text}
			switch b.Type {
			case "tool_result":
				m = model.Message{Role: model.RoleTool, CallID: b.ToolUseID, Text: b.Content[0].Text}
			case toolBlock:
				m.Calls = []model.ToolCall{{ID: b.ID, Name: b.Name, Arguments: b.Input}}
			}
			request.Messages = append(request.Messages, m)
		}
	}
	for _, t := range in.Tools {
		if t.Name == cite.AnswerSchemaName {
			request.Schema = t.Schema
			continue
		}
		request.Tools = append(request.Tools, model.Tool{Name: t.Name, Parameters: t.Schema})
	}
	if in.ToolChoice != nil {
		request.ToolChoice = in.ToolChoice.Name
	}
	return request
}

// stream sends a message as events; an endless one of its first block.
func stream(w http.ResponseWriter, r *http.Request, out reply) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	send := func(kind string, fields map[string]any) {
		fields["type"] = kind
		data, _ := json.Marshal(fields)
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, data)
		w.(http.Flusher).Flush()
	}
	send("message_start", map[string]any{"message": map[string]any{"id": out.ID, "model": out.Model, "content": []any{}, "usage": out.Usage}})
	for i, b := range out.Content {
		field, kind, whole := "text", "text_delta", b.Text
		if b.Type == toolBlock {
			field, kind, whole = "partial_json", "input_json_delta", string(b.Input)
			b.Input = json.RawMessage(`{}`)
		}
		b.Text = ""
		send("content_block_start", map[string]any{"index": i, "content_block": b})
		send("ping", map[string]any{})
		for {
			for _, piece := range modeltest.Pieces(whole) {
				send("content_block_delta", map[string]any{"index": i, "delta": map[string]any{"type": kind, field: piece}})
			}
			if out.Model != endlessModel || r.Context().Err() != nil {
				break
			}
		}
		send("content_block_stop", map[string]any{"index": i})
	}
	send("message_delta", map[string]any{"delta": map[string]any{"stop_reason": out.StopReason}, "usage": out.Usage})
	send("message_stop", map[string]any{})
}

// embedding lends a driver the embedder that the suite wants and Anthropic does not have.
type embedding struct{ *Driver }

func (embedding) Embed(ctx context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	if request.Model != embedModel {
		return model.EmbedResponse{}, schemas.Errorf(schemas.NotFound, "no %s", request.Model)
	}
	resp := model.EmbedResponse{Model: request.Model}
	for _, input := range request.Inputs {
		resp.Vectors = append(resp.Vectors, modeltest.Vector(input, cmp.Or(request.Dimensions, 256)))
	}
	return resp, ctx.Err()
}

func (embedding) Limits(string) (model.Limits, error) { return model.Limits{MaxInputs: 8}, nil }

func TestConformance(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(serve))
	t.Cleanup(server.Close)
	modeltest.Run(t, modeltest.Target{
		Driver:    embedding{connect(t, Options{BaseURL: server.URL + "/v1"})},
		Generator: chatModel, Embedder: embedModel, Missing: "claude-none", Caller: chatModel, Endless: endlessModel,
	})
}
