package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// hostile is a house whose front door is tried. What it answers is kept, and searched for what it must not tell.
type hostile struct {
	user // an admin

	service user   // of the same tenant
	other   user   // of another, with all roles
	base    string // of the server of models

	mu    sync.Mutex
	tells []string // bodies of failures that tell what they must not
}

// TestHostile tries the front door of one real gateway with what nobody should send. In the end it must serve as before.
//
//nolint:paralleltest,tparallel // the subtests are in groups: what fills the house comes last
func TestHostile(t *testing.T) {
	t.Parallel()
	models := httptest.NewServer(talker(t))
	t.Cleanup(models.Close)
	file := filepath.Join(t.TempDir(), "models.yaml")
	write(t, file, fmt.Sprintf("providers:\n  vendor: {driver: openai, base_url: %s/v1}\n", models.URL))
	h := open(t, options{noIndex: true, env: []string{"TENUTO_MODELS=" + file}})
	x := &hostile{user: h.admin(), base: models.URL + "/v1"}
	service := decode[rest.CreatedKey](t, x.run(t, "keys", "create", "--role", "service", "--json"))
	other := decode[rest.CreatedKey](t, x.run(t, "keys", "create", "--tenant", "other", "--role", "admin", "--json"))
	x.service, x.other = user{h, service.Token}, user{h, other.Token}
	x.serves(t, talking(x.base, "chat"))
	x.other.serves(t, talking(x.base, "chat"))
	before := h.worker.peak(t)
	t.Run("side by side", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T){
			"large bodies": x.largeBodies, "slow headers": x.slowHeaders, "slow bodies": x.slowBodies, "readers that stop": x.neverReads,
			"names": x.names, "bodies": x.bodies, "fields": x.fields, "releases": x.damaged, "labels": x.twoMoves, "smuggling": x.smuggled,
			"idempotency keys": x.idempotencyKeys, "event ids": x.eventIDs, "hosts": x.hosts, "HTTP/2": x.noHTTP2, "console": x.console,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t)
			})
		}
	})
	if grown := h.worker.peak(t) - before; grown > 768<<20 {
		t.Errorf("the gateway grew by %d MB", grown>>20)
	} else {
		t.Logf("the gateway grew by %d MB", grown>>20)
	}
	t.Run("crowd", x.crowd)
	if h.worker.ended() {
		t.Fatal("the gateway has ended")
	}
	x.works(t, x.service, 10*time.Second)
	if bytes.Contains(readFile(t, h.worker.log), []byte(`"panic"`)) {
		t.Error("the gateway had a panic")
	}
	for _, told := range x.tells {
		t.Errorf("an answer tells %s", told)
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// piece is what the model called long says, again and again.
var piece = strings.Repeat("It goes on. ", 600)

const pieces = 2200 // 15 MB, which is almost as long as a text may be

// talker is a server of models: long streams as fast as it can what no buffer of a connection holds.
func talker(t *testing.T) http.Handler {
	t.Helper()
	usual := modeltest.NewHandler(modeltest.Options{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var call struct {
			Model  string
			Stream bool
		}
		_ = json.Unmarshal(body, &call) // the usual handler declines what is none
		if call.Model != "long" {
			r.Body = io.NopCloser(bytes.NewReader(body))
			usual.ServeHTTP(w, r)
			return
		}
		if !call.Stream {
			t.Errorf("the model long was asked for a whole answer")
		}
		w.Header().Set("Content-Type", "text/event-stream")
		const event = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"long","choices":[{"index":0,"delta":{"content":%q},"finish_reason":%s}]}` + "\n\n"
		for range pieces {
			if _, err := fmt.Fprintf(w, event, piece, "null"); err != nil {
				return
			}
		}
		fmt.Fprintf(w, event+"data: [DONE]\n\n", "", `"stop"`)
	})
}

// talking is a chain that has a model say something.
func talking(base, name string) schemas.Bundle {
	models := schemas.Models{
		Providers: map[string]schemas.ProviderDef{"test": {Driver: schemas.DriverOpenAI, BaseURL: base, KeyEnv: "OPENAI_API_KEY"}},
		Models:    map[string]schemas.ModelDef{"chat": {Provider: "test", Model: modeltest.ChatModel}, "long": {Provider: "test", Model: "long"}},
	}
	return oneChain(models, map[string]string{"tell": "Tell me of {{run}}."}, schemas.ChainDef{
		Input: namedRun,
		Steps: []schemas.StepDef{{ID: "tell", Generate: &schemas.GenerateDef{Prompt: "tell", Model: name, With: map[string]string{"run": "input.run"}}}},
	})
}

// secrets are what no failure may tell: traces, addresses and errors of what stands behind the gateway, and keys.
var secrets = regexp.MustCompile(`goroutine \d|\.go:\d|runtime error|panic|rpc error|dial tcp|read tcp|write tcp|connection refused|tnt_[0-9a-f]{12}_[0-9a-f]{64}|minio|NoSuchKey|json: cannot`)

// failed looks at the body of an answer that is a failure: it must be a problem, in the form of the API, and tell nothing that it must not.
func (x *hostile) failed(t *testing.T, what string, status int, header http.Header, body string) {
	t.Helper()
	if status < http.StatusBadRequest {
		return
	}
	told := secrets.FindString(body)
	for _, secret := range []string{loopback(x.ports.temporal), loopback(x.ports.s3), x.keys.S3SecretKey, x.keys.APIKey, x.dir} {
		if strings.Contains(body, secret) {
			told = secret
		}
	}
	if told != "" {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.tells = append(x.tells, fmt.Sprintf("%q: %s: %.400s", told, what, body))
	}
	var problem struct {
		rest.Problem
		Error struct{ Message, Type string }
	}
	faulty := json.Unmarshal([]byte(body), &problem)
	switch kind := header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "text/html"): // the console
	case status >= http.StatusInternalServerError && problem.Code != schemas.Unavailable:
		t.Errorf("%s: status %d: %.300s", what, status, body)
	case faulty != nil || problem.Detail == "" && problem.Error.Message == "":
		t.Errorf("%s: status %d without a problem: %s %.300q", what, status, kind, body)
	case problem.Detail != "" && (problem.Status != status || kind != "application/problem+json"):
		t.Errorf("%s: status %d, %s, with the problem %.300s", what, status, kind, body)
	}
}

// reaction is what a request came to.
type reaction struct {
	status int
	header http.Header
	body   string
	err    error // the connection broke
}

// ask sends one request with headers as given, and looks at what comes.
func (x *hostile) ask(t *testing.T, u user, method, path string, body io.Reader, header ...string) reaction {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, x.url()+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+u.key)
	for i := 0; i < len(header); i += 2 {
		request.Header[header[i]] = []string{header[i+1]}
	}
	response, err := strict.Do(request)
	if err != nil {
		return reaction{err: err}
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	got := reaction{response.StatusCode, response.Header, string(data), err}
	x.failed(t, fmt.Sprintf("%s %.200s", method, path), got.status, got.header, got.body)
	return got
}

// strict follows nobody elsewhere.
var strict = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
}

// works requires that a run comes to its end in a time.
func (x *hostile) works(t *testing.T, u user, limit time.Duration) (took time.Duration) {
	t.Helper()
	begun := time.Now()
	got := x.ask(t, u, http.MethodPost, streamPath, strings.NewReader(`{"input":{"run":"a"}}`))
	took = time.Since(begun)
	if got.status != http.StatusOK || !strings.Contains(got.body, "Tell me of a.") || took > limit {
		t.Errorf("a run answers %d after %s: %v %.300s", got.status, took, got.err, got.body)
	}
	return took
}

// raw opens a connection and writes text to it.
func (x *hostile) raw(t *testing.T, text string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", loopback(x.ports.gateway))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// letGo returns how long it took until the gateway had closed the connection, and what it had said.
func letGo(t *testing.T, conn net.Conn, limit time.Duration) (time.Duration, string) {
	t.Helper()
	begun := time.Now()
	_ = conn.SetReadDeadline(begun.Add(limit))
	said, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is open after %s; it said %.200q", limit, said)
	}
	return time.Since(begun), string(said)
}

// parsed reads the answers of a connection.
func parsed(said string) (statuses []int, last string) {
	from := bufio.NewReader(strings.NewReader(said))
	for {
		response, err := http.ReadResponse(from, nil)
		if err != nil {
			return statuses, last
		}
		data, _ := io.ReadAll(response.Body)
		response.Body.Close()
		statuses, last = append(statuses, response.StatusCode), string(data)
	}
}

// routesWithBodies are one of each way in which bodies are read.
func routesWithBodies() map[string]string {
	return map[string]string{
		"a run": streamPath, "a chain": "/api/v1/runs", "a release": "/api/v1/releases", "feedback": "/api/v1/runs/x/feedback", "a listing": "/api/v1/collections/big/ingestions",
		"a pack": "/api/v1/collections/big/contents", "a chat": "/v1/chat/completions", "a message": "/v1/messages", "a form": "/console/sign-in", "nothing": "/nowhere",
	}
}
