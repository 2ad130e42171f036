package alert

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/notify"
	"github.com/tenuto-dev/tenuto/schemas"
)

// tell makes one attempt to tell the suite's webhook, unless the run was told already. The kind of event is kept before it is sent, so that
// every attempt says the same.
func (a *Activities) tell(ctx context.Context, in schemas.EvalAlert) (string, error) {
	told, err := a.event(ctx, in)
	if err != nil || told.Sent != "" {
		return cmp.Or(told.Sent, none), err
	}
	body, err := json.Marshal(eventOf(told.Event, in))
	if err != nil {
		return none, err
	}
	if told.Sent, err = a.send(ctx, in, body); err != nil {
		return none, err
	}
	_, _ = blob.PutJSON(ctx, a.Store, toldKey(in.Run), told) // without it a repeated call sends it again, under the same id
	return told.Sent, nil
}

// event is what is told of a run, once and for all, and has the suite stand as the run leaves it.
func (a *Activities) event(ctx context.Context, in schemas.EvalAlert) (told schemas.EvalTold, err error) {
	standing := schemas.EvalStandingKey(in.Run.Tenant, in.Run.Suite)
	var before schemas.EvalStanding
	if err := a.kept(ctx, standing, &before); err != nil {
		return told, err
	}
	if err := a.kept(ctx, toldKey(in.Run), &told); err != nil {
		return told, err
	}
	after := before
	if told.Event == "" {
		told.Event, after = next(before, in)
		if told, err = a.settle(ctx, in.Run, told); err != nil {
			return told, err
		}
	} else if before.StartMS < in.Run.StartMS { // whoever kept it came no further
		_, after = next(before, in)
	}
	if after != before {
		_, err = blob.PutJSON(ctx, a.Store, standing, after)
	}
	return told, err
}

// settle keeps what is told of a run, unless another attempt has: then it returns that.
func (a *Activities) settle(ctx context.Context, run schemas.EvalRun, told schemas.EvalTold) (schemas.EvalTold, error) {
	data, err := json.Marshal(told)
	if err != nil {
		return told, err
	}
	created, err := a.Store.PutIfAbsent(ctx, toldKey(run), data)
	if err == nil && !created {
		err = a.kept(ctx, toldKey(run), &told)
	}
	return told, err
}

func toldKey(run schemas.EvalRun) string { return schemas.EvalToldKey(run.Tenant, run.Suite, run.ID) }

// kept reads what is kept at a key; nothing is no error.
func (a *Activities) kept(ctx context.Context, key string, into any) error {
	data, err := a.Store.Get(ctx, key)
	switch {
	case err != nil && schemas.CodeOf(err) == schemas.NotFound:
		return nil
	case err != nil:
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return schemas.Wrap(schemas.Internal, err, "what is kept of alerts of the suite cannot be read")
	}
	return nil
}

// next is what is told of a run, and how the suite stands after it. An older run than the latest one changes nothing.
func next(before schemas.EvalStanding, in schemas.EvalAlert) (event string, after schemas.EvalStanding) {
	if before.StartMS > in.Run.StartMS {
		return schemas.EvalDone, before
	}
	after = schemas.EvalStanding{StartMS: in.Run.StartMS, Failing: before.Failing}
	switch {
	case in.Summary.Ruling == schemas.RulingFailed:
		after.Failing = true
		return schemas.EvalRegressed, after
	case in.Summary.Ruling == schemas.RulingPassed && before.Failing:
		after.Failing = false
		return schemas.EvalRecovered, after
	}
	return schemas.EvalDone, after
}

// eventOf is the body, with bounded texts.
func eventOf(kind string, in schemas.EvalAlert) schemas.EvalEvent {
	summary := in.Summary
	summary.Reasons = nil
	for _, reason := range in.Summary.Reasons[:min(len(in.Summary.Reasons), schemas.MaxVerdictReasons)] {
		summary.Reasons = append(summary.Reasons, shorten(reason, mostReason))
	}
	return schemas.EvalEvent{
		Type: kind, Timestamp: time.UnixMilli(summary.EndMS).UTC().Format(time.RFC3339Nano),
		Data: schemas.EvalEventRun{EvalSummary: summary, Tenant: in.Run.Tenant, Link: in.Link},
	}
}

// longestWait bounds how long a receiver can ask to wait.
const longestWait = time.Hour

// send makes the attempt. Codes: unavailable and deadline for a receiver that cannot take it now, invalid for a URL that is none.
func (a *Activities) send(ctx context.Context, in schemas.EvalAlert, body []byte) (string, error) {
	id := schemas.EvalMessageID(in.Run.Tenant, in.Run.Suite, in.Run.ID)
	answer, err := a.Sender.Send(ctx, notify.Message{Tenant: in.Run.Tenant, ID: id, URL: in.Notify.Webhook, Body: body})
	switch status := answer.Status; {
	case err != nil && schemas.CodeOf(err) == schemas.Refused:
		return schemas.DeliveryRefused, nil
	case errors.Is(err, context.Canceled):
		return none, err
	case err != nil:
		return none, schemas.Wrap(schemas.CodeOf(err), err, "webhook of the suite: %s", schemas.SafeMessage(err))
	case status == http.StatusGone:
		return schemas.DeliveryRefused, nil
	case status >= http.StatusOK && status < http.StatusMultipleChoices:
		return schemas.Delivered, nil
	}
	failed := schemas.Errorf(schemas.Unavailable, "webhook of the suite: the receiver answered with status %d", answer.Status)
	failed.RetryAfter = min(answer.RetryAfter, longestWait)
	return none, failed
}
