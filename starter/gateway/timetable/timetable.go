// Package timetable has Temporal start evaluations by the clock: one schedule a suite.
package timetable

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/tenuto-dev/tenuto/schemas"
	tenuto "github.com/tenuto-dev/tenuto/starter/client"
)

// Schedules is the part of Temporal's client that schedules are made with. Implemented by its ScheduleClient.
type Schedules interface {
	Create(ctx context.Context, options client.ScheduleOptions) (client.ScheduleHandle, error)
	List(ctx context.Context, options client.ScheduleListOptions) (client.ScheduleListIterator, error)
	GetHandle(ctx context.Context, id string) client.ScheduleHandle
}

// Runs finds what the schedules started. Implemented by Temporal's client.
type Runs interface {
	tenuto.Starter
}

// Table is the timetable of all tenants. It is safe for concurrent use.
type Table struct {
	Schedules Schedules
	Runs      Runs
}

// Outcome is what became of a schedule.
type Outcome string

// The outcomes of Apply.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
)

// Apply makes a schedule what it is to be. One that is paused stays so, and what was started stays. With dry nothing is changed. Errors: invalid for
// a cron text or time zone that Temporal does not know, and those of the client.
func (t Table) Apply(ctx context.Context, in schemas.SuiteSchedule, request schemas.EvalRequest, dry bool) (Outcome, error) {
	handle := t.Schedules.GetHandle(ctx, schemas.EvalScheduleID(request.Tenant, in.Suite))
	found, err := handle.Describe(ctx)
	if err == nil && in.Source == "" { // applied by itself it stays one of its project's
		before, _ := applied(found.Schedule)
		in.Source = before.Source
	}
	switch coded := tenuto.Coded(err); {
	case coded != nil && schemas.CodeOf(coded) != schemas.NotFound:
		return "", coded
	case coded == nil && same(found.Schedule, in):
		return Unchanged, nil
	case dry && coded == nil:
		return Updated, nil
	case dry:
		return Created, nil
	}
	if err != nil {
		_, err := t.Schedules.Create(ctx, optionsOf(in, request))
		if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
			return Created, refused(err, in)
		}
	}
	err = handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(now client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		options := optionsOf(in, request)
		return &client.ScheduleUpdate{Schedule: &client.Schedule{
			Action: options.Action, Spec: &options.Spec, State: now.Description.Schedule.State,
			Policy: &client.SchedulePolicies{Overlap: options.Overlap, CatchupWindow: options.CatchupWindow},
		}}, nil
	}})
	return Updated, refused(err, in)
}

// refused says what it means that the server takes no such times.
func refused(err error, in schemas.SuiteSchedule) error {
	if _, invalid := errors.AsType[*serviceerror.InvalidArgument](err); invalid {
		return schemas.Wrap(schemas.Invalid, err, "Temporal takes no schedule %.80q in the time zone %.80q: write a cron text of five fields, and a zone such as Europe/Berlin", in.Cron, in.TimeZone)
	}
	return tenuto.Coded(err)
}

func optionsOf(in schemas.SuiteSchedule, request schemas.EvalRequest) client.ScheduleOptions {
	attributes := temporal.NewSearchAttributes(
		temporal.NewSearchAttributeKeyKeyword(schemas.AttrTenant).ValueSet(request.Tenant),
		temporal.NewSearchAttributeKeyKeyword(schemas.AttrSuite).ValueSet(in.Suite),
	)
	return client.ScheduleOptions{
		ID: schemas.EvalScheduleID(request.Tenant, in.Suite), Note: "runs the suite " + in.Suite, TypedSearchAttributes: attributes,
		Spec:    client.ScheduleSpec{CronExpressions: []string{in.Cron}, TimeZoneName: in.TimeZone, Jitter: time.Duration(in.JitterS) * time.Second},
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE, CatchupWindow: in.CatchUp(),
		Action: &client.ScheduleWorkflowAction{
			ID: schemas.EvalScheduledID(request.Tenant, in.Suite), Workflow: schemas.Evaluate.Name(), TaskQueue: schemas.QueueEval, Args: []any{request},
			StaticSummary: "evaluation of suite " + in.Suite + ", by its schedule", Memo: map[string]any{schemas.MemoSchedule: text(in)},
			TypedSearchAttributes: attributes, Priority: temporal.Priority{FairnessKey: request.Tenant},
		},
	}
}

func text(in schemas.SuiteSchedule) string {
	data, _ := json.Marshal(in) //nolint:errchkjson // texts and numbers
	return string(data)
}

// applied is the schedule as it was applied last; false for one that was made elsewhere.
func applied(s client.Schedule) (in schemas.SuiteSchedule, ok bool) {
	action, ok := s.Action.(*client.ScheduleWorkflowAction)
	if !ok {
		return in, false
	}
	said, ok := action.Memo[schemas.MemoSchedule].(string)
	if payload, encoded := action.Memo[schemas.MemoSchedule].(*commonpb.Payload); encoded {
		ok = converter.GetDefaultDataConverter().FromPayload(payload, &said) == nil
	}
	return in, ok && json.Unmarshal([]byte(said), &in) == nil
}

// same reports whether a schedule is as it was applied, and that is what it is to be. The server keeps a cron text in another form, so a time that
// somebody changed elsewhere is not seen.
func same(s client.Schedule, in schemas.SuiteSchedule) bool {
	before, ok := applied(s)
	return ok && text(before) == text(in) && s.Policy != nil && s.Policy.Overlap == enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE &&
		s.Policy.CatchupWindow == in.CatchUp() && s.Spec != nil && s.Spec.TimeZoneName == in.TimeZone && s.Spec.Jitter == time.Duration(in.JitterS)*time.Second
}

// Pause keeps a schedule from starting anything until it is resumed. Error: not_found.
func (t Table) Pause(ctx context.Context, tenant, suite, note string) error {
	return known(t.handle(ctx, tenant, suite).Pause(ctx, client.SchedulePauseOptions{Note: note}), suite)
}

// Resume has a schedule start again. Error: not_found.
func (t Table) Resume(ctx context.Context, tenant, suite, note string) error {
	return known(t.handle(ctx, tenant, suite).Unpause(ctx, client.ScheduleUnpauseOptions{Note: note}), suite)
}

// Trigger starts a run now, after one that is under way. Error: not_found.
func (t Table) Trigger(ctx context.Context, tenant, suite string) error {
	return known(t.handle(ctx, tenant, suite).Trigger(ctx, client.ScheduleTriggerOptions{Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL}), suite)
}

// Backfill starts the runs that were due from a time to another, both included, one after another. Errors: invalid, not_found.
func (t Table) Backfill(ctx context.Context, tenant, suite string, from, to time.Time) error {
	if to.Before(from) || to.Sub(from) > maxBackfill {
		return schemas.Errorf(schemas.Invalid, "from lies behind to, or they are more than %d days apart", int(maxBackfill.Hours()/24))
	}
	return known(t.handle(ctx, tenant, suite).Backfill(ctx, client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{{
		Start: from, End: to, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	}}}), suite)
}

// maxBackfill bounds what one request makes up.
const maxBackfill = 31 * 24 * time.Hour

// Delete ends a schedule. What it started goes on. Error: not_found.
func (t Table) Delete(ctx context.Context, tenant, suite string) error {
	return known(t.handle(ctx, tenant, suite).Delete(ctx), suite)
}

func (t Table) handle(ctx context.Context, tenant, suite string) client.ScheduleHandle {
	return t.Schedules.GetHandle(ctx, schemas.EvalScheduleID(tenant, suite))
}

// known says what it means that there is no such schedule.
func known(err error, suite string) error {
	coded := tenuto.Coded(err)
	if coded != nil && schemas.CodeOf(coded) == schemas.NotFound {
		return schemas.Wrap(schemas.NotFound, err, "suite %s has no schedule; \"tenuto schedule apply\" makes one of its schedule: key", suite)
	}
	return coded
}

// suiteOf is the suite of a schedule's id; empty for one that is none of the tenant's suites.
func suiteOf(tenant, id string) string {
	suite, ok := strings.CutPrefix(id, schemas.EvalScheduleID(tenant, ""))
	if !ok || schemas.CheckSuite(suite) != nil {
		return ""
	}
	return suite
}
