// Package chain carries out the steps of chains: it evaluates conditions, looks for passages, has models answer, calls tools, and keeps
// the record of a run. What it decides is recorded, so it may change in any release.
package chain

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/tenuto-dev/tenuto/activities/internal/expr"
	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/activities/provider/hub"
	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/activities/provider/web"
	"github.com/tenuto-dev/tenuto/activities/retrieve"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Finder looks for passages.
type Finder interface {
	Find(ctx context.Context, query retrieve.Query) (retrieve.Found, error)
	Rerank(ctx context.Context, provider *model.Provider, name, tenant, query string, hits []schemas.Hit, top int) ([]schemas.Hit, model.RerankResponse, error)
}

// Activities are the durable calls of chains. All fields but Hub and Meter are required. It is safe for concurrent use.
type Activities struct {
	Store   *blob.Store
	Journal *journal.Journal
	Find    Finder
	Fleet   *fleet.Fleet
	Web     *web.Client
	Hub     *hub.Hub     // told how runs get on; may be nil
	Meter   *meter.Meter // may be nil

	programs expr.Cache
	bundles  bundles
	lists    lists
	ahead    ahead
}

// Step carries out one step, or one turn of it. Every model call in it is recorded under an identity of its own, so a step that is
// repeated after a crash pays only for what was not recorded. Codes: those of the step's kind.
func (a *Activities) Step(ctx context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
	if ended, err := a.endedIn(ctx, in); ended || err != nil {
		return schemas.StepOutcome{Ended: ended}, err
	}
	return a.attempt(ctx, in)
}

// attempt carries out a step of a run that has not ended.
func (a *Activities) attempt(ctx context.Context, in schemas.StepRequest) (schemas.StepOutcome, error) {
	ctx, told := a.Meter.StepBegins(ctx, in)
	s, err := a.step(ctx, in)
	if err != nil {
		told.End("", 0, false, err)
		return schemas.StepOutcome{}, err
	}
	out, err := s.perform(ctx)
	told.End(s.def.Kind(), s.detail.Retries, out.Skipped, err)
	return out, err
}

// perform carries out the step, and keeps what it did.
func (s *stepping) perform(ctx context.Context) (schemas.StepOutcome, error) {
	start := time.Now()
	if run, err := s.condition(ctx, s.def.When); err != nil || !run {
		return schemas.StepOutcome{Skipped: err == nil}, err
	}
	s.detail = s.before(ctx, start)
	out, err := s.carryOut(ctx)
	if asks, ok := errors.AsType[*askError](err); ok {
		out, err = schemas.StepOutcome{Asks: asks.question}, nil
	}
	s.detail.TookMS += ms(time.Since(start))
	if err != nil {
		s.failed(ctx)
		return schemas.StepOutcome{}, err
	}
	out.Detail, err = s.a.content(ctx, s.in.Tenant, s.detail)
	return out, err
}

// stepping is one call of Step.
type stepping struct {
	a      *Activities
	in     schemas.StepRequest
	bundle *bundle
	chain  schemas.ChainDef
	def    schemas.StepDef
	scope  *scope
	detail schemas.StepDetail
	first  func(context.Context, fleet.Target, model.Request, string) (model.Response, error) // told of calls, in place of making them; nil makes them
}

func (a *Activities) step(ctx context.Context, in schemas.StepRequest) (*stepping, error) {
	b, err := a.bundle(ctx, in.Bundle)
	if err != nil {
		return nil, err
	}
	def, chain, err := b.step(in.Chain, in.Step)
	if err != nil {
		return nil, err
	}
	return &stepping{a: a, in: in, bundle: b, chain: chain, def: def, scope: a.scope(in)}, nil
}

// before is what earlier attempts of this step have done, if they did it in this process.
func (s *stepping) before(ctx context.Context, start time.Time) schemas.StepDetail {
	detail := schemas.StepDetail{Turn: s.in.Turn, StartMS: start.UnixMilli()}
	data, ok, err := s.a.Journal.Own(ctx, s.in.Tenant, s.attemptsKey())
	if err != nil || !ok || json.Unmarshal(data, &detail) != nil {
		return detail
	}
	detail.Retries++
	return detail
}

// flushLimit bounds the wait for what a failed step has paid for.
const flushLimit = 5 * time.Second

// failed keeps what this attempt did for the next one, and for the record of the run. Another process may make the next attempt: what was paid for
// in this one is durable before it hears of the failure. If it cannot be, a repeated call counts as one whose answer was lost.
func (s *stepping) failed(ctx context.Context) {
	data, err := json.Marshal(s.detail)
	if err != nil {
		return
	}
	s.a.Journal.Append(journal.Entry{Tenant: s.in.Tenant, Run: s.in.RunID, Key: s.attemptsKey(), Data: data, Lazy: true})
	s.a.flush(ctx, s.in.Tenant, s.in.RunID)
}

func (a *Activities) flush(ctx context.Context, tenant, run string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
	defer cancel()
	_ = a.Journal.Flush(ctx, tenant, run)
}

func (s *stepping) attemptsKey() string {
	return schemas.AttemptsKey(s.in.Tenant, s.in.RunID, s.in.Path, s.in.Step, s.in.Turn)
}

func (s *stepping) carryOut(ctx context.Context) (schemas.StepOutcome, error) {
	switch s.def.Kind() {
	case schemas.StepRetrieve:
		return s.retrieve(ctx)
	case schemas.StepGenerate:
		return s.generate(ctx)
	case schemas.StepMap:
		return s.items(ctx)
	case schemas.StepBranch:
		return s.branch(ctx)
	case schemas.StepTool:
		return s.tool(ctx)
	case schemas.StepGuard, schemas.StepReview, schemas.StepEmbed:
	}
	return schemas.StepOutcome{}, schemas.Errorf(schemas.Invalid, "step %s has no kind that this worker knows; is the worker older than the chain?", s.in.Step)
}

func (s *stepping) condition(ctx context.Context, src string) (bool, error) {
	if src == "" {
		return true, nil
	}
	return s.scope.test(ctx, src)
}

// outcome is the outcome of a step with this output.
func (s *stepping) outcome(ctx context.Context, output any) (schemas.StepOutcome, error) {
	content, err := s.a.content(ctx, s.in.Tenant, output)
	return schemas.StepOutcome{Output: content}, err
}
