package rest

import (
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// RequireSuites says which suites a label requires from now on.
type RequireSuites struct {
	Requires []schemas.SuiteRequirement `json:"requires" maxItems:"20" doc:"All of them; none lifts the gate."`
	Why      string                     `json:"why,omitempty" maxLength:"2000"`
}

// GateRun is the run of a suite that a label requires.
type GateRun struct {
	schemas.GateEval

	Reasons  []string              `json:"reasons,omitempty" doc:"Why it did not pass, worst first."`
	Report   string                `json:"report,omitempty" doc:"Path of its report, below the gateway's address."`
	Progress *schemas.EvalProgress `json:"progress,omitempty" doc:"Of one that goes on; absent while it cannot be asked."`
}

// GateAttempt is the run of a suite that a move of a label waits for, or that decided about one.
type GateAttempt struct {
	GateRun

	Number  int           `json:"number" doc:"Of the label's last entry when it was started."`
	Release string        `json:"release,omitempty" doc:"That was to be moved to; absent of old runs."`
	At      time.Time     `json:"at"`
	By      schemas.Actor `json:"by"`
	Broken  bool          `json:"broken,omitempty" doc:"It is not under way, and has no verdict."`
}
