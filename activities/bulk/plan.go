package bulk

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"github.com/tenuto-dev/tenuto/activities/provider/blob"
	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// framing is what stands around a row in an order, in bytes, at most.
const framing = 400

// Plan makes the batches of a round and keeps their rows. It orders nothing, so it may be repeated. Codes: invalid for a list that cannot be
// used, those of the store.
func (a *Activities) Plan(ctx context.Context, in schemas.BulkRound) (schemas.BulkPlan, error) {
	if err := schemas.CheckBulkID(in.Bulk.ID); err != nil {
		return schemas.BulkPlan{}, err
	}
	list, err := blob.GetJSON[schemas.BulkList](ctx, a.Store, in.Bulk.List)
	if err != nil {
		return schemas.BulkPlan{}, err
	}
	failed, err := a.failedBefore(ctx, in.Bulk)
	if err != nil {
		return schemas.BulkPlan{}, err
	}
	planning := planning{a: a, in: in, models: list.Models, targets: map[string]*packing{}}
	if err := planning.look(ctx, list.Rows, failed); err != nil {
		return schemas.BulkPlan{}, err
	}
	return planning.pack(ctx)
}

// failedBefore are the identities of the calls that failed for good in earlier rounds.
func (a *Activities) failedBefore(ctx context.Context, in schemas.BulkRequest) (map[string]bool, error) {
	failed := map[string]bool{}
	for info, err := range a.Store.All(ctx, schemas.BulkFailedPrefix(in.Tenant, in.ID)) {
		if err != nil {
			return nil, err
		}
		rows, err := blob.GetJSON[[]schemas.BulkFailure](ctx, a.Store, schemas.Ref{Key: info.Key})
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			failed[row.Identity] = true
		}
	}
	return failed, nil
}

// planning is one call of Plan.
type planning struct {
	a       *Activities
	in      schemas.BulkRound
	models  schemas.Models
	plan    schemas.BulkPlan
	order   []*packing
	targets map[string]*packing // by the name of the model
}

// packing is the rows of one model.
type packing struct {
	name   string
	target fleet.Target
	terms  model.BatchTerms
	rows   []schemas.BulkRow
}

// look sorts the rows: what is recorded, what has failed, what no batch can be ordered for, and what is to be ordered. A call that is named twice
// is ordered once.
func (p *planning) look(ctx context.Context, rows []schemas.BulkRow, failed map[string]bool) error {
	known, err := p.recorded(ctx, rows)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, row := range rows {
		to := p.packing(row.Model)
		identity, ok := p.identity(to, row)
		switch {
		case known[i]:
			p.plan.Known++
		case !ok:
			p.plan.Single++
		case failed[identity]:
			p.plan.Failed++
		case seen[identity]:
		default:
			to.rows = append(to.rows, row)
		}
		seen[identity] = true
	}
	return nil
}

// packing finds the rows of a model; nil for one that no batch can be ordered of.
func (p *planning) packing(name string) *packing {
	if to, ok := p.targets[name]; ok {
		return to
	}
	p.targets[name] = nil
	if slices.Contains(p.in.Without, name) {
		return nil
	}
	target, err := p.a.Fleet.Target(p.models, name)
	if err != nil {
		return nil
	}
	terms, err := target.Provider.BatchTerms()
	if err != nil {
		return nil
	}
	to := &packing{name: name, target: target, terms: terms}
	p.targets[name], p.order = to, append(p.order, to)
	return to
}

// identity names the call of a row; not ok for one that no batch can have.
func (p *planning) identity(to *packing, row schemas.BulkRow) (string, bool) {
	call, err := p.a.call(p.in.Bulk.Tenant, row)
	if to == nil || err != nil || len(row.Request)+framing > p.a.bytes(to.terms) {
		return "", false
	}
	made, err := to.target.Provider.BatchRow(call)
	return made.ID, err == nil
}

// recorded says of each row whether its response is recorded.
func (p *planning) recorded(ctx context.Context, rows []schemas.BulkRow) ([]bool, error) {
	known, failures := make([]bool, len(rows)), make([]error, len(rows))
	slots := make(chan struct{}, atOnce)
	var looking sync.WaitGroup
	for i, row := range rows {
		target, err := p.a.Fleet.Target(p.models, row.Model)
		call, wrong := p.a.call(p.in.Bulk.Tenant, row)
		if err != nil || wrong != nil {
			continue // it is asked for alone, and then says what is wrong
		}
		slots <- struct{}{}
		looking.Go(func() {
			defer func() { <-slots }()
			_, known[i], failures[i] = target.Provider.Recorded(ctx, call)
		})
	}
	looking.Wait()
	for _, err := range failures {
		if err != nil && schemas.CodeOf(err) != schemas.Invalid {
			return nil, err
		}
	}
	return known, nil
}

// pack makes batches of the rows within what providers and memory take, and keeps them.
func (p *planning) pack(ctx context.Context) (schemas.BulkPlan, error) {
	for _, to := range p.order {
		for rest := to.rows; len(rest) > 0; {
			n := p.fitting(to, rest)
			if len(p.plan.Parts) == schemas.MaxBulkParts {
				p.plan.Later += n
			} else if err := p.keep(ctx, to, rest[:n]); err != nil {
				return schemas.BulkPlan{}, err
			}
			rest = rest[n:]
		}
	}
	return p.plan, nil
}

// fitting is how many of the rows a batch takes, at least one.
func (p *planning) fitting(to *packing, rows []schemas.BulkRow) int {
	bytes := 0
	for n, row := range rows[:min(len(rows), p.a.rows(to.terms))] {
		if bytes += len(row.Request) + framing; bytes > p.a.bytes(to.terms) {
			return n
		}
	}
	return min(len(rows), p.a.rows(to.terms))
}

// keep keeps the rows of a batch, and what finding their model takes.
func (p *planning) keep(ctx context.Context, to *packing, rows []schemas.BulkRow) error {
	bulk, n := p.in.Bulk, len(p.plan.Parts)
	part := schemas.BulkPart{
		Tenant: bulk.Tenant, ID: bulk.ID, Round: p.in.Round, Part: n, Model: to.name, Target: to.target.Server + "/" + to.target.Model, Rows: len(rows),
	}
	models, err := json.Marshal(only(p.models, to.name))
	if err != nil {
		return err
	}
	if part.Models, err = blob.PutContent(ctx, p.a.Store, bulk.Tenant, models); err != nil {
		return err
	}
	if part.List, err = blob.PutJSON(ctx, p.a.Store, schemas.BulkRowsKey(bulk.Tenant, bulk.ID, p.in.Round, n), rows); err != nil {
		return err
	}
	p.plan.Parts = append(p.plan.Parts, part)
	return nil
}

// only is what finding one model's server needs: all models of its provider, as their limits are part of who it is.
func only(models schemas.Models, name string) schemas.Models {
	provider := models.Models[name].Provider
	out := schemas.Models{Providers: map[string]schemas.ProviderDef{}, Models: map[string]schemas.ModelDef{}}
	if def, ok := models.Providers[provider]; ok {
		out.Providers[provider] = def
	}
	for other, def := range models.Models {
		if def.Provider == provider {
			out.Models[other] = def
		}
	}
	return out
}
