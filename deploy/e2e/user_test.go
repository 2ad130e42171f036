package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// user is somebody with an API key.
type user struct {
	*house

	key string
}

// admin is the user whom the bootstrap key belongs to.
func (h *house) admin() user { return user{h, h.keys.APIKey} }

// tenant makes a key of a tenant of its own, with every role but the admin's.
func (h *house) tenant(t *testing.T, name string) user {
	t.Helper()
	created := decode[rest.CreatedKey](t, h.admin().run(t, "keys", "create", "--tenant", name, "--role", "service", "--role", "operator", "--json"))
	return user{h, created.Token}
}

// outcome is how a command line ended.
type outcome struct {
	status         int
	stdout, stderr string
}

func (u user) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(u.bin, "tenuto"), args...)
	cmd.Dir = u.dir
	cmd.Env = append(u.environment(), "TENUTO_URL="+u.url(), "TENUTO_API_KEY="+u.key)
	dieWithParent(cmd)
	return cmd
}

// try runs one command line of the program tenuto to its end.
func (u user) try(t *testing.T, args ...string) outcome {
	t.Helper()
	cmd := u.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	timer := time.AfterFunc(4*time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// run runs one command line that must succeed, and returns what it printed.
func (u user) run(t *testing.T, args ...string) string {
	t.Helper()
	out := u.try(t, args...)
	if out.status != 0 {
		t.Fatalf("tenuto %s: status %d\n%s", strings.Join(args, " "), out.status, out.stderr)
	}
	return out.stdout
}

// fails runs one command line that must fail with status and say all of the words on stderr.
func (u user) fails(t *testing.T, status int, words []string, args ...string) {
	t.Helper()
	out := u.try(t, args...)
	if out.status != status {
		t.Errorf("tenuto %s: status %d, want %d\n%s", strings.Join(args, " "), out.status, status, out.stderr)
	}
	for _, word := range words {
		if !strings.Contains(out.stderr, word) {
			t.Errorf("tenuto %s: %q is missing in\n%s", strings.Join(args, " "), word, out.stderr)
		}
	}
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in:\n%.2000s", err, text)
	}
	return value
}

// ingest ingests to the end and returns the report.
func (u user) ingest(t *testing.T, collection, path string, more ...string) rest.Report {
	t.Helper()
	return decode[rest.Report](t, u.run(t, append([]string{"ingest", path, "-c", collection, "--json"}, more...)...))
}

// detach starts an ingestion and returns without waiting for its end.
func (u user) detach(t *testing.T, collection, path string, more ...string) rest.Started {
	t.Helper()
	return decode[rest.Started](t, u.run(t, append([]string{"ingest", path, "-c", collection, "--json", "--detach"}, more...)...))
}

func (u user) show(t *testing.T, collection, ingestion string) rest.Ingestion {
	t.Helper()
	return decode[rest.Ingestion](t, u.run(t, "ingestions", "show", collection, ingestion, "--json"))
}

// finished waits for the end of an ingestion, which must be a good one.
func (u user) finished(t *testing.T, limit time.Duration, collection, ingestion string) rest.Ingestion {
	t.Helper()
	var found rest.Ingestion
	await(t, limit, "the end of ingestion "+ingestion, func() bool {
		found = u.show(t, collection, ingestion)
		return found.Status != rest.Running
	})
	if found.Status != rest.Completed || found.Report == nil {
		t.Fatalf("ingestion %s: %s, %+v", ingestion, found.Status, found.Failure)
	}
	return found
}

func (u user) search(t *testing.T, collection, query string, more ...string) []schemas.Hit {
	t.Helper()
	return decode[rest.Found](t, u.run(t, append([]string{"search", query, "-c", collection, "--json"}, more...)...)).Hits
}

// documents lists the documents of hits.
func documents(hits []schemas.Hit) []string {
	list := make([]string, len(hits))
	for i, hit := range hits {
		list[i] = hit.Document
	}
	return list
}

// http makes one request to the gateway and returns its status and body.
func (u user) http(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, u.url()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if u.key != "" {
		request.Header.Set("Authorization", "Bearer "+u.key)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}
