package schemas

// The types of events that a suite's webhook is told.
const (
	EvalRegressed = "eval.regressed" // a rule of the policy does not hold: told by every run of which that is so
	EvalRecovered = "eval.recovered" // the first run that passed after it
	EvalDone      = "eval.ended"     // any other end
)

// EvalEvent is the body of what a suite's webhook is sent, with the properties that the Standard Webhooks specification recommends, as in
// CallbackEvent. It is the same at every attempt.
type EvalEvent struct {
	Type      string       `json:"type"`      // eval.regressed, eval.recovered or eval.ended
	Timestamp string       `json:"timestamp"` // of the run's end, RFC 3339
	Data      EvalEventRun `json:"data"`
}

// EvalEventRun is what is told of a run. Texts in it are shortened to 1,000 bytes.
type EvalEventRun struct {
	EvalSummary

	Tenant string `json:"tenant"`
	Link   string `json:"link,omitempty"` // to the report
}

// EvalTold is what a suite's webhook is told of a run.
type EvalTold struct {
	Event string `json:"event"`
	Sent  string `json:"sent,omitempty"` // how it ended: delivered or refused; empty while it is tried
}

// EvalToldKey is the EvalTold of a run.
func EvalToldKey(tenant, suite, id string) string {
	return EvalRunPrefix(tenant, suite, id) + "told.json"
}

// EvalStanding is how a suite stands by what its webhook was told.
type EvalStanding struct {
	StartMS int64 `json:"start_ms"` // of the latest run that was told of, Unix milliseconds
	Failing bool  `json:"failing"`  // the latest one that could be judged did not pass
}

// EvalStandingKey is the EvalStanding of a suite.
func EvalStandingKey(tenant, suite string) string {
	return SuitePrefix(tenant, suite) + "alert.json"
}

// EvalIssueClaim says which run opens the issue of a suite at this moment.
type EvalIssueClaim struct {
	Run  string `json:"run"` // id
	AtMS int64  `json:"at_ms"`
}

// EvalIssueClaimKey is the EvalIssueClaim of a suite.
func EvalIssueClaimKey(tenant, suite string) string {
	return SuitePrefix(tenant, suite) + "issue-claim.json"
}

// EvalReportPath is where the gateway shows the report of a run to people.
func EvalReportPath(suite, id string) string { return "/console/evals/" + suite + "/" + id }

// EvalMessageID names what is told of a run to its receiver, the same at every attempt. It holds no full stop, which separates what is signed.
func EvalMessageID(tenant, suite, id string) string {
	return "msg_" + Hash([]byte(EvalID(tenant, suite, id)))[:32]
}

// EvalIssueID tells the issue of a suite from all others in a repository.
func EvalIssueID(tenant, suite string) string {
	return Hash([]byte("eval-issue/" + tenant + "/" + suite))[:32]
}

// LogFields says which run is told of.
func (a EvalAlert) LogFields() []any {
	return []any{"tenant", a.Run.Tenant, "suite", a.Run.Suite, "run", a.Run.ID}
}
