package schemas

// CellState says what became of one cell of an evaluation. Only a scored cell is resolved: no gate passes while one is not.
type CellState string

// The states of a cell.
const (
	CellScored  CellState = "scored"  // an output was there and every assertion came to a result
	CellErrored CellState = "errored" // there was no output, or an assertion could not be judged; it counts as failed, with a score of 0
	CellNotRun  CellState = "not_run" // nothing was tried: the run was cancelled, paused or out of budget before it
)

// AssertionResult is what one assertion, or a set of them, says of one output.
type AssertionResult struct {
	Type   string             `json:"type"`             // as the suite names it: "icontains", "not-regex", "assert-set"
	Metric string             `json:"metric,omitempty"` // the name under which the suite gathers its score
	Pass   bool               `json:"pass"`
	Score  float64            `json:"score"`           // 1 is best; usually in [0, 1], and never NaN or infinite
	Weight float64            `json:"weight"`          // its share in the score of the case; 0 is shown and does not count
	Reason string             `json:"reason"`          // for people, with promptfoo's wording where it has one
	Named  map[string]float64 `json:"named,omitempty"` // further scores, by metric
	Parts  []AssertionResult  `json:"parts,omitempty"` // of an assert-set, or of a script that returned some
}

// CaseResult is one cell as verdicts see it: one case, one sample, under one candidate.
type CaseResult struct {
	Case   string    `json:"case"`             // id of the case; the same on both sides of a comparison
	Sample int       `json:"sample"`           // from 0; repeats of one case differ in it
	Tags   []string  `json:"tags,omitempty"`   // of the case
	State  CellState `json:"state"`            //
	Pass   bool      `json:"pass"`             // of a scored cell
	Score  float64   `json:"score"`            // of a scored cell
	Reason string    `json:"reason,omitempty"` // why it failed, or the provider's reason why it is errored
}

// EvalPolicy says when a gate passes. The zero policy asks only that every cell is resolved.
type EvalPolicy struct {
	Required     []string       `json:"required,omitempty"`      // cases of which every sample must pass
	Thresholds   []TagThreshold `json:"thresholds,omitempty"`    // held whatever the baseline does
	NoRegression *Regression    `json:"no_regression,omitempty"` // needs a baseline
	Quarantine   []Quarantine   `json:"quarantine,omitempty"`    // cases that count for nothing until a day
}

// Quarantine takes a flaky case out of the verdict for a while. From the day on it counts again by itself, so none is forgotten.
type Quarantine struct {
	Case   string `json:"case"`             // id
	Until  string `json:"until"`            // the day on which it counts again, YYYY-MM-DD in UTC
	Reason string `json:"reason,omitempty"` // for people
}

// TagThreshold is an absolute bound over the cases with a tag. An errored cell stays in the denominator, as failed and with a score of 0.
type TagThreshold struct {
	Tag      string  `json:"tag,omitempty"`       // empty is every case
	PassRate float64 `json:"pass_rate,omitempty"` // at least this share of cells passes, in [0, 1]
	Score    float64 `json:"score,omitempty"`     // the mean score is at least this
}

// Regression says how the candidate is compared with the baseline.
type Regression struct {
	Measure       Measure `json:"measure,omitempty"`        // default pass_rate
	Alpha         float64 `json:"alpha,omitempty"`          // chance of a false alarm, in (0, 0.5]; default 0.05
	Power         float64 `json:"power,omitempty"`          // chance to find a regression of MinimumEffect, in [0.5, 1); default 0.8
	MinimumEffect float64 `json:"minimum_effect,omitempty"` // the smallest loss of the measure that matters, in (0, 1]; default 0.05
}

// Measure is what two sides are compared by.
type Measure string

// The measures.
const (
	MeasurePassRate Measure = "pass_rate" // the share of cells that pass
	MeasureScore    Measure = "score"     // the mean score
)

// Ruling is what a verdict comes to.
type Ruling string

// The rulings. Only passed opens a gate.
const (
	RulingPassed        Ruling = "passed"          // every rule of the policy holds
	RulingFailed        Ruling = "failed"          // a rule does not hold
	RulingNotEnoughData Ruling = "not_enough_data" // nothing was found, and too little was looked at to say so
	RulingUnresolved    Ruling = "unresolved"      // a cell is errored or was not run, so no rule can be relied upon
)

// Verdict is the judgement of a run under a policy.
type Verdict struct {
	Ruling     Ruling      `json:"ruling"`
	Reasons    []string    `json:"reasons"`   // one sentence a rule that does not hold, worst first; at most [MaxVerdictReasons]
	Counts     CellCounts  `json:"counts"`    // of the candidate
	PassRate   float64     `json:"pass_rate"` // every case counts the same, however many samples it has; errored and not run ones fail
	Score      float64     `json:"score"`     // mean likewise, errored and not run samples with 0
	Comparison *Comparison `json:"comparison,omitempty"`
}

// MaxVerdictReasons bounds the reasons of a verdict, so that it stays a small message; the report has all.
const MaxVerdictReasons = 20

// CellCounts are cells by what became of them. Passed and Failed add up to the scored ones.
type CellCounts struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Errored int `json:"errored"`
	NotRun  int `json:"not_run"`
}

// Total is how many cells there are: what every rate is divided by.
func (c CellCounts) Total() int { return c.Passed + c.Failed + c.Errored + c.NotRun }

// Unresolved is how many cells have no result.
func (c CellCounts) Unresolved() int { return c.Errored + c.NotRun }

// Comparison is a candidate against a baseline over the cases that both have. Differences are candidate minus baseline: negative is worse.
type Comparison struct {
	Measure    Measure `json:"measure"`
	Cases      int     `json:"cases"`      // pairs: cases with a scored cell on both sides
	Unpaired   int     `json:"unpaired"`   // cases that only one side has
	Difference float64 `json:"difference"` // mean over the pairs
	Low        float64 `json:"low"`        // confidence interval of the difference at 1-2α
	High       float64 `json:"high"`       //
	P          float64 `json:"p"`          // of a difference as bad or worse if there were none, one-sided
	Better     int     `json:"better"`     // pairs in which the candidate is better
	Worse      int     `json:"worse"`      //
	Detectable float64 `json:"detectable"` // minimum detectable effect: the smallest loss that these pairs find with the policy's power
	More       int     `json:"more"`       // how many more cases it would take to find the policy's minimum effect; 0 if there are enough
}
