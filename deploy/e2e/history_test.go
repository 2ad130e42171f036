package e2e

import (
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"google.golang.org/protobuf/proto"
)

// history reads the whole history of the latest run of a workflow.
func history(t *testing.T, h *house, workflow string) *historypb.History {
	t.Helper()
	found := &historypb.History{}
	events := h.temporal(t).GetWorkflowHistory(t.Context(), workflow, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			t.Fatal(err)
		}
		found.Events = append(found.Events, event)
	}
	return found
}

// activities counts the scheduled activities of a history by name.
func activities(h *historypb.History) map[string]int {
	names := map[string]int{}
	for _, event := range h.GetEvents() {
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
			names[scheduled.GetActivityType().GetName()]++
		}
	}
	return names
}

// children lists the ids of child workflows that a history started.
func children(h *historypb.History) []string {
	var ids []string
	for _, event := range h.GetEvents() {
		if started := event.GetChildWorkflowExecutionStartedEventAttributes(); started != nil {
			ids = append(ids, started.GetWorkflowExecution().GetWorkflowId())
		}
	}
	return ids
}

// small holds a history to 4,000 events and 4 MB.
func small(t *testing.T, workflow string, h *historypb.History) {
	t.Helper()
	events, bytes := len(h.GetEvents()), proto.Size(h)
	t.Logf("%s: %d events, %d KB", workflow, events, bytes>>10)
	if events > 4000 || bytes > 4<<20 {
		t.Errorf("%s: %d events and %d bytes", workflow, events, bytes)
	}
}
