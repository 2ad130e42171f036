package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	sdk "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/client"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

func search(query string) schemas.RunRequest {
	return schemas.RunRequest{
		Tenant: schemas.DefaultTenant, RunID: "r1", Input: schemas.Content{Text: `{"query":"` + query + `"}`},
		Bundle: schemas.Ref{Key: "bundle"},
		Plan:   schemas.Plan{Chain: "search", Steps: []schemas.PlanStep{{ID: "retrieve", Kind: schemas.StepRetrieve}}},
	}
}

// fake runs chains as fn.
func fake(fn func(context.Context, schemas.RunRequest) (schemas.RunOutcome, error)) *gatewaytest.Temporal {
	return &gatewaytest.Temporal{Handlers: map[string]gatewaytest.Handler{
		schemas.Chain.Name(): func(ctx context.Context, in any) (any, error) { return fn(ctx, in.(schemas.RunRequest)) },
	}}
}

func TestStartChainJoinsTheSameRequest(t *testing.T) {
	t.Parallel()
	temporal := fake(func(_ context.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
		return schemas.RunOutcome{RunID: in.RunID, Output: schemas.Content{Text: "out"}}, nil
	})
	var first string
	for i := range 2 {
		run, err := client.StartChain(t.Context(), temporal, search("alpha"), client.ChainOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out, err := run.Wait(t.Context())
		if err != nil || out.Output.Text != "out" || run.WorkflowID() != "run/default/r1" {
			t.Errorf("run %d of %s: %+v, %v", i, run.WorkflowID(), out, err)
		}
		if i == 0 {
			first = run.RunID()
		} else if run.RunID() != first {
			t.Error("the repeated request is another execution")
		}
	}
	_, err := client.StartChain(t.Context(), temporal, search("beta"), client.ChainOptions{})
	if schemas.CodeOf(err) != schemas.Conflict || temporal.Started(schemas.Chain.Name()) != 1 {
		t.Errorf("another request under the same id: %v, %d executions", err, temporal.Started(schemas.Chain.Name()))
	}
	bad := search("x")
	bad.RunID = "a b"
	if _, err := client.StartChain(t.Context(), temporal, bad, client.ChainOptions{}); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a bad run id: %v", err)
	}
	if got := temporal.Options("run/default/r1"); got.WorkflowExecutionTimeout != time.Hour || got.Priority.PriorityKey != 1 {
		t.Errorf("timeout %v, priority %v", got.WorkflowExecutionTimeout, got.Priority)
	}
	batch := search("x")
	batch.RunID, batch.Batch = "r2", true
	if _, err := client.StartChain(t.Context(), temporal, batch, client.ChainOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := temporal.Options("run/default/r2"); got.WorkflowExecutionTimeout != 7*24*time.Hour || got.Priority.PriorityKey != 5 || got.Priority.FairnessKey != "default" {
		t.Errorf("of a batch: timeout %v, priority %v", got.WorkflowExecutionTimeout, got.Priority)
	}
}

func TestWaitEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	temporal := fake(func(ctx context.Context, _ schemas.RunRequest) (schemas.RunOutcome, error) {
		<-ctx.Done()
		return schemas.RunOutcome{}, ctx.Err()
	})
	run, err := client.StartChain(t.Context(), temporal, search("x"), client.ChainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := run.Wait(ctx); schemas.CodeOf(err) != schemas.Deadline {
		t.Errorf("got %v, want deadline", err)
	}
	if err := temporal.CancelWorkflow(t.Context(), run.WorkflowID(), ""); err != nil {
		t.Error(err)
	}
}

func TestCoded(t *testing.T) {
	t.Parallel()
	app := temporal.NewApplicationErrorWithOptions("Weaviate is down", string(schemas.Unavailable), temporal.ApplicationErrorOptions{})
	plain := temporal.NewApplicationError("secret detail", "SomeGoError")
	for name, test := range map[string]struct {
		err     error
		code    schemas.Code
		message string
	}{
		"recorded":         {fmt.Errorf("workflow: %w", app), schemas.Unavailable, "Weaviate is down"},
		"inside another":   {temporal.NewApplicationErrorWithCause("outer", "Other", app), schemas.Unavailable, "Weaviate is down"},
		"unknown type":     {plain, schemas.Internal, "did not name"},
		"canceled":         {temporal.NewCanceledError(), schemas.Conflict, "canceled"},
		"timeout":          {temporal.NewTimeoutError(0, nil), schemas.Deadline, "longer than allowed"},
		"not found":        {serviceerror.NewNotFound("x"), schemas.NotFound, "no such workflow"},
		"unavailable":      {serviceerror.NewUnavailable("x"), schemas.Unavailable, "cannot be reached"},
		"already":          {serviceerror.NewWorkflowExecutionAlreadyStarted("x", "", ""), schemas.Conflict, "exists already"},
		"exhausted":        {serviceerror.NewResourceExhausted(0, "x"), schemas.RateLimited, "over its limits"},
		"context":          {context.DeadlineExceeded, schemas.Deadline, "ended before"},
		"anything":         {errors.New("boom"), schemas.Internal, "did not name"},
		"coded by us":      {schemas.Errorf(schemas.Refused, "no"), schemas.Refused, "no"},
		"wrapped coded":    {fmt.Errorf("x: %w", schemas.Errorf(schemas.Refused, "no")), schemas.Refused, "no"},
		"service deadline": {serviceerror.NewDeadlineExceeded("x"), schemas.Deadline, "ended before"},
	} {
		got := client.Coded(test.err)
		if schemas.CodeOf(got) != test.code || !strings.Contains(schemas.SafeMessage(got), test.message) {
			t.Errorf("%s: code %s, %q", name, schemas.CodeOf(got), schemas.SafeMessage(got))
		}
	}
	if client.Coded(nil) != nil {
		t.Error("no error became one")
	}
}

// A service that speaks Temporal starts a run and waits for its outcome; a short output comes with it, a long one lies in the artifact store.
func ExampleStartChain() {
	var temporal client.Starter = fake(func(_ context.Context, in schemas.RunRequest) (schemas.RunOutcome, error) {
		return schemas.RunOutcome{RunID: in.RunID, Output: schemas.Content{Text: `{"hits":[]}`}}, nil
	}) // in a service: client.Dial of the Temporal SDK
	run, err := client.StartChain(context.Background(), temporal, search("goroutines"), client.ChainOptions{Timeout: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	outcome, err := run.Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome.RunID, outcome.Output.Text)
	// Output: r1 {"hits":[]}
}

// Every client of Temporal's SDK is a Starter.
var _ client.Starter = sdk.Client(nil)
