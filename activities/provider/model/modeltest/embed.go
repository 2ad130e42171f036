package modeltest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strings"
)

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
func (h *Handler) embed(body []byte, _ bool) answer {
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
		status: http.StatusOK,
		body: map[string]any{
			"object": "list", "data": data, "model": EmbedModel,
			"usage": map[string]any{"prompt_tokens": tokens, "total_tokens": tokens},
		},
		count: func(s *Stats, abandoned bool) { countInputs(s, in.Input, abandoned) },
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
