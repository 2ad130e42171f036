package e2e

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/converter"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// leased is what the ledger's history says of a lease.
type leased struct {
	granted, settled schemas.Micros
	closed           bool // by its process, which had settled all of it
}

// leasesOf reads the messages of gateways and the ledger's answers, from its first execution to its last.
func leasesOf(t *testing.T, h *house) map[string]leased {
	t.Helper()
	id := schemas.LedgerID("default")
	var executions [][]*historypb.HistoryEvent
	for run := ""; ; {
		var events []*historypb.HistoryEvent
		found := h.temporal(t).GetWorkflowHistory(t.Context(), id, run, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for found.HasNext() {
			event, err := found.Next()
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, event)
		}
		executions = append(executions, events)
		if run = events[0].GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId(); run == "" {
			break
		}
	}
	leases := map[string]leased{}
	for _, events := range slices.Backward(executions) {
		readLeases(t, events, leases)
	}
	return leases
}

func readLeases(t *testing.T, events []*historypb.HistoryEvent, leases map[string]leased) {
	t.Helper()
	asked := map[int64]schemas.LedgerSync{}
	for _, event := range events {
		accepted := event.GetWorkflowExecutionUpdateAcceptedEventAttributes()
		if input := accepted.GetAcceptedRequest().GetInput(); input.GetName() == schemas.SyncLedger.Name() {
			var in schemas.LedgerSync
			if err := converter.GetDefaultDataConverter().FromPayloads(input.GetArgs(), &in); err != nil {
				t.Fatal(err)
			}
			asked[event.GetEventId()] = in
		}
		completed := event.GetWorkflowExecutionUpdateCompletedEventAttributes()
		in, ok := asked[completed.GetAcceptedEventId()]
		if !ok || completed.GetOutcome().GetSuccess() == nil {
			continue
		}
		var reply schemas.LedgerReply
		if err := converter.GetDefaultDataConverter().FromPayloads(completed.GetOutcome().GetSuccess(), &reply); err != nil {
			t.Fatal(err)
		}
		for i, answer := range reply.Leases {
			if !answer.Lost {
				id := schemas.LeaseID(in.Instance, answer.Number)
				leases[id] = leases[id].after(in.Leases[i], answer)
			}
		}
	}
}

// after is how the lease stands after a message and its answer.
func (l leased) after(in schemas.LeaseSync, answer schemas.LeaseReply) leased {
	for _, share := range in.Shares {
		l.settled = max(l.settled, share.Settled.Micros)
	}
	for _, share := range answer.Shares {
		l.granted = share.Granted.Micros
	}
	l.closed = l.closed || in.Closed
	return l
}

// recordsNow reads all records of the tenant's runs, as a ledger does.
func recordsNow(t *testing.T, h *house) []schemas.Exchange {
	t.Helper()
	store, prefix := h.store(t), schemas.TenantPrefix("default")+"runs/"
	found := map[string][]byte{}
	for entry, err := range journal.New(store, "reader").Find(t.Context(), "default", prefix) {
		if err != nil {
			t.Fatal(err)
		}
		found[entry.Key] = entry.Data
	}
	for info, err := range store.All(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		if found[info.Key] == nil {
			data, err := store.Get(t.Context(), info.Key)
			if err != nil {
				t.Fatal(err)
			}
			found[info.Key] = data
		}
	}
	records := make([]schemas.Exchange, 0, len(found))
	for key, data := range found {
		var e schemas.Exchange
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		records = append(records, e)
	}
	return records
}

// named is the run that a record is of, by the name that its callers gave it. That of a call that was passed through is its whole text.
func named(e schemas.Exchange) string {
	var input struct {
		Run      string
		Messages []struct{ Content string }
	}
	_ = json.Unmarshal(e.Input, &input) // what is none has no name
	if len(input.Messages) > 0 {
		return input.Messages[0].Content
	}
	return input.Run
}

// account compares what the model billed, what the records say, what the ledger says and what was leased.
func account(t *testing.T, h *house, endpoint *billing, figures schemas.LedgerFigures, killed map[string]bool) {
	t.Helper()
	recorded, byLease, byRun := schemas.Micros(0), map[string]schemas.Micros{}, map[string]schemas.Micros{}
	records := recordsNow(t, h)
	for _, e := range records {
		cost := e.Charge.Amount(e.Usage, e.Cost).Micros
		byRun[named(e)] += cost
		refused := cost == 0 && e.Charge.Lease == "" // a record that leaves an idempotency key free
		if refused || named(e) == "run-first" {
			continue
		}
		if e.Charge.Lease == "" {
			t.Errorf("run %s cost %s and no lease paid for it", e.RunID, cost)
		}
		byLease[e.Charge.Lease] += cost
		recorded += cost
	}
	window := windowOf(figures)
	if window.Spent.Micros != recorded || window.Reserved.Micros != 0 {
		t.Errorf("the ledger has %s spent and %s reserved, and the records say %s", window.Spent.Micros, window.Reserved.Micros, recorded)
	}
	if recorded > budgetLimit || recorded < budgetLimit-budgetRest {
		t.Errorf("%s of %s were spent; not more, and all but what one run may cost, was to be", recorded, budgetLimit)
	}
	outstanding := settledByLease(t, leasesOf(t, h), byLease)
	lost, calls := lostCalls(t, endpoint.all(), byRun, killed)
	billed := endpoint.spent() - byRun["run-first"]
	t.Logf("%d records; billed %s, recorded %s, in the ledger %s; %d gateways were killed, and with them the answers of calls that cost %s (in %d runs); "+
		"their leases had %s outstanding, so the bound was %s", len(records), billed, recorded, window.Spent.Micros, len(killed), lost, calls, outstanding, budgetLimit+outstanding)
	if billed != recorded+lost || lost > outstanding || billed > budgetLimit+outstanding {
		t.Errorf("billed %s, recorded %s, lost %s, outstanding %s", billed, recorded, lost, outstanding)
	}
	told := decode[rest.Spend](t, h.admin().run(t, "spend", "--by", "day", "--from", schemas.DayOf(time.Now().Add(-time.Hour)), "--json"))
	if len(told.Differs) != 0 || schemas.MicrosOf(told.Total.USD) != recorded+byRun["run-first"] {
		t.Errorf("tenuto spend says %+v", told)
	}
}

// settledByLease requires that leases which their processes closed are settled to the micro and within what they were granted. It returns what was
// outstanding of the others: granted, and in no record.
func settledByLease(t *testing.T, leases map[string]leased, recorded map[string]schemas.Micros) (outstanding schemas.Micros) {
	t.Helper()
	for id, cost := range recorded {
		if _, ok := leases[id]; !ok {
			t.Errorf("records of %s count to lease %s, of which the ledger never heard", cost, id)
		}
	}
	for id, l := range leases {
		switch {
		case recorded[id] > l.granted:
			t.Errorf("lease %s was granted %s, and %s were spent", id, l.granted, recorded[id])
		case l.closed && l.settled != recorded[id]:
			t.Errorf("lease %s was settled at %s, and the records say %s", id, l.settled, recorded[id])
		case !l.closed:
			outstanding += l.granted - recorded[id]
		}
	}
	return outstanding
}

// lostCalls is what was billed and is in no record. All of it must have been called by processes that were killed.
func lostCalls(t *testing.T, bills []bill, recorded map[string]schemas.Micros, killed map[string]bool) (lost schemas.Micros, runs int) {
	t.Helper()
	billed, byKilled := map[string]schemas.Micros{}, map[string]schemas.Micros{}
	for _, b := range bills {
		billed[b.run] += b.cost
		if killed[b.by] {
			byKilled[b.run] += b.cost
		}
	}
	for run, cost := range billed {
		more := cost - recorded[run]
		if more < 0 || more > byKilled[run] {
			t.Errorf("%s cost %s, %s of it called by gateways that were killed, and the records say %s", run, cost, byKilled[run], recorded[run])
		}
		if more > 0 {
			lost, runs = lost+more, runs+1
		}
	}
	return lost, runs
}
