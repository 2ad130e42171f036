package openaimodel

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

type embedRequest struct {
	Model          string   `json:"model"`
	Input          []string `json:"input"`
	Dimensions     int      `json:"dimensions,omitempty"`
	EncodingFormat string   `json:"encoding_format,omitempty"`
}

type embedAnswer struct {
	Model string `json:"model"`
	Data  []struct {
		Index     int    `json:"index"`
		Embedding vector `json:"embedding"`
	} `json:"data"`
	Usage struct {
		PromptTokens int `json:"prompt_tokens"`
	} `json:"usage"`
}

// vectors puts the vectors in the order of the inputs.
func (d *Driver) vectors(got embedAnswer, inputs int) (model.EmbedResponse, error) {
	if len(got.Data) != inputs {
		return model.EmbedResponse{}, schemas.Errorf(schemas.MalformedOutput, "the embedder at %s returned %d vectors for %d inputs",
			d.client.Base(), len(got.Data), inputs)
	}
	resp := model.EmbedResponse{Model: got.Model, Tokens: got.Usage.PromptTokens, Vectors: make([][]float32, inputs)}
	for _, item := range got.Data {
		if item.Index < 0 || item.Index >= inputs || resp.Vectors[item.Index] != nil {
			return model.EmbedResponse{}, schemas.Errorf(schemas.MalformedOutput, "the embedder at %s numbered its vectors wrongly", d.client.Base())
		}
		resp.Vectors[item.Index] = item.Embedding
	}
	return resp, nil
}

// vector is an embedding on the wire: an array of numbers, or base64 of little-endian 32-bit floats.
type vector []float32

// UnmarshalJSON reads either form.
func (v *vector) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '"' {
		return json.Unmarshal(data, (*[]float32)(v))
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	if len(raw)%4 != 0 {
		return errors.New("base64 of an embedding does not hold whole 32-bit floats")
	}
	*v = make(vector, len(raw)/4)
	for i := range *v {
		(*v)[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return nil
}
