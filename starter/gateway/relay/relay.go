// Package relay passes calls of configured models on to their providers, and records them before their answers end.
//
// A request and its answer have a vendor's form, which a Protocol knows. Where the provider speaks the same protocol, the bytes of both are
// passed on as they are, and a copy is understood; otherwise the request is translated. Either way it is carried out alike:
//
//  1. The body is read within bounds, the model found, the request translated if it must be. What is wrong with it is said now.
//  2. With an idempotency key the call is claimed: a repeated request gets the recorded answer, or is told that it is under way.
//  3. The gate admits the key, and the provider's limiter says when the call may be sent. It is sent once; nothing is repeated here.
//  4. A stream's events go to the caller as they come. The last one, or the whole answer, is held back until the record is durable. An
//     answer that cannot be recorded ends with an error.
//
// A caller that leaves takes the call along; what had come until then is recorded.
package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Relay carries out calls. Set the exported fields before the first; those that may be nil say so. It is safe for concurrent use.
type Relay struct {
	Fleet   *fleet.Fleet
	Store   *blob.Store // of what is too long for records
	Journal *journal.Journal
	Claims  Claims
	Gate    Gate   // nil admits everybody to every model
	Chains  Runner // nil knows no chain
	Metrics *Metrics
	Log     *zap.Logger
	Now     func() time.Time
	NewID   func() string // a run's: a UUID of version 7
	Stall   time.Duration // how long a caller may take nothing of its answer; 30 seconds if zero

	flights flights
	memory  memory
}

// Protocol is a vendor's public API for one operation.
type Protocol interface {
	// Operation names what it asks for, for providers that speak it themselves.
	Operation() model.Operation
	// Translate reads a request for a provider that speaks another protocol. Error: invalid, with a FieldError where a field is to blame.
	Translate(body *object.Object, about About) (Translated, error)
	// Failure says in the vendor's words that a call failed.
	Failure(err error) Failure
}

// About is what an answer says of itself.
type About struct {
	ID      string    // of the run
	Created time.Time // when the request came
	Name    string    // of the model, as it was asked for
}

// Translated makes a translated call and gives the pieces of its answer, in the vendor's form, to each, as model.Forwarder does.
type Translated func(ctx context.Context, backend Backend, each func(model.Piece) error) (model.Response, error)

// Stream generates an answer and gives its pieces to tell as they come. What tell fails with ends the call.
func Stream(ctx context.Context, backend Backend, request model.Request, tell func(model.Delta) error) (model.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := backend.Generate(ctx, request, func(d model.Delta) {
		if ctx.Err() == nil {
			if err := tell(d); err != nil {
				cancel(err)
			}
		}
	})
	if cause := context.Cause(ctx); cause != nil {
		return resp, cause
	}
	return resp, err
}

// Backend answers translated requests: a model of a provider, or a chain.
type Backend interface {
	Generate(ctx context.Context, request model.Request, emit model.Emit) (model.Response, error)
	Embed(ctx context.Context, request model.EmbedRequest) (model.EmbedResponse, error)
}

// Failure is a failure in a vendor's form.
type Failure struct {
	Status int
	Header http.Header
	Body   []byte // of the answer, JSON
	Event  []byte // in place of it in a stream that has begun, with its ending
}

// Gate decides who may call what, within which budget. Both methods are called by many goroutines at once.
type Gate interface {
	// May reports whether the key may use the model at all. Others are not listed to it, and not found.
	May(key schemas.APIKey, model string) bool
	// Admit is asked before a call is sent, and its permit ended when the call has ended, whatever came of it. Codes: over_budget,
	// unavailable, and rate_limited with RetryAfter; what it says is shown.
	Admit(ctx context.Context, ask Ask) (Permit, error)
}

// Runner answers by chains: names without a slash, such as docs-qa@production.
type Runner interface {
	// Names lists the chains that the key may run.
	Names(ctx context.Context, key schemas.APIKey) ([]string, error)
	// Run has a chain answer, and records the run. Codes: not_found for a name that it does not know, and those of runs.
	Run(ctx context.Context, ask ChainCall) (model.Response, error)
}

// ChainCall asks a chain.
type ChainCall struct {
	Key     schemas.APIKey
	Name    string // as the caller gave it
	Run     string // id that the run shall have: one of ours, or the caller's idempotency key
	Claimed bool   // it is the caller's
	Request model.Request
	Emit    model.Emit // of the answer while it comes in; nil where the caller wants it whole
}

// FieldError says which field of a request is to blame, as the cause of an invalid error.
type FieldError struct {
	Field string
	Code  string // the vendor's word for what is wrong with it, such as unsupported_parameter; may be empty
}

// Error names the field.
func (e *FieldError) Error() string { return "field " + e.Field }

// Refuse makes the error of a field that cannot be honoured. The text says why.
func Refuse(field, code, format string, args ...any) error {
	failure := schemas.Errorf(schemas.Invalid, format, args...)
	failure.Cause = &FieldError{field, code}
	return failure
}

// Sentinels are causes that a vendor's form tells apart from others with the same code.
var (
	ErrForbidden = sentinel("the key is valid and may not do this") // of unauthorized
	ErrTooLarge  = sentinel("the body is too large")                // of invalid
	ErrForm      = sentinel("the body has another form")            // of invalid
)

type sentinel string

// Error implements error.
func (s sentinel) Error() string { return string(s) }

// Authorize finds the key that a request came with. Errors: unauthorized, with ErrForbidden where the key has not the role for it;
// unavailable.
type Authorize func(*http.Request) (schemas.APIKey, error)

// Serve answers a request that came with a valid key.
func (r *Relay) Serve(w http.ResponseWriter, request *http.Request, p Protocol, key schemas.APIKey) {
	c := &call{Relay: r, protocol: p, key: key, start: r.Now(), run: r.NewID(), out: newAnswer(w, cmp.Or(r.Stall, stall))}
	defer func() { r.memory.give(c.held) }()
	if err := c.serve(request); err != nil {
		c.fail(request.Context(), err)
	}
}

// Fail answers a request that never came to a call.
func Fail(w http.ResponseWriter, failure Failure) {
	header := w.Header()
	maps.Copy(header, failure.Header)
	header.Set("Content-Type", "application/json")
	w.WriteHeader(failure.Status)
	_, _ = w.Write(failure.Body) // the caller may be gone; there is nobody else to tell
}

// UnderWay reports whether a call with this idempotency key is being made here.
func (r *Relay) UnderWay(tenant, key string) bool { return r.flights.has(tenant + "/" + key) }

// encode writes a value of ours, all of which marshal.
func encode(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
