package transport_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tenuto-dev/tenuto/activities/provider/model/transport"
	"github.com/tenuto-dev/tenuto/schemas"
)

type event struct{ Type, Data string }

// events decodes r to its end.
func events(r io.Reader) ([]event, error) {
	var got []event
	for e, err := range transport.Events(r) {
		if err != nil {
			return got, err
		}
		got = append(got, event{e.Type, string(e.Data)})
	}
	return got, nil
}

// split reads at most to the byte before at first, then the rest.
func split(data []byte, at int) io.Reader {
	return io.MultiReader(bytes.NewReader(data[:at]), bytes.NewReader(data[at:]))
}

func TestEvents(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stream string
		want   []event
	}{
		"nothing":                {"", nil},
		"ends of lines":          {"data: a\r\rdata: b\r\n\r\ndata: c\n\n", []event{{"", "a"}, {"", "b"}, {"", "c"}}},
		"mixed ends":             {"data: a\r\ndata: b\rdata: c\n\r\n", []event{{"", "a\nb\nc"}}},
		"carriage return last":   {"event: x\rdata: a\r\r", []event{{"x", "a"}}},
		"comments":               {": hi\n\ndata: a\n: OPENROUTER PROCESSING\n\n", []event{{"", "a"}}},
		"only one space goes":    {"data:  a\n\ndata:b\n\n", []event{{"", " a"}, {"", "b"}}},
		"empty data":             {"data\n\ndata:\ndata:\n\n", []event{{"", ""}, {"", "\n"}}},
		"no data":                {"event: x\n\ndata: a\n\n", []event{{"", "a"}}},
		"other fields":           {"id: 7\nretry: 9\nfoo: bar\nDATA: x\ndata: a\n\n", []event{{"", "a"}}},
		"last type counts":       {"event: x\nevent: y\ndata: a\n\n", []event{{"y", "a"}}},
		"byte order mark":        {"\ufeffdata: a\n\ndata: \ufeffb\n\n", []event{{"", "a"}, {"", "\ufeffb"}}},
		"cut before blank":       {"data: a\n\ndata: b\n", []event{{"", "a"}}},
		"cut within line":        {"data: a\n\ndata: b", []event{{"", "a"}}},
		"colon in the value":     {"data: {\"a\": 1}\n\n", []event{{"", `{"a": 1}`}}},
		"white space is a field": {"data: a\n \ndata: b\n\n", []event{{"", "a\nb"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range len(test.stream) + 1 {
				got, err := events(split([]byte(test.stream), i))
				if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
					t.Fatalf("split at %d: %v\n%s", i, err, diff)
				}
			}
		})
	}
}

func TestRecordedEvents(t *testing.T) {
	t.Parallel()
	var vectors []struct {
		Name   string
		Chunks []string `json:"chunks_b64"`
		Events []struct{ Event, Data string }
	}
	material(t, "sse-decoder.json", &vectors)
	for _, vector := range vectors {
		var stream []byte
		for _, chunk := range vector.Chunks {
			raw, err := base64.StdEncoding.DecodeString(chunk)
			if err != nil {
				t.Fatal(err)
			}
			stream = append(stream, raw...)
		}
		var want []event
		for _, e := range vector.Events {
			if e.Data != "" { // the standard drops what the recorded client yields
				want = append(want, event{e.Event, e.Data})
			}
		}
		for i := range len(stream) + 1 {
			got, err := events(split(stream, i))
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Fatalf("%s split at %d: %v\n%s", vector.Name, i, err, diff)
			}
		}
	}
}

func TestAnEventIsYieldedBeforeMoreArrives(t *testing.T) {
	t.Parallel()
	for _, stream := range []string{"data: a\n\n", "data: a\r\r", "data: a\r\n\r\n"} {
		r, w := io.Pipe()
		go func() {
			_, _ = io.WriteString(w, stream)
			<-t.Context().Done() // the stream stays open
			_ = w.Close()
		}()
		for e, err := range transport.Events(r) {
			if err != nil || string(e.Data) != "a" {
				t.Errorf("%q: %q, %v", stream, e.Data, err)
			}
			break
		}
	}
}

// forever repeats a line that never ends an event.
type forever struct{ line string }

func (f forever) Read(p []byte) (int, error) { return copy(p, f.line), nil }

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"data: xxxxxxxxxxxxxxxxxxxxxxx\n", "x"} {
		if _, err := events(forever{line}); schemas.CodeOf(err) != schemas.MalformedOutput {
			t.Errorf("%q for ever: %v", line, err)
		}
	}
	for _, err := range transport.Lines(forever{"x"}) {
		if schemas.CodeOf(err) != schemas.MalformedOutput {
			t.Errorf("a line for ever: %v", err)
		}
	}
}

func TestErrorsOfTheReaderAreYielded(t *testing.T) {
	t.Parallel()
	broken := errors.New("reset")
	got, err := events(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	lines := 0
	for _, err := range transport.Lines(io.MultiReader(strings.NewReader("{}\n{}"), iotest.ErrReader(broken))) {
		if lines++; lines == 2 && !errors.Is(err, broken) {
			t.Errorf("line %d: %v", lines, err)
		}
	}
	if lines != 2 {
		t.Errorf("%d lines", lines)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	stream := "{\"a\":1}\r\n\n  \n{\"b\":\"é\"}\n{\"c\":3}"
	for i := range len(stream) + 1 {
		var got []string
		for line, err := range transport.Lines(split([]byte(stream), i)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(line))
		}
		if diff := cmp.Diff([]string{`{"a":1}`, `{"b":"é"}`, `{"c":3}`}, got); diff != "" {
			t.Fatalf("split at %d:\n%s", i, diff)
		}
	}
}

// FuzzEvents: however the stream is cut into reads, the events are the same, and none holds what a line cannot.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: a\ndata: b\r\n\r\ndata: c\r\r: d\n\n"), 3)
	f.Add([]byte("\ufeffdata\n\ndata:x"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, at int) {
		whole, err := events(bytes.NewReader(stream))
		if err != nil {
			t.Fatal(err)
		}
		at = min(max(at, 0), len(stream))
		for _, r := range []io.Reader{split(stream, at), iotest.OneByteReader(bytes.NewReader(stream))} {
			parts, err := events(r)
			if diff := cmp.Diff(whole, parts); diff != "" || err != nil {
				t.Fatalf("%q at %d: %v\n%s", stream, at, err, diff)
			}
		}
		for _, e := range whole {
			if strings.ContainsAny(e.Type, "\r\n") || strings.Contains(e.Data, "\r") {
				t.Fatalf("%q", e)
			}
		}
	})
}

// FuzzLines: the lines are those that splitting the whole text gives.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\n\r\nb"), 2)
	f.Fuzz(func(t *testing.T, stream []byte, at int) {
		var want, got []string
		for _, line := range bytes.FieldsFunc(stream, func(r rune) bool { return r == '\n' || r == '\r' }) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				want = append(want, string(line))
			}
		}
		for line, err := range transport.Lines(split(stream, min(max(at, 0), len(stream)))) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(line))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestAnEventHasItsOwnID(t *testing.T) {
	t.Parallel()
	var got []string
	for e, err := range transport.Events(strings.NewReader("id: 1\ndata: a\n\ndata: b\n\nid: 2\nid: 3\ndata: c\n\n")) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.ID)
	}
	if diff := cmp.Diff([]string{"1", "", "3"}, got); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}
