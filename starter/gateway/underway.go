package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/tenuto-dev/tenuto/schemas"
)

// underway are the runs on releases that this process has in its lanes: no workflow tells of them. The zero value is ready.
type underway struct {
	mu   sync.Mutex
	runs map[string]schemas.LaneRunning // by tenant and id
}

// carry carries out a run, and knows it for as long as it is at it. It goes on when its caller leaves.
func (u *underway) carry(ctx context.Context, g *Gateway, r readyRun) (finished, error) {
	defer r.leave.giveBack()
	run := func(ctx context.Context) (finished, error) {
		if r.way.lane {
			defer u.enter(r.request)()
		}
		return g.carryOn(ctx, r)
	}
	if r.way.detached {
		return run(ctx)
	}
	return g.inFlight.do(ctx, flightOf(r.request), run)
}

func (u *underway) enter(request schemas.RunRequest) (leave func()) {
	name := flightOf(request)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.runs == nil {
		u.runs = map[string]schemas.LaneRunning{}
	}
	u.runs[name] = schemas.LaneRunning{
		Tenant: request.Tenant, RunID: request.RunID, Chain: request.Plan.Chain, Release: request.Release, Label: request.Label,
		StartMS: request.StartMS, Key: request.Key,
	}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.runs, name)
	}
}

// all lists the runs by tenant and id.
func (u *underway) all() []schemas.LaneRunning {
	u.mu.Lock()
	defer u.mu.Unlock()
	list := make([]schemas.LaneRunning, 0, len(u.runs))
	for _, name := range slices.Sorted(maps.Keys(u.runs)) {
		list = append(list, u.runs[name])
	}
	return list
}
