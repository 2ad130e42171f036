package gateway

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/worker/wire"
)

// Budgets admits what costs money: runs, and calls that are passed through. Implemented by budget.Keeper.
type Budgets interface {
	// Admit lets a run or a call spend what it may cost. The record of it must carry the permit's charge.
	Admit(ctx context.Context, in budget.Admission) (budget.Permit, error)
	// Check says whether something that is not counted may be done at all.
	Check(ctx context.Context, in budget.Admission) error
}

// admitted admits a run of the caller's key: by the day on which it began, which may be an earlier one.
func (g *Gateway) admitted(ctx context.Context, request schemas.RunRequest) (budget.Permit, error) {
	return g.budgets.Admit(ctx, budget.Admission{
		Tenant: request.Tenant, Key: caller(ctx), Start: time.UnixMilli(request.StartMS),
		Estimate: func(ctx context.Context) (schemas.Estimate, error) { return g.estimate(ctx, request) },
	})
}

// admitRun is admitted for a run that is not begun yet.
func (g *Gateway) admitRun(ctx context.Context, request schemas.RunRequest) (*leave, error) {
	permit, err := g.admitted(ctx, request)
	return &leave{permit: permit}, err
}

// spend begins a run that is admitted, and settles what it cost.
func (g *Gateway) spend(ctx context.Context, permit budget.Permit, request schemas.RunRequest, w way) (finished, error) {
	request.Charge = permit.Charge()
	done, err := g.begin(ctx, request, w)
	if err != nil || done.outcome == nil { // it may go on, or have failed after it had cost something
		permit.Follow(request.RunID, time.UnixMilli(request.StartMS))
		return done, err
	}
	spent := schemas.AmountOf(done.outcome.Usage, done.outcome.Cost)
	if pays := done.outcome.Charge.Lease; pays != "" && pays != request.Charge.Lease {
		spent = schemas.Amount{} // another process had begun it, under its lease
	}
	permit.Settle(spent)
	return done, nil
}

// leave holds a permit for whoever comes first: the run, or its caller who goes before it is begun. A nil one holds none.
type leave struct {
	mu     sync.Mutex
	permit budget.Permit
}

// take returns the permit once; nil afterwards, and where there was none.
func (l *leave) take() budget.Permit {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	permit := l.permit
	l.permit = nil
	return permit
}

func (l *leave) giveBack() { giveBack(l.take()) }

// giveBack ends a permit under which nothing was begun.
func giveBack(permit budget.Permit) {
	if permit != nil {
		permit.Settle(schemas.Amount{})
	}
}

// durable is what the gateway knows of what is stored, for package budget.
type durable struct{ gateway *Gateway }

// Budgets implements budget.Source.
func (d durable) Budgets(ctx context.Context, tenant string) ([]schemas.Budget, error) {
	data, err := d.gateway.store.Get(ctx, schemas.BudgetsKey(tenant))
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			return nil, nil
		}
		return nil, err
	}
	var list schemas.BudgetList
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, schemas.Wrap(schemas.Internal, err, "the list of the tenant's budgets cannot be read, so nothing is admitted; set a budget again to write it anew")
	}
	return list.Budgets, nil
}

// Ended implements budget.Source.
func (d durable) Ended(ctx context.Context, tenant, run string, start time.Time) (budget.Ending, error) {
	exchange, ok, err := d.gateway.exchange(ctx, tenant, run, start)
	if ok || err != nil {
		return budget.Ending{Done: ok, Amount: exchange.Charge.Amount(exchange.Usage, exchange.Cost), Lease: exchange.Charge.Lease}, err
	}
	found, err := d.gateway.temporal.DescribeWorkflow(ctx, schemas.RunWorkflowID(tenant, run), "")
	if coded := client.Coded(err); coded != nil {
		if schemas.CodeOf(coded) == schemas.NotFound {
			return budget.Ending{}, nil
		}
		return budget.Ending{}, coded
	}
	return budget.Ending{Running: statusOf(found.Status) == rest.Running}, nil
}

// prices remembers what is needed to estimate runs. The zero value is ready.
type prices struct {
	mu         sync.Mutex
	estimators map[string]estimator // by the hash of the bundle
	embedders  map[string]embedder  // by tenant and collection
}

type estimator func(bytes int64, input func() json.RawMessage) schemas.Estimate

// embedder is that of a collection, as it was lately.
type embedder struct {
	local bool
	at    time.Time
}

const (
	estimatorsKept = 1024
	embedderFor    = 10 * time.Second // a collection may be dropped and made anew
)

// estimate is what a run may cost.
func (g *Gateway) estimate(ctx context.Context, request schemas.RunRequest) (schemas.Estimate, error) {
	estimate, err := g.estimator(ctx, request.Bundle)
	if err != nil {
		return schemas.Estimate{}, err
	}
	bytes := int64(len(request.Input.Text)) + request.Input.Ref.Bytes
	e := estimate(bytes, func() json.RawMessage {
		text, err := blob.Text(ctx, g.store, request.Input)
		if err != nil {
			return nil // then its lists count as long as they may be
		}
		return json.RawMessage(text)
	})
	e.Collections, err = g.paidEmbedders(ctx, request.Tenant, e.Collections)
	return e, err
}

func (g *Gateway) estimator(ctx context.Context, ref schemas.Ref) (estimator, error) {
	g.prices.mu.Lock()
	known := g.prices.estimators[ref.SHA256]
	g.prices.mu.Unlock()
	if known != nil {
		return known, nil
	}
	data, err := blob.GetContent(ctx, g.store, ref)
	if err != nil {
		return nil, err
	}
	var bundle schemas.Bundle
	if err := json.Unmarshal(data, &bundle); err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the bundle of the run cannot be read")
	}
	fresh, err := wire.Estimator(bundle, g.relay.Fleet.Models)
	if err != nil {
		return nil, err
	}
	g.prices.mu.Lock()
	defer g.prices.mu.Unlock()
	if g.prices.estimators == nil || len(g.prices.estimators) >= estimatorsKept {
		g.prices.estimators = map[string]estimator{}
	}
	g.prices.estimators[ref.SHA256] = fresh
	return fresh, nil
}

// paidEmbedders leaves out collections whose embedder is free, and those that there are not: their runs fail.
func (g *Gateway) paidEmbedders(ctx context.Context, tenant string, collections []string) (paid []string, err error) {
	for _, collection := range collections {
		local := false
		if collection != "" {
			if local, err = g.localEmbedder(ctx, tenant, collection); err != nil {
				return nil, err
			}
		}
		if !local {
			paid = append(paid, collection)
		}
	}
	return paid, nil
}

func (g *Gateway) localEmbedder(ctx context.Context, tenant, collection string) (bool, error) {
	name, err := schemas.CanonicalCollection(collection)
	if err != nil {
		return true, nil // the run says so better
	}
	key := tenant + "/" + name
	g.prices.mu.Lock()
	known, ok := g.prices.embedders[key]
	g.prices.mu.Unlock()
	if ok && time.Since(known.at) < embedderFor {
		return known.local, nil
	}
	record, err := g.collection(ctx, tenant, name)
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			return true, nil
		}
		return false, err
	}
	known = embedder{local: isLocal(record.Recipe.Embedder), at: time.Now()}
	g.prices.mu.Lock()
	defer g.prices.mu.Unlock()
	if g.prices.embedders == nil || len(g.prices.embedders) >= estimatorsKept {
		g.prices.embedders = map[string]embedder{}
	}
	g.prices.embedders[key] = known
	return known.local, nil
}

// isLocal reports whether a model of the installation is free.
func isLocal(name string) bool { return strings.HasPrefix(name, schemas.DriverLocal+"/") }

// checkEmbedder keeps an ingestion from embedding for an unknown price where a budget of money wants prices known. What ingestions embed
// is in no record of a run, so it counts against no budget.
func (g *Gateway) checkEmbedder(ctx context.Context, name string) error {
	if isLocal(name) {
		return nil
	}
	key := caller(ctx)
	return g.budgets.Check(ctx, budget.Admission{
		Tenant: key.Tenant, Key: key, Start: g.now(),
		Estimate: func(context.Context) (schemas.Estimate, error) { return schemas.Estimate{Unknown: []string{name}}, nil },
	})
}
