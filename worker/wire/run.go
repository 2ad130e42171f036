package wire

import (
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/chain"
	"github.com/tenuto-dev/tenuto/schemas"
)

// CheckInput checks the input of a run against the chain's schema. Error: invalid, saying what does not fit.
func CheckInput(b schemas.Bundle, input json.RawMessage) error { return chain.CheckInput(b, input) }
