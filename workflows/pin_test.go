package workflows_test

import (
	"context"
	"errors"
	"testing"

	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
)

// TestPinWaitsForTheStore has the store be down for a moment, and a request that is wrong for good.
func TestPinWaitsForTheStore(t *testing.T) {
	t.Parallel()
	env := quiet(t)
	asked := 0
	bind.Activity(env, schemas.PinRun, func(_ context.Context, in schemas.PinRequest) (schemas.PinOutcome, error) {
		if asked++; asked < 3 {
			return schemas.PinOutcome{}, schemas.Errorf(schemas.Unavailable, "down")
		}
		return schemas.PinOutcome{Run: &schemas.RunRequest{RunID: in.RunID}}, nil
	})
	env.ExecuteWorkflow(schemas.Pin.Name(), schemas.PinRequest{RunID: "r"})
	var out schemas.PinOutcome
	if err := env.GetWorkflowResult(&out); err != nil || out.Run == nil || out.Run.RunID != "r" || asked != 3 {
		t.Errorf("%+v after %d calls, %v", out, asked, err)
	}

	env = quiet(t)
	asked = 0
	bind.Activity(env, schemas.PinRun, func(context.Context, schemas.PinRequest) (schemas.PinOutcome, error) {
		asked++
		return schemas.PinOutcome{}, schemas.Errorf(schemas.Conflict, "another request")
	})
	env.ExecuteWorkflow(schemas.Pin.Name(), schemas.PinRequest{})
	failed, ok := errors.AsType[*temporal.ApplicationError](env.GetWorkflowError())
	if !ok || failed.Type() != string(schemas.Conflict) || asked != 1 {
		t.Errorf("%v after %d calls", env.GetWorkflowError(), asked)
	}
}

func TestFetchReadsWhatItIsAskedFor(t *testing.T) {
	t.Parallel()
	env := quiet(t)
	bind.Activity(env, schemas.FetchText, func(_ context.Context, in schemas.FetchRequest) (schemas.Fetched, error) {
		return schemas.Fetched{Text: in.Tenant + " " + in.Ref.Key}, nil
	})
	env.ExecuteWorkflow(schemas.Fetch.Name(), schemas.FetchRequest{Tenant: "a", Ref: schemas.Ref{Key: "b"}})
	var out schemas.Fetched
	if err := env.GetWorkflowResult(&out); err != nil || out.Text != "a b" {
		t.Errorf("%+v, %v", out, err)
	}
}
