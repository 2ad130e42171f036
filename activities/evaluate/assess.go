package evaluate

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/activities/internal/script"
	"github.com/tenuto-dev/tenuto/schemas"
)

// grader is a grader whose questions about one cell k answers.
func (w *batchWork) grader(k *asker) grader.Grader {
	return grader.Grader{Asker: k, Render: render, Poster: w.a.Poster, Reasks: 1}
}

// render renders a prompt that a suite wrote for its grader.
func render(template string, names map[string]any) (string, error) {
	t, err := nunjucks.Parse(template)
	if err != nil {
		return "", schemas.Wrap(schemas.Invalid, err, "the grader's prompt is wrong in its %s", err.Error())
	}
	data, err := json.Marshal(names)
	if err != nil {
		return "", schemas.Wrap(schemas.Internal, err, "what the grader's prompt shows cannot be written as JSON")
	}
	object, err := nunjucks.ParseJSON(string(data))
	if err != nil {
		return "", schemas.Wrap(schemas.Internal, err, "what the grader's prompt shows cannot be read")
	}
	fields, _ := object.(nunjucks.Object)
	return t.Render(fields)
}

// outputOf is what a grader is shown of a cell.
func outputOf(c planned, record schemas.CellRecord) (grader.Output, error) {
	out := grader.Output{Prompt: c.Input, Context: record.Answer.Context}
	if err := json.Unmarshal(record.Answer.Output, &out.Value); err != nil {
		return out, schemas.Wrap(schemas.Internal, err, "the output of a cell is no JSON")
	}
	_ = json.Unmarshal(c.Vars, &out.Vars) // the expansion wrote an object
	return out, nil
}

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
