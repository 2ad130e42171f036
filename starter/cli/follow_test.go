package cli_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/starter/cli"
	"github.com/tenuto-dev/tenuto/starter/gateway"
	"github.com/tenuto-dev/tenuto/starter/gateway/gatewaytest"
)

// echo is a project whose chain repeats its input.
func echo(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range map[string]string{
		"tenuto.yaml":      "name: test\n",
		"models.yaml":      "providers: {local: {driver: local}}\nmodels: {extractive: {provider: local}}\n",
		"prompts/p.prompt": "---\ninput:\n  schema:\n    text: string\n---\n{{text}}\n",
		"chains/say.yaml":  "input: {text: string, n?: integer}\nsteps:\n  - id: say\n    generate: {prompt: p, model: extractive, with: {text: input.text}}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// cutter passes calls on to a server, and cuts the first streams off before an event.
type cutter struct {
	*httptest.Server
	before string // event
	cuts   atomic.Int32
	asked  atomic.Int32 // calls for streams
	last   atomic.Value // Last-Event-ID of the last such call
}

func cutOff(t *testing.T, s *gatewaytest.Server, before string, cuts int32) *cutter {
	t.Helper()
	c := &cutter{before: "event: " + before + "\n"}
	c.cuts.Store(cuts)
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
				return nil
			}
			c.asked.Add(1)
			c.last.Store(r.Request.Header.Get("Last-Event-ID"))
			if c.cuts.Add(-1) >= 0 {
				whole, err := io.ReadAll(r.Body)
				if err != nil {
					return err
				}
				begin, _, _ := strings.Cut(string(whole), c.before)
				r.ContentLength = int64(len(begin)) + 1 // one more than comes
				r.Header.Del("Content-Length")
				r.Body = io.NopCloser(strings.NewReader(begin))
			}
			return nil
		},
	})
	t.Cleanup(c.Close)
	return c
}

func (c *cutter) getenv(name string) string {
	return map[string]string{"TENUTO_URL": c.URL, "TENUTO_API_KEY": gatewaytest.AdminToken}[name]
}

func TestBrokenStreamsGoOnWhereTheyWere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before string // the event that the first connections lack
		cuts   int32
		code   int
		asked  int32
		resume bool   // it goes on after an event
		stderr string // last words
	}{
		"before the answer": {"delta", 2, 0, 3, false, "price unknown"},
		"before the end":    {"done", 1, 0, 2, true, "price unknown"},
		"again and again":   {"run", 100, 1, 6, false, "broke off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Hub = new(hub.Hub) })
			c := cutOff(t, s, test.before, test.cuts)
			var stdout, stderr bytes.Buffer
			args := []string{"run", "say", "--project", echo(t), "--input", "text=hello", "--stream"}
			code := cli.Run(t.Context(), args, c.getenv, nil, &stdout, &stderr)
			if code != test.code || !strings.Contains(stderr.String(), test.stderr) || c.asked.Load() != test.asked {
				t.Fatalf("exit status %d after %d connections: %s", code, c.asked.Load(), &stderr)
			}
			if want := map[int]string{0: "hello\n", 1: ""}[test.code]; stdout.String() != want {
				t.Errorf("stdout %q, want %q", &stdout, want)
			}
			if (c.last.Load() != "") != test.resume {
				t.Errorf("went on after event %q", c.last.Load())
			}
			if made := s.Work.Made("say"); made != 1 {
				t.Errorf("the step was carried out %d times", made)
			}
		})
	}
}

func TestInterruptSaysHowToFollow(t *testing.T) {
	t.Parallel()
	s := gatewaytest.Start(t, func(d *gateway.Deps) { d.Hub = new(hub.Hub) })
	s.Work.Gate = make(chan struct{})
	dir := echo(t)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		for s.Temporal.Started("Chain")+s.Temporal.Started("Lane") == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		interrupt()
	}()
	var stdout, stderr bytes.Buffer
	code := cli.Run(ctx, []string{"run", "say", "--project", dir, "--input", "text=hello", "--stream", "--key", "k"}, environment(s), nil, &stdout, &stderr)
	if code != 130 || !strings.Contains(stderr.String(), "tenuto runs follow k") || stdout.Len() > 0 {
		t.Errorf("exit status %d, stdout %q, stderr %q", code, &stdout, &stderr)
	}
	close(s.Work.Gate)
	if code := cli.Run(t.Context(), []string{"runs", "follow", "k"}, environment(s), nil, &stdout, &stderr); code != 0 || stdout.String() != "hello\n" {
		t.Errorf("exit status %d, stdout %q, stderr %q", code, &stdout, &stderr)
	}
}
