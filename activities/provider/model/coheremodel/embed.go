package coheremodel

import (
	"context"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

type embedCall struct {
	Model      string   `json:"model"`
	Texts      []string `json:"texts"`
	InputType  string   `json:"input_type"`
	Types      []string `json:"embedding_types"`
	Dimensions int      `json:"output_dimension,omitempty"`
	Truncate   string   `json:"truncate"`
}

// Embed makes one call. An input that is too long is an error; nothing is cut silently.
func (d *Driver) Embed(ctx context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	call := transport.Call{Path: "/embed", Model: request.Model, Body: embedCall{
		Model: request.Model, Texts: request.Inputs, InputType: d.inputType, Types: []string{"float"},
		Dimensions: request.Dimensions, Truncate: "NONE",
	}}
	var got struct {
		Embeddings struct {
			Float [][]float32 `json:"float"`
		} `json:"embeddings"`
		Meta struct {
			Billed tokens `json:"billed_units"`
		} `json:"meta"`
	}
	if err := d.client.Post(ctx, call, &got); err != nil {
		return model.EmbedResponse{}, err
	}
	vectors := got.Embeddings.Float
	if len(vectors) != len(request.Inputs) {
		return model.EmbedResponse{}, schemas.Errorf(schemas.MalformedOutput, "the embedder at %s returned %d vectors for %d inputs",
			d.client.Base(), len(vectors), len(request.Inputs))
	}
	return model.EmbedResponse{Vectors: vectors, Model: request.Model, Tokens: int(got.Meta.Billed.Input)}, nil
}

// Limits knows Cohere's embedding models (docs.cohere.com/docs/cohere-embed) and supposes modest bounds for others, whose Dimensions it
// leaves open.
func (d *Driver) Limits(name string) (model.Limits, error) {
	known := model.Limits{MaxInputs: 96, MaxInputTokens: 65536, MaxTokensPerInput: 512, HybridAlpha: 0.5}
	switch {
	case strings.HasPrefix(name, "embed-v4"):
		known.Dimensions, known.MaxTokensPerInput, known.MaxInputTokens = 1536, 128_000, 128_000
	case strings.HasSuffix(name, "-light-v3.0"):
		known.Dimensions = 384
	case strings.HasSuffix(name, "-v3.0"):
		known.Dimensions = 1024
	}
	return d.limits.Or(known), nil
}
