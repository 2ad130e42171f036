package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tenuto-dev/tenuto/schemas"
)

// metrics are the gateway's figures for Prometheus, in the registry of the process.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	uploaded prometheus.Counter

	connections           prometheus.Gauge
	displaced, turnedAway prometheus.Counter
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		registry: registry,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: schemas.MetricHTTPRequests, Help: "Requests by route and status.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: schemas.MetricHTTPSeconds, Help: "Time from a request's arrival to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route"}),
		uploaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: schemas.MetricHTTPUploaded, Help: "Bytes of packs that were stored.",
		}),
	}
	m.connections = prometheus.NewGauge(prometheus.GaugeOpts{Name: schemas.MetricHTTPConnections, Help: "Open connections."})
	m.displaced = prometheus.NewCounter(prometheus.CounterOpts{
		Name: schemas.MetricHTTPDisplaced, Help: "Connections without a request in hand that were closed to make room for another.",
	})
	m.turnedAway = prometheus.NewCounter(prometheus.CounterOpts{
		Name: schemas.MetricHTTPTurnedAway, Help: "Connections that found no room.",
	})
	m.registry.MustRegister(m.requests, m.seconds, m.uploaded, m.connections, m.displaced, m.turnedAway)
	return m
}

// observe counts a request under the pattern that it matched, so that callers cannot make up labels.
func (m *metrics) observe(r *http.Request, status int, took time.Duration) {
	m.requests.WithLabelValues(r.Pattern, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(r.Pattern).Observe(took.Seconds())
}

// watchLanes shows how many lanes there are, and runs in them, whenever somebody looks.
func (m *metrics) watchLanes(load func() (open, idle, runs int)) {
	gauge := func(name, help string, labels prometheus.Labels, value func() int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 { return float64(value()) }))
	}
	const lanes = "Lanes of this process: busy ones, and those that wait for runs."
	gauge(schemas.MetricLanes, lanes, prometheus.Labels{"state": "busy"}, func() int { open, idle, _ := load(); return open - idle })
	gauge(schemas.MetricLanes, lanes, prometheus.Labels{"state": "free"}, func() int { _, idle, _ := load(); return idle })
	gauge(schemas.MetricLaneRuns, "Runs under way in lanes of this process.", nil, func() int { _, _, runs := load(); return runs })
}

// watchLeases shows how many leases on budgets this process holds.
func (m *metrics) watchLeases(count func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: schemas.MetricLeases, Help: "Leases on budgets that this process holds.",
	}, func() float64 { return float64(count()) }))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
