package evaluate

import (
	"context"
	"encoding/json"

	"github.com/tenuto-dev/tenuto/activities/internal/dialect"
	"github.com/tenuto-dev/tenuto/activities/internal/grader"
	"github.com/tenuto-dev/tenuto/activities/internal/nunjucks"
	"github.com/tenuto-dev/tenuto/activities/internal/score"
	"github.com/tenuto-dev/tenuto/activities/internal/script"
	"github.com/tenuto-dev/tenuto/schemas"
)

// scoring judges one cell, or a contest, with k to answer what graders ask.
func (w *batchWork) scoring(k grader.Asker) Scoring {
	return Scoring{Scorer: score.Scorer{Script: script.Engine{}, SQL: dialect.Reader{}}, Grader: grader.Grader{Asker: k, Render: render, Poster: w.a.Poster, Reasks: 1}}
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

// judge judges an answer by the assertions of its cell, and enters who was asked. Errors: of what cannot be judged.
func (w *batchWork) judge(ctx context.Context, c planned, record *schemas.CellRecord) error {
	k := &asker{w: w, cell: c.ID.Score, knew: c.Answer}
	result, err := w.scoring(k).Assert(ctx, c.EvalCell, *record.Answer)
	k.enter(record)
	if err != nil {
		return err
	}
	record.State, record.Pass, record.Score, record.Reason, record.Assertions = schemas.CellScored, result.Pass, result.Score, result.Reason, result.Parts
	return nil
}
