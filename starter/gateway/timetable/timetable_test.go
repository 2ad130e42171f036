package timetable_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
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

// rig is a timetable over the Temporal server of the environment, with a worker that carries out evaluations at once.
type rig struct {
	*testing.T
	timetable.Table

	client client.Client
	tenant string
}

// made counts tenants.
var made atomic.Int64

func start(t *testing.T) rig {
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
	r := rig{t, timetable.Table{Schedules: c.ScheduleClient(), Runs: c}, c, fmt.Sprintf("t%d-%d", time.Now().UnixMilli(), made.Add(1))}
	t.Cleanup(func() {
		_ = r.Delete(context.WithoutCancel(t.Context()), r.tenant, nightly().Suite) // most tests have done so
		w.Stop()
		c.Close()
	})
	return r
}

func nightly() schemas.SuiteSchedule {
	return schemas.SuiteSchedule{Suite: "docs-qa", Cron: "0 3 * * *", TimeZone: "Europe/Berlin", JitterS: 60, Package: schemas.Hash([]byte("a")), Source: "answers"}
}

func (r rig) apply(in schemas.SuiteSchedule, dry bool) timetable.Outcome {
	r.Helper()
	outcome, err := r.Apply(r.Context(), in, schemas.EvalRequest{
		Tenant: r.tenant, Suite: in.Suite, Package: schemas.Ref{SHA256: in.Package}, Trigger: schemas.EvalSchedule,
	}, dry)
	if err != nil {
		r.Fatal(err)
	}
	return outcome
}

func (r rig) show() timetable.Entry {
	r.Helper()
	entry, err := r.Show(r.Context(), r.tenant, nightly().Suite)
	if err != nil {
		r.Fatal(err)
	}
	return entry
}

func (r rig) eventually(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatal("it does not come about that " + what)
		}
	}
}

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestAScheduleIsApplied(t *testing.T) {
	t.Parallel()
	r := start(t)
	in, changed := nightly(), nightly()
	changed.JitterS, changed.CatchUpS, changed.Package = 0, 7200, schemas.Hash([]byte("b"))
	alone := changed
	alone.Source = "" // it stays one of its project's
	got := []timetable.Outcome{r.apply(in, true), r.apply(in, false), r.apply(in, false), r.apply(changed, true), r.apply(changed, false), r.apply(alone, false)}
	want := []timetable.Outcome{timetable.Created, timetable.Created, timetable.Unchanged, timetable.Updated, timetable.Updated, timetable.Unchanged}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	entry := r.show()
	if diff := cmp.Diff(changed, entry.SuiteSchedule); diff != "" || entry.Paused || len(entry.Next) == 0 || entry.Note != "runs the suite docs-qa" {
		t.Fatalf("%+v\n%s", entry, diff)
	}
	if at := entry.Next[0].In(berlin(t)); at.Hour() != 3 || at.Minute() != 0 {
		t.Errorf("next at %s", at)
	}
	if err := r.Pause(t.Context(), r.tenant, in.Suite, "ann: holidays"); err != nil {
		t.Fatal(err)
	}
	if outcome := r.apply(in, false); outcome != timetable.Updated {
		t.Errorf("applied %s", outcome)
	}
	if entry = r.show(); !entry.Paused || entry.Note != "ann: holidays" {
		t.Errorf("paused it stays: %+v", entry)
	}
	if err := r.Resume(t.Context(), r.tenant, in.Suite, "ann: back"); err != nil {
		t.Fatal(err)
	}
	if entry = r.show(); entry.Paused || entry.Note != "ann: back" {
		t.Errorf("resumed %+v", entry)
	}
}

// TestNightsAreMadeUp runs three nights one after another, the first and the last included, then one by hand.
func TestNightsAreMadeUp(t *testing.T) {
	t.Parallel()
	r := start(t)
	in := nightly()
	in.JitterS = 0
	r.apply(in, false)
	first := time.Date(2026, 11, 2, 3, 0, 0, 0, berlin(t))
	if err := r.Backfill(t.Context(), r.tenant, in.Suite, first, first.AddDate(0, 0, 2)); err != nil {
		t.Fatal(err)
	}
	var entry timetable.Entry
	r.eventually("three runs end", func() bool {
		ended := 0
		entry = r.show()
		for _, run := range entry.Runs {
			if s := run.Summary; s != nil && s.Ruling == schemas.RulingPassed && s.Trigger == schemas.EvalSchedule && s.Package == in.Package {
				ended++
			}
		}
		return ended == 3
	})
	planned := map[string]bool{}
	for _, run := range entry.Runs {
		planned[run.Planned.In(berlin(t)).Format(time.DateTime)] = true
	}
	if diff := cmp.Diff(map[string]bool{"2026-11-02 03:00:00": true, "2026-11-03 03:00:00": true, "2026-11-04 03:00:00": true}, planned); diff != "" {
		t.Error(diff)
	}
	if err := r.Trigger(t.Context(), r.tenant, in.Suite); err != nil {
		t.Fatal(err)
	}
	r.eventually("a fourth run ends", func() bool {
		entry = r.show()
		return entry.Started == 4 && entry.Runs[0].Summary != nil
	})
	described, err := r.client.DescribeWorkflow(t.Context(), entry.Runs[0].Workflow, "")
	if err != nil || described.TypedSearchAttributes.Size() < 2 {
		t.Errorf("%+v, %v", described, err)
	}
}

func TestSchedulesAreTheirTenants(t *testing.T) {
	t.Parallel()
	r := start(t)
	in := nightly()
	r.apply(in, false)
	r.eventually("it is listed", func() bool {
		list, err := r.List(t.Context(), r.tenant)
		return err == nil && len(list) == 1 && list[0].Suite == in.Suite
	})
	if others, err := r.List(t.Context(), r.tenant+"x"); err != nil || len(others) != 0 {
		t.Errorf("%v, %v", others, err)
	}
	if err := r.Delete(t.Context(), r.tenant, in.Suite); err != nil {
		t.Fatal(err)
	}
	_, shown := r.Show(t.Context(), r.tenant, in.Suite)
	for what, err := range map[string]error{
		"show": shown, "pause": r.Pause(t.Context(), r.tenant, in.Suite, "x"), "trigger": r.Trigger(t.Context(), r.tenant, in.Suite),
		"delete": r.Delete(t.Context(), r.tenant, in.Suite),
	} {
		if schemas.CodeOf(err) != schemas.NotFound {
			t.Errorf("%s of what is not there: %v", what, err)
		}
	}
}

func TestWhatTemporalDoesNotTake(t *testing.T) {
	t.Parallel()
	r := start(t)
	bad := nightly()
	bad.TimeZone = "Mars/Olympus"
	if _, err := r.Apply(t.Context(), bad, schemas.EvalRequest{Tenant: r.tenant}, false); schemas.CodeOf(err) != schemas.Invalid {
		t.Errorf("a time zone that there is not: %v", err)
	}
	now := time.Now()
	for _, to := range []time.Time{now.Add(-time.Hour), now.AddDate(0, 2, 0)} {
		if err := r.Backfill(t.Context(), r.tenant, bad.Suite, now, to); schemas.CodeOf(err) != schemas.Invalid {
			t.Errorf("until %s: %v", to, err)
		}
	}
}
