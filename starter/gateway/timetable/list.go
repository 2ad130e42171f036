package timetable

import (
	"cmp"
	"context"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"

	"github.com/tenuto-dev/tenuto/schemas"
	tenuto "github.com/tenuto-dev/tenuto/starter/client"
)

// runsShown is how many runs of a schedule are looked up.
const runsShown = 5

// Entry is how a schedule stands.
type Entry struct {
	schemas.SuiteSchedule

	Paused  bool
	Note    string
	Next    []time.Time
	Started int   // runs, also by hand
	Missed  int   // starts that were missed for longer than they are made up
	Skipped int   // starts because one ran, and another waited already
	Running int   // now
	Runs    []Run // the latest first
}

// Run is one that a schedule started.
type Run struct {
	Planned  time.Time
	Started  time.Time
	Workflow string
	Status   enumspb.WorkflowExecutionStatus // unspecified where Temporal has forgotten it
	Summary  *schemas.EvalSummary            // of one that ended with a verdict
	Failure  string                          // why one ended without
}

// Show says how a schedule stands. Error: not_found.
func (t Table) Show(ctx context.Context, tenant, suite string) (Entry, error) {
	found, err := t.handle(ctx, tenant, suite).Describe(ctx)
	if err != nil {
		return Entry{}, known(err, suite)
	}
	entry := Entry{
		Next: found.Info.NextActionTimes, Started: found.Info.NumActions, Missed: found.Info.NumActionsMissedCatchupWindow,
		Skipped: found.Info.NumActionsSkippedOverlap, Running: len(found.Info.RunningWorkflows),
	}
	entry.SuiteSchedule, _ = applied(found.Schedule)
	entry.Suite = suite
	if s := found.Schedule.State; s != nil {
		entry.Paused, entry.Note = s.Paused, s.Note
	}
	entry.Runs, err = t.runs(ctx, found.Info.RecentActions)
	return entry, err
}

// runs looks up the last runs.
func (t Table) runs(ctx context.Context, recent []client.ScheduleActionResult) ([]Run, error) {
	recent = slices.Clone(recent)
	slices.SortFunc(recent, func(a, b client.ScheduleActionResult) int { return b.ActualTime.Compare(a.ActualTime) })
	runs := make([]Run, min(len(recent), runsShown))
	for i := range runs {
		runs[i] = Run{Planned: recent[i].ScheduleTime, Started: recent[i].ActualTime}
		started := recent[i].StartWorkflowResult
		if started == nil {
			continue
		}
		runs[i].Workflow = started.WorkflowID
		if err := t.look(ctx, &runs[i], started.FirstExecutionRunID); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// look says what became of a run.
func (t Table) look(ctx context.Context, run *Run, execution string) error {
	found, err := t.Runs.DescribeWorkflow(ctx, run.Workflow, execution)
	if err != nil {
		if coded := tenuto.Coded(err); schemas.CodeOf(coded) != schemas.NotFound {
			return coded
		}
		return nil
	}
	run.Status = found.Status
	if found.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil
	}
	summary, err := tenuto.Attach(ctx, t.Runs, schemas.Evaluate, run.Workflow, execution).Wait(ctx)
	if err != nil {
		run.Failure = schemas.SafeMessage(err)
		return ctx.Err()
	}
	run.Summary = &summary
	return nil
}

// atOnce is how many schedules are described at the same time.
const atOnce = 8

// List says how the schedules of a tenant stand, by suite.
func (t Table) List(ctx context.Context, tenant string) ([]Entry, error) {
	suites, err := t.suites(ctx, tenant)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(suites))
	describing, within := errgroup.WithContext(ctx)
	describing.SetLimit(atOnce)
	for i, suite := range suites {
		describing.Go(func() error {
			var err error
			entries[i], err = t.Show(within, tenant, suite)
			if err != nil && schemas.CodeOf(err) == schemas.NotFound { // it was deleted meanwhile
				err = nil
			}
			return err
		})
	}
	err = describing.Wait()
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.Suite == "" })
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Suite, b.Suite) })
	return entries, err
}

// suites are those of a tenant that have a schedule.
func (t Table) suites(ctx context.Context, tenant string) ([]string, error) {
	page, err := t.Schedules.List(ctx, client.ScheduleListOptions{PageSize: 200, Query: schemas.AttrTenant + " = '" + tenant + "'"})
	if err != nil {
		return nil, tenuto.Coded(err)
	}
	var suites []string
	for page.HasNext() {
		next, err := page.Next()
		if err != nil {
			return nil, tenuto.Coded(err)
		}
		if suite := suiteOf(tenant, next.ID); suite != "" {
			suites = append(suites, suite)
		}
	}
	return suites, nil
}
