package bulk

import (
	"context"
	"sync"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/schemas"
)

// reports is how often the progress of a batch is told of before its end.
const reports = 8

// Check says how far a batch is once it has ended, or come so far that it is worth telling. Until then it fails, so that it is asked again later.
// Codes: unavailable, also while the batch is under way; those of the provider.
func (a *Activities) Check(ctx context.Context, in schemas.BulkCheck) (schemas.BulkStatus, error) {
	target, err := a.target(ctx, in.Part)
	if err != nil {
		return schemas.BulkStatus{}, err
	}
	status, err := target.Provider.BatchStatus(ctx, in.Batch)
	if err != nil {
		return schemas.BulkStatus{}, err
	}
	out := schemas.BulkStatus{Ended: status.Ended, Done: status.Done}
	if status.Cause != nil {
		out.Refused = failure(status.Cause)
	}
	if !out.Ended && (out.Done-in.Seen)*reports < in.Part.Rows {
		return out, schemas.Errorf(schemas.Unavailable, "%s is at work on the batch %s: %d of %d rows are done", in.Part.Target, in.Batch, out.Done, in.Part.Rows)
	}
	return out, nil
}

// collecting is one call of Collect.
type collecting struct {
	a *Activities
	p part

	mu     sync.Mutex
	out    schemas.BulkCollected // guarded by mu
	failed []schemas.BulkFailure // guarded by mu
	err    error                 // guarded by mu: of the first record that could not be kept
}

// Collect records what a batch that has ended brought, each response as that of its call, and notes the rows that failed for good. Repeated, it
// brings the same. Codes: those of the provider and of the store.
func (a *Activities) Collect(ctx context.Context, in schemas.BulkCheck) (schemas.BulkCollected, error) {
	p, err := a.open(ctx, in.Part)
	if err != nil {
		return schemas.BulkCollected{}, err
	}
	c := &collecting{a: a, p: p}
	if err := c.read(ctx, in.Batch); err != nil {
		return schemas.BulkCollected{}, err
	}
	if len(c.failed) > 0 {
		key := schemas.BulkFailedKey(in.Part.Tenant, in.Part.ID, in.Part.Round, in.Part.Part)
		if _, err := blob.PutJSON(ctx, a.Store, key, c.failed); err != nil {
			return schemas.BulkCollected{}, err
		}
	}
	c.out.Failed = len(c.failed)
	c.out.Missing = len(p.batch.Rows) - c.out.Done - c.out.Failed
	return c.out, nil
}

// read goes through the results, and keeps many at once.
func (c *collecting) read(ctx context.Context, batch string) error {
	slots := make(chan struct{}, atOnce)
	var keeping sync.WaitGroup
	err := c.p.target.Provider.CollectBatch(ctx, batch, c.p.batch, func(out model.BatchOutcome) error {
		if out.ID == "" || out.Err != nil {
			c.note(out)
			return c.trouble()
		}
		slots <- struct{}{}
		keeping.Go(func() {
			defer func() { <-slots }()
			c.keep(ctx, out)
		})
		return c.trouble()
	})
	keeping.Wait()
	if err != nil {
		return err
	}
	return c.trouble()
}

func (c *collecting) trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// note counts what is no answer. What may pass leaves its row missing.
func (c *collecting) note(out model.BatchOutcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	code := schemas.CodeOf(out.Err)
	switch {
	case out.ID == "":
		c.out.Unreadable++
	case !code.Retryable():
		c.failed = append(c.failed, schemas.BulkFailure{Identity: out.ID, Code: code, Message: schemas.SafeMessage(out.Err)})
	}
	c.out.Reason = schemas.SafeMessage(out.Err)
}

// keep records an answer.
func (c *collecting) keep(ctx context.Context, out model.BatchOutcome) {
	target := c.p.target
	fresh, err := target.Provider.Record(ctx, c.p.calls[out.ID], out.Response)
	cost := target.CostOf(out.Response)
	if err == nil && fresh {
		c.a.Meter.Spent(target.Provider.Vendor, target.Model, cost)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if c.err == nil {
			c.err = err
		}
		return
	}
	c.out.Done++
	c.out.Usage = c.out.Usage.Add(out.Response.Usage)
	if cost == nil {
		c.out.Cost.Unknown++
		return
	}
	c.out.Cost.USD += *cost
}
