package modeltest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Failure is what happens to one call in place of an answer.
type Failure struct {
	Status  int
	Header  map[string]string
	Body    string // default: an error object of OpenAI's shape
	Cut     bool   // answer, but break the connection in the middle of the body or stream
	Drop    bool   // break the connection without a byte
	Hang    bool   // stop in the middle of a stream, or before any byte of another answer, and wait until the caller leaves
	Endless bool   // stream, and never come to an end; another answer hangs
}

func (f Failure) happens() bool { return f.Status != 0 || f.Cut || f.Drop || f.Hang || f.Endless }

// write answers with the failure; got is what the answer would have been.
func (f Failure) write(w http.ResponseWriter, r *http.Request, got answer) {
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case (f.Cut || f.Hang) && len(got.events) > 0:
		writeEvents(w, r, got.events[:len(got.events)/2], 0)
		f.end(r)
	case f.Endless && len(got.events) > 0:
		writeEndless(w, r, got.events)
	case f.Cut:
		data, _ := json.Marshal(got.body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:len(data)/2])
		panic(http.ErrAbortHandler)
	case f.Hang, f.Endless:
		<-r.Context().Done()
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

func (f Failure) end(r *http.Request) {
	if f.Hang {
		<-r.Context().Done()
	}
	panic(http.ErrAbortHandler)
}

// writeEvents streams events, at once or with pace before each; false when the caller left.
func writeEvents(w http.ResponseWriter, r *http.Request, events []string, pace time.Duration) bool {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	flush := http.NewResponseController(w).Flush
	var waiting strings.Builder
	for _, event := range events {
		waiting.WriteString("data: " + event + "\n\n")
		if pace == 0 {
			continue
		}
		if !sleep(r.Context(), pace) {
			return false
		}
		_, _ = io.WriteString(w, waiting.String())
		_ = flush()
		waiting.Reset()
	}
	_, _ = io.WriteString(w, waiting.String())
	return flush() == nil
}

// writeEndless repeats the second event, the first piece of text, until the caller leaves.
func writeEndless(w http.ResponseWriter, r *http.Request, events []string) {
	for ok := writeEvents(w, r, events[:1], 0); ok; {
		ok = r.Context().Err() == nil && writeEvents(w, r, events[1:2], time.Millisecond/4)
	}
}
