package client

import (
	"context"
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

const (
	lanesMost = 160              // lanes of one process
	laneLife  = 26 * time.Hour   // of one execution; it closes itself long before, unless its process has died
	laneOpens = 10 * time.Second // to start one
)

// Lanes is a pool of warm lanes on the queue of one process. A run takes an idle one, so that it costs a single durable write. The zero
// value is not usable; see NewLanes. It is safe for concurrent use.
type Lanes struct {
	temporal Updater
	queue    string

	mu     sync.Mutex
	idle   []int // used last, used first: few stay warm
	open   int
	closed bool
}

// NewLanes makes a pool on a queue that only this process polls. Lanes are started when they are needed.
func NewLanes(c Updater, queue string) *Lanes { return &Lanes{temporal: c, queue: queue} }

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

// Run carries out a run in an idle lane and returns its result. Not ok when no lane is free, and nothing was started then. A run that goes on
// as a workflow of its own says so in its outcome. Errors: those of [Coded].
func (l *Lanes) Run(ctx context.Context, in schemas.RunRequest) (out schemas.RunOutcome, ok bool, err error) {
	lane, fresh, ok := l.take()
	if !ok {
		return out, false, nil
	}
	defer l.release(lane)
	if fresh {
		if err := l.start(ctx, lane); err != nil {
			return out, true, err
		}
	}
	for range 3 {
		out, err = l.update(ctx, lane, in)
		if !closed(err) {
			return out, true, Coded(err)
		}
		if err := l.start(ctx, lane); err != nil {
			return out, true, err
		}
	}
	return out, true, Coded(err)
}

func (l *Lanes) update(ctx context.Context, lane int, in schemas.RunRequest) (out schemas.RunOutcome, err error) {
	handle, err := l.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: l.id(lane), UpdateID: in.RunID, UpdateName: schemas.LaneRun.Name(), Args: []any{in},
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
		StaticSummary: "carries out short runs of chains, one after another",
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
