package model

import (
	"math"

	"github.com/tenuto-dev/tenuto/schemas"
)

// LogProber is a driver whose server can say how probable it found the tokens that it answered with.
type LogProber interface {
	// LogProbs reports whether requests for the model may ask for log probabilities. It makes no call; the server may still decline a model.
	LogProbs(model string) bool
}

// LogProbs reports whether requests for the model may ask for log probabilities.
func (p *Provider) LogProbs(model string) bool {
	driver, ok := p.Driver.(LogProber)
	return ok && driver.LogProbs(model)
}

func (p *Provider) checkLogProbs(request Request) error {
	if !request.LogProbs || p.LogProbs(request.Model) {
		return nil
	}
	return schemas.Errorf(schemas.Invalid, "the model provider %s gives no log probabilities of the model %s", p.Name, request.Model)
}

// logProbDigits is the scale to which log probabilities are kept: four decimals. Most tokens are all but certain and are then a single digit,
// and a perplexity is exact to as many places.
const logProbDigits = 1e4

// asAsked is a response without what was not asked for, and with log probabilities as they are kept.
func (r Response) asAsked(request Request) Response {
	if !request.LogProbs {
		r.LogProbs = nil
		return r
	}
	for i, p := range r.LogProbs {
		r.LogProbs[i] = math.Round(p*logProbDigits)/logProbDigits + 0 // never -0, which JSON would keep
	}
	return r
}
