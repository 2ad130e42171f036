// Package bulk makes calls of models that nobody waits for by the batch interfaces of their providers, for less money. Every answer is recorded as
// that of its call, where the run that makes the call finds it: it is never paid for twice.
package bulk

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/meter"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// Records reads what runs have recorded. Implemented by journal.Journal.
type Records interface {
	Get(ctx context.Context, tenant, key string) (data []byte, ok bool, err error)
}

// Activities are the durable calls of calls in batches. All fields but Meter and the bounds are required. It is safe for concurrent use.
type Activities struct {
	Store   *blob.Store
	Records Records
	Fleet   *fleet.Fleet
	Now     func() time.Time
	Meter   *meter.Meter // may be nil

	MostRows  int           // of a batch, where the provider takes more; default 50,000
	MostBytes int           // of a batch; default 32 MB, which a worker holds in memory a few times
	Settle    time.Duration // after which an order whose answer was lost must be in the provider's list; default a minute
}

const (
	mostRows  = 50_000
	mostBytes = 32 << 20
	settle    = time.Minute
	atOnce    = 16 // calls of the store
)

// kept is where calls of a tenant are recorded that are made in batches: at their own keys, and read wherever a run has put them.
type kept struct {
	a      *Activities
	tenant string
}

// Load looks for a record.
func (k kept) Load(ctx context.Context, key string) ([]byte, bool, error) {
	return k.a.Records.Get(ctx, k.tenant, key)
}

// Save keeps a record.
func (k kept) Save(ctx context.Context, key string, data []byte) error {
	return k.a.Store.Put(ctx, key, data)
}

// call is the call that a row stands for.
func (a *Activities) call(tenant string, row schemas.BulkRow) (model.Call, error) {
	call := model.Call{Tenant: tenant, Attempt: row.Attempt, Records: kept{a, tenant}}
	if err := json.Unmarshal(row.Request, &call.Request); err != nil {
		return call, schemas.Wrap(schemas.Invalid, err, "the request of the call %s cannot be read", row.Attempt)
	}
	return call, nil
}

// part is a batch with what it is made of.
type part struct {
	schemas.BulkPart

	target fleet.Target
	batch  model.Batch
	calls  map[string]model.Call // by identity
}

// target finds who serves a batch.
func (a *Activities) target(ctx context.Context, in schemas.BulkPart) (fleet.Target, error) {
	models, err := blob.GetJSON[schemas.Models](ctx, a.Store, in.Models)
	if err != nil {
		return fleet.Target{}, err
	}
	return a.Fleet.Target(models, in.Model)
}

// open reads the rows of a batch.
func (a *Activities) open(ctx context.Context, in schemas.BulkPart) (part, error) {
	p := part{BulkPart: in, batch: model.Batch{Name: in.BulkName()}, calls: map[string]model.Call{}}
	var err error
	if p.target, err = a.target(ctx, in); err != nil {
		return p, err
	}
	rows, err := blob.GetJSON[[]schemas.BulkRow](ctx, a.Store, in.List)
	if err != nil {
		return p, err
	}
	for _, row := range rows {
		call, err := a.call(in.Tenant, row)
		if err != nil {
			return p, err
		}
		made, err := p.target.Provider.BatchRow(call)
		if err != nil {
			return p, err
		}
		p.batch.Rows, p.calls[made.ID] = append(p.batch.Rows, made), call
	}
	if len(p.batch.Rows) == 0 {
		return p, schemas.Errorf(schemas.Invalid, "a batch of the calls %s has no rows", in.ID)
	}
	return p, nil
}

func (a *Activities) rows(terms model.BatchTerms) int {
	return min(cmp.Or(a.MostRows, mostRows), terms.MaxRows)
}

func (a *Activities) bytes(terms model.BatchTerms) int {
	return min(cmp.Or(a.MostBytes, mostBytes), terms.MaxBytes)
}

// failure is what a message says of an error.
func failure(err error) *schemas.StepError {
	return &schemas.StepError{Code: schemas.CodeOf(err), Message: schemas.SafeMessage(err)}
}
