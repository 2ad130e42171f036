package client

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// sameShape reads v, a shape of the gateway's, as a shape of the client's, and requires that nothing is left over or missing.
func sameShape[Mine any](t *testing.T, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	var mine Mine
	if err := decoder.Decode(&mine); err != nil {
		t.Errorf("%T: %v", v, err)
		return
	}
	back, err := json.Marshal(mine)
	if err != nil {
		t.Fatal(err)
	}
	var theirs, ours any
	if json.Unmarshal(data, &theirs) != nil || json.Unmarshal(back, &ours) != nil {
		t.Fatalf("%s, %s", data, back)
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("%T:\n%s", v, diff)
	}
}

// TestShapes holds the client's own shapes to the gateway's.
func TestShapes(t *testing.T) {
	t.Parallel()
	score, now := 1.5, time.Unix(1, 0).UTC()
	sameShape[outcome](t, rest.RunResult{
		RunID: "r", Status: rest.RunDone, Output: json.RawMessage(`{"a":1}`), Usage: schemas.Usage{Calls: 1}, Cost: schemas.Cost{USD: 2}, Release: "h", Label: "l",
	})
	sameShape[rest.NewChainRun](t, newRun{Release: "h", Input: json.RawMessage(`{}`), Mode: "stream", Metadata: map[string]string{"a": "b"}})
	sameShape[rest.NewFeedback](t, newFeedback{Name: "n", Score: &score, Label: "l", Comment: "c", User: "u", HappenedAt: &now})
}

// readAll reads the events of a text.
func readAll(from io.Reader) (events []rawEvent, err error) {
	r := newEventReader(from)
	for {
		e, err := r.next(func() {})
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<17)
	for name, test := range map[string]struct {
		text string
		want []rawEvent
	}{
		"one":             {"event: delta\nid: 1-a\ndata: {}\n\n", []rawEvent{{"delta", "1-a", []byte("{}")}}},
		"carriage return": {"event: delta\r\ndata: {}\r\n\r\n", []rawEvent{{"delta", "", []byte("{}")}}},
		"no space":        {"event:delta\ndata:{}\n\n", []rawEvent{{"delta", "", []byte("{}")}}},
		"two lines":       {"data: a\ndata: b\n\n", []rawEvent{{"", "", []byte("a\nb")}}},
		"comments":        {":\n\n: x\ndata: a\n\n", []rawEvent{{"", "", []byte("a")}}},
		"empty data":      {"data\n\n", []rawEvent{{"", "", []byte{}}}},
		"no data":         {"event: x\n\ndata: a\n\n", []rawEvent{{"", "", []byte("a")}}},
		"unknown field":   {"retry: 5\ndata: a\n\n", []rawEvent{{"", "", []byte("a")}}},
		"cut":             {"data: a\n\nevent: done\ndata: b\n", []rawEvent{{"", "", []byte("a")}}},
		"long":            {"data: " + long + "\n\n", []rawEvent{{"", "", []byte(long)}}},
		"nothing":         {"", nil},
	} {
		got, err := readAll(strings.NewReader(test.text))
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(rawEvent{})); diff != "" || !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	_, err := readAll(io.LimitReader(endless{}, 2*eventMost))
	if schemas.CodeOf(err) != schemas.Unavailable || !strings.Contains(schemas.SafeMessage(err), "more than") {
		t.Errorf("an event without end: %v", err)
	}
}

// endless is a line without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// FuzzEvents reads the same events however the text comes in, and never one whose end has not come.
func FuzzEvents(f *testing.F) {
	f.Add("event: delta\nid: 1-a\ndata: {}\n\n")
	f.Add(":\n\ndata\r\n\r\nevent: x\ndata: a\ndata: b\n\nda")
	f.Fuzz(func(t *testing.T, text string) {
		whole, _ := readAll(strings.NewReader(text))
		bytewise, _ := readAll(iotest.OneByteReader(strings.NewReader(text)))
		if diff := cmp.Diff(whole, bytewise, cmp.AllowUnexported(rawEvent{})); diff != "" {
			t.Error(diff)
		}
		for _, e := range whole {
			if strings.ContainsAny(e.name+e.id, "\n") {
				t.Errorf("%+v", e)
			}
		}
		if len(text) > 0 {
			cut, _ := readAll(strings.NewReader(text[:len(text)-1]))
			if len(cut) > len(whole) {
				t.Errorf("%d events of a part, %d of the whole", len(cut), len(whole))
			}
		}
	})
}
