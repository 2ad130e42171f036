package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/claims"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
)

const (
	claimPoll     = 100 * time.Millisecond // at first; it doubles
	claimPollMost = time.Second
)

// ownership is the record of who carries out a run with an idempotency key.
type ownership = claims.Claim

// own makes the run ours, or tells whose it is.
func (g *Gateway) own(ctx context.Context, request schemas.RunRequest) (c ownership, mine bool, err error) {
	return g.claimRun(ctx, request.Tenant, request.RunID, ownership{
		Fingerprint: client.Fingerprint(request), StartMS: request.StartMS, Instance: g.instance,
	})
}

// claimRun makes a run id that of the request with c's fingerprint, or tells whose it is. Error: conflict where it is another request's.
func (g *Gateway) claimRun(ctx context.Context, tenant, id string, c ownership) (owner ownership, mine bool, err error) {
	return claims.Take(ctx, g.store, tenant, id, c)
}

// claim is own for a run that the budgets admit. One that they refuse is not claimed; whoever asks again for what was begun before is told
// what became of it.
func (g *Gateway) claim(ctx context.Context, request schemas.RunRequest, refused error) (ownership, bool, error) {
	if refused == nil {
		return g.own(ctx, request)
	}
	owner, err := g.owner(ctx, request.Tenant, request.RunID)
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			err = refused
		}
		return owner, false, err
	}
	return owner, false, owner.Same(request.RunID, client.Fingerprint(request))
}

// succeed makes an abandoned run ours, or tells who was faster.
func (g *Gateway) succeed(ctx context.Context, dead ownership, request schemas.RunRequest) (next ownership, mine bool, err error) {
	return claims.Succeed(ctx, g.store, request.Tenant, request.RunID, dead, g.instance)
}

// owner reads who has a run. Error: not_found for a run that is not claimed, and those of the store.
func (g *Gateway) owner(ctx context.Context, tenant, id string) (ownership, error) {
	owner, err := claims.Owner(ctx, g.store, tenant, id)
	if err == nil || schemas.CodeOf(err) != schemas.NotFound {
		return owner, err
	}
	if owner, err = g.claimStreaming(ctx, tenant, id); err != nil {
		return owner, err
	}
	return claims.Latest(ctx, g.store, tenant, id, owner)
}

// claimStreaming reads the claim of a streamed run that has not ended. Error: not_found for a run without one.
func (g *Gateway) claimStreaming(ctx context.Context, tenant, id string) (ownership, error) {
	data, ok, err := g.journal.Get(ctx, tenant, schemas.ClaimKey(tenant, id))
	var owner ownership
	switch {
	case err != nil:
		return owner, err
	case !ok:
		return owner, schemas.Errorf(schemas.NotFound, "run %s is not claimed", id)
	}
	if err := json.Unmarshal(data, &owner); err != nil {
		return owner, schemas.Wrap(schemas.Internal, err, "the claim of run %s cannot be read", id)
	}
	return owner, nil
}

// join finds what became of a claimed run: its record, or the workflow that it is, or that somebody is still at it. Not found means that
// whoever claimed it is gone, and left what was paid for behind. Who does not want to wait is told that it goes on as soon as it is a
// workflow, and no sooner: what is carried out in a lane ends with its process, and then only a caller who waits has it done again.
func (g *Gateway) join(ctx context.Context, owner ownership, request schemas.RunRequest, detached bool) (done finished, found bool, err error) {
	for pause := claimPoll; ; pause = min(2*pause, claimPollMost) {
		exchange, ok, err := g.exchange(ctx, request.Tenant, request.RunID, time.UnixMilli(owner.StartMS))
		if ok || err != nil {
			out := exchange.Outcome()
			return finished{request.RunID, &out}, ok, errors.Join(err, client.FailureOf(out))
		}
		under, err := g.exists(ctx, request)
		switch {
		case err != nil:
			return done, false, err
		case under && detached:
			return finished{id: request.RunID}, true, nil
		case under:
			done, err := g.outcome(ctx, request.RunID, g.attach(ctx, request))
			return done, true, err
		case g.abandoned(ctx, owner, request, detached):
			return done, false, nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return done, true, schemas.Wrap(schemas.Deadline, ctx.Err(), "run %s is under way elsewhere; ask again with the same key", request.RunID)
		}
	}
}

// abandoned reports whether nobody is at a claimed run. A caller who waits is the one in this process who would be.
func (g *Gateway) abandoned(ctx context.Context, owner ownership, request schemas.RunRequest, detached bool) bool {
	if detached && g.inFlight.has(flightOf(request)) {
		return false
	}
	return owner.Instance == g.instance || !owner.Starting(g.now()) && !g.alive(ctx, owner.Instance)
}

// exists reports whether the run is a workflow of its own.
func (g *Gateway) exists(ctx context.Context, request schemas.RunRequest) (bool, error) {
	_, err := g.temporal.DescribeWorkflow(ctx, schemas.RunWorkflowID(request.Tenant, request.RunID), "")
	if coded := client.Coded(err); coded != nil {
		if schemas.CodeOf(coded) == schemas.NotFound {
			return false, nil
		}
		return false, coded
	}
	return true, nil
}

// underWay reports whether a process that lives has claimed the run and not come to an end with it.
func (g *Gateway) underWay(ctx context.Context, tenant, id string) bool {
	owner, err := g.owner(ctx, tenant, id)
	switch {
	case err != nil:
		return false
	case owner.Instance == g.instance:
		return g.inFlight.has(tenant+"/"+id) || g.relay.UnderWay(tenant, id)
	}
	return g.alive(ctx, owner.Instance)
}

// alive reports whether a process gave a sign of life lately, by the store's clock.
func (g *Gateway) alive(ctx context.Context, instance string) bool {
	theirs, err := g.store.Stat(ctx, schemas.LifeKey(instance))
	if err != nil {
		return false
	}
	ours, err := g.store.Stat(ctx, schemas.LifeKey(g.instance))
	return err != nil || ours.Modified.Sub(theirs.Modified) < schemas.LifeGone
}
