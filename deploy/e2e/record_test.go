package e2e

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// maxFixture is how large a recorded history may be, packed.
const maxFixture = 300 << 10

// TestRecord records the histories that workflows/replay_test.go replays. It runs only where TENUTO_RECORD is set: histories are
// recorded from what is released, never from the change that they are to judge.
func TestRecord(t *testing.T) {
	t.Parallel()
	if os.Getenv("TENUTO_RECORD") == "" {
		t.Skip("TENUTO_RECORD is not set; histories are recorded on purpose only")
	}
	h := open(t, options{models: modeltest.Options{Script: []modeltest.Failure{{Status: 503}, {Status: 503}}}})
	u := h.admin()
	root := lighthouse(t)

	u.ingest(t, "recovered", root, "--embedder", "openai/test-embed") // the model fails twice, then recovers
	record(t, h, "Ingest-recovered", schemas.IngestID("default", "recovered"))
	u.ingest(t, "recovered", root)
	record(t, h, "Ingest-unchanged", schemas.IngestID("default", "recovered"))
	u.ingest(t, "inline", lines(t, "few.jsonl", 400, func(i int) string { return "Line of note." + string(rune('a'+i%26)) }))
	record(t, h, "Ingest-inline", schemas.IngestID("default", "inline"))

	many := u.ingest(t, "many", notes(t, fanOut))
	record(t, h, "Ingest-fanout", many.WorkflowID)
	record(t, h, "IngestShard-first", children(history(t, h, many.WorkflowID))[0])

	release := h.models.hold("godwit")
	started := u.detach(t, "canceled", folder(t, "canceled", map[string]string{"a.txt": "The godwit probes the sand.\n"}), "--embedder", "openai/test-embed")
	await(t, soon, "the model to be asked", func() bool { return len(h.models.inputs("godwit")) > 0 })
	u.run(t, "ingestions", "cancel", "canceled")
	release()
	await(t, soon, "the end of the canceled ingestion", func() bool {
		return u.show(t, "canceled", started.Ingestion).Status == rest.Canceled
	})
	record(t, h, "Ingest-canceled", schemas.IngestID("default", "canceled"))
	u.run(t, "collections", "delete", "inline", "--yes")
	record(t, h, "Drop-collection", schemas.DropID("default", "inline"))
}

// TestRecordChains does the same for chains, in a house of their own.
func TestRecordChains(t *testing.T) {
	t.Parallel()
	if os.Getenv("TENUTO_RECORD") == "" {
		t.Skip("TENUTO_RECORD is not set; histories are recorded on purpose only")
	}
	h := open(t, options{})
	u := h.admin()
	recordLane(t, h, u)

	kinds := u.chain(t, everything(), `{"list":["x","y","z"]}`, schemas.ExecutionWorkflow)
	record(t, h, "Chain-kinds", schemas.RunWorkflowID("default", kinds.RunID))
	list, err := json.Marshal(map[string]any{"list": strings.Fields(strings.Repeat("word ", 100))})
	if err != nil {
		t.Fatal(err)
	}
	parts := schemas.RunWorkflowID("default", u.chain(t, everything(), string(list), schemas.ExecutionWorkflow).RunID)
	record(t, h, "Chain-parts", parts)
	record(t, h, "ChainPart-first", children(history(t, h, parts))[0])
	status, body := u.post(t, rest.NewRun{Bundle: pair(), Input: json.RawMessage(`{"word":"batch"}`), Batch: true})
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	record(t, h, "Chain-batch", schemas.RunWorkflowID("default", decode[rest.RunResult](t, body).RunID))

	failed := u.detachChain(t, failing())
	u.ended(t, failed, rest.RunFailed)
	record(t, h, "Chain-failed", schemas.RunWorkflowID("default", failed))
	recordCancelled(t, h, u)
	recordDecided(t, h, u)
}

// recordLane has one lane carry out a run, one that fails for good, and one that goes on as a workflow of its own. The history Lane-runs is of
// the time when each run was an update of its own, and is not recorded again.
func recordLane(t *testing.T, h *house, u user) {
	t.Helper()
	u.chain(t, pair(), `{"word":"heron"}`, schemas.ExecutionLane)
	if status, body := u.post(t, rest.NewRun{Bundle: failing(), Execution: schemas.ExecutionLane}); status == http.StatusOK {
		t.Errorf("status %d: %s", status, body)
	}
	h.models.handler.Fail(modeltest.Failure{}, modeltest.Failure{Status: 503}, modeltest.Failure{Status: 503}, modeltest.Failure{Status: 503})
	promoted := u.chain(t, pair(), `{"word":"promoted"}`, schemas.ExecutionLane)
	u.chain(t, pair(), `{"word":"egret"}`, schemas.ExecutionLane)
	for i, lane := range lanes(t, h) { // the next run may find the lane of the one before still on its way back
		record(t, h, fmt.Sprintf("Lane-batch%d", i), lane)
	}
	record(t, h, "Chain-promoted", schemas.RunWorkflowID("default", promoted.RunID))
}

// failing is a chain whose second step finds nothing to map over, beside one that goes well.
func failing() schemas.Bundle {
	one := schemas.ChainDef{Steps: []schemas.StepDef{repeat("say", "input.word")}}
	return repeating(schemas.ChainDef{Steps: []schemas.StepDef{
		repeat("a", "'one'"), repeat("b", "'two'", "a"),
		{ID: "bad", Needs: []string{"a"}, Tool: &schemas.ToolDef{Chain: "one", With: map[string]string{"word": "input.missing"}}},
	}}, map[string]schemas.ChainDef{"one": one})
}

func (u user) detachChain(t *testing.T, bundle schemas.Bundle) string {
	t.Helper()
	status, body := u.post(t, rest.NewRun{Bundle: bundle, Detach: true})
	if status != http.StatusAccepted {
		t.Fatalf("status %d: %s", status, body)
	}
	return decode[rest.RunResult](t, body).RunID
}

// ended waits for the end of a run.
func (u user) ended(t *testing.T, run string, want rest.RunStatus) {
	t.Helper()
	got := rest.RunRunning
	await(t, 2*time.Minute, "the end of the run", func() bool {
		got = u.runOf(t, run).Status
		return got != rest.RunRunning
	})
	if got != want {
		t.Errorf("run %s ended as %s, want %s", run, got, want)
	}
}

func recordCancelled(t *testing.T, h *house, u user) {
	t.Helper()
	before := h.models.handler.Stats().Chats
	h.models.handler.Fail(modeltest.Failure{}, modeltest.Failure{Hang: true})
	run := u.detachChain(t, repeating(schemas.ChainDef{Steps: []schemas.StepDef{repeat("a", "'one'"), repeat("b", "'two'", "a")}}, nil))
	await(t, soon, "the model to be asked", func() bool { return h.models.handler.Stats().Chats == before+2 })
	if status, body := u.http(t, http.MethodPost, "/api/v1/runs/"+run+"/cancel", ""); status >= http.StatusBadRequest {
		t.Fatalf("status %d: %s", status, body)
	}
	u.ended(t, run, rest.RunCancelled)
	record(t, h, "Chain-cancelled", schemas.RunWorkflowID("default", run))
}

// recordDecided loses the answer of a call with the worker, and has a person decide that it is made again.
func recordDecided(t *testing.T, h *house, u user) {
	t.Helper()
	careful := repeat("a", "'one'")
	careful.Ambiguous = schemas.AmbiguousAsk
	before := h.models.handler.Stats().Chats
	h.models.handler.Fail(modeltest.Failure{Hang: true})
	run := u.detachChain(t, repeating(schemas.ChainDef{Steps: []schemas.StepDef{careful}}, nil))
	await(t, soon, "the model to be asked", func() bool { return h.models.handler.Stats().Chats == before+1 })
	h.worker.kill()
	h.startWorker(t)
	await(t, 2*time.Minute, "the run to ask", func() bool {
		progress := u.runOf(t, run).Progress
		return progress != nil && progress.Question.Text != ""
	})
	if status, body := u.http(t, http.MethodPost, "/api/v1/runs/"+run+"/decide", `{"step":"a","again":true}`); status >= http.StatusBadRequest {
		t.Fatalf("status %d: %s", status, body)
	}
	u.ended(t, run, rest.RunDone)
	record(t, h, "Chain-decided", schemas.RunWorkflowID("default", run))
}

// instance is the queue of lanes, which is named for a machine.
var instance = regexp.MustCompile(`tenuto\.lane\.[a-z0-9-]+`)

// record writes the latest history of a workflow to the replay fixtures, without what tells about the machine.
func record(t *testing.T, h *house, name, workflow string) {
	t.Helper()
	found := history(t, h, workflow)
	anonymize(found)
	data, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	data = instance.ReplaceAll(data, []byte("tenuto.lane.recorded"))
	path := filepath.Join("..", "..", "workflows", "testdata", "replay", name+".json.gz")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed := gzip.NewWriter(file)
	if _, err := packed.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil || info.Size() > maxFixture {
		t.Errorf("%s has %d bytes packed, more than %d: %v", path, info.Size(), maxFixture, err)
	}
	t.Logf("%s: %d events, %d bytes packed", name, len(found.GetEvents()), info.Size())
}

// anonymize replaces, in every message of the history, who worked and where.
func anonymize(h *historypb.History) {
	for _, event := range h.GetEvents() {
		scrub(event.ProtoReflect())
	}
}

func scrub(message protoreflect.Message) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Name() == "identity" && field.Kind() == protoreflect.StringKind:
			message.Set(field, protoreflect.ValueOfString("recorded"))
		case field.Name() == "stack_trace":
			message.Clear(field)
		case field.Kind() == protoreflect.MessageKind && !field.IsList() && !field.IsMap():
			scrub(value.Message())
		}
		return true
	})
}
