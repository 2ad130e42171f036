// Package meter keeps what a process tells of its work: figures for Prometheus and spans for OpenTelemetry, by the names in
// schemas/telemetry.go. Neither has content in it, but for spans of tenants that allow it.
//
// A span is begun where code runs once: in activities, providers and the gateway, never in workflows. A run has one span, which is made
// when its record is durable and not before; its id follows from the run, so that the spans of steps, made earlier and in whatever process,
// are below it.
package meter

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenuto-dev/tenuto/schemas"
)

// scope names this program among those whose spans stand in a trace.
const scope = "github.com/tenuto-dev/tenuto"

// Options says what a meter does beside counting. The zero value makes no spans.
type Options struct {
	Spans   trace.TracerProvider // nil makes none; its ids must come from IDs
	Content []string             // tenants whose prompts and answers stand in spans
}

// Meter records what a process does. A nil one records nothing. It is safe for concurrent use.
type Meter struct {
	figures  *figures
	tracer   trace.Tracer // nil makes no spans
	content  map[string]bool
	registry *prometheus.Registry
	models   names
	chains   names
}

// New makes a meter whose figures are in a registry of its own.
func New(o Options) *Meter {
	m := &Meter{registry: prometheus.NewRegistry(), content: map[string]bool{}}
	m.figures = newFigures(m.registry)
	for _, tenant := range o.Content {
		m.content[tenant] = true
	}
	if o.Spans != nil {
		m.tracer = o.Spans.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	}
	return m
}

// Registry holds the figures; others may be added. A nil meter has a registry that nobody reads.
func (m *Meter) Registry() *prometheus.Registry {
	if m == nil {
		return prometheus.NewRegistry()
	}
	return m.registry
}

// traces reports whether spans are made.
func (m *Meter) traces() bool { return m != nil && m.tracer != nil }

// Shows reports whether prompts and answers of the tenant may stand in spans.
func (m *Meter) Shows(tenant string) bool { return m.traces() && m.content[tenant] }

// span begins a span of a part of a run. It is nil where none is made.
func (m *Meter) span(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	if !m.traces() {
		return ctx, nil
	}
	return m.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...)) //nolint:spancheck // whoever asked for it ends it, by end
}

// end ends a span, which may be nil. Of a failure it tells the code: messages may quote content.
func end(s trace.Span, err error, attributes ...attribute.KeyValue) {
	if s == nil {
		return
	}
	s.SetAttributes(attributes...)
	if err != nil {
		code := string(schemas.CodeOf(err))
		s.SetAttributes(semconv.ErrorTypeKey.String(code))
		s.SetStatus(codes.Error, code)
	}
	s.End()
}

// outcome is ok, or the code of an error.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return string(schemas.CodeOf(err))
}

// seconds since start.
func seconds(start time.Time) float64 { return time.Since(start).Seconds() }
