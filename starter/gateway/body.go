package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	shortRead = time.Minute      // for a body of JSON
	longRead  = 10 * time.Minute // for an upload or a listing
	// A body has so long to begin, and must then come so fast, in bytes a second, on the average: slower ones only hold places.
	bodyGrace = 10 * time.Second
	bodyPace  = 16 << 10
	// bodiesMost bounds the bytes of the JSON of all requests that are in memory at once; package relay counts those of models itself.
	bodiesMost = 512 << 20
)

// paced is a body that must keep coming. The connection's deadline moves on with it.
type paced struct {
	io.ReadCloser

	control *http.ResponseController
	begun   time.Time
	most    time.Duration
	got     int64
	until   time.Time
	held    *atomic.Int64 // bytes in memory; nil where others count
}

// pace makes r's body a paced one. A request without a body gets no deadline: net/http reads on behind it to notice that its caller has left,
// and would take a deadline for that.
func pace(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	p := &paced{ReadCloser: r.Body, control: http.NewResponseController(w), begun: time.Now(), most: shortRead}
	p.putOff()
	r.Body = p
}

// Read implements io.Reader. Errors: deadline for one that is too slow, unavailable where bodies fill the memory.
func (p *paced) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	p.got += int64(n)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errSlow
	case err != nil:
		return n, err
	case p.held != nil && p.held.Add(int64(n)) > bodiesMost:
		p.held.Add(int64(-n))
		p.got -= int64(n)
		full := schemas.Errorf(schemas.Unavailable, "the gateway has as many requests in hand as it can hold; try again shortly")
		full.RetryAfter = time.Second
		return 0, full
	}
	p.putOff()
	return n, nil
}

// errSlow is what becomes of a body that does not keep coming.
var errSlow = schemas.Errorf(schemas.Deadline, "the body came too slowly, or not whole; send it again, at %d KB a second at least", bodyPace>>10)

// putOff moves the deadline on.
func (p *paced) putOff() {
	until := bodyGrace + time.Duration(p.got/bodyPace)*time.Second
	if end := p.begun.Add(min(until, p.most)); end.After(p.until) {
		p.until = end
		_ = p.control.SetReadDeadline(end) // where there are none, as in tests without a connection, requests are short anyway
	}
}

// lengthen allows a body of many bytes its time.
func lengthen(body io.ReadCloser) {
	if p, ok := body.(*paced); ok {
		p.most = longRead
	}
}

// weigh counts what is read of a body until forget is called.
func weigh(body io.ReadCloser, held *atomic.Int64) (forget func()) {
	p, ok := body.(*paced)
	if !ok {
		return func() {}
	}
	p.held = held
	return func() { held.Add(-p.got) }
}
