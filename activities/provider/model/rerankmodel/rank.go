package rerankmodel

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Rerank makes one call of /rerank as Cohere and Jina understand it. It is what drivers share whose server also does other things. Codes: those
// of model.Reranker; malformed_output for an order that does not fit the documents.
func Rerank(ctx context.Context, client *transport.Client, request model.RerankRequest) (model.RerankResponse, error) {
	return post(ctx, client, request, struct {
		Model     string   `json:"model"`
		Query     string   `json:"query"`
		Documents []string `json:"documents"`
		Top       int      `json:"top_n,omitempty"`
	}{request.Model, request.Query, request.Documents, request.Top})
}

func post(ctx context.Context, client *transport.Client, request model.RerankRequest, body any) (model.RerankResponse, error) {
	var got ranking
	if err := client.Post(ctx, transport.Call{Path: "/rerank", Body: body, Model: request.Model}, &got); err != nil {
		return model.RerankResponse{}, err
	}
	return got.response(request)
}

// ranking is an answer: Cohere's, Jina's, or the bare results of Text Embeddings Inference.
type ranking struct {
	Model   string   `json:"model"`
	Results []ranked `json:"results"`
	Usage   struct {
		Tokens int `json:"total_tokens"`
	} `json:"usage"`
	Meta struct {
		Billed struct {
			Searches float64 `json:"search_units"`
		} `json:"billed_units"`
	} `json:"meta"`
}

type ranked struct {
	Index     *int     `json:"index"`
	Relevance *float64 `json:"relevance_score"`
	Score     *float64 `json:"score"`
}

// UnmarshalJSON reads an object or bare results.
func (r *ranking) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		return json.Unmarshal(data, &r.Results)
	}
	type object ranking
	return json.Unmarshal(data, (*object)(r))
}

// response checks the order and puts the best first, which servers do not promise.
func (r ranking) response(request model.RerankRequest) (model.RerankResponse, error) {
	resp := model.RerankResponse{
		Model: cmp.Or(r.Model, request.Model), Tokens: r.Usage.Tokens, Searches: int(r.Meta.Billed.Searches),
	}
	seen := make([]bool, len(request.Documents))
	for _, one := range r.Results {
		score := cmp.Or(one.Relevance, one.Score)
		if one.Index == nil || score == nil || *one.Index < 0 || *one.Index >= len(seen) || seen[*one.Index] {
			return model.RerankResponse{}, schemas.Errorf(schemas.MalformedOutput, "the reranker %s numbered or scored its results wrongly", request.Model)
		}
		seen[*one.Index] = true
		resp.Results = append(resp.Results, model.Ranked{Index: *one.Index, Score: *score})
	}
	want := len(seen)
	if request.Top > 0 {
		want = min(want, request.Top)
	}
	if len(resp.Results) < want {
		return model.RerankResponse{}, schemas.Errorf(schemas.MalformedOutput, "the reranker %s returned %d results of %d", request.Model, len(resp.Results), want)
	}
	slices.SortStableFunc(resp.Results, func(a, b model.Ranked) int { return cmp.Compare(b.Score, a.Score) })
	resp.Results = resp.Results[:want]
	return resp, nil
}
