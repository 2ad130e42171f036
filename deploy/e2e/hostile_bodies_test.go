package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// endless is JSON that has no end.
type endless struct{ begin *strings.Reader }

// Read implements io.Reader.
func (e *endless) Read(p []byte) (int, error) {
	if n, _ := e.begin.Read(p); n > 0 {
		return n, nil
	}
	return copy(p, piece), nil
}

// largeBodies sends 100 MB to every kind of route, declared and in chunks: each is told that it is too large, before all of it is read.
func (x *hostile) largeBodies(t *testing.T) {
	t.Helper()
	const size = 100 << 20
	for name, path := range routesWithBodies() {
		for form, length := range map[string]int64{"declared": size, "in chunks": -1} {
			sent := &counting{Reader: io.LimitReader(&endless{strings.NewReader(`{"model":"vendor/x","source":"s","input":"`)}, size)}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, x.url()+path, sent)
			if err != nil {
				t.Fatal(err)
			}
			request.ContentLength = length
			request.Header.Set("Authorization", "Bearer "+x.key)
			request.Header.Set("Content-Type", "application/json")
			response, err := strict.Do(request)
			if err != nil { // the gateway had closed before the answer was read, as it may
				if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Errorf("%s, %s: %v", name, form, err)
				}
			} else {
				data, _ := io.ReadAll(response.Body)
				response.Body.Close()
				x.failed(t, name+" of 100 MB", response.StatusCode, response.Header, string(data))
				if response.StatusCode < 400 || response.StatusCode >= 500 {
					t.Errorf("%s, %s: status %d: %.300s", name, form, response.StatusCode, data)
				}
			}
			if n := sent.n.Load(); n > 64<<20 {
				t.Errorf("%s, %s: the gateway read %d MB", name, form, n>>20)
			}
		}
	}
	x.works(t, x.service, 20*time.Second)
}

type counting struct {
	io.Reader
	n atomic.Int64
}

// Read implements io.Reader.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// trickle writes a text again and again until the other side has enough of it.
func trickle(conn net.Conn, text string, every time.Duration) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
		time.Sleep(every)
	}
}

// slowHeaders begins requests and sends a header's line now and then: the connection is closed all the same.
func (x *hostile) slowHeaders(t *testing.T) {
	t.Helper()
	var waiting sync.WaitGroup
	for _, begin := range []string{"", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "} {
		conn := x.raw(t, begin)
		go trickle(conn, "X-B: b\r\n"[:min(len(begin), 8)], 300*time.Millisecond)
		waiting.Go(func() {
			if took, said := letGo(t, conn, 25*time.Second); strings.Contains(said, "200 OK") || took < time.Second {
				t.Errorf("after %q: %q after %s", begin, said, took)
			}
		})
	}
	waiting.Wait()
	for _, header := range []string{"X-Long: " + strings.Repeat("a", 1<<20), strings.Repeat("X-Many: a\r\n", 20_000) + "X: x"} {
		conn := x.raw(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n")
		go func() { _, _ = io.WriteString(conn, header+"\r\n\r\n") }()
		if _, said := letGo(t, conn, 15*time.Second); said != "" && !strings.HasPrefix(said, "HTTP/1.1 431") {
			t.Errorf("a header of %d bytes is answered %.200q", len(header), said)
		}
	}
}

// slowBodies sends bodies of which almost nothing comes, to routes of every kind, with a key and without: each is given up, and those of one
// tenant hold up no other's.
func (x *hostile) slowBodies(t *testing.T) {
	t.Helper()
	type slow struct{ name, path, key string }
	var all []slow
	for name, path := range routesWithBodies() {
		all = append(all, slow{name, path, x.key}, slow{name + " without a key", path, "none"})
	}
	for range 20 { // as many uploads and listings as one tenant likes
		all = append(all, slow{"a listing", "/api/v1/collections/big/ingestions", x.key}, slow{"a pack", "/api/v1/collections/big/contents", x.key})
	}
	var waiting sync.WaitGroup
	for i, one := range all {
		head := "Content-Length: 100000\r\n\r\n{"
		if i%2 == 1 {
			head = "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
		}
		conn := x.raw(t, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s", one.path, one.key, head))
		if i%2 == 1 {
			go trickle(conn, "1\r\n \r\n", 500*time.Millisecond)
		} else {
			go trickle(conn, " ", 500*time.Millisecond)
		}
		waiting.Go(func() {
			took, said := letGo(t, conn, 60*time.Second)
			statuses, body := parsed(said)
			if len(statuses) > 1 || len(statuses) == 1 && (statuses[0] < 400 || secrets.MatchString(body)) {
				t.Errorf("%s: %d after %s: %.300s", one.name, statuses, took, body)
			}
		})
	}
	time.Sleep(time.Second)
	// Another tenant's listing and upload do not wait for them.
	begun := time.Now()
	sum := schemas.Hash([]byte("The dipper bobs.\n"))
	if got := x.ask(t, x.other, http.MethodPut, "/api/v1/collections/other/contents/"+sum, strings.NewReader("The dipper bobs.\n")); got.status != http.StatusCreated {
		t.Errorf("another tenant's upload answers %d: %s", got.status, got.body)
	}
	listing := `{"source":"s","documents":[{"path":"a","bytes":1,"sha256":"` + strings.Repeat("0", 64) + `"}]}`
	if got := x.ask(t, x.other, http.MethodPost, "/api/v1/collections/other/ingestions", strings.NewReader(listing)); got.status != http.StatusOK {
		t.Errorf("another tenant's listing answers %d: %s", got.status, got.body)
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("another tenant's upload and listing took %s", took)
	}
	waiting.Wait()
}

// neverReads has streams sent to clients that take nothing of them: a chain's and a model's. Others go on meanwhile, and the clients are let go.
func (x *hostile) neverReads(t *testing.T) {
	t.Helper()
	release := x.releases(t, talking(x.base, "long"))
	var waiting sync.WaitGroup
	for name, call := range map[string][2]string{
		"a chain": {"/api/v1/chains/main/runs", `{"mode":"stream","release":"` + release + `","input":{"run":"long"}}`},
		"a model": {"/v1/chat/completions", `{"model":"vendor/long","stream":true,"messages":[{"role":"user","content":"Go on."}]}`},
	} {
		conn := x.raw(t, "")
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			call[0], x.service.key, len(call[1]), call[1])
		waiting.Go(func() {
			time.Sleep(45 * time.Second)
			if _, said := letGo(t, conn, 15*time.Second); len(said) > pieces*len(piece) || strings.Contains(said, "event: done") || strings.Contains(said, "[DONE]") || !strings.Contains(said, "200 OK") {
				t.Errorf("%s: after 45 seconds in which nothing was read the stream goes on: %d bytes, %.200q", name, len(said), said)
			}
		})
	}
	slowest := time.Duration(0)
	for range 20 {
		slowest = max(slowest, x.works(t, x.service, 20*time.Second))
		time.Sleep(200 * time.Millisecond)
	}
	t.Logf("the slowest of 20 runs beside them took %s", slowest)
	waiting.Wait()
}

// crowd opens as many connections as the system allows, up to 10,000: first some that do nothing, then some that all send a request. The gateway
// answers others meanwhile, and is as before when they have gone.
func (x *hostile) crowd(t *testing.T) {
	t.Helper()
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Skipf("how many files may be open is not known: %v", err)
	}
	n := int(min(10_000, files.Cur*3/5))
	calm := x.works(t, x.other, 10*time.Second)
	idle := x.fill(t, n)
	t.Logf("%d connections are open; a run took %s before", len(idle), calm)
	for range 5 {
		t.Logf("beside connections that do nothing a run took %s", x.works(t, x.other, 10*time.Second))
	}
	for _, conn := range idle {
		conn.Close()
	}

	conns := x.fill(t, n)
	var asking sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	begun := time.Now()
	for _, conn := range conns {
		asking.Go(func() {
			status := askOver(conn, x.service.key)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	slowest := time.Duration(0)
	for range 5 {
		slowest = max(slowest, x.works(t, x.other, 30*time.Second))
	}
	asking.Wait()
	t.Logf("%d requests at once: %v in %s; beside them the slowest of 5 runs took %s", len(conns), statuses, time.Since(begun), slowest)
	if answered := statuses[http.StatusOK] + statuses[http.StatusTooManyRequests] + statuses[http.StatusServiceUnavailable]; answered < len(conns)*9/10 || statuses[http.StatusOK] == 0 {
		t.Errorf("of %d requests at once: %v", len(conns), statuses)
	}
	for _, conn := range conns {
		conn.Close()
	}
	await(t, 30*time.Second, "the gateway to be as before", func() bool { return x.works(t, x.other, 30*time.Second) < max(10*calm, 2*time.Second) })
	if peak := x.worker.peak(t); peak > 2<<30 {
		t.Errorf("the gateway used %d MB", peak>>20)
	} else {
		t.Logf("the gateway used %d MB at most", peak>>20)
	}
}

// fill opens connections.
func (x *hostile) fill(t *testing.T, n int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	var opening sync.WaitGroup
	for part := range 64 {
		opening.Go(func() {
			for i := part; i < n; i += 64 {
				conn, err := net.Dial("tcp", loopback(x.ports.gateway))
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				conns[i] = conn
			}
		})
	}
	opening.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

// askOver sends a request and returns the status of its answer; 0 where the connection was closed.
func askOver(conn net.Conn, key string) int {
	_ = conn.SetDeadline(time.Now().Add(80 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET /api/v1/labels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", key); err != nil {
		return 0
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}
