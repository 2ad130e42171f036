package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

const key = "sk-test-0123456789abcdef"

// serve starts a server and a client of it.
func serve(t *testing.T, o transport.Options, handler http.HandlerFunc) *transport.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o.Base, o.Key = server.URL+"/v1/", key
	c, err := transport.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reply answers every call with this status and body.
func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

var call = transport.Call{Path: "/chat", Body: map[string]int{"a": 1}, Model: "m", Schema: true}

func TestPost(t *testing.T) {
	t.Parallel()
	var rates []transport.Rates
	c := serve(t, transport.Options{
		Header: http.Header{"x-api-key": {key}}, OnRates: func(r transport.Rates) { rates = append(rates, r) },
	}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path != "/v1/chat" || r.Header.Get("X-Api-Key") != key || r.Header.Get("Beta") != "on" || string(body) != `{"a":1}` {
			t.Errorf("%s %v %s", r.URL, r.Header, body)
		}
		w.Header().Set("X-Ratelimit-Remaining-Requests", "5")
		_, _ = io.WriteString(w, `{"text":"the word \"error\" in a text","error":null}`)
	})
	with := call
	with.Header = http.Header{"Beta": {"on"}}
	id := ""
	with.Answered = func(h http.Header) { id = h.Get("X-Ratelimit-Remaining-Requests") }
	var got struct{ Text string }
	if err := c.Post(t.Context(), with, &got); err != nil || got.Text != `the word "error" in a text` || id != "5" {
		t.Errorf("%+v, %v", got, err)
	}
	if len(rates) != 1 || rates[0].Requests.Remaining != 5 || rates[0].Model != "m" {
		t.Errorf("rates %+v", rates)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	said := func(code, message string) string {
		return fmt.Sprintf(`{"error":{"message":%q,"type":"x","param":null,"code":%q}}`, message, code)
	}
	for name, test := range map[string]struct {
		status int
		body   string
		code   schemas.Code
		is     error
	}{
		"quota":                  {429, said("insufficient_quota", ""), schemas.OverBudget, nil},
		"pace":                   {429, said("rate_limit_exceeded", "too many tokens per minute"), schemas.RateLimited, nil},
		"a minute's tokens":      {429, said("rate_limit_exceeded", "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 50000."), schemas.Invalid, model.ErrContextTooLong},
		"credit":                 {402, "", schemas.OverBudget, nil},
		"key":                    {401, said("invalid_api_key", "Incorrect API key: "+key), schemas.Unauthorized, nil},
		"moderation":             {403, said("", "flagged by moderation"), schemas.Refused, nil},
		"filter":                 {400, said("content_filter", "no"), schemas.Refused, nil},
		"usage policy":           {400, said("invalid_prompt", "flagged as violating our usage policy"), schemas.Refused, nil},
		"model":                  {404, "", schemas.NotFound, nil},
		"model in a 400":         {400, said("model_not_found", "no such"), schemas.NotFound, nil},
		"timeout":                {408, "", schemas.Deadline, nil},
		"Cloudflare's":           {524, "", schemas.Deadline, nil},
		"overload":               {529, "", schemas.Unavailable, nil},
		"HTML":                   {502, "<html>" + key, schemas.Unavailable, nil},
		"not implemented":        {501, "", schemas.Invalid, nil},
		"long":                   {400, said("context_length_exceeded", "maximum context"), schemas.Invalid, model.ErrContextTooLong},
		"large":                  {413, "", schemas.Invalid, model.ErrContextTooLong},
		"Anthropic's long":       {400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 5 maximum"}}`, schemas.Invalid, model.ErrContextTooLong},
		"schema":                 {400, said("", "'response_format' of type json_schema is not supported"), schemas.Invalid, model.ErrSchemaUnsupported},
		"redirect":               {307, "", schemas.Invalid, nil},
		"200 with a code":        {200, `{"error":{"code":429,"message":"slow"}}`, schemas.RateLimited, nil},
		"200 with a name":        {200, `{"error":{"code":"overloaded_error","message":"slow"}}`, schemas.Unavailable, nil},
		"200 with a type":        {200, `{"type":"error","error":{"type":"authentication_error","message":""}}`, schemas.Unauthorized, nil},
		"200 with words":         {200, `{"error":"boom"}`, schemas.Unavailable, nil},
		"200 of vLLM":            {200, `{"object":"error","message":"bad","code":400}`, schemas.Invalid, nil},
		"200 that is no JSON":    {200, "<html>", schemas.Unavailable, nil},
		"200 with odd metadata":  {200, `{"error":{"message":"a","metadata":[1],"code":503}}`, schemas.Unavailable, nil},
		"200 with a list inside": {200, `[{"error":{}}]`, schemas.Unavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			c := serve(t, transport.Options{}, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				w.Header().Set("Location", "/elsewhere")
				reply(test.status, test.body)(w, r)
			})
			var got struct{}
			err := c.Post(t.Context(), call, &got)
			if schemas.CodeOf(err) != test.code || (test.is != nil) != errors.Is(err, test.is) {
				t.Errorf("%v, want code %s and %v", err, test.code, test.is)
			}
			if strings.Contains(fmt.Sprintf("%v %#v", err, err), key) || calls.Load() != 1 {
				t.Errorf("%d calls; %v", calls.Load(), err)
			}
		})
	}
}

func TestAKeyIsNotCutIntoView(t *testing.T) {
	t.Parallel()
	for pad := range 420 {
		c := serve(t, transport.Options{}, reply(400, fmt.Sprintf(`{"error":"%s %s"}`, strings.Repeat("x", pad), key)))
		if pad%20 != 0 && (pad < 370 || pad > 405) {
			continue
		}
		if err := c.Post(t.Context(), call, nil); strings.Contains(err.Error(), key[:9]) {
			t.Errorf("%d: %v", pad, err)
		}
	}
}

func TestDialect(t *testing.T) {
	t.Parallel()
	c := serve(t, transport.Options{Dialect: transport.Dialect{
		Problem: func(body []byte) (transport.Problem, bool) {
			return transport.Problem{Message: string(body), RetryAfter: 34 * time.Second}, true
		},
		Status: func(status int, p transport.Problem) int {
			if status == 400 && p.Has("slow down") {
				return 429
			}
			return status
		},
		Quota: func(transport.Problem) bool { return false },
	}}, reply(400, "slow down, you exceeded your current quota"))
	var coded *schemas.Error
	if err := c.Post(t.Context(), call, nil); !errors.As(err, &coded) || coded.Code != schemas.RateLimited || coded.RetryAfter != 34*time.Second {
		t.Errorf("%#v", err)
	}
}

func TestAnswersThatAreTooLong(t *testing.T) {
	t.Parallel()
	mega := bytes.Repeat([]byte(" "), 1<<20)
	c := serve(t, transport.Options{}, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write(mega)
		}
	})
	if err := c.Post(t.Context(), call, nil); schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Errorf("%v", err)
	}
}

// streaming sends the pieces, each by itself, and then does what end says.
func streaming(end func(*http.Request), pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, piece := range pieces {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
		}
		if end != nil {
			end(r)
		}
	}
}

// read ranges over the events of one call.
func read(ctx context.Context, c *transport.Client, each func(string)) error {
	for e, err := range c.Events(ctx, call) {
		if err != nil {
			return err
		}
		each(string(e.Data))
	}
	return nil
}

func TestStreamsThatEndBadly(t *testing.T) {
	t.Parallel()
	hang := func(r *http.Request) { <-r.Context().Done() }
	drop := func(*http.Request) { panic(http.ErrAbortHandler) }
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		code    schemas.Code
	}{
		"dropped": {streaming(drop, "data: a\n\n"), schemas.Unavailable},
		"hanging": {streaming(hang, "data: a\n\n"), schemas.Deadline},
		"failed":  {reply(503, ""), schemas.Unavailable},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := read(ctx, serve(t, transport.Options{}, test.handler), func(string) {})
		cancel()
		if schemas.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %s", name, err, test.code)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := read(ctx, serve(t, transport.Options{}, streaming(hang, "data: a\n\n")), func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled in the middle: %v", err)
	}
}

func TestAServerThatDoesNotStream(t *testing.T) {
	t.Parallel()
	c := serve(t, transport.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		reply(200, `{"a":1}`)(w, r)
	})
	for e, err := range c.Events(t.Context(), call) {
		if err != nil || !e.Whole || string(e.Data) != `{"a":1}` {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestAConnectionIsUsedAgainAfterAStream(t *testing.T) {
	t.Parallel()
	c := serve(t, transport.Options{}, streaming(nil, "data: a\n\n", "data: [DONE]\n\n"))
	reused := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if info.Reused {
			reused++
		}
	}})
	for range 5 {
		for e, err := range c.Events(ctx, call) {
			if err != nil {
				t.Fatal(err)
			}
			if string(e.Data) == "[DONE]" {
				break
			}
		}
	}
	if reused != 4 {
		t.Errorf("%d of 4 calls found a connection", reused)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]transport.Options{
		"no scheme": {Base: "127.0.0.1:8080/v1"}, "other scheme": {Base: "ftp://example.org"}, "nothing": {},
		"key in the URL": {Base: "https://user:" + key + "@example.org/v1"}, "query": {Base: "https://example.org/v1?key=" + key},
		"key with a line feed": {Base: "https://example.org", Key: key + "\n"},
	} {
		if _, err := transport.New(o); schemas.CodeOf(err) != schemas.Invalid || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadProblem(f *testing.F) {
	f.Add([]byte(`{"error":{"message":"a","code":429}}`))
	f.Add([]byte(`{"detail":[1]}`))
	f.Add([]byte(`<html> sk-test-0123456789abcdef`))
	c, err := transport.New(transport.Options{Base: "http://127.0.0.1:1", Key: key})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var coded *schemas.Error
		if err := c.Failure(call, body); !errors.As(err, &coded) || coded.Message == "" || strings.Contains(err.Error(), key) {
			t.Fatalf("%+v", err)
		}
	})
}
