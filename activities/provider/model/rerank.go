package model

import (
	"context"
	"math"
	"unicode/utf8"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Rerank orders documents by how well they answer a query. It makes one call. Nothing is recorded.
//
// Codes: those of Driver.Generate; invalid also when the provider has no reranker, or for a request that none could serve;
// malformed_output when the order does not fit the request.
func (p *Provider) Rerank(ctx context.Context, tenant string, request RerankRequest) (RerankResponse, error) {
	if err := schemas.CheckTenant(tenant); err != nil {
		return RerankResponse{}, err
	}
	driver, ok := p.Driver.(Reranker)
	if !ok {
		return RerankResponse{}, schemas.Errorf(schemas.Invalid, "the model provider %s has no reranker; name a model of one that has", p.Name)
	}
	if err := checkRerank(request); err != nil {
		return RerankResponse{}, err
	}
	ctx, told := p.Meter.Called(ctx, meter.Call{Operation: meter.Rerank, Vendor: p.Vendor, Model: request.Model, Inputs: len(request.Documents)})
	resp, err := driver.Rerank(ctx, request)
	told.End(meter.Answer{Model: resp.Model, Usage: schemas.Usage{InputTokens: resp.Tokens}}, err)
	if err != nil {
		return RerankResponse{}, p.normal(ctx, err)
	}
	if err := checkOrder(request, resp.Results); err != nil {
		return RerankResponse{}, err
	}
	return resp, nil
}

func checkRerank(request RerankRequest) error {
	switch {
	case request.Model == "":
		return schemas.Errorf(schemas.Invalid, "the request names no model")
	case request.Query == "" || !utf8.ValidString(request.Query):
		return schemas.Errorf(schemas.Invalid, "the query is empty or not valid UTF-8")
	case len(request.Documents) == 0:
		return schemas.Errorf(schemas.Invalid, "there is nothing to rerank")
	case request.Top < 0:
		return schemas.Errorf(schemas.Invalid, "top %d: choose 1 or more, or 0 for all", request.Top)
	}
	for i, document := range request.Documents {
		if document == "" || !utf8.ValidString(document) {
			return schemas.Errorf(schemas.Invalid, "document %d is empty or not valid UTF-8", i+1)
		}
	}
	return nil
}

// checkOrder reports an order that does not fit the request: too many or too few places, one that is no document's or taken twice,
// or scores that are no numbers or do not fall.
func checkOrder(request RerankRequest, order []Ranked) error {
	want := len(request.Documents)
	if request.Top > 0 {
		want = min(want, request.Top)
	}
	if len(order) != want {
		return schemas.Errorf(schemas.MalformedOutput, "the reranker %s returned %d places; expected %d", request.Model, len(order), want)
	}
	seen := map[int]bool{}
	for i, place := range order {
		falls := i == 0 || place.Score <= order[i-1].Score
		if place.Index < 0 || place.Index >= len(request.Documents) || seen[place.Index] || !falls || math.IsNaN(place.Score) {
			return schemas.Errorf(schemas.MalformedOutput, "the reranker %s returned no order of the documents", request.Model)
		}
		seen[place.Index] = true
	}
	return nil
}
