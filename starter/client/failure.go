package client

import (
	"context"
	"errors"
	"slices"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Coded gives an error of Temporal's client the code and the safe message that the failing activity or workflow recorded; the
// error itself becomes the cause. A nil error stays nil, and an error with a code is returned as it is.
//
// What has no recorded code: a canceled or terminated workflow is conflict, a timeout or an ended context deadline, an unknown
// workflow not_found, a server that cannot be reached unavailable, a server over its limits rate_limited, all else internal.
func Coded(err error) error {
	if err == nil {
		return nil
	}
	if coded, ok := errors.AsType[*schemas.Error](err); ok {
		return coded
	}
	if coded := recorded(err); coded != nil {
		return coded
	}
	for _, class := range classes {
		if class.is(err) {
			return schemas.Wrap(class.code, err, "%s", class.message)
		}
	}
	return schemas.Wrap(schemas.Internal, err, "the workflow failed for a reason it did not name; the Temporal UI and the logs have it")
}

// recorded finds the failure that worker/bind wrote: an application error whose type is one of our codes.
func recorded(err error) error {
	var app *temporal.ApplicationError
	for errors.As(err, &app) {
		if code := schemas.Code(app.Type()); slices.Contains(schemas.Codes(), code) {
			return &schemas.Error{Code: code, Message: app.Message(), RetryAfter: app.NextRetryDelay(), Cause: err}
		}
		if err = errors.Unwrap(app); err == nil {
			return nil
		}
	}
	return nil
}

// classes are the failures that carry no code of ours; the first that fits is taken.
var classes = []struct {
	code    schemas.Code
	message string
	is      func(error) bool
}{
	{schemas.Conflict, "it was canceled", temporal.IsCanceledError},
	{schemas.Conflict, "it was terminated by an operator", as[*temporal.TerminatedError]},
	{schemas.Deadline, "it took longer than allowed", temporal.IsTimeoutError},
	{schemas.Conflict, "a workflow with this id exists already", as[*serviceerror.WorkflowExecutionAlreadyStarted]},
	{schemas.NotFound, "Temporal knows no such workflow", as[*serviceerror.NotFound]},
	{schemas.RateLimited, "Temporal is over its limits; try again in a moment", as[*serviceerror.ResourceExhausted]},
	{schemas.Deadline, "the call ended before Temporal answered", as[*serviceerror.DeadlineExceeded]},
	{schemas.Deadline, "the call ended before there was a result", ended},
	{schemas.Unavailable, "Temporal cannot be reached; check that its server runs at the configured address", as[*serviceerror.Unavailable]},
}

func as[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func ended(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || as[*serviceerror.Canceled](err)
}
