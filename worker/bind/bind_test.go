package bind_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/worker/bind"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
)

// fail runs an activity that returns err and gives back what Temporal would record.
func fail(t *testing.T, err error) *temporal.ApplicationError {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(telemetry.Temporal(zap.NewNop()))
	env := suite.NewTestActivityEnvironment()
	bind.Activity(env, schemas.DropCollection, func(context.Context, schemas.DropRequest) (schemas.DropReport, error) {
		return schemas.DropReport{}, err
	})
	_, got := env.ExecuteActivity(schemas.DropCollection.Name(), schemas.DropRequest{})
	var failure *temporal.ApplicationError
	if !errors.As(got, &failure) {
		t.Fatalf("no application error: %v", got)
	}
	return failure
}

func TestEveryCodeCrossesTheBoundary(t *testing.T) {
	t.Parallel()
	for _, code := range schemas.Codes() {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			secret := errors.New("secret detail")
			got := fail(t, fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", schemas.Wrap(code, secret, "safe words"))))
			if got.Type() != string(code) || got.NonRetryable() == code.Retryable() {
				t.Errorf("type %q, final %t", got.Type(), got.NonRetryable())
			}
			if got.Message() != "safe words" || strings.Contains(got.Error(), "secret") {
				t.Errorf("message %q", got.Error())
			}
		})
	}
}

func TestAnUncodedErrorIsInternalAndHidden(t *testing.T) {
	t.Parallel()
	got := fail(t, errors.New("secret detail"))
	if got.Type() != string(schemas.Internal) || strings.Contains(got.Error(), "secret") {
		t.Errorf("%q: %q", got.Type(), got.Error())
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	got := fail(t, &schemas.Error{Code: schemas.RateLimited, Message: "slow down", RetryAfter: 7 * time.Second})
	if got.NextRetryDelay() != 7*time.Second || got.Category() != temporal.ApplicationErrorCategoryBenign {
		t.Errorf("delay %s, category %v", got.NextRetryDelay(), got.Category())
	}
}

func TestAPanicIsAnInternalFault(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(telemetry.Temporal(zap.NewNop()))
	env := suite.NewTestActivityEnvironment()
	bind.Activity(env, schemas.DropCollection, func(context.Context, schemas.DropRequest) (schemas.DropReport, error) {
		panic("secret detail")
	})
	_, err := env.ExecuteActivity(schemas.DropCollection.Name(), schemas.DropRequest{})
	var failure *temporal.ApplicationError
	if !errors.As(err, &failure) || failure.Type() != string(schemas.Internal) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}
