package relay

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Metrics are figures about calls, by operation and provider: there are only so many of each, while callers could make up models.
type Metrics struct {
	calls  *prometheus.CounterVec
	tokens *prometheus.CounterVec
	cost   *prometheus.CounterVec
	first  *prometheus.HistogramVec
	took   *prometheus.HistogramVec
	record prometheus.Histogram
}

// NewMetrics registers the figures.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	buckets := []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: schemas.MetricRelayCalls, Help: "Calls of models that were passed through, by what came of them: ok, left, or the code of the error.",
		}, []string{"operation", "provider", "outcome"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: schemas.MetricRelayTokens, Help: "Tokens of calls that were passed through.",
		}, []string{"operation", "provider", "direction"}),
		cost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: schemas.MetricRelayCost, Help: "US dollars that calls that were passed through cost by their known prices.",
		}, []string{"operation", "provider"}),
		first: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: schemas.MetricRelayFirst, Help: "Time from sending a call to the first event of a stream, or to a whole answer.", Buckets: buckets,
		}, []string{"operation", "provider"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: schemas.MetricRelaySeconds, Help: "Time from a request's arrival until its record was durable.", Buckets: buckets,
		}, []string{"operation", "provider"}),
		record: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: schemas.MetricRelayRecord, Help: "Time until the record of a call was durable.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 15},
		}),
	}
	registry.MustRegister(m.calls, m.tokens, m.cost, m.first, m.took, m.record)
	return m
}

func (m *Metrics) recorded(took time.Duration) { m.record.Observe(took.Seconds()) }

func (m *Metrics) observe(c *call, err error) {
	op, provider, outcome := string(c.protocol.Operation()), c.target.Server, "ok"
	if err != nil {
		outcome = string(schemas.CodeOf(err))
	}
	if isGone(err) {
		outcome = "left"
	}
	m.calls.WithLabelValues(op, provider, outcome).Inc()
	m.tokens.WithLabelValues(op, provider, "input").Add(float64(c.usage.InputTokens))
	m.tokens.WithLabelValues(op, provider, "output").Add(float64(c.usage.OutputTokens))
	m.cost.WithLabelValues(op, provider).Add(max(0, c.cost.USD))
	m.took.WithLabelValues(op, provider).Observe(time.Since(c.start).Seconds())
	if t := c.turn.Load(); t != nil && !c.first.IsZero() {
		m.first.WithLabelValues(op, provider).Observe(c.first.Sub(t.sent).Seconds())
	}
}
