package schemas

import "time"

// DefaultCatchUp is for how long a start of a suite that was missed is made up, where the suite says nothing.
const DefaultCatchUp = 6 * time.Hour

// SuiteSchedule says when a suite runs by itself, and what runs then.
type SuiteSchedule struct {
	Suite    string     `json:"suite"`
	Cron     string     `json:"cron"`                 // five fields
	TimeZone string     `json:"timezone,omitempty"`   // IANA name; empty is UTC
	JitterS  int        `json:"jitter_s,omitempty"`   // seconds by which a start may be late
	CatchUpS int        `json:"catch_up_s,omitempty"` // seconds for which a start that was missed is made up; 0 is [DefaultCatchUp]
	Package  string     `json:"package"`              // hash
	Notify   EvalNotify `json:"notify,omitzero"`      // over the suite's
	Source   string     `json:"source,omitempty"`     // the project that it is of, where it is of one
}

// CatchUp is for how long a start that was missed is made up.
func (s SuiteSchedule) CatchUp() time.Duration {
	if s.CatchUpS == 0 {
		return DefaultCatchUp
	}
	return time.Duration(s.CatchUpS) * time.Second
}

// MemoSchedule is the memo field of a scheduled evaluation: the SuiteSchedule that it is of, as JSON.
const MemoSchedule = "schedule"

// EvalScheduledID is what the workflows of a schedule are called, each followed by a hyphen and the time that was meant.
func EvalScheduledID(tenant, suite string) string { return EvalID(tenant, suite, "scheduled") }
