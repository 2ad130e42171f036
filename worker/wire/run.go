package wire

import (
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/schemas"
)

// CheckInput checks the input of a run against the chain's schema. Error: invalid, saying what does not fit.
func CheckInput(b schemas.Bundle, input json.RawMessage) error { return chain.CheckInput(b, input) }

// Estimator returns what estimates runs of a bundle, by its prices and those of the installation: from the length of the input in bytes and,
// where it asks for it, the input. Error: invalid for a bundle that cannot run.
func Estimator(b schemas.Bundle, installed schemas.Models) (func(bytes int64, input func() json.RawMessage) schemas.Estimate, error) {
	e, err := chain.NewEstimator(b, installed)
	if err != nil {
		return nil, err
	}
	return e.Run, nil
}
