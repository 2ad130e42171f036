package gateway

import (
	"bytes"
	"container/list"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	connectionsMost = 16_384      // where nothing else is said
	connectionsSafe = 4_096       // where the system does not say how many files may be open
	tellingMost     = 64          // connections that are told at once that there is no room
	tellingTime     = time.Second // that one of them may take to hear it
)

// connections is how many a gateway holds at once: what is asked for, or half of the files that the process may have open. The other half is
// for the store, Temporal and providers.
func connections(asked int) int {
	if asked > 0 {
		return asked
	}
	if files := filesMost(); files > 0 {
		return int(min(files/2, connectionsMost))
	}
	return connectionsSafe
}

// crowd is a listener that holds its server to a number of connections. One that comes when all places are taken gets that of the one that has
// waited longest without a request in hand, be it between requests or with half a header: who does nothing costs others nothing. Where every
// connection has a request, the new one is told to come back.
type crowd struct {
	net.Listener

	most    int
	metrics *metrics
	telling chan struct{}

	mu      sync.Mutex
	waiting list.List                  // of net.Conn, the longest first
	places  map[net.Conn]*list.Element // nil for one with a request in hand
}

func newCrowd(listener net.Listener, most int, m *metrics) *crowd {
	return &crowd{Listener: listener, most: most, metrics: m, telling: make(chan struct{}, tellingMost), places: map[net.Conn]*list.Element{}}
}

// Accept implements net.Listener.
func (c *crowd) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil || c.admit(conn) {
			return conn, err
		}
		c.turnAway(conn)
	}
}

// admit gives a connection a place.
func (c *crowd) admit(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.places) >= c.most {
		oldest := c.waiting.Front()
		if oldest == nil {
			return false
		}
		if idle, ok := c.waiting.Remove(oldest).(net.Conn); ok {
			delete(c.places, idle)
			_ = idle.Close() // its server notices
			c.metrics.displaced.Inc()
		}
	}
	c.places[conn] = c.waiting.PushBack(conn)
	c.metrics.connections.Set(float64(len(c.places)))
	return true
}

// state follows a connection; see http.Server.ConnState. It is active from the end of a request's header to the end of the answer.
func (c *crowd) state(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place, known := c.places[conn]
	if !known {
		return // it lost its place
	}
	switch state {
	case http.StateActive:
		if place != nil {
			c.waiting.Remove(place)
			c.places[conn] = nil
		}
	case http.StateIdle:
		if place == nil {
			c.places[conn] = c.waiting.PushBack(conn)
		}
	case http.StateClosed, http.StateHijacked:
		if place != nil {
			c.waiting.Remove(place)
		}
		delete(c.places, conn)
		c.metrics.connections.Set(float64(len(c.places)))
	case http.StateNew: // Accept knows it
	}
}

// turnAway tells a connection that there is no room, and closes it.
func (c *crowd) turnAway(conn net.Conn) {
	c.metrics.turnedAway.Inc()
	select {
	case c.telling <- struct{}{}:
	default:
		_ = conn.Close()
		return
	}
	go func() {
		defer func() { <-c.telling }()
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(tellingTime))
		if _, err := conn.Write(noRoom); err != nil {
			return
		}
		if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			_, _ = io.CopyN(io.Discard, conn, 64<<10) // to close over what is unread would take the answer back
		}
	}()
}

// noRoom is the answer to a connection that finds none. Its request is not read.
var noRoom = func() []byte {
	p := newProblem(http.StatusServiceUnavailable, schemas.Unavailable, "the gateway has as many connections as it can hold, all with a request in hand; try again shortly")
	body := encode(p.Problem)
	response := http.Response{
		StatusCode: p.Status, ProtoMajor: 1, ProtoMinor: 1, Close: true, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
		Header: http.Header{"Content-Type": {p.ContentType("")}, "Retry-After": {strconv.Itoa(1)}},
	}
	var out bytes.Buffer
	_ = response.Write(&out) // a buffer takes everything
	return out.Bytes()
}()

// hands counts the requests that keys have in hand in this process, so that none can have all. Set most before the first.
type hands struct {
	most int

	mu   sync.Mutex
	held map[string]int // by line of keys
}

// take counts a request until give is called. Error: rate_limited.
func (h *hands) take(key schemas.APIKey) (give func(), err error) {
	line := key.Line()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[line] >= h.most {
		err := schemas.Errorf(schemas.RateLimited, "the API key has %d requests in hand here, which is as many as one may have; wait for some to end", h.most)
		err.RetryAfter = time.Second
		return nil, err
	}
	if h.held == nil {
		h.held = map[string]int{}
	}
	h.held[line]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.held[line]--; h.held[line] == 0 {
			delete(h.held, line)
		}
	}, nil
}
