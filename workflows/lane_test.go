package workflows_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
)

// answered is how a lane took an update.
type answered struct {
	out      schemas.RunOutcome
	err      error
	rejected bool
}

// run sends a run to the lane after a moment of workflow time.
func (s *stage) run(after time.Duration, in schemas.RunRequest, into *answered) {
	s.RegisterDelayedCallback(func() {
		s.UpdateWorkflow(schemas.LaneRun.Name(), in.RunID, &testsuite.TestUpdateCallback{
			OnReject: func(err error) { into.rejected, into.err = true, err },
			OnAccept: func() {},
			OnComplete: func(out any, err error) {
				into.err = err
				if got, ok := out.(schemas.RunOutcome); ok {
					into.out = got
				}
			},
		}, in)
	}, after)
}

func named(id string, steps ...schemas.PlanStep) schemas.RunRequest {
	in := request1(steps...)
	in.RunID, in.Fresh = id, true
	return in
}

// lane runs a lane to its end.
func (s *stage) lane(t *testing.T) (schemas.LaneOutcome, error) {
	t.Helper()
	s.ExecuteWorkflow(schemas.Lane.Name(), schemas.LaneRequest{Runs: 7})
	if !s.IsWorkflowCompleted() {
		t.Fatal("the lane did not end")
	}
	var out schemas.LaneOutcome
	if err := s.GetWorkflowError(); err != nil {
		return out, err
	}
	return out, s.GetWorkflowResult(&out)
}

func TestLaneCarriesOutRuns(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var got [3]answered
	for i := range got {
		s.run(time.Duration(i+1)*time.Minute, named(fmt.Sprint("r", i), generate("a"), generate("b", "a")), &got[i])
	}
	out, err := s.lane(t)
	if err != nil || out.Runs != 10 {
		t.Errorf("%+v, %v", out, err)
	}
	for i, a := range got {
		if want := (schemas.RunOutcome{RunID: fmt.Sprint("r", i), Output: text("a,b")}); a.err != nil || !cmp.Equal(want, a.out) {
			t.Errorf("run %d: %+v", i, a)
		}
	}
	for _, r := range s.records {
		if !r.Lane || r.Status != schemas.RunDone || len(r.Steps) != 2 {
			t.Errorf("record %+v", r)
		}
	}
	for step, local := range s.local {
		if !local {
			t.Errorf("step %s is no local activity", step)
		}
	}
}

func TestIdleLaneCloses(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	began := s.Now()
	if out, err := s.lane(t); err != nil || out.Runs != 7 {
		t.Errorf("%+v, %v", out, err)
	}
	if idle := s.Now().Sub(began); idle < 9*time.Minute || idle > 11*time.Minute {
		t.Errorf("it closed after %v", idle)
	}
}

// promoted notes with what runs begin that go on as workflows of their own.
func (s *stage) promoted(t *testing.T, into *[]schemas.RunRequest) {
	t.Helper()
	s.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, args converter.EncodedValues) {
		var in schemas.RunRequest
		if err := args.Get(&in); err != nil || info.WorkflowExecution.ID != schemas.RunWorkflowID(in.Tenant, in.RunID) {
			t.Errorf("workflow %s, %v", info.WorkflowExecution.ID, err)
		}
		*into = append(*into, in)
	})
}

func TestLanePromotes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fails schemas.Code // of step b
		asks  bool
		retry string
		moves bool
		tries int
	}{
		"what is down":          {fails: schemas.Unavailable, moves: true, tries: 3},
		"a rate limit":          {fails: schemas.RateLimited, moves: true, tries: 3},
		"what took too long":    {fails: schemas.Deadline, moves: true, tries: 3},
		"a fault of ours":       {fails: schemas.Internal, moves: true, tries: 3},
		"a question":            {asks: true, moves: true, tries: 1},
		"what is final":         {fails: schemas.Refused, tries: 1},
		"what is not retried":   {fails: schemas.Unavailable, retry: schemas.RetryNone, tries: 1},
		"malformed output":      {fails: schemas.MalformedOutput, tries: 1},
		"what exceeds a budget": {fails: schemas.OverBudget, tries: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			var started []schemas.RunRequest
			s.promoted(t, &started)
			s.step = func(_ context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
				switch {
				case in.Step == "a" || !in.Fresh:
					return schemas.StepOutcome{Output: text("paid for " + in.Step)}, nil
				case test.asks:
					return schemas.StepOutcome{Asks: "again?"}, nil
				}
				return schemas.StepOutcome{}, schemas.Errorf(test.fails, "no")
			}
			step := generate("b", "a")
			step.Retry = test.retry
			var got answered
			s.run(time.Minute, named("r1", generate("a"), step), &got)
			if _, err := s.lane(t); err != nil {
				t.Fatal(err)
			}
			if a, b := len(s.calls("a")), len(s.calls("b")); a != 1 || b != test.tries+len(started) {
				t.Errorf("%d and %d tries", a, b)
			}
			if !test.moves {
				if len(started) != 0 || failureCode(got.err) != test.fails || s.record(t).Status != schemas.RunFailed {
					t.Errorf("%d started, %+v", len(started), got)
				}
				return
			}
			if got.err != nil || !got.out.Promoted || len(started) != 1 {
				t.Fatalf("%+v, %d started", got, len(started))
			}
			if r := s.record(t); r.Lane || r.Status != schemas.RunDone || len(r.Steps) != 2 || r.Steps[1].Output != text("paid for b") {
				t.Errorf("record %+v", r)
			}
			if in := started[0]; len(in.Done) != 1 || in.Done[0].Output != text("paid for a") || in.Fresh || in.RunID != "r1" {
				t.Errorf("it goes on with %+v", in)
			}
		})
	}
}

// TestLanePromotesLongRuns has a run pass the time of a lane between two steps: what ran beside the failing step is waited for, not
// cancelled, so that nothing of it is paid for again.
func TestLanePromotesLongRuns(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var started []schemas.RunRequest
	s.promoted(t, &started)
	together := meet(2)
	s.step = func(ctx context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
		if !in.Fresh {
			return schemas.StepOutcome{}, nil
		}
		if in.Step == "down" && len(s.calls("down")) < 3 { // its last attempt comes while the other is under way
			return schemas.StepOutcome{}, schemas.Errorf(schemas.Unavailable, "down")
		}
		if err := together(ctx); err != nil {
			return schemas.StepOutcome{}, err
		}
		if in.Step == "down" {
			return schemas.StepOutcome{}, schemas.Errorf(schemas.Unavailable, "down")
		}
		select {
		case <-ctx.Done():
			return schemas.StepOutcome{}, ctx.Err()
		case <-time.After(200 * time.Millisecond): // long enough for a cancel to come, if there is one
		}
		return schemas.StepOutcome{Output: text("paid")}, nil
	}
	var got answered
	s.run(time.Minute, named("r1", generate("down"), generate("beside")), &got)
	if _, err := s.lane(t); err != nil {
		t.Fatal(err)
	}
	if len(started) != 1 || len(started[0].Done) != 1 || started[0].Done[0].Output != text("paid") {
		t.Errorf("%+v", started)
	}
}

func TestLaneContinuesAsNewWhenDue(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.step = func(context.Context, schemas.StepRequest) (schemas.StepOutcome, error) {
		s.SetContinueAsNewSuggested(true)
		return schemas.StepOutcome{}, nil
	}
	var got answered
	s.run(time.Minute, named("r1", generate("a"), generate("b", "a")), &got)
	_, err := s.lane(t)
	if !workflow.IsContinueAsNewError(err) {
		t.Fatalf("want it to continue as new, got %v", err)
	}
	if got.err != nil || got.out.Output != text("a,b") {
		t.Errorf("%+v", got)
	}
}
