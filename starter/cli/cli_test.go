package cli_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tenuto-dev/tenuto/starter/cli"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

var update = flag.Bool("update", false, "write what scripts compare with anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tenuto": func() {
			os.Exit(cli.Run(context.Background(), os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// TestScripts runs testdata/*.txtar, each with a gateway of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata", ContinueOnError: true, UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			server := gatewaytest.Start(env.T().(testing.TB), nil)
			if err := plant(server); err != nil {
				return err
			}
			env.Setenv("TENUTO_URL", server.URL)
			env.Setenv("TENUTO_API_KEY", gatewaytest.AdminToken)
			env.Setenv("TZ", "UTC")
			env.Setenv("RUN", plantedID)
			return nil
		},
	})
}

// environment names the server as TENUTO_* variables do.
func environment(s *gatewaytest.Server) func(string) string {
	return func(name string) string {
		return map[string]string{"TENUTO_URL": s.URL, "TENUTO_API_KEY": gatewaytest.AdminToken}[name]
	}
}

func TestInterruptLeavesTheIngestionRunning(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	s.Work.Gate = make(chan struct{})
	file := filepath.Join(t.TempDir(), "a.md")
	if err := os.WriteFile(file, []byte("Alpha."), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		for s.Temporal.Started("Ingest") == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	var stdout, stderr bytes.Buffer
	code := cli.Run(ctx, []string{"ingest", file, "--collection", "library"}, environment(s), nil, &stdout, &stderr)
	if code != 130 || !strings.Contains(stderr.String(), "tenuto ingestions show library") {
		t.Errorf("exit status %d, stderr %q", code, &stderr)
	}
	close(s.Work.Gate)
	stdout.Reset()
	for range 100 {
		stdout.Reset()
		cli.Run(t.Context(), []string{"ingestions", "show", "library", "--json"}, environment(s), nil, &stdout, &stderr)
		if strings.Contains(stdout.String(), `"status":"`+string(rest.Completed)+`"`) {
			return
		}
	}
	t.Errorf("the ingestion did not go on: %s", &stdout)
}

func TestManyDocumentsTravelInPacks(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	root := t.TempDir()
	for i := range 600 {
		name := filepath.Join(root, strings.Repeat("x", i%200+1)+string(rune('a'+i/200)))
		if err := os.WriteFile(name, bytes.Repeat([]byte{byte('a' + i%26)}, i+1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "big"), make([]byte, 9<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := cli.Run(t.Context(), []string{"ingest", root, "-c", "library", "--json"}, environment(s), nil, &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d: %s", code, &stderr)
	}
	if !strings.Contains(stdout.String(), `"total":601,"added":601`) {
		t.Errorf("report %s", &stdout)
	}
	page, err := s.Store.List(t.Context(), "tenants/default/collections/library/packs/", "", 0)
	if err != nil || len(page) != 2*4 {
		t.Errorf("%d pack objects (%v), want those of 3 full packs at most 256 contents each and a big one", len(page), err)
	}
}
