package gateway

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	sdk "go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// checkTime is how long a part may take to say that it works.
const checkTime = 2 * time.Second

type noInput struct{}

type healthOutput struct {
	Status int
	Body   rest.Health
}

func (g *Gateway) healthRoutes(mux *http.ServeMux) {
	route(g, huma.Operation{
		OperationID: "healthz", Method: http.MethodGet, Path: "/healthz",
		Summary: "Say that the process lives", Tags: []string{"operation"},
	}, anybody, func(context.Context, *noInput) (*healthOutput, error) {
		return &healthOutput{http.StatusOK, rest.Health{OK: true, Checks: []rest.Check{}}}, nil
	})
	route(g, huma.Operation{
		OperationID: "readyz", Method: http.MethodGet, Path: "/readyz",
		Summary: "Say whether every part can be reached; 503 if one cannot", Tags: []string{"operation"}, Errors: []int{http.StatusServiceUnavailable},
	}, anybody, func(ctx context.Context, _ *noInput) (*healthOutput, error) {
		health := g.examine(ctx)
		if health.OK {
			return &healthOutput{http.StatusOK, health}, nil
		}
		return &healthOutput{http.StatusServiceUnavailable, health}, nil
	})
	route(g, huma.Operation{
		OperationID: "doctor", Method: http.MethodGet, Path: "/api/v1/doctor",
		Summary: "Say what is wrong with each part and what to do", Tags: []string{"operation"},
	}, services, func(ctx context.Context, _ *noInput) (*healthOutput, error) {
		return &healthOutput{http.StatusOK, g.examine(ctx)}, nil
	})
	g.metricsRoute(mux)
}

// metricsRoute is described by hand: its answer is no JSON.
func (g *Gateway) metricsRoute(mux *http.ServeMux) {
	g.api.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "metrics", Method: http.MethodGet, Path: "/metrics",
		Summary: "Figures for Prometheus", Tags: []string{"operation"}, Security: []map[string][]string{{"key": {}}},
		Extensions: map[string]any{"x-roles": append(slices.Clip(operators), schemas.RoleAdmin)},
		Responses: map[string]*huma.Response{"200": {
			Description: "OK", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}},
		}},
	})
	handler := g.metrics.handler()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if _, err := g.admit(r, operators); err != nil {
			g.report(r.Context(), err).write(w, requestID(r.Context()))
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// ownChecks are of what every gateway needs.
func (g *Gateway) ownChecks() []Check {
	checks := []Check{
		{Name: "temporal", Run: func(ctx context.Context) error {
			_, err := g.temporal.CheckHealth(ctx, &sdk.CheckHealthRequest{})
			return client.Coded(err)
		}},
		{Name: "store", Run: g.store.Ping},
	}
	for _, queue := range []string{schemas.QueueInteractive, schemas.QueueIngest} {
		checks = append(checks, Check{Name: "worker " + queue, Run: func(ctx context.Context) error { return g.polled(ctx, queue) }})
	}
	return checks
}

// examine runs all checks at once.
func (g *Gateway) examine(ctx context.Context) rest.Health {
	health := rest.Health{OK: true, Checks: make([]rest.Check, len(g.checks))}
	var wait sync.WaitGroup
	for i, check := range g.checks {
		wait.Go(func() { health.Checks[i] = perform(ctx, check) })
	}
	wait.Wait()
	for _, check := range health.Checks {
		health.OK = health.OK && check.OK
	}
	return health
}

func perform(ctx context.Context, check Check) rest.Check {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	start := time.Now()
	err := check.Run(ctx)
	out := rest.Check{Name: check.Name, OK: err == nil, MS: float64(time.Since(start).Microseconds()) / 1000}
	if err != nil {
		out.Detail = schemas.SafeMessage(err)
	}
	return out
}
