package schemas

import (
	"encoding/json"
)

// SuitePackage is everything that an evaluation needs, in one document: a suite with the files that it names, and what its project says of
// chains, prompts and models. It is stored under the hash of its JSON, so a night runs what was there when it was scheduled.
type SuitePackage struct {
	Suite   string            `json:"suite"`             // its name: letters, digits and hyphens in lower case
	File    string            `json:"file"`              // of the suite, among Files
	Files   map[string][]byte `json:"files"`             // the suite and what it names, by path below its folder
	Bundles map[string]Bundle `json:"bundles,omitempty"` // of the project's chains that the suite names without a version, by chain
	Prompts map[string]string `json:"prompts,omitempty"` // of the project, with partials, as in Bundle
	Models  Models            `json:"models,omitzero"`   // of the project

	Chains   []string `json:"chains,omitempty"`   // that the suite's providers name, sorted: CHAIN, CHAIN@LABEL or CHAIN@HASH; what they stand for is looked at before a run starts
	Baseline string   `json:"baseline,omitempty"` // of the suite
}

// EvalRequest starts an evaluation.
type EvalRequest struct {
	Tenant    string            `json:"tenant"`
	Suite     string            `json:"suite"`
	ID        string            `json:"id"`                   // UUID of version 7; empty of a schedule's, where the workflow derives it from its own id
	Package   Ref               `json:"package"`              // of a SuitePackage
	StartMS   int64             `json:"start_ms"`             // Unix milliseconds; 0 of a schedule's, where it is the workflow's start
	Releases  map[string]string `json:"releases,omitempty"`   // hash of the release under test, by chain, for providers that name a chain without a version
	Baseline  string            `json:"baseline,omitempty"`   // what the result is compared with: a label, the hash of a release, or the id of an earlier run of the suite
	Grader    string            `json:"grader,omitempty"`     // of assertions that name none, as a suite spells providers
	Repeat    int               `json:"repeat,omitempty"`     // samples of each case; 0 is the suite's
	MaxRepeat int               `json:"max_repeat,omitempty"` // samples that a case near its threshold may have; 0 is no more than Repeat
	Budget    EvalBudget        `json:"budget,omitzero"`      // over that of the suite
	MaxAgeMS  *int64            `json:"max_age_ms,omitempty"` // answers that were given longer before the start are asked for anew, in milliseconds; nil is the suite's
	MaxCells  int64             `json:"max_cells,omitempty"`
	Bulk      bool              `json:"bulk,omitempty"`    // by the batch interfaces of providers that have one
	Trigger   EvalTrigger       `json:"trigger,omitempty"` // default manual
	By        Actor             `json:"by,omitzero"`
	Payer     string            `json:"payer,omitempty"` // id of the first of the API keys whose budget pays, see APIKey.Line; the tenant's pays in any case
	Notify    EvalNotify        `json:"notify,omitzero"`
	PlannedMS int64             `json:"planned_ms,omitempty"` // of a schedule's: the time that was meant, Unix milliseconds
}

// EvalTrigger says why an evaluation was started.
type EvalTrigger string

// The triggers.
const (
	EvalManual   EvalTrigger = "manual"
	EvalSchedule EvalTrigger = "schedule"
	EvalGate     EvalTrigger = "gate" // a label that requires the suite was to be moved
)

// EvalNotify says who is told of a regression, and of its end.
type EvalNotify struct {
	Repository string   `json:"repository,omitempty"` // OWNER/NAME on the code host, where an issue is kept
	Labels     []string `json:"labels,omitempty"`     // of the issue
	Webhook    string   `json:"webhook,omitempty"`    // URL that is sent a signed message
}

// IsZero reports whether nobody is told.
func (n EvalNotify) IsZero() bool { return n.Repository == "" && n.Webhook == "" }

// EvalBudget bounds what a run may use. A zero field is no bound.
type EvalBudget struct {
	Tokens int64   `json:"tokens,omitempty"` // input and output together
	USD    float64 `json:"usd,omitempty"`
}

// EvalColumn is one thing under test: a provider with one of the prompts that it is asked, and what both stand for in this run.
type EvalColumn struct {
	ID       string       `json:"id"`       // digest of what it stands for: equal ids ask the same
	Provider EvalProvider `json:"provider"` // without settings
	Prompt   string       `json:"prompt,omitempty"`
	Pin      string       `json:"pin,omitempty"`      // hash of the release, or of the bundle or of the model's settings
	Baseline bool         `json:"baseline,omitempty"` // it is what another is compared with
	Cells    int          `json:"cells"`
	Batches  int          `json:"batches"`        // objects of cells, see EvalBatchKey
	Late     int          `json:"late,omitempty"` // the last of them, which come after all others: the answers of their cells are known then
	Calls    bool         `json:"calls"`          // its cells ask somebody, or their assertions do
}

// EvalPlan is what an evaluation has to do.
type EvalPlan struct {
	Hash        string       `json:"hash"` // of the identities of all cells and of the policy
	Columns     []EvalColumn `json:"columns"`
	Comparisons int          `json:"comparisons,omitempty"` // cases whose outputs are judged side by side
	Budget      EvalBudget   `json:"budget,omitzero"`
	Batch       int          `json:"batch,omitempty"` // most cells of a batch
	Width       int          `json:"width,omitempty"` // most cells at once; 0 leaves it to the providers' limits
	Known       bool         `json:"known,omitempty"` // a run with the same plan ended with every cell scored: nothing is left to do
	Warnings    []string     `json:"warnings,omitempty"`
	Notify      EvalNotify   `json:"notify,omitzero"`
	SinceMS     int64        `json:"since_ms,omitempty"` // what was answered before is not used, Unix milliseconds; 0 takes every answer
}

// ColumnRequest asks what is left to do of a column. Whoever asks holds the column's turn.
type ColumnRequest struct {
	Run    EvalRun `json:"run"`
	Column int     `json:"column"`
	Round  int     `json:"round,omitempty"` // of adaptive repeats, from 0
	Order  int     `json:"order,omitempty"` // of calls in batches, from 0: answers, then what graders are asked about them
}

// EvalRun names one run of a suite in messages.
type EvalRun struct {
	Tenant  string `json:"tenant"`
	Suite   string `json:"suite"`
	ID      string `json:"id"`
	StartMS int64  `json:"start_ms"`
	Plan    string `json:"plan"`               // hash
	SinceMS int64  `json:"since_ms,omitempty"` // as in EvalPlan
	Key     string `json:"key,omitempty"`      // id of the API key that started it
	Payer   string `json:"payer,omitempty"`    // as in the request
}

// ColumnWork is what is left to do of a column.
type ColumnWork struct {
	Known   int     `json:"known"`             // cells whose result is there
	Batches int     `json:"batches"`           // objects of cells, see EvalBatchKey
	Late    int     `json:"late,omitempty"`    // the last of them, which come after all others
	Prefix  string  `json:"prefix"`            // below which they are
	Earlier []int64 `json:"earlier,omitempty"` // starts of runs that were cut off, Unix milliseconds: what they paid for is recorded under their days
	Fresh   bool    `json:"fresh,omitempty"`   // nothing of them can have been begun before
}

// EvalBulk is what batches of calls can be asked of a column.
type EvalBulk struct {
	Rows  int          `json:"rows"`            // calls; 0 is none
	Bulk  BulkRequest  `json:"bulk"`            //
	First CellsRequest `json:"first"`           // the first batch of cells, from which it is learned what one costs
	Short *EvalShort   `json:"short,omitempty"` // nothing is to be ordered yet

	Others []BulkRequest `json:"others,omitempty"` // beside Bulk, of models of other bundles
	More   bool          `json:"more,omitempty"`   // another order may follow: graders have to be asked, about what this one brings
}

// CellsRequest asks to carry out one batch of cells: calls that are not known, and the assertions over them.
type CellsRequest struct {
	Run    EvalRun `json:"run"`
	Column int     `json:"column"`
	Round  int     `json:"round,omitempty"`
	Batch  int     `json:"batch"`
	Prefix string  `json:"prefix"`        // below which the batch is
	Try    int     `json:"try,omitempty"` // from 0; what failed in a way that may pass is tried again
	Last   bool    `json:"last,omitempty"`
	Fresh  bool    `json:"fresh,omitempty"`

	Earlier []int64 `json:"earlier,omitempty"`
}

// CellsOutcome says what became of a batch. What it did is in the store.
type CellsOutcome struct {
	Done         int    `json:"done"`              // scored
	Errored      int    `json:"errored,omitempty"` // for good
	Again        int    `json:"again,omitempty"`   // failed in a way that may pass
	Passed       int    `json:"passed,omitempty"`
	RetryAfterMS int64  `json:"retry_after_ms,omitempty"` // no sooner than that
	Reason       string `json:"reason,omitempty"`         // of the last failure
	Usage        Usage  `json:"usage"`                    // paid now, graders too
	Cost         Cost   `json:"cost"`
	Stopped      bool   `json:"stopped,omitempty"` // it was cancelled before all was begun
	Held         int    `json:"held,omitempty"`    // not asked, because a budget has no room

	Short *EvalShort `json:"short,omitempty"` // why
}

// CompareRequest asks to judge outputs side by side: assertions that choose among the columns of a case.
type CompareRequest struct {
	Run   EvalRun `json:"run"`
	Round int     `json:"round,omitempty"`
	Try   int     `json:"try,omitempty"` // from 0
	Last  bool    `json:"last,omitempty"`
}

// EvalCompareColumn stands for comparisons where a provider's identity is meant.
const EvalCompareColumn = "compare"

// JudgeRequest asks for the result of a run.
type JudgeRequest struct {
	Run       EvalRun     `json:"run"`
	Request   EvalRequest `json:"request"`
	Round     int         `json:"round,omitempty"`
	Stopped   bool        `json:"stopped,omitempty"` // it was cancelled, or its budget was not raised
	Usage     Usage       `json:"usage"`
	Cost      Cost        `json:"cost"`
	EndMS     int64       `json:"end_ms"`
	MayRepeat bool        `json:"may_repeat,omitempty"` // cases near a threshold may be asked again

	Failed []EvalFailure `json:"failed,omitempty"` // columns that could not be carried out to their end
}

// EvalFailure is why columns of a run could not be carried out to their end: their cells without a result are errored with that reason.
type EvalFailure struct {
	Columns []int  `json:"columns"` // of the run's; [EvalCompared] stands for comparisons
	Code    Code   `json:"code"`
	Reason  string `json:"reason"`
}

// EvalCompared stands for the comparisons of a run where the number of a column is meant.
const EvalCompared = -1

// EvalJudgement is what a run came to. Where it says to go on, further samples of cases near a threshold are wanted: a round of that number.
type EvalJudgement struct {
	Summary EvalSummary  `json:"summary"`
	More    int          `json:"more,omitempty"`    // cells of the next round
	Columns []EvalColumn `json:"columns,omitempty"` // of the next round
	Bulk    bool         `json:"bulk,omitempty"`    // the next round may order its calls in batches
}

// EvalSummary is what a list says of a run, and what the workflow returns.
type EvalSummary struct {
	ID        string      `json:"id"`
	Suite     string      `json:"suite"`
	StartMS   int64       `json:"start_ms"`
	EndMS     int64       `json:"end_ms"`
	Trigger   EvalTrigger `json:"trigger"`
	By        Actor       `json:"by,omitzero"`
	Package   string      `json:"package"`           // hash
	Plan      string      `json:"plan"`              // hash
	Ruling    Ruling      `json:"ruling"`            //
	Reasons   []string    `json:"reasons,omitempty"` // of the verdict, at most [MaxVerdictReasons]
	Counts    CellCounts  `json:"counts"`
	PassRate  float64     `json:"pass_rate"`
	Score     float64     `json:"score"`
	Cells     int         `json:"cells"`               // of the candidate
	Reused    int         `json:"reused"`              // cells, of both sides, that nobody was asked for now
	OldestMS  int64       `json:"oldest_ms,omitempty"` // when the oldest answer was given, Unix milliseconds; 0 where nobody was asked, or it is not known
	Flaky     int         `json:"flaky,omitempty"`
	Usage     Usage       `json:"usage"` // paid now
	Cost      Cost        `json:"cost"`
	Releases  []string    `json:"releases,omitempty"` // under test: CHAIN@HASH
	Baseline  string      `json:"baseline,omitempty"` // as asked for
	Stopped   bool        `json:"stopped,omitempty"`
	PlannedMS int64       `json:"planned_ms,omitempty"`
	SameAs    string      `json:"same_as,omitempty"`  // id of the run that found the same, nobody being asked anew: its files are those of this run
	Warnings  []string    `json:"warnings,omitempty"` // of the plan

	Failing []EvalFailing `json:"failing,omitempty"` // why cells did not pass, those without a result first; at most [MaxEvalFailing]
}

// MaxEvalFailing bounds the reasons that a summary names; the result has all.
const MaxEvalFailing = 5

// EvalFailing is one reason for which cells under test did not pass, with the first of them.
type EvalFailing struct {
	State  CellState `json:"state"`
	Reason string    `json:"reason"` // its beginning
	Cells  int       `json:"cells"`  // for this reason
	Case   string    `json:"case"`   // id of the first
	Title  string    `json:"title,omitempty"`
	Column string    `json:"column"` // provider and prompt
}

// EvalResult is everything that is known of a run that ended: what reports are made of.
type EvalResult struct {
	EvalSummary
	Description string       `json:"description,omitempty"` // of the suite
	Policy      EvalPolicy   `json:"policy"`
	Columns     []EvalColumn `json:"columns"`
	Twins       []int        `json:"twins"` // by column: the column of the baseline that it is compared with; -1 is none
	Cells       []CellRecord `json:"cells"` // of all columns, baselines too; those of a case stand together
	Verdict     Verdict      `json:"verdict"`
	Flaky       []FlakyCase  `json:"flaky_cases,omitempty"`
	Regressions []Regressed  `json:"regressions,omitempty"` // worst first
}

// CellRecord is one cell and what became of it.
type CellRecord struct {
	ID         CellID            `json:"id"`
	Case       EvalCase          `json:"case"`
	Column     int               `json:"column"` // of the run's columns
	Sample     int               `json:"sample"`
	State      CellState         `json:"state"`
	Pass       bool              `json:"pass"`
	Score      float64           `json:"score"`
	Threshold  *float64          `json:"threshold,omitempty"` // that the score must reach; nil asks that all assertions hold
	Reason     string            `json:"reason,omitempty"`    // why it failed, or the provider's reason why it is errored
	Code       Code              `json:"code,omitempty"`      // of an errored cell
	Input      string            `json:"input,omitempty"`
	Vars       json.RawMessage   `json:"vars,omitempty"`
	Answer     *CellAnswer       `json:"answer,omitempty"`     // nil where there was none
	Assertions []AssertionResult `json:"assertions,omitempty"` //
	Graders    Usage             `json:"graders,omitzero"`     // what the assertions' calls used
	GraderCost Cost              `json:"grader_cost,omitzero"`
	GraderRuns []string          `json:"grader_runs,omitempty"` // ids of the records of those calls
	Reused     bool              `json:"reused,omitempty"`      // nobody was asked for it in this run
}

// CellAnswer is what a cell's provider answered.
type CellAnswer struct {
	Output    json.RawMessage `json:"output"`           // a string, or what JSON can say
	RunID     string          `json:"run_id,omitempty"` // of the record of the exchange; empty where nobody was asked
	StartMS   int64           `json:"start_ms,omitempty"`
	LatencyMS *float64        `json:"latency_ms,omitempty"` // of the answer, without waits for a turn; nil where nobody was asked
	Usage     Usage           `json:"usage,omitzero"`
	Cost      Cost            `json:"cost,omitzero"`
	Refused   bool            `json:"refused,omitempty"`   // the provider says that it refused
	Finish    string          `json:"finish,omitempty"`    // why the model ended: stop, length, filter or tool; empty where nobody says
	LogProbs  []float64       `json:"logprobs,omitempty"`  // natural logarithms, to four decimals, one a token; where they were asked for
	Retrieved []string        `json:"retrieved,omitempty"` // documents, best first, of the chain's retrieve steps
	Context   []string        `json:"context,omitempty"`   // texts of what was retrieved, in the same order
}

// FlakyCase is a case whose samples disagree under one column.
type FlakyCase struct {
	Case        string  `json:"case"`
	Column      int     `json:"column"`
	Samples     int     `json:"samples"`
	Passed      int     `json:"passed"`
	Deviation   float64 `json:"deviation"`             // standard deviation of the scores
	Quarantined string  `json:"quarantined,omitempty"` // until that day
}

// Regressed is a case that is worse than under the baseline.
type Regressed struct {
	Case      string  `json:"case"`
	Column    int     `json:"column"`
	Score     float64 `json:"score"`    // mean over the samples
	Baseline  float64 `json:"baseline"` // likewise
	PassRate  float64 `json:"pass_rate"`
	Passed    float64 `json:"baseline_pass_rate"`
	Candidate int     `json:"candidate_cell"` // of Cells
	Before    int     `json:"baseline_cell"`  // of Cells
}

// EvalState says how far a run is.
type EvalState string

// The states of a run.
const (
	EvalPlanning  EvalState = "planning"
	EvalWaiting   EvalState = "waiting" // another run asks the same provider the suite's questions
	EvalRunning   EvalState = "running"
	EvalPaused    EvalState = "paused" // its budget is used up, and somebody decides; or one of the tenant or of its key is, and it waits for room
	EvalJudging   EvalState = "judging"
	EvalEnded     EvalState = "ended"
	EvalCancelled EvalState = "cancelled" // it ended early; what was paid for is kept
)

// EvalProgress is how far a run is.
type EvalProgress struct {
	State      EvalState  `json:"state"`
	Cells      int        `json:"cells"`  // of all columns
	Done       int        `json:"done"`   // scored, reused ones among them
	Reused     int        `json:"reused"` //
	Errored    int        `json:"errored"`
	Passed     int        `json:"passed"` // of those scored now
	Usage      Usage      `json:"usage"`  // paid so far
	Cost       Cost       `json:"cost"`
	Forecast   Cost       `json:"forecast"`              // of the whole run, by what its cells cost so far
	ForecastMS int64      `json:"forecast_ms,omitempty"` // until the end, by its pace so far; 0 is not known
	Budget     EvalBudget `json:"budget,omitzero"`
	Waits      string     `json:"waits,omitempty"` // for what, in words
	Short      *EvalShort `json:"short,omitempty"` // the budget of the tenant or of a key that it waits for
	Reason     string     `json:"reason,omitempty"`
}

// EvalDecision answers a run that is paused: with a larger budget it goes on, else it ends. One that waits for a budget of the tenant or of a key looks
// at once whether there is room now; without bounds of its own a decision leaves those of such a run as they are.
type EvalDecision struct {
	Budget EvalBudget `json:"budget,omitzero"` // the new bounds, not what is added; a zero field lifts that bound
	Stop   bool       `json:"stop,omitempty"`  // it ends, and what was not run stays so
	By     Actor      `json:"by,omitzero"`
}

// TurnRequest is the turn of a run to ask a column's provider the suite's questions: only one run has it at a time, so nothing is asked twice
// at once.
type TurnRequest struct {
	Run    EvalRun `json:"run"`
	Column string  `json:"column"` // id
}

// EvalAlert is what is told of a verdict.
type EvalAlert struct {
	Run     EvalRun     `json:"run"`
	Notify  EvalNotify  `json:"notify"`
	Summary EvalSummary `json:"summary"`
	Link    string      `json:"link,omitempty"` // to the report
}

// EvalAlerted is what became of it.
type EvalAlerted struct {
	Issue   string `json:"issue,omitempty"`   // URL
	Action  string `json:"action,omitempty"`  // opened, updated, closed or none
	Webhook string `json:"webhook,omitempty"` // delivered, refused or none
}
