package retrieve

import (
	"context"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Rerank has a model of provider order hits by how well they answer query, and keeps the best top of them, all for 0. Their scores are
// then the model's. Without hits it makes no call. Codes: those of the provider.
func (a *Activities) Rerank(
	ctx context.Context, provider *model.Provider, name, tenant, query string, hits []schemas.Hit, top int,
) ([]schemas.Hit, model.RerankResponse, error) {
	if len(hits) == 0 {
		return nil, model.RerankResponse{}, nil
	}
	request := model.RerankRequest{Model: name, Query: query, Documents: make([]string, len(hits)), Top: min(top, len(hits))}
	for i, hit := range hits {
		request.Documents[i] = hit.Text
	}
	response, err := provider.Rerank(ctx, tenant, request)
	if err != nil {
		return nil, response, err
	}
	ordered := make([]schemas.Hit, len(response.Results))
	for i, place := range response.Results {
		ordered[i] = hits[place.Index]
		ordered[i].Rank, ordered[i].Score = i+1, place.Score
	}
	return ordered, response, nil
}
