package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// testKeys tries missing, wrong, weak and revoked keys.
func (h *house) testKeys(t *testing.T) {
	t.Parallel()
	root := folder(t, "keys", map[string]string{"a.txt": "The dunlin feeds at the tide line.\n"})
	wrong := "tnt_" + digits(6) + "_" + digits(32)
	stolenID := h.keys.APIKey[:len("tnt_000000000000_")] + digits(32)
	for _, key := range []string{wrong, stolenID, "nonsense"} {
		user{h, key}.fails(t, 1, []string{"no valid API key"}, "ingest", root, "-c", "keys", "--json")
	}
	user{h, ""}.fails(t, 2, []string{"TENUTO_API_KEY"}, "ingest", root, "-c", "keys", "--json")
	for _, key := range []string{"", wrong, stolenID} {
		for _, route := range [][2]string{
			{http.MethodGet, "/api/v1/collections"},
			{http.MethodPost, "/api/v1/collections/keys/search"},
			{http.MethodPost, "/api/v1/keys"},
		} {
			if status, body := (user{h, key}).http(t, route[0], route[1], `{"query":"dunlin"}`); status != http.StatusUnauthorized {
				t.Errorf("%s %s with key %q: status %d, %s", route[0], route[1], key, status, body)
			}
		}
	}
	service := decode[rest.CreatedKey](t, h.admin().run(t, "keys", "create", "--role", "service", "--json"))
	holder := user{h, service.Token}
	holder.ingest(t, "keys", root)
	holder.fails(t, 1, nil, "keys", "list")
	holder.fails(t, 1, nil, "collections", "delete", "keys", "--yes")
	h.admin().run(t, "keys", "revoke", service.ID)
	await(t, soon, "the revoked key to open nothing", func() bool { return holder.try(t, "search", "dunlin", "-c", "keys").status != 0 })
}

// testTenants requires that a tenant reaches nothing of another's, whichever way it tries.
func (h *house) testTenants(t *testing.T) {
	t.Parallel()
	a, b := h.tenant(t, "acme"), h.tenant(t, "bolt")
	root := folder(t, "private", map[string]string{"plan.md": "# Plan\n\nThe merger with Osprey is announced in March.\n"})
	own := folder(t, "own", map[string]string{"note.md": "# Note\n\nThe canteen serves soup.\n"})
	a.ingest(t, "Private", root)
	report := decode[rest.Ingestion](t, a.run(t, "ingestions", "show", "private", "--json"))
	asked := decode[rest.Answered](t, a.run(t, "ask", "When is the merger announced?", "-c", "private", "--json"))

	testStranger(t, b, report, asked.RunID)
	b.ingest(t, "Private", own) // the same name, another collection
	testNamesake(t, b)
	testOthersContents(t, a, b, filepath.Join(root, "plan.md"))

	if hits := a.search(t, "private", "merger Osprey"); len(hits) != 1 || hits[0].Document != "plan.md" {
		t.Errorf("the owner finds %q", documents(hits))
	}
	sameAsManifests(t, h, "acme", "private", 1)
	sameAsManifests(t, h, "bolt", "private", 1)
}

// testStranger requires that to a tenant without such a collection there is none.
func testStranger(t *testing.T, b user, theirs rest.Ingestion, run string) {
	t.Helper()
	if text := b.run(t, "collections", "list", "--json"); strings.Contains(strings.ToLower(text), "private") {
		t.Errorf("the list of collections tells: %s", text)
	}
	if text := b.run(t, "ingestions", "list", "--json"); strings.Contains(text, "private") {
		t.Errorf("the list of ingestions tells: %s", text)
	}
	for _, args := range [][]string{
		{"search", "merger", "-c", "private"},
		{"search", "merger", "-c", "Private", "--mode", "keyword"},
		{"ask", "When is the merger?", "-c", "private"},
		{"collections", "show", "private"},
		{"ingestions", "show", "private"},
		{"ingestions", "show", "private", theirs.Ingestion},
		{"ingestions", "show", "private", theirs.RunID},
		{"ingestions", "cancel", "private", theirs.RunID},
	} {
		if out := b.try(t, append(args, "--json")...); out.status == 0 || strings.Contains(out.stdout+out.stderr, "Osprey") {
			t.Errorf("tenuto %s: status %d\n%s%s", strings.Join(args, " "), out.status, out.stdout, out.stderr)
		}
	}
	if status, body := b.http(t, http.MethodGet, "/api/v1/runs/"+run, ""); status != http.StatusNotFound {
		t.Errorf("the run of another tenant: status %d, %s", status, body)
	}
}

// testNamesake requires that a collection of the same name answers from its tenant's own documents only.
func testNamesake(t *testing.T, b user) {
	t.Helper()
	for _, mode := range []string{"hybrid", "keyword", "vector"} {
		for _, hit := range b.search(t, "private", "merger Osprey March", "--mode", mode, "--limit", "100") {
			if hit.Document != "note.md" || strings.Contains(hit.Text, "Osprey") {
				t.Errorf("%s search finds %+v", mode, hit)
			}
		}
	}
	answer := b.run(t, "ask", "When is the merger with Osprey announced?", "-c", "private", "--json")
	if strings.Contains(decode[rest.Answered](t, answer).Answer, "March") || strings.Contains(answer, "plan.md") {
		t.Errorf("answer %s", answer)
	}
}

// testOthersContents requires that knowing the hash of another's content, pack or snapshot opens nothing: a listing of it is asked
// for the content itself, and what a caller adds to a listing is not believed.
func testOthersContents(t *testing.T, a, b user, path string) {
	t.Helper()
	listed := listedFile(t, path)
	for _, collection := range []string{"private", "thief"} {
		body, err := json.Marshal(map[string]any{"source": "private", "documents": []any{listed}})
		if err != nil {
			t.Fatal(err)
		}
		status, text := b.http(t, http.MethodPost, "/api/v1/collections/"+collection+"/ingestions", string(body))
		var started rest.Started
		if status == http.StatusOK {
			started = decode[rest.Started](t, text)
		}
		if len(started.Missing) != 1 || started.Missing[0] != listed.SHA256 || started.Ingestion != "" {
			t.Errorf("listing another's content in %s: status %d, %s; want to be asked for it", collection, status, text)
		}
	}
	pack := ""
	for info, err := range a.store(t).All(t.Context(), schemas.PackPrefix("acme", "private")) {
		if err != nil {
			t.Fatal(err)
		}
		pack = info.Key
	}
	if pack == "" {
		t.Fatal("found no pack of the owner")
	}
	placed := schemas.SnapshotDocument{ListedDocument: listed, Pack: pack, Offset: 512}
	body, err := json.Marshal(map[string]any{"source": "private", "documents": []any{placed}})
	if err != nil {
		t.Fatal(err)
	}
	if status, text := b.http(t, http.MethodPost, "/api/v1/collections/thief/ingestions", string(body)); status == http.StatusAccepted {
		t.Errorf("a listing that names another's pack starts: %s", text)
	}
}
