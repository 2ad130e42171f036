package bulk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/schemas"
)

// mark is what is noted of an order: that it is about to be made, and then the provider's name for the batch.
type mark struct {
	AtMS  int64  `json:"at_ms"` // Unix milliseconds, of the first attempt
	Batch string `json:"batch,omitempty"`
}

func markKey(in schemas.BulkPart) string {
	return schemas.BulkMarkKey(in.Tenant, in.ID, in.Round, in.Part)
}

// marked reads the mark of an order; not ok where nothing was begun.
func (a *Activities) marked(ctx context.Context, in schemas.BulkPart) (m mark, ok bool, err error) {
	data, err := a.Store.Get(ctx, markKey(in))
	if err != nil {
		if schemas.CodeOf(err) == schemas.NotFound {
			err = nil
		}
		return m, false, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, false, schemas.Wrap(schemas.Internal, err, "the mark of a batch cannot be read")
	}
	return m, true, nil
}

// Submit orders a batch, once however often it is repeated: before the order a mark is durable, and after it the provider's name for the batch. A
// repeated one that finds a mark without a name looks for the batch at the provider before it orders another. A provider that declines is a
// result. Codes: those of the store; rate_limited, unavailable and deadline of the provider.
func (a *Activities) Submit(ctx context.Context, in schemas.BulkPart) (schemas.BulkOrdered, error) {
	before, begun, err := a.marked(ctx, in)
	if err != nil || before.Batch != "" {
		return schemas.BulkOrdered{Batch: before.Batch}, err
	}
	p, err := a.open(ctx, in)
	if err != nil {
		return schemas.BulkOrdered{}, err
	}
	if begun {
		found, err := a.lost(ctx, p, before)
		if found != "" || err != nil {
			return outcome(found, err)
		}
	} else {
		before = mark{AtMS: a.Now().UnixMilli()}
		if _, err := blob.PutJSON(ctx, a.Store, markKey(in), before); err != nil {
			return schemas.BulkOrdered{}, err
		}
	}
	id, err := p.target.Provider.SubmitBatch(ctx, p.batch, p.leave())
	if err != nil {
		return outcome("", err)
	}
	return outcome(id, a.named(ctx, p, before, id))
}

// outcome makes a result of what a provider declines.
func outcome(id string, err error) (schemas.BulkOrdered, error) {
	coded, ok := errors.AsType[*schemas.Error](err)
	if ok && !coded.Code.Retryable() {
		return schemas.BulkOrdered{Refused: failure(err)}, nil
	}
	return schemas.BulkOrdered{Batch: id}, err
}

// named notes the provider's name for a batch that was ordered, also for a caller that has left.
func (a *Activities) named(ctx context.Context, p part, m mark, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	m.Batch = id
	_, err := blob.PutJSON(ctx, a.Store, markKey(p.BulkPart), m)
	return err
}

// lost looks for a batch whose order was begun and whose name was lost. A young order may not be in the provider's list yet, or still be on its way.
func (a *Activities) lost(ctx context.Context, p part, m mark) (string, error) {
	since := time.UnixMilli(m.AtMS)
	id, err := p.target.Provider.FindBatch(ctx, p.batch, since)
	if err != nil {
		return "", err
	}
	if id != "" {
		return id, a.named(ctx, p, m, id)
	}
	if wait := cmp.Or(a.Settle, settle) - a.Now().Sub(since); wait > 0 {
		err := schemas.Errorf(schemas.Unavailable, "an order of a batch was begun, and its answer lost; %s may list it yet", p.Target)
		err.RetryAfter = wait
		return "", err
	}
	return "", nil
}

// waitMost is how long an order holds its place in a worker before it gives way and comes back later.
const waitMost = 20 * time.Second

// leave asks the provider's limiter. The rows count for limits of their own.
func (p part) leave() model.Leave {
	return func(ctx context.Context) (func(model.Response, error), error) {
		ask := limit.Ask{Tenant: p.Tenant, Model: p.target.Model, Class: limit.Batch, MaxWait: waitMost}
		grant, err := p.target.Limiter.Acquire(ctx, ask)
		if err != nil {
			return nil, err
		}
		return func(_ model.Response, err error) { grant.Done(limit.Outcome{Err: err, Rates: p.target.Rates()}) }, nil
	}
}

// Cancel has a batch end early, if it was ordered, and returns its name. It may be repeated. Codes: those of Submit.
func (a *Activities) Cancel(ctx context.Context, in schemas.BulkPart) (schemas.BulkOrdered, error) {
	m, begun, err := a.marked(ctx, in)
	if err != nil || !begun {
		return schemas.BulkOrdered{}, err
	}
	p, err := a.open(ctx, in)
	if err != nil {
		return schemas.BulkOrdered{}, err
	}
	if m.Batch == "" {
		if m.Batch, err = a.lost(ctx, p, m); m.Batch == "" {
			return outcome("", err)
		}
	}
	return outcome(m.Batch, p.target.Provider.CancelBatch(ctx, m.Batch))
}
