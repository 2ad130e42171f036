package meter

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Request begins the span of a request over HTTP, in the trace of its caller. Answered is told the pattern of the route and the status. The
// route is the span's name: paths hold ids.
func (m *Meter) Request(r *http.Request, id string) (ctx context.Context, answered func(route string, status int)) {
	ctx = r.Context()
	if !m.traces() {
		return ctx, func(string, int) {}
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	ctx, span := m.span(ctx, r.Method, trace.SpanKindServer, semconv.HTTPRequestMethodKey.String(r.Method), attribute.String(schemas.SpanRequest, id))
	return ctx, func(route string, status int) {
		if route != "" {
			span.SetName(route)
			span.SetAttributes(semconv.HTTPRoute(route))
		}
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// Passing begins the span of a call that is passed through to a model, until its record is durable. Passed is told what came of it.
func (m *Meter) Passing(ctx context.Context, tenant, id, model string) (_ context.Context, passed func(error)) {
	if !m.traces() {
		return ctx, func(error) {}
	}
	ctx, span := m.span(ctx, "pass through "+model, trace.SpanKindInternal, attribute.String(schemas.SpanTenant, tenant),
		attribute.String(schemas.SpanRun, id), attribute.String(schemas.SpanChain, schemas.ModelChain(model)))
	return ctx, func(err error) { end(span, err) }
}

// Part begins a part of a step, such as a search or a call of a tool. Done is told what came of it.
func (m *Meter) Part(ctx context.Context, operation, what string, attributes ...attribute.KeyValue) (_ context.Context, done func(error, ...attribute.KeyValue)) {
	if !m.traces() {
		return ctx, func(error, ...attribute.KeyValue) {}
	}
	attributes = append(attributes, semconv.GenAIOperationNameKey.String(operation))
	ctx, span := m.span(ctx, operation+" "+what, trace.SpanKindClient, attributes...)
	return ctx, func(err error, attributes ...attribute.KeyValue) { end(span, err, attributes...) }
}

// Searching begins a search of a collection.
func (m *Meter) Searching(ctx context.Context, collection string) (_ context.Context, done func(hits int, err error)) {
	ctx, end := m.Part(ctx, "retrieval", collection, semconv.GenAIDataSourceID(collection))
	return ctx, func(hits int, err error) { end(err, attribute.Int(schemas.SpanHits, hits)) }
}

// Tool begins a call of a tool over HTTP.
func (m *Meter) Tool(ctx context.Context, name, method, host string) (_ context.Context, done func(status int, err error)) {
	ctx, end := m.Part(ctx, "execute_tool", name, semconv.GenAIToolName(name), semconv.GenAIToolType("function"),
		semconv.HTTPRequestMethodKey.String(method), semconv.ServerAddress(host))
	return ctx, func(status int, err error) {
		if status == 0 {
			end(err)
			return
		}
		end(err, semconv.HTTPResponseStatusCode(status))
	}
}

// Activity begins an activity. Its span is made where the trace comes from its caller, and own is false: the steps of runs make their own.
func (m *Meter) Activity(ctx context.Context, name string, attempt int32, own bool) (_ context.Context, done func(error)) {
	if m == nil {
		return ctx, func(error) {}
	}
	start := time.Now()
	var span trace.Span
	if !own && trace.SpanContextFromContext(ctx).IsValid() {
		ctx, span = m.span(ctx, name, trace.SpanKindInternal, attribute.String(schemas.SpanActivity, name), attribute.Int(schemas.SpanAttempt, int(attempt)))
	}
	return ctx, func(err error) {
		m.figures.activities.WithLabelValues(name, outcome(err)).Inc()
		m.figures.activitySeconds.WithLabelValues(name).Observe(seconds(start))
		if attempt > 1 {
			m.figures.retries.WithLabelValues(name).Inc()
		}
		end(span, err)
	}
}
