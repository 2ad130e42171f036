package model

import (
	"context"
	"net/http"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Operation is what a request asks of a vendor's public API. Its requests and answers have the vendor's form.
type Operation string

// The operations.
const (
	ChatCompletions Operation = "openai.chat.completions" // platform.openai.com/docs/api-reference/chat
	Embeddings      Operation = "openai.embeddings"       // platform.openai.com/docs/api-reference/embeddings
	Messages        Operation = "anthropic.messages"      // platform.claude.com/docs/en/api/messages
)

// Forwarder is a driver whose server speaks a public API itself, so that requests in its form are sent on as they are.
type Forwarder interface {
	// Forwards reports whether the server takes requests of the operation for the model as they are.
	Forwards(op Operation, model string) bool
	// Forward makes one call and gives the pieces of the answer to each as they come, from one goroutine; the next is read when it
	// returns, and its error ends the call. The last piece of a whole answer has Last set. The response is what can be said of the answer
	// in our words, beside an error what had come until then. An answer that breaks off is unavailable. Codes: those of Driver.Generate; the
	// server's own words are a ReportedError in the error's chain.
	Forward(ctx context.Context, request ForwardRequest, each func(Piece) error) (Response, error)
}

// ForwardRequest is a request in a vendor's form.
type ForwardRequest struct {
	Operation Operation
	Model     string         // name at the provider, which takes the place of the body's
	Body      *object.Object // as the caller sent it
	Header    http.Header    // of the caller; the driver takes what belongs to the API, such as anthropic-beta, and no key
	Stream    bool           // the body asks for a stream
}

// Piece is a part of an answer as it came: all of it, or one event of a stream.
type Piece struct {
	Bytes []byte // to be passed on; valid until each returns. Empty for what the caller did not ask for
	Data  []byte // its JSON; nil for one without, such as [DONE] or a comment. Valid as Bytes
	Last  bool   // the answer is whole with it
	More  bool   // a next piece is there already
}

// ReportedError is what a server said of a failure, in its own form.
type ReportedError struct {
	Status int    // HTTP status of the answer; 200 inside a stream
	Body   []byte // JSON without keys; nil for what is none
	Cause  error
}

// Error describes the failure for logs.
func (r *ReportedError) Error() string { return r.Cause.Error() }

// Unwrap returns the cause.
func (r *ReportedError) Unwrap() error { return r.Cause }

// Forward makes a call in a vendor's form, when leave lets it; nil asks nobody. Nothing is recorded. Codes: those of
// Forwarder.Forward; invalid for a server that does not speak the API. A caller that cancels gets its context's error.
func (p *Provider) Forward(ctx context.Context, request ForwardRequest, leave Leave, each func(Piece) error) (resp Response, err error) {
	driver, ok := p.Driver.(Forwarder)
	if !ok || !driver.Forwards(request.Operation, request.Model) {
		return Response{}, schemas.Errorf(schemas.Invalid, "the model provider %s does not take requests of the form %s", p.Name, request.Operation)
	}
	if leave != nil {
		done, refused := leave(ctx)
		if refused != nil {
			return Response{}, refused
		}
		defer func() { done(resp, err) }()
	}
	resp, err = p.forward(ctx, driver, request, each)
	if err == nil {
		resp.Usage.Calls = 1
	}
	return resp, p.normal(ctx, err)
}

// forward is the call itself.
func (p *Provider) forward(ctx context.Context, driver Forwarder, request ForwardRequest, each func(Piece) error) (Response, error) {
	operation := meter.Chat
	if request.Operation == Embeddings {
		operation = meter.Embeddings
	}
	ctx, told := p.Meter.Called(ctx, meter.Call{Operation: operation, Vendor: p.Vendor, Model: request.Model, Stream: request.Stream})
	if told != nil {
		heard := each
		each = func(piece Piece) error { told.First(); return heard(piece) }
	}
	resp, err := driver.Forward(ctx, request, each)
	told.End(answerOf(resp), err)
	return resp.asAsked(Request{}), err // what the caller asked of the server besides stands in the answer itself
}

// Forwards reports whether requests of the operation need no translation for the model.
func (p *Provider) Forwards(op Operation, model string) bool {
	driver, ok := p.Driver.(Forwarder)
	return ok && driver.Forwards(op, model)
}
