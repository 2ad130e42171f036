package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

const (
	beginPoll   = 10 * time.Millisecond // at first; it doubles
	beginAwhile = 2 * time.Second       // that who does not wait is kept until the run can be seen and cancelled
)

type callbackSecretOutput struct {
	Cache string `header:"Cache-Control"`
	Body  rest.CallbackSecret
}

func (g *Gateway) callbackRoutes() {
	route(g, huma.Operation{
		OperationID: "show-callback-secret", Method: http.MethodGet, Path: "/api/v1/callbacks/secret",
		Summary: "Show the secret that the tenant's callbacks are signed with", Tags: []string{"chains"},
		Metadata: map[string]any{refuses: true},
	}, services, g.showCallbackSecret)
}

func (g *Gateway) showCallbackSecret(ctx context.Context, _ *struct{}) (*callbackSecretOutput, error) {
	if g.notify == nil || !g.notify.Keys.Ready() {
		return nil, schemas.Errorf(schemas.Refused, "this installation signs no callbacks; its operator sets TENUTO_WEBHOOK_SECRET for gateways and workers")
	}
	return &callbackSecretOutput{"no-store", rest.CallbackSecret{Secrets: g.notify.Keys.Secrets(caller(ctx).Tenant)}}, nil
}

// beginCalledBack has the workflow of the run's callback start the run. It is durable when that workflow is: whatever is lost then, the run
// begins, and its end is told.
func (g *Gateway) beginCalledBack(ctx context.Context, request schemas.RunRequest, w way) (finished, error) {
	request.Fresh = false
	if _, err := client.StartCallback(ctx, g.temporal, request); err != nil {
		return finished{id: request.RunID}, err
	}
	limit := runTime
	if w.detached {
		limit = beginAwhile
	}
	seen, err := g.seen(ctx, request, limit)
	switch {
	case w.detached:
		return finished{id: request.RunID}, nil // it is accepted, whatever is known of it now
	case err != nil:
		return finished{id: request.RunID}, err
	case !seen:
		return finished{id: request.RunID}, schemas.Errorf(schemas.Deadline, "run %s has not begun within %v; ask again with the same key", request.RunID, limit)
	}
	return g.outcome(ctx, request.RunID, g.attach(ctx, request))
}

// seen waits until the run is a workflow, for a while.
func (g *Gateway) seen(ctx context.Context, request schemas.RunRequest, limit time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for pause := beginPoll; ; pause = min(2*pause, claimPollMost) {
		under, err := g.exists(ctx, request)
		if ctx.Err() != nil {
			return false, nil
		}
		if under || err != nil {
			return under, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, nil
		}
	}
}

// toBegin reports whether a run of the caller's chains that is no workflow yet will be one.
func (g *Gateway) toBegin(ctx context.Context, tenant, id string) bool {
	found, err := g.temporal.DescribeWorkflow(ctx, schemas.CallbackID(tenant, id), "")
	if err != nil || statusOf(found.Status) != rest.Running {
		return false
	}
	chain, _ := found.TypedSearchAttributes.GetKeyword(temporal.NewSearchAttributeKeyKeyword(schemas.AttrChain))
	return hidden(ctx, chain, id) == nil
}

// delivery is how the delivery of a run's callback stands. Before the first attempt has ended there is nothing to tell of but that it is to be.
func (g *Gateway) delivery(ctx context.Context, tenant, id string, startMS int64) (*schemas.Delivery, error) {
	delivery, err := blob.GetJSON[schemas.Delivery](ctx, g.store, schemas.Ref{Key: schemas.CallbackKey(tenant, id, time.UnixMilli(startMS))})
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return &schemas.Delivery{State: schemas.DeliveryPending}, nil
	}
	return &delivery, err
}
