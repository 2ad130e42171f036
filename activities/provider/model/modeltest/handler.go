package modeltest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// The models that a Handler serves.
const (
	ChatModel  = "test-chat"
	EmbedModel = "test-embed"
)

// StatsPath is where a Handler serves its Stats as JSON, for tests in another process.
const StatsPath = "/stats"

// Options configures a Handler. The zero value answers at once, every time.
type Options struct {
	Key           string        // bearer token that callers must send; empty asks for none
	Latency       time.Duration // between a request and its answer
	Dimensions    int           // of vectors when a request names none; default 256
	ContextTokens int           // longest prompt in words; longer ones are declined as OpenAI does; 0 is unbounded
	Script        []Failure     // what happens to the first calls, in order; a zero Failure lets one pass
}

// Failure is what happens to one call in place of an answer.
type Failure struct {
	Status int
	Header map[string]string
	Body   string // default: an error object of OpenAI's shape
	Cut    bool   // answer, but break the connection in the middle of the body
	Drop   bool   // break the connection without a byte
}

// Stats counts what a Handler saw. Hashes are lower-case hex SHA-256.
type Stats struct {
	Chats     int            `json:"chats"`     // chat completions that came in, failed ones too
	Embeds    int            `json:"embeds"`    // embedding calls that came in, failed ones too
	Failed    int            `json:"failed"`    // of both, those that the script failed
	Abandoned int            `json:"abandoned"` // of both, those whose caller left before the answer
	Prompts   map[string]int `json:"prompts"`   // hash of an answered chat request's body: times
	Inputs    map[string]int `json:"inputs"`    // hash of an embedded text: times; failed and abandoned calls do not count
	Left      map[string]int `json:"left"`      // the same for texts of abandoned calls
}

// Handler is a model server that speaks OpenAI's API as the real one does, answers from the passages of the prompt by quoting, and
// embeds by hashing words. The same request always gets the same answer.
type Handler struct {
	options Options
	mux     *http.ServeMux

	mu     sync.Mutex
	script []Failure // guarded by mu
	stats  Stats     // guarded by mu
}

// NewHandler makes a handler; it serves /v1/chat/completions, /v1/embeddings, /v1/models and StatsPath.
func NewHandler(o Options) *Handler {
	h := &Handler{options: o, mux: http.NewServeMux(), script: o.Script}
	h.options.Dimensions = cmp.Or(o.Dimensions, 256)
	h.stats = Stats{Prompts: map[string]int{}, Inputs: map[string]int{}, Left: map[string]int{}}
	h.mux.HandleFunc("POST /v1/chat/completions", h.serve(h.chat))
	h.mux.HandleFunc("POST /v1/embeddings", h.serve(h.embed))
	h.mux.HandleFunc("GET /v1/models", h.models)
	h.mux.HandleFunc("GET "+StatsPath, func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, h.Stats()) })
	return h
}

// ServeHTTP serves one call.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Fail appends to the script.
func (h *Handler) Fail(failures ...Failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.script = append(h.script, failures...)
}

// Stats returns a copy of what was counted so far.
func (h *Handler) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	data, err := json.Marshal(h.stats)
	if err != nil {
		panic(err) // counters and maps of counters always marshal
	}
	var stats Stats
	if err := json.Unmarshal(data, &stats); err != nil {
		panic(err)
	}
	return stats
}

// answer is what a call gets, and how the call is counted.
type answer struct {
	status int
	body   any
	count  func(s *Stats, abandoned bool)
}

// serve does what both kinds of call share: key, script, latency, counting.
func (h *Handler) serve(handle func(body []byte) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
		if err != nil {
			reply(w, http.StatusRequestEntityTooLarge, problem("invalid_request_error", "request_too_large", err.Error()))
			return
		}
		failure := h.arrive(r.URL.Path)
		if h.options.Key != "" && r.Header.Get("Authorization") != "Bearer "+h.options.Key {
			reply(w, http.StatusUnauthorized, problem("invalid_request_error", "invalid_api_key",
				"Incorrect API key provided: "+r.Header.Get("Authorization")+"."))
			return
		}
		got := handle(body)
		abandoned := !sleep(r.Context(), h.options.Latency)
		if failure.happens() && !abandoned {
			h.count(func(s *Stats) { s.Failed++ })
			failure.write(w, got.body)
			return
		}
		h.count(func(s *Stats) { got.count(s, abandoned) })
		reply(w, got.status, got.body)
	}
}

// arrive counts a call and takes its part of the script.
func (h *Handler) arrive(path string) Failure {
	h.mu.Lock()
	defer h.mu.Unlock()
	if path == "/v1/embeddings" {
		h.stats.Embeds++
	} else {
		h.stats.Chats++
	}
	if len(h.script) == 0 {
		return Failure{}
	}
	next := h.script[0]
	h.script = h.script[1:]
	return next
}

func (h *Handler) count(add func(*Stats)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	add(&h.stats)
}

// sleep waits for d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

func (f Failure) happens() bool { return f.Status != 0 || f.Cut || f.Drop }

// write answers with the failure; body is what the answer would have been.
func (f Failure) write(w http.ResponseWriter, body any) {
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Cut:
		data, _ := json.Marshal(body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:len(data)/2])
		panic(http.ErrAbortHandler)
	case f.Body != "":
		if w.Header().Get("Content-Type") == "" {
			w.Header().Set("Content-Type", "application/json")
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	default:
		reply(w, f.Status, problem("server_error", "", http.StatusText(f.Status)))
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", "req_test")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller is gone; the next call will tell
}

// problem is an error body of OpenAI's shape.
func problem(kind, code, message string) any {
	var nullable *string
	if code != "" {
		nullable = &code
	}
	return map[string]any{"error": map[string]any{"message": message, "type": kind, "param": nil, "code": nullable}}
}

func hash(text string) string { return schemas.Hash([]byte(text)) }
