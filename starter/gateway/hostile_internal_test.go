package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
)

// timed is a response whose connection notes its deadlines.
type timed struct {
	*httptest.ResponseRecorder
	reads, writes []time.Time
}

// SetReadDeadline is found by http.ResponseController.
func (d *timed) SetReadDeadline(at time.Time) error { d.reads = append(d.reads, at); return nil }

// SetWriteDeadline is found by http.ResponseController.
func (d *timed) SetWriteDeadline(at time.Time) error { d.writes = append(d.writes, at); return nil }

// TestWithoutABodyThereIsNoReadDeadline: it would end the context of a request that takes longer, such as one that follows a run.
func TestWithoutABodyThereIsNoReadDeadline(t *testing.T) {
	t.Parallel()
	g := &Gateway{log: zap.NewNop(), metrics: newMetrics(prometheus.NewRegistry())}
	handler := g.limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	for body, want := range map[string]bool{"": false, "x": true} {
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		if body == "" {
			r.Body = http.NoBody
		}
		handler.ServeHTTP(w, r)
		if got := len(w.reads) > 0; got != want {
			t.Errorf("body %q: read deadlines %v", body, w.reads)
		}
	}
}

// TestABodyHasItsTime: the deadline moves on with what comes, and never beyond what the whole may take.
func TestABodyHasItsTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bytes int64
		long  bool
		want  time.Duration
	}{
		"none yet": {0, false, bodyGrace}, "little": {bodyPace - 1, false, bodyGrace}, "some": {5 * bodyPace, false, bodyGrace + 5*time.Second},
		"much": {1000 * bodyPace, false, shortRead}, "an upload": {100 * bodyPace, true, bodyGrace + 100*time.Second}, "a large upload": {10_000 * bodyPace, true, longRead},
	} {
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.Body = io.NopCloser(io.MultiReader(io.LimitReader(&zeros{}, test.bytes), iotest.ErrReader(io.ErrUnexpectedEOF)))
		begun := time.Now()
		pace(w, r)
		if test.long {
			lengthen(r.Body)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		got := w.reads[len(w.reads)-1].Sub(begun)
		if got < test.want-time.Second || got > test.want+2*time.Second {
			t.Errorf("%s: %s after its beginning, want %s", name, got, test.want)
		}
	}
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestBodiesInMemoryAreBounded: what is read of all bodies counts together until their requests end.
func TestBodiesInMemoryAreBounded(t *testing.T) {
	t.Parallel()
	var held atomic.Int64
	body := func(n int64) io.ReadCloser {
		return &paced{
			ReadCloser: io.NopCloser(io.LimitReader(&zeros{}, n)), control: http.NewResponseController(&timed{ResponseRecorder: httptest.NewRecorder()}),
			begun: time.Now(), most: shortRead,
		}
	}
	first, second := body(bodiesMost-100), body(1000)
	forget := weigh(first, &held)
	if _, err := io.Copy(io.Discard, first); err != nil {
		t.Fatal(err)
	}
	forgetSecond := weigh(second, &held)
	if _, err := io.Copy(io.Discard, second); schemas.CodeOf(err) != schemas.Unavailable {
		t.Errorf("%v, want unavailable", err)
	}
	forgetSecond()
	forget()
	if n := held.Load(); n != 0 {
		t.Errorf("%d bytes count when all requests have ended", n)
	}
}

// TestAnswersAreWrittenInPieces: each has its own deadline, so that a caller that takes none is let go, and one that takes them has its time.
func TestAnswersAreWrittenInPieces(t *testing.T) {
	t.Parallel()
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	o := &observed{ResponseWriter: w}
	data := bytes.Repeat([]byte("x"), 2*pieceBytes+1)
	if n, err := o.Write(data); n != len(data) || err != nil || w.Body.Len() != len(data) {
		t.Errorf("%d %v", n, err)
	}
	if n, err := o.Write(nil); n != 0 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	if len(w.writes) == 0 || time.Until(w.writes[0]) > pieceTime {
		t.Errorf("deadlines %v", w.writes)
	}
}

// TestATenantHasHalfOfThePlaces for what is held in memory.
func TestATenantHasHalfOfThePlaces(t *testing.T) {
	t.Parallel()
	s := newSlots(4)
	ctx, cancel := context.WithCancel(t.Context())
	for range 2 {
		if _, err := s.enter(ctx, "slow"); err != nil {
			t.Fatal(err)
		}
	}
	third := make(chan error, 1)
	go func() {
		_, err := s.enter(ctx, "slow")
		third <- err
	}()
	for range 10 {
		leave, err := s.enter(ctx, "other")
		if err != nil {
			t.Fatal(err)
		}
		leave()
	}
	cancel()
	if err := <-third; schemas.CodeOf(err) != schemas.Deadline || !errors.Is(err, context.Canceled) {
		t.Errorf("a third place of the tenant: %v", err)
	}
}
