package model

import (
	"context"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Batcher is a driver whose server also takes many requests together, answers them within a day, and asks less for them. Codes are those of
// Driver.Generate.
type Batcher interface {
	// BatchTerms says what one batch may hold and what it costs. It makes no call.
	BatchTerms() BatchTerms
	// Submit orders a batch and returns the server's name for it. An error of the codes unavailable and deadline leaves open whether it was
	// ordered; any other says that it was not.
	Submit(ctx context.Context, batch Batch) (id string, err error)
	// Find looks for a batch that may have been ordered after since; empty where there is none. Code unavailable, with RetryAfter, where only
	// the end of a batch that is under way can tell whether it is this one; conflict with ErrAmbiguous where nothing can.
	Find(ctx context.Context, batch Batch, since time.Time) (id string, err error)
	// Status says how far a batch is.
	Status(ctx context.Context, id string) (BatchStatus, error)
	// Collect gives what became of the rows of a batch that has ended to each, in no order. A row that was not begun, because the batch
	// expired or was cancelled, is not given. An outcome without an ID is a line that cannot be read. The error of each ends it.
	Collect(ctx context.Context, id string, batch Batch, each func(BatchOutcome) error) error
	// Cancel has a batch end early. Rows that are done by then can be collected when it has ended.
	Cancel(ctx context.Context, id string) error
}

// BatchTerms bounds one batch.
type BatchTerms struct {
	MaxRows     int
	MaxBytes    int     // of all rows as they are sent
	PriceFactor float64 // of what the same calls cost one by one
}

// Batch is requests that are ordered together. All are of the same model.
type Batch struct {
	Name string // ours, by which it is found again: at most 64 letters, digits, hyphens and underscores
	Rows []BatchRow
}

// BatchRow is one request.
type BatchRow struct {
	ID      string // unique in the batch, of the same form as its name
	Request Request
}

// Requests are the rows by their ids.
func (b Batch) Requests() map[string]Request {
	requests := make(map[string]Request, len(b.Rows))
	for _, row := range b.Rows {
		requests[row.ID] = row.Request
	}
	return requests
}

// BatchStatus is how far a batch is.
type BatchStatus struct {
	Ended bool  // its rows can be collected
	Done  int   // rows that were answered or failed
	Total int   // rows
	Cause error // why it ended without any row having been begun; nil where some may have been
}

// BatchOutcome is what became of a row: a response, or the error that the call would have had.
type BatchOutcome struct {
	ID       string
	Response Response
	Err      error
}

// batcher is the provider's driver as one that takes batches.
func (p *Provider) batcher() (Batcher, error) {
	if b, ok := p.Driver.(Batcher); ok {
		return b, nil
	}
	return nil, schemas.Errorf(schemas.NotFound, "the model provider %s has no batch interface that is known here", p.Name)
}

// BatchTerms says what a batch may hold and what it costs. Code: not_found for a provider without batches.
func (p *Provider) BatchTerms() (BatchTerms, error) {
	b, err := p.batcher()
	if err != nil {
		return BatchTerms{}, err
	}
	return b.BatchTerms(), nil
}

// BatchRow makes the row of a batch that stands for a call: its id is the call's identity. Code: invalid, for a request that no provider
// could serve.
func (p *Provider) BatchRow(call Call) (BatchRow, error) {
	if err := checkCall(call); err != nil {
		return BatchRow{}, err
	}
	if err := p.checkLogProbs(call.Request); err != nil {
		return BatchRow{}, err
	}
	identity, err := Identity(p.Name, call)
	return BatchRow{ID: identity, Request: call.Request}, err
}

// SubmitBatch orders a batch, when leave lets it. It makes one attempt. Codes: those of Batcher.Submit.
func (p *Provider) SubmitBatch(ctx context.Context, batch Batch, leave Leave) (id string, err error) {
	b, err := p.batcher()
	if err != nil {
		return "", err
	}
	done, err := leave(ctx)
	if err != nil {
		return "", err
	}
	defer func() { done(Response{}, err) }()
	id, err = b.Submit(ctx, batch)
	return id, p.normal(ctx, err)
}

// FindBatch looks for a batch that may have been ordered after since; empty where there is none. Codes: those of Batcher.Find.
func (p *Provider) FindBatch(ctx context.Context, batch Batch, since time.Time) (string, error) {
	b, err := p.batcher()
	if err != nil {
		return "", err
	}
	id, err := b.Find(ctx, batch, since)
	return id, p.normal(ctx, err)
}

// BatchStatus says how far a batch is. Codes: those of Batcher.Status.
func (p *Provider) BatchStatus(ctx context.Context, id string) (BatchStatus, error) {
	b, err := p.batcher()
	if err != nil {
		return BatchStatus{}, err
	}
	status, err := b.Status(ctx, id)
	return status, p.normal(ctx, err)
}

// CancelBatch has a batch end early. Codes: those of Batcher.Cancel.
func (p *Provider) CancelBatch(ctx context.Context, id string) error {
	b, err := p.batcher()
	if err != nil {
		return err
	}
	return p.normal(ctx, b.Cancel(ctx, id))
}

// CollectBatch gives what became of the rows to each. Of a line that is repeated only the first counts, and rows that the batch does not have
// are left out. A response says by PriceFactor what it costs. Codes: those of Batcher.Collect.
func (p *Provider) CollectBatch(ctx context.Context, id string, batch Batch, each func(BatchOutcome) error) error {
	b, err := p.batcher()
	if err != nil {
		return err
	}
	terms, left := b.BatchTerms(), batch.Requests()
	err = b.Collect(ctx, id, batch, func(out BatchOutcome) error {
		request, known := left[out.ID]
		if out.ID != "" && !known {
			return nil
		}
		delete(left, out.ID)
		if out.Err != nil {
			out.Err = p.normal(ctx, out.Err)
			return each(out)
		}
		out.Response = out.Response.asAsked(request)
		out.Response.Usage.Calls, out.Response.PriceFactor = 1, terms.PriceFactor
		p.Meter.Batched(meter.Call{Operation: meter.Chat, Vendor: p.Vendor, Model: request.Model}, answerOf(out.Response))
		return each(out)
	})
	return p.normal(ctx, err)
}

// Recorded is the response to a call, if it is recorded. Codes: invalid, those of the records.
func (p *Provider) Recorded(ctx context.Context, call Call) (resp Response, ok bool, err error) {
	identity, err := Identity(p.Name, call)
	if err != nil {
		return resp, false, err
	}
	if call.Records == nil {
		call.Records = p.Records
	}
	record, ok, err := p.load(ctx, call, identity)
	return record.Response, ok && !record.Sent, err
}

// Record keeps a response that a batch brought as that of the call, so that Pay finds it. One that is there already stays: false is returned.
// Codes: those of the records.
func (p *Provider) Record(ctx context.Context, call Call, resp Response) (bool, error) {
	identity, err := Identity(p.Name, call)
	if err != nil {
		return false, err
	}
	if call.Records == nil {
		call.Records = p.Records
	}
	record, ok, err := p.load(ctx, call, identity)
	if err != nil || ok && !record.Sent {
		return false, err
	}
	return true, p.save(ctx, call, identity, resp, ok)
}
