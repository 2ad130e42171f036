package gateway

import (
	"context"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	shortRead = time.Minute      // for a body of JSON
	longRead  = 10 * time.Minute // for an upload or a listing
	longWrite = 15 * time.Minute // from the request's arrival to the end of its answer
)

type requestIDKey struct{}

// requestID names the request in logs and problems.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// identify takes the caller's X-Request-Id where it is a usable one, so that its logs and ours can be joined.
func (g *Gateway) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if schemas.CheckRunID(id) != nil {
			id = newID()
		}
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// newID is a UUID version 7 (RFC 9562): unique, and sorted by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// limit sets the deadlines of a connection for this request.
func (g *Gateway) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		now := time.Now()
		// Where deadlines are not supported, as in tests without a connection, requests are short anyway.
		_ = control.SetReadDeadline(now.Add(shortRead))
		_ = control.SetWriteDeadline(now.Add(longWrite))
		next.ServeHTTP(w, r)
	})
}

// observe logs and counts a request, and answers for a handler that panicked. Neither content nor keys are logged.
func (g *Gateway) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &observed{ResponseWriter: w}
		start := time.Now()
		ctx, answered := g.meter.Request(r, requestID(r.Context()))
		r = r.WithContext(ctx)
		defer func() {
			if fault := recover(); fault != nil {
				g.survive(seen, r, fault)
			}
			g.finish(seen, r, time.Since(start))
			answered(r.Pattern, seen.status)
		}()
		next.ServeHTTP(seen, r)
	})
}

func (g *Gateway) survive(w *observed, r *http.Request, fault any) {
	if r.Context().Err() != nil {
		return // the caller left, which huma turns into a panic of the write
	}
	g.log.Error("panic", zap.String("request_id", requestID(r.Context())), zap.Any("fault", fault), zap.ByteString("stack", debug.Stack()))
	if w.status == 0 {
		newProblem(http.StatusInternalServerError, schemas.Internal, "an internal fault; the gateway's log has it under the request id").
			write(w, requestID(r.Context()))
	}
}

func (g *Gateway) finish(w *observed, r *http.Request, took time.Duration) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	g.metrics.observe(r, w.status, took)
	g.log.Info("request", zap.String("request_id", requestID(r.Context())), zap.String("route", r.Pattern),
		zap.Int("status", w.status), zap.Duration("took", took))
}

// observed remembers the status of a response.
type observed struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (o *observed) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (o *observed) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	return o.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the connection.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }
