// Package rest has the JSON shapes of the HTTP API, which the gateway answers and the command line reads. They are stable: fields
// are added, never renamed.
package rest

import (
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Problem is an error, as RFC 9457 has it, with the code of schemas that scripts should branch on.
type Problem struct {
	Type      string       `json:"type" doc:"A URN for the code."`
	Title     string       `json:"title" doc:"The text of the HTTP status."`
	Status    int          `json:"status" doc:"The HTTP status."`
	Detail    string       `json:"detail" doc:"What went wrong, and what to do, in one sentence."`
	Code      schemas.Code `json:"code" doc:"The failure's class."`
	RequestID string       `json:"request_id,omitempty" doc:"Names the request in the gateway's logs."`
	Errors    []Fault      `json:"errors,omitempty" doc:"The single faults of the input."`
	Evals     []GateRun    `json:"evals,omitempty" doc:"Of a label that is not moved because suites that it requires did not pass: their runs."`
}

// Fault is one fault of a request.
type Fault struct {
	Message  string `json:"message"`
	Location string `json:"location,omitempty" doc:"Such as body.documents[3].path."`
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Cursor of the next page; absent on the last."`
}

// NewKey asks for an API key.
type NewKey struct {
	Name      string         `json:"name,omitempty" maxLength:"200" doc:"Who holds the key."`
	Tenant    string         `json:"tenant,omitempty" doc:"Tenant of the key; the caller's own if absent."`
	Roles     []schemas.Role `json:"roles" minItems:"1" maxItems:"4" enum:"service,reviewer,operator,admin" doc:"What the holder may do."`
	ExpiresIn string         `json:"expires_in,omitempty" doc:"How long the key lives, such as 12h or 30d; for ever if absent."`
	Chains    []string       `json:"chains,omitempty" maxItems:"100" doc:"The chains that the key may run, with * for any characters; all if absent."`
	Models    []string       `json:"models,omitempty" maxItems:"100" doc:"The models that its holder may name, with * for any characters; all if absent."`

	RequestsPerMinute int `json:"requests_per_minute,omitempty" minimum:"0" maximum:"1000000" doc:"Bound on the key's requests at each gateway process; none if absent."`
}

// Key is an API key without its secret.
type Key struct {
	ID         string         `json:"id"`
	Name       string         `json:"name,omitempty"`
	Tenant     string         `json:"tenant"`
	Roles      []schemas.Role `json:"roles"`
	Chains     []string       `json:"chains,omitempty" doc:"The chains that it may run; all if absent."`
	Models     []string       `json:"models,omitempty" doc:"The models that its holder may name; all if absent."`
	CreatedAt  time.Time      `json:"created_at"`
	ExpiresAt  *time.Time     `json:"expires_at,omitempty"`
	RevokedAt  *time.Time     `json:"revoked_at,omitempty"`
	ReplacedBy string         `json:"replaced_by,omitempty" doc:"The key that a rotation put in its place."`
	First      string         `json:"first,omitempty" doc:"The key that this one replaces, after one rotation or several; budgets count for both together."`

	RequestsPerMinute int `json:"requests_per_minute,omitempty"`
}

// RotateKey asks for a key in the place of another.
type RotateKey struct {
	Overlap string `json:"overlap,omitempty" doc:"How long the old key still opens, such as 24h or 0s; 24h if absent."`
}

// CreatedKey is a new key with its token, which is shown this once.
type CreatedKey struct {
	Key
	Token string `json:"token" doc:"The secret; only its hash is kept."`
}

// NewBudget bounds what a subject may spend in a calendar day and a calendar month, in UTC. What is absent is not limited; zero allows
// nothing.
type NewBudget struct {
	USDDay      *float64 `json:"usd_day,omitempty" minimum:"0" maximum:"1000000000" doc:"US dollars a day, to the millionth."`
	USDMonth    *float64 `json:"usd_month,omitempty" minimum:"0" maximum:"1000000000" doc:"US dollars a month."`
	TokensDay   *int64   `json:"tokens_day,omitempty" minimum:"0" maximum:"1000000000000000" doc:"Tokens of input and output a day."`
	TokensMonth *int64   `json:"tokens_month,omitempty" minimum:"0" maximum:"1000000000000000" doc:"Tokens a month."`
	Unknown     string   `json:"unknown,omitempty" enum:"refuse,allow" doc:"What becomes of calls whose price is not known, under a limit of money; refuse if absent."`
}

// Budget is a budget and how it stands. The key of a budget is the first of those that replaced one another.
type Budget struct {
	Subject string `json:"subject" doc:"tenant, or the id of an API key."`
	NewBudget
	Windows []BudgetWindow `json:"windows" doc:"The day and the month of now, where they are limited."`
}

// BudgetWindow is how a budget stands in one window. Amounts in US dollars are exact to the millionth.
type BudgetWindow struct {
	Window         string    `json:"window" doc:"A day such as 2026-11-05, or a month such as 2026-11, in UTC."`
	Ends           time.Time `json:"ends" doc:"When the next one opens."`
	USDLimit       *float64  `json:"usd_limit,omitempty"`
	USDSpent       float64   `json:"usd_spent"`
	USDReserved    float64   `json:"usd_reserved" doc:"Granted to gateways, and not spent."`
	USDLeft        *float64  `json:"usd_left,omitempty"`
	TokensLimit    *int64    `json:"tokens_limit,omitempty"`
	TokensSpent    int64     `json:"tokens_spent"`
	TokensReserved int64     `json:"tokens_reserved"`
	TokensLeft     *int64    `json:"tokens_left,omitempty"`
}

// Budgets are those of a tenant.
type Budgets struct {
	Budgets []Budget `json:"budgets"`
}

// Spend is what the records of runs say was spent, and whether the ledger says the same.
type Spend struct {
	From    string       `json:"from" doc:"The first day, in UTC."`
	To      string       `json:"to" doc:"The last day."`
	By      string       `json:"by"`
	Groups  []SpendGroup `json:"groups" doc:"The dearest first; by day in order."`
	Total   SpendGroup   `json:"total"`
	Damaged int          `json:"damaged,omitempty" doc:"Records that cannot be read, and so are in no sum."`
	Budgets []Budget     `json:"budgets"`
	Differs []SpendDiff  `json:"differs" doc:"Days on which ledger and records differ, and why."`
}

// SpendGroup is what runs with something in common have spent.
type SpendGroup struct {
	Name    string  `json:"name"`
	Runs    int     `json:"runs"`
	Calls   int     `json:"calls" doc:"Of models."`
	Tokens  int64   `json:"tokens" doc:"Input and output together."`
	USD     float64 `json:"usd" doc:"Of calls with a known price, to the millionth."`
	Unknown int     `json:"unknown_calls,omitempty" doc:"Calls without a known price."`
}

// SpendDiff is a day on which the ledger and the records say different things of a budget.
type SpendDiff struct {
	Subject       string  `json:"subject"`
	Day           string  `json:"day"`
	USDLedger     float64 `json:"usd_ledger"`
	USDRecords    float64 `json:"usd_records"`
	TokensLedger  int64   `json:"tokens_ledger"`
	TokensRecords int64   `json:"tokens_records"`
	Reason        string  `json:"reason"`
}

// Pack is a stored upload.
type Pack struct {
	Pack     string `json:"pack" doc:"Hash of the pack's index."`
	Contents int    `json:"contents" doc:"How many contents it holds."`
	Bytes    int64  `json:"bytes" doc:"Size of the stored object."`
	Existed  bool   `json:"existed,omitempty" doc:"The same pack was stored before."`
}

// RecipeChoice is what a caller may choose of a recipe; what is zero is the platform's choice.
type RecipeChoice struct {
	MaxTokens     int    `json:"max_tokens,omitempty" minimum:"32" maximum:"8192" doc:"Tokens of a chunk at most; 320 if absent."`
	OverlapTokens *int   `json:"overlap_tokens,omitempty" minimum:"0" doc:"Tokens that neighbouring chunks share; a tenth of max_tokens if absent."`
	Embedder      string `json:"embedder,omitempty" doc:"Provider and model, such as local/lexical."`
	Dimensions    int    `json:"dimensions,omitempty" minimum:"0" maximum:"65535" doc:"Of the vectors; the model's own if absent."`
	Language      string `json:"language,omitempty" pattern:"^(auto|[a-z]{2})$" doc:"Of the keyword analysis: a two-letter code or auto."`
}

// NewIngestion lists a source's documents; together they replace what the source held before.
type NewIngestion struct {
	Source    string                   `json:"source" doc:"Name of the source."`
	Recipe    *RecipeChoice            `json:"recipe,omitempty" doc:"Only for the first ingestion of a collection."`
	Documents []schemas.ListedDocument `json:"documents" maxItems:"1000000" doc:"Every document of the source."`
}

// Started answers a listing: either contents are missing and nothing has started, or an ingestion runs.
type Started struct {
	Missing    []string `json:"missing,omitempty" doc:"SHA-256 of the contents to upload first; then post the listing again."`
	WorkflowID string   `json:"workflow_id,omitempty"`
	Ingestion  string   `json:"ingestion,omitempty" doc:"Id of the ingestion."`
	RunID      string   `json:"run_id,omitempty" doc:"Temporal's id of the execution."`
	Joined     bool     `json:"joined,omitempty" doc:"The same listing is being ingested already; this is that ingestion."`
}

// Report is what an ingestion did.
type Report struct {
	WorkflowID string                 `json:"workflow_id"`
	Documents  schemas.DocumentCounts `json:"documents"`
	Chunks     schemas.ChunkCounts    `json:"chunks"`
	Embedding  schemas.Embedding      `json:"embedding"`
	Quarantine []schemas.Quarantined  `json:"quarantine"`
	Seconds    float64                `json:"seconds"`
}

// Status is where a workflow stands.
type Status string

// The statuses. All but Running are final.
const (
	Running    Status = "running"
	Completed  Status = "completed"
	Failed     Status = "failed"
	Canceled   Status = "canceled"
	Terminated Status = "terminated"
	TimedOut   Status = "timed_out"
)

// Ingestion is one ingestion as a list shows it, and with the last four fields when one is asked for.
type Ingestion struct {
	WorkflowID string     `json:"workflow_id"`
	Ingestion  string     `json:"ingestion"`
	RunID      string     `json:"run_id"`
	Collection string     `json:"collection"`
	Source     string     `json:"source,omitempty"`
	Documents  int        `json:"documents" doc:"How many documents were listed."`
	Status     Status     `json:"status" enum:"running,completed,failed,canceled,terminated,timed_out"`
	StartedAt  time.Time  `json:"started_at"`
	ClosedAt   *time.Time `json:"closed_at,omitempty"`

	Progress *schemas.Progress `json:"progress,omitempty" doc:"Absent while no worker can be asked."`
	Waiting  []Waiting         `json:"waiting,omitempty" doc:"What holds it up, while it runs."`
	Report   *Report           `json:"report,omitempty" doc:"Present when completed."`
	Failure  *Failure          `json:"failure,omitempty" doc:"Present when it ended otherwise."`
}

// Waiting is one reason why a workflow makes no progress.
type Waiting struct {
	Step    string     `json:"step" doc:"The activity, or the queue that nobody works on."`
	Attempt int        `json:"attempt,omitempty"`
	Reason  string     `json:"reason"`
	Next    *time.Time `json:"next,omitempty" doc:"When it is tried again."`
}

// Failure says why a workflow ended without a result.
type Failure struct {
	Code    schemas.Code `json:"code"`
	Message string       `json:"message"`
	Advice  string       `json:"advice,omitempty"`
}

// NewSearch asks for chunks, by one query or by several.
type NewSearch struct {
	Query   string             `json:"query,omitempty" doc:"What to look for; or give queries."`
	Queries []SearchQuery      `json:"queries,omitempty" maxItems:"200"`
	Mode    schemas.SearchMode `json:"mode,omitempty" enum:"hybrid,vector,keyword" doc:"hybrid if absent."`
	Limit   int                `json:"limit,omitempty" minimum:"1" maximum:"1000" doc:"Hits of a query at most; 10 if absent."`
	Alpha   *float64           `json:"alpha,omitempty" minimum:"0" maximum:"1" doc:"Weight of the vector in hybrid search; the embedder's own if absent."`
	Filter  *schemas.Filter    `json:"filter,omitempty"`
}

// SearchQuery is one of several queries.
type SearchQuery struct {
	ID   string `json:"id" doc:"Chosen by the caller; names the result."`
	Text string `json:"text"`
}

// Found answers a search: hits for a single query, results for several.
type Found struct {
	Hits    []schemas.Hit  `json:"hits,omitzero"`
	Results []SearchResult `json:"results,omitzero"`
}

// SearchResult is the hits of one of several queries.
type SearchResult struct {
	ID   string        `json:"id"`
	Hits []schemas.Hit `json:"hits"`
}

// NewAsk asks a question about a collection.
type NewAsk struct {
	Question  string             `json:"question" minLength:"1"`
	Mode      schemas.SearchMode `json:"mode,omitempty" enum:"hybrid,vector,keyword" doc:"hybrid if absent."`
	Limit     int                `json:"limit,omitempty" minimum:"1" maximum:"1000" doc:"Chunks in the model's context; 6 if absent."`
	Model     string             `json:"model,omitempty" doc:"Provider and model; the gateway's default if absent."`
	MaxTokens int                `json:"max_tokens,omitempty" minimum:"0" doc:"Of the answer; the model's own limit if absent."`
	Filter    *schemas.Filter    `json:"filter,omitempty"`
}

// Answered is an answer with its sources.
type Answered struct {
	RunID     string             `json:"run_id"`
	Answer    string             `json:"answer"`
	Citations []schemas.Citation `json:"citations"`
	Model     string             `json:"model"`
	Usage     schemas.Usage      `json:"usage"`
	LatencyMS float64            `json:"latency_ms" doc:"From the arrival of the request to the answer, in milliseconds."`
}

// NewRun asks to run a chain that is sent along.
type NewRun struct {
	Bundle    schemas.Bundle    `json:"bundle" doc:"The chain and all it uses, as tenuto run sends it."`
	Input     json.RawMessage   `json:"input,omitempty" doc:"The input of the chain, an object."`
	Execution schemas.Execution `json:"execution,omitempty" enum:"auto,workflow,lane" doc:"How the run is carried out; the chain's own choice if absent."`
	Batch     bool              `json:"batch,omitempty" doc:"Nobody waits: its model calls go behind those that somebody waits for."`
	Detach    bool              `json:"detach,omitempty" doc:"Answer as soon as the run is accepted."`
	Stream    bool              `json:"stream,omitempty" doc:"Answer with server-sent events: the chain's answer while it comes in, and the result."`
}

// RunResult is a run and, once it ended, its result.
type RunResult struct {
	RunID  string          `json:"run_id"`
	Status RunStatus       `json:"status" enum:"running,done,failed,cancelled"`
	Output json.RawMessage `json:"output,omitempty"`
	Usage  schemas.Usage   `json:"usage"`
	Cost   schemas.Cost    `json:"cost"`

	Release string `json:"release,omitempty" doc:"Hash of the release that the run is pinned to."`
	Label   string `json:"label,omitempty" doc:"By which it was asked for."`
}

// RunStatus is the state of a run.
type RunStatus string

// The states of a run.
const (
	RunRunning   RunStatus = "running"
	RunDone      RunStatus = "done"
	RunFailed    RunStatus = "failed"
	RunCancelled RunStatus = "cancelled"
)

// Run is one run of a chain: its record when it has ended, how far it is while it runs.
type Run struct {
	RunID    string               `json:"run_id"`
	Chain    string               `json:"chain,omitempty" doc:"Absent where only a claim says that it runs."`
	Status   RunStatus            `json:"status" enum:"running,done,failed,cancelled"`
	StartMS  int64                `json:"start_ms,omitempty" doc:"Unix milliseconds."`
	Record   *schemas.Exchange    `json:"record,omitempty" doc:"Present when it has ended."`
	Progress *schemas.RunProgress `json:"progress,omitempty" doc:"Absent when it has ended, and while no worker can be asked."`
	Waiting  []Waiting            `json:"waiting,omitempty" doc:"What holds it up, while it runs."`
	Output   json.RawMessage      `json:"output,omitempty"`
	Failure  *Failure             `json:"failure,omitempty"`
	Callback *schemas.Delivery    `json:"callback,omitempty" doc:"How the delivery of its callback stands; present when it has ended and was asked for with one."`
	Feedback []schemas.Feedback   `json:"feedback,omitempty" doc:"What counts of the feedback on it: the latest of each author and name. Absent is no feedback, which is not bad feedback."`
}

// RunSummary is a run in a list.
type RunSummary struct {
	RunID   string             `json:"run_id"`
	Chain   string             `json:"chain"`
	Status  RunStatus          `json:"status" enum:"running,done,failed,cancelled"`
	StartMS int64              `json:"start_ms" doc:"Unix milliseconds."`
	TookMS  int64              `json:"took_ms,omitempty"`
	Lane    bool               `json:"lane,omitempty"`
	Steps   int                `json:"steps,omitempty"`
	Usage   schemas.Usage      `json:"usage"`
	Cost    schemas.Cost       `json:"cost"`
	Failure *schemas.StepError `json:"failure,omitempty"`

	Release  string            `json:"release,omitempty"`
	Label    string            `json:"label,omitempty"`
	Key      string            `json:"key,omitempty" doc:"Id of the API key that asked for it."`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Runs is a page of runs, the latest first.
type Runs struct {
	UnderWay []RunSummary `json:"under_way,omitempty" doc:"On the first page of the runs of a release: those that have not ended."`
	Runs     []RunSummary `json:"runs"`
	Next     string       `json:"next,omitempty" doc:"Cursor of the following page."`
}

// RetryRun asks to continue a run.
type RetryRun struct {
	From string `json:"from,omitempty" doc:"The step to begin with; what was done before it is kept. The failed one if absent."`
}

// Check is the state of one part.
type Check struct {
	Name   string  `json:"name"`
	OK     bool    `json:"ok"`
	Detail string  `json:"detail,omitempty" doc:"What is wrong and what to do, where something is."`
	MS     float64 `json:"ms" doc:"How long the check took, in milliseconds."`
}

// Health is the state of every part.
type Health struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}
