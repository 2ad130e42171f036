package workflows_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
	"github.com/tenuto-dev/tenuto/workflows"
)

func quiet(t *testing.T) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(telemetry.Temporal(zap.NewNop()))
	env := suite.NewTestWorkflowEnvironment()
	workflows.Register(env)
	return env
}

// TestReleaseReadsTheCommitThatWasFound has the code host be down, and its limit be used up, before it answers.
func TestReleaseReadsTheCommitThatWasFound(t *testing.T) {
	t.Parallel()
	env := quiet(t)
	failures := []error{schemas.Errorf(schemas.Unavailable, "down"), &schemas.Error{Code: schemas.RateLimited, Message: "slower", RetryAfter: 40 * time.Minute}}
	resolved, compiled := 0, []schemas.ReleaseRequest(nil)
	bind.Activity(env, schemas.ResolveRelease, func(_ context.Context, in schemas.ReleaseRequest) (schemas.ReleaseRequest, error) {
		resolved++
		in.Source = strings.Replace(in.Source, "@main", "@c0ffee", 1)
		return in, nil
	})
	bind.Activity(env, schemas.CompileRelease, func(_ context.Context, in schemas.ReleaseRequest) (schemas.ReleaseOutcome, error) {
		compiled = append(compiled, in)
		if n := len(compiled); n <= len(failures) {
			return schemas.ReleaseOutcome{}, failures[n-1]
		}
		return schemas.ReleaseOutcome{Source: in.Source, Made: schemas.Content{Text: "{}"}}, nil
	})
	request := schemas.ReleaseRequest{Tenant: "default", Source: "github://octo/bots@main:qa", Chain: "one", Message: "m", By: schemas.Actor{Key: "0a"}}
	env.ExecuteWorkflow(schemas.MakeRelease.Name(), request)
	var out schemas.ReleaseOutcome
	if err := env.GetWorkflowResult(&out); err != nil {
		t.Fatal(err)
	}
	request.Source = "github://octo/bots@c0ffee:qa"
	if diff := cmp.Diff([]schemas.ReleaseRequest{request, request, request}, compiled); diff != "" || resolved != 1 || out.Source != request.Source {
		t.Errorf("resolved %d times, %+v\n%s", resolved, out, diff)
	}
}

func TestReleaseFailsWithItsReason(t *testing.T) {
	t.Parallel()
	env := quiet(t)
	bind.Activity(env, schemas.ResolveRelease, func(_ context.Context, in schemas.ReleaseRequest) (schemas.ReleaseRequest, error) {
		return in, schemas.Errorf(schemas.NotFound, "there is no repository")
	})
	bind.Activity(env, schemas.CompileRelease, func(context.Context, schemas.ReleaseRequest) (schemas.ReleaseOutcome, error) {
		t.Error("something was compiled")
		return schemas.ReleaseOutcome{}, nil
	})
	env.ExecuteWorkflow(schemas.MakeRelease.Name(), schemas.ReleaseRequest{})
	var app *temporal.ApplicationError
	if err := env.GetWorkflowError(); !errors.As(err, &app) || app.Type() != string(schemas.NotFound) {
		t.Errorf("the workflow ends with %v, want not_found", err)
	}
}
