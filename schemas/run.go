package schemas

import "encoding/json"

// Plan is what the interpreter needs to know of a chain: which steps there are and what they wait for. What they do is in the bundle,
// and judged by activities.
type Plan struct {
	Chain string     `json:"chain"`
	Steps []PlanStep `json:"steps"`
}

// PlanStep is one step of a plan.
type PlanStep struct {
	ID        string           `json:"id"`
	Kind      StepKind         `json:"kind"`
	Needs     []string         `json:"needs,omitempty"`
	Chosen    bool             `json:"chosen,omitempty"` // it runs only when a branch chooses it
	Retry     string           `json:"retry,omitempty"`
	TimeoutMS int              `json:"timeout_ms,omitempty"`
	Width     int              `json:"width,omitempty"` // of a map
	Chain     *Plan            `json:"chain,omitempty"` // of a map or of a tool that is a chain
	Tools     map[string]*Plan `json:"tools,omitempty"` // of a generate step: the tools that the model may call; nil for those over HTTP
	Ask       bool             `json:"ask,omitempty"`   // an ambiguous call waits for a person
}

// RunRequest starts a run.
type RunRequest struct {
	Tenant  string       `json:"tenant"`
	RunID   string       `json:"run_id"`
	Bundle  Ref          `json:"bundle"`
	Plan    Plan         `json:"plan"`
	Input   Content      `json:"input"`             // a JSON object
	StartMS int64        `json:"start_ms"`          // when the caller asked, Unix milliseconds
	Fresh   bool         `json:"fresh,omitempty"`   // nothing of the run can have been carried out before by another process, nor will one carry it on
	First   bool         `json:"first,omitempty"`   // nothing of it was carried out before it was started as this workflow
	Batch   bool         `json:"batch,omitempty"`   // nobody waits for it: its calls go behind those that somebody waits for
	Done    []StepRecord `json:"done,omitempty"`    // what was done before, of a run that goes on elsewhere
	Retries int          `json:"retries,omitempty"` // how often the run was continued on request; calls of later steps are made anew

	Release  string            `json:"release,omitempty"` // hash of the release that the run is pinned to; empty for a bundle that was sent along
	Label    string            `json:"label,omitempty"`   // by which it was asked for
	Key      string            `json:"key,omitempty"`     // id of the API key that asked for it
	Metadata map[string]string `json:"metadata,omitempty"`
	RerunOf  string            `json:"rerun_of,omitempty"` // run on a recalled release in whose place this one is
	Charge   Charge            `json:"charge,omitzero"`    // who pays, where a budget applies
	Callback string            `json:"callback,omitempty"` // URL that is told of the end
	LogProbs bool              `json:"logprobs,omitempty"` // the model that gives the chain's answer is asked for log probabilities, see StepDetail
	Trace    Trace             `json:"trace,omitzero"`     // of the caller
}

// StepRequest is the call of one step.
type StepRequest struct {
	Tenant   string             `json:"tenant"`
	RunID    string             `json:"run_id"`
	Bundle   Ref                `json:"bundle"`
	Chain    string             `json:"chain"`
	Step     string             `json:"step"`
	Path     string             `json:"path,omitempty"`    // of the chain within the run: empty, or such as each[3]/
	Input    Content            `json:"input"`             // of the chain
	Item     *int               `json:"item,omitempty"`    // Input is a list, and the chain's input is this element of it
	Outputs  map[string]Content `json:"outputs,omitempty"` // of the steps done before
	Args     Content            `json:"args,omitzero"`     // of a tool: what a model calls it with
	Turn     int                `json:"turn,omitempty"`    // of a tool loop, from 0
	State    Content            `json:"state,omitzero"`    // of the tool loop: what the turn before left
	Results  []ToolResult       `json:"results,omitempty"` // of the calls that the turn before asked for
	Fresh    bool               `json:"fresh,omitempty"`
	First    bool               `json:"first,omitempty"` // nothing of the run was carried out before in another process, but one may carry it on
	Retries  int                `json:"retries,omitempty"`
	Batch    bool               `json:"batch,omitempty"`
	LogProbs bool               `json:"logprobs,omitempty"` // of the run
	Resent   bool               `json:"resent,omitempty"`   // somebody decided that an ambiguous call shall be made again
	Trace    Trace              `json:"trace,omitzero"`     // of the run
	Local    bool               `json:"local,omitempty"`    // nothing of the step is durable before a later call of the run in the same process has waited for it
	StartMS  int64              `json:"start_ms,omitempty"`
}

// StepOutcome is the verdict on a step. The interpreter branches on it and on nothing else.
type StepOutcome struct {
	Output  Content   `json:"output,omitzero"`   // JSON
	Skipped bool      `json:"skipped,omitempty"` // its condition was false
	Chosen  []string  `json:"chosen,omitempty"`  // of a branch: the steps that run
	Items   int       `json:"items,omitempty"`   // of a map: Output is the list of its chain's inputs, this long
	Calls   []ToolUse `json:"calls,omitempty"`   // of a generate step: it goes on when these are done
	State   Content   `json:"state,omitzero"`
	Detail  Content   `json:"detail,omitzero"` // of a StepDetail
	Asks    string    `json:"asks,omitempty"`  // a person must decide: the question
	Ended   bool      `json:"ended,omitempty"` // the run has its record already: a crash lost only the word of it
}

// ToolUse is a tool call that a model asked for.
type ToolUse struct {
	ID   string  `json:"id"`
	Tool string  `json:"tool"` // id of the tool step
	Args Content `json:"args"` // what the model calls it with
}

// ToolResult is what came of it.
type ToolResult struct {
	ID     string  `json:"id"`
	Output Content `json:"output"`
	Failed string  `json:"failed,omitempty"`
}

// LineRequest asks to carry out a run whose steps follow one another, all of it in one call.
type LineRequest struct {
	Run    RunRequest `json:"run"`
	MostMS int64      `json:"most_ms"` // after which no further step is begun
}

// LineOutcome says how far a line came: to the end of the run, and its record is kept, or to the first step that is not as simple as that.
type LineOutcome struct {
	Outcome *RunOutcome  `json:"outcome,omitempty"`
	Steps   []StepRecord `json:"steps,omitempty"`  // done, of a run that has not ended
	Failed  *LineFailure `json:"failed,omitempty"` // what the step after them failed with
}

// LineFailure is the failure of a step in a line.
type LineFailure struct {
	Step         string    `json:"step"`
	Failure      StepError `json:"failure"`
	Final        bool      `json:"final,omitempty"`          // it is not tried again
	RetryAfterMS int64     `json:"retry_after_ms,omitempty"` // no sooner than that
}

// OutputRequest asks for the output of a finished chain, or for that of a map: the list of its parts' outputs.
type OutputRequest struct {
	Tenant  string             `json:"tenant"`
	RunID   string             `json:"run_id"`
	Bundle  Ref                `json:"bundle"`
	Chain   string             `json:"chain"`
	Path    string             `json:"path,omitempty"`
	Input   Content            `json:"input"`
	Item    *int               `json:"item,omitempty"`
	Outputs map[string]Content `json:"outputs,omitempty"`
	List    []Content          `json:"list,omitempty"`  // of a map, in order
	Part    bool               `json:"part,omitempty"`  // the list is a part of a map's: it is made flat with the others later
	Steps   []StepRecord       `json:"steps,omitempty"` // of a part: stored, and a reference returned
}

// OutputOutcome is an output.
type OutputOutcome struct {
	Output Content      `json:"output"`
	Steps  []StepRecord `json:"steps,omitempty"` // one that refers to those of the request
}

// PartRequest asks a child workflow to carry out some items of a map.
type PartRequest struct {
	Run    RunRequest `json:"run"`
	Path   string     `json:"path"`   // of the map step
	Plan   Plan       `json:"plan"`   // of its chain
	Inputs Content    `json:"inputs"` // the list of inputs of all items
	From   int        `json:"from"`
	To     int        `json:"to"` // exclusive
	Width  int        `json:"width"`
}

// PartOutcome points at the outputs of the items, a list in order, and at the records of their steps.
type PartOutcome struct {
	Output Content      `json:"output"`
	Steps  []StepRecord `json:"steps,omitempty"`
}

// StepRecord is what a step left behind.
type StepRecord struct {
	Path    string     `json:"path,omitempty"` // of its chain within the run
	ID      string     `json:"id"`
	Kind    StepKind   `json:"kind"`
	Skipped bool       `json:"skipped,omitempty"`
	Output  Content    `json:"output,omitzero"`
	Chosen  []string   `json:"chosen,omitempty"`
	Details []Content  `json:"details,omitempty"` // of StepDetail, one for each turn
	Parts   Content    `json:"parts,omitzero"`    // of a []StepRecord that stands in this one's place
	Failure *StepError `json:"failure,omitempty"`
}

// StepError says why a step failed.
type StepError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// RecordRequest asks to write the record of a run.
type RecordRequest struct {
	Run     RunRequest         `json:"run"`
	Status  string             `json:"status"`
	Outputs map[string]Content `json:"outputs,omitempty"` // of the steps of a run that is done: the run's output is made of them
	Failure *StepError         `json:"failure,omitempty"`
	Steps   []StepRecord       `json:"steps"`
	EndMS   int64              `json:"end_ms"`
	Lane    bool               `json:"lane,omitempty"`
	Ended   bool               `json:"ended,omitempty"` // a step found the record: it is read, and nothing is written
}

// RunOutcome is the result of a run.
type RunOutcome struct {
	RunID    string     `json:"run_id"`
	Output   Content    `json:"output,omitzero"`
	Usage    Usage      `json:"usage"`
	Cost     Cost       `json:"cost"`
	Failure  *StepError `json:"failure,omitempty"`
	Promoted bool       `json:"promoted,omitempty"` // the run goes on as a workflow of its own
	Charge   Charge     `json:"charge,omitzero"`    // that of its record
}

// The states of a run in its record.
const (
	RunDone      = "done"
	RunFailed    = "failed"
	RunCancelled = "cancelled"
)

// Cost is what calls cost by the prices of the bundle, in US dollars. Unknown counts calls without a known price: USD is then only a
// part of the truth.
type Cost struct {
	USD     float64 `json:"usd"`
	Unknown int     `json:"unknown_calls,omitempty"`
}

// Add returns the sum of both.
func (c Cost) Add(o Cost) Cost { return Cost{c.USD + o.USD, c.Unknown + o.Unknown} }

// StepDetail is what a step did, for people who want to understand or repeat it.
type StepDetail struct {
	Turn    int          `json:"turn,omitempty"`
	StartMS int64        `json:"start_ms"`
	TookMS  float64      `json:"took_ms"`           // of all attempts, without the waits between them
	Retries int          `json:"retries,omitempty"` // attempts before the last; Calls has what all of them did
	Calls   []CallDetail `json:"calls,omitempty"`
	Cuts    []Cut        `json:"cuts,omitempty"`
	Repairs []string     `json:"repairs,omitempty"` // what was mended in the output without asking again
	Queries []string     `json:"queries,omitempty"` // of a retrieve step, the question first
	Hits    int          `json:"hits,omitempty"`
	HTTP    *HTTPDetail  `json:"http,omitempty"`

	LogProbs []float64 `json:"logprobs,omitempty"` // natural logarithms, to four decimals, one a token of the response that became the output; where they were asked for
}

// CallDetail is one model call, made or tried.
type CallDetail struct {
	Identity    string          `json:"identity,omitempty"` // names the record
	Purpose     string          `json:"purpose,omitempty"`  // answer, repair, queries, rerank or embed
	Model       string          `json:"model"`              // as the bundle names it
	Target      string          `json:"target,omitempty"`   // provider/model that was called
	Answered    string          `json:"answered,omitempty"` // the model that the provider says has answered
	Fingerprint string          `json:"fingerprint,omitempty"`
	Finish      string          `json:"finish,omitempty"`
	Usage       Usage           `json:"usage"`
	Cost        *float64        `json:"cost_usd,omitempty"`     // nil is unknown
	PriceFactor float64         `json:"price_factor,omitempty"` // of the model's prices, that Cost is by: 0.5 in a batch; 0 is all of them
	TookMS      float64         `json:"took_ms,omitempty"`
	WaitedMS    float64         `json:"waited_ms,omitempty"` // for its turn
	Recorded    bool            `json:"recorded,omitempty"`  // read back, not paid now
	Cached      bool            `json:"cached,omitempty"`    // answered from the response cache
	Ambiguous   bool            `json:"ambiguous,omitempty"` // it may have been paid for once more: an earlier answer was lost
	Failure     *StepError      `json:"failure,omitempty"`
	Request     json.RawMessage `json:"request,omitempty"`  // in records of runs: what was sent
	Response    json.RawMessage `json:"response,omitempty"` // and what came back

	// Of a call that came in a vendor's form: the request is the run's input, and what came back has that form too.
	Operation string          `json:"operation,omitempty"` // as the model package names it, such as openai.chat.completions
	Events    json.RawMessage `json:"events,omitempty"`    // in place of Response: the data of a stream's events, a list
}

// Cut is a part of the context that was left out, and why.
type Cut struct {
	Section string `json:"section"`
	Item    string `json:"item,omitempty"`
	Tokens  int    `json:"tokens"`
	Reason  string `json:"reason"`
}

// HTTPDetail is a call of an HTTP tool.
type HTTPDetail struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	Status int    `json:"status,omitempty"`
}

// Exchange is the stored record of a run: all that is needed to understand it and to repeat it. A call of a configured model that was passed
// through is one too, of ModelChain and without a bundle and a plan; where its input or response is too long, the Ref of it stands there.
type Exchange struct {
	RunID     string          `json:"run_id"`
	Tenant    string          `json:"tenant"`
	KeyID     string          `json:"key_id,omitempty"` // of the API key that asked for it
	Chain     string          `json:"chain"`
	Bundle    Ref             `json:"bundle"`
	Plan      Plan            `json:"plan"`
	Status    string          `json:"status"`
	Failure   *StepError      `json:"failure,omitempty"`
	Input     json.RawMessage `json:"input"`
	Output    json.RawMessage `json:"output,omitempty"`
	OutputRef Ref             `json:"output_ref,omitzero"` // where the output is too long for the record
	StartMS   int64           `json:"start_ms"`
	TookMS    int64           `json:"took_ms"`
	Lane      bool            `json:"lane,omitempty"`
	Retries   int             `json:"retries,omitempty"`
	Steps     []ExchangeStep  `json:"steps"`
	Usage     Usage           `json:"usage"`
	Cost      Cost            `json:"cost"`

	Release  string            `json:"release,omitempty"` // hash of the release that the run was pinned to
	Label    string            `json:"label,omitempty"`   // by which it was asked for
	Key      string            `json:"key,omitempty"`     // id of the API key that asked for it
	Metadata map[string]string `json:"metadata,omitempty"`
	RerunOf  string            `json:"rerun_of,omitempty"`  // run on a recalled release in whose place this one was
	RerunAs  string            `json:"rerun_as,omitempty"`  // run in whose place that one is: this one's release was recalled
	Charge   Charge            `json:"charge,omitzero"`     // whose budgets paid
	Callback bool              `json:"callback,omitempty"`  // its end is told to a URL: CallbackKey has how that stands
	FilledMS int64             `json:"filled_ms,omitempty"` // when the record was filled in from the workflow's history, Unix milliseconds; 0 for one that the run left
}

// Outcome is the result that the record tells of.
func (e Exchange) Outcome() RunOutcome {
	return RunOutcome{RunID: e.RunID, Output: Content{Text: string(e.Output), Ref: e.OutputRef}, Usage: e.Usage, Cost: e.Cost, Failure: e.Failure, Charge: e.Charge}
}

// ExchangeStep is a step in the record of a run.
type ExchangeStep struct {
	Path      string          `json:"path,omitempty"`
	ID        string          `json:"id"`
	Kind      StepKind        `json:"kind"`
	Skipped   bool            `json:"skipped,omitempty"`
	Output    json.RawMessage `json:"output,omitempty"` // or, where it is long, OutputRef
	Chosen    []string        `json:"chosen,omitempty"`
	OutputRef Ref             `json:"output_ref,omitzero"`
	Details   []StepDetail    `json:"details,omitempty"`
	Failure   *StepError      `json:"failure,omitempty"`
}

// LaneRequest starts a lane, or continues one.
type LaneRequest struct {
	Runs int `json:"runs,omitempty"` // carried out by the executions before
}

// LaneBatch are runs that a lane carries out side by side: those that were asked for while the one before was on its way.
type LaneBatch struct {
	Runs []RunRequest `json:"runs"`
}

// LaneOutcomes are the results of the runs of a batch, in their order. A failed one has its failure in it.
type LaneOutcomes struct {
	Outcomes []RunOutcome `json:"outcomes"`
}

// LaneOutcome is what a closed lane carried out.
type LaneOutcome struct {
	Runs int `json:"runs"`
}

// RunProgress is how far a run is.
type RunProgress struct {
	Steps    []StepRecord `json:"steps"`
	Question Question     `json:"question,omitzero"`
}

// Question is what a run waits to be told by a person.
type Question struct {
	Path string `json:"path,omitempty"`
	Step string `json:"step"`
	Text string `json:"text"`
}

// Decision answers a question: whether a call that may have been paid for already shall be made again. If not, its step fails.
type Decision struct {
	Path  string `json:"path,omitempty"`
	Step  string `json:"step"`
	Again bool   `json:"again"`
}
