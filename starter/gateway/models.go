package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/anthropic"
	"github.com/tenuto-dev/tenuto/starter/gateway/openai"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

// newRelay makes what passes calls of models through.
func (g *Gateway) newRelay(deps Deps) *relay.Relay {
	return &relay.Relay{
		Fleet: deps.Fleet, Store: g.store, Journal: g.journal, Claims: modelClaims{g}, Gate: modelGate{g}, Chains: chats{g},
		Metrics: relay.NewMetrics(g.metrics.registry), Meter: g.meter, Log: g.log, Now: g.now, NewID: newID,
	}
}

// localFleet has the models that need no provider.
func localFleet() (*fleet.Fleet, error) {
	local, err := model.NewSet(&model.Provider{Name: schemas.DriverLocal, Driver: localmodel.Driver{}})
	return &fleet.Fleet{Installed: local, Models: schemas.Models{Models: map[string]schemas.ModelDef{
		localmodel.Extractive: {Provider: schemas.DriverLocal}, localmodel.Lexical: {Provider: schemas.DriverLocal},
	}}}, err
}

// modelRoutes are those of OpenAI's and Anthropic's APIs. They are described by hand: their requests and answers are the vendors'.
func (g *Gateway) modelRoutes(mux *http.ServeMux) {
	openai.Mount(mux, g.relay, g.admitModels)
	anthropic.Mount(mux, g.relay, g.admitModels)
	for _, op := range []huma.Operation{
		{OperationID: "chat-completions", Method: http.MethodPost, Path: "/v1/chat/completions", Summary: "Have a model or a chain answer; OpenAI's API"},
		{OperationID: "embeddings", Method: http.MethodPost, Path: "/v1/embeddings", Summary: "Have a model embed texts; OpenAI's API"},
		{OperationID: "messages", Method: http.MethodPost, Path: "/v1/messages", Summary: "Have a model or a chain answer; Anthropic's API"},
		{OperationID: "list-models", Method: http.MethodGet, Path: "/v1/models", Summary: "List models and chains; OpenAI's API"},
		{OperationID: "show-model", Method: http.MethodGet, Path: "/v1/models/{model}", Summary: "Show a model or a chain; OpenAI's API"},
	} {
		g.describeModels(op)
	}
}

func (g *Gateway) describeModels(op huma.Operation) {
	object := map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: "object"}}}
	op.Tags, op.Security = []string{"models"}, []map[string][]string{{"key": {}}}
	op.Extensions = map[string]any{"x-roles": append(slices.Clip(services), schemas.RoleAdmin)}
	op.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: object}, "default": {Description: "An error in the vendor's form.", Content: object}}
	if op.Method == http.MethodPost {
		op.RequestBody = &huma.RequestBody{Required: true, Content: object}
		op.Parameters = []*huma.Param{{
			Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: "string"},
			Description: "A repeated request with it gets the recorded answer, and is paid for once.",
		}}
	}
	if op.OperationID == "show-model" {
		op.Parameters = []*huma.Param{{Name: "model", In: "path", Required: true, Schema: &huma.Schema{Type: "string"}}}
	}
	g.api.OpenAPI().AddOperation(&op)
}

// admitModels implements relay.Authorize.
func (g *Gateway) admitModels(r *http.Request) (schemas.APIKey, error) {
	key, err := g.admit(r, services)
	if p, ok := errors.AsType[*problem](err); ok && p.Status == http.StatusForbidden {
		return key, schemas.Wrap(schemas.Unauthorized, relay.ErrForbidden, "%s", p.Detail)
	}
	return key, err
}

// modelClaims keeps the claims of calls of models beside those of runs: one idempotency key names one request.
type modelClaims struct{ g *Gateway }

// Claim implements relay.Claims.
func (c modelClaims) Claim(ctx context.Context, tenant, key string, claim relay.Claim) (relay.Claim, bool, error) {
	wanted := c.of(claim)
	owner, mine, err := c.g.claimRun(ctx, tenant, key, wanted)
	return claimOf(owner), mine, err
}

// Succeed implements relay.Claims.
func (c modelClaims) Succeed(ctx context.Context, tenant, key string, failed, claim relay.Claim) (relay.Claim, bool, error) {
	next := c.of(claim)
	data, err := json.Marshal(next)
	if err != nil {
		return claim, false, err
	}
	mine, err := c.g.store.PutIfAbsent(ctx, schemas.SuccessorKey(tenant, key, failed.Run), data)
	if mine || err != nil {
		return claimOf(next), mine, err
	}
	next, err = c.g.owner(ctx, tenant, key)
	return claimOf(next), false, err
}

// Lives implements relay.Claims. What this process does is known without asking.
func (c modelClaims) Lives(ctx context.Context, owner relay.Claim) bool {
	return owner.Instance != c.g.instance && c.g.alive(ctx, owner.Instance)
}

func (c modelClaims) of(claim relay.Claim) ownership {
	return ownership{Fingerprint: claim.Fingerprint, StartMS: claim.StartMS, Instance: c.g.instance, Call: claim.Run}
}

func claimOf(o ownership) relay.Claim {
	return relay.Claim{Fingerprint: o.Fingerprint, Run: o.Call, StartMS: o.StartMS, Instance: o.Instance}
}

// called finds the record of a call of a model by its idempotency key.
func (g *Gateway) called(ctx context.Context, tenant string, owner ownership) (schemas.Exchange, bool, error) {
	return g.exchange(ctx, tenant, owner.Call, time.UnixMilli(owner.StartMS))
}

// modelGate holds calls of models to a key's list and to budgets.
type modelGate struct{ g *Gateway }

// May implements relay.Gate.
func (m modelGate) May(key schemas.APIKey, name string) bool {
	if chain, label, err := schemas.CutLabel(name); err == nil && label != "" {
		return key.MayRun(chain)
	}
	return key.MayCall(name)
}

// Admit implements relay.Gate.
func (m modelGate) Admit(ctx context.Context, ask relay.Ask) (relay.Permit, error) {
	return m.g.budgets.Admit(ctx, budget.Admission{
		Tenant: ask.Key.Tenant, Key: ask.Key, Start: ask.Start,
		Estimate: func(context.Context) (schemas.Estimate, error) { return ask.Estimate(), nil },
	})
}
