package wiretest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Tape answers the n-th call with the n-th response, without a network, and keeps what was sent.
type Tape struct {
	Responses []Response

	at   int // where the first read of a body ends at the latest; 0 is nowhere
	mu   sync.Mutex
	sent []Sent
}

// Sent is a request.
type Sent struct {
	Path   string // with the query
	Header http.Header
	Body   any // decoded JSON
}

// Client returns a client that is answered by the tape.
func (t *Tape) Client() *http.Client { return &http.Client{Transport: t} }

// Sent returns the requests so far.
func (t *Tape) Sent() []Sent {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Sent(nil), t.sent...)
}

// RoundTrip answers a request.
func (t *Tape) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sent := Sent{Path: r.URL.RequestURI(), Header: r.Header}
	if err := json.NewDecoder(r.Body).Decode(&sent.Body); err != nil {
		return nil, err
	}
	t.sent = append(t.sent, sent)
	if len(t.sent) > len(t.Responses) {
		return nil, fmt.Errorf("call %d of a tape of %d", len(t.sent), len(t.Responses))
	}
	return t.Responses[len(t.sent)-1].http(t.at), r.Context().Err()
}

func (r Response) http(at int) *http.Response {
	header := http.Header{}
	for name, value := range r.Headers {
		header.Set(name, value)
	}
	return &http.Response{StatusCode: r.Status, Header: header, Body: io.NopCloser(parts(r.Bytes(), at))}
}

// Generate makes one call with a client and an emit.
type Generate func(*http.Client, model.Emit) (model.Response, error)

// Splits plays a stream to a driver and returns the response. It must be the same, and be emitted piece by piece, wherever the stream is split. The
// events are read for a split at each byte, the response only for some of them. What is cut off must be unavailable, unless nothing
// that counts is missing.
func Splits(t *testing.T, stream Response, generate Generate) model.Response {
	t.Helper()
	want, emitted, err := play(&Tape{Responses: []Response{stream}}, generate)
	if err != nil || emitted != want.Text {
		t.Fatalf("%+v, %v; emitted %q", want, err, emitted)
	}
	whole := events(t, []byte(stream.Text), 0)
	for at := range len(stream.Text) {
		if !slices.Equal(whole, events(t, []byte(stream.Text), at)) {
			t.Fatalf("split at byte %d: other events", at)
		}
	}
	for at := 0; at < len(stream.Text); at += 1 + len(stream.Text)/256 {
		got, emitted, err := play(&Tape{Responses: []Response{stream}, at: at}, generate)
		if err != nil || !cmp.Equal(want, got) || emitted != want.Text {
			t.Fatalf("split at byte %d: %v\n%s\nemitted %q", at, err, cmp.Diff(want, got), emitted)
		}
		cut := stream
		cut.Text = stream.Text[:at]
		got, emitted, err = play(&Tape{Responses: []Response{cut}}, generate)
		if err == nil && !cmp.Equal(want, got) || err != nil && schemas.CodeOf(err) != schemas.Unavailable || !strings.HasPrefix(want.Text, emitted) {
			t.Fatalf("cut at byte %d: %+v, %v; emitted %q", at, got, err, emitted)
		}
	}
	return want
}

// events reads a stream that comes in two parts.
func events(t *testing.T, data []byte, at int) []string {
	t.Helper()
	var all []string
	for e, err := range transport.Events(parts(data, at)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Type+" "+string(e.Data))
	}
	return all
}

func parts(data []byte, at int) io.Reader {
	return io.MultiReader(bytes.NewReader(data[:at]), bytes.NewReader(data[at:]))
}

func play(tape *Tape, generate Generate) (model.Response, string, error) {
	var emitted strings.Builder
	resp, err := generate(tape.Client(), func(d model.Delta) { emitted.WriteString(d.Text) })
	return resp, emitted.String(), err
}
