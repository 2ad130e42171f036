package timetable_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/timetable"
	"github.com/tenuto-dev/tenuto/worker/dial"
)

// real connects to the Temporal server of the environment, with a worker that carries out evaluations at once.
func real(t *testing.T) (timetable.Table, client.Client) {
	t.Helper()
	if os.Getenv("TEMPORAL_ADDRESS") == "" {
		t.Skip("TEMPORAL_ADDRESS is not set")
	}
	c, err := dial.Open(t.Context(), dial.Options{Getenv: os.Getenv})
	if err != nil {
		t.Fatal(err)
	}
	w := worker.New(c, schemas.QueueEval, worker.Options{})
	w.RegisterWorkflowWithOptions(func(_ workflow.Context, in schemas.EvalRequest) (schemas.EvalSummary, error) {
		return schemas.EvalSummary{Suite: in.Suite, Trigger: in.Trigger, Package: in.Package.SHA256, Ruling: schemas.RulingPassed}, nil
	}, workflow.RegisterOptions{Name: schemas.Evaluate.Name()})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Stop(); c.Close() })
	return timetable.Table{Schedules: c.ScheduleClient(), Runs: c}, c
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come about that " + what)
		}
	}
}

// TestAScheduleOnARealServer goes through the life of a schedule.
func TestAScheduleOnARealServer(t *testing.T) {
	table, c := real(t)
	tenant := fmt.Sprintf("t%d", time.Now().UnixNano())
	in := schemas.SuiteSchedule{Suite: "docs-qa", Cron: "0 3 * * *", TimeZone: "Europe/Berlin", JitterS: 60, Package: schemas.Hash([]byte("a")), Source: "answers"}
	apply := func(in schemas.SuiteSchedule, dry bool) timetable.Outcome {
		t.Helper()
		outcome, err := table.Apply(t.Context(), in, schemas.EvalRequest{Tenant: tenant, Suite: in.Suite, Package: schemas.Ref{SHA256: in.Package}, Trigger: schemas.EvalSchedule}, dry)
		if err != nil {
			t.Fatal(err)
		}
		return outcome
	}
	show := func() timetable.Entry {
		t.Helper()
		entry, err := table.Show(t.Context(), tenant, in.Suite)
		if err != nil {
			t.Fatal(err)
		}
		return entry
	}
	t.Cleanup(func() { _ = table.Delete(context.Background(), tenant, in.Suite) })
	changed := in
	changed.JitterS, changed.CatchUpS, changed.Package = 0, 7200, schemas.Hash([]byte("b"))
	got := []timetable.Outcome{apply(in, true), apply(in, false), apply(in, false), apply(changed, true), apply(changed, false), apply(changed, false)}
	want := []timetable.Outcome{timetable.Created, timetable.Created, timetable.Unchanged, timetable.Updated, timetable.Updated, timetable.Unchanged}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	entry := show()
	if diff := cmp.Diff(changed, entry.SuiteSchedule); diff != "" || entry.Paused || len(entry.Next) == 0 || entry.Note != "runs the suite docs-qa" {
		t.Fatalf("%+v\n%s", entry, diff)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	if at := entry.Next[0].In(berlin); at.Hour() != 3 || at.Minute() != 0 {
		t.Errorf("next at %s", at)
	}

	// Paused it stays when it is applied anew.
	if err := table.Pause(t.Context(), tenant, in.Suite, "ann: holidays"); err != nil {
		t.Fatal(err)
	}
	if outcome := apply(in, false); outcome != timetable.Updated {
		t.Errorf("applied %s", outcome)
	}
	if entry = show(); !entry.Paused || entry.Note != "ann: holidays" {
		t.Errorf("paused %+v", entry)
	}
	if err := table.Resume(t.Context(), tenant, in.Suite, "ann: back"); err != nil {
		t.Fatal(err)
	}

	// Three nights are made up one after another, the first and the last included.
	first := time.Date(2026, 11, 2, 3, 0, 0, 0, berlin)
	apply(changed, false) // without jitter
	if err := table.Backfill(t.Context(), tenant, in.Suite, first, first.AddDate(0, 0, 2)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "three runs end", func() bool {
		entry = show()
		ended := 0
		for _, run := range entry.Runs {
			if run.Summary != nil && run.Summary.Ruling == schemas.RulingPassed && run.Summary.Trigger == schemas.EvalSchedule && run.Summary.Package == changed.Package {
				ended++
			}
		}
		return ended == 3
	})
	planned := map[string]bool{}
	for _, run := range entry.Runs {
		planned[run.Planned.In(berlin).Format(time.DateTime)] = true
	}
	if diff := cmp.Diff(map[string]bool{"2026-11-02 03:00:00": true, "2026-11-03 03:00:00": true, "2026-11-04 03:00:00": true}, planned); diff != "" {
		t.Error(diff)
	}
	if err := table.Trigger(t.Context(), tenant, in.Suite); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a fourth run ends", func() bool {
		entry = show()
		return entry.Started == 4 && entry.Runs[0].Summary != nil
	})
	described, err := c.DescribeWorkflow(t.Context(), entry.Runs[0].Workflow, "")
	if err != nil || described.TypedSearchAttributes.Size() < 2 {
		t.Errorf("%+v, %v", described, err)
	}
	eventually(t, "it is listed", func() bool {
		list, err := table.List(t.Context(), tenant)
		return err == nil && len(list) == 1 && list[0].Suite == in.Suite
	})
	if others, err := table.List(t.Context(), tenant+"x"); err != nil || len(others) != 0 {
		t.Errorf("%v, %v", others, err)
	}
	if err := table.Delete(t.Context(), tenant, in.Suite); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"show": func() error { _, err := table.Show(t.Context(), tenant, in.Suite); return err }(), "pause": table.Pause(t.Context(), tenant, in.Suite, "x"),
		"trigger": table.Trigger(t.Context(), tenant, in.Suite), "delete": table.Delete(t.Context(), tenant, in.Suite),
	} {
		if schemas.CodeOf(err) != schemas.NotFound {
			t.Errorf("%s of what is not there: %v", what, err)
		}
	}
	bad := in
	bad.TimeZone = "Mars/Olympus"
	if _, err := table.Apply(t.Context(), bad, schemas.EvalRequest{Tenant: tenant}, false); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a time zone that there is not: %v", err)
	}
	if err := table.Backfill(t.Context(), tenant, in.Suite, first, first.AddDate(0, 2, 0)); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("two months: %v", err)
	}
}
