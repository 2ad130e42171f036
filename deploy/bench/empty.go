package main

import (
	"context"
	"os"
	"time"

	"github.com/google/uuid"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/worker/dial"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
)

const (
	emptyQueue = "tenuto.bench"
	emptySteps = 3 // as many as a question has: retrieve, generate, record
)

// emptyHost hosts the empty workflow and starts it, as worker and gateway in one process do with a chain.
type emptyHost struct {
	client sdk.Client
	worker worker.Worker
}

func hostEmpty(ctx context.Context) (*emptyHost, error) {
	client, err := dial.Open(ctx, dial.Options{Getenv: os.Getenv, Logger: telemetry.Temporal(zap.NewNop())})
	if err != nil {
		return nil, err
	}
	h := &emptyHost{client: client, worker: worker.New(client, emptyQueue, worker.Options{MaxConcurrentWorkflowTaskPollers: 16})}
	h.worker.RegisterWorkflow(emptyWorkflow)
	h.worker.RegisterActivity(emptyActivity)
	if err := h.worker.Start(); err != nil {
		client.Close()
		return nil, err
	}
	return h, nil
}

func emptyWorkflow(ctx workflow.Context) error {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
	for range emptySteps {
		if err := workflow.ExecuteLocalActivity(ctx, emptyActivity).Get(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func emptyActivity(context.Context) error { return nil }

// run starts the workflow and waits for its end.
func (h *emptyHost) run(ctx context.Context) error {
	started, err := h.client.ExecuteWorkflow(ctx, sdk.StartWorkflowOptions{
		ID: "bench/" + uuid.NewString(), TaskQueue: emptyQueue, EnableEagerStart: true,
	}, emptyWorkflow)
	if err != nil {
		return err
	}
	return started.Get(ctx, nil)
}

func (h *emptyHost) close() {
	h.worker.Stop()
	h.client.Close()
}

// slowHost hosts a workflow that does nothing in as many local activities, and as slowly, as a chain of three model calls has.
type slowHost struct{ *emptyHost }

func hostSlow(ctx context.Context, latency time.Duration) (*slowHost, error) {
	h, err := hostEmpty(ctx)
	if err != nil {
		return nil, err
	}
	slowActivity := func(ctx context.Context) error {
		select {
		case <-time.After(latency):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h.worker.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
		for range chainSteps {
			if err := workflow.ExecuteLocalActivity(ctx, slowActivity).Get(ctx, nil); err != nil {
				return err
			}
		}
		for range chainExtras {
			if err := workflow.ExecuteLocalActivity(ctx, emptyActivity).Get(ctx, nil); err != nil {
				return err
			}
		}
		return nil
	}, workflow.RegisterOptions{Name: "slow"})
	return &slowHost{h}, nil
}

// chainExtras are the local activities of a run besides its steps: the record.
const chainExtras = 1

// run starts the workflow and waits for its end.
func (h *slowHost) run(ctx context.Context) error {
	started, err := h.client.ExecuteWorkflow(ctx, sdk.StartWorkflowOptions{
		ID: "bench/" + uuid.NewString(), TaskQueue: emptyQueue, EnableEagerStart: true,
	}, "slow")
	if err != nil {
		return err
	}
	return started.Get(ctx, nil)
}
