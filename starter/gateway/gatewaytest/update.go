package gatewaytest

import (
	"context"
	"encoding/json"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
)

// QueryWorkflow answers from Answers.
func (f *Temporal) QueryWorkflow(_ context.Context, id, runID, query string, _ ...any) (converter.EncodedValue, error) {
	if _, err := f.look(id, runID); err != nil {
		return nil, err
	}
	answer, ok := f.Answers[query]
	if !ok {
		return nil, serviceerror.NewFailedPrecondition("no worker")
	}
	if ask, ok := answer.(func(id string) any); ok {
		answer = ask(id)
	}
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(answer)
	return client.NewValue(payloads), err
}

// CancelWorkflow ends the context of a workflow.
func (f *Temporal) CancelWorkflow(_ context.Context, id, runID string) error {
	r, err := f.running(id, runID)
	if err == nil {
		r.cancel()
	}
	return err
}

// TerminateWorkflow ends a workflow at once.
func (f *Temporal) TerminateWorkflow(_ context.Context, id, runID, _ string, _ ...any) error {
	r, err := f.running(id, runID)
	if err != nil {
		return err
	}
	r.cancel()
	<-r.done
	return nil
}

// running finds an execution that has not ended.
func (f *Temporal) running(id, runID string) (*run, error) {
	r, err := f.look(id, runID)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !r.closed.IsZero() {
		return nil, serviceerror.NewNotFound("workflow execution already completed")
	}
	return r, nil
}

// UpdateWorkflow has the handler of the update's name answer. One whose caller leaves goes on.
func (f *Temporal) UpdateWorkflow(ctx context.Context, options client.UpdateWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	r, err := f.running(options.WorkflowID, options.RunID)
	if err != nil {
		return nil, err
	}
	u := &update{options: options, run: r, done: make(chan struct{})}
	go func() {
		defer close(u.done)
		u.result, u.err = f.Handlers[options.UpdateName](context.WithValue(context.WithoutCancel(ctx), updated{}, options.WorkflowID), options.Args[0])
	}()
	return u, u.wait(ctx)
}

// updated is the workflow that an update is for, in the context of its handler.
type updated struct{}

type update struct {
	options client.UpdateWorkflowOptions
	run     *run
	done    chan struct{} // closed after the rest is set
	result  any
	err     error
}

func (u *update) wait(ctx context.Context) error {
	select {
	case <-u.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WorkflowID implements client.WorkflowUpdateHandle.
func (u *update) WorkflowID() string { return u.options.WorkflowID }

// RunID implements client.WorkflowUpdateHandle.
func (u *update) RunID() string { return u.run.runID }

// UpdateID implements client.WorkflowUpdateHandle.
func (u *update) UpdateID() string { return u.options.UpdateID }

// Get waits for the answer.
func (u *update) Get(ctx context.Context, out any) error {
	if err := u.wait(ctx); err != nil || u.err != nil || out == nil {
		if err == nil {
			err = u.err
		}
		return err
	}
	data, err := json.Marshal(u.result)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}
