package meter_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/schemas"
)

// spans is a meter and where its spans are.
func spans(t *testing.T, options ...sdktrace.TracerProviderOption) (*meter.Meter, *tracetest.InMemoryExporter) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(kept), sdktrace.WithIDGenerator(meter.IDs{}))...)
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	return meter.New(meter.Options{Spans: provider, Content: []string{"glass"}}), kept
}

func exchange() schemas.Exchange {
	return schemas.Exchange{RunID: "r1", Tenant: "t", Chain: "c", Status: schemas.RunDone, StartMS: time.Now().UnixMilli(), TookMS: 20, Lane: true}
}

func step(t schemas.Trace) schemas.StepRequest {
	return schemas.StepRequest{Tenant: "t", RunID: "r1", Chain: "c", Step: "a", Trace: t}
}

func TestStepsAreBelowTheRunThatEndsLater(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]schemas.Trace{
		"in its caller's trace": {Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", State: "a=1"},
		"in a trace of its own": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, kept := spans(t)
			for range 2 { // as two processes would, and one of them again after a crash
				_, told := m.StepBegins(t.Context(), step(from))
				told.End(schemas.StepGenerate, 0, false, nil)
				m.RunEnded(t.Context(), exchange(), from)
			}
			got := kept.GetSpans()
			if len(got) != 4 {
				t.Fatalf("%d spans", len(got))
			}
			run := got[1]
			for i, s := range got {
				if s.SpanContext.TraceID() != run.SpanContext.TraceID() {
					t.Errorf("span %d is in another trace", i)
				}
			}
			if got[0].Parent.SpanID() != run.SpanContext.SpanID() || got[3].SpanContext.SpanID() != run.SpanContext.SpanID() {
				t.Errorf("the step is below %s, the run is %s and then %s", got[0].Parent.SpanID(), run.SpanContext.SpanID(), got[3].SpanContext.SpanID())
			}
			if from.Parent != "" && (run.Parent.SpanID().String() != "00f067aa0ba902b7" || run.SpanContext.TraceID().String() != from.Parent[3:35]) {
				t.Errorf("the run is below %s", run.Parent.SpanID())
			}
			if from.Parent == "" && run.Parent.IsValid() {
				t.Errorf("the run is below %s", run.Parent.SpanID())
			}
		})
	}
}

func TestWhatIsNotSampledIsNotSent(t *testing.T) {
	t.Parallel()
	m, kept := spans(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	_, told := m.StepBegins(t.Context(), step(schemas.Trace{}))
	told.End(schemas.StepGenerate, 0, false, nil)
	m.RunEnded(t.Context(), exchange(), schemas.Trace{})
	if got := kept.GetSpans(); len(got) != 0 {
		t.Errorf("%d spans", len(got))
	}
	if got := testutil.CollectAndCount(m.Registry(), schemas.MetricRuns); got != 1 {
		t.Errorf("%d series of runs", got)
	}
}

func TestAResponseThatIsReadBackIsNoCall(t *testing.T) {
	t.Parallel()
	m, kept := spans(t)
	ctx, told := m.StepBegins(t.Context(), step(schemas.Trace{}))
	m.ReadBack(ctx, "openai", "gpt", false)
	told.End(schemas.StepGenerate, 1, false, nil)
	got := kept.GetSpans()
	if len(got) != 1 || len(got[0].Events) != 1 || got[0].Events[0].Name != schemas.SpanRecorded {
		t.Fatalf("%+v", got)
	}
	marked := false
	for _, attribute := range got[0].Attributes {
		marked = marked || string(attribute.Key) == schemas.SpanRecorded && attribute.Value.AsBool()
	}
	if !marked || testutil.CollectAndCount(m.Registry(), schemas.MetricCallSeconds) != 0 {
		t.Errorf("marked %t", marked)
	}
}

func TestFailuresAreToldByTheirCode(t *testing.T) {
	t.Parallel()
	m, kept := spans(t)
	_, call := m.Called(t.Context(), meter.Call{Operation: meter.Chat, Vendor: "openai", Model: "made-up"})
	call.End(meter.Answer{}, schemas.Errorf(schemas.Invalid, "no such prompt: secret"))
	got := kept.GetSpans()[0]
	if got.Status.Description != "invalid" {
		t.Errorf("%+v", got.Status)
	}
	labels := map[string]string{}
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == schemas.MetricCallSeconds {
			for _, pair := range family.GetMetric()[0].GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
		}
	}
	want := map[string]string{
		"error_type": "invalid", "gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai", "gen_ai_request_model": "other",
	}
	if diff := cmp.Diff(want, labels); diff != "" {
		t.Error(diff)
	}
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	m := meter.New(meter.Options{})
	for i := range 500 {
		e := exchange()
		e.Chain = string(rune('a'+i%26)) + string(rune('a'+i/26))
		m.RunEnded(t.Context(), e, schemas.Trace{})
	}
	if got := testutil.CollectAndCount(m.Registry(), schemas.MetricRuns); got != 101 {
		t.Errorf("%d series, want 100 and one for others", got)
	}
}

func TestANilMeterRecordsNothing(t *testing.T) {
	t.Parallel()
	var m *meter.Meter
	ctx, told := m.StepBegins(t.Context(), step(schemas.Trace{}))
	told.End(schemas.StepGenerate, 0, false, nil)
	ctx, call := m.Called(ctx, meter.Call{})
	call.First()
	call.End(meter.Answer{}, nil)
	m.RunEnded(ctx, exchange(), schemas.Trace{})
	m.ReadBack(ctx, "", "", true)
	m.Stored("put", "k", time.Now(), nil)
	if m.Shows("glass") || m.Carry(ctx) != (schemas.Trace{}) {
		t.Error("it does")
	}
}

// BenchmarkRun is what telling of a run of one step with one call costs, without spans.
func BenchmarkRun(b *testing.B) {
	m := meter.New(meter.Options{})
	in, ended := step(schemas.Trace{}), exchange()
	for b.Loop() {
		ctx, told := m.StepBegins(b.Context(), in)
		ctx, call := m.Called(ctx, meter.Call{Operation: meter.Chat, Vendor: "openai", Model: "gpt"})
		call.End(meter.Answer{Usage: schemas.Usage{InputTokens: 100, OutputTokens: 20}}, nil)
		m.Waited("openai", time.Millisecond)
		m.Spent("openai", "gpt", new(float64))
		told.End(schemas.StepGenerate, 0, false, nil)
		m.RunEnded(ctx, ended, schemas.Trace{})
	}
}
