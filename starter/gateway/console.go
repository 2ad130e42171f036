package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/console"
	"github.com/tenuto-dev/tenuto/starter/gateway/records"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// consoleRoutes serves the pages for people. They are no part of the API, and its description does not have them.
func (g *Gateway) consoleRoutes(mux *http.ServeMux) {
	pages := console.New(console.Deps{
		Runs: consoleRuns{g}, Evals: consoleEvals{g}, Labels: consoleLabels{g}, Schedules: consoleSchedules{g}, Keys: consoleKeys{g.keys}, Store: g.store, Roles: services, Now: g.now, Logger: g.log,
	})
	mux.Handle("/console", pages)
	mux.Handle("/console/", pages)
}

// consoleRuns finds runs for the console.
type consoleRuns struct{ gateway *Gateway }

// Search implements console.Runs.
func (c consoleRuns) Search(ctx context.Context, tenant string, q records.Query, cursor string, limit int) (records.Page, error) {
	return c.gateway.records.Search(ctx, tenant, q, cursor, limit)
}

// Show implements console.Runs.
func (c consoleRuns) Show(ctx context.Context, tenant, run string, startMS int64) (rest.Run, error) {
	return c.gateway.show(ctx, tenant, run, startMS)
}

// Feedback implements console.Runs.
func (c consoleRuns) Feedback(ctx context.Context, tenant, run string, start time.Time) ([]schemas.Feedback, error) {
	return c.gateway.feedbackOn(ctx, tenant, run, start)
}

// consoleEvals finds runs of suites for the console.
type consoleEvals struct{ gateway *Gateway }

// Suites implements console.Evals.
func (c consoleEvals) Suites(ctx context.Context, tenant string, latest int) ([]rest.EvalSuite, error) {
	return c.gateway.evalSuites(ctx, tenant, latest)
}

// Runs implements console.Evals.
func (c consoleEvals) Runs(ctx context.Context, tenant, suite, cursor string, limit int) (rest.Page[rest.Eval], error) {
	return c.gateway.evalPage(ctx, tenant, suite, cursor, limit)
}

// Show implements console.Evals.
func (c consoleEvals) Show(ctx context.Context, tenant, suite, id string) (rest.Eval, error) {
	return c.gateway.evalStands(ctx, tenant, suite, id, 0)
}

// consoleLabels finds labels for the console.
type consoleLabels struct{ gateway *Gateway }

// Labels implements console.Labels.
func (c consoleLabels) Labels(ctx context.Context, tenant string) ([]rest.Label, error) {
	return c.gateway.allLabels(ctx, tenant)
}

// History implements console.Labels.
func (c consoleLabels) History(ctx context.Context, tenant, chain, label string, before, limit int) ([]rest.LabelEntry, error) {
	events, err := c.gateway.registry.History(ctx, registry.LabelName{Tenant: tenant, Chain: chain, Label: label}, before, limit)
	var entries []rest.LabelEntry
	for _, e := range events {
		entries = append(entries, entryOf(e))
	}
	return entries, err
}

// Gates implements console.Labels.
func (c consoleLabels) Gates(ctx context.Context, tenant, chain, label string, from, limit int) ([]rest.GateAttempt, error) {
	return c.gateway.triedGates(ctx, registry.LabelName{Tenant: tenant, Chain: chain, Label: label}, from, limit)
}

// consoleSchedules finds schedules for the console.
type consoleSchedules struct{ gateway *Gateway }

// Schedules implements console.Schedules. As in the API, operators see them.
func (c consoleSchedules) Schedules(ctx context.Context, key schemas.APIKey) ([]rest.Schedule, error) {
	if !slices.ContainsFunc(operators, key.May) {
		return nil, nil
	}
	return c.gateway.schedulesOf(ctx, key.Tenant)
}

// consoleKeys finds API keys for the console.
type consoleKeys struct{ ring *keyring }

// Open implements console.Keys. The pages show all chains, so a key that is for some of them does not open them.
func (c consoleKeys) Open(ctx context.Context, token string) (schemas.APIKey, error) {
	key, err := c.ring.authenticate(ctx, http.Header{"Authorization": {"Bearer " + token}})
	if err == nil && len(key.Chains) > 0 {
		return schemas.APIKey{}, schemas.Errorf(schemas.Refused, "the console shows the runs of all chains, and this key has a list of chains; sign in with a key without one")
	}
	return key, err
}

// Find implements console.Keys.
func (c consoleKeys) Find(ctx context.Context, id string) (schemas.APIKey, error) {
	return c.ring.find(ctx, id)
}
