package meter

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenuto-dev/tenuto/schemas"
)

// IDs makes the ids of spans: those that were asked for, and random ones. The SDK's IDGenerator has its methods.
type IDs struct{}

type wantedKey struct{}

type wanted struct {
	trace trace.TraceID
	span  trace.SpanID
}

// NewIDs returns the ids of a span that begins a trace.
func (IDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if w, ok := ctx.Value(wantedKey{}).(wanted); ok {
		return w.trace, w.span
	}
	var id trace.TraceID
	_, _ = rand.Read(id[:]) // it never fails
	return id, randomSpan()
}

// NewSpanID returns the id of a span in a trace.
func (IDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	if w, ok := ctx.Value(wantedKey{}).(wanted); ok {
		return w.span
	}
	return randomSpan()
}

func randomSpan() (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], mathrand.Uint64()|1) //nolint:gosec // a name within a trace, no secret
	return id
}

// run names a run, one that was continued on request another time.
type run struct {
	tenant, id string
	retries    int
}

// wanted are the ids of the run's span, the trace's for a run that stands in none.
func (r run) wanted() (w wanted) {
	sum := sha256.Sum256(fmt.Appendf(nil, "run\n%s\n%s\n%d", r.tenant, r.id, r.retries))
	copy(w.trace[:], sum[:16])
	copy(w.span[:], sum[16:])
	return w
}

// within returns a context whose spans are parts of the run.
func (m *Meter) within(ctx context.Context, r run, t schemas.Trace) context.Context {
	w := r.wanted()
	parent := parentOf(ctx, t)
	if !parent.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, m.rootOf(w))
	}
	return trace.ContextWithRemoteSpanContext(ctx, parent.WithSpanID(w.span))
}

// rootOf is the run's span as one that begins a trace. Whether it is sampled the sampler says, of the same ids always the same.
func (m *Meter) rootOf(w wanted) trace.SpanContext {
	_, span := m.tracer.Start(context.WithValue(context.Background(), wantedKey{}, w), "run", trace.WithNewRoot()) //nolint:spancheck // it only asks whether the trace is sampled
	return span.SpanContext()                                                                                      //nolint:spancheck // the span is never ended, so nobody sees it
}

func parentOf(ctx context.Context, t schemas.Trace) trace.SpanContext {
	if t.Parent == "" {
		return trace.SpanContext{}
	}
	carrier := propagation.MapCarrier{"traceparent": t.Parent, "tracestate": t.State}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), carrier))
}

// Carry is where ctx stands in its trace, for what goes on elsewhere.
func (m *Meter) Carry(ctx context.Context) schemas.Trace {
	if !m.traces() {
		return schemas.Trace{}
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return schemas.Trace{Parent: carrier.Get("traceparent"), State: carrier.Get("tracestate")}
}

// Continue returns a context that stands where Carry was called.
func (m *Meter) Continue(ctx context.Context, t schemas.Trace) context.Context {
	if parent := parentOf(ctx, t); m.traces() && parent.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	return ctx
}
