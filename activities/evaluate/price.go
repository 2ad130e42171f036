package evaluate

import (
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// pricesOf are those of a model, by the project or the installation; nil for a route.
func (p *planner) pricesOf(pin *pinned) *schemas.PriceDef {
	if def, ok := pin.models.Models[pin.config.model]; ok {
		return def.Prices
	}
	_, def, _ := p.a.Models.Defined(pin.config.model)
	return def.Prices
}

// priced is an answer whose price was not known when it was given, at the prices that are known now: it is not asked for again to have one.
func (t target) priced(answer *schemas.CellAnswer) *schemas.CellAnswer {
	if answer.Cost.Unknown == 0 || t.Prices == nil {
		return answer
	}
	now := *answer
	now.Cost = schemas.Cost{USD: *fleet.Target{Def: schemas.ModelDef{Prices: t.Prices}}.Cost(answer.Usage)}
	return &now
}
