package telemetry

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/schemas"
)

// temporalLabels are those labels of the SDK's metrics that are kept. Prometheus wants the same for every sample of a metric.
var temporalLabels = []string{"operation", "task_queue", "worker_type", "workflow_type", "activity_type", "status_code"}

// temporalSeconds are the buckets of the SDK's timers.
var temporalSeconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60}

// TemporalMetrics has the figures of the Temporal SDK, temporal_…, kept in registry. The SDK asks for an instrument by name each time that it
// records, some thirty times a run in a lane; so instruments are remembered, and labels that nobody has a bound for are left out.
func TemporalMetrics(registry prometheus.Registerer) client.MetricsHandler {
	return &temporalMetrics{shared: &temporalVectors{registry: registry}}
}

type temporalMetrics struct {
	shared *temporalVectors
	labels [6]string // values of temporalLabels

	known sync.Map // instruments by kind and name
}

// temporalVectors are the metrics that all handlers of a process share.
type temporalVectors struct {
	registry prometheus.Registerer
	handlers sync.Map // *temporalMetrics by their labels

	mu      sync.Mutex
	vectors map[string]prometheus.Collector
}

// WithTags implements client.MetricsHandler.
func (t *temporalMetrics) WithTags(tags map[string]string) client.MetricsHandler {
	labels := t.labels
	for i, label := range temporalLabels {
		if value, ok := tags[label]; ok {
			labels[i] = bounded(label, value)
		}
	}
	if labels == t.labels {
		return t
	}
	if known, ok := t.shared.handlers.Load(labels); ok {
		return known.(*temporalMetrics) //nolint:errcheck,forcetypeassert // nothing else is stored
	}
	made, _ := t.shared.handlers.LoadOrStore(labels, &temporalMetrics{shared: t.shared, labels: labels})
	return made.(*temporalMetrics) //nolint:errcheck,forcetypeassert // nothing else is stored
}

// bounded makes one value of what is named after a process or a workflow.
func bounded(label, value string) string {
	switch {
	case label == "task_queue" && strings.HasPrefix(value, schemas.LaneQueue("")):
		return schemas.LaneQueue("")
	case label == "task_queue" && (strings.Contains(value, ":") || strings.Count(value, "-") > 2):
		return "sticky"
	}
	return value
}

// instrument finds or makes the instrument with the handler's labels.
func instrument[T any](t *temporalMetrics, kind, name string, create func() T) T {
	if known, ok := t.known.Load(kind + name); ok {
		return known.(T) //nolint:errcheck,forcetypeassert // each kind has one type
	}
	made := create()
	t.known.Store(kind+name, made)
	return made
}

// vector finds or registers a metric.
func vector[V prometheus.Collector](s *temporalVectors, name string, create func() V) V {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.vectors[name]; ok {
		return found.(V) //nolint:errcheck,forcetypeassert // the SDK uses a name for one kind
	}
	if s.vectors == nil {
		s.vectors = map[string]prometheus.Collector{}
	}
	made := create()
	s.registry.MustRegister(made)
	s.vectors[name] = made
	return made
}

// Counter implements client.MetricsHandler.
func (t *temporalMetrics) Counter(name string) client.MetricsCounter {
	return instrument(t, "c", name, func() temporalCounter {
		v := vector(t.shared, name+"_total", func() *prometheus.CounterVec {
			return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name + "_total", Help: "Of the Temporal SDK."}, temporalLabels)
		})
		return temporalCounter{v.WithLabelValues(t.labels[:]...)}
	})
}

// Gauge implements client.MetricsHandler.
func (t *temporalMetrics) Gauge(name string) client.MetricsGauge {
	return instrument(t, "g", name, func() temporalGauge {
		v := vector(t.shared, name, func() *prometheus.GaugeVec {
			return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "Of the Temporal SDK."}, temporalLabels)
		})
		return temporalGauge{v.WithLabelValues(t.labels[:]...)}
	})
}

// Timer implements client.MetricsHandler.
func (t *temporalMetrics) Timer(name string) client.MetricsTimer {
	return instrument(t, "t", name, func() temporalTimer {
		v := vector(t.shared, name+"_seconds", func() *prometheus.HistogramVec {
			return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name + "_seconds", Help: "Of the Temporal SDK.", Buckets: temporalSeconds}, temporalLabels)
		})
		return temporalTimer{v.WithLabelValues(t.labels[:]...)}
	})
}

type temporalCounter struct{ prometheus.Counter }

// Inc implements client.MetricsCounter.
func (c temporalCounter) Inc(n int64) { c.Add(float64(n)) }

type temporalGauge struct{ gauge prometheus.Gauge }

// Update implements client.MetricsGauge.
func (g temporalGauge) Update(v float64) { g.gauge.Set(v) }

type temporalTimer struct{ observer prometheus.Observer }

// Record implements client.MetricsTimer.
func (t temporalTimer) Record(d time.Duration) { t.observer.Observe(d.Seconds()) }
