package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/budget"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// keeperOver keeps what this process leases for evaluations. A gateway in the same process has leases of its own, under the process's name.
func keeperOver(deps Deps) *budget.Keeper {
	instance := deps.Instance + "-evals"
	return &budget.Keeper{
		Ledger: ledgers{deps.Temporal}, Source: source{deps.Temporal, deps.Store, deps.Journal}, Life: &life{store: deps.Store, instance: instance},
		Instance: instance,
	}
}

// ledgers implements budget.Ledger.
type ledgers struct{ temporal client.Client }

// Sync implements budget.Ledger. A ledger that is gone is started again: the store knows the budgets, and the records what was spent.
func (l ledgers) Sync(ctx context.Context, tenant string, in schemas.LedgerSync) (schemas.LedgerReply, error) {
	reply, err := l.sync(ctx, tenant, in)
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		if err = l.start(ctx, tenant); err == nil {
			reply, err = l.sync(ctx, tenant, in)
		}
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return reply, schemas.Wrap(schemas.Code(app.Type()), err, "%s", app.Message())
	}
	if err != nil {
		return reply, schemas.Wrap(schemas.Unavailable, err, "Temporal cannot be asked for the tenant's ledger now")
	}
	return reply, nil
}

func (l ledgers) sync(ctx context.Context, tenant string, in schemas.LedgerSync) (reply schemas.LedgerReply, err error) {
	handle, err := l.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: schemas.LedgerID(tenant), UpdateID: fmt.Sprintf("%s/%d", in.Instance, in.Seq), UpdateName: schemas.SyncLedger.Name(),
		Args: []any{in}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, &reply)
	}
	return reply, err
}

func (l ledgers) start(ctx context.Context, tenant string) error {
	_, err := l.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: schemas.LedgerID(tenant), TaskQueue: schemas.QueueInteractive,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, StaticSummary: "keeps the budgets of tenant " + tenant,
		Priority:              temporal.Priority{PriorityKey: 1, FairnessKey: tenant},
		TypedSearchAttributes: temporal.NewSearchAttributes(temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(tenant)),
	}, schemas.Ledger.Name(), schemas.LedgerRequest{Tenant: tenant})
	return err
}

// source implements budget.Source.
type source struct {
	temporal client.Client
	store    *blob.Store
	records  *journal.Journal
}

// Budgets implements budget.Source.
func (s source) Budgets(ctx context.Context, tenant string) ([]schemas.Budget, error) {
	list, err := blob.GetJSON[schemas.BudgetList](ctx, s.store, schemas.Ref{Key: schemas.BudgetsKey(tenant)})
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return nil, nil
	}
	return list.Budgets, err
}

// Ended implements budget.Source.
func (s source) Ended(ctx context.Context, tenant, run string, start time.Time) (budget.Ending, error) {
	data, ok, err := s.records.Get(ctx, tenant, schemas.RunKey(tenant, run, start))
	if err != nil {
		return budget.Ending{}, err
	}
	if ok {
		var e schemas.Exchange
		err := json.Unmarshal(data, &e)
		return budget.Ending{Done: true, Amount: e.Charge.Amount(e.Usage, e.Cost), Lease: e.Charge.Lease}, err
	}
	found, err := s.temporal.DescribeWorkflowExecution(ctx, schemas.RunWorkflowID(tenant, run), "")
	if _, gone := errors.AsType[*serviceerror.NotFound](err); gone {
		return budget.Ending{}, nil
	}
	if err != nil {
		return budget.Ending{}, schemas.Wrap(schemas.Unavailable, err, "Temporal cannot say whether the run goes on")
	}
	return budget.Ending{Running: found.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING}, nil
}

// life gives signs of life while there are leases; see schemas.LifeGone.
type life struct {
	store    *blob.Store
	instance string

	mu   sync.Mutex
	last time.Time // when the last sign that was stored was begun
}

const (
	lifeEvery  = 2 * time.Second
	lifeMargin = 2 * time.Second // before others may think us gone
)

// Beat implements budget.Life.
func (l *life) Beat(ctx context.Context) error {
	l.mu.Lock()
	due := time.Since(l.last) >= lifeEvery
	l.mu.Unlock()
	if !due {
		return nil
	}
	begun := time.Now()
	_, err := blob.PutJSON(ctx, l.store, schemas.LifeKey(l.instance), schemas.Life{})
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.last = begun
	}
	return err
}

// Sure implements budget.Life.
func (l *life) Sure() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.last) < schemas.LifeGone-lifeMargin
}

// end takes the sign of life away.
func (l *life) end(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() {
		_ = l.store.Delete(ctx, schemas.LifeKey(l.instance)) // it grows old by itself
	}
}

// closing is how long giving back leases may take when a worker stops; what is not given back the ledger takes.
const closing = 5 * time.Second

// closeKeeper gives back what is not spent.
func closeKeeper(k *budget.Keeper) {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	k.Close(ctx)
	if l, ok := k.Life.(*life); ok {
		l.end(ctx)
	}
}

// estimates implement evaluate.Prices.
type estimates struct {
	store *blob.Store
	fleet *fleet.Fleet

	mu    sync.Mutex
	known map[string]*chain.Estimator // by the hash of the bundle
}

// estimatorsKept bounds what is remembered.
const estimatorsKept = 1024

// Estimate implements evaluate.Prices.
func (p *estimates) Estimate(ctx context.Context, tenant string, bundle schemas.Ref, input schemas.Content) (schemas.Estimate, error) {
	estimator, err := p.estimator(ctx, bundle)
	if err != nil {
		return schemas.Estimate{}, err
	}
	e := estimator.Run(int64(len(input.Text)), func() json.RawMessage { return json.RawMessage(input.Text) })
	var paid []string
	for _, name := range e.Collections {
		free, err := p.localEmbedder(ctx, tenant, name)
		if err != nil {
			return e, err
		}
		if !free {
			paid = append(paid, name)
		}
	}
	e.Collections = paid
	return e, nil
}

func (p *estimates) estimator(ctx context.Context, ref schemas.Ref) (*chain.Estimator, error) {
	p.mu.Lock()
	known := p.known[ref.SHA256]
	p.mu.Unlock()
	if known != nil {
		return known, nil
	}
	data, err := blob.GetContent(ctx, p.store, ref)
	if err != nil {
		return nil, err
	}
	var bundle schemas.Bundle
	if err := json.Unmarshal(data, &bundle); err != nil {
		return nil, schemas.Wrap(schemas.Invalid, err, "the bundle of the run cannot be read")
	}
	fresh, err := chain.NewEstimator(bundle, p.fleet.Models)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= estimatorsKept {
		p.known = map[string]*chain.Estimator{}
	}
	p.known[ref.SHA256] = fresh
	return fresh, nil
}

// localEmbedder reports whether what a chain asks of a collection costs nothing: its embedder is local, or there is no such collection and the run
// fails. An empty name is of a run that chooses the collection itself.
func (p *estimates) localEmbedder(ctx context.Context, tenant, collection string) (bool, error) {
	name, err := schemas.CanonicalCollection(collection)
	if err != nil {
		return collection != "", nil //nolint:nilerr // the run says so better
	}
	record, err := blob.GetJSON[schemas.Collection](ctx, p.store, schemas.Ref{Key: schemas.CollectionKey(tenant, name)})
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return true, nil
	}
	return strings.HasPrefix(record.Recipe.Embedder, schemas.DriverLocal+"/"), err
}
