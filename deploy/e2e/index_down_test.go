package e2e

import (
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// TestIndexDown starts the platform while Weaviate is down, and takes it away again in the middle of an ingestion. Both times the
// ingestion says what it waits for, and ends by itself when Weaviate is there.
func TestIndexDown(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	u := h.admin()
	if out := u.try(t, "doctor"); out.status == 0 || !strings.Contains(out.stdout+out.stderr, "weaviate") {
		t.Errorf("doctor without Weaviate: status %d\n%s%s", out.status, out.stdout, out.stderr)
	}
	early := folder(t, "early", map[string]string{"a.txt": "The grebe carries its chicks.\n"})
	started := u.detach(t, "early", early)
	h.waitsForIndex(t, "early", started)
	h.start(t, h.weaviate)
	u.finished(t, 2*soon, "early", started.Ingestion)
	if hits := u.search(t, "early", "grebe"); len(hits) != 1 {
		t.Errorf("after Weaviate came: %q", documents(hits))
	}
	if out := u.try(t, "doctor"); out.status != 0 {
		t.Errorf("doctor with all parts: status %d\n%s%s", out.status, out.stdout, out.stderr)
	}

	release := h.models.hold("merganser")
	defer release()
	late := folder(t, "late", map[string]string{"a.txt": "The merganser dives for fish.\n"})
	started = u.detach(t, "late", late, "--embedder", "openai/test-embed")
	await(t, soon, "the model to be asked", func() bool { return len(h.models.inputs("merganser")) > 0 })
	h.weaviate.kill()
	release()
	h.waitsForIndex(t, "late", started)
	u.fails(t, 1, []string{"Weaviate"}, "search", "grebe", "-c", "early", "--mode", "keyword")
	h.start(t, h.weaviate)
	u.finished(t, 2*soon, "late", started.Ingestion)
	sameAsManifests(t, h, "default", "late", 1)
	if seen := h.models.inputs("merganser"); len(seen) != 1 {
		t.Errorf("the endpoint saw %q, want the text once", seen)
	}
}

// waitsForIndex requires that an ingestion comes to say that it waits for Weaviate.
func (h *house) waitsForIndex(t *testing.T, collection string, started rest.Started) {
	t.Helper()
	await(t, 2*soon, "the ingestion to say that it waits for Weaviate", func() bool {
		found := h.admin().show(t, collection, started.Ingestion)
		if found.Status != rest.Running {
			t.Fatalf("the ingestion ended without Weaviate: %+v", found)
		}
		return len(found.Waiting) > 0 && strings.Contains(found.Waiting[0].Reason, "Weaviate") && found.Waiting[0].Attempt > 0
	})
}
