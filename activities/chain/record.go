package chain

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/blob/journal"
	"github.com/tenuto-dev/tenuto/schemas"
)

// recordInline is the longest output that stands in the record of a run itself.
const recordInline = 64 << 10

// Record evaluates the output of a run that is done, writes the record of the run, at a key that follows from the run, and returns the run's result when everything of the run is durable.
// The record of a run that is done is written once; a repeated call reads it. Codes: those of the store.
func (a *Activities) Record(ctx context.Context, in schemas.RecordRequest) (schemas.RunOutcome, error) {
	out, ok, err := a.ended(ctx, in.Run)
	if err == nil && !ok && in.Ended {
		err = schemas.Errorf(schemas.Unavailable, "the record of run %s was there and cannot be found now", in.Run.RunID)
	}
	if err == nil && !ok {
		out, err = a.record(ctx, in)
	}
	if err != nil {
		return schemas.RunOutcome{}, err
	}
	a.Hub.End(in.Run.Tenant, out)
	return out, nil
}

// record writes the record of a run that has none, or none that counts.
func (a *Activities) record(ctx context.Context, in schemas.RecordRequest) (schemas.RunOutcome, error) {
	run := in.Run
	var output schemas.Content
	if in.Status == schemas.RunDone {
		var err error
		output, err = a.output(ctx, schemas.OutputRequest{
			Tenant: run.Tenant, RunID: run.RunID, Bundle: run.Bundle, Chain: run.Plan.Chain, Input: run.Input, Outputs: in.Outputs,
		})
		if err != nil && schemas.CodeOf(err).Retryable() {
			return schemas.RunOutcome{}, err
		}
		if err != nil { // the run ends with that, and its record says so
			in.Status, in.Failure = schemas.RunFailed, &schemas.StepError{Code: schemas.CodeOf(err), Message: schemas.SafeMessage(err)}
		}
	}
	exchange, err := a.exchange(ctx, in, output)
	if err != nil {
		return schemas.RunOutcome{}, err
	}
	data, err := json.Marshal(exchange)
	if err != nil {
		return schemas.RunOutcome{}, err
	}
	if err := a.listReleased(exchange); err != nil {
		return schemas.RunOutcome{}, err
	}
	key := schemas.RunKey(run.Tenant, run.RunID, time.UnixMilli(run.StartMS))
	ticket := a.Journal.Append(journal.Entry{Tenant: run.Tenant, Run: run.RunID, Key: key, Data: data, Keep: true, Ends: in.Status == schemas.RunDone})
	if err := ticket.Wait(ctx); err != nil {
		return schemas.RunOutcome{}, err
	}
	if in.Status == schemas.RunDone { // what was paid for in a run that failed may still serve a retry
		a.Journal.Ended(run.Tenant, run.RunID)
	}
	a.Meter.RunEnded(ctx, exchange, run.Trace)
	return schemas.RunOutcome{RunID: run.RunID, Output: output, Usage: exchange.Usage, Cost: exchange.Cost, Failure: in.Failure, Charge: run.Charge}, nil
}

// exchange makes the record of a run with this output.
func (a *Activities) exchange(ctx context.Context, in schemas.RecordRequest, output schemas.Content) (schemas.Exchange, error) {
	run := in.Run
	exchange := schemas.Exchange{
		RunID: run.RunID, Tenant: run.Tenant, Chain: run.Plan.Chain, Bundle: run.Bundle, Plan: run.Plan, Status: in.Status, Failure: in.Failure,
		StartMS: run.StartMS, TookMS: max(0, in.EndMS-run.StartMS), Lane: in.Lane, Retries: run.Retries,
		Release: run.Release, Label: run.Label, Key: run.Key, Metadata: run.Metadata, RerunOf: run.RerunOf, Charge: run.Charge,
		Callback: run.Callback != "",
	}
	var err error
	if exchange.RerunAs, err = a.rerunAs(ctx, exchange); err != nil {
		return exchange, err
	}
	if exchange.Input, err = a.raw(ctx, run.Input); err != nil {
		return exchange, err
	}
	if output.Ref.Bytes > recordInline {
		exchange.OutputRef = output.Ref
	} else if exchange.Output, err = a.raw(ctx, output); err != nil {
		return exchange, err
	}
	err = a.recordSteps(ctx, &exchange, in.Steps)
	return exchange, err
}

// raw is a content as JSON.
func (a *Activities) raw(ctx context.Context, content schemas.Content) (json.RawMessage, error) {
	if content == (schemas.Content{}) {
		return nil, nil
	}
	text, err := blob.Text(ctx, a.Store, content)
	return json.RawMessage(text), err
}

const (
	recordAtOnce = 16 // steps that are read at the same time
	recordInTurn = 4  // steps that are read one after another: most of it is in memory
)

// recordSteps reads what the steps left, and sums up.
func (a *Activities) recordSteps(ctx context.Context, exchange *schemas.Exchange, steps []schemas.StepRecord) error {
	flat, err := a.flat(ctx, steps)
	if err != nil {
		return err
	}
	exchange.Steps = make([]schemas.ExchangeStep, len(flat))
	failures := make([]error, len(flat))
	if len(flat) <= recordInTurn {
		for i, s := range flat {
			if exchange.Steps[i], err = a.recordStep(ctx, exchange.Tenant, exchange.RunID, s); err != nil {
				return err
			}
		}
		return a.sumUp(ctx, exchange)
	}
	slots := make(chan struct{}, recordAtOnce)
	var reading sync.WaitGroup
	for i, s := range flat {
		slots <- struct{}{}
		reading.Go(func() {
			defer func() { <-slots }()
			exchange.Steps[i], failures[i] = a.recordStep(ctx, exchange.Tenant, exchange.RunID, s)
		})
	}
	reading.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	return a.sumUp(ctx, exchange)
}

// flat puts the steps of parts in the places of their parts.
func (a *Activities) flat(ctx context.Context, steps []schemas.StepRecord) ([]schemas.StepRecord, error) {
	var flat []schemas.StepRecord
	for _, s := range steps {
		if s.Parts == (schemas.Content{}) {
			flat = append(flat, s)
			continue
		}
		stored, err := a.value(ctx, s.Parts)
		if err != nil {
			return nil, err
		}
		parts, err := as[[]schemas.StepRecord](stored)
		if err != nil {
			return nil, err
		}
		if parts, err = a.flat(ctx, parts); err != nil {
			return nil, err
		}
		flat = append(flat, parts...)
	}
	return flat, nil
}

func (a *Activities) recordStep(ctx context.Context, tenant, run string, s schemas.StepRecord) (schemas.ExchangeStep, error) {
	step := schemas.ExchangeStep{Path: s.Path, ID: s.ID, Kind: s.Kind, Skipped: s.Skipped, Chosen: s.Chosen, Failure: s.Failure}
	if s.Output.Ref.Bytes > recordInline {
		step.OutputRef = s.Output.Ref
	} else {
		var err error
		if step.Output, err = a.raw(ctx, s.Output); err != nil {
			return step, err
		}
	}
	details, err := a.details(ctx, tenant, run, s)
	if err != nil {
		return step, err
	}
	for _, detail := range details {
		for i := range detail.Calls {
			if err := a.recordCall(ctx, tenant, &detail.Calls[i]); err != nil {
				return step, err
			}
		}
		step.Details = append(step.Details, detail)
	}
	return step, nil
}

// details are those of a step's turns, and of the last attempt of one that failed.
func (a *Activities) details(ctx context.Context, tenant, run string, s schemas.StepRecord) ([]schemas.StepDetail, error) {
	details := make([]schemas.StepDetail, 0, len(s.Details)+1)
	for _, content := range s.Details {
		text, err := blob.Text(ctx, a.Store, content)
		if err != nil {
			return nil, err
		}
		var detail schemas.StepDetail
		if err := json.Unmarshal([]byte(text), &detail); err != nil {
			return nil, schemas.Wrap(schemas.Internal, err, "what step %s did cannot be read", s.ID)
		}
		details = append(details, detail)
	}
	if s.Failure == nil {
		return details, nil
	}
	key := schemas.AttemptsKey(tenant, run, s.Path, s.ID, len(s.Details))
	data, ok, err := a.Journal.Get(ctx, tenant, key)
	var last schemas.StepDetail
	if err == nil && ok && json.Unmarshal(data, &last) == nil {
		details = append(details, last)
	}
	return details, err
}

// recordCall adds what was sent and what came back.
func (a *Activities) recordCall(ctx context.Context, tenant string, call *schemas.CallDetail) error {
	if call.Identity == "" {
		return nil
	}
	data, ok, err := a.Journal.Get(ctx, tenant, schemas.CallKey(tenant, call.Identity))
	var record struct {
		Request  json.RawMessage `json:"request"`
		Response json.RawMessage `json:"response"`
	}
	if err != nil || !ok || json.Unmarshal(data, &record) != nil {
		return err
	}
	call.Request, call.Response = record.Request, record.Response
	return nil
}

// recordCalls is how many bytes of calls stand in a record itself. Requests and responses beyond it are objects of their own, and the
// record has their references in their places.
const recordCalls = 8 << 20

// sumUp adds up usage and cost, and moves out what would make the record too large.
func (a *Activities) sumUp(ctx context.Context, exchange *schemas.Exchange) error {
	size, paid := 0, map[string]bool{} // calls, by identity: an attempt reads back what one before it has paid for
	for _, step := range exchange.Steps {
		for _, detail := range step.Details {
			for i := range detail.Calls {
				call := &detail.Calls[i]
				if !call.Recorded || !paid[call.Identity] {
					account(exchange, call)
				}
				paid[call.Identity] = paid[call.Identity] || call.Usage.Calls > 0
				size += len(call.Request) + len(call.Response)
				if size <= recordCalls {
					continue
				}
				size -= len(call.Request) + len(call.Response)
				if err := errors.Join(a.moveOut(ctx, exchange.Tenant, &call.Request), a.moveOut(ctx, exchange.Tenant, &call.Response)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func account(exchange *schemas.Exchange, call *schemas.CallDetail) {
	exchange.Usage = exchange.Usage.Add(call.Usage)
	switch {
	case call.Cost != nil:
		exchange.Cost.USD += *call.Cost
	case call.Usage.Calls > 0:
		exchange.Cost.Unknown++
	}
}

// moveOut replaces a JSON text by the reference to it.
func (a *Activities) moveOut(ctx context.Context, tenant string, text *json.RawMessage) error {
	if len(*text) <= schemas.InlineBytes {
		return nil
	}
	ref, err := a.keep(ctx, tenant, *text)
	if err != nil {
		return err
	}
	*text, err = json.Marshal(ref)
	return err
}
