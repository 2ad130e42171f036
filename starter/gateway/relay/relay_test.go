package relay_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/relay"
)

const ask = `{"model":"openai/test-chat","messages":[{"role":"user","content":"one two"}],"user":"u-7","odd":{"a":[1]}}`

func streaming(body string) string { return strings.TrimSuffix(body, "}") + `,"stream":true}` }

func TestAWholeAnswerIsPassedOnAndRecorded(t *testing.T) {
	t.Parallel()
	const answer = ` {"id":"x","model":"m-1","system_fingerprint":"fp_1","choices":[{"index":0,"message":{"content":"Hi <b>"},"logprobs":{"content":[]},` +
		`"finish_reason":"length"}],"usage":{"prompt_tokens":30,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":10}},"extra":1} `
	u := serveRaw(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = io.WriteString(w, answer)
	})
	r := setup(t, u.url, nil)
	got := r.chat(ask)
	if got.status != 200 || got.body != answer || got.header.Get("Content-Type") != "application/json" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("%+v", got)
	}
	if want := strings.Replace(ask, "openai/test-chat", "test-chat", 1); u.bodies[0] != want {
		t.Errorf("sent %s", u.bodies[0])
	}
	e := r.record(got)
	call := e.Steps[0].Details[0].Calls[0]
	if call.TookMS <= 0 || e.Steps[0].Details[0].StartMS == 0 {
		t.Errorf("%+v", e)
	}
	usage := schemas.Usage{Calls: 1, InputTokens: 30, OutputTokens: 4, CachedTokens: 10}
	cost := 38e-6
	want := schemas.CallDetail{
		Purpose: "answer", Model: "openai/test-chat", Target: "openai/test-chat", Answered: "m-1", Fingerprint: "fp_1", Finish: "length", Usage: usage,
		Cost: &cost, TookMS: call.TookMS, WaitedMS: call.WaitedMS, Operation: "openai.chat.completions", Response: compacted(t, answer),
	}
	if diff := cmp.Diff(want, call); diff != "" {
		t.Error(diff)
	}
	if e.Status != schemas.RunDone || e.Chain != "model openai/test-chat" || e.KeyID != "0123" || string(e.Input) != ask ||
		string(e.Output) != `{"text":"Hi \u003cb\u003e"}` || e.Usage != usage || e.Cost != (schemas.Cost{USD: cost}) || e.Steps[0].Kind != schemas.StepGenerate {
		t.Errorf("%+v", e)
	}
	if !r.stored(e.RunID) {
		t.Error("the record is not in the store")
	}
}

func compacted(t *testing.T, text string) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAStreamIsPassedOnAndRecorded(t *testing.T) {
	t.Parallel()
	u := serveRaw(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		events(w, ": hi\n\n", chunk, chunk+finish, counted, done)
	})
	r := setup(t, u.url, nil)
	got := r.chat(streaming(ask))
	if got.body != ": hi\n\n"+chunk+chunk+finish+done || got.header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Errorf("%+v", got)
	}
	e := r.record(got)
	call := e.Steps[0].Details[0].Calls[0]
	var list []json.RawMessage
	decode(t, call.Events, &list)
	if len(list) != 3 || call.Response != nil || string(e.Output) != `{"text":"HelloHello"}` || call.Usage != (schemas.Usage{Calls: 1, InputTokens: 3, OutputTokens: 4}) {
		t.Errorf("%+v", e)
	}
	// The caller that asks for usage gets it, and all of it is recorded.
	got = r.chat(strings.TrimSuffix(streaming(ask), "}") + `,"stream_options":{"include_usage":true}}`)
	if got.body != ": hi\n\n"+chunk+chunk+finish+counted+done {
		t.Errorf("%+v", got)
	}
	decode(t, r.record(got).Steps[0].Details[0].Calls[0].Events, &list)
	if len(list) != 4 {
		t.Errorf("%d events", len(list))
	}
}

// TestTheEndWaitsForTheRecord holds the store: tokens come, the end does not; a whole answer does not come at all.
func TestTheEndWaitsForTheRecord(t *testing.T) {
	t.Parallel()
	u := serveRaw(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "text/event-stream" {
			events(w, chunk, finish, done)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`)
	})
	r := setup(t, u.url, nil)
	release := r.disk.hold()
	response, err := http.DefaultClient.Do(r.request(t.Context(), "/v1/chat/completions", streaming(ask)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	want := strings.Split(chunk+finish, "\n")
	for _, line := range want[:len(want)-1] {
		if got, err := lines.ReadString('\n'); err != nil || got != line+"\n" {
			t.Fatalf("%q, %v; want %q", got, err, line)
		}
	}
	rest := make(chan string, 1)
	go func() {
		data, _ := io.ReadAll(lines)
		rest <- string(data)
	}()
	whole := make(chan answered, 1)
	go func() { whole <- r.chat(ask) }()
	await(t, "both records to be on their way", func() bool { return u.calls() == 2 })
	select {
	case got := <-rest:
		t.Fatalf("ended with %q while the record was not durable", got)
	case got := <-whole:
		t.Fatalf("answered %+v while the record was not durable", got)
	case <-time.After(100 * time.Millisecond):
	}
	release()
	if got := <-rest; got != done {
		t.Errorf("ended with %q", got)
	}
	if got := <-whole; got.status != 200 {
		t.Errorf("%+v", got)
	}
	if !r.stored(response.Header.Get(relay.RunHeader)) {
		t.Error("the record is not in the store")
	}
}

func TestAnAnswerThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	u := serveRaw(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "text/event-stream" {
			events(w, chunk, finish, done)
			return
		}
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"secret"},"finish_reason":"stop"}]}`)
	})
	r := setup(t, u.url, nil)
	r.disk.fail(schemas.Errorf(schemas.OverBudget, "the disk is full"))
	got := r.chat(streaming(ask))
	tail, ok := strings.CutPrefix(got.body, chunk+finish+`data: {"error":`)
	if !ok || strings.Contains(tail, "[DONE]") || !strings.Contains(tail, "could not be recorded") {
		t.Errorf("%+v", got)
	}
	got = r.chat(ask)
	if got.status != 429 || strings.Contains(got.body, "secret") || !strings.Contains(got.body, "could not be recorded") {
		t.Errorf("%+v", got)
	}
	// What waits is recorded when the store works again.
	r.disk.fail(nil)
	await(t, "the record", func() bool { return r.stored("secret") })
}

func TestStreamsThatEndBadly(t *testing.T) {
	t.Parallel()
	hang := func(r *http.Request) { <-r.Context().Done() }
	for name, test := range map[string]struct {
		serve  func(w http.ResponseWriter, r *http.Request)
		passed string // on, before the error
		says   string
		status int // of an answer that never began
		code   schemas.Code
	}{
		"cut":           {func(w http.ResponseWriter, _ *http.Request) { events(w, chunk); panic(http.ErrAbortHandler) }, chunk, "broke off", 200, schemas.Unavailable},
		"cut at an end": {func(w http.ResponseWriter, _ *http.Request) { events(w, chunk) }, chunk, "broke off", 200, schemas.Unavailable},
		"an error": {func(w http.ResponseWriter, _ *http.Request) {
			events(w, chunk, `data: {"error":{"message":"Overloaded `+upstreamKey+`","type":"server_error","code":"overloaded_error"}}`+"\n\n")
		}, chunk, `"message":"Overloaded [key]"`, 200, schemas.Unavailable},
		"no JSON":     {func(w http.ResponseWriter, _ *http.Request) { events(w, chunk, "data: {\"a\n\n") }, chunk, "no JSON", 200, schemas.Unavailable},
		"other lines": {func(w http.ResponseWriter, _ *http.Request) { events(w, "hello\n\nworld\n\n") }, "hello\n\nworld\n\n", "broke off", 200, schemas.Unavailable},
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>\n\n")
		}, "", "no JSON", 503, schemas.Unavailable},
		"nothing":                {func(w http.ResponseWriter, _ *http.Request) { events(w) }, "", "broke off", 503, schemas.Unavailable},
		"only the end":           {func(w http.ResponseWriter, _ *http.Request) { events(w, done) }, "", "without a choice", 503, schemas.Unavailable},
		"a failure before":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(529) }, "", "overloaded", 503, schemas.Unavailable},
		"it ends without [DONE]": {func(w http.ResponseWriter, _ *http.Request) { events(w, chunk, finish) }, chunk + finish + done, "", 200, ""},
		"it stays open after the end": {func(w http.ResponseWriter, r *http.Request) {
			events(w, chunk, finish, done)
			hang(r)
		}, chunk + finish + done, "", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := serveRaw(t, func(_ int, w http.ResponseWriter, r *http.Request) { test.serve(w, r) })
			r := setup(t, u.url, nil)
			got := r.chat(streaming(ask))
			rest, ok := strings.CutPrefix(got.body, test.passed)
			if !ok || got.status != test.status || !strings.Contains(rest, test.says) || strings.Contains(got.body, upstreamKey) || got.err != nil {
				t.Errorf("%+v", got)
			}
			if begun := test.status == 200 && test.code != ""; begun != strings.HasPrefix(rest, `data: {"error":`) || begun && strings.Contains(rest, "[DONE]") {
				t.Errorf("ended with %q", rest)
			}
			e := r.record(got)
			want := schemas.RunDone
			if test.code != "" {
				want = schemas.RunFailed
			}
			if e.Status != want || (e.Failure == nil) != (test.code == "") || e.Failure != nil && e.Failure.Code != test.code {
				t.Errorf("%+v", e)
			}
			if data, _ := json.Marshal(e); strings.Contains(string(data), upstreamKey) {
				t.Error("the key is in the record")
			}
			for _, entry := range r.logs.All() {
				for _, field := range entry.Context {
					if text := field.String; strings.Contains(text, upstreamKey) || strings.Contains(text, "one two") || field.Interface != nil && strings.Contains(errorText(field.Interface), upstreamKey) {
						t.Errorf("the key, or what was said, is in the log: %+v", field)
					}
				}
			}
		})
	}
}

func errorText(v any) string {
	err, ok := v.(error)
	if !ok {
		return ""
	}
	return err.Error()
}

func TestACallerThatLeaves(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"a stream": streaming(ask), "a whole": ask} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived, left := make(chan struct{}), make(chan struct{})
			u := serveRaw(t, func(_ int, w http.ResponseWriter, r *http.Request) {
				if body != ask {
					events(w, chunk)
				}
				close(arrived)
				<-r.Context().Done()
				close(left)
			})
			var run atomic.Value
			p := &purse{settled: make(chan schemas.Amount, 1)}
			r := setup(t, u.url, func(r *relay.Relay) {
				r.Gate = p
				made := r.NewID
				r.NewID = func() string { id := made(); run.Store(id); return id }
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if body == ask {
				go func() { <-arrived; cancel() }()
			}
			response, err := http.DefaultClient.Do(r.request(ctx, "/v1/chat/completions", body))
			if err == nil {
				_, _ = io.CopyN(io.Discard, response.Body, 10)
				cancel()
				response.Body.Close()
			}
			<-left // the provider is told
			var e schemas.Exchange
			await(t, "the record", func() (ok bool) { e, ok = r.find(run.Load().(string)); return ok })
			if e.Status != schemas.RunCancelled || e.Failure == nil {
				t.Errorf("%+v", e)
			}
			if call := e.Steps[0].Details[0].Calls[0]; body != ask && (len(call.Events) < 10 || call.Usage.Calls != 1 || e.Cost.Unknown != 1) {
				t.Errorf("what had come is not recorded: %+v", call)
			}
			if spent := <-p.settled; spent != e.Charge.Unknown || spent != p.asks[0].Estimate().Amount || spent.Micros < 2*4096 {
				t.Errorf("of an unknown usage %+v were settled, and %+v are recorded", spent, e.Charge)
			}
		})
	}
}

// TestACallerThatNeverReads has an endless stream sent to one that takes nothing: the call ends, and others do not wait.
func TestACallerThatNeverReads(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	u := serveRaw(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n > 1 {
			events(w, chunk, finish, done)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, chunk)
		}
		close(left)
	})
	r := setup(t, u.url, func(r *relay.Relay) { r.Stall = 300 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}
	if err := r.request(t.Context(), "/v1/chat/completions", streaming(ask)).Write(conn); err != nil {
		t.Fatal(err)
	}
	await(t, "the call", func() bool { return u.calls() == 1 })
	begin := time.Now()
	if got := r.chat(streaming(ask)); got.body != chunk+finish+done || time.Since(begin) > 10*time.Second {
		t.Errorf("%+v after %s", got, time.Since(begin))
	}
	select {
	case <-left:
	case <-time.After(30 * time.Second):
		t.Fatal("the call goes on")
	}
}

func TestLimitsAreWaitedFor(t *testing.T) {
	t.Parallel()
	u := serveRaw(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		switch n {
		case 1:
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`)
		default:
			_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}`)
		}
	})
	r := setup(t, u.url, nil)
	got := r.chat(ask)
	if got.status != 429 || got.header.Get("Retry-After") != "3" || !strings.Contains(got.body, `"Rate limit reached"`) || got.header.Get("X-Should-Retry") != "" {
		t.Errorf("%+v", got)
	}
	begin := time.Now()
	if got = r.chat(ask); got.status != 200 || time.Since(begin) < 2*time.Second {
		t.Errorf("%+v after %s", got, time.Since(begin))
	}
	if call := r.record(got).Steps[0].Details[0].Calls[0]; call.WaitedMS < 2000 || call.TookMS > 1500 {
		t.Errorf("%+v", call)
	}
	if u.calls() != 2 {
		t.Errorf("%d calls: something was repeated", u.calls())
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	u := serveRaw(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	r := setup(t, u.url, nil)
	for name, test := range map[string]struct {
		body   string
		header []string
		status int
		says   string
	}{
		"no JSON":                 {"hello", nil, 400, "no valid JSON"},
		"nothing":                 {"", nil, 400, "no valid JSON"},
		"a list":                  {"[]", nil, 400, "no JSON object"},
		"UTF-16":                  {"\xff\xfe{\x00}\x00", nil, 400, "not UTF-8"},
		"Latin-1":                 {"{\"model\":\"openai/\xe9\"}", nil, 400, "not UTF-8"},
		"gzip":                    {ask, []string{"Content-Encoding", "gzip"}, 415, "encoded as"},
		"a form":                  {"model=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "application/json"},
		"another charset":         {ask, []string{"Content-Type", "application/json; charset=utf-16"}, 415, "UTF-8"},
		"no model":                {`{"messages":[]}`, nil, 400, `"param":"model"`},
		"a model that is a list":  {`{"model":[]}`, nil, 400, `"param":"model"`},
		"a model with a new line": {`{"model":"openai/a\r\nX: y"}`, nil, 400, `"param":"model"`},
		"a long model":            {`{"model":"openai/` + strings.Repeat("a", 300) + `"}`, nil, 400, `"param":"model"`},
		"two models":              {`{"model":"openai/a","Model":"openai/b"}`, nil, 400, "twice"},
		"stream as a text":        {`{"model":"openai/a","stream":"yes"}`, nil, 400, `"param":"stream"`},
		"an unknown provider":     {`{"model":"nobody/a"}`, nil, 404, "model_not_found"},
		"a chain":                 {`{"model":"docs-qa@production"}`, nil, 404, "model_not_found"},
		"a model without a name":  {`{"model":"openai/"}`, nil, 404, "model_not_found"},
		"a bad idempotency key":   {ask, []string{"Idempotency-Key", "a b"}, 400, "idempotency key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := r.chat(test.body, test.header...)
			var e struct {
				Error struct{ Message, Type string }
			}
			decode(t, []byte(got.body), &e)
			if got.status != test.status || !strings.Contains(got.body, test.says) || e.Error.Message == "" || e.Error.Type == "" {
				t.Errorf("%d %s", got.status, got.body)
			}
			if got.header.Get("X-Should-Retry") != "false" || got.header.Get("X") != "" {
				t.Errorf("%v", got.header)
			}
		})
	}
	t.Cleanup(func() {
		if u.calls() > 0 {
			t.Errorf("%d calls were made", u.calls())
		}
	})
}

// TestABodyThatIsTooLarge sends 100 MB, announced and not.
func TestABodyThatIsTooLarge(t *testing.T) {
	t.Parallel()
	r := setup(t, "http://127.0.0.1:1/v1", nil)
	for name, length := range map[string]int64{"announced": 100 << 20, "not announced": -1} {
		body := io.MultiReader(strings.NewReader(`{"model":"openai/a","messages":"`), io.LimitReader(&filler{}, 100<<20))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/chat/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = length
		response, err := http.DefaultClient.Do(request)
		if err != nil { // the connection may close before all is sent
			if !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		data, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(data), "request_too_large") {
			t.Errorf("%s: %d %s", name, response.StatusCode, data)
		}
	}
}

type filler struct{}

func (filler) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestProviderFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   int
		says   string
		retry  string // X-Should-Retry
		code   schemas.Code
	}{
		"a bad request":   {400, `{"error":{"message":"bad top_p","type":"invalid_request_error","param":"top_p","code":null}}`, 400, `"param":"top_p"`, "false", schemas.Invalid},
		"a key of ours":   {401, `{"error":{"message":"Incorrect API key provided: sk-te...cdef"}}`, 503, "an operator must mend that", "", schemas.Unavailable},
		"no model":        {404, `{"error":{"message":"The model does not exist","type":"invalid_request_error","code":"model_not_found"}}`, 404, "model_not_found", "false", schemas.NotFound},
		"quota":           {429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}`, 429, "insufficient_quota", "false", schemas.OverBudget},
		"overload":        {529, ``, 503, "overloaded", "", schemas.Unavailable},
		"a page":          {502, `<html>` + upstreamKey, 503, "overloaded or failing", "", schemas.Unavailable},
		"a redirection":   {307, ``, 400, "redirects", "false", schemas.Invalid},
		"a page with 200": {200, `<html>`, 503, "no JSON", "", schemas.Unavailable},
		"an error in 200": {200, `{"error":{"message":"slow down","code":429}}`, 429, "slow down", "", schemas.RateLimited},
		"too late":        {504, ``, 504, "did not answer in time", "", schemas.Deadline},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := serveRaw(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://127.0.0.1:1/")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			r := setup(t, u.url, nil)
			got := r.chat(ask)
			if got.status != test.want || !strings.Contains(got.body, test.says) || got.header.Get("X-Should-Retry") != test.retry || strings.Contains(got.body, "sk-te") {
				t.Errorf("%+v", got)
			}
			e := r.record(got)
			if e.Status != schemas.RunFailed || e.Failure.Code != test.code || e.Usage.Calls != 0 || e.Cost != (schemas.Cost{}) {
				t.Errorf("%+v", e)
			}
			if u.calls() != 1 {
				t.Errorf("%d calls", u.calls())
			}
		})
	}
}

// purse is a gate that counts.
type purse struct {
	closed  error
	admits  atomic.Int32
	settled chan schemas.Amount
	asks    []relay.Ask
}

func (p *purse) May(_ schemas.APIKey, name string) bool { return name != "openai/forbidden" }

func (p *purse) Admit(_ context.Context, ask relay.Ask) (relay.Permit, error) {
	p.admits.Add(1)
	if ask.Key.ID != "0123" || !strings.HasPrefix(ask.Model, "openai/") || ask.Start.IsZero() {
		return nil, errors.New("admits the wrong one")
	}
	if p.closed != nil {
		return nil, p.closed
	}
	p.asks = append(p.asks, ask)
	return leave{p}, nil
}

// leave is the permit of a purse.
type leave struct{ *purse }

func (leave) Charge() schemas.Charge {
	return schemas.Charge{Lease: "g/1", Subjects: []string{"tenant"}}
}

func (l leave) Settle(spent schemas.Amount) { l.settled <- spent }

func (l leave) Follow(string, time.Time) { l.settled <- schemas.Amount{Micros: -1} }

func TestGate(t *testing.T) {
	t.Parallel()
	server := modeltest.NewServer(t, modeltest.Options{})
	p := &purse{settled: make(chan schemas.Amount, 9)}
	r := setup(t, server.URL, func(r *relay.Relay) { r.Gate = p })
	if got := r.chat(ask); got.status != 200 || (<-p.settled) != (schemas.Amount{Micros: 10, Tokens: 6}) || r.record(got).Charge.Lease != "g/1" {
		t.Errorf("%+v", got)
	}
	if got := r.chat(strings.Replace(ask, "test-chat", "gone", 1)); got.status != 404 || (<-p.settled) != (schemas.Amount{}) {
		t.Errorf("%+v", got)
	}
	if got := r.chat(strings.Replace(ask, "test-chat", "forbidden", 1)); got.status != 404 || p.admits.Load() != 2 {
		t.Errorf("%+v", got)
	}
	p.closed = schemas.Errorf(schemas.OverBudget, "the budget of the key is used up")
	if got := r.chat(ask); got.status != 429 || !strings.Contains(got.body, `"insufficient_quota"`) || got.header.Get("X-Should-Retry") != "false" {
		t.Errorf("%+v", got)
	}
	// A call that was not admitted leaves its idempotency key free.
	for range 2 {
		if got := r.chat(ask, "Idempotency-Key", "k"); got.status != 429 || !strings.Contains(got.body, "budget") {
			t.Errorf("%+v", got)
		}
	}
	p.closed = nil
	if got := r.chat(ask, "Idempotency-Key", "k"); got.status != 200 || r.record(got).Steps[0].Details[0].Calls[0].Ambiguous {
		t.Errorf("%+v", got)
	}
}

// echo is a chain that repeats what is said to it.
type echo struct{ asked chan relay.ChainCall }

func (e echo) Names(context.Context, schemas.APIKey) ([]string, error) {
	return []string{"echo@staging"}, nil
}

func (e echo) Run(_ context.Context, ask relay.ChainCall) (model.Response, error) {
	if ask.Name != "echo@staging" {
		return model.Response{}, schemas.Errorf(schemas.NotFound, "there is no chain %q", ask.Name)
	}
	e.asked <- ask
	text := ask.Request.Messages[0].Text
	if ask.Emit != nil {
		for _, piece := range modeltest.Pieces(text) {
			ask.Emit(model.Delta{Text: piece})
		}
	}
	return model.Response{Text: text, Finish: model.FinishStop}, nil
}

func TestChainsAnswerAsModels(t *testing.T) {
	t.Parallel()
	e := echo{make(chan relay.ChainCall, 9)}
	r := setup(t, "http://127.0.0.1:1/v1", func(r *relay.Relay) { r.Chains = e })
	body := strings.NewReplacer("openai/test-chat", "echo@staging", `,"odd":{"a":[1]}`, "").Replace(ask)
	got := r.chat(body)
	asked := <-e.asked
	if got.status != 200 || !strings.Contains(got.body, `"content":"one two"`) || asked.Run != got.header.Get(relay.RunHeader) || asked.Claimed {
		t.Errorf("%+v, %+v", got, asked)
	}
	got = r.chat(streaming(body), "Idempotency-Key", "mine")
	if asked = <-e.asked; asked.Run != "mine" || !asked.Claimed || !strings.HasSuffix(got.body, done) || strings.Count(got.body, "data: ") != 5 {
		t.Errorf("%+v, %+v", got, asked)
	}
	if got = r.chat(strings.Replace(body, "echo@staging", "gone@x", 1)); got.status != 404 || !strings.Contains(got.body, "model_not_found") {
		t.Errorf("%+v", got)
	}
	response, err := http.Get(r.url + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(response.Body)
	const want = `{"data":[{"id":"echo@staging","object":"model","created":0,"owned_by":"tenuto"},{"id":"far/test-chat","object":"model","created":0,"owned_by":"far"},` +
		`{"id":"local/lexical","object":"model","created":0,"owned_by":"local"},{"id":"openai/test-chat","object":"model","created":0,"owned_by":"openai"}],"object":"list"}`
	if diff := cmp.Diff(want, strings.TrimSpace(string(data))); diff != "" {
		t.Error(diff)
	}
}

func TestLongRequestsAndAnswersStandBesideTheRecord(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300<<10)
	u := serveRaw(t, func(_ int, w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"`+long+`"},"finish_reason":"stop"}]}`)
	})
	r := setup(t, u.url, nil)
	body := strings.Replace(ask, "one two", long, 1)
	got := r.chat(body, "Idempotency-Key", "long")
	e := r.record(got)
	call := e.Steps[0].Details[0].Calls[0]
	var input, response schemas.Ref
	decode(t, e.Input, &input)
	decode(t, call.Response, &response)
	if input.Bytes != int64(len(body)) || response.Bytes != int64(len(got.body)) || !r.stored(long) {
		t.Errorf("%s, %s", e.Input, call.Response)
	}
	if again := r.chat(body, "Idempotency-Key", "long"); again.body != got.body || u.calls() != 1 {
		t.Errorf("%d calls, %d bytes", u.calls(), len(again.body))
	}
}

// TestAnAnswerThatLooksLikeAReference is told again as it was, and nothing is read for it.
func TestAnAnswerThatLooksLikeAReference(t *testing.T) {
	t.Parallel()
	secret := []byte("secret of another tenant")
	ref := schemas.Ref{Key: schemas.BlobKey("other", schemas.Hash(secret)), SHA256: schemas.Hash(secret), Bytes: int64(len(secret))}
	answer, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	u := serveRaw(t, func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) })
	r := setup(t, u.url, nil)
	if err := r.store.Put(t.Context(), ref.Key, secret); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := r.chat(ask, "Idempotency-Key", "k"); got.status != 200 || got.body != string(answer) {
			t.Errorf("%+v", got)
		}
	}
}
