package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/registry"
	"github.com/tenuto-dev/tenuto/activities/provider/forge"
	"github.com/tenuto-dev/tenuto/activities/provider/forge/memforge"
	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/activities/release"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/cli"
	"github.com/tenuto-dev/tenuto/starter/gateway"
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
			server := gatewaytest.Start(env.T().(testing.TB), signing)
			if err := plant(server); err != nil {
				return err
			}
			if err := host(server, env.WorkDir); err != nil {
				return err
			}
			smoke, strict, err := packSuites(server)
			if err != nil {
				return err
			}
			env.Setenv("PACKAGE", smoke)
			env.Setenv("STRICT", strict)
			env.Setenv("TENUTO_URL", server.URL)
			env.Setenv("TENUTO_API_KEY", gatewaytest.AdminToken)
			env.Setenv("TZ", "UTC")
			env.Setenv("RUN", plantedID)
			return nil
		},
	})
}

// signing gives a gateway what callbacks are signed with.
func signing(d *gateway.Deps) {
	keys, err := notify.ParseKeys(strings.Repeat("s", 32))
	if err != nil {
		panic(err)
	}
	d.Notify = &notify.Sender{Keys: keys}
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

func TestInterruptLeavesTheEvaluationRunning(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, nil)
	s.Work.Gate = make(chan struct{})
	file := filepath.Join(t.TempDir(), "smoke.yaml")
	if err := os.WriteFile(file, []byte("prompts: [x]\nproviders: [echo]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		for s.Temporal.Started("Evaluate") == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	var stdout, stderr bytes.Buffer
	code := cli.Run(ctx, []string{"eval", "run", file}, environment(s), nil, &stdout, &stderr)
	if code != 130 || !strings.Contains(stderr.String(), "goes on; follow it with: tenuto eval watch smoke ") {
		t.Errorf("exit status %d, stderr %q", code, &stderr)
	}
	close(s.Work.Gate)
	stdout.Reset()
	if code := cli.Run(t.Context(), []string{"eval", "watch", "smoke"}, environment(s), nil, &stdout, &stderr); code != 0 || !strings.Contains(stdout.String(), "ruling     passed") {
		t.Errorf("exit status %d: %s", code, &stdout)
	}
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

// host has the server's platform read the folder repo of a script, if it has one, as the repository octo/bots.
func host(s *gatewaytest.Server, dir string) error {
	files := map[string]memforge.File{}
	root := filepath.Join(dir, "repo")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		files[filepath.ToSlash(name)] = memforge.File{Data: string(data)}
		return err
	})
	if err != nil || len(files) == 0 {
		return err
	}
	repositories := &memforge.Driver{}
	repositories.Push(forge.Repository{Owner: "octo", Name: "bots"}, files, "main")
	work := &release.Activities{Store: s.Store, Registry: registry.New(s.Store, time.Now), Source: forge.New(repositories)}
	s.Work.Host(func(ctx context.Context, in schemas.ReleaseRequest) (schemas.ReleaseOutcome, error) {
		resolved, err := work.Resolve(ctx, in)
		if err != nil {
			return schemas.ReleaseOutcome{}, temporal.NewNonRetryableApplicationError(schemas.SafeMessage(err), string(schemas.CodeOf(err)), nil)
		}
		return work.Compile(ctx, resolved)
	})
	return nil
}
