package rest

import "github.com/tenuto-dev/tenuto/schemas"

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
