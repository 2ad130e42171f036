package model

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/schemas"
)

// saveLimit bounds how long a paid response may take to be stored. It counts apart from the caller's deadline, because a response
// that was paid for is worth storing for a caller that has left: its next attempt reads it.
const saveLimit = 15 * time.Second

// Provider calls one configured provider. Set the fields before the first call and do not copy it afterwards; it is safe for
// concurrent use.
type Provider struct {
	Name    string // prefix of model names, such as openai
	Driver  Driver
	Records Records      // where paid responses are kept; nil keeps none
	Meter   *meter.Meter // told of every call; may be nil
	Vendor  string       // as figures and spans name it

	calls   flights
	unsaved pending
}

// Call is one logical call of a model.
type Call struct {
	Tenant  string
	Attempt string // what makes a deliberate second call differ from a repeated first one: run id / step id / n
	Request Request

	// The rest is no part of the identity.
	Emit      Emit    // of the response while it comes in; nil asks for none
	Records   Records // where this call is recorded; nil is where the provider records its calls
	Leave     Leave   // asked before the call is sent; nil asks nobody
	Ambiguous string  // what to do when it was sent before and its answer was lost: schemas.AmbiguousRetry (also empty), -Fail or -Ask
}

// Leave waits until a call may be sent. Done is called once, with what came of it. What is recorded already needs no leave.
type Leave func(ctx context.Context) (done func(Response, error), err error)

// Paid is what came of a call.
type Paid struct {
	Response
	Identity  string
	Recorded  bool // it was answered before and read back now
	Ambiguous bool // it had been sent before and that answer was lost, so it may have been paid for twice
}

// Generate is Pay for callers who want no more than the response and whether it was recorded before.
func (p *Provider) Generate(ctx context.Context, call Call) (resp Response, recorded bool, err error) {
	paid, err := p.Pay(ctx, call)
	return paid.Response, paid.Recorded, err
}

// Pay returns the response to call. A call is identified by tenant, provider, request and attempt: a repeated one, in this process or
// after a crash, is answered from the record and costs nothing, and concurrent ones share one call to the provider. The response is
// recorded before it is returned. Where the records are a Marker, a call is marked before it is sent, so that one whose answer was lost
// is known when it is repeated.
//
// With call.Emit the response is streamed where the server can. Every caller's Emit receives the whole text, in as many pieces as it
// comes in; a recorded response comes in one. Emit is called on the caller's goroutine, and not after Generate has returned.
//
// Codes: those of Driver.Generate; invalid also for a request that no provider could serve; unavailable also when the records fail;
// conflict with ErrAmbiguous when the call was sent before and shall not be repeated. A caller that cancels gets its context's error.
func (p *Provider) Pay(ctx context.Context, call Call) (Paid, error) {
	if err := checkCall(call); err != nil {
		return Paid{}, err
	}
	if err := p.checkLogProbs(call.Request); err != nil {
		return Paid{}, err
	}
	if call.Records == nil {
		call.Records = p.Records
	}
	identity, err := Identity(p.Name, call)
	if err != nil {
		return Paid{}, err
	}
	got, err := p.calls.do(ctx, identity, call.Emit, func(ctx context.Context, emit Emit) (outcome, error) {
		return p.recall(ctx, call, identity, emit)
	})
	if err == nil && got.recorded {
		p.Meter.ReadBack(ctx, p.Vendor, call.Request.Model, false)
	}
	return Paid{Response: got.Response, Identity: identity, Recorded: got.recorded, Ambiguous: got.ambiguous}, p.normal(ctx, err)
}

// outcome is a response and how it came about.
type outcome struct {
	Response
	recorded, ambiguous bool
}

// recall returns the response that was paid for before, or pays for it and stores it. One runs for an identity at a time, so that
// nobody pays between another's look at the record and its payment.
func (p *Provider) recall(ctx context.Context, call Call, identity string, emit Emit) (outcome, error) {
	if data, ok := p.unsaved.take(identity); ok {
		return p.saveLate(ctx, call, identity, data)
	}
	record, ok, err := p.load(ctx, call, identity)
	if err != nil || ok && !record.Sent {
		return outcome{Response: record.Response, recorded: ok, ambiguous: record.Ambiguous}, err
	}
	if err := mayRepeat(call, ok); err != nil {
		return outcome{}, err
	}
	resp, err := p.send(ctx, call, identity, emit)
	if err != nil {
		p.unmark(ctx, call, identity, err)
		return outcome{ambiguous: ok}, err
	}
	resp.Usage.Calls = 1
	if err := p.save(ctx, call, identity, resp, ok); err != nil {
		return outcome{}, err
	}
	return outcome{Response: resp, ambiguous: ok}, nil
}

// send makes the call, when it may be made.
func (p *Provider) send(ctx context.Context, call Call, identity string, emit Emit) (resp Response, err error) {
	if call.Leave != nil {
		done, refused := call.Leave(ctx)
		if refused != nil {
			return Response{}, refused
		}
		defer func() { done(resp, err) }()
	}
	if err := p.mark(ctx, call, identity); err != nil {
		return Response{}, err
	}
	return p.generate(ctx, call, emit)
}

// generate is the call itself.
func (p *Provider) generate(ctx context.Context, call Call, emit Emit) (Response, error) {
	ctx, told := p.Meter.Called(ctx, meter.Call{
		Operation: meter.Chat, Vendor: p.Vendor, Model: call.Request.Model, Stream: emit != nil, MaxTokens: call.Request.MaxTokens,
	})
	shows := p.Meter.Shows(call.Tenant)
	if shows {
		told.Content(inputKey, func() string { return shownRequest(call.Request) })
	}
	if emit != nil && told != nil {
		heard := emit
		emit = func(d Delta) { told.First(); heard(d) }
	}
	resp, err := p.Driver.Generate(ctx, call.Request, emit)
	if shows && err == nil {
		told.Content(outputKey, func() string { return shownResponse(resp) })
	}
	told.End(answerOf(resp), err)
	return resp.asAsked(call.Request), err
}

func answerOf(r Response) meter.Answer {
	return meter.Answer{ID: r.ID, Model: r.Model, Finish: r.Finish, Usage: r.Usage}
}

// Embed returns one vector an input. It makes exactly one call of the provider, so the caller batches by Limits. Nothing is recorded.
//
// Codes: those of Driver.Embed; invalid also for inputs that no provider could embed or more than one call may hold;
// malformed_output when the vectors do not fit the request.
func (p *Provider) Embed(ctx context.Context, tenant string, request EmbedRequest) (EmbedResponse, error) {
	if err := schemas.CheckTenant(tenant); err != nil {
		return EmbedResponse{}, err
	}
	limits, err := p.Driver.Limits(request.Model)
	if err != nil {
		return EmbedResponse{}, p.normal(ctx, err)
	}
	if err := checkEmbed(request, limits); err != nil {
		return EmbedResponse{}, err
	}
	ctx, told := p.Meter.Called(ctx, meter.Call{Operation: meter.Embeddings, Vendor: p.Vendor, Model: request.Model, Inputs: len(request.Inputs)})
	resp, err := p.Driver.Embed(ctx, request)
	told.End(meter.Answer{Model: resp.Model, Usage: schemas.Usage{InputTokens: resp.Tokens}}, err)
	if err != nil {
		return EmbedResponse{}, p.normal(ctx, err)
	}
	if err := checkVectors(request, limits, resp); err != nil {
		return EmbedResponse{}, err
	}
	return resp, nil
}

// Limits says what one embedding call of a model may hold. Code: not_found.
func (p *Provider) Limits(model string) (Limits, error) { return p.Driver.Limits(model) }

// normal gives an error a code if the driver did not.
func (p *Provider) normal(ctx context.Context, err error) error {
	var coded *schemas.Error
	switch {
	case err == nil, errors.As(err, &coded):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return schemas.Wrap(schemas.Deadline, err, "the model provider %s did not answer in time", p.Name)
	case ctx.Err() != nil:
		return fmt.Errorf("calling the model provider %s: %w", p.Name, ctx.Err())
	}
	return schemas.Wrap(schemas.Internal, err, "calling the model provider %s failed in a way that it does not explain", p.Name)
}
