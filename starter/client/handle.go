package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	heldPoll     = 100 * time.Millisecond // at first; it doubles
	heldPollMost = time.Second
	pinTime      = 10 * time.Minute // a request that waits for a worker longer than that is not begun by itself
)

// Handle is a run that was started, here or elsewhere. The zero value is none.
type Handle[Out any] struct {
	client *Client
	begun  begun
}

// Find is a run by its id, wherever it was started. It makes no call: whether there is one shows when it is asked for.
func Find[Out any](c *Client, runID string) Handle[Out] {
	return Handle[Out]{client: c, begun: begun{id: runID}}
}

// ID is the id of the run, by which it is found from anywhere, also with "tenuto runs show".
func (h Handle[Out]) ID() string { return h.begun.id }

// Wait returns the run's result when it has one. When ctx ends first the run goes on, and the error is deadline. Errors: not_found for a run that
// there is not, malformed_output for an output that is no Out, what the run failed with, and those of [Coded].
func (h Handle[Out]) Wait(ctx context.Context) (Result[Out], error) {
	if h.client == nil {
		return Result[Out]{}, noHandle()
	}
	o, err := h.client.wait(ctx, h.begun)
	if err != nil {
		return Result[Out]{RunID: h.begun.id}, err
	}
	return typed[Out](o)
}

// Cancel asks the run to end; what it has paid for stays recorded. Error: not_found for one that has ended, or that is no workflow of its own and
// ends by itself within seconds.
func (h Handle[Out]) Cancel(ctx context.Context) error {
	if h.client == nil {
		return noHandle()
	}
	return h.client.cancel(ctx, h.begun.id)
}

// Events yields the run's answer while it comes in: Started, then the text in Deltas, at the end Done with the result. A Reset says that the text
// so far is void. A connection that breaks is made again, a bounded number of times ([WithReconnects]), and goes on where it was: nothing is
// yielded twice and nothing is left out. Before Done the text is that of the recorded answer, in any case; an output without a text has no
// Deltas. An error is the last that is yielded. Whoever breaks off the loop leaves the run as it is. It needs a gateway.
func (h Handle[Out]) Events(ctx context.Context) iter.Seq2[Event[Out], error] {
	return func(yield func(Event[Out], error) bool) {
		if h.client == nil {
			yield(Event[Out]{}, noHandle())
			return
		}
		g, err := h.client.gatewayFor("streaming")
		if err != nil {
			yield(Event[Out]{}, err)
			return
		}
		relay(ctx, g.events(h.begun.id), yield)
	}
}

// Feedback is [Client.Feedback] on the run.
func (h Handle[Out]) Feedback(ctx context.Context, f Feedback) (schemas.Feedback, error) {
	if h.client == nil {
		return schemas.Feedback{}, noHandle()
	}
	return h.client.Feedback(ctx, h.begun.id, f)
}

func noHandle() error {
	return schemas.Errorf(schemas.Invalid, "this is no run; start one, or find one by its id")
}

// begun is a run that goes on, or has ended.
type begun struct {
	id             string
	release, label string                   // where they are known
	workflow       *Run[schemas.RunOutcome] // nil where it is not known to be one
	ended          *schemas.RunOutcome      // nil while it is not known
}

// start starts a run, or finds the one that the same request started before.
func (c *Client) start(ctx context.Context, a asked) (begun, error) {
	if c.temporal == nil || len(a.input) > schemas.MaxPinInput && c.gateway != nil {
		g, err := c.gatewayFor("a client without Temporal")
		if err != nil {
			return begun{}, err
		}
		o, err := g.post(ctx, a, "detach")
		return begun{id: o.RunID, release: o.Release, label: o.Label}, err
	}
	if len(a.input) > schemas.MaxPinInput {
		_, err := c.gatewayFor("an input of more than 64 KiB")
		return begun{}, err
	}
	return c.startOver(ctx, a)
}

// startOver is start over Temporal: the run is pinned to a release by a worker, which can read labels, and then started.
func (c *Client) startOver(ctx context.Context, a asked) (begun, error) {
	for pause := heldPoll; ; pause = min(2*pause, heldPollMost) {
		out, err := c.pin(ctx, a)
		switch {
		case err != nil:
			return begun{}, err
		case out.Gateway != "":
			return c.startElsewhere(ctx, a, out.Gateway)
		case out.Outcome != nil:
			return begun{id: a.key, release: a.release, label: a.label, ended: out.Outcome}, nil
		case out.Run != nil:
			return c.startPinned(ctx, *out.Run)
		}
		id := schemas.RunWorkflowID(c.tenant, a.key)
		if _, err := c.temporal.DescribeWorkflow(ctx, id, ""); err == nil {
			run := Attach(ctx, c.temporal, schemas.Chain, id, "")
			return begun{id: a.key, label: a.label, release: a.release, workflow: &run}, nil
		}
		if err := sleep(ctx, pause); err != nil {
			return begun{}, err
		}
	}
}

// startElsewhere starts a run that only a gateway may begin.
func (c *Client) startElsewhere(ctx context.Context, a asked, why string) (begun, error) {
	g, err := c.gatewayFor("the run cannot begin over Temporal, because " + why + ": it")
	if err != nil {
		return begun{}, err
	}
	o, err := g.post(ctx, a, "detach")
	return begun{id: o.RunID, release: o.Release, label: o.Label}, err
}

// pin has a worker pin the run to a release, and claim its id.
func (c *Client) pin(ctx context.Context, a asked) (schemas.PinOutcome, error) {
	in := schemas.PinRequest{
		Tenant: c.tenant, RunID: a.key, Chain: a.chain, Label: a.label, Release: a.release, Input: string(a.input), Metadata: a.metadata,
		Fingerprint: NamedFingerprint(a.chain, a.label, a.release, a.input, a.metadata, ""),
	}
	run, err := Start(ctx, c.temporal, client.StartWorkflowOptions{
		ID: schemas.PinID(in.Tenant, in.RunID, in.Fingerprint), TaskQueue: schemas.QueueInteractive, WorkflowExecutionTimeout: pinTime,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, EnableEagerStart: true, StaticSummary: "pins a run of chain " + a.chain,
		Priority: temporal.Priority{PriorityKey: priorityInteractive, FairnessKey: in.Tenant},
	}, schemas.Pin, in)
	if err != nil {
		return schemas.PinOutcome{}, err
	}
	return run.Wait(ctx)
}

// startPinned starts a run that is claimed, or joins it: the claim says that it is this request's.
func (c *Client) startPinned(ctx context.Context, in schemas.RunRequest) (begun, error) {
	b := begun{id: in.RunID, release: in.Release, label: in.Label}
	run, err := Start(ctx, c.temporal, chainStart(in, Fingerprint(in), ChainOptions{}), schemas.Chain, in)
	if as[*serviceerror.WorkflowExecutionAlreadyStarted](err) {
		run, err = Attach(ctx, c.temporal, schemas.Chain, schemas.RunWorkflowID(in.Tenant, in.RunID), ""), nil
	}
	b.workflow = &run
	return b, err
}

// run starts a run and waits for it.
func (c *Client) run(ctx context.Context, a asked) (outcome, error) {
	if c.temporal == nil {
		g, err := c.gatewayFor("a client without Temporal")
		if err != nil {
			return outcome{}, err
		}
		return g.run(ctx, a)
	}
	b, err := c.start(ctx, a)
	if err != nil {
		return outcome{}, err
	}
	return c.wait(ctx, b)
}

// wait returns what came of a run.
func (c *Client) wait(ctx context.Context, b begun) (outcome, error) {
	if err := schemas.CheckRunID(b.id); err != nil {
		return outcome{}, err
	}
	if b.ended == nil {
		out, err := c.await(ctx, b)
		if err != nil && c.gateway != nil && schemas.CodeOf(err) == schemas.NotFound {
			return c.gateway.await(ctx, b.id)
		}
		if err != nil {
			return outcome{}, err
		}
		b.ended = &out
	}
	if err := FailureOf(*b.ended); err != nil {
		return outcome{}, err
	}
	text, err := c.text(ctx, b.id, b.ended.Output)
	return outcome{RunID: b.id, Output: text, Usage: b.ended.Usage, Cost: b.ended.Cost, Release: b.release, Label: b.label}, err
}

// await waits for a run that is a workflow. Error: not_found where it is none.
func (c *Client) await(ctx context.Context, b begun) (schemas.RunOutcome, error) {
	if b.workflow != nil {
		return b.workflow.Wait(ctx)
	}
	if c.temporal == nil {
		if _, err := c.gatewayFor("a client without Temporal"); err != nil {
			return schemas.RunOutcome{}, err
		}
		return schemas.RunOutcome{}, schemas.Errorf(schemas.NotFound, "there is no Temporal client")
	}
	out, err := Attach(ctx, c.temporal, schemas.Chain, schemas.RunWorkflowID(c.tenant, b.id), "").Wait(ctx)
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		err = schemas.Wrap(schemas.NotFound, err,
			"Temporal knows no run %s; runs in lanes, and those of long ago, are known to a gateway: set TENUTO_URL and TENUTO_API_KEY", b.id)
	}
	return out, err
}

// text is an output as JSON. A long one is read by a worker, or by a gateway where it is longer than Temporal takes.
func (c *Client) text(ctx context.Context, id string, content schemas.Content) (json.RawMessage, error) {
	if content.Ref.IsZero() {
		return json.RawMessage(content.Text), nil
	}
	if content.Ref.Bytes > schemas.MaxFetch && c.gateway != nil {
		return c.gateway.output(ctx, id)
	}
	run, err := Start(ctx, c.temporal, client.StartWorkflowOptions{
		ID: schemas.FetchID(c.tenant, content.Ref.SHA256), TaskQueue: schemas.QueueInteractive, WorkflowExecutionTimeout: pinTime,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, EnableEagerStart: true, StaticSummary: "reads a long output",
		Priority: temporal.Priority{PriorityKey: priorityInteractive, FairnessKey: c.tenant},
	}, schemas.Fetch, schemas.FetchRequest{Tenant: c.tenant, Ref: content.Ref})
	if err != nil {
		return nil, err
	}
	fetched, err := run.Wait(ctx)
	return json.RawMessage(fetched.Text), err
}

// cancel asks a run to end.
func (c *Client) cancel(ctx context.Context, id string) error {
	if err := schemas.CheckRunID(id); err != nil {
		return err
	}
	if c.temporal == nil {
		g, err := c.gatewayFor("a client without Temporal")
		if err != nil {
			return err
		}
		return g.cancel(ctx, id)
	}
	err := Coded(c.temporal.CancelWorkflow(ctx, schemas.RunWorkflowID(c.tenant, id), ""))
	if err != nil && schemas.CodeOf(err) == schemas.NotFound {
		return schemas.Wrap(schemas.NotFound, err, "run %s has ended, or does not run as a workflow of its own; a run in a lane ends by itself within seconds", id)
	}
	return err
}

// sleep waits. Error: deadline when ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return Coded(ctx.Err())
	}
}
