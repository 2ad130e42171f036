package gateway

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tenuto-dev/tenuto/schemas"
	"github.com/tenuto-dev/tenuto/starter/gateway/rest"
	"github.com/tenuto-dev/tenuto/starter/gateway/timetable"
)

type scheduleInput struct {
	Suite string `path:"suite" doc:"Name of the suite."`
}

type putScheduleInput struct {
	Suite string `path:"suite" doc:"Name of the suite."`
	Body  rest.PutSchedule
}

type pauseScheduleInput struct {
	Suite string `path:"suite"`
	Body  rest.PauseSchedule
}

type backfillScheduleInput struct {
	Suite string `path:"suite"`
	Body  rest.BackfillSchedule
}

type scheduleOutput struct{ Body rest.Schedule }

type appliedScheduleOutput struct{ Body rest.AppliedSchedule }

func (g *Gateway) scheduleRoutes() {
	const one = "/api/v1/schedules/{suite}"
	add := func(id, method, path, summary string, errors ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"evals"}, Errors: append(errors, http.StatusServiceUnavailable),
		}
	}
	route(g, add("list-schedules", http.MethodGet, "/api/v1/schedules", "List when suites run by themselves, and how that went"), operators, g.listSchedules)
	route(g, add("show-schedule", http.MethodGet, one, "Show when a suite runs by itself, and how that went", http.StatusNotFound), operators, g.showSchedule)
	put := add("put-schedule", http.MethodPut, one, "Have a suite run by itself; the same again changes nothing", http.StatusNotFound)
	put.Metadata = map[string]any{refuses: true}
	route(g, put, operators, g.putSchedule)
	route(g, add("delete-schedule", http.MethodDelete, one, "End a schedule; runs under way go on", http.StatusNotFound), operators, g.deleteSchedule)
	route(g, add("pause-schedule", http.MethodPost, one+"/pause", "Keep a schedule from starting runs", http.StatusNotFound), operators, func(ctx context.Context, in *pauseScheduleInput) (*scheduleOutput, error) {
		return g.changeSchedule(ctx, in.Suite, func(t timetable.Table) error {
			return t.Pause(ctx, caller(ctx).Tenant, in.Suite, noteOf(ctx, "paused", in.Body.Why))
		})
	})
	route(g, add("resume-schedule", http.MethodPost, one+"/resume", "Have a paused schedule start runs again", http.StatusNotFound), operators, func(ctx context.Context, in *pauseScheduleInput) (*scheduleOutput, error) {
		return g.changeSchedule(ctx, in.Suite, func(t timetable.Table) error {
			return t.Resume(ctx, caller(ctx).Tenant, in.Suite, noteOf(ctx, "resumed", in.Body.Why))
		})
	})
	route(g, add("trigger-schedule", http.MethodPost, one+"/trigger", "Start a run of a schedule now, after one that is under way", http.StatusNotFound), operators, func(ctx context.Context, in *scheduleInput) (*scheduleOutput, error) {
		return g.changeSchedule(ctx, in.Suite, func(t timetable.Table) error { return t.Trigger(ctx, caller(ctx).Tenant, in.Suite) })
	})
	route(g, add("backfill-schedule", http.MethodPost, one+"/backfill", "Start the runs of a schedule that were due in a time, one after another", http.StatusNotFound), operators, func(ctx context.Context, in *backfillScheduleInput) (*scheduleOutput, error) {
		return g.changeSchedule(ctx, in.Suite, func(t timetable.Table) error {
			return t.Backfill(ctx, caller(ctx).Tenant, in.Suite, in.Body.From, in.Body.To)
		})
	})
}

func (g *Gateway) timetable() timetable.Table {
	return timetable.Table{Schedules: g.temporal.ScheduleClient(), Runs: g.temporal}
}

// noteOf says who changed a schedule, and why.
func noteOf(ctx context.Context, what, why string) string {
	by := actor(ctx)
	note := what + " by " + cmp.Or(by.Name, by.Key)
	if why != "" {
		note += ": " + why
	}
	return note
}

// changeSchedule changes a schedule and says how it stands then.
func (g *Gateway) changeSchedule(ctx context.Context, suite string, change func(timetable.Table) error) (*scheduleOutput, error) {
	if err := schemas.CheckSuite(suite); err != nil {
		return nil, err
	}
	if err := change(g.timetable()); err != nil {
		return nil, err
	}
	return g.showSchedule(ctx, &scheduleInput{suite})
}

func (g *Gateway) showSchedule(ctx context.Context, in *scheduleInput) (*scheduleOutput, error) {
	if err := schemas.CheckSuite(in.Suite); err != nil {
		return nil, err
	}
	entry, err := g.timetable().Show(ctx, caller(ctx).Tenant, in.Suite)
	if err != nil {
		return nil, err
	}
	return &scheduleOutput{scheduleStands(entry)}, nil
}

func (g *Gateway) listSchedules(ctx context.Context, _ *struct{}) (*pageOutput[rest.Schedule], error) {
	schedules, err := g.schedulesOf(ctx, caller(ctx).Tenant)
	return &pageOutput[rest.Schedule]{rest.Page[rest.Schedule]{Items: schedules}}, err
}

// schedulesOf says how the schedules of a tenant stand.
func (g *Gateway) schedulesOf(ctx context.Context, tenant string) ([]rest.Schedule, error) {
	entries, err := g.timetable().List(ctx, tenant)
	schedules := []rest.Schedule{}
	for _, e := range entries {
		schedules = append(schedules, scheduleStands(e))
	}
	return schedules, err
}

// putSchedule makes a schedule what it is to be. What runs is the package: the request leaves out what the workflow knows better, its id and start.
func (g *Gateway) putSchedule(ctx context.Context, in *putScheduleInput) (*appliedScheduleOutput, error) {
	tenant, body := caller(ctx).Tenant, in.Body
	if err := schemas.CheckSuite(in.Suite); err != nil {
		return nil, err
	}
	if body.Notify.Webhook != "" {
		if err := g.notify.Check(body.Notify.Webhook); err != nil {
			return nil, err
		}
	}
	content, err := g.suitePackage(ctx, tenant, in.Suite, body.Package)
	if err != nil {
		return nil, err
	}
	schedule := schemas.SuiteSchedule{
		Suite: in.Suite, Cron: body.Cron, TimeZone: body.TimeZone, JitterS: body.JitterS, CatchUpS: body.CatchUpS, Package: body.Package,
		Notify: body.Notify, Source: body.Source,
	}
	outcome, err := g.timetable().Apply(ctx, schedule, schemas.EvalRequest{
		Tenant: tenant, Suite: in.Suite, Package: content, Trigger: schemas.EvalSchedule, By: actor(ctx), Payer: caller(ctx).Line(), Notify: body.Notify,
	}, body.Dry)
	return &appliedScheduleOutput{rest.AppliedSchedule{Suite: in.Suite, Outcome: string(outcome)}}, err
}

func (g *Gateway) deleteSchedule(ctx context.Context, in *scheduleInput) (*struct{}, error) {
	if err := schemas.CheckSuite(in.Suite); err != nil {
		return nil, err
	}
	return nil, g.timetable().Delete(ctx, caller(ctx).Tenant, in.Suite)
}

func scheduleStands(e timetable.Entry) rest.Schedule {
	out := rest.Schedule{
		Suite: e.Suite, Cron: e.Cron, TimeZone: e.TimeZone, JitterS: e.JitterS, CatchUpS: int64(e.CatchUp() / time.Second), Package: e.Package,
		Notify: e.Notify, Source: e.Source, Paused: e.Paused, Note: e.Note, Next: []time.Time{}, Started: e.Started, Missed: e.Missed,
		Skipped: e.Skipped, Running: e.Running, Runs: []rest.ScheduledRun{},
	}
	for _, at := range e.Next {
		out.Next = append(out.Next, at.UTC())
	}
	for _, r := range e.Runs {
		run := rest.ScheduledRun{PlannedAt: r.Planned.UTC(), StartedAt: r.Started.UTC(), WorkflowID: r.Workflow, Failure: r.Failure}
		if r.Status != 0 {
			run.Status = statusOf(r.Status)
		}
		if r.Summary != nil {
			run.ID, run.Ruling = r.Summary.ID, r.Summary.Ruling
		}
		out.Runs = append(out.Runs, run)
	}
	return out
}
