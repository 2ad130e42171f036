package modeltest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// The models that a Handler serves.
const (
	ChatModel    = "test-chat"
	EndlessModel = "test-endless" // streams for ever; answers as ChatModel when it shall not stream
	EmbedModel   = "test-embed"
)

// StatsPath is where a Handler serves its Stats as JSON, for tests in another process.
const StatsPath = "/stats"

// Options configures a Handler. The zero value answers at once, every time.
type Options struct {
	Key           string        // bearer token that callers must send; empty asks for none
	Latency       time.Duration // between a request and its answer
	Pace          time.Duration // between the pieces of a stream
	Dimensions    int           // of vectors when a request names none; default 256
	ContextTokens int           // longest prompt in words; longer ones are declined as OpenAI does; 0 is unbounded
	Script        []Failure     // what happens to the first calls, in order; a zero Failure lets one pass
	// Replies answer the first chat completions, in order, in place of Answer; a finish that is left out is that of the calls. Failed
	// calls take none.
	Replies []model.Response
	// Requests is how many calls, of both kinds, are allowed in any Window, which is a minute by default. More are answered with
	// 429, Retry-After and rate limit headers, and count as Limited. 0 is unlimited.
	Requests int
	Window   time.Duration
}

// Stats counts what a Handler saw. Hashes are lower-case hex SHA-256.
type Stats struct {
	Chats     int            `json:"chats"`     // chat completions that came in, failed ones too
	Embeds    int            `json:"embeds"`    // embedding calls that came in, failed ones too
	Failed    int            `json:"failed"`    // of both, those that the script failed
	Limited   int            `json:"limited"`   // of both, those that the rate limit declined; they take nothing of the script
	Abandoned int            `json:"abandoned"` // of both, those whose caller left before the answer
	Prompts   map[string]int `json:"prompts"`   // hash of an answered chat request's body: times
	Seen      map[string]int `json:"seen"`      // the same of every chat request that the rate limit let in
	Inputs    map[string]int `json:"inputs"`    // hash of an embedded text: times; failed and abandoned calls do not count
	Left      map[string]int `json:"left"`      // the same for texts of abandoned calls
}

// Handler is a model server that speaks OpenAI's API as the real one does, streams too, and answers as Answer and Vector say.
type Handler struct {
	options Options
	mux     *http.ServeMux
	limiter limiter

	mu      sync.Mutex
	script  []Failure        // guarded by mu
	replies []model.Response // guarded by mu
	stats   Stats            // guarded by mu
}

// NewHandler makes a handler; it serves /v1/chat/completions, /v1/embeddings, /v1/models and StatsPath.
func NewHandler(o Options) *Handler {
	h := &Handler{options: o, mux: http.NewServeMux(), script: o.Script, replies: o.Replies, limiter: limiter{calls: o.Requests, window: o.Window}}
	h.options.Dimensions = cmp.Or(o.Dimensions, 256)
	h.stats = Stats{Prompts: map[string]int{}, Seen: map[string]int{}, Inputs: map[string]int{}, Left: map[string]int{}}
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

// Reply appends to the replies.
func (h *Handler) Reply(replies ...model.Response) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replies = append(h.replies, replies...)
}

func (h *Handler) nextReply() (model.Response, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.replies) == 0 {
		return model.Response{}, false
	}
	next := h.replies[0]
	h.replies = h.replies[1:]
	return next, true
}

// Stats returns a copy of what was counted so far.
func (h *Handler) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	stats := h.stats
	for _, counts := range []*map[string]int{&stats.Prompts, &stats.Seen, &stats.Inputs, &stats.Left} {
		*counts = maps.Clone(*counts)
	}
	return stats
}

// answer is what a call gets, and how the call is counted.
type answer struct {
	status  int
	body    any
	events  []string // in place of body: what is streamed
	endless bool     // events never end
	count   func(s *Stats, abandoned bool)
}

// handling makes the answer to a body; fails says that the script will not let it through.
type handling func(body []byte, fails bool) answer

// serve does what both kinds of call share: rate limit, key, script, latency, counting.
func (h *Handler) serve(handle handling) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<20))
		if err != nil {
			reply(w, http.StatusRequestEntityTooLarge, problem("invalid_request_error", "request_too_large", err.Error()))
			return
		}
		if !h.limiter.take(w.Header(), time.Now()) {
			h.count(func(s *Stats) { s.Limited++ })
			reply(w, http.StatusTooManyRequests, problem("requests", "rate_limit_exceeded", "Rate limit reached for requests."))
			return
		}
		failure := h.arrive(r.URL.Path, body)
		if h.options.Key != "" && r.Header.Get("Authorization") != "Bearer "+h.options.Key {
			reply(w, http.StatusUnauthorized, problem("invalid_request_error", "invalid_api_key",
				"Incorrect API key provided: "+r.Header.Get("Authorization")+"."))
			return
		}
		h.answer(w, r, failure, handle, body)
	}
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, failure Failure, handle handling, body []byte) {
	abandoned := !sleep(r.Context(), h.options.Latency)
	got := handle(body, failure.happens())
	if failure.happens() && !abandoned {
		h.count(func(s *Stats) { s.Failed++ })
		failure.write(w, r, got)
		return
	}
	h.count(func(s *Stats) { got.count(s, abandoned) })
	switch {
	case got.endless && len(got.events) > 0:
		writeEndless(w, r, got.events)
	case len(got.events) > 0:
		writeEvents(w, r, got.events, h.options.Pace)
	default:
		reply(w, got.status, got.body)
	}
}

// arrive counts a call and takes its part of the script.
func (h *Handler) arrive(path string, body []byte) Failure {
	sum := hash(string(body))
	h.mu.Lock()
	defer h.mu.Unlock()
	if path == "/v1/embeddings" {
		h.stats.Embeds++
	} else {
		h.stats.Chats++
		h.stats.Seen[sum]++
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
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// models lists what is served.
func (h *Handler) models(w http.ResponseWriter, _ *http.Request) {
	var data []any
	for _, name := range []string{ChatModel, EndlessModel, EmbedModel} {
		data = append(data, map[string]any{"id": name, "object": "model", "created": 1700000000, "owned_by": "tenuto"})
	}
	reply(w, http.StatusOK, map[string]any{"object": "list", "data": data})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", "req_test")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller is gone; the next call will tell
}

func declined(status int, code, message string) answer {
	return answer{status: status, body: problem("invalid_request_error", code, message), count: func(*Stats, bool) {}}
}

func missing(name string) answer {
	return declined(http.StatusNotFound, "model_not_found",
		fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", name))
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
