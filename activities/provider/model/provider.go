package model

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	Records Records // where paid responses are kept; nil keeps none

	calls   flights
	unsaved pending
}

// Call is one logical call of a model.
type Call struct {
	Tenant  string
	Attempt string // what makes a deliberate second call differ from a repeated first one: run id / step id / n
	Request Request
}

// Generate returns the response to call, and whether it was recorded before. A call is identified by tenant, provider, request and
// attempt: a repeated one, in this process or after a crash, is answered from the record and costs nothing, and concurrent ones
// share one call to the provider. The response is stored before it is returned.
//
// Codes: those of Driver.Generate; invalid also for a request that no provider could serve; unavailable also when Records fail. A
// caller that cancels gets its context's error.
func (p *Provider) Generate(ctx context.Context, call Call) (resp Response, recorded bool, err error) {
	if err := checkCall(call); err != nil {
		return Response{}, false, err
	}
	identity, err := Identity(p.Name, call)
	if err != nil {
		return Response{}, false, err
	}
	got, err := p.calls.do(ctx, identity, func(ctx context.Context) (outcome, error) {
		return p.recall(ctx, call, identity)
	})
	return got.Response, got.recorded, p.normal(ctx, err)
}

// outcome is a response and whether it was recorded before.
type outcome struct {
	Response
	recorded bool
}

// recall returns the response that was paid for before, or pays for it and stores it. One runs for an identity at a time, so that
// nobody pays between another's look at the record and its payment.
func (p *Provider) recall(ctx context.Context, call Call, identity string) (outcome, error) {
	if data, ok := p.unsaved.take(identity); ok {
		return p.saveLate(ctx, call, identity, data)
	}
	if resp, ok, err := p.load(ctx, call.Tenant, identity); ok || err != nil {
		return outcome{resp, ok}, err
	}
	resp, err := p.Driver.Generate(ctx, call.Request)
	if err != nil {
		return outcome{}, err
	}
	resp.Usage.Calls = 1
	if err := p.save(ctx, call, identity, resp); err != nil {
		return outcome{}, err
	}
	return outcome{Response: resp}, nil
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
	resp, err := p.Driver.Embed(ctx, request)
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
