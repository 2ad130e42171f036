package relay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/memblob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/anthropicmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/localmodel"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/activities/provider/model/openaimodel"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/anthropic"
	"github.com/tenuto-dev/tenuto/starter/gateway/openai"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

const upstreamKey = "sk-test-0123456789abcdef"

// rig is a relay behind both APIs, with an upstream of OpenAI's protocol called openai, another behind the same server called
// far, which is spoken to as if it were of a third, and the local models.
type rig struct {
	t     *testing.T
	relay *relay.Relay
	url   string
	disk  *disk
	store *blob.Store
	logs  *observer.ObservedLogs
}

// far hides that a driver forwards.
type far struct{ model.Driver }

// setup starts a relay over an upstream of OpenAI's protocol. Change alters the relay before it is used; it may be nil.
func setup(t *testing.T, upstream string, change func(*relay.Relay)) *rig {
	t.Helper()
	driver, err := openaimodel.New(openaimodel.Options{BaseURL: upstream, APIKey: upstreamKey})
	if err != nil {
		t.Fatal(err)
	}
	claude, err := anthropicmodel.New(anthropicmodel.Options{BaseURL: upstream, APIKey: upstreamKey})
	if err != nil {
		t.Fatal(err)
	}
	installed, err := model.NewSet(
		&model.Provider{Name: "openai", Driver: driver}, &model.Provider{Name: "far", Driver: far{driver}},
		&model.Provider{Name: "anthropic", Driver: claude}, &model.Provider{Name: "local", Driver: localmodel.Driver{}})
	if err != nil {
		t.Fatal(err)
	}
	price := &schemas.PriceDef{Input: 1, Output: 2}
	d := &disk{Driver: &memblob.Driver{}}
	store := blob.New(d)
	core, logs := observer.New(zap.DebugLevel)
	r := &relay.Relay{
		Fleet: &fleet.Fleet{Installed: installed, Models: schemas.Models{Models: map[string]schemas.ModelDef{
			"priced": {Provider: "openai", Model: modeltest.ChatModel, Prices: price}, "far": {Provider: "far", Model: modeltest.ChatModel, Prices: price},
			"lexical": {Provider: "local"},
		}}},
		Store: store, Journal: journal.New(store, "test"), Claims: &claims{}, Metrics: relay.NewMetrics(prometheus.NewRegistry()),
		Log: zap.New(core), Now: time.Now, NewID: func() string { return uuid.Must(uuid.NewV7()).String() },
	}
	if change != nil {
		change(r)
	}
	mux := http.NewServeMux()
	authorize := func(*http.Request) (schemas.APIKey, error) { return schemas.APIKey{ID: "0123", Tenant: "acme"}, nil }
	openai.Mount(mux, r, authorize)
	anthropic.Mount(mux, r, authorize)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &rig{t: t, relay: r, url: server.URL, disk: d, store: store, logs: logs}
}

// disk is a store that can be held up, or that fails.
type disk struct {
	blob.Driver

	mu   sync.Mutex
	gate chan struct{} // writes wait until it is closed; nil for none
	err  error         // of every write
	puts int
}

func (d *disk) Put(ctx context.Context, key string, r io.Reader, size int64, ifAbsent bool) (bool, error) {
	d.mu.Lock()
	gate, err := d.gate, d.err
	d.puts++
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if err != nil {
		return false, err
	}
	return d.Driver.Put(ctx, key, r, size, ifAbsent)
}

// hold has writes wait until the returned function is called.
func (d *disk) hold() (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gate := make(chan struct{})
	d.gate = gate
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		close(gate)
		d.gate = nil
	}
}

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// claims keeps claims in memory.
type claims struct {
	mu    sync.Mutex
	of    map[string]relay.Claim
	alive bool // whoever else has claimed
}

func (c *claims) Claim(_ context.Context, tenant, key string, claim relay.Claim) (relay.Claim, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	owner, ok := c.of[tenant+key]
	switch {
	case !ok:
		c.put(tenant+key, claim)
		return claim, true, nil
	case owner.Fingerprint != claim.Fingerprint:
		return owner, false, schemas.Errorf(schemas.Conflict, "run %s exists and belongs to another request", key)
	}
	return owner, false, nil
}

func (c *claims) put(key string, claim relay.Claim) {
	if c.of == nil {
		c.of = map[string]relay.Claim{}
	}
	c.of[key] = claim
}

func (c *claims) Succeed(_ context.Context, tenant, key string, _, claim relay.Claim) (relay.Claim, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(tenant+key, claim)
	return claim, true, nil
}

func (c *claims) Lives(context.Context, relay.Claim) bool { return c.alive }

// answered is an answer that was read to its end.
type answered struct {
	status int
	header http.Header
	body   string
	err    error // of reading
}

func (r *rig) post(path, body string, header ...string) answered {
	r.t.Helper()
	response, err := http.DefaultClient.Do(r.request(r.t.Context(), path, body, header...))
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return answered{response.StatusCode, response.Header, string(data), err}
}

func (r *rig) request(ctx context.Context, path, body string, header ...string) *http.Request {
	r.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return request
}

func (r *rig) chat(body string, header ...string) answered {
	r.t.Helper()
	return r.post("/v1/chat/completions", body, header...)
}

// record reads the record that an answer names.
func (r *rig) record(a answered) schemas.Exchange {
	r.t.Helper()
	e, ok := r.find(a.header.Get(relay.RunHeader))
	if !ok {
		r.t.Fatalf("no record of %q: %d %s", a.header.Get(relay.RunHeader), a.status, a.body)
	}
	return e
}

func (r *rig) find(run string) (schemas.Exchange, bool) {
	r.t.Helper()
	start, ok := schemas.RunStart(run)
	if !ok {
		return schemas.Exchange{}, false
	}
	data, ok, err := r.relay.Journal.Get(r.t.Context(), "acme", schemas.RunKey("acme", run, start))
	if err != nil {
		r.t.Fatal(err)
	}
	var e schemas.Exchange
	if ok {
		decode(r.t, data, &e)
	}
	return e, ok
}

// stored reports whether the store, and not only the memory of the journal, has a text.
func (r *rig) stored(text string) bool {
	r.t.Helper()
	for info, err := range r.store.All(r.t.Context(), "tenants/") {
		if err != nil {
			r.t.Fatal(err)
		}
		data, err := r.store.Get(r.t.Context(), info.Key)
		if err == nil && bytes.Contains(data, []byte(text)) {
			return true
		}
	}
	return false
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
}

// await polls until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// raw serves what fn writes, as an upstream, and keeps the bodies of calls.
type raw struct {
	url string

	mu     sync.Mutex
	bodies []string
}

func serveRaw(t *testing.T, fn func(n int, w http.ResponseWriter, r *http.Request)) *raw {
	t.Helper()
	u := &raw{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.bodies = append(u.bodies, string(body))
		n := len(u.bodies)
		u.mu.Unlock()
		fn(n, w, r)
	}))
	t.Cleanup(server.Close)
	u.url = server.URL + "/v1"
	return u
}

func (u *raw) calls() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.bodies)
}

const chunk = `data: {"id":"c","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}` + "\n\n"

const finish = `data: {"id":"c","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"

const counted = `data: {"id":"c","object":"chat.completion.chunk","model":"m-1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}` + "\n\n"

const done = "data: [DONE]\n\n"

// events writes parts of a stream, each flushed.
func events(w http.ResponseWriter, parts ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, part := range parts {
		_, _ = io.WriteString(w, part)
		_ = http.NewResponseController(w).Flush()
	}
}
