package transport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// frames decodes r to its end.
func frames(r io.Reader) (raw string, got []string, err error) {
	for f, err := range transport.Frames(r) {
		if err != nil {
			return raw, got, err
		}
		raw += string(f.Bytes)
		if len(f.Data) > 0 {
			got = append(got, string(f.Data))
		}
	}
	return raw, got, nil
}

func TestFramesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stream string
		raw    int // bytes that are passed on
		want   []string
	}{
		"nothing":           {"", 0, nil},
		"two":               {"data: a\n\nevent: x\ndata: b\n\n", 27, []string{"a", "b"}},
		"carriage returns":  {"data: a\r\n\r\ndata: b\n\r\n", 21, []string{"a", "b"}},
		"a comment":         {": wait\n\ndata: a\n\n", 17, []string{"a"}},
		"several lines":     {"id: 1\ndata: a\ndata:b\nretry: 5\n\n", 31, []string{"a\nb"}},
		"a byte order mark": {"\ufeffdata: a\n\n", 12, []string{"a"}},
		"cut":               {"data: a\n\ndata: b\n", 9, []string{"a"}},
		"cut in a line":     {"data: a\n\ndata: b", 9, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := range len(test.stream) + 1 {
				raw, got, err := frames(split([]byte(test.stream), at))
				if diff := cmp.Diff(test.want, got); diff != "" || err != nil || raw != test.stream[:test.raw] {
					t.Fatalf("split at %d: %v, %q\n%s", at, err, raw, diff)
				}
			}
		})
	}
}

func TestFramesSayWhatWaits(t *testing.T) {
	t.Parallel()
	var more []bool
	for f, err := range transport.Frames(strings.NewReader("data: a\n\ndata: b\r\n\r\ndata: c\n\ndata:")) {
		if err != nil {
			t.Fatal(err)
		}
		more = append(more, f.More)
	}
	if diff := cmp.Diff([]bool{true, true, false}, more); diff != "" {
		t.Error(diff)
	}
}

func TestFramesAreBounded(t *testing.T) {
	t.Parallel()
	_, _, err := frames(io.MultiReader(strings.NewReader("data: "), &endless{'x'}))
	if schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Errorf("a line: %v", err)
	}
	_, _, err = frames(io.MultiReader(strings.NewReader("data: a\n"), &endless{'\r'}))
	if schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Errorf("carriage returns: %v", err)
	}
}

type endless struct{ of byte }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.of
	}
	return len(p), nil
}

// FuzzFrames compares with Events, for streams whose lines end with line feeds.
func FuzzFrames(f *testing.F) {
	f.Add("data: a\n\n: c\n\nevent: x\ndata: b\ndata:\n\n")
	f.Add("\ufeffdata\n\ndata\ndata\n\nid: 1\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		stream = strings.ReplaceAll(stream, "\r", "")
		want, _ := events(strings.NewReader(stream))
		raw, got, err := frames(iotest.HalfReader(strings.NewReader(stream)))
		if err != nil || !strings.HasPrefix(stream, raw) {
			t.Fatalf("%q: %q, %v", stream, raw, err)
		}
		n := 0
		for _, e := range want {
			if e.Data == "" { // an event all the same, but one without anything to read
				continue
			}
			if n >= len(got) || got[n] != e.Data {
				t.Fatalf("%q: %q, want %q", stream, got, want)
			}
			n++
		}
		if n != len(got) {
			t.Fatalf("%q: %q, want %q", stream, got, want)
		}
	})
}

// reader ends at an event that says so, and hides one that says so.
type reader struct{ heard []string }

func (r *reader) Whole(body []byte) error {
	r.heard = append(r.heard, string(body))
	return nil
}

func (r *reader) Event(data []byte) (last, extra bool, err error) {
	r.heard = append(r.heard, string(data))
	return string(data) == "[DONE]" || string(data) == `"last"`, string(data) == `"extra"`, nil
}

func (r *reader) End() ([]byte, error) {
	if r.heard[len(r.heard)-1] == `"enough"` {
		return []byte("data: bye\n\n"), nil
	}
	return nil, schemas.Errorf(schemas.Unavailable, "cut")
}

// forward makes one call and returns what was passed on.
func forward(ctx context.Context, c *transport.Client, streamed bool) (string, *reader, error) {
	var out bytes.Buffer
	r := &reader{}
	err := c.Forward(ctx, transport.Call{Path: "/x", Raw: []byte(`{"a": 1}`), Model: "m"}, streamed, r, func(p model.Piece) error {
		out.Write(p.Bytes)
		return nil
	})
	return out.String(), r, err
}

func TestForward(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stream bool
		kind   string
		answer string
		want   string
		heard  []string
		code   schemas.Code // of the error; empty for none
	}{
		"a whole":                    {false, "application/json", ` {"b" : 2} `, ` {"b" : 2} `, []string{` {"b" : 2} `}, ""},
		"a page":                     {false, "text/html", "<html>", "", nil, schemas.Unavailable},
		"a failure with 200":         {false, "application/json", `{"error":{"code":429}}`, "", nil, schemas.RateLimited},
		"a stream":                   {true, "text/event-stream", ": hi\n\ndata: 1\n\ndata: \"extra\"\n\ndata: [DONE]\n\ndata: 2\n\n", ": hi\n\ndata: 1\n\ndata: [DONE]\n\n", []string{"1", `"extra"`, "[DONE]"}, ""},
		"a stream that just ends":    {true, "text/event-stream", "data: \"enough\"\n\n", "data: \"enough\"\n\ndata: bye\n\n", []string{`"enough"`}, ""},
		"a stream that is cut":       {true, "text/event-stream", "data: 1\n\ndata: 2", "data: 1\n\n", []string{"1"}, schemas.Unavailable},
		"a failure in a stream":      {true, "text/event-stream", "data: 1\n\ndata: {\"error\":{\"code\":\"overloaded_error\"}}\n\n", "data: 1\n\n", []string{"1"}, schemas.Unavailable},
		"a page in place of one":     {true, "text/html; charset=utf-8", "<html>\n\n<p>\n\n", "", nil, schemas.Unavailable},
		"a whole in place of one":    {true, "application/json", `{"b":2}`, "", nil, schemas.Unavailable},
		"a failure in place of one":  {true, "application/json", `{"error":{"code":401,"message":"no"}}`, "", nil, schemas.Unauthorized},
		"a stream without its type":  {true, "", "data: 1\n\ndata: [DONE]\n\n", "data: 1\n\ndata: [DONE]\n\n", []string{"1", "[DONE]"}, ""},
		"a stream in place of whole": {false, "text/event-stream", "data: 1\n\n", "", nil, schemas.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, transport.Options{}, func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); string(body) != `{"a": 1}` {
					t.Errorf("sent %s", body)
				}
				w.Header()["Content-Type"] = nil
				if test.kind != "" {
					w.Header().Set("Content-Type", test.kind)
				}
				_, _ = io.WriteString(w, test.answer)
			})
			got, r, err := forward(t.Context(), c, test.stream)
			if diff := cmp.Diff(test.heard, r.heard); diff != "" || got != test.want {
				t.Errorf("passed on %q\n%s", got, diff)
			}
			if (test.code == "") != (err == nil) || err != nil && schemas.CodeOf(err) != test.code {
				t.Errorf("error %v, want %s", err, test.code)
			}
		})
	}
}

func TestReportsHaveNoKey(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status  int
		body    string
		want    string
		waiting time.Duration
	}{
		"declined":      {429, `{"error":{"message":"slow down","code":"rate_limit_exceeded","extra":[1]}}`, `{"error":{"message":"slow down","code":"rate_limit_exceeded","extra":[1]}}`, 7 * time.Second},
		"a key":         {401, `{"error":{"message":"Incorrect API key: ` + key + `"}}`, `{"error":{"message":"Incorrect API key: [key]"}}`, 0},
		"a header":      {401, `{"error":{"message":"got Bearer abc"}}`, "", 0}, // what is taken out takes the end of the JSON with it
		"a page":        {502, `<html>`, "", 7 * time.Second},
		"with 200":      {200, `{"error":{"code":503,"message":"` + key + `"}}`, `{"error":{"code":503,"message":"[key]"}}`, 0},
		"no report":     {500, `{}`, `{}`, 7 * time.Second},
		"a redirection": {307, ``, "", 0},
	} {
		c := serve(t, transport.Options{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
		})
		_, _, err := forward(t.Context(), c, false)
		report, ok := errors.AsType[*model.ReportedError](err)
		if !ok || report.Status != test.status || string(report.Body) != test.want {
			t.Errorf("%s: %+v", name, report)
		}
		coded, _ := errors.AsType[*schemas.Error](err)
		if coded.RetryAfter != test.waiting || strings.Contains(err.Error(), key) {
			t.Errorf("%s: waits %s: %v", name, coded.RetryAfter, err)
		}
	}
}

func TestForwardEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	c := serve(t, transport.Options{}, streaming(func(r *http.Request) {
		<-r.Context().Done()
		close(left)
	}, "data: 1\n\n"))
	gone := errors.New("gone")
	err := c.Forward(t.Context(), transport.Call{Path: "/x", Raw: []byte("{}")}, true, &reader{}, func(model.Piece) error { return gone })
	if !errors.Is(err, gone) {
		t.Error(err)
	}
	<-left
}

func TestStreamsThatAreTooLong(t *testing.T) {
	t.Parallel()
	event := []byte("data: \"" + strings.Repeat("x", 1<<20) + "\"\n\n")
	c := serve(t, transport.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			_, _ = w.Write(event)
		}
	})
	err := c.Forward(t.Context(), transport.Call{Path: "/x", Raw: []byte("{}")}, true, &reader{}, func(model.Piece) error { return nil })
	if schemas.CodeOf(err) != schemas.MalformedOutput {
		t.Error(err)
	}
}
