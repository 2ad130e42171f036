package gateway

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"golang.org/x/time/rate"

	"github.com/tenuto-dev/tenuto/schemas"
)

// This file is the one place that says what a key opens: by its roles and its pace (admit), and by its lists (all else).

// authorize lets requests pass whose key has one of the roles.
func (g *Gateway) authorize(roles []schemas.Role) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		key, err := g.admit(r, roles)
		if err != nil {
			g.report(r.Context(), err).write(w, requestID(r.Context()))
			return
		}
		next(huma.WithValue(ctx, principalKey{}, key))
	}
}

// admit returns the request's key if it has one of the roles. Errors: unauthorized, as 401 without a valid key and 403 without a role;
// rate_limited for a key that sends more than it may, or has too much in hand.
func (g *Gateway) admit(r *http.Request, roles []schemas.Role) (schemas.APIKey, error) {
	key, err := g.keys.authenticate(r.Context(), r.Header)
	if err != nil {
		return key, err
	}
	if !slices.ContainsFunc(roles, key.May) {
		return key, forbidden("the API key lacks the role for this: it takes one of " + roleNames(roles) + "; ask an admin for another key")
	}
	if err := g.pace.take(key, g.now()); err != nil {
		return key, err
	}
	give, err := g.hands.take(key)
	if err != nil {
		return key, err
	}
	context.AfterFunc(r.Context(), give) // net/http ends it with the request
	return key, nil
}

func forbidden(detail string) error {
	return newProblem(http.StatusForbidden, schemas.Unauthorized, detail)
}

func roleNames(roles []schemas.Role) string {
	var names strings.Builder
	for _, role := range roles {
		names.WriteString(string(role) + ", ")
	}
	return names.String() + "or " + string(schemas.RoleAdmin)
}

// mayRun reports why the caller's key does not open a chain, which is named without a label. The built-in chains are called ask and
// search. Error: unauthorized, as 403.
func mayRun(ctx context.Context, chain string) error {
	if key := caller(ctx); !key.MayRun(chain) {
		return forbidden("the API key may not run the chain " + chain + ", only " + strings.Join(key.Chains, ", ") + "; ask an admin for another key")
	}
	return nil
}

// mayCall reports why the caller's key does not open a model that the caller names; what a chain calls is the chain's choice. Error:
// unauthorized, as 403.
func mayCall(ctx context.Context, model string) error {
	if key := caller(ctx); !key.MayCall(model) {
		return forbidden("the API key may not call the model " + model + ", only " + strings.Join(key.Models, ", ") + "; ask an admin for another key")
	}
	return nil
}

// maySend reports why the caller may not send a chain along. What such a chain and its models are called is the sender's choice, so no list
// of names could hold it. Error: unauthorized, as 403.
func maySend(ctx context.Context) error {
	if key := caller(ctx); len(key.Chains)+len(key.Models) > 0 {
		return forbidden("the API key has a list of chains or models, and names in a chain that is sent along are the sender's own; " +
			"run what is on its list by name, or ask an admin for a key without lists")
	}
	return nil
}

// hidden reports that a run is none of the caller's business: its chain is not on the key's list. Error: not_found, as of a run that there
// is not. A run of which only a claim is known has no name yet, and nothing to hide.
func hidden(ctx context.Context, chain, id string) error {
	if chain != "" && !caller(ctx).MayRun(chain) {
		return noRun(id)
	}
	return nil
}

func noRun(id string) error {
	return schemas.Errorf(schemas.NotFound, "there is no run %s; a run in a lane whose caller chose no id is known when it has ended", id)
}

// mayTouch reports why the caller may not stop or decide a run of which only the id is known. Errors: invalid, not_found where its chain is not on
// the key's list.
func (g *Gateway) mayTouch(ctx context.Context, id string) error {
	if err := schemas.CheckRunID(id); err != nil {
		return err
	}
	key := caller(ctx)
	if len(key.Chains) == 0 {
		return nil
	}
	if _, ok, err := g.ended(ctx, key.Tenant, id, 0); ok || err != nil {
		return err
	}
	_, err := g.unrecorded(ctx, key.Tenant, id)
	return err
}

// paces holds keys to their requests a minute, each by a token bucket that holds a minute's worth. It counts for this process alone. The zero
// value is ready.
type paces struct {
	mu      sync.Mutex
	buckets map[string]*rate.Limiter // by line of keys, so that a rotation doubles nothing
}

// pacesKept bounds the buckets in memory. A bucket that is dropped begins anew, full.
const pacesKept = 10_000

// take counts a request. Error: rate_limited, with the time after which there is room again.
func (p *paces) take(key schemas.APIKey, now time.Time) error {
	if key.RequestsPerMinute == 0 {
		return nil
	}
	turn := p.bucket(key).ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	turn.CancelAt(now)
	err := schemas.Errorf(schemas.RateLimited, "the API key may make %d requests a minute here; wait as long as Retry-After says", key.RequestsPerMinute)
	err.RetryAfter = wait
	return err
}

func (p *paces) bucket(key schemas.APIKey) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buckets[key.Line()]
	if b == nil {
		if p.buckets == nil || len(p.buckets) >= pacesKept {
			p.buckets = map[string]*rate.Limiter{}
		}
		b = rate.NewLimiter(rate.Limit(float64(key.RequestsPerMinute)/time.Minute.Seconds()), key.RequestsPerMinute)
		p.buckets[key.Line()] = b
	}
	return b
}
