package e2e

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

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

	asked := decode[rest.Answered](t, u.run(t, "ask", "How many prisms does the Fresnel lens have?", "-c", "recovered", "--json"))
	record(t, h, "Chain-ask", schemas.RunWorkflowID("default", asked.RunID))

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

// record writes the latest history of a workflow to the replay fixtures, without what tells about the machine.
func record(t *testing.T, h *house, name, workflow string) {
	t.Helper()
	found := history(t, h, workflow)
	anonymize(found)
	data, err := temporalproto.CustomJSONMarshalOptions{}.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
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
