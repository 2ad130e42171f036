package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"

	"github.com/tenuto-dev/tenuto/schemas"
)

// MaxEvent bounds the bytes of one event or line of a stream.
const MaxEvent = 16 << 20

// Event is one server-sent event.
type Event struct {
	Type  string // of the last event field; empty where there is none, which the standard calls "message"
	ID    string // of its own id field; empty where there is none
	Data  []byte // the data lines, joined with line feeds; valid until the next event
	Whole bool   // not an event, but the whole body of a server that did not stream; set by Client.Events
}

// Events decodes an event stream (WHATWG HTML, section 9.2) and yields an event as soon as its blank line begins. An event without
// data is dropped, and so is one that the stream ends within; reconnection times are of no use here. An error ends the sequence: that
// of r, or malformed_output for an event of more than MaxEvent bytes.
func Events(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		lines := lineReader{r: bufio.NewReader(r)}
		var e Event
		for first := true; ; first = false {
			line, err := lines.next(MaxEvent - len(e.Data))
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(Event{}, err)
				return
			}
			if first {
				line = bytes.TrimPrefix(line, []byte("\ufeff"))
			}
			if len(line) > 0 {
				e.field(line)
				continue
			}
			if n := len(e.Data); n > 0 && !yield(Event{Type: e.Type, ID: e.ID, Data: e.Data[:n-1]}, nil) {
				return
			}
			e = Event{Data: e.Data[:0]}
		}
	}
}

// field adds a line to the event. Data keeps a line feed after each of its lines until the event is complete.
func (e *Event) field(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":")) // a comment has no name
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		e.Type = string(value)
	case "id":
		e.ID = string(value)
	case "data":
		e.Data = append(append(e.Data, value...), '\n')
	}
}

// Lines decodes newline-delimited JSON: it yields the lines that are not blank, the last one also where no line feed ends it. A line
// is valid until the next. An error ends the sequence: that of r, or malformed_output for a line of more than MaxEvent bytes.
func Lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		lines := lineReader{r: bufio.NewReader(r)}
		for {
			line, err := lines.next(MaxEvent)
			if err != nil && !errors.Is(err, io.EOF) {
				yield(nil, err)
				return
			}
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line, nil) {
				return
			}
			if err != nil {
				return
			}
		}
	}
}

// lineReader splits at line feed, carriage return, or both. It does not wait for what follows a carriage return.
type lineReader struct {
	r      *bufio.Reader
	line   []byte
	skipLF bool
}

// next returns the next line without its end, valid until the next call. At the end of the stream it returns what follows the last
// line with io.EOF.
func (l *lineReader) next(limit int) ([]byte, error) {
	l.line = l.line[:0]
	for {
		if _, err := l.r.Peek(1); err != nil {
			return l.line, err
		}
		chunk, _ := l.r.Peek(l.r.Buffered())
		if l.skipLF && chunk[0] == '\n' {
			chunk = chunk[1:]
			_, _ = l.r.Discard(1)
		}
		l.skipLF = false
		end := bytes.IndexAny(chunk, "\r\n")
		kept := chunk
		if end >= 0 {
			kept = chunk[:end]
		}
		if len(l.line)+len(kept) > limit {
			return nil, schemas.Errorf(schemas.MalformedOutput, "the model server sent one event of more than %d MB", MaxEvent>>20)
		}
		l.line = append(l.line, kept...)
		if end >= 0 {
			l.skipLF = chunk[end] == '\r'
			_, _ = l.r.Discard(end + 1)
			return l.line, nil
		}
		_, _ = l.r.Discard(len(chunk))
	}
}
