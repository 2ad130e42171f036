// Package batchtest is a model server with the batch interfaces of OpenAI and Anthropic, to test against. It counts what it was asked for.
package batchtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

// ClaudeModel is served under Anthropic's API; modeltest.ChatModel is under OpenAI's.
const ClaudeModel = "claude-test-4-5"

// StatsPath is where a Handler serves its Stats as JSON, for tests in another process.
const StatsPath = "/batches/stats"

// Fate is what becomes of a row.
type Fate string

// The fates.
const (
	Answered Fate = ""        // as its call would be
	Invalid  Fate = "invalid" // declined for good
	Failing  Fate = "failing" // the server fails at it
	Expired  Fate = "expired" // not begun in time
	Garbled  Fate = "garbled" // answered in a line that cannot be read
	Lost     Fate = "lost"    // not a word of it
	Twice    Fate = "twice"   // answered in two lines

	Cancelled Fate = "cancelled" // not begun when the batch was cancelled
)

// Options configures a Handler. The zero value has answered every batch when it is first asked for it.
type Options struct {
	Key   string        // that callers must send; empty asks for none
	Delay time.Duration // from the order of a batch until it has ended
	Soon  int           // orders from this number on, from 0, have no delay; 0 is none
	// Fate says what becomes of row n of batch number order, both from 0; nil answers all.
	Fate func(order, n int) Fate
	// Script is what happens to the first orders, in order; a zero Failure lets one pass. One with Drop or Cut takes the order and loses
	// the answer.
	Script []modeltest.Failure
	// Replies answer the first rows and calls of OpenAI's interface, in order, as those of modeltest.
	Replies []model.Response
	// Refuse is the code with which OpenAI's batches fail as a whole, such as token_limit_exceeded; empty fails none.
	Refuse string
}

// Stats counts what a Handler saw.
type Stats struct {
	Files    int            `json:"files"`    // uploaded
	Orders   int            `json:"orders"`   // that came in, failed ones too
	Batches  int            `json:"batches"`  // that were taken
	Lists    int            `json:"lists"`    // pages of batches
	Polls    int            `json:"polls"`    // of one batch
	Collects int            `json:"collects"` // of results
	Cancels  int            `json:"cancels"`  //
	Answered int            `json:"answered"` // rows that were paid for
	Rows     map[string]int `json:"rows"`     // rows that were taken, by custom_id
	Bodies   map[string]int `json:"bodies"`   // the same by the hash of the body, lower-case hex SHA-256
	Singles  int            `json:"singles"`  // calls outside of batches
}

// Handler is a server of both vendors' APIs under /v1.
type Handler struct {
	options Options
	mux     *http.ServeMux
	chat    *modeltest.Handler

	mu      sync.Mutex
	script  []modeltest.Failure // guarded by mu
	files   map[string][]byte   // guarded by mu
	batches []*batch            // guarded by mu
	stats   Stats               // guarded by mu
}

// batch is one that was ordered, of either vendor.
type batch struct {
	id, vendor, endpoint, input string
	metadata                    map[string]string
	order                       int
	created                     time.Time
	cancelled                   bool
	rows                        []row
	results                     []string // lines of answers; nil until it has ended
	errors                      []string // lines of errors, of OpenAI's
}

type row struct {
	id   string
	body json.RawMessage
	fate Fate
}

const (
	openAI    = "openai"
	anthropic = "anthropic"
)

// NewHandler makes a handler.
func NewHandler(o Options) *Handler {
	h := &Handler{options: o, mux: http.NewServeMux(), chat: modeltest.NewHandler(modeltest.Options{Replies: o.Replies}), script: o.Script, files: map[string][]byte{}}
	h.stats = Stats{Rows: map[string]int{}, Bodies: map[string]int{}}
	h.mux.HandleFunc("GET "+StatsPath, func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, h.Stats()) })
	h.mux.HandleFunc("/v1/chat/completions", h.single(h.chat.ServeHTTP))
	h.mux.HandleFunc("/v1/embeddings", h.chat.ServeHTTP)
	h.mux.HandleFunc("POST /v1/messages", h.single(message))
	h.serveOpenAI()
	h.serveAnthropic()
	return h
}

// ServeHTTP serves one call.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent := cmp.Or(r.Header.Get("X-Api-Key"), r.Header.Get("Authorization"))
	if h.options.Key != "" && r.URL.Path != StatsPath && sent != h.options.Key && sent != "Bearer "+h.options.Key {
		decline(w, http.StatusUnauthorized, "authentication_error", "invalid_api_key", "the key is not the right one")
		return
	}
	h.mux.ServeHTTP(w, r)
}

func (h *Handler) single(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.count(func(s *Stats) { s.Singles++ })
		serve(w, r)
	}
}

// Stats returns a copy of what was counted so far.
func (h *Handler) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	stats := h.stats
	stats.Rows, stats.Bodies = maps.Clone(stats.Rows), maps.Clone(stats.Bodies)
	return stats
}

func (h *Handler) count(add func(*Stats)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	add(&h.stats)
}

// failure takes the next part of the script.
func (h *Handler) failure() modeltest.Failure {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Orders++
	if len(h.script) == 0 {
		return modeltest.Failure{}
	}
	next := h.script[0]
	h.script = h.script[1:]
	return next
}

// fails answers an order in place of taking it, if the script says so.
func fails(w http.ResponseWriter, f modeltest.Failure) bool {
	if f.Status == 0 {
		return false
	}
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	kind := "api_error"
	if f.Status == http.StatusTooManyRequests {
		kind = "rate_limit_error"
	}
	decline(w, f.Status, kind, kind, http.StatusText(f.Status))
	return true
}

// take notes a batch and returns it as it is now.
func (h *Handler) take(b *batch) batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	b.order, b.created = len(h.batches), time.Now()
	b.id = fmt.Sprintf("%s_%03d", map[string]string{openAI: "batch", anthropic: "msgbatch"}[b.vendor], b.order)
	for n := range b.rows {
		r := &b.rows[n]
		if h.options.Fate != nil {
			r.fate = h.options.Fate(b.order, n)
		}
		h.stats.Rows[r.id]++
		h.stats.Bodies[schemas.Hash(r.body)]++
	}
	h.stats.Batches++
	h.batches = append(h.batches, b)
	return *b
}

// find looks for a batch, ends it if its time has come, and returns it as it is now.
func (h *Handler) find(vendor, id string, change func(*Stats, *batch)) (batch, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.IndexFunc(h.batches, func(b *batch) bool { return b.vendor == vendor && b.id == id })
	if at < 0 {
		return batch{}, false
	}
	h.end(h.batches[at])
	change(&h.stats, h.batches[at])
	return *h.batches[at], true
}

// What is done with a batch.
func polled(s *Stats, _ *batch)    { s.Polls++ }
func collected(s *Stats, _ *batch) { s.Collects++ }
func cancelled(s *Stats, b *batch) {
	s.Cancels++
	b.cancelled = b.cancelled || !b.ended()
}

// newest lists the batches of a vendor, the newest first, that follow after.
func (h *Handler) newest(vendor, after string) []batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stats.Lists++
	var list []batch
	for _, b := range slices.Backward(h.batches) {
		if b.vendor == vendor {
			h.end(b)
			list = append(list, *b)
		}
	}
	if at := slices.IndexFunc(list, func(b batch) bool { return b.id == after }); at >= 0 {
		list = list[at+1:]
	}
	return list
}

func (b *batch) ended() bool { return b.results != nil }

// end writes the results of a batch whose time has come, the last row first.
func (h *Handler) end(b *batch) {
	soon := b.cancelled || h.options.Soon > 0 && b.order >= h.options.Soon
	if b.ended() || !soon && time.Since(b.created) < h.options.Delay {
		return
	}
	b.results = []string{}
	for n, r := range slices.Backward(b.rows) {
		if b.cancelled && r.fate == Answered && n%2 == 1 { // a batch that is cancelled is half done
			r.fate = Cancelled
		}
		answered, failed := h.lines(b.vendor, r)
		b.results, b.errors = append(b.results, answered...), append(b.errors, failed...)
	}
}

func (h *Handler) lines(vendor string, r row) (answered, failed []string) {
	switch r.fate {
	case Lost:
		return nil, nil
	case Garbled:
		h.stats.Answered++
		return []string{`{"custom_id": "` + r.id[:len(r.id)/2]}, nil
	case Answered, Twice:
		h.stats.Answered++
	case Invalid, Failing, Expired, Cancelled:
	}
	line := anthropicLine(r)
	if vendor == openAI {
		line = h.openAILine(r)
	}
	data, err := json.Marshal(line)
	if err != nil {
		panic(err) // what was read as JSON is written as JSON
	}
	switch {
	case r.fate == Twice:
		return []string{string(data), string(data)}, nil
	case vendor == openAI && r.fate != Answered:
		return nil, []string{string(data)}
	}
	return []string{string(data)}, nil
}

// call makes a call of a handler in this process.
func call(serve http.HandlerFunc, path string, body []byte) (status int, answer json.RawMessage) {
	recorder := httptest.NewRecorder()
	serve(recorder, &http.Request{Method: http.MethodPost, URL: &url.URL{Path: path}, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))})
	return recorder.Code, json.RawMessage(recorder.Body.Bytes())
}

func writeLines(w http.ResponseWriter, lines []string) {
	w.Header().Set("Content-Type", "application/x-jsonl")
	for _, line := range lines {
		_, _ = io.WriteString(w, line+"\n")
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller is gone; the next call will tell
}

// decline answers with an error in the shape of both vendors.
func decline(w http.ResponseWriter, status int, kind, code, message string) {
	reply(w, status, problem(kind, code, message))
}

func problem(kind, code, message string) any {
	return map[string]any{"type": "error", "error": map[string]any{"type": kind, "code": code, "message": message, "param": nil}}
}

func missing(w http.ResponseWriter, what string) {
	decline(w, http.StatusNotFound, "not_found_error", "", fmt.Sprintf("there is no %s", what))
}

// Server is a Handler on a free port of 127.0.0.1.
type Server struct {
	*Handler
	URL string // of the API, ending in /v1
}

// NewServer starts a server that stops with the test.
func NewServer(t testing.TB, o Options) *Server {
	t.Helper()
	h := NewHandler(o)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &Server{Handler: h, URL: server.URL + "/v1"}
}
