package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the gateway's figures for Prometheus, in a registry of their own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	uploaded prometheus.Counter

	connections           prometheus.Gauge
	displaced, turnedAway prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tenuto_http_requests_total", Help: "Requests by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tenuto_http_request_duration_seconds", Help: "Time from a request's arrival to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route"}),
		uploaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tenuto_http_uploaded_bytes_total", Help: "Bytes of packs that were stored.",
		}),
	}
	m.connections = prometheus.NewGauge(prometheus.GaugeOpts{Name: "tenuto_http_connections", Help: "Open connections."})
	m.displaced = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenuto_http_connections_displaced_total", Help: "Connections without a request in hand that were closed to make room for another.",
	})
	m.turnedAway = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tenuto_http_connections_turned_away_total", Help: "Connections that found no room.",
	})
	m.registry.MustRegister(m.requests, m.seconds, m.uploaded, m.connections, m.displaced, m.turnedAway)
	return m
}

// observe counts a request under the pattern that it matched, so that callers cannot make up labels.
func (m *metrics) observe(r *http.Request, status int, took time.Duration) {
	m.requests.WithLabelValues(r.Pattern, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(r.Pattern).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
