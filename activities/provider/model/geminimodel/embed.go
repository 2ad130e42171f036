package geminimodel

import (
	"context"
	"strings"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

type embedding struct {
	Model      string  `json:"model"`
	Content    content `json:"content"`
	TaskType   string  `json:"taskType,omitempty"`
	Dimensions int     `json:"outputDimensionality,omitempty"`
}

// Embed makes one call of batchEmbedContents. Vectors of fewer dimensions than the model's own may have another length than 1.
func (d *Driver) Embed(ctx context.Context, request model.EmbedRequest) (model.EmbedResponse, error) {
	requests := make([]embedding, len(request.Inputs))
	kind, rest := resource(request.Model)
	for i := range request.Inputs {
		requests[i] = embedding{kind + rest, content{Parts: []part{{Text: &request.Inputs[i]}}}, d.taskType, request.Dimensions}
	}
	var got struct {
		Embeddings []struct {
			Values []float32 `json:"values"`
		} `json:"embeddings"`
		Usage usage `json:"usageMetadata"`
	}
	call := transport.Call{
		Path: path(request.Model, "batchEmbedContents"), Body: map[string]any{"requests": requests}, Model: request.Model,
	}
	if err := d.client.Post(ctx, call, &got); err != nil {
		return model.EmbedResponse{}, err
	}
	if len(got.Embeddings) != len(requests) {
		return model.EmbedResponse{}, schemas.Errorf(schemas.MalformedOutput, "the embedder at %s returned %d vectors for %d inputs",
			d.client.Base(), len(got.Embeddings), len(requests))
	}
	resp := model.EmbedResponse{Model: request.Model, Tokens: got.Usage.Prompt, Vectors: make([][]float32, len(requests))}
	for i, e := range got.Embeddings {
		resp.Vectors[i] = e.Values
	}
	return resp, nil
}

// Limits knows Google's embedding models (ai.google.dev/gemini-api/docs/embeddings) and supposes modest bounds for others, whose Dimensions
// it leaves open.
func (d *Driver) Limits(name string) (model.Limits, error) {
	known := model.Limits{MaxInputs: 100, MaxInputTokens: 65536, MaxTokensPerInput: 2048, HybridAlpha: 0.5}
	switch strings.TrimPrefix(name, "models/") {
	case "gemini-embedding-001":
		known.Dimensions = 3072
	case "gemini-embedding-2", "gemini-embedding-2-preview":
		known.Dimensions, known.MaxTokensPerInput = 3072, 8192
	}
	return d.limits.Or(known), nil
}
