package telemetry

import (
	"cmp"
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/schemas"
)

// stopTime is how long the last spans of a process may take to leave it.
const stopTime = 5 * time.Second

// Meter makes the meter of a process. Its spans go to the collector that the variables of OpenTelemetry name, over OTLP and HTTP; where they
// name none there are no spans. The service is called name unless they call it otherwise. Stop sends what has not gone yet. Error: invalid, for
// a variable that cannot be used.
func Meter(ctx context.Context, getenv func(string) string, name string, log *zap.Logger) (m *meter.Meter, stop func(), err error) {
	content, err := tenants(getenv("TENUTO_TRACE_CONTENT"))
	if err != nil {
		return nil, nil, err
	}
	if !exports(getenv) {
		return meter.New(meter.Options{}), func() {}, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, nil, schemas.Wrap(schemas.Invalid, err, "the OTEL_EXPORTER_OTLP_* variables cannot be used")
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName(name)), resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, nil, schemas.Wrap(schemas.Invalid, err, "OTEL_RESOURCE_ATTRIBUTES cannot be used: write key=value,key=value")
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry", zap.Error(err)) }))
	spans := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about), sdktrace.WithIDGenerator(meter.IDs{}))
	return meter.New(meter.Options{Spans: spans, Content: content}), func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		if err := spans.Shutdown(last); err != nil {
			log.Warn("telemetry", zap.Error(err))
		}
	}, nil
}

// exports reports whether spans have somewhere to go.
func exports(getenv func(string) string) bool {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return cmp.Or(getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) != ""
}

// tenants reads a list with commas.
func tenants(list string) (names []string, err error) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if err := schemas.CheckTenant(name); err != nil {
			return nil, schemas.Wrap(schemas.Invalid, err, "TENUTO_TRACE_CONTENT: %.80q is no name of a tenant", name)
		}
		names = append(names, name)
	}
	return names, nil
}
