package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
)

// recalling is a test environment in which sweeps find what a script says; behind its end they find nothing.
func recalling(t *testing.T, script ...schemas.RecallSweep) (env *testsuite.TestWorkflowEnvironment, sweeps *[]time.Duration) {
	t.Helper()
	env = quiet(t)
	return env, recallingIn(env, script...)
}

func recallingIn(env *testsuite.TestWorkflowEnvironment, script ...schemas.RecallSweep) (sweeps *[]time.Duration) {
	sweeps = new([]time.Duration)
	bind.Activity(env, schemas.BeginRecall, func(context.Context, schemas.RecallRequest) (schemas.RecallReport, error) {
		return schemas.RecallReport{}, nil
	})
	start := env.Now()
	bind.Activity(env, schemas.SweepRecall, func(context.Context, schemas.RecallRequest) (schemas.RecallSweep, error) {
		n := len(*sweeps)
		*sweeps = append(*sweeps, env.Now().Sub(start))
		if n < len(script) {
			return script[n], nil
		}
		return schemas.RecallSweep{}, nil
	})
	bind.Activity(env, schemas.ReportRecall, func(_ context.Context, in schemas.RecallRequest) (schemas.RecallReport, error) {
		return schemas.RecallReport{Affected: in.Sweeps}, nil
	})
	return sweeps
}

func recallOf(action schemas.RecallAction) schemas.RecallRequest {
	return schemas.RecallRequest{Tenant: "default", Recall: schemas.Recall{Chain: "qa", Release: "c0ffee", Action: action, AtMS: 1}}
}

// TestRecallEndsWhenNothingIsLeft looks again after it found nothing: what is in flight is known with a delay.
func TestRecallEndsWhenNothingIsLeft(t *testing.T) {
	t.Parallel()
	env, sweeps := recalling(t, schemas.RecallSweep{InFlight: 2, Oldest: "a"}, schemas.RecallSweep{}, schemas.RecallSweep{InFlight: 1, Oldest: "b"}, schemas.RecallSweep{More: true})
	env.ExecuteWorkflow(schemas.RecallRuns.Name(), recallOf(schemas.RecallStop))
	var report schemas.RecallReport
	if err := env.GetWorkflowResult(&report); err != nil || report.Affected != 7 {
		t.Errorf("%+v, %v", report, err)
	}
	var seconds []int
	for _, at := range *sweeps {
		seconds = append(seconds, int(at.Seconds()))
	}
	if diff := cmp.Diff([]int{0, 3, 6, 9, 9, 12, 15}, seconds); diff != "" {
		t.Errorf("sweeps at the wrong seconds:\n%s", diff)
	}
}

// TestRecallIsPatient waits a day for runs to end: its pauses grow, and it continues as new.
func TestRecallIsPatient(t *testing.T) {
	t.Parallel()
	script := make([]schemas.RecallSweep, 1000)
	for i := range script {
		script[i] = schemas.RecallSweep{InFlight: 1, Oldest: "a"}
	}
	env, sweeps := recalling(t, script...)
	env.ExecuteWorkflow(schemas.RecallRuns.Name(), recallOf(schemas.RecallFinish))
	var again *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &again) || again.WorkflowType.Name != schemas.RecallRuns.Name() {
		t.Fatalf("it ends with %v, want to continue as new", err)
	}
	last := (*sweeps)[len(*sweeps)-1]
	if len(*sweeps) != 200 || last < 2*time.Hour || last-(*sweeps)[198] != time.Minute {
		t.Errorf("%d sweeps in %s", len(*sweeps), last)
	}

	env, sweeps = recalling(t)
	in := recallOf(schemas.RecallFinish)
	in.Sweeps, in.Quiet = 200, 1
	env.ExecuteWorkflow(schemas.RecallRuns.Name(), in)
	if err := env.GetWorkflowError(); err != nil || len(*sweeps) != 2 {
		t.Errorf("continued: %v after %d sweeps", err, len(*sweeps))
	}
}

// TestRecallStartsRunsAnew starts what sweeps say, each once, and does not wait for the ends.
func TestRecallStartsRunsAnew(t *testing.T) {
	t.Parallel()
	anew := func(n int) schemas.RunRequest {
		return schemas.RunRequest{
			Tenant: "default", RunID: fmt.Sprintf("anew-%d", n), RerunOf: fmt.Sprintf("old-%d", n), Release: "600d", Label: "production", Key: "0a", Plan: schemas.Plan{Chain: "qa"},
		}
	}
	s := newStage(t)
	recallingIn(s.TestWorkflowEnvironment,
		schemas.RecallSweep{InFlight: 3, Rerun: []schemas.RunRequest{anew(1), anew(2)}, More: true}, schemas.RecallSweep{InFlight: 2, Rerun: []schemas.RunRequest{anew(3)}},
	)
	var started []schemas.RunRequest
	s.promoted(t, &started)
	s.ExecuteWorkflow(schemas.RecallRuns.Name(), recallOf(schemas.RecallRerun))
	if err := s.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]schemas.RunRequest{}
	for _, run := range started {
		seen[run.RunID] = run
	}
	for n := range 3 {
		want := anew(n + 1)
		if diff := cmp.Diff(want, seen[want.RunID]); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRecallFailsWithItsReason(t *testing.T) {
	t.Parallel()
	env := quiet(t)
	bind.Activity(env, schemas.BeginRecall, func(context.Context, schemas.RecallRequest) (schemas.RecallReport, error) {
		return schemas.RecallReport{}, schemas.Errorf(schemas.NotFound, "there is no such release")
	})
	env.ExecuteWorkflow(schemas.RecallRuns.Name(), recallOf(schemas.RecallStop))
	var app *temporal.ApplicationError
	if err := env.GetWorkflowError(); !errors.As(err, &app) || app.Type() != string(schemas.NotFound) {
		t.Errorf("it ends with %v, want not_found", err)
	}
}
