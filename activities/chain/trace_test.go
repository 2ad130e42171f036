package chain_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// traced has the rig tell of its spans. Prompts and answers stand in them where content says so.
func (r *rig) traced(t *testing.T, content ...string) *tracetest.InMemoryExporter {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithIDGenerator(meter.IDs{}))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	r.Meter = meter.New(meter.Options{Spans: provider, Content: content})
	r.Fleet.Meter = r.Meter
	return spans
}

// branches draws spans as names, each behind that of its parent.
func branches(spans tracetest.SpanStubs) []string {
	var lines []string
	for _, s := range spans {
		line := s.Name
		for parent := s.Parent.SpanID(); ; {
			i := slices.IndexFunc(spans, func(o tracetest.SpanStub) bool { return o.SpanContext.SpanID() == parent })
			if i < 0 {
				line = parent.String() + " > " + line
				break
			}
			line, parent = spans[i].Name+" > "+line, spans[i].Parent.SpanID()
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func values(s tracetest.SpanStub) map[attribute.Key]string {
	values := map[attribute.Key]string{}
	for _, a := range s.Attributes {
		values[a.Key] = a.Value.String()
	}
	return values
}

func TestARunIsOneTrace(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, two())
	spans := r.traced(t)
	in := r.line(t)
	in.Run.Trace = schemas.Trace{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
	in.Run.Release, in.Run.Label = "f00", "production"
	if out, err := r.Line(t.Context(), in); err != nil || out.Outcome == nil {
		t.Fatalf("%+v, %v", out, err)
	}
	const run = "00f067aa0ba902b7 > invoke_workflow main"
	want := []string{run, run + " > step a", run + " > step a > chat test-chat", run + " > step b", run + " > step b > chat test-chat"}
	got := spans.GetSpans()
	if diff := cmp.Diff(want, branches(got)); diff != "" {
		t.Fatal(diff)
	}
	for _, s := range got {
		if s.SpanContext.TraceID().String() != in.Run.Trace.Parent[3:35] {
			t.Errorf("%s is in the trace %s", s.Name, s.SpanContext.TraceID())
		}
		for key, value := range values(s) {
			if key == "gen_ai.input.messages" || key == "gen_ai.output.messages" {
				t.Errorf("%s shows %s", s.Name, value)
			}
		}
	}
	about := values(got[len(got)-1])
	for key, want := range map[attribute.Key]string{
		schemas.SpanRun: "r1", schemas.SpanTenant: tenant, schemas.SpanChain: "main", schemas.SpanRelease: "f00", schemas.SpanLabel: "production",
		schemas.SpanExecution: "lane", schemas.SpanStatus: schemas.RunDone, "gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "main",
	} {
		if about[key] != want {
			t.Errorf("the run's %s is %q, want %q", key, about[key], want)
		}
	}
	testCall(t, got[0])
}

// testCall looks at the span of a call.
func testCall(t *testing.T, call tracetest.SpanStub) {
	t.Helper()
	about := values(call)
	for key, want := range map[attribute.Key]string{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": modeltest.ChatModel, "server.address": "127.0.0.1",
	} {
		if about[key] != want {
			t.Errorf("%s is %q, want %q", key, about[key], want)
		}
	}
	for _, key := range []attribute.Key{
		"gen_ai.response.model", "gen_ai.response.id", "gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "server.port",
	} {
		if about[key] == "" {
			t.Errorf("the call has no %s", key)
		}
	}
	if call.SpanKind != trace.SpanKindClient {
		t.Errorf("the call is of kind %s", call.SpanKind)
	}
}

func TestARepeatedStepIsNoSecondCallInItsTrace(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, two())
	r.run(t, r.request("a", word))
	r.start()
	spans := r.traced(t)
	r.run(t, r.request("a", word))
	got := spans.GetSpans()
	if len(got) != 1 || got[0].Name != "step a" || values(got[0])[schemas.SpanRecorded] != "true" {
		t.Errorf("%+v", got)
	}
	if r.chats() != 1 {
		t.Errorf("%d calls", r.chats())
	}
}

func TestContentIsShownWhereTheTenantAllowsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, modeltest.Options{}, two())
	spans := r.traced(t, tenant)
	r.run(t, r.request("a", word))
	about := values(spans.GetSpans()[0])
	messages := decode[[]struct {
		Role  string
		Parts []struct{ Type, Content string }
	}](t, about["gen_ai.input.messages"])
	if len(messages) != 1 || messages[0].Role != "user" || len(messages[0].Parts) != 1 || messages[0].Parts[0].Content == "" || about["gen_ai.output.messages"] == "" {
		t.Errorf("%+v, %s", messages, about["gen_ai.output.messages"])
	}
}
