package openaimodel

import (
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
)

var _ model.LogProber = (*Driver)(nil)

// LogProbs is true: both APIs have log probabilities. Models that reason decline to give them, and say so themselves.
func (d *Driver) LogProbs(string) bool { return true }

// logProbs are those of tokens: a list in Responses; in chat completions, whole or a chunk, an object with a list of the content's and one of
// a refusal's. What other servers put in their place counts as none.
type logProbs []float64

type token struct {
	LogProb float64 `json:"logprob"`
}

// UnmarshalJSON reads either form.
func (l *logProbs) UnmarshalJSON(data []byte) error {
	var got struct {
		Content []token `json:"content"`
		Refusal []token `json:"refusal"`
	}
	var err error
	if data[0] == '[' {
		err = json.Unmarshal(data, &got.Content)
	} else {
		err = json.Unmarshal(data, &got)
	}
	if err != nil {
		return nil //nolint:nilerr // as above: the answer is worth more than they are
	}
	for _, t := range append(got.Content, got.Refusal...) {
		*l = append(*l, t.LogProb)
	}
	return nil
}
