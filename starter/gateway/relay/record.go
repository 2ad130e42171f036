package relay

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

const (
	// recordTime is how long the store may take for the record. It counts apart from the caller's time: what was paid for is
	// recorded for a caller that has left, too.
	recordTime = 15 * time.Second
	// inline is the longest request, or answer, that stands in the record itself, so that lists of records stay quick.
	inline = 256 << 10
	// outputInline is the longest text that stands in the record a second time, by itself.
	outputInline = 64 << 10
)

// record makes the call's record durable. Nobody waits for that of a call that brought nothing.
func (c *call) record(ctx context.Context, resp model.Response, failure error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	begin := time.Now()
	e := c.exchange(resp, failure)
	nothing := failure != nil && c.first.IsZero() && c.charged == (schemas.Amount{})
	if err := c.moveOut(ctx, &e); err != nil {
		return unrecorded(err)
	}
	ticket := c.Journal.Append(journal.Entry{
		Tenant: c.key.Tenant, Run: c.run, Key: schemas.RunKey(c.key.Tenant, c.run, c.start), Data: encode(e), Keep: true, Lazy: nothing,
	})
	if nothing {
		c.recorded = true
		return nil
	}
	err := ticket.Wait(ctx)
	c.recorded = err == nil
	c.Metrics.recorded(time.Since(begin))
	if err != nil {
		return unrecorded(err)
	}
	return nil
}

func unrecorded(err error) error {
	code := schemas.CodeOf(err)
	if code == schemas.Deadline { // the store's, not the model's
		code = schemas.Unavailable
	}
	return schemas.Wrap(code, err, "the model answered, but its answer could not be recorded; it is withheld, and recorded when the store works again")
}

// exchange is the record of the call, as that of a run of one step.
func (c *call) exchange(resp model.Response, failure error) schemas.Exchange {
	now := c.Now()
	detail := c.detail(resp, failure, now)
	c.account(detail)
	charge := c.charge(detail, failure)
	kind, id := schemas.StepGenerate, "generate"
	if c.protocol.Operation() == model.Embeddings {
		kind, id = schemas.StepEmbed, "embed"
	}
	e := schemas.Exchange{
		RunID: c.run, Tenant: c.key.Tenant, KeyID: c.key.ID, Chain: schemas.ModelChain(c.name), Plan: schemas.Plan{Chain: schemas.ModelChain(c.name)},
		Status: schemas.RunDone, Failure: detail.Failure, Input: c.request.Original(), Output: output(resp),
		StartMS: c.start.UnixMilli(), TookMS: now.Sub(c.start).Milliseconds(), Usage: c.usage, Cost: c.cost, Charge: charge,
		Steps: []schemas.ExchangeStep{{ID: id, Kind: kind, Failure: detail.Failure, Details: []schemas.StepDetail{{
			StartMS: c.start.UnixMilli(), TookMS: ms(now.Sub(c.start)), Calls: []schemas.CallDetail{detail},
		}}}},
	}
	switch {
	case isGone(failure):
		e.Status = schemas.RunCancelled
	case failure != nil:
		e.Status = schemas.RunFailed
	}
	return e
}

func (c *call) detail(resp model.Response, failure error, now time.Time) schemas.CallDetail {
	d := schemas.CallDetail{
		Purpose: "answer", Model: c.name, Target: c.target.Server + "/" + c.target.Model, Answered: resp.Model, Fingerprint: resp.Fingerprint,
		Finish: resp.Finish, Usage: resp.Usage, Ambiguous: c.ambiguous, Operation: string(c.protocol.Operation()),
	}
	if c.protocol.Operation() == model.Embeddings {
		d.Purpose = "embed"
	}
	if t := c.turn.Load(); t != nil {
		d.WaitedMS, d.TookMS = ms(t.waited), ms(now.Sub(t.sent))
	}
	if failure != nil {
		d.Failure = &schemas.StepError{Code: schemas.CodeOf(failure), Message: schemas.SafeMessage(failure)}
	}
	if c.first.IsZero() {
		return d
	}
	d.Usage.Calls = 1
	if d.Usage.InputTokens+d.Usage.OutputTokens > 0 || c.target.Local {
		d.Cost = c.target.Cost(d.Usage)
	}
	if c.stream {
		d.Events = c.list()
	} else {
		d.Response = c.last
	}
	return d
}

// list is the data of the events, as JSON.
func (c *call) list() json.RawMessage {
	if len(c.events) == 0 {
		return json.RawMessage("[]")
	}
	c.events[0] = '['
	return append(c.events, ']')
}

// account sums up the call. One that may have been paid for at an unknown price counts as such.
func (c *call) account(d schemas.CallDetail) {
	c.usage = d.Usage
	switch {
	case d.Cost != nil:
		c.cost.USD = *d.Cost
	case d.Usage.Calls > 0:
		c.cost.Unknown = 1
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// output is what was said, for people who look at records.
func output(resp model.Response) json.RawMessage {
	if resp.Text == "" && len(resp.Calls) == 0 || len(resp.Text) > outputInline {
		return nil
	}
	said := struct {
		Text  string           `json:"text,omitempty"`
		Calls []model.ToolCall `json:"calls,omitempty"`
	}{resp.Text, resp.Calls}
	return encode(said)
}

// moveOut keeps what is too long for the record in objects of its own, which are durable before it is. Their references stand in its place.
func (c *call) moveOut(ctx context.Context, e *schemas.Exchange) error {
	told := &e.Steps[0].Details[0].Calls[0]
	if len(told.Events) > inline {
		told.Response, told.Events = told.Events, nil
	}
	for _, part := range []*json.RawMessage{&e.Input, &told.Response} {
		if len(*part) <= inline {
			continue
		}
		ref, err := blob.PutContent(ctx, c.Store, c.key.Tenant, *part)
		if err != nil {
			return err
		}
		*part = encode(ref)
	}
	return nil
}

// moved is the reference that stands in the place of a part of the tenant's record; false for the part itself, whatever it looks like.
func moved(tenant string, part json.RawMessage) (ref schemas.Ref, ok bool) {
	if len(part) > schemas.InlineBytes || json.Unmarshal(part, &ref) != nil || ref.SHA256 == "" {
		return ref, false
	}
	return ref, ref.Key == schemas.BlobKey(tenant, ref.SHA256)
}
