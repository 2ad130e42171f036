package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type askInput struct {
	Collection     string `path:"collection"`
	IdempotencyKey string `header:"Idempotency-Key" doc:"Becomes the run's id; the same key with the same question has the same answer, and it is paid for once."`
	Body           rest.NewAsk
}

type askOutput struct{ Body rest.Answered }

type runInput struct {
	ID string `path:"run" doc:"Id of the run."`
}

type runOutput struct{ Body rest.Run }

func (g *Gateway) askRoutes() {
	route(g, huma.Operation{
		OperationID: "ask", Method: http.MethodPost, Path: "/api/v1/collections/{collection}/ask",
		Summary: "Answer a question from a collection, with citations", Tags: []string{"chains"},
		Metadata: map[string]any{refuses: true},
		Errors: []int{
			http.StatusPaymentRequired, http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		},
	}, services, g.ask)
	route(g, huma.Operation{
		OperationID: "show-run", Method: http.MethodGet, Path: "/api/v1/runs/{run}",
		Summary: "Show the record of a run", Tags: []string{"chains"}, Errors: []int{http.StatusNotFound},
	}, services, g.showRun)
}

func (g *Gateway) ask(ctx context.Context, in *askInput) (*askOutput, error) {
	start := time.Now()
	collection, err := schemas.CanonicalCollection(in.Collection)
	if err != nil {
		return nil, err
	}
	id := cmp.Or(in.IdempotencyKey, newID())
	outcome, err := g.run(ctx, id, in.Body.Question, g.askChain(collection, in.Body))
	if err != nil {
		return nil, err
	}
	var answer schemas.Answer
	if err := g.load(ctx, outcome.Output, &answer); err != nil {
		return nil, err
	}
	if answer.Citations == nil {
		answer.Citations = []schemas.Citation{}
	}
	return &askOutput{rest.Answered{
		RunID: id, Answer: answer.Text, Citations: answer.Citations, Model: answer.Model, Usage: outcome.Usage,
		LatencyMS: float64(time.Since(start).Microseconds()) / 1000,
	}}, nil
}

// askChain is the built-in chain of two steps: find chunks, then answer from them.
func (g *Gateway) askChain(collection string, in rest.NewAsk) schemas.ChainSpec {
	return schemas.ChainSpec{Name: "ask", Steps: []schemas.Step{
		{ID: stepRetrieve, Kind: schemas.StepRetrieve, Retrieve: &schemas.RetrieveSettings{
			Collection: collection, Mode: cmp.Or(in.Mode, schemas.Hybrid), Limit: cmp.Or(in.Limit, 6), Filter: in.Filter,
		}},
		{ID: stepGenerate, Kind: schemas.StepGenerate, Needs: []string{stepRetrieve}, Generate: &schemas.GenerateSettings{
			Model: cmp.Or(in.Model, g.defaults.Model), MaxTokens: in.MaxTokens,
		}},
	}}
}

func (g *Gateway) showRun(ctx context.Context, in *runInput) (*runOutput, error) {
	if err := schemas.CheckRunID(in.ID); err != nil {
		return nil, err
	}
	workflow := schemas.RunWorkflowID(caller(ctx).Tenant, in.ID)
	found, err := g.temporal.DescribeWorkflow(ctx, workflow, "")
	if err != nil {
		coded := client.Coded(err)
		if schemas.CodeOf(coded) == schemas.NotFound {
			coded = schemas.Wrap(schemas.NotFound, err, "there is no run %s (any more)", in.ID)
		}
		return nil, coded
	}
	out := &runOutput{rest.Run{RunID: in.ID, Status: statusOf(found.Status)}}
	if out.Body.Status == rest.Running {
		return out, nil
	}
	return out, g.concludeRun(ctx, workflow, &out.Body)
}

// concludeRun adds the record of an ended run and its output, or why it failed.
func (g *Gateway) concludeRun(ctx context.Context, workflow string, run *rest.Run) error {
	outcome, err := client.Attach(ctx, g.temporal, schemas.Chain, workflow, "").Wait(ctx)
	if err != nil {
		run.Failure = failureOf(err)
		return nil
	}
	run.Record = new(schemas.Exchange)
	if err := g.load(ctx, outcome.Record, run.Record); err != nil {
		return err
	}
	output, err := g.store.Get(ctx, outcome.Output.Key)
	if err == nil && json.Valid(output) {
		run.Output = output
	}
	return err
}
