package wire

import (
	"context"

	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
)

// Meter makes the meter of a process that is called name, see telemetry.Meter.
func Meter(ctx context.Context, getenv func(string) string, name string, log *zap.Logger) (m *meter.Meter, stop func(), err error) {
	return telemetry.Meter(ctx, getenv, name, log)
}
