package e2e

import (
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
)

func TestZZTimeline(t *testing.T) {
	h := open(t, options{noIndex: true, models: modeltest.Options{Latency: 100 * time.Millisecond}, env: []string{"GOGC=400"}})
	pack := h.suiteOf(t, "matrix", askedSuite(1000, "model:one", "model:two"), 32)
	for range 2 {
		run := h.evaluation(t, schemas.EvalRequest{Suite: "matrix", Package: pack})
		ended(t, run)
		it := h.temporal(t).GetWorkflowHistory(t.Context(), run.GetID(), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		var zero time.Time
		names := map[int64]string{}
		starts := map[int64]time.Time{}
		type agg struct {
			n           int
			first, last time.Time
			sum         time.Duration
		}
		all := map[string]*agg{}
		for it.HasNext() {
			e, _ := it.Next()
			at := e.GetEventTime().AsTime()
			if zero.IsZero() {
				zero = at
			}
			if a := e.GetActivityTaskScheduledEventAttributes(); a != nil {
				names[e.GetEventId()] = a.GetActivityType().GetName()
				starts[e.GetEventId()] = at
			}
			if a := e.GetActivityTaskCompletedEventAttributes(); a != nil {
				n := names[a.GetScheduledEventId()]
				if all[n] == nil {
					all[n] = &agg{first: starts[a.GetScheduledEventId()]}
				}
				all[n].n++
				all[n].last = at
				all[n].sum += at.Sub(starts[a.GetScheduledEventId()])
			}
			if e.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED {
				t.Logf("end at %v", at.Sub(zero))
			}
		}
		for n, a := range all {
			t.Logf("%s: %d from %v to %v, mean %v", n, a.n, a.first.Sub(zero), a.last.Sub(zero), a.sum/time.Duration(a.n))
		}
	}
}
