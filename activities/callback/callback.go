// Package callback tells the URLs that callers named how their runs ended.
package callback

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Records reads what the journal and the store have. Implemented by journal.Journal.
type Records interface {
	Get(ctx context.Context, tenant, key string) (data []byte, ok bool, err error)
}

// Sender makes one attempt to tell a receiver. Implemented by notify.Sender.
type Sender interface {
	Send(ctx context.Context, m notify.Message) (notify.Answer, error)
}

// Activities are the durable calls of callbacks. All fields are required. It is safe for concurrent use.
type Activities struct {
	Store   *blob.Store
	Records Records
	Sender  Sender
	Now     func() time.Time
}

// Prepare makes what is told of a run from its record, and keeps that. A repeated one makes the same. Codes: unavailable while the run has no
// record, those of the store.
func (a *Activities) Prepare(ctx context.Context, in schemas.CallbackOf) (schemas.CallbackBody, error) {
	data, ok, err := a.Records.Get(ctx, in.Tenant, schemas.RunKey(in.Tenant, in.RunID, time.UnixMilli(in.StartMS)))
	if err != nil {
		return schemas.CallbackBody{}, err
	}
	if !ok {
		return schemas.CallbackBody{}, schemas.Errorf(schemas.Unavailable, "run %s has no record yet; nothing is told before there is one", in.RunID)
	}
	var exchange schemas.Exchange
	if err := json.Unmarshal(data, &exchange); err != nil {
		return schemas.CallbackBody{}, schemas.Wrap(schemas.Internal, err, "the record of run %s cannot be read", in.RunID)
	}
	body, err := json.Marshal(eventOf(exchange))
	if err != nil {
		return schemas.CallbackBody{}, err
	}
	ref, err := blob.PutContent(ctx, a.Store, in.Tenant, body)
	return schemas.CallbackBody{Body: ref, Status: exchange.Status}, err
}

// failureMost is how long the message of a failure is told, in bytes.
const failureMost = 2000

// eventOf is what a record says of the outcome, without an output that is too long.
func eventOf(e schemas.Exchange) schemas.CallbackEvent {
	end := e.StartMS + e.TookMS
	run := schemas.CallbackRun{
		RunID: e.RunID, Chain: e.Chain, Release: e.Release, Label: e.Label, Status: e.Status, Output: e.Output, Failure: e.Failure,
		Usage: e.Usage, Cost: e.Cost, StartMS: e.StartMS, EndMS: end, Metadata: e.Metadata, RerunOf: e.RerunOf, RerunAs: e.RerunAs,
		Href: schemas.RunPath(e.RunID),
	}
	run.OutputBytes = e.OutputRef.Bytes
	if len(e.Output) > schemas.CallbackOutputMost {
		run.Output, run.OutputBytes = nil, int64(len(e.Output))
	}
	if e.Failure != nil && len(e.Failure.Message) > failureMost {
		run.Failure = &schemas.StepError{Code: e.Failure.Code, Message: strings.ToValidUTF8(e.Failure.Message[:failureMost], "") + "…"}
	}
	return schemas.CallbackEvent{Type: "run." + e.Status, Timestamp: time.UnixMilli(end).UTC().Format(time.RFC3339Nano), Data: run}
}

// Deliver makes one attempt, and keeps what it met with if it is to be repeated. A receiver that wants no more, and an address that may not be
// called, are results. A repeated one is told apart by its receiver, who sees the same message id. Codes: unavailable and deadline for a
// receiver that cannot take it now, with the wait that it asked for, those of the store.
func (a *Activities) Deliver(ctx context.Context, in schemas.DeliverRequest) (schemas.Delivery, error) {
	body, err := blob.GetContent(ctx, a.Store, in.Body)
	if err != nil {
		return schemas.Delivery{}, err
	}
	delivery, err := a.kept(ctx, in.CallbackOf)
	if err != nil {
		return delivery, err
	}
	id := schemas.CallbackMessageID(in.Tenant, in.RunID)
	answer, failure := a.Sender.Send(ctx, notify.Message{Tenant: in.Tenant, ID: id, URL: in.URL, Body: body})
	if errors.Is(failure, context.Canceled) {
		return delivery, failure
	}
	delivery.To, delivery.MessageID = web.Origin(in.URL), id
	delivery.Attempts++
	delivery.LastMS, delivery.Status = a.Now().UnixMilli(), answer.Status
	if failure == nil {
		failure = judge(answer)
	}
	delivery.State, delivery.Detail = stateOf(failure), ""
	if failure != nil {
		delivery.Detail = schemas.SafeMessage(failure)
	}
	if delivery.State != schemas.DeliveryPending {
		return delivery, nil
	}
	_ = a.keep(ctx, in.CallbackOf, delivery) // it only says how the delivery stands; the attempt counts without it
	return delivery, again(failure, answer, delivery.Attempts)
}

// judge is what an answer means: nil for one that ends the delivery well.
func judge(answer notify.Answer) error {
	switch {
	case answer.Status >= http.StatusOK && answer.Status < http.StatusMultipleChoices:
		return nil
	case answer.Status == http.StatusGone:
		return schemas.Errorf(schemas.Refused, "the receiver answered with status 410: it wants no more")
	case answer.Status >= http.StatusMultipleChoices && answer.Status < http.StatusBadRequest:
		return schemas.Errorf(schemas.Unavailable, "the receiver answered with status %d; redirects are not followed", answer.Status)
	}
	return schemas.Errorf(schemas.Unavailable, "the receiver answered with status %d", answer.Status)
}

// stateOf is how a delivery stands after an attempt. One that cannot go better at the next is refused.
func stateOf(failure error) string {
	switch {
	case failure == nil:
		return schemas.Delivered
	case schemas.CodeOf(failure).Retryable():
		return schemas.DeliveryPending
	}
	return schemas.DeliveryRefused
}

// The waits between attempts: as the profile of the call has them. A receiver may ask for longer ones, and not for shorter.
const (
	firstWait = 5 * time.Second
	mostWait  = 6 * time.Hour
)

// again is the failure of an attempt with the wait that the receiver asked for.
func again(failure error, answer notify.Answer, attempts int) error {
	if answer.RetryAfter == 0 {
		return failure
	}
	wait := min(firstWait<<min(attempts-1, 20), mostWait)
	coded := schemas.Errorf(schemas.CodeOf(failure), "%s", schemas.SafeMessage(failure))
	coded.RetryAfter = min(max(answer.RetryAfter, wait), mostWait)
	return coded
}

// Keep keeps how a delivery ended, and returns it as it is kept. It may be repeated. Codes: those of the store.
func (a *Activities) Keep(ctx context.Context, in schemas.KeepDeliveryRequest) (schemas.Delivery, error) {
	delivery := in.Delivery
	if delivery.Attempts == 0 {
		before, err := a.kept(ctx, in.CallbackOf)
		if err != nil {
			return delivery, err
		}
		before.State = delivery.State
		if before.Detail == "" {
			before.Detail = delivery.Detail
		}
		delivery = before
	}
	return delivery, a.keep(ctx, in.CallbackOf, delivery)
}

// kept is how a delivery stands; pending for one of which nothing is kept.
func (a *Activities) kept(ctx context.Context, of schemas.CallbackOf) (schemas.Delivery, error) {
	data, err := a.Store.Get(ctx, keyOf(of))
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			err = nil
		}
		return schemas.Delivery{State: schemas.DeliveryPending}, err
	}
	var delivery schemas.Delivery
	if err := json.Unmarshal(data, &delivery); err != nil {
		return delivery, schemas.Wrap(schemas.Internal, err, "how the callback of run %s stands cannot be read", of.RunID)
	}
	return delivery, nil
}

func (a *Activities) keep(ctx context.Context, of schemas.CallbackOf, delivery schemas.Delivery) error {
	data, err := json.Marshal(delivery)
	if err != nil {
		return err
	}
	return a.Store.Put(ctx, keyOf(of), data)
}

func keyOf(of schemas.CallbackOf) string {
	return schemas.CallbackKey(of.Tenant, of.RunID, time.UnixMilli(of.StartMS))
}
