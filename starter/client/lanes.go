package client

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
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

// Ear hears of runs that are carried out in this process: that the first step has begun, and the outcome once it is durable.
type Ear interface {
	Listen(tenant, run string) (began <-chan struct{}, ended <-chan schemas.RunOutcome, stop func())
}

const (
	lanesMost = 160                   // lanes of one process
	batchMost = 16                    // runs that go together
	laneLife  = 26 * time.Hour        // of one execution; it closes itself long before, unless its process has died
	laneOpens = 10 * time.Second      // to start one
	onTheWay  = 20 * time.Millisecond // after which a batch that has not begun keeps the next one no longer
)

// Lanes is a pool of warm lanes on the queue of one process. What is asked for while a batch of runs is on its way to a lane goes
// together in the next: alone a run leaves at once, and under load many share one durable write. The zero value is not usable; see
// NewLanes. It is safe for concurrent use.
type Lanes struct {
	temporal Updater
	queue    string
	ear      Ear

	mu      sync.Mutex
	waiting []*ride // for the next batch
	leaving bool    // somebody runs depart
	idle    []int   // used last, used first: few stay warm
	open    int
	closed  bool
}

// ride is a run and what comes of it.
type ride struct {
	in    schemas.RunRequest
	began <-chan struct{}
	done  chan struct{} // closed after the rest is set
	out   schemas.RunOutcome
	err   error
	taken bool // a lane took it
}

// NewLanes makes a pool on a queue that only this process polls. Lanes are started when they are needed. What the workers of the
// process do is heard through ear.
func NewLanes(c Updater, queue string, ear Ear) *Lanes {
	return &Lanes{temporal: c, queue: queue, ear: ear}
}

// Run carries out a run in an idle lane and returns its result as soon as that is durable. Not ok when no lane is free, and nothing was
// started then. A run that goes on as a workflow of its own says so in its outcome. The run goes on when the caller leaves. Errors: what the
// run failed with, and those of [Coded].
func (l *Lanes) Run(ctx context.Context, in schemas.RunRequest) (out schemas.RunOutcome, ok bool, err error) {
	began, ended, stop := l.ear.Listen(in.Tenant, in.RunID)
	defer stop()
	r := &ride{in: in, began: began, done: make(chan struct{})}
	if !l.board(r) {
		return out, false, nil
	}
	select {
	case out = <-ended:
		return out, true, FailureOf(out)
	case <-r.done:
		return r.out, r.taken, r.err
	case <-ctx.Done():
		return out, true, Coded(ctx.Err())
	}
}

// FailureOf is the error that a run ended with, nil for none.
func FailureOf(out schemas.RunOutcome) error {
	if out.Failure == nil {
		return nil
	}
	return schemas.Errorf(out.Failure.Code, "%s", out.Failure.Message)
}

// board has the run go with the next batch.
func (l *Lanes) board(r *ride) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.waiting = append(l.waiting, r)
	if !l.leaving {
		l.leaving = true
		go l.depart()
	}
	return true
}

// depart sends batches, each when the one before has begun, until nobody waits.
func (l *Lanes) depart() {
	for batch := l.next(); batch != nil; batch = l.next() {
		lane, fresh, ok := l.take()
		if !ok {
			end(batch, nil, nil)
			continue
		}
		arrived := make(chan struct{})
		go func() {
			defer close(arrived)
			defer l.release(lane)
			l.carry(lane, fresh, batch)
		}()
		select {
		case <-batch[0].began:
		case <-arrived:
		case <-time.After(onTheWay):
		}
	}
}

// next takes those who wait, as many as go together; nil for nobody.
func (l *Lanes) next() []*ride {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(len(l.waiting), batchMost)
	if n == 0 {
		l.leaving = false
		return nil
	}
	batch := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	return batch
}

// take reserves a lane; not ok when all are busy. A fresh one is to be started.
func (l *Lanes) take() (lane int, fresh, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.idle); n > 0 {
		lane = l.idle[n-1]
		l.idle = l.idle[:n-1]
		return lane, false, true
	}
	if l.closed || l.open == lanesMost {
		return 0, false, false
	}
	l.open++
	return l.open - 1, true, true
}

func (l *Lanes) release(lane int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.idle = append(l.idle, lane)
	}
}

// end tells all of a batch how it ended. Without outcomes and error nothing was begun.
func end(batch []*ride, outcomes []schemas.RunOutcome, err error) {
	for i, r := range batch {
		r.taken, r.err = outcomes != nil || err != nil, err
		if outcomes != nil {
			r.out = outcomes[i]
			r.err = FailureOf(r.out)
		}
		close(r.done)
	}
}

// carry has a lane carry out a batch. It outlives the callers: the others of a batch want their results, and all of them their records.
func (l *Lanes) carry(lane int, fresh bool, batch []*ride) {
	ctx, cancel := context.WithTimeout(context.Background(), laneLife)
	defer cancel()
	if fresh {
		if err := l.start(ctx, lane); err != nil {
			end(batch, nil, err)
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
			end(batch, nil, err)
			return
		}
	}
	if err == nil && len(out.Outcomes) != len(batch) {
		err = schemas.Errorf(schemas.Internal, "a lane answered %d of %d runs", len(out.Outcomes), len(batch))
	}
	if err != nil {
		end(batch, nil, Coded(err))
		return
	}
	end(batch, out.Outcomes, nil)
}

// update sends the batch under an id of its own. Run ids would not do: callers choose them, and tenants may choose the same.
func (l *Lanes) update(ctx context.Context, lane int, batch []*ride) (out schemas.LaneOutcomes, err error) {
	in := schemas.LaneBatch{Runs: make([]schemas.RunRequest, len(batch))}
	for i, r := range batch {
		in.Runs[i] = r.in
	}
	handle, err := l.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: l.id(lane), UpdateID: uuid.NewString(), UpdateName: schemas.LaneRuns.Name(), Args: []any{in},
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
