package wire

import (
	"context"

	"go.temporal.io/sdk/client"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/worker/telemetry"
)

// TemporalMetrics has the meter's registry keep the figures of the Temporal SDK.
func TemporalMetrics(m *meter.Meter) client.MetricsHandler {
	return telemetry.TemporalMetrics(m.Registry())
}

// Meter makes the meter of a process that is called name, see telemetry.Meter.
func Meter(ctx context.Context, getenv func(string) string, name string, log *zap.Logger) (m *meter.Meter, stop func(), err error) {
	return telemetry.Meter(ctx, getenv, name, log)
}
