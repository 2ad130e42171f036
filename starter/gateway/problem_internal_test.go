package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	for _, code := range schemas.Codes() {
		if statuses[code] < 400 {
			t.Errorf("code %s has no HTTP status", code)
		}
	}
	if len(statuses) != len(schemas.Codes()) {
		t.Errorf("%d statuses for %d codes", len(statuses), len(schemas.Codes()))
	}
}

func TestProblemHidesTheCause(t *testing.T) {
	t.Parallel()
	p := problemOf(schemas.Wrap(schemas.RateLimited, io.ErrUnexpectedEOF, "try again"))
	if p.Status != http.StatusTooManyRequests || p.Detail != "try again" || !errors.Is(p, io.ErrUnexpectedEOF) {
		t.Errorf("problem %+v", p)
	}
	limited := problemOf(&schemas.Error{Code: schemas.RateLimited, RetryAfter: 1500 * time.Millisecond})
	header := http.Header{}
	limited.setHeaders(header.Set)
	if header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q, want whole seconds, rounded up", header.Get("Retry-After"))
	}
	if p := problemOf(io.ErrUnexpectedEOF); p.Code != schemas.Internal || p.Detail == io.ErrUnexpectedEOF.Error() {
		t.Errorf("an error without a code shows %+v", p)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	g := &Gateway{log: zap.NewNop(), metrics: newMetrics(prometheus.NewRegistry())}
	handler := g.identify(g.observe(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("fault") })))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, %s", w.Code, w.Body)
	}
}
