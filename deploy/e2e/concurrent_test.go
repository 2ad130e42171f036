package e2e

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// soon is how long something takes at most that should take seconds, on a busy machine.
const soon = time.Minute

// testTwoAtOnce starts ingestions of one collection while one is held up at the model.
func (h *house) testTwoAtOnce(t *testing.T) {
	t.Parallel()
	u := h.admin()
	release := h.models.hold("bittern")
	defer release()
	root := folder(t, "first", map[string]string{"a.txt": "The bittern booms in the marsh.\n"})
	other := folder(t, "second", map[string]string{"b.txt": "The marsh harrier glides.\n"})
	first := u.detach(t, "atonce", root, "--embedder", "openai/test-embed")
	await(t, soon, "the model to be asked", func() bool { return len(h.models.inputs("bittern")) > 0 })

	u.fails(t, 1, []string{first.Ingestion, "one runs at a time", "ingestions show atonce", "ingestions cancel atonce"},
		"ingest", other, "-c", "atonce", "--json")
	joined := u.detach(t, "atonce", root)
	if !joined.Joined || joined.Ingestion != first.Ingestion || joined.RunID != first.RunID {
		t.Errorf("the same listing: %+v, want to join %+v", joined, first)
	}
	if found := u.show(t, "atonce", "latest"); found.Status != rest.Running || found.Progress == nil || found.Progress.Phase != "ingesting" {
		t.Errorf("while it runs: %+v", found)
	}
	release()
	u.finished(t, soon, "atonce", first.Ingestion)
	u.ingest(t, "atonce", other)
	for _, query := range []string{"bittern", "harrier"} {
		if hits := u.search(t, "atonce", query, "--mode", "keyword"); len(hits) != 1 {
			t.Errorf("search for %s: %q", query, documents(hits))
		}
	}
	if seen := h.models.inputs("bittern"); len(seen) != 1 {
		t.Errorf("the endpoint saw %q, want the text once", seen)
	}
}

// testInterrupt interrupts the command line and requires that the ingestion goes on, and that the user is told how to follow it.
func (h *house) testInterrupt(t *testing.T) {
	t.Parallel()
	u := h.admin()
	release := h.models.hold("avocet")
	defer release()
	root := folder(t, "interrupted", map[string]string{"a.txt": "The avocet sweeps its bill.\n"})
	cmd := u.command("ingest", root, "-c", "interrupted", "--embedder", "openai/test-embed", "--json")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, soon, "the model to be asked", func() bool { return len(h.models.inputs("avocet")) > 0 })
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 {
		t.Errorf("status %d, want 130", status)
	}
	_, told, ok := strings.Cut(stderr.String(), "follow it with: tenuto ")
	if !ok {
		t.Fatalf("how to follow the ingestion is not told:\n%s", stderr.String())
	}
	args := strings.Fields(strings.SplitN(told, "\n", 2)[0])
	found := decode[rest.Ingestion](t, u.run(t, append(args, "--json")...))
	if found.Status != rest.Running {
		t.Errorf("what was told shows %+v", found)
	}
	release()
	u.finished(t, soon, "interrupted", found.Ingestion)
}

// testCancel cancels an ingestion under way and ingests again.
func (h *house) testCancel(t *testing.T) {
	t.Parallel()
	u := h.admin()
	release := h.models.hold("godwit")
	defer release()
	root := folder(t, "canceled", map[string]string{"a.txt": "The godwit probes the sand.\n"})
	started := u.detach(t, "canceled", root, "--embedder", "openai/test-embed")
	await(t, soon, "the model to be asked", func() bool { return len(h.models.inputs("godwit")) > 0 })
	u.run(t, "ingestions", "cancel", "canceled", "--json")
	release() // what was asked of the model is paid for, so its answer is waited for
	await(t, soon, "the end of the canceled ingestion", func() bool {
		return u.show(t, "canceled", started.Ingestion).Status == rest.Canceled
	})
	report := u.ingest(t, "canceled", root)
	if report.Documents.Added != 1 || report.Embedding.Inputs != 0 || report.Chunks.Total != 1 {
		t.Errorf("after the canceled ingestion: %+v", report)
	}
	if seen := h.models.inputs("godwit"); len(seen) != 1 {
		t.Errorf("the endpoint saw %d inputs, want 1: %q", len(seen), seen)
	}
	sameAsManifests(t, h, "default", "canceled", 1)
}
