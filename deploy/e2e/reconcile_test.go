package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "go.temporal.io/sdk/client"

	"github.com/tenuto-dev/tenuto/activities/provider/model/modeltest"
	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
)

// settled waits until the record of a run is at its place and nowhere else, and returns its key.
func settled(t *testing.T, h *house, run string) string {
	t.Helper()
	start, ok := schemas.RunStart(run)
	if !ok {
		t.Fatalf("the id %s is no time", run)
	}
	key, store := schemas.RunKey("default", run, start), h.store(t)
	await(t, time.Minute, "the record of "+run+" to settle", func() bool {
		_, err := store.Stat(t.Context(), key)
		left, listed := store.List(t.Context(), "tenants/default/journal/", "", 1)
		return err == nil && listed == nil && len(left) == 0
	})
	return key
}

// compared has the records of the last hour compared until all of so many runs are known to visibility.
func compared(t *testing.T, u user, runs int) schemas.ReconcileReport {
	t.Helper()
	var report schemas.ReconcileReport
	await(t, time.Minute, "visibility to know all runs", func() bool {
		out := u.try(t, "runs", "reconcile", "--from", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "--json")
		if out.status != 0 && out.status != 3 {
			t.Fatalf("status %d: %s", out.status, out.stderr)
		}
		next := decode[schemas.ReconcileReport](t, out.stdout)
		report = report.Add(next)
		report.Checked, report.Agree = next.Checked, next.Agree
		return next.Checked == runs
	})
	return report
}

// TestReconcile takes the record of one run away, ends another before it can leave one, and changes a third: the first two are filled in once,
// and the third is told of and left as it is.
func TestReconcile(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	u, store := h.admin(), h.store(t)
	kept := u.chain(t, pair(), `{"word":"heron"}`, schemas.ExecutionWorkflow)
	lost := u.chain(t, everything(), `{"list":["x","y"]}`, schemas.ExecutionWorkflow)
	changed := u.chain(t, pair(), `{"word":"egret"}`, schemas.ExecutionWorkflow)
	u.chain(t, pair(), `{"word":"godwit"}`, schemas.ExecutionLane)
	before := u.runOf(t, lost.RunID)
	keys := map[string]string{}
	for _, run := range []string{kept.RunID, lost.RunID, changed.RunID} {
		keys[run] = settled(t, h, run)
	}

	calls := h.models.handler.Stats().Chats
	h.models.handler.Fail(modeltest.Failure{}, modeltest.Failure{Hang: true})
	ended := u.detachChain(t, repeating(schemas.ChainDef{Steps: []schemas.StepDef{repeat("a", "'one'"), repeat("b", "'two'", "a")}}, nil))
	await(t, soon, "the model to be asked", func() bool { return h.models.handler.Stats().Chats == calls+2 })
	await(t, time.Minute, "the first step to be in the history", func() bool {
		return len(history(t, h, schemas.RunWorkflowID("default", ended)).GetEvents()) > 4
	})
	if err := h.temporal(t).TerminateWorkflow(t.Context(), schemas.RunWorkflowID("default", ended), "", "test"); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(t.Context(), keys[lost.RunID]); err != nil {
		t.Fatal(err)
	}
	key := keys[changed.RunID]
	data, err := store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var e schemas.Exchange
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	e.Output = json.RawMessage(`"something else"`)
	data, _ = json.Marshal(e)
	if err := store.Put(t.Context(), key, data); err != nil {
		t.Fatal(err)
	}

	report := compared(t, u, 4)
	if report.Filled != 2 || report.Missing != 0 || report.Differ < 1 || report.Agree < 1 {
		t.Errorf("report %+v", report)
	}
	again := compared(t, u, 4)
	if again.Filled != 0 || again.Agree != 3 || again.Differ != 1 || again.Findings[0].RunID != changed.RunID {
		t.Errorf("a second time: %+v", again)
	}
	if now, err := store.Get(t.Context(), key); err != nil || string(now) != string(data) {
		t.Errorf("a record that differs was changed: %v", err)
	}
	after := u.runOf(t, lost.RunID)
	if after.Record.FilledMS == 0 || after.Status != rest.RunDone {
		t.Errorf("it is not marked: %+v", after)
	}
	if diff := cmp.Diff(string(before.Output), string(after.Output)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(steps(before.Record), steps(after.Record)); diff != "" {
		t.Error(diff)
	}
	if before.Record.Usage != after.Record.Usage {
		t.Errorf("usage %+v, before %+v", after.Record.Usage, before.Record.Usage)
	}
	failed := u.runOf(t, ended)
	if failed.Status != rest.RunFailed || failed.Record == nil || failed.Record.FilledMS == 0 || len(failed.Record.Steps) == 0 || failed.Record.Steps[0].ID != "a" {
		t.Errorf("the run that was ended: %+v", failed)
	}
}

// steps tells the steps of a record by path, id and output, in any order: side by side they end as they may.
func steps(e *schemas.Exchange) map[string]string {
	all := map[string]string{}
	for _, s := range e.Steps {
		all[s.Path+s.ID] = string(s.Output)
	}
	return all
}

// TestReconcileIsScheduled requires that workers have Temporal compare by the clock.
func TestReconcileIsScheduled(t *testing.T) {
	t.Parallel()
	h := open(t, options{noIndex: true})
	handle := h.temporal(t).ScheduleClient().GetHandle(t.Context(), schemas.ReconcileScheduleID)
	await(t, time.Minute, "the schedule, which a worker makes while it starts", func() bool {
		return handle.Trigger(t.Context(), sdk.ScheduleTriggerOptions{}) == nil
	})
	await(t, time.Minute, "the scheduled comparison to end", func() bool {
		described, err := handle.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range described.Info.RecentActions {
			var report schemas.ReconcileReport
			id := action.StartWorkflowResult.WorkflowID
			if h.temporal(t).GetWorkflow(t.Context(), id, "").Get(t.Context(), &report) == nil && report.ToMS > report.FromMS {
				return true
			}
		}
		return false
	})
}

// TestRecordReconcile records a comparison that fills in a record, in a house of its own.
func TestRecordReconcile(t *testing.T) {
	t.Parallel()
	if os.Getenv("TENUTO_RECORD") == "" {
		t.Skip("TENUTO_RECORD is not set; histories are recorded on purpose only")
	}
	h := open(t, options{noIndex: true})
	u := h.admin()
	lost := u.chain(t, pair(), `{"word":"heron"}`, schemas.ExecutionWorkflow)
	if err := h.store(t).Delete(t.Context(), settled(t, h, lost.RunID)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // until visibility knows of the run
	status, body := u.http(t, http.MethodPost, "/api/v1/reconciliations", `{"from":"2020-01-01T00:00:00Z","to":"2100-01-01T00:00:00Z"}`)
	if report := decode[schemas.ReconcileReport](t, body); status != http.StatusOK || report.Filled != 1 {
		t.Fatalf("status %d: %s", status, body)
	}
	handle := h.temporal(t).ScheduleClient().GetHandle(t.Context(), schemas.ReconcileScheduleID)
	await(t, time.Minute, "the schedule, which a worker makes while it starts", func() bool {
		return handle.Trigger(t.Context(), sdk.ScheduleTriggerOptions{}) == nil
	})
	var scheduled string
	await(t, time.Minute, "the scheduled comparison", func() bool {
		described, err := handle.Describe(t.Context())
		if err == nil && len(described.Info.RecentActions) > 0 {
			scheduled = described.Info.RecentActions[0].StartWorkflowResult.WorkflowID
			return h.temporal(t).GetWorkflow(t.Context(), scheduled, "").Get(t.Context(), nil) == nil
		}
		return false
	})
	record(t, h, "Reconcile-scheduled", scheduled)
	asked := schemas.ReconcileID("default", "recorded")
	run, err := h.temporal(t).ExecuteWorkflow(t.Context(), sdk.StartWorkflowOptions{ID: asked, TaskQueue: schemas.QueueIngest}, schemas.Reconcile.Name(),
		schemas.ReconcileRequest{Tenant: "default", FromMS: 1, ToMS: time.Now().UnixMilli()})
	if err == nil {
		err = run.Get(t.Context(), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	record(t, h, "Reconcile-asked", asked)
}
