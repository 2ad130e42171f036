package chain

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/tenuto-dev/tenuto/activities/provider/model"
	"github.com/tenuto-dev/tenuto/activities/provider/model/fleet"
	"github.com/tenuto-dev/tenuto/schemas"
)

// errTold ends a step whose first call was told of and not made.
var errTold = errors.New("the call was told of and not made")

// Row is the first call that a run of one generate step makes, for a batch: when its response is recorded, the run finds it. Models are what its
// model is named in. Not ok for a run of another kind, and one that makes no call. Nothing is paid for and nothing written. Codes: those of the step.
func (a *Activities) Row(ctx context.Context, run schemas.RunRequest) (row schemas.BulkRow, models schemas.Models, ok bool, err error) {
	if len(run.Plan.Steps) != 1 || run.Plan.Steps[0].Kind != schemas.StepGenerate {
		return row, models, false, nil
	}
	s, err := a.step(ctx, schemas.StepRequest{
		Tenant: run.Tenant, RunID: run.RunID, Bundle: run.Bundle, Chain: run.Plan.Chain, Step: run.Plan.Steps[0].ID,
		Input: run.Input, Outputs: map[string]schemas.Content{}, Batch: run.Batch, Retries: run.Retries, Local: true,
		LogProbs: run.LogProbs,
	})
	if err != nil {
		return row, models, false, err
	}
	s.first = func(target fleet.Target, request model.Request, attempt string) error {
		data, err := json.Marshal(request)
		if err != nil {
			return schemas.Wrap(schemas.Invalid, err, "the model request cannot be written as JSON")
		}
		row, ok = schemas.BulkRow{Attempt: attempt, Model: target.Name, Request: data}, true
		return errTold
	}
	if runs, err := s.condition(ctx, s.def.When); err != nil || !runs {
		return row, models, false, err
	}
	if _, err = s.generate(ctx); errors.Is(err, errTold) {
		err = nil
	}
	return row, s.bundle.Models, ok && err == nil, err
}
