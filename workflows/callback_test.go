package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
)

// calling is a stage on which ends of runs are told, by an attempt that a test decides on.
type calling struct {
	*stage

	prepare func(attempt int) error
	deliver func(attempt int) (schemas.Delivery, error)

	prepared  int
	delivered []schemas.DeliverRequest
	kept      []schemas.KeepDeliveryRequest
}

func newCalling(t *testing.T) *calling {
	t.Helper()
	c := &calling{stage: newStage(t)}
	bind.Activity(c, schemas.PrepareCallback, func(_ context.Context, in schemas.CallbackOf) (schemas.CallbackBody, error) {
		c.prepared++
		if len(c.records) == 0 {
			t.Error("something is told before the run has ended")
		}
		out := schemas.CallbackBody{Body: schemas.Ref{Key: "told of " + in.RunID}, Status: schemas.RunDone}
		if c.prepare == nil {
			return out, nil
		}
		return out, c.prepare(c.prepared)
	})
	bind.Activity(c, schemas.DeliverCallback, func(_ context.Context, in schemas.DeliverRequest) (schemas.Delivery, error) {
		c.delivered = append(c.delivered, in)
		if c.deliver == nil {
			return schemas.Delivery{State: schemas.Delivered, Attempts: 1, Status: 200}, nil
		}
		return c.deliver(len(c.delivered))
	})
	bind.Activity(c, schemas.KeepDelivery, func(_ context.Context, in schemas.KeepDeliveryRequest) (schemas.Delivery, error) {
		c.kept = append(c.kept, in)
		return in.Delivery, nil
	})
	return c
}

func calledBack(steps ...schemas.PlanStep) schemas.CallbackRequest {
	run := request1(steps...)
	run.Callback, run.Release, run.Label = "https://example.com/hook", "c0ffee", "production"
	return schemas.CallbackRequest{Run: run}
}

func (c *calling) run(t *testing.T, in schemas.CallbackRequest) schemas.Delivery {
	t.Helper()
	c.ExecuteWorkflow(schemas.Callback.Name(), in)
	var delivery schemas.Delivery
	if err := c.GetWorkflowResult(&delivery); err != nil {
		t.Fatal(err)
	}
	return delivery
}

func TestCallbackTellsOfTheEnd(t *testing.T) {
	t.Parallel()
	c := newCalling(t)
	in := calledBack(generate("a"))
	if got := c.run(t, in); got.State != schemas.Delivered {
		t.Errorf("%+v", got)
	}
	of := schemas.CallbackOf{Tenant: "default", RunID: "r1", StartMS: 1}
	if diff := cmp.Diff([]schemas.DeliverRequest{{CallbackOf: of, URL: in.Run.Callback, Body: schemas.Ref{Key: "told of r1"}}}, c.delivered); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]schemas.KeepDeliveryRequest{{CallbackOf: of, Delivery: schemas.Delivery{State: schemas.Delivered, Attempts: 1, Status: 200}}}, c.kept); diff != "" {
		t.Error(diff)
	}
	if run := c.record(t).Run; run.Release != "c0ffee" || run.Callback == "" {
		t.Errorf("run %+v", run)
	}
}

// TestCallbackOfARunThatFails tells of the end whatever it is, and does not fail with the run.
func TestCallbackOfARunThatFails(t *testing.T) {
	t.Parallel()
	c := newCalling(t)
	c.step = func(context.Context, schemas.StepRequest) (schemas.StepOutcome, error) {
		return schemas.StepOutcome{}, schemas.Errorf(schemas.Refused, "the provider declined")
	}
	if got := c.run(t, calledBack(generate("a"))); got.State != schemas.Delivered || len(c.delivered) != 1 {
		t.Errorf("%+v, told %d times", got, len(c.delivered))
	}
	if record := c.record(t); record.Status != schemas.RunFailed {
		t.Errorf("record %+v", record)
	}
}

// TestCallbackIsPatient has a receiver that is away for a while, and a record that is filled in late. The test environment makes ten attempts of
// a call at most, the server as many as the profile has time for.
func TestCallbackIsPatient(t *testing.T) {
	t.Parallel()
	c := newCalling(t)
	start := c.Now()
	c.prepare = func(int) error {
		if c.Now().Sub(start) < time.Minute {
			return schemas.Errorf(schemas.Unavailable, "no record yet")
		}
		return nil
	}
	c.deliver = func(attempt int) (schemas.Delivery, error) {
		if c.Now().Sub(start) < 20*time.Minute {
			return schemas.Delivery{}, schemas.Errorf(schemas.Unavailable, "the receiver answered with status 500")
		}
		return schemas.Delivery{State: schemas.Delivered, Attempts: attempt}, nil
	}
	got := c.run(t, calledBack(generate("a")))
	if took := c.Now().Sub(start); got.State != schemas.Delivered || got.Attempts < 8 || took < 20*time.Minute || took > 45*time.Minute {
		t.Errorf("%+v after %v", got, took)
	}
}

func TestCallbackGivesUp(t *testing.T) {
	t.Parallel()
	c := newCalling(t)
	start := c.Now()
	c.deliver = func(int) (schemas.Delivery, error) {
		return schemas.Delivery{}, schemas.Errorf(schemas.Unavailable, "the receiver answered with status 500")
	}
	got := c.run(t, calledBack(generate("a")))
	if want := (schemas.Delivery{State: schemas.DeliveryGivenUp, Detail: "the receiver answered with status 500"}); got != want || len(c.kept) != 1 {
		t.Errorf("%+v, kept %d times", got, len(c.kept))
	}
	if took := c.Now().Sub(start); took < 40*time.Minute || took > 73*time.Hour {
		t.Errorf("it gave up after %v", took)
	}
}

func TestCallbackOfARunWithoutARecord(t *testing.T) {
	t.Parallel()
	c := newCalling(t)
	c.prepare = func(int) error { return schemas.Errorf(schemas.Unavailable, "run r1 has no record yet") }
	got := c.run(t, calledBack(generate("a")))
	if got.State != schemas.DeliveryGivenUp || got.Detail != "run r1 has no record yet" || len(c.delivered) != 0 {
		t.Errorf("%+v, told %d times", got, len(c.delivered))
	}
}

// TestACancelledCallbackLeavesTheRun ends the wait and not what is waited for.
func TestACancelledCallbackLeavesTheRun(t *testing.T) {
	t.Parallel()
	c := newCalling(t)
	held := make(chan struct{})
	c.step = func(context.Context, schemas.StepRequest) (schemas.StepOutcome, error) {
		<-held
		return schemas.StepOutcome{Output: text("late")}, nil
	}
	c.RegisterDelayedCallback(func() { c.CancelWorkflow(); close(held) }, time.Millisecond)
	c.ExecuteWorkflow(schemas.Callback.Name(), calledBack(generate("a")))
	if err := c.GetWorkflowError(); !temporal.IsCanceledError(errors.Unwrap(err)) && !temporal.IsCanceledError(err) {
		t.Errorf("it ends with %v", err)
	}
	if len(c.delivered) != 0 {
		t.Error("a cancelled callback was delivered")
	}
	for _, record := range c.records {
		if record.Status == schemas.RunCancelled {
			t.Error("the run was cancelled with its callback")
		}
	}
}

// TestRecallTellsOfRunsStartedAnew starts the callback of a run where the run in whose place it is had one.
func TestRecallTellsOfRunsStartedAnew(t *testing.T) {
	t.Parallel()
	c := newCalling(t)
	anew := calledBack(generate("a")).Run
	anew.RunID, anew.RerunOf = "anew", "old"
	recallingIn(c.TestWorkflowEnvironment, schemas.RecallSweep{InFlight: 1, Rerun: []schemas.RunRequest{anew}})
	c.ExecuteWorkflow(schemas.RecallRuns.Name(), recallOf(schemas.RecallRerun))
	if err := c.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if len(c.delivered) != 1 || c.delivered[0].RunID != "anew" {
		t.Errorf("told %+v", c.delivered)
	}
}
