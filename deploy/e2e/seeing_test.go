package e2e

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// collector takes spans over OTLP and HTTP. It is safe for concurrent use.
type collector struct {
	url string

	mu    sync.Mutex
	spans []seen
	raw   []string // of everything that came, as text
}

// seen is a span.
type seen struct {
	trace, id, parent, name string
	kind                    tracepb.Span_SpanKind
	attributes              map[string]string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// ServeHTTP takes a message of an exporter.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	var message collectorpb.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(data, &message) != nil {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, message.String())
	for _, resource := range message.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.spans = append(c.spans, seenOf(span))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func seenOf(span *tracepb.Span) seen {
	s := seen{
		trace: hex.EncodeToString(span.GetTraceId()), id: hex.EncodeToString(span.GetSpanId()), parent: hex.EncodeToString(span.GetParentSpanId()),
		name: span.GetName(), kind: span.GetKind(), attributes: map[string]string{},
	}
	for _, attribute := range span.GetAttributes() {
		s.attributes[attribute.GetKey()] = valueOf(attribute.GetValue())
	}
	return s
}

func valueOf(v *commonpb.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *commonpb.AnyValue_DoubleValue:
		return fmt.Sprint(v.DoubleValue)
	case *commonpb.AnyValue_BoolValue:
		return fmt.Sprint(v.BoolValue)
	case *commonpb.AnyValue_ArrayValue:
		var all []string
		for _, one := range v.ArrayValue.GetValues() {
			all = append(all, valueOf(one))
		}
		return strings.Join(all, ",")
	}
	return ""
}

// in returns the spans of a trace.
func (c *collector) in(trace string) []seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s seen) bool { return s.trace != trace })
}

// tree draws the spans below a parent by name, a child behind its parent.
func tree(spans []seen, parent string) []string {
	var lines []string
	for _, s := range spans {
		if s.parent != parent {
			continue
		}
		lines = append(lines, s.name)
		for _, line := range tree(spans, s.id) {
			lines = append(lines, s.name+" > "+line)
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func spanCalled(t *testing.T, spans []seen, name string) seen {
	t.Helper()
	for _, s := range spans {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("there is no span %q", name)
	return seen{}
}

// traced sends a request that stands in a trace, and returns what came back.
func (u user) traced(t *testing.T, trace, path string, body any) (int, string) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.url()+path, strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+u.key)
	request.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

const caller = "00f067aa0ba902b7" // span of whoever calls

// marker is a word that stands in no log and no span.
const marker = "Zwetschgenmus"

// TestSeeing follows runs by their traces, and reads figures and logs.
func TestSeeing(t *testing.T) {
	t.Parallel()
	spans, figures := newCollector(t), freePorts(t, 1)[0]
	h := open(t, options{noIndex: true, env: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + spans.url, "OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test",
		"TENUTO_METRICS=" + fmt.Sprint(figures), "TENUTO_LOG_LEVEL=debug", "TENUTO_TRACE_CONTENT=glass",
	}})
	u := h.admin()
	testTraces(t, u, spans)
	testContent(t, h.tenant(t, "glass"), spans)
	testNoContent(t, u, spans)
	testFigures(t, figures)
}

// ids of traces.
const (
	traceLane     = "4bf92f3577b34da6a3ce929d0e0e4701"
	traceWorkflow = "4bf92f3577b34da6a3ce929d0e0e4702"
	tracePassed   = "4bf92f3577b34da6a3ce929d0e0e4703"
	traceGlass    = "4bf92f3577b34da6a3ce929d0e0e4704"
)

func testTraces(t *testing.T, u user, c *collector) {
	t.Helper()
	const runs = "POST /api/v1/runs"
	for trace, execution := range map[string]schemas.Execution{traceLane: schemas.ExecutionLane, traceWorkflow: schemas.ExecutionWorkflow} {
		status, body := u.traced(t, trace, "/api/v1/runs", rest.NewRun{Bundle: pair(), Input: json.RawMessage(`{"word":"` + marker + `"}`), Execution: execution})
		if status != http.StatusOK {
			t.Fatalf("%s: status %d: %s", execution, status, body)
		}
		await(t, soon, "the trace of a "+string(execution), func() bool { return len(c.in(trace)) >= 6 })
		const run = runs + " > invoke_workflow main"
		want := []string{
			runs, run, run + " > step a", run + " > step a > chat test-chat", run + " > step b", run + " > step b > chat test-chat",
		}
		if diff := cmp.Diff(want, tree(c.in(trace), caller)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", execution, diff)
		}
		done := decode[rest.RunResult](t, body)
		ran := spanCalled(t, c.in(trace), "invoke_workflow main")
		for key, want := range map[string]string{
			schemas.SpanRun: done.RunID, schemas.SpanTenant: schemas.DefaultTenant, schemas.SpanChain: "main", schemas.SpanStatus: schemas.RunDone,
			schemas.SpanExecution: string(execution), "gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "main",
		} {
			if got := ran.attributes[key]; got != want {
				t.Errorf("%s: the run's %s is %q, want %q", execution, key, got, want)
			}
		}
		testCallSpan(t, spanCalled(t, c.in(trace), "chat test-chat"))
	}
	status, body := u.traced(t, tracePassed, "/v1/chat/completions", map[string]any{
		"model": "openai/" + modeltest.ChatModel, "messages": []any{map[string]string{"role": "user", "content": "Repeat " + marker}},
	})
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	await(t, soon, "the trace of a call", func() bool { return len(c.in(tracePassed)) >= 3 })
	const passed = "POST /v1/chat/completions > pass through openai/test-chat"
	want := []string{"POST /v1/chat/completions", passed, passed + " > chat test-chat"}
	if diff := cmp.Diff(want, tree(c.in(tracePassed), caller)); diff != "" {
		t.Errorf("a call (-want +got):\n%s", diff)
	}
	testCallSpan(t, spanCalled(t, c.in(tracePassed), "chat test-chat"))
}

// testCallSpan looks at the span of a call of a model.
func testCallSpan(t *testing.T, call seen) {
	t.Helper()
	if call.kind != tracepb.Span_SPAN_KIND_CLIENT {
		t.Errorf("%s is of kind %s", call.name, call.kind)
	}
	for key, want := range map[string]string{
		"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": modeltest.ChatModel,
		"gen_ai.response.finish_reasons": "stop", "server.address": "127.0.0.1",
	} {
		if got := call.attributes[key]; got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for _, key := range []string{"gen_ai.response.model", "gen_ai.response.id", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "server.port"} {
		if call.attributes[key] == "" {
			t.Errorf("the call has no %s", key)
		}
	}
}

// testContent runs a chain of a tenant whose prompts and answers may be seen.
func testContent(t *testing.T, u user, c *collector) {
	t.Helper()
	status, body := u.traced(t, traceGlass, "/api/v1/runs", rest.NewRun{Bundle: pair(), Input: json.RawMessage(`{"word":"glasshouse"}`)})
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	await(t, soon, "the trace of the other tenant", func() bool { return len(c.in(traceGlass)) >= 6 })
	call := spanCalled(t, c.in(traceGlass), "chat test-chat")
	if got, want := call.attributes["gen_ai.input.messages"], `[{"role":"user","parts":[{"type":"text","content":"Repeat glasshouse"}]}]`; got != want {
		t.Errorf("input %s, want %s", got, want)
	}
	if got := call.attributes["gen_ai.output.messages"]; !strings.Contains(got, "glasshouse") || !strings.Contains(got, `"finish_reason":"stop"`) {
		t.Errorf("output %s", got)
	}
}

// testNoContent has runs fail in ways that quote what was said, and looks for it in everything that came out.
func testNoContent(t *testing.T, u user, c *collector) {
	t.Helper()
	strict := repeat("a", "input.word")
	strict.Generate.Schema = json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`)
	bundle := repeating(schemas.ChainDef{Output: "steps.a", Steps: []schemas.StepDef{strict}}, nil)
	quoting := modeltest.Failure{Status: http.StatusBadRequest, Body: `{"error":{"message":"invalid prompt: ` + marker + `","type":"invalid_request_error"}}`}
	failing := quoting
	failing.Status = http.StatusInternalServerError
	input := json.RawMessage(`{"word":"` + marker + `"}`)
	for _, execution := range []schemas.Execution{schemas.ExecutionLane, schemas.ExecutionWorkflow} {
		if status, body := u.post(t, rest.NewRun{Bundle: bundle, Input: input, Execution: execution}); status != http.StatusBadGateway {
			t.Errorf("an answer of another form: status %d: %s", status, body)
		}
		u.models.handler.Fail(quoting)
		if status, body := u.post(t, rest.NewRun{Bundle: pair(), Input: input, Execution: execution}); status != http.StatusBadRequest {
			t.Errorf("a refusal of the provider's: status %d: %s", status, body)
		}
		u.models.handler.Fail(failing)
		if status, body := u.post(t, rest.NewRun{Bundle: pair(), Input: input, Execution: execution}); status != http.StatusOK {
			t.Errorf("a failure that passes: status %d: %s", status, body)
		}
	}
	u.models.handler.Fail(failing)
	if status, body := u.http(t, http.MethodPost, "/v1/chat/completions",
		`{"model":"openai/test-chat","messages":[{"role":"user","content":"`+marker+`"}]}`); status < http.StatusInternalServerError {
		t.Errorf("a failed call: status %d: %s", status, body)
	}
	await(t, soon, "the spans of what failed", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.ContainsFunc(c.spans, func(s seen) bool { return s.attributes["error.type"] == string(schemas.MalformedOutput) })
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, message := range c.raw {
		if strings.Contains(message, marker) {
			t.Errorf("a span has content: %s", message)
		}
	}
	logs, err := filepath.Glob(filepath.Join(u.dir, "worker-*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no logs: %v", err)
	}
	for _, log := range logs {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, marker) {
				t.Errorf("a log has content: %s", line)
			}
		}
		if !strings.Contains(string(data), `"run":"`) || !strings.Contains(string(data), `"chain":"main"`) {
			t.Error("no line of the log names a run and its chain")
		}
	}
}

// testFigures reads the worker's figures.
func testFigures(t *testing.T, port int) {
	t.Helper()
	response, err := http.Get("http://" + loopback(port) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`tenuto_http_requests_total{route="POST /api/v1/runs",status="200"}`,
		`tenuto_runs_total{chain="main",execution="lane",status="done"}`, `tenuto_runs_total{chain="main",execution="workflow",status="failed"}`,
		`tenuto_run_duration_seconds_count{`, `tenuto_steps_total{kind="generate",outcome="ok"}`, `tenuto_steps_total{kind="generate",outcome="malformed_output"}`,
		`gen_ai_client_operation_duration_seconds_count{error_type="",gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="test-chat"}`,
		`gen_ai_client_token_usage_sum{`, `tenuto_limiter_wait_seconds_count{provider="openai"}`, `tenuto_unknown_cost_calls_total{`,
		`tenuto_store_duration_seconds_count{kind="journal",operation="put",outcome="ok"}`, `tenuto_store_written_bytes_total{kind="journal"}`,
		`tenuto_lanes{state="free"}`, `tenuto_ledger_leases`, `tenuto_activities_total{activity="chain.step",outcome="ok"}`, `tenuto_retries_total{`,
		`tenuto_model_calls_total{`, `temporal_request_total{`, `temporal_workflow_task_execution_latency_seconds_count{`,
	} {
		if !strings.Contains(string(data), "\n"+want) {
			t.Errorf("the figures lack %s", want)
		}
	}
	if strings.Contains(string(data), marker) {
		t.Error("the figures have content")
	}
}
