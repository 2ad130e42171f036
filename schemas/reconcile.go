package schemas

// ReconcileRequest asks to prove that records agree with the histories of workflows: of every Chain that closed in a window of time.
type ReconcileRequest struct {
	Tenant string          `json:"tenant,omitempty"`  // empty is all
	FromMS int64           `json:"from_ms,omitempty"` // Unix milliseconds; 0 is a little before where the last one of this schedule ended, or a day ago
	ToMS   int64           `json:"to_ms,omitempty"`   // exclusive; 0 is a minute ago
	Token  []byte          `json:"token,omitempty"`   // of the page to go on with
	Report ReconcileReport `json:"report,omitzero"`   // of what was looked at before
}

// ReconcilePageRequest asks for one page of a window.
type ReconcilePageRequest struct {
	Tenant string `json:"tenant,omitempty"`
	FromMS int64  `json:"from_ms"`
	ToMS   int64  `json:"to_ms"`
	Token  []byte `json:"token,omitempty"`
}

// ReconcilePageOutcome is what a page held.
type ReconcilePageOutcome struct {
	Report ReconcileReport `json:"report"`
	Token  []byte          `json:"token,omitempty"` // of the next page; none at the end
}

// ReconcileReport counts runs by what was found of them.
type ReconcileReport struct {
	FromMS   int64              `json:"from_ms,omitempty"`
	ToMS     int64              `json:"to_ms,omitempty"`
	Checked  int                `json:"checked"`
	Agree    int                `json:"agree"`    // one record, with the status and output of the workflow
	Filled   int                `json:"filled"`   // there was no record, and now there is one
	Differ   int                `json:"differ"`   // the record says something else, or there are two: nothing was changed
	Missing  int                `json:"missing"`  // there is no record, and none could be made
	Findings []ReconcileFinding `json:"findings"` // of all that do not agree, the first so many
}

// MaxFindings is how many findings a report names.
const MaxFindings = 50

// ReconcileFinding is a run whose record was not as it should be.
type ReconcileFinding struct {
	Tenant string `json:"tenant"`
	RunID  string `json:"run_id"`
	Kind   string `json:"kind" enum:"filled,differs,missing"`
	Detail string `json:"detail"`
}

// The kinds of findings.
const (
	FindingFilled  = "filled"
	FindingDiffers = "differs"
	FindingMissing = "missing"
)

// Add sums up two reports of the same window.
func (r ReconcileReport) Add(o ReconcileReport) ReconcileReport {
	r.Checked += o.Checked
	r.Agree += o.Agree
	r.Filled += o.Filled
	r.Differ += o.Differ
	r.Missing += o.Missing
	all := append(append([]ReconcileFinding{}, r.Findings...), o.Findings...)
	r.Findings = all[:min(len(all), MaxFindings)]
	return r
}

// Verdict says in a word how a report ends.
func (r ReconcileReport) Verdict() string {
	switch {
	case r.Differ > 0:
		return FindingDiffers
	case r.Missing > 0:
		return FindingMissing
	case r.Filled > 0:
		return FindingFilled
	}
	return "agree"
}

// FillRequest is what is known of a run that left no record. It passes between activities and is not stored.
type FillRequest struct {
	Run     RunRequest
	Status  string
	Failure *StepError
	Output  Content // of a run that is done
	Steps   []StepRecord
	EndMS   int64
	NowMS   int64
}
