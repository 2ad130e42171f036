package evaluate

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/activities/internal/script"
	"github.com/tenuto-dev/tenuto/schemas"
)

// judge judges an answer by the assertions of its cell. Errors: of what cannot be judged.
func (w *batchWork) judge(ctx context.Context, c planned, record *schemas.CellRecord) error {
	var value any
	if err := json.Unmarshal(record.Answer.Output, &value); err != nil {
		return schemas.Wrap(schemas.Internal, err, "the output of a cell is no JSON")
	}
	var vars map[string]any
	_ = json.Unmarshal(c.Vars, &vars) // the expansion wrote an object
	scorer := score.Scorer{Script: script.Engine{}}
	output := score.Output{Value: value, Vars: vars, Prompt: c.Input, LatencyMS: record.Answer.LatencyMS, Refused: record.Answer.Refused, Retrieved: record.Answer.Retrieved, LogProbs: record.Answer.LogProbs}
	var list []score.Assertion
	for _, a := range c.Assertions {
		list = append(list, score.Assertion{Type: a.Type, Value: a.Value, Threshold: a.Threshold, Weight: a.Weight, Metric: a.Metric, Transform: a.Transform})
	}
	result, err := scorer.ScoreAll(ctx, list, c.Threshold, output)
	if err != nil {
		return err
	}
	record.State, record.Pass, record.Score, record.Reason, record.Assertions = schemas.CellScored, result.Pass, result.Score, result.Reason, result.Parts
	return nil
}
