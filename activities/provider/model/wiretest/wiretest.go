// Package wiretest replays recorded traffic of model servers to their drivers in tests.
package wiretest

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Recording is traffic of a real server, from the test material.
type Recording struct {
	Interactions []struct {
		Request struct {
			URL  string
			Body json.RawMessage
		}
		Response Response
	}
}

// Responses returns the responses in order.
func (r Recording) Responses() []Response {
	var all []Response
	for _, i := range r.Interactions {
		all = append(all, i.Response)
	}
	return all
}

// Response is what a server answered.
type Response struct {
	Status  int
	Headers map[string]string
	Body    json.RawMessage
	Text    string `json:"body_text"` // in place of Body, where it is no JSON
}

// Bytes is the body.
func (r Response) Bytes() []byte {
	if r.Text != "" {
		return []byte(r.Text)
	}
	return r.Body
}

// Stream is a successful response of server-sent events.
func Stream(events string) Response {
	return Response{Status: 200, Headers: map[string]string{"content-type": "text/event-stream"}, Text: events}
}

// Whole is a response of JSON.
func Whole(status int, body string) Response {
	return Response{Status: status, Headers: map[string]string{"content-type": "application/json"}, Body: json.RawMessage(body)}
}

// Read returns a file of the test material's folder wire. The test skips where there is none.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	root := cmp.Or(os.Getenv("TENUTO_TESTDATA"), filepath.Join("..", "..", "..", "..", "..", "shared", "data")) //nolint:forbidigo // only tests come here
	data, err := os.ReadFile(filepath.Join(root, "wire", filepath.FromSlash(name)))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no recorded traffic under %s; set TENUTO_TESTDATA", root)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Load reads a recording of the test material.
func Load(t testing.TB, name string) Recording {
	t.Helper()
	var r Recording
	Decode(t, Read(t, name), &r)
	return r
}

// Chunks reads a file of one JSON event a line as the stream that it was.
func Chunks(t testing.TB, name string) Response {
	t.Helper()
	var stream strings.Builder
	for line := range strings.Lines(string(Read(t, name))) {
		stream.WriteString("data: " + strings.TrimSpace(line) + "\n\n")
	}
	return Stream(stream.String())
}

// Decode reads JSON into v.
func Decode(t testing.TB, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}
