package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/tenuto-dev/tenuto/schemas"
)

// eventMost is how many bytes an event may have. The longest is the last, which has the output.
const eventMost = 64 << 20

// rawEvent is one server-sent event.
type rawEvent struct {
	name, id string
	data     []byte
}

// eventReader reads server-sent events (WHATWG HTML, section 9.2). Only a whole event counts: one that a connection cut off is none.
type eventReader struct{ from *bufio.Reader }

func newEventReader(r io.Reader) *eventReader { return &eventReader{bufio.NewReader(r)} }

// next is the next event with data. Heard is called for each line. Errors: those of the connection, io.EOF at its end, unavailable for an event
// that is too long.
func (r *eventReader) next(heard func()) (rawEvent, error) {
	var e rawEvent
	size := 0
	for {
		line, err := r.line(eventMost - size)
		if err != nil {
			return rawEvent{}, err
		}
		heard()
		size += len(line)
		if len(line) == 0 {
			if e.data != nil {
				return e, nil
			}
			e, size = rawEvent{}, 0 // a comment, or nothing
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.name = string(value)
		case "id":
			e.id = string(value)
		case "data":
			if e.data != nil {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
			if e.data == nil {
				e.data = []byte{}
			}
		}
	}
}

// line reads a line without its end, of at most so many bytes.
func (r *eventReader) line(most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.from.ReadSlice('\n')
		if len(line)+len(part) > most+1 {
			return nil, schemas.Errorf(schemas.Unavailable, "the gateway sends an event of more than %d bytes", eventMost)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			line = bytes.TrimSuffix(line, []byte("\n"))
			return bytes.TrimSuffix(line, []byte("\r")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}
