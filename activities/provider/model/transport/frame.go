package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Frame is one event of a stream with its bytes.
type Frame struct {
	Bytes []byte // as they came, through the blank line; valid until the next
	Data  []byte // the data lines, joined with line feeds; valid as Bytes. Empty of comments
	More  bool   // the next is there already
}

// Frames is Events for those who pass events on: it yields their bytes too, and also what has no data, such as comments that keep a
// connection alive. Lines end with a line feed, or both. What the stream ends within is dropped. Errors as of Events.
func Frames(r io.Reader) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		f := framer{r: bufio.NewReaderSize(r, frameBuffer)}
		for {
			frame, err := f.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(frame, err) || err != nil {
				return
			}
		}
	}
}

// frameBuffer is what is read at once.
const frameBuffer = 16 << 10

type framer struct {
	r     *bufio.Reader
	bytes []byte
	data  []byte
	begun bool
}

func (f *framer) next() (Frame, error) {
	f.bytes, f.data = f.bytes[:0], f.data[:0]
	for {
		from := len(f.bytes)
		if err := f.line(); err != nil {
			return Frame{}, err
		}
		line := bytes.TrimRight(f.bytes[from:], "\r\n")
		if !f.begun {
			f.begun, line = true, bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if len(line) > 0 {
			e := Event{Data: f.data}
			e.field(line)
			f.data = e.Data
			continue
		}
		return Frame{Bytes: f.bytes, Data: bytes.TrimSuffix(f.data, []byte("\n")), More: f.more()}, nil
	}
}

// line appends the next line to bytes.
func (f *framer) line() error {
	for {
		part, err := f.r.ReadSlice('\n')
		if len(f.bytes)+len(part) > MaxEvent {
			return schemas.Errorf(schemas.MalformedOutput, "the model server sent one event of more than %d MB", MaxEvent>>20)
		}
		f.bytes = append(f.bytes, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// more reports whether a whole event waits in the buffer.
func (f *framer) more() bool {
	waiting, _ := f.r.Peek(f.r.Buffered())
	return bytes.Contains(waiting, []byte("\n\n")) || bytes.Contains(waiting, []byte("\n\r\n"))
}
