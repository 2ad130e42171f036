package chain

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/model/limit"
	"github.com/tenuto-dev/tenuto/schemas"
)

// batchWait is how long a call that nobody waits for holds its place in a worker before it gives way and comes back later.
const batchWait = 20 * time.Second

// askError says that a person must decide.
type askError struct{ question string }

func (e *askError) Error() string { return e.question }

// call makes one model call, when the provider's limits let it, and notes what came of it.
func (c *conversation) call(ctx context.Context, target fleet.Target, request model.Request, attempt string) (model.Response, error) {
	detail := schemas.CallDetail{Purpose: c.purpose, Model: target.Name, Target: target.Server + "/" + target.Model}
	defer func() { c.s.detail.Calls = append(c.s.detail.Calls, detail) }()
	if err := c.afford(target); err != nil {
		detail.Failure = &schemas.StepError{Code: schemas.CodeOf(err), Message: schemas.SafeMessage(err)}
		return model.Response{}, err
	}
	if resp, ok := c.cached(ctx, target, request); ok {
		detail.Cached, detail.Answered, detail.Finish = true, resp.Model, resp.Finish
		c.s.a.Meter.ReadBack(ctx, target.Provider.Vendor, target.Model, true)
		detail.Cost = new(float64)
		return resp, nil
	}
	if c.s.first != nil {
		return c.s.first(ctx, target, request, attempt)
	}
	paid, waited, took, err := c.s.pay(ctx, target, request, attempt, c.voice())
	detail.WaitedMS, detail.TookMS = ms(waited), ms(took)
	detail.Identity, detail.Recorded, detail.Ambiguous = paid.Identity, paid.Recorded, paid.Ambiguous
	if err != nil {
		detail.Failure = &schemas.StepError{Code: schemas.CodeOf(err), Message: schemas.SafeMessage(err)}
		if model.IsAmbiguous(err) && c.s.def.Ambiguous == schemas.AmbiguousAsk {
			return model.Response{}, &askError{schemas.SafeMessage(err)}
		}
		return model.Response{}, err
	}
	detail.Answered, detail.Fingerprint, detail.Finish, detail.Usage = paid.Model, paid.Fingerprint, paid.Finish, paid.Usage
	detail.Cost, detail.PriceFactor = target.CostOf(paid.Response), paid.PriceFactor
	c.spend(detail.Cost)
	if !paid.Recorded {
		c.s.a.Meter.Spent(target.Provider.Vendor, target.Model, detail.Cost)
	}
	c.remember(ctx, target, request, paid.Response)
	return paid.Response, nil
}

// voice is how those hear the call who follow the run's answer while it comes in; nil where nobody does, or it is not the answer. What is
// checked or changed before it is an answer (output of a schema, citations) is not heard before.
func (c *conversation) voice() model.Emit {
	g := c.s.def.Generate
	if g == nil || g.Cite || c.schema != nil || c.purpose != purposeAnswer || c.s.in.Path != "" || c.s.chain.Answers() != c.s.in.Step {
		return nil
	}
	voice := c.s.a.Hub.Voice(c.s.in.Tenant, c.s.in.RunID)
	if voice == nil {
		return nil
	}
	voice.Restart()
	return func(d model.Delta) { voice.Add(d.Text) }
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// pay makes the call when the provider's limits let it. What is recorded already needs no leave.
func (s *stepping) pay(
	ctx context.Context, target fleet.Target, request model.Request, attempt string, emit model.Emit,
) (paid model.Paid, waited, took time.Duration, err error) {
	policy := s.def.Ambiguous
	if s.in.Resent {
		policy = schemas.AmbiguousRetry
	}
	start := time.Now()
	var asked, granted time.Time
	leave := func(ctx context.Context) (func(model.Response, error), error) {
		asked = time.Now()
		grant, err := target.Limiter.Acquire(ctx, s.leave(target, request))
		if err != nil {
			return nil, err
		}
		granted = time.Now()
		return func(resp model.Response, err error) {
			grant.Done(limit.Outcome{Err: err, Tokens: resp.Usage.InputTokens + resp.Usage.OutputTokens, Rates: target.Rates()})
		}, nil
	}
	paid, err = target.Provider.Pay(ctx, model.Call{
		Tenant: s.in.Tenant, Attempt: attempt, Request: request, Records: s.book(), Ambiguous: policy, Leave: leave, Emit: emit,
	})
	if ctx.Err() != nil { // the call may still be under way, and granted in other hands
		return paid, 0, time.Since(start), err
	}
	if !granted.IsZero() {
		waited = granted.Sub(asked)
		s.a.Meter.Waited(target.Provider.Vendor, waited)
	}
	return paid, waited, time.Since(start) - waited, err
}

// leave is what the limiter is asked for.
func (s *stepping) leave(target fleet.Target, request model.Request) limit.Ask {
	ask := limit.Ask{Tenant: s.in.Tenant, Model: target.Model, Tokens: estimate(request)}
	if s.in.Batch {
		ask.Class, ask.MaxWait = limit.Batch, batchWait
	}
	return ask
}

// estimate supposes a token for every four bytes; limits count what was really used afterwards.
func estimate(request model.Request) int {
	n := request.MaxTokens
	for _, m := range request.Messages {
		n += len(m.Text)/4 + 4
	}
	return n
}

// afford stops a step that has spent what it may.
func (c *conversation) afford(target fleet.Target) error {
	bound := 0.0
	if g := c.s.def.Generate; g != nil {
		bound = g.MaxCost
	}
	switch {
	case bound == 0:
		return nil
	case target.Cost(schemas.Usage{}) == nil:
		return schemas.Errorf(schemas.OverBudget, "step %s may cost %g US dollars, and the price of model %s is not known; set its prices in models.yaml",
			c.s.in.Step, bound, target.Name)
	case c.Spent.USD >= bound:
		return schemas.Errorf(schemas.OverBudget, "step %s has spent %.4f of %g US dollars and is not done", c.s.in.Step, c.Spent.USD, bound)
	}
	return nil
}

func (c *conversation) spend(cost *float64) {
	if cost == nil {
		c.Spent.Unknown++
		return
	}
	c.Spent.USD += *cost
}

// cacheEntry is a response that equal calls may share.
type cacheEntry struct {
	AtMS     int64          `json:"at_ms"`
	Response model.Response `json:"response"`
}

// cacheKey names a call without the run that makes it: tenant, provider with its settings, model, parameters and messages.
func (c *conversation) cacheKey(target fleet.Target, request model.Request) (string, error) {
	identity, err := model.Identity(target.Provider.Name, model.Call{Tenant: c.s.in.Tenant, Attempt: "cache", Request: request})
	return schemas.CacheKey(c.s.in.Tenant, identity), err
}

// cached looks for a response that is young enough. A cache that cannot be read is none.
func (c *conversation) cached(ctx context.Context, target fleet.Target, request model.Request) (model.Response, bool) {
	if c.s.def.Cache == nil {
		return model.Response{}, false
	}
	key, err := c.cacheKey(target, request)
	if err != nil {
		return model.Response{}, false
	}
	data, ok, err := c.s.a.Journal.Get(ctx, c.s.in.Tenant, key)
	var entry cacheEntry
	if err != nil || !ok || json.Unmarshal(data, &entry) != nil {
		return model.Response{}, false
	}
	age := time.Since(time.UnixMilli(entry.AtMS))
	return entry.Response, age < time.Duration(c.s.def.Cache.TTLSeconds)*time.Second
}

func (c *conversation) remember(ctx context.Context, target fleet.Target, request model.Request, resp model.Response) {
	if c.s.def.Cache == nil || ctx.Err() != nil {
		return
	}
	key, err := c.cacheKey(target, request)
	if err != nil {
		return
	}
	data, err := json.Marshal(cacheEntry{AtMS: time.Now().UnixMilli(), Response: resp})
	if err != nil {
		return
	}
	c.s.a.Journal.Append(journal.Entry{Tenant: c.s.in.Tenant, Key: key, Data: data, Keep: true, Lazy: true})
}

// attempt names a deliberate call of a step: what is retried has the same name, what is asked anew has another.
func (s *stepping) attempt(what string) string {
	name := fmt.Sprintf("%s/%s%s/%d.%s", s.in.RunID, s.in.Path, s.in.Step, s.in.Turn, what)
	if s.in.Retries > 0 {
		name += fmt.Sprintf("/r%d", s.in.Retries)
	}
	return name
}
