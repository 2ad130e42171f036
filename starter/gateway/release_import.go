package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// importTime is how long an import may take: a rate limit of the code host lasts an hour.
const importTime = 2 * time.Hour

type importReleaseInput struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"The same key with the same request joins the import or has its result."`
	Body           rest.ImportRelease
}

type importReleaseOutput struct{ Body rest.ImportedReleases }

func (g *Gateway) importRoutes() {
	route(g, huma.Operation{
		OperationID: "import-release", Method: http.MethodPost, Path: "/api/v1/releases/import",
		Summary: "Make releases of a project in a repository, at the commit that a ref names now", Tags: []string{"releases"},
		Errors: []int{
			http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		},
		Metadata: map[string]any{refuses: true},
	}, operators, g.importRelease)
}

func (g *Gateway) importRelease(ctx context.Context, in *importReleaseInput) (*importReleaseOutput, error) {
	source, err := forge.ParseSource(in.Body.Source)
	if err != nil {
		return nil, err
	}
	if in.Body.Chain != "" {
		if err := schemas.CheckChain(in.Body.Chain); err != nil {
			return nil, err
		}
	}
	key := cmp.Or(in.IdempotencyKey, newID())
	if err := schemas.CheckRunID(key); err != nil {
		return nil, err
	}
	tenant := caller(ctx).Tenant
	request := schemas.ReleaseRequest{Tenant: tenant, Source: source.String(), Chain: in.Body.Chain, Message: in.Body.Message, By: actor(ctx)}
	run, err := client.Once(ctx, g.temporal, sdk.StartWorkflowOptions{
		ID: schemas.ReleaseID(tenant, key), TaskQueue: schemas.QueueInteractive, WorkflowExecutionTimeout: importTime, EnableEagerStart: true,
		StaticSummary: "release " + request.Source, Priority: temporal.Priority{PriorityKey: 2, FairnessKey: tenant},
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(tenant)),
	}, schemas.MakeRelease, request, schemas.Hash(encode(request))[:32], false)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	out, err := run.Wait(waiting)
	if err != nil && waiting.Err() != nil {
		return nil, schemas.Wrap(schemas.Deadline, err, "%s is still being read; ask again with the idempotency key %s", source, key)
	}
	if err != nil {
		return nil, err
	}
	return g.imported(ctx, tenant, out)
}

// imported tells what an import made.
func (g *Gateway) imported(ctx context.Context, tenant string, out schemas.ReleaseOutcome) (*importReleaseOutput, error) {
	text, err := blob.Text(ctx, g.store, out.Made)
	if err != nil {
		return nil, err
	}
	var made schemas.ReleasesMade
	if err := json.Unmarshal([]byte(text), &made); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "what was made of %s cannot be read", out.Source)
	}
	answer := rest.ImportedReleases{Source: out.Source, Releases: []rest.Release{}}
	for _, problem := range made.Problems {
		answer.Problems = append(answer.Problems, rest.ProjectProblem(problem))
	}
	for _, m := range made.Releases {
		release, err := g.registry.Get(ctx, tenant, m.Chain, m.Hash)
		if err != nil {
			return nil, err
		}
		item := releaseOf(release)
		item.Existed = m.Existed
		answer.Releases = append(answer.Releases, item)
	}
	return &importReleaseOutput{answer}, nil
}
