package gatewaytest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
)

// schedules is the part of Temporal's client that schedules are made with. It knows no time: what a schedule starts is started by hand.
type schedules struct {
	temporal *Temporal

	mu  sync.Mutex
	all map[string]*schedule
}

type schedule struct {
	schedules *schedules
	options   client.ScheduleOptions
	state     client.ScheduleState
	recent    []client.ScheduleActionResult
}

// ScheduleClient returns the schedules.
func (f *Temporal) ScheduleClient() client.ScheduleClient {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.schedules == nil {
		f.schedules = &schedules{temporal: f, all: map[string]*schedule{}}
	}
	return f.schedules
}

// Create makes a schedule.
func (s *schedules) Create(_ context.Context, options client.ScheduleOptions) (client.ScheduleHandle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[options.ID] != nil {
		return nil, temporal.ErrScheduleAlreadyRunning
	}
	if len(options.Spec.CronExpressions) != 1 || len(strings.Fields(options.Spec.CronExpressions[0])) != 5 {
		return nil, serviceerror.NewInvalidArgument("no cron text")
	}
	s.all[options.ID] = &schedule{schedules: s, options: options, state: client.ScheduleState{Note: options.Note}}
	return scheduleHandle{s, options.ID}, nil
}

// List lists the schedules of the tenant that the query names.
func (s *schedules) List(_ context.Context, in client.ScheduleListOptions) (client.ScheduleListIterator, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := &schedulePage{}
	for id := range s.all {
		if strings.Contains(in.Query, schemas.AttrTenant+" = '"+strings.Split(id, "/")[1]+"'") {
			page.ids = append(page.ids, id)
		}
	}
	slices.Sort(page.ids)
	return page, nil
}

// GetHandle finds a schedule when it is used.
func (s *schedules) GetHandle(_ context.Context, id string) client.ScheduleHandle {
	return scheduleHandle{s, id}
}

type schedulePage struct{ ids []string }

// HasNext implements client.ScheduleListIterator.
func (p *schedulePage) HasNext() bool { return len(p.ids) > 0 }

// Next implements client.ScheduleListIterator.
func (p *schedulePage) Next() (*client.ScheduleListEntry, error) {
	id := p.ids[0]
	p.ids = p.ids[1:]
	return &client.ScheduleListEntry{ID: id}, nil
}

type scheduleHandle struct {
	schedules *schedules
	id        string
}

// GetID implements client.ScheduleHandle.
func (h scheduleHandle) GetID() string { return h.id }

// with does something with the schedule, if there is one.
func (h scheduleHandle) with(do func(*schedule) error) error {
	h.schedules.mu.Lock()
	defer h.schedules.mu.Unlock()
	s := h.schedules.all[h.id]
	if s == nil {
		return serviceerror.NewNotFound("schedule not found")
	}
	return do(s)
}

// Delete implements client.ScheduleHandle.
func (h scheduleHandle) Delete(context.Context) error {
	return h.with(func(*schedule) error {
		delete(h.schedules.all, h.id)
		return nil
	})
}

// Pause implements client.ScheduleHandle.
func (h scheduleHandle) Pause(_ context.Context, options client.SchedulePauseOptions) error {
	return h.with(func(s *schedule) error {
		s.state.Paused, s.state.Note = true, options.Note
		return nil
	})
}

// Unpause implements client.ScheduleHandle.
func (h scheduleHandle) Unpause(_ context.Context, options client.ScheduleUnpauseOptions) error {
	return h.with(func(s *schedule) error {
		s.state.Paused, s.state.Note = false, options.Note
		return nil
	})
}

// Update implements client.ScheduleHandle.
func (h scheduleHandle) Update(_ context.Context, options client.ScheduleUpdateOptions) error {
	return h.with(func(s *schedule) error {
		update, err := options.DoUpdate(client.ScheduleUpdateInput{Description: s.describe()})
		if err != nil {
			return err
		}
		s.options.Action, s.options.Spec, s.state = update.Schedule.Action, *update.Schedule.Spec, *update.Schedule.State
		s.options.Overlap, s.options.CatchupWindow = update.Schedule.Policy.Overlap, update.Schedule.Policy.CatchupWindow
		return nil
	})
}

// Describe implements client.ScheduleHandle.
func (h scheduleHandle) Describe(context.Context) (*client.ScheduleDescription, error) {
	out := new(client.ScheduleDescription)
	return out, h.with(func(s *schedule) error {
		*out = s.describe()
		return nil
	})
}

func (s *schedule) describe() client.ScheduleDescription {
	spec, state := s.options.Spec, s.state
	return client.ScheduleDescription{
		Schedule: client.Schedule{
			Action: s.options.Action, Spec: &spec, State: &state,
			Policy: &client.SchedulePolicies{Overlap: s.options.Overlap, CatchupWindow: s.options.CatchupWindow},
		},
		Info: client.ScheduleInfo{
			NumActions: len(s.recent), RecentActions: slices.Clone(s.recent), NextActionTimes: []time.Time{time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)},
			NumActionsMissedCatchupWindow: 1,
		},
	}
}

// Trigger starts the action.
func (h scheduleHandle) Trigger(ctx context.Context, _ client.ScheduleTriggerOptions) error {
	return h.with(func(s *schedule) error { return s.start(ctx, time.Now()) })
}

// Backfill starts the action once for each day.
func (h scheduleHandle) Backfill(ctx context.Context, options client.ScheduleBackfillOptions) error {
	return h.with(func(s *schedule) error {
		for at := options.Backfill[0].Start; !at.After(options.Backfill[0].End); at = at.AddDate(0, 0, 1) {
			if err := s.start(ctx, at); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *schedule) start(ctx context.Context, planned time.Time) error {
	action, ok := s.options.Action.(*client.ScheduleWorkflowAction)
	if !ok {
		return serviceerror.NewInvalidArgument("the action is no workflow")
	}
	run, err := s.schedules.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: action.ID + "-" + planned.UTC().Format(time.RFC3339Nano), TaskQueue: action.TaskQueue, TypedSearchAttributes: action.TypedSearchAttributes,
	}, action.Workflow, action.Args...)
	if err != nil {
		return err
	}
	s.recent = append(s.recent, client.ScheduleActionResult{
		ScheduleTime: planned, ActualTime: time.Now(),
		StartWorkflowResult: &client.ScheduleWorkflowExecution{WorkflowID: run.GetID(), FirstExecutionRunID: run.GetRunID()},
	})
	return nil
}
