package relay

import (
	"math"
	"time"

	"github.com/tenuto-dev/tenuto/schemas"
)

// Ask is a call that is to be admitted.
type Ask struct {
	Key      schemas.APIKey
	Model    string
	Start    time.Time               // its day and month pay
	Estimate func() schemas.Estimate // what it may cost at most; worked out only where somebody wants to know
}

// Permit is the leave to make a call. Exactly one of Settle and Follow is called, once. Implemented by budget.Permit.
type Permit interface {
	// Charge is what the record of the call must carry.
	Charge() schemas.Charge
	// Settle says what was spent; the record says the same.
	Settle(spent schemas.Amount)
	// Follow has the record say what was spent, when it is durable.
	Follow(run string, start time.Time)
}

// What an estimate supposes. It is on the safe side: what is reserved too much is given back when the call ends.
const (
	bytesAToken = 2    // English has four, code three
	mostAnswer  = 4096 // tokens of an answer that neither the request nor what is known of the model bounds
)

// most is what the call may cost at most.
func (c *call) most() schemas.Estimate {
	bytes, answer, times := c.size()
	in, out := bytes/bytesAToken+1, 0
	if c.answers() {
		out = answer
		if limit := c.target.Def.MaxOutput; limit > 0 && (out == 0 || out > limit) {
			out = limit
		}
		if out == 0 {
			out = mostAnswer
		}
	}
	estimate := schemas.Estimate{Amount: schemas.Amount{Tokens: int64(in) + int64(out)*int64(times)}}
	prices := c.target.Def.Prices
	switch {
	case c.target.Local:
	case prices == nil:
		estimate.Unknown = []string{c.name}
	default:
		price := prices.Input
		if prices.Written != nil {
			price = math.Max(price, *prices.Written)
		}
		estimate.Micros = schemas.MicrosOf((float64(in)*price + float64(out)*float64(times)*prices.Output) / 1e6)
	}
	return estimate
}

// charge is what the record says of who pays. A call whose answer began, or whose caller left it, and of whose usage nobody heard counts as what
// it may have cost at most: otherwise it would be free to break off before the end, where usage is told.
func (c *call) charge(d schemas.CallDetail, failure error) schemas.Charge {
	if c.permit == nil {
		return schemas.Charge{}
	}
	charge := c.permit.Charge()
	begun := !c.first.IsZero() || c.turn.Load() != nil && isGone(failure)
	if !charge.IsZero() && begun && d.Usage.InputTokens+d.Usage.OutputTokens == 0 {
		charge.Unknown = c.most().Amount
	}
	c.charged = charge.Amount(c.usage, c.cost)
	return charge
}

// settle ends the permit: with what was spent, or by the record, where it is not known to be durable.
func (c *call) settle() {
	if c.recorded {
		c.permit.Settle(c.charged)
		return
	}
	c.permit.Follow(c.run, c.start)
}
