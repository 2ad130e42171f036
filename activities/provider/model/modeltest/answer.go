package modeltest

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"strings"
	"unicode"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/schemas"
)

type chatRequest struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	} `json:"messages"`
	MaxTokens           int `json:"max_tokens"`
	MaxCompletionTokens int `json:"max_completion_tokens"`
	ResponseFormat      struct {
		Type       string `json:"type"`
		JSONSchema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
}

// chat answers a chat completion.
func (h *Handler) chat(body []byte) answer {
	var in chatRequest
	switch err := json.Unmarshal(body, &in); {
	case err != nil:
		return declined(http.StatusBadRequest, "", "We could not parse the JSON body of your request.")
	case in.Model != ChatModel:
		return missing(in.Model)
	case len(in.Messages) == 0:
		return declined(http.StatusBadRequest, "", "[] is too short - 'messages'")
	}
	request := in.portable()
	words := 0
	for _, m := range request.Messages {
		words += len(strings.Fields(m.Text))
	}
	if limit := h.options.ContextTokens; limit > 0 && words > limit {
		return declined(http.StatusBadRequest, "context_length_exceeded", fmt.Sprintf(
			"This model's maximum context length is %d tokens. However, your messages resulted in %d tokens.", limit, words))
	}
	sum := hash(string(body))
	return answer{http.StatusOK, completion(sum, request), func(s *Stats, abandoned bool) {
		if abandoned {
			s.Abandoned++
			return
		}
		s.Prompts[sum]++
	}}
}

func (in chatRequest) portable() model.Request {
	request := model.Request{Model: localmodel.Extractive, MaxTokens: max(in.MaxTokens, in.MaxCompletionTokens)}
	for _, m := range in.Messages {
		request.Messages = append(request.Messages, model.Message{Role: m.Role, Text: m.Content})
	}
	if in.ResponseFormat.Type == "json_schema" {
		request.Schema = in.ResponseFormat.JSONSchema.Schema
	}
	return request
}

// completion answers questions over passages as local/extractive does, and anything else by repeating its end.
func completion(id string, request model.Request) any {
	resp, err := localmodel.Driver{}.Generate(context.Background(), request)
	if err != nil {
		last := request.Messages[len(request.Messages)-1].Text
		words := strings.Fields(last)
		resp = model.Response{Text: "You said: " + strings.Join(words[max(0, len(words)-20):], " "), Finish: model.FinishStop}
		resp.Usage = schemas.Usage{InputTokens: len(words), OutputTokens: 2 + min(20, len(words))}
	}
	return map[string]any{
		"id": "chatcmpl-" + id[:24], "object": "chat.completion", "created": 1700000000, "model": ChatModel + "-2023-11-14",
		"choices": []any{map[string]any{
			"index": 0, "logprobs": nil, "finish_reason": resp.Finish,
			"message": map[string]any{"role": "assistant", "content": resp.Text, "refusal": nil},
		}},
		"usage": map[string]any{
			"prompt_tokens": resp.Usage.InputTokens, "completion_tokens": resp.Usage.OutputTokens,
			"total_tokens":              resp.Usage.InputTokens + resp.Usage.OutputTokens,
			"prompt_tokens_details":     map[string]any{"cached_tokens": 0},
			"completion_tokens_details": map[string]any{"reasoning_tokens": 0},
		},
		"system_fingerprint": "fp_test",
	}
}

// texts is the input of an embedding call: a string or several.
type texts []string

// UnmarshalJSON reads either form.
func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// embed answers an embedding call.
func (h *Handler) embed(body []byte) answer {
	var in struct {
		Model          string `json:"model"`
		Input          texts  `json:"input"`
		Dimensions     int    `json:"dimensions"`
		EncodingFormat string `json:"encoding_format"`
	}
	switch err := json.Unmarshal(body, &in); {
	case err != nil:
		return declined(http.StatusBadRequest, "", "We could not parse the JSON body of your request.")
	case in.Model != EmbedModel:
		return missing(in.Model)
	case len(in.Input) == 0 || len(in.Input) > 2048:
		return declined(http.StatusBadRequest, "", "'$.input' is invalid. Please check the API reference.")
	}
	dims := h.options.Dimensions
	if in.Dimensions > 0 {
		dims = in.Dimensions
	}
	data := make([]any, len(in.Input))
	tokens := 0
	for i, text := range in.Input {
		if text == "" {
			return declined(http.StatusBadRequest, "", "'$.input' is invalid. Please check the API reference.")
		}
		tokens += len(strings.Fields(text))
		data[i] = map[string]any{"object": "embedding", "index": i, "embedding": encode(Vector(text, dims), in.EncodingFormat)}
	}
	return answer{
		http.StatusOK,
		map[string]any{
			"object": "list", "data": data, "model": EmbedModel,
			"usage": map[string]any{"prompt_tokens": tokens, "total_tokens": tokens},
		},
		func(s *Stats, abandoned bool) { countInputs(s, in.Input, abandoned) },
	}
}

func countInputs(s *Stats, inputs []string, abandoned bool) {
	counts := s.Inputs
	if abandoned {
		s.Abandoned++
		counts = s.Left
	}
	for _, text := range inputs {
		counts[hash(text)]++
	}
}

func encode(vector []float32, format string) any {
	if format != "base64" {
		return vector
	}
	data := make([]byte, 0, 4*len(vector))
	for _, x := range vector {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(data)
}

// Vector is how a Handler embeds text: its words, hashed to a place and a sign each, to length 1.
func Vector(text string, dims int) []float32 {
	sums := make([]float64, dims)
	for word := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		h := fnv.New64a()
		_, _ = h.Write([]byte(word))
		sum := h.Sum64()
		sums[sum%uint64(dims)] += 1 - 2*float64(sum>>63)
	}
	square := 0.0
	for _, x := range sums {
		square += x * x
	}
	if square == 0 {
		sums[0], square = 1, 1
	}
	vector := make([]float32, dims)
	for i, x := range sums {
		vector[i] = float32(x / math.Sqrt(square))
	}
	return vector
}

// models lists what is served.
func (h *Handler) models(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"object": "list", "data": []any{
		map[string]any{"id": ChatModel, "object": "model", "created": 1700000000, "owned_by": "tenuto"},
		map[string]any{"id": EmbedModel, "object": "model", "created": 1700000000, "owned_by": "tenuto"},
	}})
}

func declined(status int, code, message string) answer {
	return answer{status, problem("invalid_request_error", code, message), func(*Stats, bool) {}}
}

func missing(name string) answer {
	return declined(http.StatusNotFound, "model_not_found",
		fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", name))
}
