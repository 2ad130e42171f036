package schemas

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

// The kinds. Guard and review are reserved; embed is in records of calls of models only.
const (
	StepRetrieve StepKind = "retrieve"
	StepGenerate StepKind = "generate"
	StepMap      StepKind = "map"
	StepBranch   StepKind = "branch"
	StepTool     StepKind = "tool"
	StepGuard    StepKind = "guard"
	StepReview   StepKind = "review"
	StepEmbed    StepKind = "embed"
)

// RetrieveSettings says what a retrieve step looks for.
type RetrieveSettings struct {
	Collection string     `json:"collection"`
	Mode       SearchMode `json:"mode"`
	Limit      int        `json:"limit"`
	Alpha      *float64   `json:"alpha,omitempty"` // weight of the vector in hybrid search, 0 to 1; nil is the embedder's own
	Filter     *Filter    `json:"filter,omitempty"`
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

// Usage counts calls of models and their tokens. InputTokens is the whole input, cached or not.
type Usage struct {
	Calls           int `json:"calls"`
	InputTokens     int `json:"input_tokens"`
	OutputTokens    int `json:"output_tokens"`
	CachedTokens    int `json:"cached_tokens,omitempty"`    // of the input, served from the provider's prompt cache
	WrittenTokens   int `json:"written_tokens,omitempty"`   // of the input, put into the provider's prompt cache
	ReasoningTokens int `json:"reasoning_tokens,omitempty"` // of the output, spent on hidden reasoning
}

// Add returns the sum of both.
func (u Usage) Add(o Usage) Usage {
	u.Calls += o.Calls
	u.InputTokens += o.InputTokens
	u.OutputTokens += o.OutputTokens
	u.CachedTokens += o.CachedTokens
	u.WrittenTokens += o.WrittenTokens
	u.ReasoningTokens += o.ReasoningTokens
	return u
}
