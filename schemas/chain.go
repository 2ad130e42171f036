package schemas

import "time"

// SearchMode is how a query finds chunks.
type SearchMode string

// The search modes.
const (
	Hybrid  SearchMode = "hybrid"
	Vector  SearchMode = "vector"
	Keyword SearchMode = "keyword"
)

// StepKind is what a step of a chain does.
type StepKind string

// The kinds that the interpreter knows today; the others of the design are reserved.
const (
	StepRetrieve StepKind = "retrieve"
	StepGenerate StepKind = "generate"
)

// ChainSpec is a chain: steps with dependencies.
type ChainSpec struct {
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
}

// Step is one step. Needs names the steps that must be done before it.
type Step struct {
	ID       string            `json:"id"`
	Kind     StepKind          `json:"kind"`
	Needs    []string          `json:"needs,omitempty"`
	Retrieve *RetrieveSettings `json:"retrieve,omitempty"`
	Generate *GenerateSettings `json:"generate,omitempty"`
}

// RetrieveSettings says what a retrieve step looks for.
type RetrieveSettings struct {
	Collection string     `json:"collection"`
	Mode       SearchMode `json:"mode"`
	Limit      int        `json:"limit"`
	Alpha      *float64   `json:"alpha,omitempty"` // weight of the vector in hybrid search, 0 to 1; nil is the embedder's own
	Filter     *Filter    `json:"filter,omitempty"`
}

// GenerateSettings says how a generate step answers.
type GenerateSettings struct {
	Model     string `json:"model"`
	MaxTokens int    `json:"max_tokens,omitempty"`
}

// Filter narrows a search. All conditions must hold.
type Filter struct {
	Source   string              `json:"source,omitempty"`
	Document string              `json:"document,omitempty"` // exact, or with * for any characters
	Metadata map[string][]string `json:"metadata,omitempty"` // key: any of these values
}

// Content is a text in a message: short ones inline, long ones by reference.
type Content struct {
	Text string `json:"text,omitempty"`
	Ref  Ref    `json:"ref,omitzero"`
}

// InlineBytes is the longest text that travels inside a message.
const InlineBytes = 1024

// ChainRequest starts a run.
type ChainRequest struct {
	Tenant string    `json:"tenant"`
	RunID  string    `json:"run_id"`
	Chain  ChainSpec `json:"chain"`
	Input  Content   `json:"input"` // the question or query
}

// RetrieveRequest is the call of a retrieve step.
type RetrieveRequest struct {
	Tenant   string           `json:"tenant"`
	RunID    string           `json:"run_id"`
	Step     string           `json:"step"`
	Query    Content          `json:"query"`
	Settings RetrieveSettings `json:"settings"`
}

// RetrieveOutcome points at the hits.
type RetrieveOutcome struct {
	Hits  Ref   `json:"hits"` // of a []Hit
	Count int   `json:"count"`
	Usage Usage `json:"usage"`
}

// Hit is one chunk that was found.
type Hit struct {
	Rank     int                 `json:"rank"` // from 1
	Score    float64             `json:"score"`
	Document string              `json:"document"`
	Source   string              `json:"source"`
	Title    string              `json:"title"`
	Section  string              `json:"section"` // heading path, joined with " > "
	Chunk    string              `json:"chunk"`   // chunk id
	Ordinal  int                 `json:"ordinal"`
	Start    int                 `json:"start"` // byte offsets in the extracted text
	End      int                 `json:"end"`
	Text     string              `json:"text"`
	Metadata map[string][]string `json:"metadata,omitempty"`
}

// GenerateRequest is the call of a generate step.
type GenerateRequest struct {
	Tenant   string           `json:"tenant"`
	RunID    string           `json:"run_id"`
	Step     string           `json:"step"`
	Question Content          `json:"question"`
	Context  []Ref            `json:"context"` // of []Hit, one for each retrieve step it needs
	Settings GenerateSettings `json:"settings"`
}

// GenerateOutcome points at the answer.
type GenerateOutcome struct {
	Answer Ref    `json:"answer"` // of an Answer
	Model  string `json:"model"`
	Usage  Usage  `json:"usage"`
}

// Answer is what a generate step produced. Every citation was verified: its chunk was in the context and its quote occurs in it.
type Answer struct {
	Text      string     `json:"answer"`
	Citations []Citation `json:"citations"`
	Dropped   int        `json:"dropped,omitempty"` // citations of the model that did not hold
	Model     string     `json:"model"`
	Usage     Usage      `json:"usage"`
}

// Citation ties a part of an answer to the chunk it comes from.
type Citation struct {
	Index    int    `json:"index"` // the number in brackets in the answer
	Document string `json:"document"`
	Section  string `json:"section"`
	Chunk    string `json:"chunk"`
	Quote    string `json:"quote"`
}

// Usage counts tokens of model calls.
type Usage struct {
	Calls        int `json:"calls"`
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`
	CachedTokens int `json:"cached_tokens,omitempty"` // of the input, served from the provider's prompt cache
}

// Add returns the sum of both.
func (u Usage) Add(o Usage) Usage {
	u.Calls += o.Calls
	u.InputTokens += o.InputTokens
	u.OutputTokens += o.OutputTokens
	u.CachedTokens += o.CachedTokens
	return u
}

// RecordRequest asks to write the record of a run.
type RecordRequest struct {
	Tenant string       `json:"tenant"`
	RunID  string       `json:"run_id"`
	Chain  ChainSpec    `json:"chain"`
	Input  Content      `json:"input"`
	Start  time.Time    `json:"start"`
	Steps  []StepRecord `json:"steps"`
}

// StepRecord is what a step left behind.
type StepRecord struct {
	ID     string   `json:"id"`
	Kind   StepKind `json:"kind"`
	Output Ref      `json:"output"`
	Model  string   `json:"model,omitempty"`
	Usage  Usage    `json:"usage"`
}

// RunOutcome is the result of a run: where its record is, and where its last step's output.
type RunOutcome struct {
	RunID  string `json:"run_id"`
	Record Ref    `json:"record"`
	Output Ref    `json:"output"`
	Usage  Usage  `json:"usage"`
}

// Exchange is the stored record of a run.
type Exchange struct {
	RunID  string       `json:"run_id"`
	Tenant string       `json:"tenant"`
	Chain  ChainSpec    `json:"chain"`
	Input  Content      `json:"input"`
	Start  time.Time    `json:"start"`
	Steps  []StepRecord `json:"steps"`
	Usage  Usage        `json:"usage"`
}
