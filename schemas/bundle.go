package schemas

import "encoding/json"

// Bundle is everything that a chain needs to run, in one immutable document: what a project's folder says, checked and put together.
// It is stored under the hash of its JSON, so the same chain with the same prompts, models and settings is the same bundle.
type Bundle struct {
	Chain   string              `json:"chain"`             // the chain that the bundle is for
	Chains  map[string]ChainDef `json:"chains"`            // it, and those that it calls
	Prompts map[string]string   `json:"prompts,omitempty"` // sources of the prompts they use, and of their partials, in the dotprompt format
	Models  Models              `json:"models"`
	Recipes map[string]Recipe   `json:"recipes,omitempty"` // of the collections that retrieve steps name, as they were when a release was made
}

// Models says which models there are, who serves them, what they cost, and how to choose among them.
type Models struct {
	Providers map[string]ProviderDef `json:"providers,omitempty"`
	Models    map[string]ModelDef    `json:"models,omitempty"`
	Routes    map[string]RouteDef    `json:"routes,omitempty"`
}

// The drivers of model providers.
const (
	DriverOpenAI    = "openai"
	DriverAnthropic = "anthropic"
	DriverGemini    = "gemini"
	DriverCohere    = "cohere"
	DriverOllama    = "ollama"
	DriverLocal     = "local"
	DriverRerank    = "rerank" // servers with the rerank API of Jina: Jina, vLLM, Text Embeddings Inference
)

// ProviderDef is a server of models.
type ProviderDef struct {
	Driver  string  `json:"driver"`
	BaseURL string  `json:"base_url,omitempty"` // empty is the vendor's own
	KeyEnv  string  `json:"key_env,omitempty"`  // name of the environment variable of the worker that holds the key
	API     string  `json:"api,omitempty"`      // of driver openai: chat or responses; empty lets the model decide
	Limits  RateDef `json:"limits,omitzero"`
}

// RateDef bounds the use of a provider or of a model. A zero field is no bound.
type RateDef struct {
	RequestsPerMinute int `json:"requests_per_minute,omitempty"`
	TokensPerMinute   int `json:"tokens_per_minute,omitempty"` // input and output together
	Concurrency       int `json:"concurrency,omitempty"`
}

// ModelDef is a model of a provider.
type ModelDef struct {
	Provider  string    `json:"provider"`
	Model     string    `json:"model,omitempty"`      // its name there; empty is the name that the project gives it
	Context   int       `json:"context,omitempty"`    // tokens that input and output may have together; 0 is unknown
	MaxOutput int       `json:"max_output,omitempty"` // tokens; 0 is unknown
	Tokenizer string    `json:"tokenizer,omitempty"`  // cl100k_base or o200k_base, by which the context is measured; empty is o200k_base
	Prices    *PriceDef `json:"prices,omitempty"`     // nil is unknown, which is not the same as free
	Limits    RateDef   `json:"limits,omitzero"`
}

// PriceDef is what a model costs, in US dollars for a million tokens.
type PriceDef struct {
	Input   float64  `json:"input"`
	Cached  *float64 `json:"cached,omitempty"`  // input that the provider's prompt cache served; nil is the price of input
	Written *float64 `json:"written,omitempty"` // input that was put into it; nil is the price of input
	Output  float64  `json:"output"`
}

// RouteDef chooses among models. Targets are tried in order; see TargetDef.
type RouteDef struct {
	Targets  []TargetDef `json:"targets"`
	Escalate string      `json:"escalate,omitempty"` // CEL over output (text, json, finish) and input: where true, the next target answers instead
	Refusals bool        `json:"refusals,omitempty"` // a target that refuses hands over to the next
}

// TargetDef is one choice of a route.
type TargetDef struct {
	Model  string  `json:"model"`
	When   string  `json:"when,omitempty"`   // CEL over input and run: the target counts only where it is true
	Weight float64 `json:"weight,omitempty"` // neighbours in the list with a weight share the calls in proportion; 0 is none
}

// Execution says how runs of a chain are carried out.
type Execution string

// The executions.
const (
	ExecutionAuto     Execution = "auto"     // a lane where a caller waits and nothing in the chain stands against it
	ExecutionWorkflow Execution = "workflow" // a workflow of its own
	ExecutionLane     Execution = "lane"
)

// ChainDef is a chain: steps with dependencies, a typed input and output.
type ChainDef struct {
	Description string          `json:"description,omitempty"`
	Input       json.RawMessage `json:"input,omitempty"`  // JSON Schema of the input, an object
	Output      string          `json:"output,omitempty"` // CEL over input and steps; empty is the output of the last step
	Schema      json.RawMessage `json:"schema,omitempty"` // JSON Schema that the output satisfies
	Execution   Execution       `json:"execution,omitempty"`
	Steps       []StepDef       `json:"steps"`
}

// StepDef is one step; exactly one of the kinds is set. Expressions are CEL over input (the chain's), steps (outputs of the steps
// that it needs, directly or by others), run (id, tenant, chain) and, in a map, item and index.
type StepDef struct {
	ID        string       `json:"id"`
	Needs     []string     `json:"needs,omitempty"`
	When      string       `json:"when,omitempty"`       // the step is skipped where it is false
	TimeoutMS int          `json:"timeout_ms,omitempty"` // of one attempt; 0 is two minutes
	Retry     string       `json:"retry,omitempty"`      // none, interactive (default) or patient
	Ambiguous string       `json:"ambiguous,omitempty"`  // what a call does of which it is not known whether it was paid: retry (default), fail or ask
	Cache     *CacheDef    `json:"cache,omitempty"`
	Retrieve  *RetrieveDef `json:"retrieve,omitempty"`
	Generate  *GenerateDef `json:"generate,omitempty"`
	Map       *MapDef      `json:"map,omitempty"`
	Branch    *BranchDef   `json:"branch,omitempty"`
	Tool      *ToolDef     `json:"tool,omitempty"`
}

// The retry profiles of a step.
const (
	RetryNone        = "none"
	RetryInteractive = "interactive" // some attempts within minutes
	RetryPatient     = "patient"     // attempts for up to three days
)

// What becomes of a call that was sent and whose answer was lost.
const (
	AmbiguousRetry = "retry"
	AmbiguousFail  = "fail"
	AmbiguousAsk   = "ask"
)

// CacheDef has equal calls of the tenant answered by one response.
type CacheDef struct {
	TTLSeconds int `json:"ttl_seconds"`
}

// RetrieveDef looks for passages. Its output is {"hits": [Hit …]}.
type RetrieveDef struct {
	Collection string            `json:"collection"`         // name, or CEL in ${}
	Query      string            `json:"query"`              // CEL
	Mode       SearchMode        `json:"mode,omitempty"`     // default hybrid
	Limit      int               `json:"limit,omitempty"`    // default 8
	Alpha      *float64          `json:"alpha,omitempty"`    // weight of the vector in hybrid search, 0 to 1
	Source     string            `json:"source,omitempty"`   // CEL; as in Filter
	Document   string            `json:"document,omitempty"` // CEL; as in Filter
	Metadata   map[string]string `json:"metadata,omitempty"` // CEL each, a string or a list of strings; as in Filter
	Queries    *QueriesDef       `json:"queries,omitempty"`
	Rerank     *RerankDef        `json:"rerank,omitempty"`
	Parents    bool              `json:"parents,omitempty"` // each hit grows to the section that it is in
}

// QueriesDef has a prompt write further queries; results of all are fused by reciprocal rank.
type QueriesDef struct {
	Prompt string `json:"prompt"` // its output is a list of strings, or an object with a list called queries
	Model  string `json:"model,omitempty"`
	Count  int    `json:"count,omitempty"` // at most; default 3
}

// RerankDef has a model order the hits.
type RerankDef struct {
	Model string `json:"model"`
	Top   int    `json:"top,omitempty"` // how many remain; 0 is all
}

// GenerateDef has a model answer. Its output is the text, {"text": …}, or with a schema the value; with Cite {"answer", "citations", "dropped"}.
type GenerateDef struct {
	Prompt   string            `json:"prompt"`
	With     map[string]string `json:"with,omitempty"`     // the prompt's input: CEL each
	History  string            `json:"history,omitempty"`  // CEL: a list of {role, text}
	Passages string            `json:"passages,omitempty"` // CEL: a list of hits, for the prompt's passages
	Model    string            `json:"model,omitempty"`    // a model or route of the project, or PROVIDER/MODEL of the installation; empty is the prompt's
	Budget   BudgetDef         `json:"budget,omitzero"`
	Schema   json.RawMessage   `json:"schema,omitempty"`    // of the output; nil is the prompt's
	Reasks   *int              `json:"reasks,omitempty"`    // how often a model is asked again for output that fits the schema; default 2
	Cite     bool              `json:"cite,omitempty"`      // citations are verified against the passages
	Tools    []string          `json:"tools,omitempty"`     // tool steps of the chain that the model may call; they do not run by themselves
	MaxTurns int               `json:"max_turns,omitempty"` // of a tool loop; default 8
	MaxCost  float64           `json:"max_cost,omitempty"`  // US dollars, of the step; 0 is no bound. An unknown price then fails
}

// BudgetDef bounds parts of the context in tokens. A zero field leaves it to the model's context size.
type BudgetDef struct {
	Context   int `json:"context,omitempty"`
	History   int `json:"history,omitempty"`
	Retrieved int `json:"retrieved,omitempty"`
	Answer    int `json:"answer,omitempty"` // reserved for the answer, and its bound
}

// MapDef runs a chain for every item of a list, some at a time. Its output is the list of their outputs, in order.
type MapDef struct {
	Over  string            `json:"over"`            // CEL: the list
	Chain string            `json:"chain"`           // runs once for each item
	With  map[string]string `json:"with,omitempty"`  // its input: CEL each, with item and index
	Width int               `json:"width,omitempty"` // how many at once; default 4
	Max   int               `json:"max,omitempty"`   // a longer list is refused; default 1000
}

// BranchDef chooses which steps run. Its output is the label of the case. Steps that only cases name which were not chosen are
// skipped, and so is what needs nothing but skipped steps.
type BranchDef struct {
	Cases []CaseDef `json:"cases"`
	Else  []string  `json:"else,omitempty"` // steps that run when no case is true
}

// CaseDef is one case; the first that is true is chosen.
type CaseDef struct {
	Label string   `json:"label,omitempty"` // default: its number from 0
	When  string   `json:"when"`
	Steps []string `json:"steps"`
}

// ToolDef calls something outside: an HTTP endpoint or another chain.
type ToolDef struct {
	Description string            `json:"description,omitempty"` // for the model
	Input       json.RawMessage   `json:"input,omitempty"`       // JSON Schema of the arguments, for the model and to check them
	HTTP        *HTTPDef          `json:"http,omitempty"`
	Chain       string            `json:"chain,omitempty"`
	With        map[string]string `json:"with,omitempty"` // input of the chain: CEL each, with args where a model calls
}

// HTTPDef is a call over HTTP. Its output is {"status", "headers", "body"}, body being JSON where it is JSON, else text.
type HTTPDef struct {
	Method  string            `json:"method,omitempty"`  // default GET
	URL     string            `json:"url"`               // with ${CEL} in it
	Headers map[string]string `json:"headers,omitempty"` // with ${CEL} in them
	Body    string            `json:"body,omitempty"`    // CEL; its JSON is sent
	Allow   []string          `json:"allow"`             // host names that may be called, exact or *.example.com
	Safe    bool              `json:"safe,omitempty"`    // calling it twice does no harm, so a call whose answer was lost is repeated
}

// Kind is the kind of the step, empty if none is set.
func (s StepDef) Kind() StepKind {
	switch {
	case s.Retrieve != nil:
		return StepRetrieve
	case s.Generate != nil:
		return StepGenerate
	case s.Map != nil:
		return StepMap
	case s.Branch != nil:
		return StepBranch
	case s.Tool != nil:
		return StepTool
	}
	return ""
}

// Problem is a fault in a project's file, with what to do about it.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`   // from 1; 0 where the fault is of the whole file
	Column  int    `json:"column,omitempty"` // from 1
	Message string `json:"message"`
}
