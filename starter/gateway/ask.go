package gateway

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

type askInput struct {
	Collection     string `path:"collection"`
	IdempotencyKey string `header:"Idempotency-Key" doc:"Becomes the run's id; the same key with the same question has the same answer, and it is paid for once."`
	Body           rest.NewAsk
}

type askOutput struct{ Body rest.Answered }

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
}

// askPrompt is the prompt of the built-in chain.
//
//go:embed ask.prompt
var askPrompt string

func (g *Gateway) ask(ctx context.Context, in *askInput) (*askOutput, error) {
	begin := time.Now()
	if err := errors.Join(mayRun(ctx, chainAsk), mayCall(ctx, cmp.Or(in.Body.Model, g.defaults.Model))); err != nil {
		return nil, err
	}
	collection, err := schemas.CanonicalCollection(in.Collection)
	if err != nil {
		return nil, err
	}
	if err := checkText(in.Body.Question); err != nil {
		return nil, err
	}
	input, err := json.Marshal(map[string]any{"query": in.Body.Question, "filter": filterInput(in.Body.Filter)})
	if err != nil {
		return nil, err
	}
	done, err := g.carryOut(ctx, start{tenant: caller(ctx).Tenant, key: in.IdempotencyKey, input: input, bundle: g.askBundle(collection, in.Body)})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Answer    string             `json:"answer"`
		Citations []schemas.Citation `json:"citations"`
	}
	if err := g.load(ctx, done.outcome.Output, &answer); err != nil {
		return nil, err
	}
	return &askOutput{rest.Answered{
		RunID: done.id, Answer: answer.Answer, Citations: answer.Citations, Model: cmp.Or(in.Body.Model, g.defaults.Model),
		Usage: done.outcome.Usage, LatencyMS: float64(time.Since(begin).Microseconds()) / 1000,
	}}, nil
}

// askBundle is the built-in chain of two steps: find chunks, then answer from them.
func (g *Gateway) askBundle(collection string, in rest.NewAsk) schemas.Bundle {
	return schemas.Bundle{
		Chain: chainAsk, Prompts: map[string]string{"ask": askPrompt},
		Chains: map[string]schemas.ChainDef{chainAsk: {Steps: []schemas.StepDef{
			{ID: stepRetrieve, Retrieve: retrieveDef(collection, cmp.Or(in.Mode, schemas.Hybrid), cmp.Or(in.Limit, 6), in.Filter)},
			{ID: stepGenerate, Needs: []string{stepRetrieve}, Generate: &schemas.GenerateDef{
				Prompt: "ask", With: map[string]string{"question": "input.query"}, Passages: "steps." + stepRetrieve + ".hits", Cite: true,
				Model: cmp.Or(in.Model, g.defaults.Model), Budget: schemas.BudgetDef{Answer: in.MaxTokens, Retrieved: askContext},
			}},
		}}},
	}
}

// askContext bounds the passages of a question, in tokens.
const askContext = 8000
