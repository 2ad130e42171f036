package gateway

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	maxQuestion  = 32 << 10        // bytes of a query or a question
	searchAtOnce = 8               // queries of one request that run at the same time
	runTime      = 2 * time.Minute // how long a request waits for a run
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
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable, http.StatusGatewayTimeout},
	}, services, g.search)
}

func (g *Gateway) search(ctx context.Context, in *searchInput) (*searchOutput, error) {
	collection, err := schemas.CanonicalCollection(in.Collection)
	if err != nil {
		return nil, err
	}
	if (in.Body.Query != "") == (len(in.Body.Queries) > 0) {
		return nil, schemas.Errorf(schemas.Invalid, "send either query, with what to look for, or queries")
	}
	settings := schemas.RetrieveSettings{
		Collection: collection, Mode: cmp.Or(in.Body.Mode, schemas.Hybrid), Limit: cmp.Or(in.Body.Limit, 10),
		Alpha: in.Body.Alpha, Filter: in.Body.Filter,
	}
	if in.Body.Query != "" {
		hits, err := g.find(ctx, cmp.Or(in.IdempotencyKey, newID()), in.Body.Query, settings)
		return &searchOutput{rest.Found{Hits: hits}}, err
	}
	return g.searchAll(ctx, in, settings)
}

func (g *Gateway) searchAll(ctx context.Context, in *searchInput, settings schemas.RetrieveSettings) (*searchOutput, error) {
	results := make([]rest.SearchResult, len(in.Body.Queries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(searchAtOnce)
	for i, query := range in.Body.Queries {
		group.Go(func() error {
			hits, err := g.find(ctx, queryRunID(in.IdempotencyKey, i), query.Text, settings)
			results[i] = rest.SearchResult{ID: query.ID, Hits: hits}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &searchOutput{rest.Found{Results: results}}, nil
}

func queryRunID(key string, i int) string {
	if key == "" {
		return newID()
	}
	return key + ":" + strconv.Itoa(i)
}

// find runs the built-in chain of one retrieve step.
func (g *Gateway) find(ctx context.Context, run, query string, settings schemas.RetrieveSettings) ([]schemas.Hit, error) {
	outcome, err := g.run(ctx, run, query, schemas.ChainSpec{
		Name:  "search",
		Steps: []schemas.Step{{ID: stepRetrieve, Kind: schemas.StepRetrieve, Retrieve: &settings}},
	})
	if err != nil {
		return nil, err
	}
	hits := []schemas.Hit{}
	return hits, g.load(ctx, outcome.Output, &hits)
}

// run executes a chain on a text and waits for the outcome; a run that was executed before answers with its stored outcome.
// Errors: invalid for an unusable text or run id, conflict where the run id belongs to another request, deadline where the run
// takes longer than the caller can wait, and what the run itself failed with.
func (g *Gateway) run(ctx context.Context, id, text string, chain schemas.ChainSpec) (schemas.RunOutcome, error) {
	tenant := caller(ctx).Tenant
	input, err := g.content(ctx, tenant, text)
	if err != nil {
		return schemas.RunOutcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	run, err := client.StartChain(ctx, g.temporal, schemas.ChainRequest{
		Tenant: tenant, RunID: id, Chain: chain, Input: input,
	}, client.ChainOptions{})
	if err != nil {
		return schemas.RunOutcome{}, err
	}
	outcome, err := run.Wait(ctx)
	if err != nil && ctx.Err() != nil {
		return outcome, schemas.Wrap(schemas.Deadline, err,
			"run %s has no result yet and goes on; ask for it at /api/v1/runs/%s, and if it stays so, \"tenuto doctor\" says whether a worker runs", id, id)
	}
	return outcome, err
}

// content checks a caller's text and makes it part of a message: a short one inline, a long one by reference.
func (g *Gateway) content(ctx context.Context, tenant, text string) (schemas.Content, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return schemas.Content{}, schemas.Errorf(schemas.Invalid, "the text is empty; say what to look for")
	case len(text) > maxQuestion:
		return schemas.Content{}, tooLarge(schemas.Errorf(schemas.Invalid, "the text has %d bytes; at most %d are read", len(text), maxQuestion))
	case len(text) <= schemas.InlineBytes:
		return schemas.Content{Text: text}, nil
	}
	sum := schemas.Hash([]byte(text))
	ref := schemas.Ref{Key: schemas.BlobKey(tenant, sum), SHA256: sum, Bytes: int64(len(text))}
	_, err := g.store.PutIfAbsent(ctx, ref.Key, []byte(text))
	return schemas.Content{Ref: ref}, err
}
