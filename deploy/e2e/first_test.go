package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// testFirstPath is what a newcomer does: ingest, search, ask, and ingest again after changes.
func (h *house) testFirstPath(t *testing.T) {
	t.Parallel()
	u := h.admin()
	root := lighthouse(t)
	settings := []string{"--embedder", "openai/test-embed", "--chunk-tokens", "48", "--overlap-tokens", "0"}

	text := u.run(t, append([]string{"ingest", root, "-c", "Lighthouse", "--json"}, settings...)...)
	onlyFields(t, text, "workflow_id", "seconds",
		"documents", "documents.total", "documents.added", "documents.updated", "documents.unchanged", "documents.deleted", "documents.quarantined",
		"chunks", "chunks.total", "chunks.embedded", "chunks.reused", "chunks.deleted",
		"embedding", "embedding.calls", "embedding.inputs", "embedding.tokens",
		"quarantine", "quarantine[].document", "quarantine[].reason")
	first := decode[rest.Report](t, text)
	want := schemas.DocumentCounts{Total: 7, Added: 6, Quarantined: 1}
	if diff := cmp.Diff(want, first.Documents); diff != "" {
		t.Errorf("documents of the first ingestion (-want +got):\n%s", diff)
	}
	if first.Chunks.Total == 0 || first.Chunks.Embedded != first.Embedding.Inputs || first.Embedding.Inputs != first.Chunks.Total {
		t.Errorf("every chunk should have been embedded once: %+v %+v", first.Chunks, first.Embedding)
	}
	if len(first.Quarantine) != 1 || first.Quarantine[0].Document != "broken.json" || !strings.Contains(first.Quarantine[0].Reason, "JSON") {
		t.Errorf("quarantine %+v, want broken.json and that it is no JSON", first.Quarantine)
	}
	if first.WorkflowID != "ingest/default/lighthouse" {
		t.Errorf("workflow id %q", first.WorkflowID)
	}
	sameAsManifests(t, h, "default", "lighthouse", first.Chunks.Total)

	testFindings(t, u)
	testAnswer(t, u)
	testSecondIngestion(t, u, root, settings)
	testChangedLine(t, u, root)
	testDeletedFile(t, u, root)
	sameAsManifests(t, h, "default", "lighthouse", -1)
}

// testFindings requires that each format is found by something that stands in it.
func testFindings(t *testing.T, u user) {
	t.Helper()
	hasFields(t, u.run(t, "search", "Fresnel lens", "-c", "lighthouse", "--json"), "hits", "hits[].rank", "hits[].score",
		"hits[].document", "hits[].title", "hits[].section", "hits[].chunk", "hits[].text")
	for _, search := range []struct{ query, document, section string }{
		{"how many prisms has the Fresnel lens", "keeper.md", "The lamp > The lens"},
		{"barque stranded on the reef", "history/page.html", "Shipwrecks"},
		{"oljan räcker till midsommar Öland", "letter.txt", ""},
		{"mantles in the store room", "supplies.csv", ""},
		{"Gull Rock range", "stations.json", ""},
		{"dinghy hauled above the tide mark", "rules.rst", "Rules > Boats"},
	} {
		for _, mode := range []string{"hybrid", "keyword"} {
			hits := u.search(t, "lighthouse", search.query, "--mode", mode)
			if len(hits) == 0 || hits[0].Document != search.document || hits[0].Rank != 1 {
				t.Errorf("%s search for %q: %q, want %s first", mode, search.query, documents(hits), search.document)
				continue
			}
			if search.section != "" && hits[0].Section != search.section {
				t.Errorf("%s search for %q: section %q, want %q", mode, search.query, hits[0].Section, search.section)
			}
		}
		if hits := u.search(t, "lighthouse", search.query, "--mode", "vector"); !slices.Contains(documents(hits), search.document) {
			t.Errorf("vector search for %q: %q, want %s among them", search.query, documents(hits), search.document)
		}
	}
	filtered := u.search(t, "lighthouse", "the tower", "--filter", "topic=lighthouse")
	if len(filtered) == 0 || slices.ContainsFunc(filtered, func(h schemas.Hit) bool { return h.Document != "keeper.md" }) {
		t.Errorf("filtered by its front matter: %q, want keeper.md only", documents(filtered))
	}
}

// testAnswer requires that an answer's citations hold.
func testAnswer(t *testing.T, u user) {
	t.Helper()
	text := u.run(t, "ask", "How many prisms does the Fresnel lens have?", "-c", "lighthouse", "--model", "openai/test-chat", "--json")
	hasFields(t, text, "run_id", "answer", "citations", "citations[].index", "citations[].document", "citations[].section",
		"citations[].chunk", "citations[].quote", "model", "usage", "latency_ms")
	answer := decode[rest.Answered](t, text)
	if !strings.Contains(answer.Answer, "1014") {
		t.Errorf("answer %q does not name the number", answer.Answer)
	}
	texts := map[string]string{}
	for _, hit := range u.search(t, "lighthouse", "lens lamp prisms", "--limit", "100") {
		texts[hit.Chunk] = hit.Text
	}
	for _, citation := range answer.Citations {
		if chunk, ok := texts[citation.Chunk]; !ok || citation.Quote == "" || !strings.Contains(chunk, citation.Quote) {
			t.Errorf("citation %+v does not hold in %q", citation, chunk)
		}
	}
	again := decode[rest.Answered](t, u.run(t, "ask", "How many prisms does the Fresnel lens have?", "-c", "lighthouse",
		"--model", "openai/test-chat", "--json", "--run-id", answer.RunID))
	if again.Answer != answer.Answer || again.RunID != answer.RunID {
		t.Errorf("the same run answers %+v, and before %+v", again, answer)
	}
}

// testSecondIngestion requires that nothing is paid and nothing written where nothing changed.
func testSecondIngestion(t *testing.T, u user, root string, settings []string) {
	t.Helper()
	calls := len(u.models.history())
	second := u.ingest(t, "lighthouse", root, settings...)
	if second.Documents.Unchanged != 6 || second.Documents.Quarantined != 1 || second.Embedding != (schemas.Embedding{}) || len(second.Quarantine) != 1 {
		t.Errorf("second ingestion: %+v", second)
	}
	if now := len(u.models.history()); now != calls {
		t.Errorf("the second ingestion made %d embedding calls", now-calls)
	}
	got := activities(history(t, u.house, second.WorkflowID))
	if diff := cmp.Diff(map[string]int{schemas.PlanIngest.Name(): 1, schemas.FinishIngest.Name(): 1}, got); diff != "" {
		t.Errorf("activities of the second ingestion (-want +got):\n%s", diff)
	}
}

// testChangedLine changes one line and requires that no chunk is embedded but the one that it stands in.
func testChangedLine(t *testing.T, u user, root string) {
	t.Helper()
	path := filepath.Join(root, "keeper.md")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(before), "thirty metres", "thirty-five metres", 1))
	changed := u.ingest(t, "lighthouse", root)
	if changed.Documents.Updated != 1 || changed.Chunks.Embedded != 1 || changed.Embedding.Inputs != 1 || changed.Chunks.Deleted == 0 {
		t.Errorf("after one changed line: %+v", changed)
	}
	if seen := u.models.inputs("thirty-five metres"); len(seen) != 1 || !strings.Contains(seen[0], "clockwork") {
		t.Errorf("the endpoint saw %q", seen)
	}
	hits := u.search(t, "lighthouse", "how far does the weight of the clockwork fall", "--mode", "keyword")
	if len(hits) == 0 || !strings.Contains(hits[0].Text, "thirty-five") {
		t.Errorf("the changed line is not found first: %+v", hits)
	}
	for _, hit := range hits {
		if strings.Contains(hit.Text, "thirty metres") {
			t.Errorf("the old line is still served: %+v", hit)
		}
	}
}

// testDeletedFile removes a file and requires that it is found no more.
func testDeletedFile(t *testing.T, u user, root string) {
	t.Helper()
	if err := os.Remove(filepath.Join(root, "rules.rst")); err != nil {
		t.Fatal(err)
	}
	report := u.ingest(t, "lighthouse", root)
	if report.Documents.Deleted != 1 || report.Documents.Total != 6 || report.Chunks.Deleted == 0 || report.Embedding.Inputs != 0 {
		t.Errorf("after one deleted file: %+v", report)
	}
	for _, hit := range u.search(t, "lighthouse", "dinghy above the tide mark", "--limit", "50") {
		if hit.Document == "rules.rst" {
			t.Errorf("a deleted file is still found: %+v", hit)
		}
	}
}
