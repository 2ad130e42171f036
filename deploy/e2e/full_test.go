package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// TestFullDisk fills the disk of the artifact store before an upload, and in the middle of an ingestion. Both are told as what they
// are, and once there is room a new ingestion finishes with nothing paid twice.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	h := open(t, options{smallDisk: "16m"})
	u := h.admin()
	store := h.store(t)
	root := folder(t, "full", map[string]string{"a.txt": "The sanderling runs before the waves.\n"})

	fill(t, store)
	u.fails(t, 1, []string{"disk", "free space"}, "ingest", root, "-c", "full", "--embedder", "openai/test-embed", "--json")
	emptyOut(t, store)
	release := h.models.hold("sanderling")
	defer release()
	started := u.detach(t, "full", root, "--embedder", "openai/test-embed")
	await(t, soon, "the model to be asked", func() bool { return len(h.models.inputs("sanderling")) > 0 })
	fill(t, store)
	release()
	h.sayFull(t, started)
	emptyOut(t, store)
	if found := u.show(t, "full", started.Ingestion); found.Status == rest.Running {
		u.finished(t, 2*soon, "full", started.Ingestion)
	}
	report := u.ingest(t, "full", root)
	if report.Documents.Total != 1 || report.Chunks.Total != 1 {
		t.Errorf("after there was room: %+v", report)
	}
	if hits := u.search(t, "full", "sanderling", "--mode", "keyword"); len(hits) != 1 {
		t.Errorf("after there was room: %q", documents(hits))
	}
	if seen := h.models.inputs("sanderling"); len(seen) != 1 {
		t.Errorf("the endpoint saw %q, want the text once", seen)
	}
}

// sayFull requires that an ingestion comes to say that the store is full, be it as a failure or as what it waits for.
func (h *house) sayFull(t *testing.T, started rest.Started) {
	t.Helper()
	await(t, soon, "the ingestion to say that the disk is full", func() bool {
		found := h.admin().show(t, "full", started.Ingestion)
		if found.Failure != nil {
			if found.Failure.Code != schemas.OverBudget || !strings.Contains(found.Failure.Message, "free space") {
				t.Errorf("failure %+v", found.Failure)
			}
			return true
		}
		return len(found.Waiting) > 0 && strings.Contains(found.Waiting[0].Reason, "free space")
	})
}

const fillers = "filler/"

// fill writes until the store has no room for another kilobyte.
func fill(t *testing.T, store *blob.Store) {
	t.Helper()
	n := 0
	for size := 1 << 20; size >= 1<<10; size /= 4 {
		for {
			n++
			err := store.Put(t.Context(), fmt.Sprintf("%s%06d", fillers, n), make([]byte, size))
			if schemas.CodeOf(err) == schemas.OverBudget && err != nil {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// emptyOut removes what fill wrote.
func emptyOut(t *testing.T, store *blob.Store) {
	t.Helper()
	if _, err := blob.DeletePrefix(t.Context(), store, fillers); err != nil {
		t.Fatal(err)
	}
}
