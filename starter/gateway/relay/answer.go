package relay

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// stall is how long a reader that stops holds up its own call.
	stall = 30 * time.Second
	// slice is what is written under one deadline.
	slice = 256 << 10
)

// errGone is the cause of errors of a caller that takes no more of its answer.
var errGone = errors.New("the caller is gone")

func isGone(err error) bool { return errors.Is(err, errGone) }

// answer writes to the caller, event by event, and gives up on one that does not read.
type answer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	begun   bool
	set     time.Time // when the deadline was last put off
}

func newAnswer(w http.ResponseWriter, stall time.Duration) *answer {
	return &answer{w: w, control: http.NewResponseController(w), stall: stall}
}

// close has the connection end with this answer: what the caller still sends is not read.
func (a *answer) close() { a.w.Header().Set("Connection", "close") }

// begin sends the head of an answer.
func (a *answer) begin(status int, contentType string) {
	a.begun = true
	a.w.Header().Set("Content-Type", contentType)
	if contentType == eventStream {
		a.w.Header().Set("Cache-Control", "no-cache")
		a.w.Header().Set("X-Accel-Buffering", "no") // what some proxies are told by to pass events on
	}
	a.w.WriteHeader(status)
}

const eventStream = "text/event-stream; charset=utf-8"

// event writes a part of a stream. With flush it is sent at once; else it goes with what follows.
func (a *answer) event(data []byte, flush bool) error {
	if !a.begun {
		a.begin(http.StatusOK, eventStream)
	}
	if err := a.write(data); err != nil || !flush {
		return err
	}
	return a.flush()
}

// flush sends what was written of a stream.
func (a *answer) flush() error {
	if !a.begun {
		return nil
	}
	return a.left(a.control.Flush())
}

// write writes under a deadline that moves on with what is taken.
func (a *answer) write(data []byte) error {
	for len(data) > 0 {
		a.putOff()
		part := data[:min(len(data), slice)]
		if _, err := a.w.Write(part); err != nil {
			return a.left(err)
		}
		data = data[len(part):]
	}
	return nil
}

func (a *answer) putOff() {
	if now := time.Now(); now.Sub(a.set) > a.stall/30 {
		a.set = now
		_ = a.control.SetWriteDeadline(now.Add(a.stall)) // where there are none, as in tests without a connection, nobody can stall
	}
}

func (a *answer) left(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errGone, err)
}
