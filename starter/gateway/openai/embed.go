package openai

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// embeddings is the protocol of embeddings.
type embeddings struct{}

// Operation implements relay.Protocol.
func (embeddings) Operation() model.Operation { return model.Embeddings }

// Failure implements relay.Protocol.
func (embeddings) Failure(err error) relay.Failure { return failure(err) }

// embedRequest is what of a request can be translated (platform.openai.com/docs/api-reference/embeddings/create).
type embedRequest struct {
	Input      json.RawMessage `json:"input"`
	Dimensions int             `json:"dimensions"`
	Format     string          `json:"encoding_format"`
}

var embedFields = relay.Fields{Honoured: []string{"model", "input", "dimensions", "encoding_format"}, Noted: noted}

// Translate implements relay.Protocol.
func (embeddings) Translate(body *object.Object, about relay.About) (relay.Translated, error) {
	if err := embedFields.Check(body, about.Name); err != nil {
		return nil, err
	}
	var in embedRequest
	if err := relay.Decode(body, &in); err != nil {
		return nil, err
	}
	inputs, err := in.inputs()
	switch {
	case err != nil:
		return nil, err
	case in.Dimensions < 0:
		return nil, relay.Refuse("dimensions", "integer_below_min_value", "dimensions is %d; choose 1 or more", in.Dimensions)
	case in.Format != "" && in.Format != "float" && in.Format != "base64":
		return nil, relay.Refuse("encoding_format", "invalid_value", "encoding_format is float or base64")
	}
	return func(ctx context.Context, backend relay.Backend, each func(model.Piece) error) (model.Response, error) {
		got, err := backend.Embed(ctx, model.EmbedRequest{Inputs: inputs, Dimensions: in.Dimensions})
		if err != nil {
			return model.Response{}, err
		}
		data := encode(map[string]any{
			"object": "list", "data": vectors(got.Vectors, in.Format == "base64"), "model": about.Name,
			"usage": map[string]int{"prompt_tokens": got.Tokens, "total_tokens": got.Tokens},
		})
		resp := model.Response{Model: got.Model, Finish: model.FinishStop, Usage: schemas.Usage{InputTokens: got.Tokens}}
		return resp, each(model.Piece{Bytes: data, Data: data, Last: true})
	}, nil
}

// inputs reads a text or a list of texts.
func (in embedRequest) inputs() ([]string, error) {
	var one string
	if json.Unmarshal(in.Input, &one) == nil && len(in.Input) > 0 && in.Input[0] == '"' {
		return []string{one}, nil
	}
	var several []string
	if err := json.Unmarshal(in.Input, &several); err != nil || len(several) == 0 {
		return nil, relay.Refuse("input", "invalid_value", "input is a text or a list of texts; this model's provider takes no tokens")
	}
	return several, nil
}

func vectors(all [][]float32, packed bool) []any {
	data := make([]any, len(all))
	for i, vector := range all {
		var embedding any = vector
		if packed {
			embedding = pack(vector)
		}
		data[i] = map[string]any{"object": "embedding", "index": i, "embedding": embedding}
	}
	return data
}

// pack writes 32-bit floats, the least significant byte first, in base64.
func pack(vector []float32) string {
	raw := make([]byte, 0, 4*len(vector))
	for _, x := range vector {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return base64.StdEncoding.EncodeToString(raw)
}
