package host

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/schemas"
)

// serveMetrics answers at /metrics without a key. A port alone is one of this machine only: whoever wants others to see the figures names the
// address. Error: unavailable where it cannot listen.
func serveMetrics(ctx context.Context, address string, m *meter.Meter, log *zap.Logger) (stop func(), err error) {
	if !strings.Contains(address, ":") {
		address = ":" + address
	}
	if strings.HasPrefix(address, ":") {
		address = "127.0.0.1" + address
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, schemas.Wrap(schemas.Unavailable, err, "the figures for Prometheus cannot be served at %s", address)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.Registry(), promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(log)}
	log.Info("metrics", zap.String("address", listener.Addr().String()))
	go func() { _ = server.Serve(listener) }() // it ends with stop
	return func() { _ = server.Close() }, nil
}
