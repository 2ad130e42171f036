// Package bind ties activity code to contracts. It is the only registrar, and the last hand an error passes through before
// Temporal records it: codes become failures here, and nowhere else.
package bind

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
)

// faultAttempts is after how many attempts a fault of ours becomes final: retrying a bug for ever would look like work that is
// stuck. A part that is down is no fault; waiting for it is bounded by the profile of the call.
const faultAttempts = 8

// Registry is what activities are registered with: a worker or a test environment.
type Registry interface {
	RegisterActivityWithOptions(fn any, options activity.RegisterOptions)
}

// Activity registers fn under the contract's name. While fn runs it is kept alive by heartbeats when its caller asked for them;
// its errors become Temporal failures whose type is the code and whose text is safe to show.
func Activity[In, Out any](r Registry, contract schemas.Activity[In, Out], fn func(context.Context, In) (Out, error)) {
	r.RegisterActivityWithOptions(func(ctx context.Context, in In) (Out, error) {
		stop := heartbeat(ctx)
		defer stop()
		out, err := guarded(ctx, in, fn)
		if err != nil {
			return out, failure(ctx, in, err)
		}
		return out, nil
	}, activity.RegisterOptions{Name: contract.Name()})
}

// guarded turns a panic of fn into an internal error with its stack as the cause.
func guarded[In, Out any](ctx context.Context, in In, fn func(context.Context, In) (Out, error)) (out Out, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = schemas.Wrap(schemas.Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "an internal fault; the worker's log has the cause")
		}
	}()
	return fn(ctx, in)
}

// heartbeat reports life three times in a heartbeat timeout until stop is called, so that the death of a worker is noticed
// within that timeout, however long an attempt may take.
func heartbeat(ctx context.Context) (stop func()) {
	info := activity.GetInfo(ctx)
	if info.HeartbeatTimeout <= 0 || info.IsLocalActivity {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(info.HeartbeatTimeout / 3)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return func() { close(done) }
}

// failure builds what Temporal records of err, and logs it: which run it was, and what may be said of it without content. A cancelled call stays a cancelled call.
func failure(ctx context.Context, in any, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	info := activity.GetInfo(ctx)
	coded := &schemas.Error{}
	if !errors.As(err, &coded) {
		coded = schemas.Wrap(schemas.Internal, err, "%s", schemas.SafeMessage(err))
	}
	fields := []any{"code", coded.Code, "attempt", info.Attempt, "cause", schemas.LogText(err)}
	if run, ok := in.(interface{ LogFields() []any }); ok {
		fields = append(fields, run.LogFields()...)
	}
	activity.GetLogger(ctx).Warn("activity failed", fields...)
	final := !coded.Code.Retryable() || coded.Code == schemas.Internal && info.Attempt >= faultAttempts
	options := temporal.ApplicationErrorOptions{NonRetryable: final, NextRetryDelay: coded.RetryAfter}
	if coded.Code == schemas.RateLimited || coded.Code == schemas.Unavailable {
		options.Category = temporal.ApplicationErrorCategoryBenign
	}
	return temporal.NewApplicationErrorWithOptions(coded.Message, string(coded.Code), options)
}
