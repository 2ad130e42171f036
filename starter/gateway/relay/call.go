package relay

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/object"
	"github.com/tenuto-dev/tenuto/schemas"
)

// RunHeader names the record of a call in its answer.
const RunHeader = "X-Tenuto-Run"

// callTime bounds a call, the wait for its turn included. The gateway's own bound for an answer is a little longer.
const callTime = 14 * time.Minute

// call is one request on its way to an answer.
type call struct {
	*Relay
	protocol Protocol
	key      schemas.APIKey
	run      string
	start    time.Time
	out      *answer

	// Of the request.
	request *object.Object
	header  http.Header
	name    string
	stream  bool
	target  fleet.Target
	claimed string // names its flight
	held    int64  // bytes of memory
	permit  Permit // nil before it is admitted, and without a gate

	// Of what became of it.
	ambiguous bool                 // an earlier call of the idempotency key was lost
	turn      atomic.Pointer[turn] // nil if it was never sent
	first     time.Time            // when the first piece came
	events    []byte               // JSON of the stream's events, with commas between
	last      []byte               // what is held back
	usage     schemas.Usage
	cost      schemas.Cost
	charged   schemas.Amount // what counts against budgets
	recorded  bool           // the record is durable, or of a call that cost nothing
}

// serve carries out the call. Its error is still to be told.
func (c *call) serve(request *http.Request) error {
	if err := c.read(request); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(request.Context(), callTime)
	defer cancel()
	if !strings.Contains(c.name, "/") {
		return c.chain(ctx, request.Header.Get("Idempotency-Key"))
	}
	send, err := c.find()
	if err != nil {
		return err
	}
	if key := request.Header.Get("Idempotency-Key"); key != "" {
		done, err := c.claim(ctx, key)
		defer c.unclaim()
		if done || err != nil {
			return err
		}
	}
	if c.Gate != nil {
		permit, err := c.Gate.Admit(ctx, Ask{Key: c.key, Model: c.name, Start: c.start, Estimate: c.most})
		if err != nil {
			c.abandon(ctx, err)
			return err
		}
		c.permit = permit
		defer c.settle()
	}
	return c.perform(ctx, send)
}

// abandon frees the idempotency key of a call that was not sent.
func (c *call) abandon(ctx context.Context, err error) {
	if c.claimed != "" {
		_ = c.record(ctx, model.Response{}, err) // it brought nothing, so nobody waits for it
	}
}

func (c *call) unclaim() {
	if c.claimed != "" {
		c.flights.end(c.claimed)
	}
}

// sender makes a call and gives the pieces of its answer to each.
type sender func(ctx context.Context, each func(model.Piece) error) (model.Response, error)

// find finds the model, and a way to call it.
func (c *call) find() (sender, error) {
	var err error
	if c.target, err = c.resolve(c.key, c.name); err != nil {
		return nil, err
	}
	provider, op := c.target.Provider, c.protocol.Operation()
	if provider.Forwards(op, c.target.Model) {
		return func(ctx context.Context, each func(model.Piece) error) (model.Response, error) {
			return provider.Forward(ctx, model.ForwardRequest{
				Operation: op, Model: c.target.Model, Body: c.request, Header: c.header, Stream: c.stream,
			}, c.leave, each)
		}, nil
	}
	translated, err := c.protocol.Translate(c.request, c.about())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, each func(model.Piece) error) (model.Response, error) {
		return translated(ctx, &provided{c}, each)
	}, nil
}

func (c *call) about() About { return About{ID: c.run, Created: c.start, Name: c.name} }

// perform makes the call, records what came of it, and ends the answer.
func (c *call) perform(ctx context.Context, send sender) error {
	c.out.w.Header().Set(RunHeader, c.run)
	resp, err := send(ctx, c.take)
	err = c.told(ctx, err)
	recorded := c.record(ctx, resp, err)
	c.Metrics.observe(c, err)
	switch {
	case err != nil:
		return err
	case recorded != nil:
		return recorded
	}
	return c.end()
}

// take passes a piece on, or holds it back where it is the last.
func (c *call) take(p model.Piece) error {
	if len(p.Bytes) == 0 && !p.Last { // the caller did not ask for it
		return nil
	}
	if c.first.IsZero() {
		c.first = time.Now()
	}
	if err := c.hold(len(p.Bytes)); err != nil {
		return err
	}
	if c.stream && len(p.Data) > 0 {
		c.events = append(append(c.events, ','), p.Data...)
	}
	if p.Last {
		c.last = bytes.Clone(p.Bytes)
		return c.out.flush() // what came before it does not wait for the record
	}
	return c.out.event(p.Bytes, !p.More)
}

// end sends what was held back: the answer is durable now.
func (c *call) end() error {
	if c.stream {
		return c.out.event(c.last, true)
	}
	c.out.begin(http.StatusOK, "application/json")
	return c.out.write(c.last)
}

// told makes of a failed call's error what the caller may know. That a provider refuses the platform's key is no fault of the caller's.
func (c *call) told(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case isGone(err), errors.Is(ctx.Err(), context.Canceled):
		return schemas.Wrap(schemas.Unavailable, errors.Join(errGone, err), "the caller left before the answer was whole")
	case schemas.CodeOf(err) == schemas.Unauthorized:
		hidden := schemas.Wrap(schemas.Unavailable, errors.New(err.Error()),
			"the provider %s does not accept the key that is configured for it; an operator must mend that", c.target.Server)
		if coded, ok := errors.AsType[*schemas.Error](err); ok {
			hidden.RetryAfter = coded.RetryAfter
		}
		return hidden
	}
	return err
}

// fail tells the caller that the call failed, in the vendor's form, or with an event in a stream that has begun.
func (c *call) fail(ctx context.Context, err error) {
	failure := c.protocol.Failure(err)
	if failure.Status >= http.StatusInternalServerError && !isGone(err) {
		c.Log.Warn("call failed", zap.String("run", c.run), zap.String("provider", c.target.Server),
			zap.String("code", string(schemas.CodeOf(err))), zap.NamedError("cause", err))
	}
	switch {
	case isGone(err) || ctx.Err() != nil:
		if !c.out.begun {
			c.out.w.WriteHeader(statusGone)
		}
	case !c.out.begun:
		Fail(c.out.w, failure)
	case c.stream:
		_ = c.out.event(failure.Event, true) // the caller may be gone; there is nobody else to tell
	}
}

// statusGone is what logs and metrics show of a caller that left: nginx's word for it, as no standard has one.
const statusGone = 499

// chain has a chain answer.
func (c *call) chain(ctx context.Context, key string) error {
	if c.Chains == nil {
		return noModel(c.name)
	}
	translated, err := c.protocol.Translate(c.request, c.about())
	if err != nil {
		return err
	}
	if key != "" {
		c.run = key
	}
	c.out.w.Header().Set(RunHeader, c.run)
	if _, err = translated(ctx, &chained{c, key != ""}, c.take); err != nil {
		return c.told(ctx, err)
	}
	return c.end()
}
