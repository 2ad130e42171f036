package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	maxQuestion  = 32 << 10 // bytes of a query or a question
	searchAtOnce = 8        // queries of one request that run at the same time
	chainAsk     = "ask"
	chainSearch  = "search"
	stepRetrieve = "retrieve"
	stepGenerate = "generate"
)

type searchInput struct {
	Collection     string `path:"collection"`
	IdempotencyKey string `header:"Idempotency-Key" doc:"Becomes the run's id; with several queries, its beginning."`
	Body           rest.NewSearch
}

type searchOutput struct{ Body rest.Found }

func (g *Gateway) searchRoutes() {
	route(g, huma.Operation{
		OperationID: "search", Method: http.MethodPost, Path: "/api/v1/collections/{collection}/search",
		Summary: "Find chunks by one query or by several", Tags: []string{"search"},
		Errors: []int{http.StatusPaymentRequired, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable, http.StatusGatewayTimeout},
	}, services, g.search)
}

func (g *Gateway) search(ctx context.Context, in *searchInput) (*searchOutput, error) {
	if err := mayRun(ctx, chainSearch); err != nil {
		return nil, err
	}
	collection, err := schemas.CanonicalCollection(in.Collection)
	if err != nil {
		return nil, err
	}
	if (in.Body.Query != "") == (len(in.Body.Queries) > 0) {
		return nil, schemas.Errorf(schemas.Invalid, "send either query, with what to look for, or queries")
	}
	if in.Body.Query != "" {
		hits, err := g.find(ctx, in.IdempotencyKey, in.Body.Query, in.Body, collection)
		return &searchOutput{rest.Found{Hits: hits}}, err
	}
	return g.searchAll(ctx, in, collection)
}

func (g *Gateway) searchAll(ctx context.Context, in *searchInput, collection string) (*searchOutput, error) {
	results := make([]rest.SearchResult, len(in.Body.Queries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(searchAtOnce)
	for i, query := range in.Body.Queries {
		group.Go(func() error {
			hits, err := g.find(ctx, queryKey(in.IdempotencyKey, i), query.Text, in.Body, collection)
			results[i] = rest.SearchResult{ID: query.ID, Hits: hits}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &searchOutput{rest.Found{Results: results}}, nil
}

func queryKey(key string, i int) string {
	if key == "" {
		return ""
	}
	return key + ":" + strconv.Itoa(i)
}

// find runs the built-in chain of one retrieve step.
func (g *Gateway) find(ctx context.Context, key, query string, in rest.NewSearch, collection string) ([]schemas.Hit, error) {
	if err := checkText(query); err != nil {
		return nil, err
	}
	def := retrieveDef(collection, cmp.Or(in.Mode, schemas.Hybrid), cmp.Or(in.Limit, 10), in.Filter)
	def.Alpha = in.Alpha
	input, err := json.Marshal(map[string]any{"query": query, "filter": filterInput(in.Filter)})
	if err != nil {
		return nil, err
	}
	done, err := g.carryOut(ctx, start{
		tenant: caller(ctx).Tenant, key: key, input: input, bundle: schemas.Bundle{Chain: chainSearch, Chains: map[string]schemas.ChainDef{
			chainSearch: {Steps: []schemas.StepDef{{ID: stepRetrieve, Retrieve: def}}},
		}},
	})
	if err != nil {
		return nil, err
	}
	var output struct {
		Hits []schemas.Hit `json:"hits"`
	}
	err = g.load(ctx, done.outcome.Output, &output)
	return output.Hits, err
}

// retrieveDef is a retrieve step over the run's input. What differs from one request to the next is input, so that the bundle stays the
// same.
func retrieveDef(collection string, mode schemas.SearchMode, limit int, filter *schemas.Filter) *schemas.RetrieveDef {
	def := &schemas.RetrieveDef{Collection: collection, Query: "input.query", Mode: mode, Limit: limit}
	if filter == nil {
		return def
	}
	if filter.Source != "" {
		def.Source = "input.filter.source"
	}
	if filter.Document != "" {
		def.Document = "input.filter.document"
	}
	for name := range filter.Metadata {
		if def.Metadata == nil {
			def.Metadata = map[string]string{}
		}
		def.Metadata[name] = "input.filter.metadata[" + strconv.Quote(name) + "]"
	}
	return def
}

func filterInput(filter *schemas.Filter) *schemas.Filter {
	if filter == nil {
		return &schemas.Filter{}
	}
	return filter
}

// checkText checks a query or a question.
func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return schemas.Errorf(schemas.Invalid, "the text is empty; say what to look for")
	case len(text) > maxQuestion:
		return tooLarge(schemas.Errorf(schemas.Invalid, "the text has %d bytes; at most %d are read", len(text), maxQuestion))
	}
	return nil
}
