package rest

import (
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// PutSchedule says when a suite runs by itself.
type PutSchedule struct {
	Cron     string             `json:"cron" maxLength:"200" doc:"Five fields, such as 0 3 * * *."`
	TimeZone string             `json:"timezone,omitempty" maxLength:"64" doc:"IANA name, such as Europe/Berlin; UTC if absent."`
	JitterS  int                `json:"jitter_s,omitempty" minimum:"0" maximum:"86400" doc:"Seconds by which a start may be late."`
	CatchUpS int                `json:"catch_up_s,omitempty" minimum:"0" maximum:"2592000" doc:"Seconds for which a start that was missed is made up; six hours if absent."`
	Package  string             `json:"package" pattern:"^[0-9a-f]{64}$" doc:"Of the suite, which was uploaded before."`
	Notify   schemas.EvalNotify `json:"notify,omitzero" doc:"Who is told of a regression, over the suite's."`
	Source   string             `json:"source,omitempty" maxLength:"200" doc:"The project that the schedule is of."`
	Dry      bool               `json:"dry,omitempty" doc:"Only say what would be done."`
}

// AppliedSchedule is what became of a schedule.
type AppliedSchedule struct {
	Suite   string `json:"suite"`
	Outcome string `json:"outcome" enum:"created,updated,unchanged"`
}

// PauseSchedule says why a schedule is paused, or resumed.
type PauseSchedule struct {
	Why string `json:"why,omitempty" maxLength:"500"`
}

// BackfillSchedule asks for the runs that were due in a time.
type BackfillSchedule struct {
	From time.Time `json:"from" doc:"Included."`
	To   time.Time `json:"to" doc:"Included; at most 31 days after from."`
}

// Schedule is how a schedule of a suite stands.
type Schedule struct {
	Suite    string             `json:"suite"`
	Cron     string             `json:"cron,omitempty" doc:"Absent where the schedule was made elsewhere."`
	TimeZone string             `json:"timezone,omitempty"`
	JitterS  int                `json:"jitter_s,omitempty"`
	CatchUpS int64              `json:"catch_up_s" doc:"Seconds for which a start that was missed is made up."`
	Package  string             `json:"package,omitempty"`
	Notify   schemas.EvalNotify `json:"notify,omitzero"`
	Source   string             `json:"source,omitempty"`
	Paused   bool               `json:"paused,omitempty"`
	Note     string             `json:"note,omitempty" doc:"Who paused or resumed it last, and why."`
	Next     []time.Time        `json:"next" doc:"When it starts next."`
	Started  int                `json:"started" doc:"Runs that it started."`
	Missed   int                `json:"missed,omitempty" doc:"Starts that were missed for longer than they are made up. A backfill makes them up."`
	Skipped  int                `json:"skipped,omitempty" doc:"Starts that were left out because a run was under way, and another waited."`
	Running  int                `json:"running,omitempty"`
	Runs     []ScheduledRun     `json:"runs" doc:"The last ones, the latest first."`
}

// ScheduledRun is a run that a schedule started.
type ScheduledRun struct {
	PlannedAt  time.Time      `json:"planned_at" doc:"The time that was meant."`
	StartedAt  time.Time      `json:"started_at"`
	WorkflowID string         `json:"workflow_id"`
	Status     Status         `json:"status,omitempty" enum:"running,completed,failed,canceled,terminated,timed_out" doc:"Of the run, not of its verdict; absent where Temporal has forgotten it."`
	ID         string         `json:"id,omitempty" doc:"Of a run that ended with a verdict."`
	Ruling     schemas.Ruling `json:"ruling,omitempty" enum:"passed,failed,not_enough_data,unresolved"`
	Failure    string         `json:"failure,omitempty" doc:"Why it ended without a verdict."`
}
