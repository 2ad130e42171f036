package host

import (
	"context"
	"errors"
	"strings"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/schemas"
)

// told is fn, and tells of what it returned.
func told[In, Out any](fn func(context.Context, In) (Out, error), tell func(Out)) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (Out, error) {
		out, err := fn(ctx, in)
		if err == nil {
			tell(out)
		}
		return out, err
	}
}

// metering tells the meter of every activity. It touches no workflow: those are replayed.
type metering struct {
	interceptor.WorkerInterceptorBase
	meter *meter.Meter
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (m *metering) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &metered{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, meter: m.meter}
}

type metered struct {
	interceptor.ActivityInboundInterceptorBase
	meter *meter.Meter
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (m *metered) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	info := activity.GetInfo(ctx)
	name := info.ActivityType.Name
	ctx, done := m.meter.Activity(ctx, name, info.Attempt, strings.HasPrefix(name, "chain."))
	out, err := m.Next.ExecuteActivity(ctx, in)
	done(coded(err))
	return out, err
}

// coded gives a failure its code back, which package bind has made a type of Temporal's.
func coded(err error) error {
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		return &schemas.Error{Code: schemas.Code(app.Type()), Message: app.Message()}
	}
	return err
}
