// Package model calls language models and embedders through one portable type, so that a call is checked, paid for and recorded
// the same way whoever serves it.
//
// Provider is what activities use. A Driver translates for one kind of server; drivers live in the folders below and all pass the
// suite in modeltest.
package model

import (
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
)

// The ways a response ends.
const (
	FinishStop   = "stop"   // the model was done, or met a stop sequence
	FinishLength = "length" // MaxTokens or the model's own limit cut the text
	FinishFilter = "filter" // the provider withheld text, or the model declined; Text holds what there is
	FinishTool   = "tool"   // the model asks for a tool call
)

// Message is one turn of a conversation.
type Message struct {
	Role string `json:"role"`
	Text string `json:"text"`
}

// Request asks for one response. The zero value of each optional field leaves the choice to the provider.
type Request struct {
	Model       string          `json:"model"` // name at the provider, without the provider's prefix
	Messages    []Message       `json:"messages"`
	MaxTokens   int             `json:"max_tokens,omitempty"` // of the response
	Temperature *float64        `json:"temperature,omitempty"`
	Seed        *int64          `json:"seed,omitempty"`
	Stop        []string        `json:"stop,omitempty"`
	Schema      json.RawMessage `json:"schema,omitempty"`      // JSON Schema that Text shall satisfy; nil asks for plain text
	SchemaName  string          `json:"schema_name,omitempty"` // what the provider shall call the schema
}

// Response is what a model answered.
type Response struct {
	Text        string        `json:"text"`
	Model       string        `json:"model"`                 // as the provider reports it, often with a date
	Fingerprint string        `json:"fingerprint,omitempty"` // of the provider's configuration; the same seed repeats only within it
	ID          string        `json:"id,omitempty"`          // the provider's name for the call
	Finish      string        `json:"finish"`
	Usage       schemas.Usage `json:"usage"`
	Reasoning   int           `json:"reasoning_tokens,omitempty"` // of the output tokens, spent on hidden reasoning
}

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

// Driver translates for one kind of server. It keeps no record, does not retry and is safe for concurrent use. Provider checks
// requests before they reach a driver. Errors are coded where they are born.
type Driver interface {
	// Generate makes one call. Codes: invalid, not_found, unauthorized, refused, over_budget, rate_limited (with RetryAfter where
	// the server named it), unavailable, deadline, malformed_output.
	Generate(ctx context.Context, request Request) (Response, error)
	// Embed makes one call with all inputs. Codes as for Generate.
	Embed(ctx context.Context, request EmbedRequest) (EmbedResponse, error)
	// Limits says what one embedding call may hold. It makes no call. Code: not_found for a model that it does not serve.
	Limits(model string) (Limits, error)
}

// ErrSchemaUnsupported is the cause of an invalid error from a server that cannot hold its output to a schema. The caller may ask
// again without one.
var ErrSchemaUnsupported = errors.New("the server does not support structured output")

// IsSchemaUnsupported reports whether err says that the server cannot hold its output to a schema.
func IsSchemaUnsupported(err error) bool { return errors.Is(err, ErrSchemaUnsupported) }
