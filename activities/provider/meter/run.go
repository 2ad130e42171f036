package meter

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenuto-dev/tenuto/schemas"
)

// RunEnded tells of a run whose record is durable, with where its caller's trace stood.
func (m *Meter) RunEnded(ctx context.Context, e schemas.Exchange, t schemas.Trace) {
	if m == nil {
		return
	}
	execution := "workflow"
	if e.Lane {
		execution = "lane"
	}
	chain := m.chains.of(e.Chain)
	m.figures.runs.WithLabelValues(chain, execution, e.Status).Inc()
	m.figures.runSeconds.WithLabelValues(chain, execution).Observe(float64(e.TookMS) / 1000)
	if !m.traces() {
		return
	}
	w := run{e.Tenant, e.RunID, e.Retries}.wanted()
	ctx = trace.ContextWithRemoteSpanContext(context.WithValue(ctx, wantedKey{}, w), parentOf(ctx, t))
	start := time.UnixMilli(e.StartMS)
	_, span := m.tracer.Start(ctx, "invoke_workflow "+e.Chain, trace.WithTimestamp(start), trace.WithAttributes(runAttributes(e, execution)...))
	if e.Failure != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(string(e.Failure.Code)))
		span.SetStatus(codes.Error, string(e.Failure.Code))
	}
	span.End(trace.WithTimestamp(start.Add(time.Duration(e.TookMS) * time.Millisecond)))
}

func runAttributes(e schemas.Exchange, execution string) []attribute.KeyValue {
	attributes := []attribute.KeyValue{
		semconv.GenAIOperationNameInvokeWorkflow, semconv.GenAIWorkflowName(e.Chain),
		attribute.String(schemas.SpanTenant, e.Tenant), attribute.String(schemas.SpanRun, e.RunID), attribute.String(schemas.SpanChain, e.Chain),
		attribute.String(schemas.SpanExecution, execution), attribute.String(schemas.SpanStatus, e.Status),
		attribute.Int(schemas.SpanRetries, e.Retries), attribute.Float64(schemas.SpanCost, e.Cost.USD),
		semconv.GenAIUsageInputTokens(e.Usage.InputTokens), semconv.GenAIUsageOutputTokens(e.Usage.OutputTokens),
	}
	if e.Cost.Unknown > 0 {
		attributes = append(attributes, attribute.Int(schemas.SpanUnknown, e.Cost.Unknown))
	}
	if e.Release != "" {
		attributes = append(attributes, attribute.String(schemas.SpanRelease, e.Release))
	}
	if e.Label != "" {
		attributes = append(attributes, attribute.String(schemas.SpanLabel, e.Label))
	}
	return attributes
}

// Step is a step, or a turn of one, that is being carried out.
type Step struct {
	m     *Meter
	start time.Time
	span  trace.Span
}

// StepBegins tells of a step. What is done with the context that it returns is part of it. Its kind is told when it ends.
func (m *Meter) StepBegins(ctx context.Context, in schemas.StepRequest) (context.Context, Step) {
	s := Step{m: m}
	if m == nil {
		return ctx, s
	}
	s.start = time.Now()
	if m.traces() {
		ctx = m.within(ctx, run{in.Tenant, in.RunID, in.Retries}, in.Trace)
		ctx, s.span = m.span(ctx, "step "+in.Step, trace.SpanKindInternal,
			attribute.String(schemas.SpanTenant, in.Tenant), attribute.String(schemas.SpanRun, in.RunID), attribute.String(schemas.SpanChain, in.Chain),
			attribute.String(schemas.SpanStep, in.Step), attribute.String(schemas.SpanPath, in.Path), attribute.Int(schemas.SpanTurn, in.Turn))
	}
	return ctx, s
}

// End tells what came of the step: of which kind it was, how often it was tried before, and whether its condition was false.
func (s Step) End(kind schemas.StepKind, retries int, skipped bool, err error) {
	if s.m == nil {
		return
	}
	what := outcome(err)
	if skipped {
		what = "skipped"
	}
	name := string(kind)
	if name == "" {
		name = others
	}
	s.m.figures.steps.WithLabelValues(name, what).Inc()
	s.m.figures.stepSeconds.WithLabelValues(name).Observe(seconds(s.start))
	if retries > 0 {
		s.m.figures.retries.WithLabelValues(name).Inc()
	}
	if s.span != nil {
		end(s.span, err, attribute.String(schemas.SpanKind, name), attribute.Int(schemas.SpanRetries, retries), attribute.Bool(schemas.SpanSkipped, skipped))
	}
}

// FirstToken tells how long the client of a streamed run waited for the first piece of its answer.
func (m *Meter) FirstToken(waited time.Duration) {
	if m != nil {
		m.figures.firstToken.Observe(waited.Seconds())
	}
}
