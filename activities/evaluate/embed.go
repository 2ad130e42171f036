package evaluate

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// bytesAToken is how few bytes of a text a token may be, to be on the safe side.
const bytesAToken = 2

// embedPrices are those of what makes vectors; nil where nobody says. A local one costs nothing.
func (a *Activities) embedPrices(g graderTarget) *schemas.PriceDef {
	def, ok := g.Models.Models[g.Model]
	provider := g.Models.Providers[def.Provider]
	if !ok {
		provider, def, _ = a.Models.Defined(g.Model)
	}
	if def.Prices == nil && provider.Driver == schemas.DriverLocal {
		return &schemas.PriceDef{}
	}
	return def.Prices
}

// embed returns the vectors of texts, charged to the budgets that apply. Where one does, what was paid has a record, as a call of a model by itself
// has one.
func (a *Activities) embed(ctx context.Context, run schemas.EvalRun, g graderTarget, texts []string) (Vectors, error) {
	var need schemas.Estimate
	for _, text := range texts {
		need.Tokens += int64(len(text)/bytesAToken + 1)
	}
	if prices := a.embedPrices(g); prices != nil {
		need.Micros = schemas.MicrosOf(*fleet.Target{Def: schemas.ModelDef{Prices: prices}}.Cost(schemas.Usage{Calls: 1, InputTokens: int(need.Tokens)}))
	} else {
		need.Unknown = []string{g.Model}
	}
	permit, err := a.Budgets.Admit(ctx, admission(run, func(context.Context) (schemas.Estimate, error) { return need, nil }))
	if err != nil {
		if schemas.CodeOf(err) == schemas.OverBudget {
			err = &shortage{cause: err, need: need}
		}
		return Vectors{}, err
	}
	vectors, err := a.Models.Embed(ctx, run.Tenant, g.Models, g.Model, texts)
	if err != nil || vectors.Usage.Calls == 0 {
		permit.Settle(schemas.Amount{})
		return vectors, err
	}
	permit.Settle(schemas.AmountOf(vectors.Usage, vectors.Cost))
	return vectors, a.keepEmbedding(context.WithoutCancel(ctx), run, permit.Charge(), g, vectors, digestOf("embed", g.Pin, texts))
}

// keepEmbedding writes the record of a call that a budget pays for.
func (a *Activities) keepEmbedding(
	ctx context.Context, run schemas.EvalRun, charge schemas.Charge, g graderTarget, vectors Vectors, what string,
) error {
	if charge.IsZero() {
		return nil
	}
	now, chain := time.Now(), schemas.ModelChain(g.Model)
	detail := schemas.CallDetail{Purpose: "embed", Model: g.Model, Operation: "embeddings", Usage: vectors.Usage}
	if vectors.Cost.Unknown == 0 {
		detail.Cost = &vectors.Cost.USD
	}
	id := schemas.EvalGradeID(what)
	data, err := json.Marshal(schemas.Exchange{
		RunID: id, Tenant: run.Tenant, Key: run.Key, Chain: chain, Plan: schemas.Plan{Chain: chain}, Status: schemas.RunDone,
		StartMS: now.UnixMilli(), Usage: vectors.Usage, Cost: vectors.Cost, Charge: charge,
		Metadata: map[string]string{schemas.MetadataEval: run.Suite + "/" + run.ID, schemas.MetadataPurpose: "embed"},
		Steps: []schemas.ExchangeStep{{ID: "embed", Kind: schemas.StepEmbed, Details: []schemas.StepDetail{{
			StartMS: now.UnixMilli(), Calls: []schemas.CallDetail{detail},
		}}}},
	})
	if err != nil {
		return schemas.Wrap(schemas.Internal, err, "the record of an embedding cannot be written")
	}
	return a.Store.Put(ctx, schemas.RunKey(run.Tenant, id, now), data)
}
