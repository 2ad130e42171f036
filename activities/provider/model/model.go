// Package model calls language models and embedders through one portable type, so that a call is checked, paid for and recorded
// the same way whoever serves it.
//
// Provider is what activities use. A Driver translates for one kind of server; drivers live in the folders below and all pass the
// suite in modeltest.
package model

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"

	"github.com/tenuto-dev/tenuto/schemas"
)

// The roles of a message.
const (
	RoleSystem    = "system"
	RoleUser      = "user"
	RoleAssistant = "assistant"
	RoleTool      = "tool" // the result of a tool call
)

// The ways a response ends.
const (
	FinishStop   = "stop"   // the model was done, or met a stop sequence
	FinishLength = "length" // MaxTokens or the model's own limit cut the text
	FinishFilter = "filter" // the provider withheld text, or the model declined; Text holds what there is
	FinishTool   = "tool"   // the model asks for tool calls
)

// Message is one turn of a conversation.
type Message struct {
	Role   string          `json:"role"`
	Text   string          `json:"text,omitempty"`
	Media  []Media         `json:"media,omitempty"`   // after the text
	Calls  []ToolCall      `json:"calls,omitempty"`   // of an assistant
	CallID string          `json:"call_id,omitempty"` // of a tool: the call that Text is the result of
	Failed bool            `json:"failed,omitempty"`  // of a tool: the call failed, and Text says why
	State  json.RawMessage `json:"state,omitempty"`   // of an assistant: Response.State, as it came
}

// Media is an image or a document beside the text: its content, or where the provider finds it.
type Media struct {
	Type string `json:"type"` // media type, such as image/png
	Data []byte `json:"data,omitempty"`
	URL  string `json:"url,omitempty"`
}

// Tool is a function that the model may ask to be called.
type Tool struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"` // JSON Schema of an object; nil takes no arguments
}

// ToolCall is the model's wish to have a tool called.
type ToolCall struct {
	ID        string          `json:"id"` // made up by the driver where the server names none
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"` // valid JSON, {} for none; a driver whose server sent something else answers malformed_output
}

// The values of Request.ToolChoice beside a tool's name.
const (
	ToolAuto     = "auto" // the model decides; what an empty ToolChoice means
	ToolNone     = "none"
	ToolRequired = "required" // at least one call of any tool
)

// Request asks for one response. The zero value of each optional field leaves the choice to the provider. Its JSON form is part of a
// call's identity.
type Request struct {
	Model       string          `json:"model"` // name at the provider, without the provider's prefix
	Messages    []Message       `json:"messages"`
	Tools       []Tool          `json:"tools,omitempty"`
	ToolChoice  string          `json:"tool_choice,omitempty"`
	MaxTokens   int             `json:"max_tokens,omitempty"` // of the response
	Temperature *float64        `json:"temperature,omitempty"`
	TopP        *float64        `json:"top_p,omitempty"`
	TopK        int             `json:"top_k,omitempty"` // left out where the server knows none
	Seed        *int64          `json:"seed,omitempty"`
	Stop        []string        `json:"stop,omitempty"`
	Effort      string          `json:"effort,omitempty"`      // of reasoning: minimal, low, medium or high, for models that reason
	Schema      json.RawMessage `json:"schema,omitempty"`      // JSON Schema that Text shall satisfy; nil asks for plain text
	SchemaName  string          `json:"schema_name,omitempty"` // what the provider shall call the schema
	LogProbs    bool            `json:"logprobs,omitempty"`    // of the tokens of the text, for a driver that is a LogProber
}

// Response is what a model answered.
type Response struct {
	Text        string          `json:"text,omitempty"`
	Calls       []ToolCall      `json:"calls,omitempty"`
	Model       string          `json:"model"`                 // as the provider reports it, often with a date
	Fingerprint string          `json:"fingerprint,omitempty"` // of the provider's configuration; the same seed repeats only within it
	ID          string          `json:"id,omitempty"`          // the provider's name for the call
	Finish      string          `json:"finish"`
	Usage       schemas.Usage   `json:"usage"`
	State       json.RawMessage `json:"state,omitempty"`        // what the provider wants back with the next turn, such as signed reasoning
	PriceFactor float64         `json:"price_factor,omitempty"` // of the model's prices, that this response cost; 0 is all of them
	LogProbs    []float64       `json:"logprobs,omitempty"`     // natural logarithms, one a token of Text, to four decimals; only where they were asked for
}

// Delta is a piece of a response on its way. The pieces of Text in order are the Text of the response.
type Delta struct {
	Text string
}

// Emit receives the pieces of a response while it comes in. It is called from one goroutine at a time and should return soon. What it
// received before an error is void.
type Emit func(Delta)

// EmbedRequest asks for one vector an input.
type EmbedRequest struct {
	Model      string   `json:"model"` // name at the provider, without the provider's prefix
	Inputs     []string `json:"inputs"`
	Dimensions int      `json:"dimensions,omitempty"` // 0 is the model's own
}

// EmbedResponse holds the vectors in the order of the inputs.
type EmbedResponse struct {
	Vectors [][]float32 `json:"vectors"`
	Model   string      `json:"model"`
	Tokens  int         `json:"tokens"` // that the provider counted; 0 if it does not say
}

// Limits bounds one embedding call to a model. A zero field is unknown or unbounded.
type Limits struct {
	MaxInputs         int     // inputs a call
	MaxInputTokens    int     // tokens a call, over all inputs
	MaxTokensPerInput int     //
	Dimensions        int     // of a vector when the request names none
	HybridAlpha       float64 // weight of this embedder's vector in hybrid search, 0 to 1
	Free              bool    // a call costs nothing and always answers the same, so a record of it would be of no use
}

// Or returns the limits that an installation knows, and those of known where it knows none. Free is not its to say.
func (l Limits) Or(known Limits) Limits {
	return Limits{
		MaxInputs:         cmp.Or(l.MaxInputs, known.MaxInputs),
		MaxInputTokens:    cmp.Or(l.MaxInputTokens, known.MaxInputTokens),
		MaxTokensPerInput: cmp.Or(l.MaxTokensPerInput, known.MaxTokensPerInput),
		Dimensions:        cmp.Or(l.Dimensions, known.Dimensions),
		HybridAlpha:       cmp.Or(l.HybridAlpha, known.HybridAlpha),
		Free:              known.Free,
	}
}

// Driver translates for one kind of server. It keeps no record, does not retry and is safe for concurrent use. Provider checks
// requests before they reach a driver. Errors are coded where they are born.
type Driver interface {
	// Generate makes one call. With emit the response is streamed where the server can, and is the same in the end. A stream that
	// breaks off is unavailable. Codes: invalid (with ErrContextTooLong, ErrSchemaUnsupported), not_found, unauthorized, refused,
	// over_budget, rate_limited and unavailable (with RetryAfter where the server named it), deadline, malformed_output.
	Generate(ctx context.Context, request Request, emit Emit) (Response, error)
	// Embed makes one call with all inputs. Codes as for Generate.
	Embed(ctx context.Context, request EmbedRequest) (EmbedResponse, error)
	// Limits says what one embedding call may hold. It makes no call. Code: not_found for a model that it does not serve.
	Limits(model string) (Limits, error)
}

// Reranker is a driver whose server orders documents by how well they answer a query.
type Reranker interface {
	// Rerank makes one call. The result holds an index of every document or of the best Top, best first. Codes as for Generate.
	Rerank(ctx context.Context, request RerankRequest) (RerankResponse, error)
}

// RerankRequest asks for an order of documents.
type RerankRequest struct {
	Model     string   `json:"model"`
	Query     string   `json:"query"`
	Documents []string `json:"documents"`
	Top       int      `json:"top,omitempty"` // how many to return; 0 is all
}

// RerankResponse holds the order, best first.
type RerankResponse struct {
	Results  []Ranked `json:"results"`
	Model    string   `json:"model,omitempty"`
	Tokens   int      `json:"tokens,omitempty"`   // that the provider counted; 0 if it does not say
	Searches int      `json:"searches,omitempty"` // that the provider bills; 0 if it does not say
}

// Ranked is one document's place.
type Ranked struct {
	Index int     `json:"index"` // in Documents
	Score float64 `json:"score"` // higher is better; scores of different models do not compare
}

// ErrContextTooLong is the cause of an invalid error from a server whose model has no room for the request. A shorter one may pass.
var ErrContextTooLong = errors.New("the request is longer than the model's context")

// IsContextTooLong reports whether err says that the request does not fit the model's context.
func IsContextTooLong(err error) bool { return errors.Is(err, ErrContextTooLong) }

// ErrSchemaUnsupported is the cause of an invalid error from a server that cannot hold its output to a schema. The caller may ask
// again without one.
var ErrSchemaUnsupported = errors.New("the server does not support structured output")

// IsSchemaUnsupported reports whether err says that the server cannot hold its output to a schema.
func IsSchemaUnsupported(err error) bool { return errors.Is(err, ErrSchemaUnsupported) }
