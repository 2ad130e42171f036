package gateway

import (
	"context"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	longWrite = 15 * time.Minute // from a request's arrival to the beginning of its answer
	// A caller must take so many bytes of an answer in that time, or is let go.
	pieceBytes = 256 << 10
	pieceTime  = 30 * time.Second
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
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// newID is a UUID version 7 (RFC 9562): unique, and sorted by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// limit sets the deadlines of a connection for this request, and refuses what clients and proxies read in different ways.
func (g *Gateway) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Where deadlines are not supported, as in tests without a connection, requests are short anyway.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longWrite))
		pace(w, r)
		if len(r.TransferEncoding) > 0 {
			// It may have had a Content-Length too, of which net/http does not tell. Then nothing behind it may count as a request: RFC 9112,
			// section 6.1.
			w.Header().Set("Connection", "close")
		}
		if !straight(r.URL.EscapedPath()) {
			newProblem(http.StatusBadRequest, schemas.Invalid, "the path has empty parts, or dots for parts; no route and no name has either").write(w, requestID(r.Context()))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// straight reports whether a path, as it was sent, is no detour to another, where net/http would redirect. What is escaped in it belongs to names.
func straight(at string) bool {
	clean := path.Clean(at)
	return at != "*" && at == clean || clean != "/" && at == clean+"/" || strings.HasPrefix(at, "/v1/")
}

// observe logs and counts a request, and answers for a handler that panicked. Neither content nor keys are logged.
//
//nolint:contextcheck,nolintlint // the request's context is within the meter's
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

// observed remembers the status of a response, and lets go of a caller that does not take it.
type observed struct {
	http.ResponseWriter
	status int
	until  time.Time // what the caller has to take the piece that is being written
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
	written := 0
	for {
		o.putOff()
		n, err := o.ResponseWriter.Write(p[written:min(len(p), written+pieceBytes)])
		if written += n; err != nil || written >= len(p) {
			return written, err
		}
	}
}

func (o *observed) putOff() {
	if until := time.Now().Add(pieceTime); until.Sub(o.until) > time.Second {
		o.until = until
		_ = http.NewResponseController(o.ResponseWriter).SetWriteDeadline(until) // tests without a connection have none
	}
}

// Unwrap lets http.ResponseController find the connection.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }
