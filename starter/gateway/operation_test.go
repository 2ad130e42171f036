package gateway_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

var update = flag.Bool("update", false, "write golden files anew")

// wantHealth is want for an answer that is no problem though its status is 503.
func (r reply) wantHealth(t *testing.T, status int, into *rest.Health) {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if err := json.Unmarshal(r.body, into); err != nil {
		t.Fatal(err)
	}
}

// TestOpenAPI pins what the API's description says of every route. Run with -update after a wanted change, and read the difference.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	served := caller{t, s.URL, ""}.send("GET", "/openapi.json", nil).want(t, 200, nil)
	var api struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			Summary     string                     `json:"summary"`
			Roles       []string                   `json:"x-roles"`
			OperationID string                     `json:"operationId"`
			Responses   map[string]json.RawMessage `json:"responses"`
			Body        struct {
				Content map[string]json.RawMessage `json:"content"`
			} `json:"requestBody"`
		} `json:"paths"`
	}
	served.want(t, 200, &api)
	if api.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %s", api.OpenAPI)
	}
	var lines []string
	for path, methods := range api.Paths {
		for method, op := range methods {
			if op.Summary == "" || op.OperationID == "" {
				t.Errorf("%s %s has no summary or no id", method, path)
			}
			lines = append(lines, strings.Join([]string{
				path, strings.ToUpper(method), op.OperationID,
				strings.Join(slices.Sorted(maps.Keys(op.Body.Content)), ","), strings.Join(slices.Sorted(maps.Keys(op.Responses)), ","),
				strings.Join(op.Roles, ","),
			}, " | "))
		}
	}
	slices.Sort(lines)
	golden(t, "routes.golden", strings.Join(lines, "\n")+"\n")
}

// TestOpenAPIHoldsTogether checks what a client generator trips over: references to nothing, operations of one name, and parameters in a path
// that nobody describes.
func TestOpenAPIHoldsTogether(t *testing.T) {
	t.Parallel()
	var api map[string]any
	caller{t, gatewaytest.Start(t, nil).URL, ""}.send("GET", "/openapi.json", nil).want(t, 200, &api)
	var walk func(any)
	walk = func(at any) {
		switch at := at.(type) {
		case map[string]any:
			if ref, ok := at["$ref"].(string); ok && !resolves(api, ref) {
				t.Errorf("%s leads nowhere", ref)
			}
			for _, below := range at {
				walk(below)
			}
		case []any:
			for _, below := range at {
				walk(below)
			}
		}
	}
	walk(api)
	ids := map[any]string{}
	for path, methods := range api["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			op := operation.(map[string]any)
			if other, taken := ids[op["operationId"]]; taken {
				t.Errorf("%s %s has the id of %s", method, path, other)
			}
			ids[op["operationId"]] = method + " " + path
			described, _ := json.Marshal(op["parameters"])
			for part := range strings.SplitSeq(path, "/") {
				name, ok := strings.CutPrefix(part, "{")
				if ok && !strings.Contains(string(described), `"in":"path","name":"`+strings.TrimSuffix(name, "}")+`"`) {
					t.Errorf("%s %s does not describe %s", method, path, part)
				}
			}
		}
	}
}

func resolves(api map[string]any, ref string) bool {
	var at any = api
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		object, ok := at.(map[string]any)
		if !ok || object[name] == nil {
			return false
		}
		at = object[name]
	}
	return true
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestWhyAnIngestionWaits(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	s.Work.Gate = make(chan struct{})
	c := admin(t, s)
	c.send("POST", library+"/ingestions", []byte(`{"source":"s","documents":[]}`)).want(t, 202, nil)
	next := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.Temporal.Stall(true, &workflowpb.PendingActivityInfo{
		ActivityType: &commonpb.ActivityType{Name: "ingest.publish"}, Attempt: 7, State: enumspb.PENDING_ACTIVITY_STATE_SCHEDULED,
		LastFailure: &failurepb.Failure{Message: "Weaviate cannot be reached"}, ScheduledTime: timestamppb.New(next),
	}, &workflowpb.PendingActivityInfo{ActivityType: &commonpb.ActivityType{Name: "ingest.embed"}, Attempt: 1})
	var found rest.Ingestion
	c.send("GET", library+"/ingestions/latest", nil).want(t, 200, &found)
	want := []rest.Waiting{
		{Step: "ingest.publish", Attempt: 7, Reason: "Weaviate cannot be reached", Next: &next},
		{Step: schemas.QueueIngest, Reason: "no worker takes work from queue tenuto.ingest; start one with tenuto-worker"},
	}
	if diff := cmp.Diff(want, found.Waiting); diff != "" || found.Status != rest.Running {
		t.Errorf("status %s, waiting (-want +got):\n%s", found.Status, diff)
	}
	var health rest.Health
	c.send("GET", "/api/v1/doctor", nil).want(t, 200, &health)
	if health.OK {
		t.Error("the doctor finds nothing wrong though no worker polls")
	}
	close(s.Work.Gate)
	c.send("GET", library+"/ingestions/latest/wait", nil).want(t, 200, &found)
	if found.Status != rest.Completed {
		t.Errorf("status %s after the gate opened", found.Status)
	}
}

func TestLogsHoldNoContentAndNoKey(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Logger = zap.New(core) })
	c := admin(t, s)
	c.send("POST", library+"/ask", rest.NewAsk{Question: "confidential"}, "X-Request-Id", "mine").want(t, 404, nil)
	found := false
	for _, entry := range logs.All() {
		fields, _ := json.Marshal(entry.ContextMap())
		line := entry.Message + string(fields)
		found = found || strings.Contains(line, `"request_id":"mine"`) && strings.Contains(line, `"status":404`)
		if strings.Contains(line, "confidential") || strings.Contains(line, "tnt_") {
			t.Errorf("the log holds what it must not: %s", line)
		}
	}
	if !found {
		t.Errorf("no line for the request: %v", logs.All())
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	c := admin(t, gatewaytest.Start(t, nil))
	c.send("GET", "/api/v1/collections/nowhere", nil).want(t, 404, nil)
	got := string(c.send("GET", "/metrics", nil).want(t, 200, nil).body)
	if want := `tenuto_http_requests_total{route="GET /api/v1/collections/{collection}",status="404"} 1`; !strings.Contains(got, want) {
		t.Errorf("no line %q in\n%s", want, got)
	}
}
