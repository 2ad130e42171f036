package meter

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Operation is what a call asks of a model, in the words of the conventions where they have one.
type Operation string

// The operations.
const (
	Chat       Operation = "chat"
	Embeddings Operation = "embeddings"
	Rerank     Operation = "rerank" // not in the conventions
)

// VendorOf is what the conventions call the provider that a driver speaks to. Whoever else speaks OpenAI's protocol counts as OpenAI, as the
// conventions have it; the server's address tells them apart.
func VendorOf(driver string) string {
	if driver == schemas.DriverGemini {
		return "gcp.gemini"
	}
	return driver
}

// Call is a call of a model.
type Call struct {
	Operation Operation
	Vendor    string // gen_ai.provider.name, of VendorOf
	Model     string // as it was asked for
	Stream    bool
	MaxTokens int // 0 where nothing was said of it
	Inputs    int // of an embedding call
}

// Answer is what is told of a response.
type Answer struct {
	ID, Model, Finish string
	Usage             schemas.Usage
}

// Calling is a call under way. A nil one is recorded nowhere.
type Calling struct {
	m       *Meter
	call    Call
	start   time.Time
	span    trace.Span
	pending bool // the first piece has not come
}

// Called begins a call that is paid for: it is about to be sent. What is done with the context that it returns is part of it.
func (m *Meter) Called(ctx context.Context, c Call) (context.Context, *Calling) {
	if m == nil {
		return ctx, nil
	}
	calling := &Calling{m: m, call: c, start: time.Now(), pending: c.Stream}
	if m.traces() {
		ctx, calling.span = m.span(ctx, string(c.Operation)+" "+c.Model, trace.SpanKindClient, c.attributes()...)
	}
	return ctx, calling
}

func (c Call) attributes() []attribute.KeyValue {
	attributes := []attribute.KeyValue{
		semconv.GenAIOperationNameKey.String(string(c.Operation)), semconv.GenAIProviderNameKey.String(c.Vendor),
		semconv.GenAIRequestModel(c.Model),
	}
	if c.Stream {
		attributes = append(attributes, semconv.GenAIRequestStream(true))
	}
	if c.MaxTokens > 0 {
		attributes = append(attributes, semconv.GenAIRequestMaxTokens(c.MaxTokens))
	}
	if c.Inputs > 0 {
		attributes = append(attributes, attribute.Int(schemas.SpanInputs, c.Inputs))
	}
	return attributes
}

// Sent tells of the server that a call goes to, and takes the trace there. The context is that of Called.
func Sent(ctx context.Context, address *url.URL, header http.Header) {
	span := trace.SpanFromContext(ctx)
	if !span.SpanContext().IsValid() {
		return
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(header))
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(semconv.ServerAddress(address.Hostname()))
	if port, err := strconv.Atoi(address.Port()); err == nil {
		span.SetAttributes(semconv.ServerPort(port))
	}
}

// First tells that the first piece of a streamed answer came. Later pieces change nothing.
func (c *Calling) First() {
	if c == nil || !c.pending {
		return
	}
	c.pending = false
	waited := seconds(c.start)
	c.m.figures.callFirst.WithLabelValues(string(c.call.Operation), c.call.Vendor, c.m.models.of(c.call.Model)).Observe(waited)
	if c.span != nil {
		c.span.SetAttributes(semconv.GenAIResponseTimeToFirstChunk(waited))
	}
}

// Content puts what was said into the span, in the form of the conventions: the tenant allows it. The values are made only where they are used.
func (c *Calling) Content(key string, text func() string) {
	if c != nil && c.span != nil && c.span.IsRecording() {
		c.span.SetAttributes(attribute.String(key, text()))
	}
}

// End tells what came of the call.
func (c *Calling) End(a Answer, err error) {
	if c == nil {
		return
	}
	operation, vendor, failure := string(c.call.Operation), c.call.Vendor, ""
	model := c.m.models.seen(c.call.Model)
	if err == nil {
		model = c.m.models.of(c.call.Model)
	} else {
		failure = outcome(err)
	}
	c.m.figures.callSeconds.WithLabelValues(operation, vendor, model, failure).Observe(seconds(c.start))
	c.m.used(c.call, model, a.Usage)
	if c.span != nil {
		end(c.span, err, a.attributes()...)
	}
}

// Batched tells what a call used that was made in a batch. It has no time of its own.
func (m *Meter) Batched(c Call, a Answer) {
	if m == nil {
		return
	}
	m.used(c, m.models.of(c.Model), a.Usage)
}

// used tells the tokens of a call.
func (m *Meter) used(c Call, model string, u schemas.Usage) {
	if u.InputTokens > 0 {
		m.figures.callTokens.WithLabelValues(string(c.Operation), c.Vendor, model, "input").Observe(float64(u.InputTokens))
	}
	if u.OutputTokens > 0 {
		m.figures.callTokens.WithLabelValues(string(c.Operation), c.Vendor, model, "output").Observe(float64(u.OutputTokens))
	}
}

func (a Answer) attributes() []attribute.KeyValue {
	var attributes []attribute.KeyValue
	if a.ID != "" {
		attributes = append(attributes, semconv.GenAIResponseID(a.ID))
	}
	if a.Model != "" {
		attributes = append(attributes, semconv.GenAIResponseModel(a.Model))
	}
	if a.Finish != "" {
		attributes = append(attributes, semconv.GenAIResponseFinishReasons(a.Finish))
	}
	u := a.Usage
	if u.InputTokens > 0 || u.OutputTokens > 0 {
		attributes = append(attributes, semconv.GenAIUsageInputTokens(u.InputTokens), semconv.GenAIUsageOutputTokens(u.OutputTokens))
	}
	if u.CachedTokens > 0 {
		attributes = append(attributes, semconv.GenAIUsageCacheReadInputTokens(u.CachedTokens))
	}
	if u.WrittenTokens > 0 {
		attributes = append(attributes, semconv.GenAIUsageCacheCreationInputTokens(u.WrittenTokens))
	}
	if u.ReasoningTokens > 0 {
		attributes = append(attributes, semconv.GenAIUsageReasoningOutputTokens(u.ReasoningTokens))
	}
	return attributes
}

// ReadBack tells that a response was not paid for: it was recorded by an earlier attempt, or cached is true and equal calls share it. The
// span of the step says so; there is none of a call.
func (m *Meter) ReadBack(ctx context.Context, vendor string, model string, cached bool) {
	if m == nil {
		return
	}
	source, mark := "record", schemas.SpanRecorded
	if cached {
		source, mark = "cache", schemas.SpanCached
	}
	m.figures.readBack.WithLabelValues(vendor, source).Inc()
	if m.traces() {
		span := trace.SpanFromContext(ctx)
		span.SetAttributes(attribute.Bool(mark, true))
		span.AddEvent(mark, trace.WithAttributes(semconv.GenAIProviderNameKey.String(vendor), semconv.GenAIRequestModel(model)))
	}
}

// Spent tells what a call cost; nil is unknown.
func (m *Meter) Spent(vendor string, model string, usd *float64) {
	switch {
	case m == nil:
	case usd == nil:
		m.figures.unknown.WithLabelValues(vendor, m.models.of(model)).Inc()
	default:
		m.figures.cost.WithLabelValues(vendor, m.models.of(model)).Add(max(0, *usd))
	}
}

// Waited tells how long a call waited for its turn.
func (m *Meter) Waited(vendor string, waited time.Duration) {
	if m != nil {
		m.figures.limiter.WithLabelValues(vendor).Observe(waited.Seconds())
	}
}
