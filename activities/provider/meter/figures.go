package meter

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenuto-dev/tenuto/schemas"
)

// figures are the instruments of a process.
type figures struct {
	runs, steps, retries, activities, cost, unknown, readBack, written, documents, chunks, moves, reconciled *prometheus.CounterVec
	runSeconds, stepSeconds, activitySeconds, callSeconds, callTokens, callFirst, limiter, store, index      *prometheus.HistogramVec
	firstToken                                                                                               prometheus.Observer
}

// The buckets of histograms. Those of calls are the ones that the conventions for generative AI advise.
var (
	quick  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15, 60}
	slow   = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}
	calls  = []float64{.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	firsts = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}
	tokens = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
)

// The labels of GenAI metrics, with the underscores that Prometheus wants.
const (
	labelOperation = "gen_ai_operation_name"
	labelProvider  = "gen_ai_provider_name"
	labelModel     = "gen_ai_request_model"
	labelTokens    = "gen_ai_token_type" //nolint:gosec // the name of a label
	labelError     = "error_type"
)

func newFigures(registry *prometheus.Registry) *figures {
	r := registrar{registry}
	return &figures{
		runs:            r.counter(schemas.MetricRuns, "Runs that ended, by what came of them.", "chain", "execution", "status"),
		runSeconds:      r.histogram(schemas.MetricRunSeconds, "Time from a run's start until its record was durable.", slow, "chain", "execution"),
		firstToken:      r.histogram(schemas.MetricFirstToken, "Time from a request for a streamed run to the first piece of its answer.", firsts).WithLabelValues(),
		steps:           r.counter(schemas.MetricSteps, "Steps that were carried out, a turn of a tool loop and an attempt each counting.", "kind", "outcome"),
		stepSeconds:     r.histogram(schemas.MetricStepSeconds, "Time that a step took.", slow, "kind"),
		retries:         r.counter(schemas.MetricRetries, "Steps that were tried again, and activities likewise.", "kind"),
		activities:      r.counter(schemas.MetricActivities, "Activities by contract and what came of them.", "activity", "outcome"),
		activitySeconds: r.histogram(schemas.MetricActivitySeconds, "Time that an activity took.", slow, "activity"),
		callSeconds:     r.histogram(schemas.MetricCallSeconds, "Time from sending a call of a model to its whole answer; what was read back from records is not counted.", calls, labelOperation, labelProvider, labelModel, labelError),
		callTokens:      r.histogram(schemas.MetricCallTokens, "Tokens of a call.", tokens, labelOperation, labelProvider, labelModel, labelTokens),
		callFirst:       r.histogram(schemas.MetricCallFirst, "Time from sending a streamed call to its first piece.", firsts, labelOperation, labelProvider, labelModel),
		cost:            r.counter(schemas.MetricCost, "US dollars that calls of models cost by their known prices.", "provider", "model"),
		unknown:         r.counter(schemas.MetricUnknownCost, "Calls whose price is not known.", "provider", "model"),
		readBack:        r.counter(schemas.MetricReadBack, "Responses that were not paid for: recorded by an earlier attempt, or shared by equal calls.", "provider", "source"),
		limiter:         r.histogram(schemas.MetricLimiterSeconds, "Time that a call waited for its turn within the provider's limits.", quick, "provider"),
		store:           r.histogram(schemas.MetricStoreSeconds, "Time of a call of the artifact store.", quick, "operation", "kind", "outcome"),
		written:         r.counter(schemas.MetricStoreBytes, "Bytes that were written to the artifact store.", "kind"),
		index:           r.histogram(schemas.MetricIndexSeconds, "Time of a call of the vector index.", quick, "operation", "outcome"),
		documents:       r.counter(schemas.MetricDocuments, "Documents of ingestions by what became of them.", "outcome"),
		chunks:          r.counter(schemas.MetricChunks, "Chunks of ingestions by what was done with them.", "done"),
		moves:           r.counter(schemas.MetricLabelMoves, "Changes of labels of releases, by kind.", "kind"),
		reconciled:      r.counter(schemas.MetricReconciled, "Runs whose records were compared with their workflows, by finding.", "finding"),
	}
}

// registrar makes instruments that are registered.
type registrar struct{ registry *prometheus.Registry }

func (r registrar) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.registry.MustRegister(c)
	return c
}

func (r registrar) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	r.registry.MustRegister(h)
	return h
}
