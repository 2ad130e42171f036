package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Updater is the part of Temporal's client that lanes need. Every client.Client is one.
type Updater interface {
	Starter
	UpdateWorkflow(ctx context.Context, options client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error)
	TerminateWorkflow(ctx context.Context, workflowID, runID, reason string, details ...any) error
}

// Process is what lanes know of the workers that share their process. Begin begins a run while its lane is asked for it, until forget is
// called; done is closed when it has come to its end or to what the lane must decide. Listen hears of the end once it is durable.
type Process interface {
	Begin(run schemas.RunRequest) (done <-chan struct{}, forget func())
	Listen(tenant, run string) (ended <-chan schemas.RunOutcome, stop func())
}

const (
	lanesMost = 160                   // lanes of one process
	batchMost = 16                    // runs that go together
	ridesMost = lanesMost * batchMost // runs under way
	laneLife  = 26 * time.Hour        // of one execution; it closes itself long before, unless its process has died
	laneOpens = 10 * time.Second      // to start one
	gathers   = 5 * time.Millisecond  // from one batch to the next, at least
	lingers   = 45 * time.Millisecond // longer, while all who wait have begun ahead
)

// Lanes is a pool of warm lanes on the queue of one process. What is asked for within some milliseconds goes to a lane together: alone a
// run leaves at once, and under load many share one durable write. Meanwhile the process has begun them. The zero value is not usable; see
// NewLanes. It is safe for concurrent use.
type Lanes struct {
	temporal Updater
	queue    string
	process  Process

	mu      sync.Mutex
	waiting []*ride // for the next batch
	riding  int     // runs under way
	leaving bool    // somebody runs depart
	idle    []int   // used last, used first: few stay warm
	open    int
	closed  bool
	freed   *sync.Cond    // a lane is idle, or the pool closed
	hurry   chan struct{} // somebody waits who has not begun
}

// ride is a run and what comes of it.
type ride struct {
	in     schemas.RunRequest
	ahead  <-chan struct{} // closed when what was begun ahead is over
	forget func()          // what was begun ahead
	done   chan struct{}   // closed after the rest is set
	out    schemas.RunOutcome
	err    error
	taken  bool // a lane took it
}

// NewLanes makes a pool on a queue that only this process polls. Lanes are started when they are needed.
func NewLanes(c Updater, queue string, process Process) *Lanes {
	l := &Lanes{temporal: c, queue: queue, process: process, hurry: make(chan struct{}, 1)}
	l.freed = sync.NewCond(&l.mu)
	return l
}

// Run carries out a run in a lane and returns its result as soon as that is durable. Not ok when too many are under way, and nothing was
// started then. A run that goes on as a workflow of its own says so in its outcome. The run goes on when the caller leaves. Errors: what the
// run failed with, and those of [Coded].
//
//nolint:contextcheck,nolintlint // a batch has a context of its own: it outlives each of its callers
func (l *Lanes) Run(ctx context.Context, in schemas.RunRequest) (out schemas.RunOutcome, ok bool, err error) {
	r := &ride{in: in, done: make(chan struct{})}
	if !l.admit() {
		return out, false, nil
	}
	ended, stop := l.process.Listen(in.Tenant, in.RunID)
	defer stop()
	r.ahead, r.forget = l.process.Begin(in)
	l.board(r)
	select {
	case out = <-ended:
		return out, true, FailureOf(out)
	case <-r.done:
		return r.last(ctx, ended)
	case <-ctx.Done():
		return out, true, Coded(ctx.Err())
	}
}

// last is the result of a ride that is over. Where there was no lane or it failed, what was begun ahead may yet come to its end.
func (r *ride) last(ctx context.Context, ended <-chan schemas.RunOutcome) (out schemas.RunOutcome, ok bool, err error) {
	if r.taken && r.err == nil {
		return r.out, true, nil
	}
	select {
	case <-r.ahead:
	case <-ctx.Done():
	}
	select {
	case out = <-ended:
		return out, true, FailureOf(out)
	default:
		return r.out, r.taken, r.err
	}
}

// FailureOf is the error that a run ended with, nil for none.
func FailureOf(out schemas.RunOutcome) error {
	if out.Failure == nil {
		return nil
	}
	return schemas.Errorf(out.Failure.Code, "%s", out.Failure.Message)
}

// Load says how many lanes are open, how many of them are idle, and how many runs are under way.
func (l *Lanes) Load() (open, idle, runs int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open, len(l.idle), l.riding
}

// admit counts a run in, unless too many are under way.
func (l *Lanes) admit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.riding == ridesMost {
		return false
	}
	l.riding++
	return true
}

// board has the run go with the next batch.
func (l *Lanes) board(r *ride) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, r)
	select {
	case <-r.ahead: // it waits for its lane
		l.hasten()
	default:
		if len(l.waiting) >= batchMost {
			l.hasten()
		}
	}
	if !l.leaving {
		l.leaving = true
		go l.depart()
	}
}

// hasten has the next batch leave.
func (l *Lanes) hasten() {
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}

// depart sends batches until nobody waits.
func (l *Lanes) depart() {
	for {
		batch, lane, fresh := l.next()
		if len(batch) == 0 {
			return
		}
		if lane < 0 {
			l.end(batch, nil, nil)
			return
		}
		go func() {
			defer l.release(lane)
			l.carry(lane, fresh, batch)
		}()
		l.gather()
	}
}

// gather lets the next batch gather. Runs that have begun lose nothing by it; the first that has not ends it, and the last that fits.
func (l *Lanes) gather() {
	time.Sleep(gathers)
	linger := time.NewTimer(lingers)
	defer linger.Stop()
	select {
	case <-linger.C:
	case <-l.hurry:
	}
}

// next takes those who wait, as many as go together, and a lane for them, which may have to be started; nobody when nobody waits, and all with
// no lane when the pool is closed.
func (l *Lanes) next() (batch []*ride, lane int, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 && !l.closed && len(l.idle) == 0 && l.open == lanesMost {
		l.freed.Wait()
	}
	n := min(len(l.waiting), batchMost)
	if n == 0 || l.closed {
		batch, l.waiting, l.leaving = l.waiting, nil, false
		return batch, -1, false
	}
	batch = slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	if n := len(l.idle); n > 0 {
		lane = l.idle[n-1]
		l.idle = l.idle[:n-1]
		return batch, lane, false
	}
	l.open++
	return batch, l.open - 1, true
}

func (l *Lanes) release(lane int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.idle = append(l.idle, lane)
		l.freed.Signal()
	}
}

// end tells all of a batch how it ended. Without outcomes and error nothing was begun.
func (l *Lanes) end(batch []*ride, outcomes []schemas.RunOutcome, err error) {
	for i, r := range batch {
		r.taken, r.err = outcomes != nil || err != nil, err
		if outcomes != nil {
			r.out = outcomes[i]
			r.err = FailureOf(r.out)
		}
		close(r.done)
		r.forget()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.riding -= len(batch)
}

// carry has a lane carry out a batch. It outlives the callers: the others of a batch want their results, and all of them their records.
func (l *Lanes) carry(lane int, fresh bool, batch []*ride) {
	ctx, cancel := context.WithTimeout(context.Background(), laneLife)
	defer cancel()
	if fresh {
		if err := l.start(ctx, lane); err != nil {
			l.end(batch, nil, err)
			return
		}
	}
	var out schemas.LaneOutcomes
	var err error
	for range 3 {
		if out, err = l.update(ctx, lane, batch); !closed(err) {
			break
		}
		if err := l.start(ctx, lane); err != nil {
			l.end(batch, nil, err)
			return
		}
	}
	if err == nil && len(out.Outcomes) != len(batch) {
		err = schemas.Errorf(schemas.Internal, "a lane answered %d of %d runs", len(out.Outcomes), len(batch))
	}
	if err != nil {
		l.end(batch, nil, Coded(err))
		return
	}
	l.end(batch, out.Outcomes, nil)
}

// update sends the batch under an id of its own. Run ids would not do: callers choose them, and tenants may choose the same.
func (l *Lanes) update(ctx context.Context, lane int, batch []*ride) (out schemas.LaneOutcomes, err error) {
	in := schemas.LaneBatch{Runs: make([]schemas.RunRequest, len(batch))}
	for i, r := range batch {
		in.Runs[i] = r.in
	}
	handle, err := l.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: l.id(lane), UpdateID: rand.Text(), UpdateName: schemas.LaneRuns.Name(), Args: []any{in},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return out, err
	}
	return out, handle.Get(ctx, &out)
}

// closed reports whether a lane ended or is about to, so that the run was not begun.
func closed(err error) bool {
	return as[*serviceerror.NotFound](err) || err != nil && schemas.CodeOf(Coded(err)) == schemas.Unavailable && !as[*serviceerror.Unavailable](err)
}

// start starts a lane, or finds it running.
func (l *Lanes) start(ctx context.Context, lane int) error {
	ctx, cancel := context.WithTimeout(ctx, laneOpens)
	defer cancel()
	_, err := Start(ctx, l.temporal, client.StartWorkflowOptions{
		ID: l.id(lane), TaskQueue: l.queue, WorkflowExecutionTimeout: laneLife,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, EnableEagerStart: true,
		StaticSummary: "carries out short runs of chains",
	}, schemas.Lane, schemas.LaneRequest{})
	return err
}

func (l *Lanes) id(lane int) string { return schemas.LaneID(l.queue, lane) }

// Close ends every lane. Runs in them are cut off, so close the front door first.
func (l *Lanes) Close(ctx context.Context) {
	l.mu.Lock()
	open := l.open
	l.closed, l.idle = true, nil
	l.freed.Broadcast()
	l.mu.Unlock()
	lanes := make([]int, open)
	for lane := range lanes {
		lanes[lane] = lane
	}
	var running sync.WaitGroup
	for part := range slices.Chunk(lanes, 8) {
		running.Go(func() {
			for _, lane := range part {
				// One that has ended already, or that the server closes in time, is no loss.
				_ = l.temporal.TerminateWorkflow(ctx, l.id(lane), "", fmt.Sprintf("the process of %s ends", l.queue))
			}
		})
	}
	running.Wait()
}
