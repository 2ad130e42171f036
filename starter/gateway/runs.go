package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
)

const (
	maxBundle = 4 << 20
	maxInput  = 4 << 20          // bytes of the JSON of a run's input
	runTime   = 10 * time.Minute // that a caller can wait
)

// Lanes carries out short runs in this process. Implemented by client.Lanes.
type Lanes interface {
	Run(ctx context.Context, in schemas.RunRequest) (out schemas.RunOutcome, ok bool, err error)
	Close(ctx context.Context)
}

// start is a run that somebody asks for.
type start struct {
	tenant    string
	key       string // idempotency key; empty for none
	bundle    schemas.Bundle
	input     json.RawMessage
	execution schemas.Execution // empty is the chain's
	batch     bool
	detached  bool // the caller does not wait
}

// finished is a run and what became of it. Without an outcome it goes on.
type finished struct {
	id      string
	outcome *schemas.RunOutcome
}

// way is how a run is carried out.
type way struct {
	lane     bool // in a lane of this process
	detached bool // the caller does not wait
	claimed  bool // the caller chose the id, and may send the same request again
	first    bool // nobody else can have begun it
}

// carryOut starts a run, or joins the one that the same request started before, and waits for its result unless the caller does not
// want to. Errors: invalid for an unusable bundle, input or key, conflict where the key belongs to another request, deadline where the
// run takes longer than a caller can wait, and what the run itself failed with.
func (g *Gateway) carryOut(ctx context.Context, s start) (finished, error) {
	request, err := g.request(ctx, s)
	if err != nil {
		return finished{}, err
	}
	return g.carry(ctx, request, way{lane: g.laned(s, request), detached: s.detached, claimed: s.key != ""})
}

// readyRun is a run that is to be begun, or joined.
type readyRun struct {
	request schemas.RunRequest
	way     way
	owner   ownership // of a claimed run
	mine    bool      // nobody else has begun it
	leave   *leave    // to spend what it may cost

	claimed <-chan error // of a streamed run whose id is ours: nil once its claim is durable
}

// carry is carryOut for a request that is made. A run with a key is claimed first, so that a repeated request finds it, however each of
// them wants it carried out. It is admitted by the budgets before that: a claim of a run that may not be begun would hold up others.
func (g *Gateway) carry(ctx context.Context, request schemas.RunRequest, w way) (finished, error) {
	r := readyRun{request: request, way: w, mine: true}
	var refused, err error
	if r.leave, refused = g.admitRun(ctx, request); refused != nil && !w.claimed {
		return finished{}, refused
	}
	defer r.leave.giveBack()
	if !w.claimed {
		return g.carryOn(ctx, r)
	}
	if r.owner, r.mine, err = g.claim(ctx, request, refused); err != nil {
		return finished{}, err
	}
	r.request.StartMS = r.owner.StartMS
	if w.detached {
		return g.carryOn(ctx, r)
	}
	return g.inFlight.do(ctx, flightOf(request), func(ctx context.Context) (finished, error) { return g.carryOn(ctx, r) })
}

// carryOn begins a run that is ours, or joins whoever has it, and carries on for one who is gone, unless the run's release was recalled
// meanwhile. What it may cost is admitted when it is begun: whoever only joins it spends nothing.
func (g *Gateway) carryOn(ctx context.Context, r readyRun) (finished, error) {
	r.way.first = r.mine
	permit := r.leave.take()
	defer func() { giveBack(permit) }()
	for !r.mine {
		giveBack(permit)
		permit = nil
		done, found, err := g.join(ctx, r.owner, r.request, r.way.detached)
		if found || err != nil {
			return done, err
		}
		if err := g.checkServed(ctx, r.request.Tenant, r.request.Plan.Chain, r.request.Release); err != nil {
			return finished{}, err
		}
		if permit, err = g.admitted(ctx, r.request); err != nil {
			return finished{}, err
		}
		if r.owner, r.mine, err = g.succeed(ctx, r.owner, r.request); err != nil {
			return finished{}, err
		}
	}
	if permit == nil { // the caller has left, and taken it along
		var err error
		if permit, err = g.admitted(ctx, r.request); err != nil {
			return finished{}, err
		}
	}
	spending := permit
	permit = nil
	return g.spend(ctx, spending, r.request, r.way)
}

// flightOf names a run among those of this process.
func flightOf(request schemas.RunRequest) string { return request.Tenant + "/" + request.RunID }

// begin carries out a run in a lane where it may and one is free, else as a workflow of its own.
func (g *Gateway) begin(ctx context.Context, request schemas.RunRequest, w way) (finished, error) {
	request.First = w.first
	if request.Callback != "" {
		return g.beginCalledBack(ctx, request, w)
	}
	if w.lane {
		out, began, err := g.lanes.Run(ctx, request)
		switch {
		case err == nil && began && out.Promoted:
			return g.outcome(ctx, request.RunID, g.attach(ctx, request))
		case began || err != nil:
			return finished{id: request.RunID, outcome: &out}, err
		}
	}
	request.Fresh = false
	if err := g.survives(ctx, request); err != nil {
		return finished{id: request.RunID}, err
	}
	run, err := client.StartChain(ctx, g.temporal, request, client.ChainOptions{})
	if err != nil || w.detached {
		return finished{id: request.RunID}, err
	}
	return g.outcome(ctx, request.RunID, run)
}

// survives makes what a hushed run has left behind durable: from now on others may carry it on.
func (g *Gateway) survives(ctx context.Context, request schemas.RunRequest) error {
	voice := g.voices().Voice(request.Tenant, request.RunID)
	if !voice.Hushed() {
		return nil
	}
	voice.Tell()
	return g.journal.Flush(ctx, request.Tenant, request.RunID)
}

// attach finds the workflow that a run is.
func (g *Gateway) attach(ctx context.Context, request schemas.RunRequest) client.Run[schemas.RunOutcome] {
	return client.Attach(ctx, g.temporal, schemas.Chain, schemas.RunWorkflowID(request.Tenant, request.RunID), "")
}

// outcome waits for a run that is a workflow of its own.
func (g *Gateway) outcome(ctx context.Context, id string, run client.Run[schemas.RunOutcome]) (finished, error) {
	ctx, cancel := context.WithTimeout(ctx, runTime)
	defer cancel()
	out, err := run.Wait(ctx)
	if err != nil && ctx.Err() != nil {
		return finished{id: id}, schemas.Wrap(schemas.Deadline, err,
			"run %s has no result yet and goes on; ask for it at /api/v1/runs/%s, and if it stays so, \"tenuto doctor\" says whether a worker runs", id, id)
	}
	return finished{id: id, outcome: &out}, err
}

// request stores the bundle and a long input, and makes the message that starts the run.
func (g *Gateway) request(ctx context.Context, s start) (schemas.RunRequest, error) {
	id := s.key
	if id == "" {
		id = newID()
	}
	if err := errors.Join(schemas.CheckTenant(s.tenant), schemas.CheckRunID(id)); err != nil {
		return schemas.RunRequest{}, err
	}
	plan, err := schemas.PlanOf(s.bundle)
	if err != nil {
		return schemas.RunRequest{}, err
	}
	data, err := json.Marshal(s.bundle)
	if err != nil {
		return schemas.RunRequest{}, err
	}
	if len(data) > maxBundle {
		return schemas.RunRequest{}, tooLarge(schemas.Errorf(schemas.Invalid, "the chain and all it uses have %d bytes; at most %d are taken", len(data), maxBundle))
	}
	ref, err := g.bundles.store(ctx, g.store, s.tenant, data)
	if err != nil {
		return schemas.RunRequest{}, err
	}
	input, err := g.content(ctx, s.tenant, s.input)
	return schemas.RunRequest{
		Tenant: s.tenant, RunID: id, Bundle: ref, Plan: plan, Input: input, StartMS: g.now().UnixMilli(), Batch: s.batch, Fresh: s.key == "",
		Key: caller(ctx).ID, Trace: g.meter.Carry(ctx),
	}, err
}

// content makes the input part of a message: a short one inline, a long one by reference.
func (g *Gateway) content(ctx context.Context, tenant string, input json.RawMessage) (schemas.Content, error) {
	if len(input) <= schemas.InlineBytes {
		return schemas.Content{Text: string(input)}, nil
	}
	sum := schemas.Hash(input)
	ref := schemas.Ref{Key: schemas.BlobKey(tenant, sum), SHA256: sum, Bytes: int64(len(input))}
	_, err := g.store.PutIfAbsent(ctx, ref.Key, input)
	return schemas.Content{Ref: ref}, err
}

// laned reports whether a lane of this process may carry out the run.
func (g *Gateway) laned(s start, request schemas.RunRequest) bool {
	execution := s.execution
	if execution == "" {
		execution = s.bundle.Chains[s.bundle.Chain].Execution
	}
	return !s.detached && !s.batch && g.fitsLane(execution, request.Plan)
}

// fitsLane reports whether a lane of this process may carry out runs of a plan that somebody waits for.
func (g *Gateway) fitsLane(execution schemas.Execution, plan schemas.Plan) bool {
	return g.lanes != nil && execution != schemas.ExecutionWorkflow && plan.FitsLane()
}

// exchange reads the record of a run.
func (g *Gateway) exchange(ctx context.Context, tenant, id string, start time.Time) (schemas.Exchange, bool, error) {
	data, ok, err := g.journal.Get(ctx, tenant, schemas.RunKey(tenant, id, start))
	var exchange schemas.Exchange
	if !ok || err != nil {
		return exchange, false, err
	}
	if err := json.Unmarshal(data, &exchange); err != nil {
		return exchange, false, schemas.Wrap(schemas.Internal, err, "the record of run %s cannot be read", id)
	}
	return exchange, true, nil
}
