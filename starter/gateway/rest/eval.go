package rest

import (
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// EvalPackage is a package of a suite that is stored.
type EvalPackage struct {
	Package string `json:"package" doc:"Lower-case hex SHA-256 of its JSON as it was sent; runs are started with it."`
	Bytes   int64  `json:"bytes"`
	Existed bool   `json:"existed,omitempty" doc:"The same package was there already."`
}

// NewEval asks to run a suite.
type NewEval struct {
	Package   string             `json:"package" pattern:"^[0-9a-f]{64}$" doc:"Of the suite, which was uploaded before."`
	Releases  map[string]string  `json:"releases,omitempty" maxProperties:"100" doc:"By chain, the label or the hash of the release under test, for providers that name a chain without a version. A label stands for the release that it points to now."`
	Baseline  string             `json:"baseline,omitempty" maxLength:"64" doc:"What the result is compared with: a label, the hash of a release, or the id of an earlier run of the suite. Empty is the suite's."`
	Grader    string             `json:"grader,omitempty" maxLength:"200" doc:"Of assertions that name none, as a suite spells providers."`
	Repeat    int                `json:"repeat,omitempty" minimum:"0" maximum:"1000" doc:"Samples of each case; 0 is the suite's."`
	MaxRepeat int                `json:"max_repeat,omitempty" minimum:"0" maximum:"1000" doc:"Samples that a case near its threshold may have."`
	Budget    schemas.EvalBudget `json:"budget,omitzero" doc:"Over that of the suite. A run that has used it up pauses."`
	MaxCells  int64              `json:"max_cells,omitempty" minimum:"0" doc:"Cells that the run may have; 0 is 100000."`
	MaxAgeMS  *int64             `json:"max_age_ms,omitempty" minimum:"0" doc:"Answers that were given longer before the start are asked for anew, in milliseconds; 0 asks everything anew. Absent is the suite's, or any age."`
	Bulk      bool               `json:"bulk,omitempty" doc:"Ask by the batch interfaces of providers that have one."`
	Notify    schemas.EvalNotify `json:"notify,omitzero" doc:"Who is told of a regression, over the suite's."`
}

// StartedEval is a run of a suite that was started.
type StartedEval struct {
	Suite      string            `json:"suite"`
	ID         string            `json:"id"`
	WorkflowID string            `json:"workflow_id"`
	Releases   map[string]string `json:"releases,omitempty" doc:"Hash of the release under test, by chain, as far as the request named some."`
	Joined     bool              `json:"joined,omitempty" doc:"The same request started it before."`
}

// DecideEval answers a run whose budget is used up.
type DecideEval struct {
	Budget schemas.EvalBudget `json:"budget,omitzero" doc:"The new bounds, not what is added; what is absent is no bound."`
	Stop   bool               `json:"stop,omitempty" doc:"End the run; what was not asked stays so, and the gate does not pass."`
}

// Eval is a run of a suite: how far it is, what it came to, or why it broke.
type Eval struct {
	Suite      string                `json:"suite"`
	ID         string                `json:"id"`
	WorkflowID string                `json:"workflow_id"`
	Status     Status                `json:"status" enum:"running,completed,failed,canceled,terminated,timed_out" doc:"Of the run, not of its verdict."`
	StartedAt  time.Time             `json:"started_at"`
	EndedAt    *time.Time            `json:"ended_at,omitempty"`
	Progress   *schemas.EvalProgress `json:"progress,omitempty" doc:"While it runs, and a worker can be asked."`
	Waiting    []Waiting             `json:"waiting,omitempty" doc:"While it runs: what failed for now and is tried again."`
	Summary    *schemas.EvalSummary  `json:"summary,omitempty" doc:"Of a run that ended with a verdict."`
	Failure    *Failure              `json:"failure,omitempty" doc:"Why it ended without one."`
}

// EvalSuite is a suite that was run, or of which a package is there.
type EvalSuite struct {
	Suite   string                `json:"suite"`
	Runs    int                   `json:"runs" doc:"That ended with a verdict."`
	Running []Eval                `json:"running,omitempty" doc:"Runs under way."`
	Latest  []schemas.EvalSummary `json:"latest" doc:"Summaries of its last runs, the latest first."`
}

// EvalDifference is what changed between two runs of a suite. Differences are the first run minus the other: negative is worse.
type EvalDifference struct {
	Run      schemas.EvalSummary `json:"run"`
	With     schemas.EvalSummary `json:"with"`
	Pairs    int                 `json:"pairs" doc:"Cases, each under one prompt and provider, that both runs have."`
	Better   int                 `json:"better"`
	Worse    int                 `json:"worse"`
	Alone    int                 `json:"alone" doc:"Cases that only one of them has."`
	Score    float64             `json:"score" doc:"Mean over the pairs of the difference in score."`
	PassRate float64             `json:"pass_rate" doc:"Mean over the pairs of the difference in the share of samples that pass."`
	Changed  []CaseDifference    `json:"changed" doc:"Pairs that differ, the worst first, then those that only one run has."`
}

// CaseDifference is a case under one prompt and provider in two runs. An errored sample, or one that was not run, counts as failed with a score
// of 0.
type CaseDifference struct {
	Case        string        `json:"case"`
	Description string        `json:"description,omitempty"`
	Provider    string        `json:"provider"`
	Prompt      string        `json:"prompt,omitempty"`
	Run         *CaseStanding `json:"run,omitempty"`
	With        *CaseStanding `json:"with,omitempty"`
	Score       float64       `json:"score" doc:"Difference of the means; 0 where one run lacks the case."`
	PassRate    float64       `json:"pass_rate"`
	Reason      string        `json:"reason,omitempty" doc:"Why a sample of the first run failed."`
}

// CaseStanding is how a case stands in a run.
type CaseStanding struct {
	Samples  int     `json:"samples"`
	Passed   int     `json:"passed"`
	Errored  int     `json:"errored,omitempty" doc:"Or not run."`
	Score    float64 `json:"score" doc:"Mean over the samples."`
	PassRate float64 `json:"pass_rate"`
}
