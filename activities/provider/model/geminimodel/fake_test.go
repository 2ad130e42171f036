package geminimodel

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
)

const (
	chatModel    = "gemini-test"
	endlessModel = "gemini-endless"
	embedModel   = "gemini-embedding-test"
)

// serve answers as the real server does, in the words of modeltest.
func serve(w http.ResponseWriter, r *http.Request) {
	name, method, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1beta/models/"), ":")
	known := map[string]bool{chatModel: true, endlessModel: true, embedModel: true}
	switch {
	case r.Header.Get("X-Goog-Api-Key") != key || r.URL.Query().Has("key"):
		decline(w, 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")
	case !known[name]:
		decline(w, 404, "NOT_FOUND", "models/"+name+" is not found for API version v1beta")
	case method == "batchEmbedContents":
		embed(w, r)
	default:
		var in body
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Contents) == 0 {
			decline(w, 400, "INVALID_ARGUMENT", "contents are not specified")
			return
		}
		answer := modeltest.Answer(understood(in))
		if in.Config.LogProbs {
			answer.LogProbs = modeltest.LogProbs(answer.Text)
		}
		generate(w, r, name, answer)
	}
}

func decline(w http.ResponseWriter, status int, kind, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": status, "status": kind, "message": message}})
}

func embed(w http.ResponseWriter, r *http.Request) {
	var in struct{ Requests []embedding }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Requests) > 100 {
		decline(w, 400, "INVALID_ARGUMENT", "at most 100 requests can be in one batch")
		return
	}
	vectors := []any{}
	for _, e := range in.Requests {
		vectors = append(vectors, map[string]any{"values": modeltest.Vector(*e.Content.Parts[0].Text, cmp.Or(e.Dimensions, 256))})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"embeddings": vectors})
}

// understood reads a request back into the portable one.
func understood(in body) model.Request {
	request := model.Request{Schema: in.Config.Schema}
	if in.System != nil {
		for _, p := range in.System.Parts {
			request.Messages = append(request.Messages, model.Message{Role: model.RoleSystem, Text: *p.Text})
		}
	}
	for _, c := range in.Contents {
		for _, p := range c.Parts {
			switch {
			case p.Text != nil:
				request.Messages = append(request.Messages, model.Message{Role: c.Role, Text: *p.Text})
			case p.Result != nil:
				request.Messages = append(request.Messages, model.Message{Role: model.RoleTool, Text: fmt.Sprint(p.Result.Response["output"])})
			}
		}
	}
	if len(in.Tools) > 0 {
		for _, f := range in.Tools[0].Functions {
			request.Tools = append(request.Tools, model.Tool{Name: f.Name, Parameters: f.Schema})
		}
	}
	if in.Choice != nil && len(in.Choice.Calling.Allowed) > 0 {
		request.ToolChoice = in.Choice.Calling.Allowed[0]
	}
	return request
}

// generate sends an answer, whole or as events; an endless one of its text.
func generate(w http.ResponseWriter, r *http.Request, name string, answer model.Response) {
	usage := map[string]any{"promptTokenCount": answer.Usage.InputTokens, "candidatesTokenCount": answer.Usage.OutputTokens}
	chances := answer.LogProbs
	piece := func(finish string, parts ...any) map[string]any {
		candidate := map[string]any{"content": map[string]any{"role": "model", "parts": parts}, "index": 0}
		var chosen []any
		for _, p := range chances {
			chosen = append(chosen, map[string]any{"token": "t", "tokenId": 1, "logProbability": p})
		}
		if chosen != nil {
			candidate["logprobsResult"] = map[string]any{"chosenCandidates": chosen}
		}
		if finish != "" {
			candidate["finishReason"] = finish
		}
		return map[string]any{"candidates": []any{candidate}, "modelVersion": name + "-001", "responseId": "r1", "usageMetadata": usage}
	}
	var calls []any
	for _, c := range answer.Calls {
		calls = append(calls, map[string]any{"functionCall": map[string]any{"name": c.Name, "args": c.Arguments}, "thoughtSignature": "c2ln"})
	}
	if r.URL.Query().Get("alt") != "sse" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(piece("STOP", append([]any{map[string]any{"text": answer.Text}}, calls...)...))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(piece any) {
		data, _ := json.Marshal(piece)
		fmt.Fprintf(w, "data: %s\r\n\r\n", data)
		w.(http.Flusher).Flush()
	}
	for {
		for i, text := range modeltest.Pieces(answer.Text) {
			if answer.LogProbs != nil {
				chances = answer.LogProbs[i : i+1]
			}
			send(piece("", map[string]any{"text": text}))
		}
		if name != endlessModel || r.Context().Err() != nil {
			break
		}
	}
	chances = nil
	send(piece("STOP", calls...))
}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(serve))
	t.Cleanup(server.Close)
	modeltest.Run(t, modeltest.Target{
		Driver:    connect(t, Options{BaseURL: server.URL + "/v1beta"}),
		Generator: chatModel, Embedder: embedModel, Missing: "gemini-none", Caller: chatModel, Endless: endlessModel,
	})
}
